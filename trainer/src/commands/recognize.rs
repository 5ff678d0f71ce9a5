//! `tocco recognize`: what a model hears in recordings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use tocco_models::timeline::{Export, Segment, Timeline};
use tocco_models::{Decision, Policy};

use super::engine::EngineArgs;
use super::policy::PolicyArgs;
use crate::listen::Ear;
use crate::osc::Sender;
use crate::{page, player};

/// Options of `tocco recognize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model file, or the name of a shipped model (techniques, instruments, bowed-plucked). With --format html it
    /// may be given several times.
    #[arg(long, value_name = "MODEL", required = true)]
    model: Vec<PathBuf>,
    /// Recordings.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// With --format html: the page's file, instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Tell the stretches of the class «none» too.
    #[arg(long)]
    with_none: bool,
    /// Send the plugin's OSC messages to this address, in the pace of the sound.
    #[arg(long, value_name = "HOST:PORT")]
    osc: Option<String>,
    /// With --osc: as fast as possible instead of in the pace of the sound.
    #[arg(long, requires = "osc")]
    no_pace: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line a segment, for people.
    Text,
    /// file,start_s,end_s,class,confidence
    Csv,
    /// One array with an object for each file.
    Json,
    /// A label track for Audacity: start, end, class, separated by tabs.
    Labels,
    /// Regions for Reaper's Region/Marker Manager.
    Reaper,
    /// A MIDI file: a note for each segment, C2 for the first class and upwards.
    Midi,
    /// A page for a browser that plays the recording while its spectrogram and what was heard move with it.
    Html,
}

#[derive(Serialize)]
struct FileResult {
    file: PathBuf,
    model: String,
    duration_s: f64,
    sample_rate: u32,
    segments: Vec<Segment>,
}

/// Runs `tocco recognize`.
///
/// # Errors
/// The model is refused, or a recording can't be heard to its end; the others are told all the same.
pub fn run(args: Args) -> Result<()> {
    let policy = args.policy.policy()?;
    let is_whole = matches!(args.format, Format::Labels | Format::Reaper | Format::Midi);
    if is_whole && args.files.len() > 1 {
        bail!("labels, regions and notes belong to one recording: name one file, or take --format csv");
    }
    if args.format == Format::Html {
        return html(&args, &policy);
    }
    if args.out.is_some() {
        bail!("--out belongs to --format html: the other formats go to standard output");
    }
    let [model] = args.model.as_slice() else {
        bail!("several models at once need --format html");
    };
    let ear = args.engine.open(model)?;
    let mut out = std::io::stdout().lock();
    let mut csv = csv::Writer::from_writer(Vec::new());
    if args.format == Format::Csv {
        csv.write_record(["file", "start_s", "end_s", "class", "confidence"])?;
        flush_csv(&mut csv, &mut out)?;
    }
    let mut results = Vec::new();
    let mut failures = Vec::new();
    for file in &args.files {
        let print = |segment: &Segment| match args.format {
            Format::Text => writeln!(out, "{}", line(file, segment)).map_err(Into::into),
            Format::Csv => {
                csv.serialize((
                    file,
                    format!("{:.3}", segment.start_s),
                    format!("{:.3}", segment.end_s),
                    &segment.name,
                    format!("{:.4}", segment.confidence),
                ))?;
                flush_csv(&mut csv, &mut out)
            }
            Format::Labels => out.write_all(&Export::Audacity.write(std::slice::from_ref(segment))).map_err(Into::into),
            Format::Reaper | Format::Midi | Format::Json | Format::Html => Ok(()),
        };
        match one_file(&args, &ear, &policy, file, print) {
            Ok((result, damage)) => {
                results.push(result);
                failures.extend(damage);
            }
            Err(error) if super::is_closed_pipe(&error) => return Err(error),
            Err(error) => failures.push(error),
        }
    }
    let export = [(Format::Reaper, Export::Reaper), (Format::Midi, Export::Midi)];
    if let Some((_, export)) = export.into_iter().find(|(format, _)| *format == args.format) {
        out.write_all(&export.write(results.first().map_or(&[], |result| &result.segments)))?;
    }
    if args.format == Format::Json {
        serde_json::to_writer_pretty(&mut out, &results)?;
        writeln!(out)?;
    }
    out.flush()?;
    let failed = failures.len();
    match (failures.pop(), failed) {
        (None, _) => Ok(()),
        (Some(only), 1) => Err(only),
        (Some(last), _) => {
            for error in failures.iter().chain([&last]) {
                super::remark(format_args!("tocco: {}", super::sentence(error)));
            }
            bail!("{failed} of {} recordings could not be heard to their end", args.files.len())
        }
    }
}

