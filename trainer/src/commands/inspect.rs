//! `tocco inspect`.

use anyhow::Result;

/// Options of `tocco inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `tocco inspect`.
///
/// # Errors
/// Not written yet.
pub fn run(_args: Args) -> Result<()> {
    anyhow::bail!("«tocco inspect» is not written yet")
}
