//! CLAP, VST3 and standalone in `target/bundled`, under their human names.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::{Workspace, checked};

const PACKAGE: &str = "tocco_plugin";
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

/// Where the bundled standalone is.
pub fn standalone(workspace: &Workspace) -> PathBuf {
    workspace.target().join("bundled").join(program_name())
}

fn program_name() -> String {
    format!("{STANDALONE}{}", std::env::consts::EXE_SUFFIX)
}
