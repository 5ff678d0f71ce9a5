//! `tocco devices`: what can be listened to on this machine.

use std::io::Write;

use anyhow::Result;

use crate::live;

/// Options of `tocco devices`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the devices of one audio backend: alsa, jack, coreaudio, wasapi.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
}

/// Runs `tocco devices`.
///
/// # Errors
/// There is no such backend, or no device.
pub fn run(args: &Args) -> Result<()> {
    let devices = live::inputs(args.backend.as_deref())?;
    let mut out = std::io::stdout().lock();
    let mut backend = None;
    for (index, device) in devices.iter().enumerate() {
        if backend != Some(device.backend) {
            writeln!(out, "{}", device.backend.name())?;
            backend = Some(device.backend);
        }
        writeln!(out, "{:4}  {device}", index + 1)?;
    }
    Ok(())
}
