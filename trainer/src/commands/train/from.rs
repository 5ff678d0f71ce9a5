//! `--from RUN`: which options come from the run or the model that the training begins from.

use std::path::Path;

use anyhow::{Result, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;

use super::Args;
use crate::net::{Hearing, Shape};
use crate::train::{Earlier, NetKind, Options, kind_of, preset};

/// The usual options for a network like the run's, with its network, frontend, rate and step.
///
/// # Errors
/// Where there is nothing that can be gone on from, or an option asks for another network or frontend: weights of one
/// shape are no use in another.
pub(super) fn usual(args: &Args, matches: &ArgMatches, from: &Path) -> Result<Options> {
    let at = from.display();
    let run = Earlier::open(from)?.options().clone();
    let kind = match kind_of(&run.shape) {
        Some(NetKind::Svm) => bail!("{at}: a support vector machine is fitted at once, --from has no use for it"),
        Some(kind) => kind,
        None => bail!("{at}: a head on an encoder is no network that --from can begin with"),
    };
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let task = if given("task") { args.task.task() } else { run.task };
    if let Some(name) = other_network(args, &run, kind).into_iter().find_map(|(name, other)| {
        // Options are known by the names of their fields.
        (other && given(&name.replace('-', "_"))).then_some(name)
    }) {
        bail!("--{name} asks for another network than the one in {at}, which --from begins with: leave it away");
    }
    Ok(Options {
        frames_per_step: run.frames_per_step,
        shape: run.shape,
        own_heads: run.own_heads,
        sample_rate: run.sample_rate,
        frontend: run.frontend,
        ..preset(kind, task)
    })
}

/// Each option about the network, and whether it asks for another one than the run's.
fn other_network(args: &Args, run: &Options, kind: NetKind) -> [(&'static str, bool); 15] {
    let (asked, frontend) = (&args.frontend, &run.frontend);
    let tcn = if let Shape::StreamTcn(shape) = &run.shape { Some(shape) } else { None };
    let channels = match &run.shape {
        Shape::StreamTcn(shape) => Some(shape.channels),
        Shape::StreamGru(shape) => Some(shape.hidden),
        _ => None,
    };
    let frames_a_second = run.sample_rate as f32 / frontend.hop as f32;
    let window = match run.shape.hearing() {
        Hearing::Stream => None,
        Hearing::Window { frames } => Some(frames as f32),
    };
    let heads = args.net == NetKind::Heads;
    let other_kind = if heads { !run.own_heads } else { args.net != kind };
    [
        ("net", other_kind),
        ("trunk", !heads || args.trunk != Some(kind)),
        ("own-heads", args.own_heads && !run.own_heads),
        ("channels", args.channels != channels),
        ("dilations", args.dilations.as_ref() != tcn.map(|shape| &shape.dilations)),
        ("memory-s", args.memory_s.map(|s| s * frames_a_second) != tcn.map(|shape| shape.memory_frames)),
        ("segment", window.is_some() && args.segments.segment.map(|s| (s * frames_a_second).round()) != window),
        ("sample-rate", asked.sample_rate != Some(run.sample_rate)),
        ("fft-size", asked.fft_size != Some(frontend.fft_size)),
        ("window", asked.window != Some(frontend.window)),
        ("extra-windows", asked.extra_windows.as_ref() != Some(&frontend.extra_windows)),
        ("hop", asked.hop != Some(frontend.hop)),
        ("mels", asked.mels != Some(frontend.mels)),
        ("fmin", asked.fmin != Some(frontend.fmin)),
        ("fmax", asked.fmax != Some(frontend.fmax)),
    ]
}
