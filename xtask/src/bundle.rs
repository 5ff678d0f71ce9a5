//! CLAP, VST3 and standalone in `target/bundled`, under their human names.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cargo::{Workspace, checked};

const PACKAGE: &str = "tocco_plugin";
/// The two processors of Macs.
const MAC_TARGETS: [&str; 2] = ["x86_64-apple-darwin", "aarch64-apple-darwin"];
const STANDALONE: &str = "tocco_standalone";

/// Builds the plugin with cargo's `options` (empty, or `--release`) and bundles it.
///
/// # Errors
/// Where the build or a copy fails.
pub fn build_and_bundle(workspace: &Workspace, options: &[&str]) -> Result<()> {
    checked(workspace.cargo().args(["build", "--package", PACKAGE, "--lib", "--bins"]).args(options))?;
    bundle(workspace, options)
}

/// Bundles what was built with the same `options`.
///
/// # Errors
/// Where a file is missing or can't be written.
pub fn bundle(workspace: &Workspace, options: &[&str]) -> Result<()> {
    let arguments: Vec<String> = options.iter().map(|&o| o.into()).collect();
    nice_plug_xtask::bundle(workspace.target(), PACKAGE, &arguments, false)?;

    // The bundler looks for a program of the package's name; ours has one that says what it is.
    let profile = if options.contains(&"--release") { "release" } else { "debug" };
    let built = workspace.profile_folder(profile).join(program_name());
    let bundled = standalone(workspace);
    // The old file goes first: a program that still runs keeps its own.
    if bundled.exists() {
        std::fs::remove_file(&bundled).with_context(|| format!("{} can't be replaced", bundled.display()))?;
    }
    std::fs::copy(&built, &bundled)
        .with_context(|| format!("{} can't be copied to {}", built.display(), bundled.display()))?;
    eprintln!("Created the standalone at '{}'", bundled.display());
    Ok(())
}

/// Builds the plugin for both processors of Macs, in the release profile, and bundles both in one, signed ad hoc.
///
/// # Errors
/// On another system, and where the build, `lipo` or `codesign` fails.
pub fn universal(workspace: &Workspace) -> Result<()> {
    ensure!(cfg!(target_os = "macos"), "bundle --universal needs a Mac: lipo and codesign are Apple's");
    for target in MAC_TARGETS {
        checked(workspace.cargo().args([
            "build",
            "--release",
            "--package",
            PACKAGE,
            "--lib",
            "--bins",
            "--target",
            target,
        ]))?;
    }
    // It joins and signs what hosts load; the standalone it does not know.
    nice_plug_xtask::bundle(workspace.target(), PACKAGE, &["--release".to_owned()], true)?;
    let bundled = standalone(workspace);
    let parts = MAC_TARGETS.map(|target| workspace.target().join(target).join("release").join(program_name()));
    checked(workspace.command("lipo").arg("-create").args(parts).arg("-output").arg(&bundled))?;
    checked(workspace.command("codesign").args(["--force", "--sign", "-"]).arg(&bundled))
}

/// Where the bundled standalone is.
pub fn standalone(workspace: &Workspace) -> PathBuf {
    workspace.target().join("bundled").join(program_name())
}

fn program_name() -> String {
    format!("{STANDALONE}{}", std::env::consts::EXE_SUFFIX)
}
