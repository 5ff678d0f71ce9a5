//! `tocco inspect`: a model's card, size, operators and cost on this machine.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use tocco_models::{Card, FrontendConfig, Loader, Model, NetworkKind, Policy};

use crate::cost::{Hop, Step, Work, hop_s, medians_us};
use crate::engine::Provider;
use crate::listen::{Ear, Engine};

/// Options of `tocco inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model file, or the name of a shipped model (techniques, instruments, bowed-plucked).
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The rate of the sound that cost and latency are given for, in Hz.
    #[arg(long, default_value_t = 48_000.0)]
    sample_rate: f64,
    /// Print the card as JSON and nothing else.
    #[arg(long)]
    json: bool,
}

/// The rates that sound mostly has, in Hz.
const USUAL_RATES: [f64; 2] = [48_000.0, 44_100.0];

/// Runs `tocco inspect`.
///
/// # Errors
/// The model is refused.
pub fn run(args: Args) -> Result<()> {
    let ear = Ear::open(&args.model, Engine::Tract, Provider::Cpu)?;
    let card = ear.model.card();
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, card)?;
        writeln!(out)?;
        return Ok(());
    }
    write!(out, "{}", about(card))?;
    let model = &ear.model;
    writeln!(out, "size         {} bytes, {} parameters", model.file_bytes(), model.parameters())?;
    let operators: Vec<String> = model.operators().iter().map(|(op, n)| format!("{op} {n}")).collect();
    writeln!(out, "operators    {}", operators.join(", "))?;
    writeln!(out, "loader       {}", loader(model))?;
    writeln!(out, "cost here    {}", cost(&ear, args.sample_rate)?)?;
    write!(out, "{}", latency(&ear, args.sample_rate)?)?;
    Ok(())
}

/// What makes a decision late with the default policy, term by term, at the rate asked for and at the usual ones.
fn latency(ear: &Ear, sample_rate: f64) -> Result<String> {
    use std::fmt::Write as _;
    let others = USUAL_RATES.into_iter().filter(|rate| (rate - sample_rate).abs() > 0.5);
    let mut text = String::new();
    for rate in [sample_rate].into_iter().chain(others) {
        let latency = ear.recognizer(rate, &Policy::default())?.latency();
        let ms = |s: f64| format!("{:.1}", 1000.0 * s);
        writeln!(
            text,
            "latency      {} ms at {rate} Hz: resampler {}, half a window {}, look-ahead 0, hop {}, smoothing {}, \
             minimum duration {}",
            ms(latency.total()),
            ms(latency.resampler),
            ms(latency.window),
            ms(latency.hop),
            ms(latency.smoothing),
            ms(latency.min_duration)
        )?;
    }
    text.push_str(
        "             at the longest, beside what the network itself takes to be sure. In the plugin MIDI on the audio \
         thread adds nothing,\n             OSC and the worker a block and at most 2 ms: docs/latency.md\n",
    );
    Ok(text)
}

/// The card in words.
fn about(card: &Card) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{name:12} {value}");
    };
    line("name", card.name.clone());
    line("task", format!("{:?}", card.task).to_lowercase());
    line("classes", format!("{}: {}", card.classes.len(), card.classes.join(", ")));
    let hop_ms = 1000.0 * card.hop() as f64 / f64::from(card.sample_rate);
    line("sound", format!("{} Hz, a decision every {hop_ms:.1} ms", card.sample_rate));
    if let Some(f) = &card.frontend {
        line(
            "frontend",
            format!(
                "{} mel bands from {} to {} Hz, {} and hop {} samples, transform {}",
                f.mels,
                f.fmin,
                f.fmax,
                windows(f),
                f.hop,
                f.fft_size
            ),
        );
    }
    line(
        "network",
        match &card.network {
            NetworkKind::Stream { frames_per_step, states } => {
                let numbers: usize = states.iter().map(|s| s.shape.iter().product::<usize>()).sum();
                format!("stream: {frames_per_step} frames a step, {} states of {numbers} numbers", states.len())
            }
            NetworkKind::Window { frames, frames_per_step } => {
                format!("window: {frames} frames every {frames_per_step}")
            }
            NetworkKind::Audio { samples, hop } => format!("audio: {samples} samples every {hop}"),
        },
    );
    line("temperature", card.temperature.to_string());
    if !card.offsets.is_empty() {
        let each = card.classes.iter().zip(&card.offsets).map(|(class, offset)| format!("{class} {offset:+.2}"));
        line("offsets", each.collect::<Vec<_>>().join(", "));
    }
    if !card.thresholds.is_empty() {
        line("thresholds", format!("{:?}", card.thresholds));
    }
    for source in &card.data {
        line("trained on", format!("{} ({})", source.name, source.licence));
    }
    line("licence", if card.licence.is_empty() { "not stated".into() } else { card.licence.clone() });
    for (name, value) in &card.metrics {
        line("metric", format!("{name} = {value:.4}"));
    }
    let checked = card.reference.as_ref().map(|r| r.output.len() / card.classes.len().max(1));
    line("reference", checked.map_or("none".into(), |n| format!("{n} steps, reproduced here")));
    text
}

/// How its states are kept, and why.
fn loader(model: &Model) -> String {
    match (model.loader(), model.not_pulsed()) {
        (Loader::Pulse, _) => "pulse: the past of its convolutions lies beside the operators".into(),
        (Loader::Explicit, Some(why)) => format!("explicit states: {why}"),
        (Loader::Explicit, None) => "explicit: it has no states".into(),
    }
}

/// The lengths of the analysis windows in words.
fn windows(frontend: &FrontendConfig) -> String {
    let lengths: Vec<String> =
        std::iter::once(&frontend.window).chain(&frontend.extra_windows).map(ToString::to_string).collect();
    format!("window{} {}", if lengths.len() > 1 { "s" } else { "" }, lengths.join(", "))
}

/// The network's step and the whole chain's hop, as medians over many.
fn cost(ear: &Ear, sample_rate: f64) -> Result<String> {
    let mut works: [Box<dyn Work>; 2] = [Box::new(Step::new(ear)?), Box::new(Hop::new(ear, sample_rate)?)];
    let medians = medians_us(&mut works)?;
    let (step, hop, hop_us) = (medians[0], medians[1], 1e6 * hop_s(ear));
    Ok(format!(
        "network {step:.1} µs a step, whole chain {hop:.1} µs a hop: {:.2} % of one core, {:.0} times real time",
        100.0 * hop / hop_us,
        hop_us / hop
    ))
}
