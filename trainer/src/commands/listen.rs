//! `tocco listen`: what a model hears of live sound.

use std::io::{StdoutLock, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tocco_models::stream::Piece;
use tocco_models::{Decision, NONE, Recognizer};

use super::engine::EngineArgs;
use super::policy::PolicyArgs;
use crate::interrupt::Interrupts;
use crate::live::{self, Input, Live};
use crate::osc::Sender;

/// How often the ring is looked into.
const LOOK: Duration = Duration::from_millis(1);
/// How often the class names are sent, for receivers that start later. As the plugin does.
const CLASSES_EVERY: Duration = Duration::from_secs(3);
/// After so long without a sample the device is taken for gone.
const SILENT_DEVICE: Duration = Duration::from_secs(5);
/// Samples that are heard at once.
const BLOCK: usize = 4096;

/// Options of `tocco listen`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model file, or the name of a shipped model (techniques, instruments, bowed-plucked).
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// The audio device: its name, a part of it that no other has, or its number in `tocco devices` with the same
    /// --backend. Without it the one that the system takes by default.
    #[arg(long, value_name = "NAME|NUMBER")]
    device: Option<String>,
    /// Which of the device's channels is heard, from 1.
    #[arg(long, value_name = "N", default_value_t = 1)]
    channel: u16,
    /// Only the devices of one audio backend: alsa, jack, coreaudio, wasapi.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Samples that the device delivers at once, instead of the smallest buffer that it has.
    #[arg(long, value_name = "SAMPLES")]
    buffer: Option<u32>,
    /// How changes of decision are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Send /class, event, active and classes to this address; of instruments an event is a change of the set.
    #[arg(long, value_name = "HOST:PORT")]
    osc: Option<String>,
    /// With --osc: the name in the addresses of the messages.
    #[arg(long, default_value = "live", requires = "osc")]
    name: String,
    /// End after so many seconds of sound, instead of at Ctrl-C.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line a change, for people: seconds, class, confidence.
    Text,
    /// An object a change, each on a line.
    Json,
}

/// One change of decision.
#[derive(Serialize)]
struct Change<'a> {
    time_s: f64,
    class: &'a str,
    confidence: f32,
    /// All classes that hold.
    active: Vec<&'a str>,
}

/// Runs `tocco listen`.
///
/// # Errors
/// The model is refused, there is no such device or channel, or the device goes away.
pub fn run(args: &Args) -> Result<()> {
    live::check_channel(args.channel)?;
    if let Some(seconds) = args.seconds {
        ensure!(seconds > 0.0 && seconds.is_finite(), "--seconds {seconds} is no length of time");
    }
    let policy = args.policy.policy()?;
    let ear = args.engine.open(&args.model)?;
    let devices = live::inputs(args.backend.as_deref())?;
    let input = live::pick(&devices, args.device.as_deref())?;
    let sender = match &args.osc {
        Some(target) => Some(Sender::new(target, &args.name, ear.model.card())?),
        None => None,
    };
    let interrupts = Interrupts::listen("stopping; once more ends at once");
    let live = Live::open(input, args.channel, args.buffer)?;
    let recognizer = ear.recognizer(f64::from(live.rate), &policy)?;
    super::remark(format_args!(
        "listening to channel {} of «{}» ({}) at {} Hz with {}, until Ctrl-C",
        args.channel,
        input.name,
        input.backend.name(),
        live.rate,
        ear.model.card().name
    ));
    let teller = Teller::new(args.format, recognizer.card().classes.clone(), live.rate, sender);
    let mut session = Session { args, input, live, recognizer, teller, lost: 0 };
    let outcome = session.listen(&interrupts);
    session.sum_up();
    outcome
}

/// One device, heard by one model.
struct Session<'a> {
    args: &'a Args,
    input: &'a Input,
    live: Live,
    recognizer: Recognizer,
    teller: Teller,
    /// Samples that found no room in the ring.
    lost: u64,
}

