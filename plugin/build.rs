//! Keeps the plugin's library in memory until the host ends.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The window library can return from closing a panel while its thread still runs for a moment; a host that
    // unloads the plugin in that moment would pull the code from under it. Thread-local data of a host's own
    // threads is cleaned up by our code too, when those threads end.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
