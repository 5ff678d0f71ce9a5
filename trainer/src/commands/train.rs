//! `tocco train`.

use anyhow::Result;

/// Options of `tocco train`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `tocco train`.
///
/// # Errors
/// Not written yet.
pub fn run(_args: Args) -> Result<()> {
    anyhow::bail!("«tocco train» is not written yet")
}
