//! `tocco recognize`.

use anyhow::Result;

/// Options of `tocco recognize`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `tocco recognize`.
///
/// # Errors
/// Not written yet.
pub fn run(_args: Args) -> Result<()> {
    anyhow::bail!("«tocco recognize» is not written yet")
}