/// Writes the page of one recording.
fn html(args: &Args, policy: &Policy) -> Result<()> {
    let [file] = args.files.as_slice() else {
        bail!("a page plays one recording: name one file");
    };
    if args.osc.is_some() {
        bail!("--format html sends nothing: leave --osc out");
    }
    let open = |model: &PathBuf| args.engine.open(model);
    let ears: Vec<Ear> = args.model.iter().map(open).collect::<Result<_>>()?;
    let page = player::page(&ears, file, policy, args.with_none)?;
    match &args.out {
        Some(path) => tocco_models::write_with_folder(path, page.html.as_bytes())?,
        None => std::io::stdout().lock().write_all(page.html.as_bytes())?,
    }
    let (whole, sound) = (page::size(page.html.len()), page::size(page.sound_bytes));
    super::remark(format_args!("a page of {whole}, of which the recording is {sound}"));
    page.damage.map_or(Ok(()), |damage| Err(damage.into()))
}

/// Hears one file. The second part of the answer is what is wrong with it, where its beginning could be heard.
fn one_file(
    args: &Args,
    ear: &Ear,
    policy: &Policy,
    file: &Path,
    mut print: impl FnMut(&Segment) -> Result<()>,
) -> Result<(FileResult, Option<anyhow::Error>)> {
    let card = ear.model.card();
    let untold = card.none_class().filter(|_| !args.with_none);
    let mut timeline = Timeline::new(&card.classes, untold);
    let mut segments = Vec::new();
    let mut sender = match &args.osc {
        Some(target) => {
            let name = file.file_stem().map(|n| n.to_string_lossy()).unwrap_or_default();
            Some(Sender::new(target, &name, card)?)
        }
        None => None,
    };
    let start = Instant::now();
    let heard = ear.hear(file, policy, |decision: &Decision<'_>, rate| {
        if let Some(sender) = &mut sender {
            if !args.no_pace {
                let due = start + Duration::from_secs_f64(decision.known_at as f64 / f64::from(rate));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            sender.decision(decision, rate);
        }
        timeline.push(decision, rate);
        for segment in timeline.closed.drain(..) {
            print(&segment)?;
            segments.push(segment);
        }
        Ok(())
    })?;
    timeline.finish(heard.duration_s);
    for segment in timeline.closed.drain(..) {
        print(&segment)?;
        segments.push(segment);
    }
    if let Some(sender) = sender.filter(|s| s.lost > 0) {
        super::remark(format_args!("{} OSC messages were not taken: does anybody listen there?", sender.lost));
    }
    let result = FileResult {
        file: file.to_path_buf(),
        model: card.name.clone(),
        duration_s: heard.duration_s,
        sample_rate: heard.rate,
        segments,
    };
    Ok((result, heard.damage.map(Into::into)))
}

fn line(file: &Path, segment: &Segment) -> String {
    let name = file.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let Segment { start_s, end_s, name: class, confidence, .. } = segment;
    format!("{name}  {start_s:8.2} {end_s:8.2}  {class:20} {confidence:.2}")
}

fn flush_csv(csv: &mut csv::Writer<Vec<u8>>, out: &mut impl Write) -> Result<()> {
    csv.flush()?;
    out.write_all(csv.get_ref())?;
    // The writer keeps what it wrote: start afresh.
    *csv = csv::Writer::from_writer(Vec::new());
    Ok(())
}
