//! `cargo xtask setup | demo | test | bench | models | bundle`: everything around the build.

mod bundle;
mod cargo;
mod models;
mod setup;

use anyhow::{Context, Result, bail};

use crate::cargo::{Workspace, checked};

const USAGE: &str = "\
Usage: cargo xtask <command>

  setup               install what the build and the tests need (Debian and Ubuntu: through apt)
  demo [--window]     play a phrase through the bundled plugin and print what it recognised;
                      with --window open the standalone instead
  test                everything that CI runs: set up, build, bundle, all tests
  bench [--quick]     cost of a hop and of `process`, instances in real time, load time, memory and
                      size of what musicians get: the details by criterion, then one table
  models [NAME]       remake the shipped models (or one: techniques, instruments) from the recordings
                      in ../shared/data (or in $TOCCO_RECORDINGS), and measure them; goes on where it
                      was cut off
  models [NAME] --measure
                      only measure the shipped models anew
  models [NAME] --full-report
                      hours of trainings that leave rooms and instruments out, and what comes of it
  bundle [--release]  build the plugin into target/bundled: CLAP, VST3 and standalone
  bundle --universal  the same on a Mac, in the release profile, for Intel and Apple processors in one";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let workspace = Workspace::find()?;
    match (command.as_str(), rest.as_slice()) {
        ("setup", []) => {
            setup::system_packages(setup::Need::Everything)?;
            setup::python(&workspace)?;
            setup::pytorch(&workspace).map(drop)
        }
        ("demo", []) => demo(&workspace),
        ("demo", ["--window"]) => window(&workspace),
        ("test", []) => test(&workspace),
        ("bench", []) => bench(&workspace, false),
        ("bench", ["--quick"]) => bench(&workspace, true),
        ("models", ["--full-report"]) => models::full_report(&workspace, None),
        ("models", [name, "--full-report"]) => models::full_report(&workspace, Some(name)),
        ("models", ["--measure"]) => models::measure(&workspace, None),
        ("models", [name, "--measure"]) => models::measure(&workspace, Some(name)),
        ("models", []) => models::make(&workspace, None),
        ("models", [name]) => models::make(&workspace, Some(name)),
        ("bundle", []) => bundle(&workspace, &[]),
        ("bundle", ["--release"]) => bundle(&workspace, &["--release"]),
        ("bundle", ["--universal"]) => bundle::universal(&workspace),
        ("" | "help" | "--help" | "-h", []) => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("«{command} {}» is no command of xtask.\n\n{USAGE}", rest.join(" ")),
    }
}

/// Builds and bundles the plugin, on a fresh machine too.
fn bundle(workspace: &Workspace, options: &[&str]) -> Result<()> {
    setup::system_packages(setup::Need::Build)?;
    bundle::build_and_bundle(workspace, options)
}

/// Plays the phrase through the bundled CLAP in a host inside a process of its own.
fn demo(workspace: &Workspace) -> Result<()> {
    setup::system_packages(setup::Need::Build)?;
    checked(workspace.cargo().args([
        "build",
        "--package",
        "tocco_plugin",
        "--package",
        "tocco_tests",
        "--lib",
        "--bins",
    ]))?;
    bundle::bundle(workspace, &[])?;
    let demo = workspace.profile_folder("debug").join(format!("demo{}", std::env::consts::EXE_SUFFIX));
    checked(&mut workspace.command(demo))
}

/// Opens the standalone and waits until it is closed.
fn window(workspace: &Workspace) -> Result<()> {
    setup::system_packages(setup::Need::Build)?;
    bundle::build_and_bundle(workspace, &[])?;
    checked(&mut workspace.command(bundle::standalone(workspace)))
}

/// What CI runs. Everything is built once, in the dev profile, before the first test starts.
fn test(workspace: &Workspace) -> Result<()> {
    setup::system_packages(setup::Need::Everything)?;
    let python = setup::python(workspace)?;
    let pytorch = setup::pytorch(workspace)?;
    let library = setup::onnx_runtime(workspace).with_context(|| {
        let folder = workspace.target().join("venv");
        format!("the Python packages hold no library of ONNX Runtime: remove {} and try again", folder.display())
    })?;
    checked(workspace.cargo().args(["build", "--workspace", "--lib", "--bins", "--tests"]))?;
    bundle::bundle(workspace, &[])?;

    let mut tests = workspace.cargo();
    // No test may skip itself because a tool is missing: they were all installed above.
    tests.args(["test", "--workspace", "--no-fail-fast"]).env("TOCCO_STRICT", "1").env("TOCCO_PYTHON", &python);
    tests.env("TOCCO_PYTORCH", &pytorch).env("ORT_DYLIB_PATH", library);
    let mut results = cargo::echo_lines(&mut tests, "test result:")?;
    if let Some(watched) = under_the_realtime_sanitizer(workspace)? {
        results.add(watched);
    }
    println!("\nThe closing lines of cargo test again:");
    for line in &results.lines {
        println!("  {line}");
    }
    println!(
        "{} test programs, {} tests passed, {} failed",
        results.lines.len(),
        results.sum("passed"),
        results.sum("failed")
    );
    results.ended_well.then_some(()).context("cargo test failed: the reasons stand above")
}

/// The tests of the audio thread once more, watched by the realtime sanitizer, where the Rust toolchain brings it.
fn under_the_realtime_sanitizer(workspace: &Workspace) -> Result<Option<cargo::Echoed>> {
    let Some(library) = setup::realtime_sanitizer()? else {
        // Who asks for strictness from outside, as CI does, wants every check.
        if std::env::var_os("TOCCO_STRICT").is_some() {
            bail!("this Rust toolchain brings no realtime sanitizer (librustc-*_rt.rtsan.a): install one that does");
        }
        println!(
            "SKIPPED: this Rust toolchain brings no realtime sanitizer; the counted allocations above stand alone."
        );
        return Ok(None);
    };
    println!("\nThe audio thread under the realtime sanitizer:");
    let mut tests = workspace.cargo();
    tests.args(["test", "--workspace", "--features", "tocco_tests/rtsan", "--test", "realtime"]);
    // The sanitizer watches the whole program: one test at a time, so that its report speaks of that test.
    tests.args(["--", "--test-threads", "1"]).env("RTSAN_ENABLE", "1").env("RTSAN_LIB_PATH", library);
    cargo::echo_lines(&mut tests, "test result:").map(Some)
}

/// Measures what musicians get: all in the release profile, with the bundles built beside.
fn bench(workspace: &Workspace, quick: bool) -> Result<()> {
    setup::system_packages(setup::Need::Build)?;
    let packages = ["--package", "tocco_plugin", "--package", "tocco_models"];
    checked(workspace.cargo().args(["build", "--release", "--lib", "--bins"]).args(packages))?;
    bundle::bundle(workspace, &["--release"])?;
    let mut details = workspace.cargo();
    details.arg("bench").args(packages).args(["--bench", "hop", "--"]);
    details.args(if quick { &["--quick"][..] } else { &["--warm-up-time", "0.5", "--measurement-time", "2"] });
    checked(&mut details)?;
    let mut table = workspace.cargo();
    table.arg("bench").args(packages).args(["--bench", "engine"]);
    if quick {
        table.args(["--", "--quick"]);
    }
    checked(&mut table)
}
