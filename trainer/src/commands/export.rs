//! `tocco export`.

use anyhow::Result;

/// Options of `tocco export`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `tocco export`.
///
/// # Errors
/// Not written yet.
pub fn run(_args: Args) -> Result<()> {
    anyhow::bail!("«tocco export» is not written yet")
}
