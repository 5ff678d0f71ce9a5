//! `tocco prepare`.

use anyhow::Result;

/// Options of `tocco prepare`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `tocco prepare`.
///
/// # Errors
/// Not written yet.
pub fn run(_args: Args) -> Result<()> {
    anyhow::bail!("«tocco prepare» is not written yet")
}
