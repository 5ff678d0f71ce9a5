//! `tocco evaluate`.

use anyhow::Result;

/// Options of `tocco evaluate`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `tocco evaluate`.
///
/// # Errors
/// Not written yet.
pub fn run(_args: Args) -> Result<()> {
    anyhow::bail!("«tocco evaluate» is not written yet")
}