impl Session<'_> {
    /// Until somebody ends it, the time is over or the device goes away.
    fn listen(&mut self, interrupts: &Interrupts) -> Result<()> {
        let mut block = vec![0.0; BLOCK];
        let mut newest = Instant::now();
        let mut told_terms = false;
        while !interrupts.asked() && !self.is_over() {
            self.teller.repeat_classes();
            match self.live.sound.next(&mut block) {
                Some(Piece::Sound(length)) => {
                    newest = Instant::now();
                    if !told_terms {
                        told_terms = true;
                        let terms = self.live.terms(self.recognizer.latency(), LOOK);
                        super::remark(format_args!("from sound to decision at most {terms}"));
                    }
                    self.hear(&block[..length])?;
                }
                Some(Piece::Gap(lost)) => self.jump(lost)?,
                // Only a plugin's host asks for one.
                Some(Piece::Reset { .. }) => {}
                None => {
                    self.check_device(newest)?;
                    std::thread::sleep(LOOK);
                }
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let heard_s = self.recognizer.position() as f64 / f64::from(self.live.rate);
        self.args.seconds.is_some_and(|seconds| heard_s >= seconds)
    }

    fn hear(&mut self, block: &[f32]) -> Result<()> {
        let mut outcome = Ok(());
        let teller = &mut self.teller;
        self.recognizer.push(block, |decision| {
            if outcome.is_ok() {
                outcome = teller.decision(decision);
            }
        })?;
        outcome
    }

    /// Leaves out what found no room; the times of what follows stay right.
    fn jump(&mut self, lost: u64) -> Result<()> {
        if self.lost == 0 {
            super::remark("sound is being lost: this machine is too slow for the model, or too busy");
        }
        self.lost += lost;
        self.recognizer.skip(lost).map_err(Into::into)
    }

    fn check_device(&self, newest: Instant) -> Result<()> {
        let name = &self.input.name;
        if let Some(trouble) = self.live.trouble() {
            return Err(trouble).with_context(|| format!("the audio device «{name}» went away"));
        }
        if newest.elapsed() > SILENT_DEVICE {
            bail!("the audio device «{name}» has sent nothing for {} s: it went away", SILENT_DEVICE.as_secs());
        }
        Ok(())
    }

    /// Says how much was heard, and what was lost on the way.
    fn sum_up(&self) {
        let rate = f64::from(self.live.rate);
        let heard_s = self.recognizer.position() as f64 / rate;
        let lost = match self.lost {
            0 => "no sample was lost".into(),
            lost => format!("{lost} samples ({:.2} s) were lost", lost as f64 / rate),
        };
        super::remark(format_args!("listened for {heard_s:.1} s; {lost}"));
        let overruns = self.live.overruns();
        if overruns > 0 {
            super::remark(format_args!(
                "the system lost sound {overruns} times before it came here: a buffer larger than {} samples helps \
                 (--buffer; JACK has it in the settings of its server)",
                self.live.buffer
            ));
        }
        if let Some(sender) = self.teller.sender.as_ref().filter(|sender| sender.lost > 0) {
            super::remark(format_args!("{} OSC messages were not taken: does anybody listen there?", sender.lost));
        }
    }
}

/// Prints and sends what is decided.
struct Teller {
    out: StdoutLock<'static>,
    format: Format,
    classes: Vec<String>,
    rate: u32,
    sender: Option<Sender>,
    classes_sent: Instant,
}

impl Teller {
    fn new(format: Format, classes: Vec<String>, rate: u32, sender: Option<Sender>) -> Self {
        Self { out: std::io::stdout().lock(), format, classes, rate, sender, classes_sent: Instant::now() }
    }

    fn repeat_classes(&mut self) {
        if let Some(sender) = &mut self.sender
            && self.classes_sent.elapsed() >= CLASSES_EVERY
        {
            sender.classes();
            self.classes_sent = Instant::now();
        }
    }

    fn decision(&mut self, decision: &Decision<'_>) -> Result<()> {
        // The message first: printing may wait for a slow terminal.
        if let Some(sender) = &mut self.sender {
            sender.decision(decision, self.rate);
        }
        if !decision.changed {
            return Ok(());
        }
        let time_s = decision.about as f64 / f64::from(self.rate);
        let name = |class: usize| self.classes[class].as_str();
        match self.format {
            Format::Text => {
                let mut line = format!("{time_s:10.3}");
                for class in decision.active.iter() {
                    line += &format!("  {} {:.2}", name(class), decision.posterior[class]);
                }
                if decision.active.is_empty() {
                    line += &format!("  {NONE}");
                }
                writeln!(self.out, "{line}")?;
            }
            Format::Json => {
                let class = decision.class.map_or(NONE, name);
                let active = decision.active.iter().map(name).collect();
                let change = Change { time_s, class, confidence: decision.confidence, active };
                serde_json::to_writer(&mut self.out, &change)?;
                writeln!(self.out)?;
            }
        }
        Ok(self.out.flush()?)
    }
}
