//! What only the program without a host has: audio devices to choose, and settings that it keeps itself.
//!
//! `main` opens it before the plugin is made; in a host there is none, and nothing here does anything. Which devices
//! there are, `main` finds out: the library that hosts load knows no audio system.

mod choice;
mod ending;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use nice_plug::prelude::PluginState;
use serde::{Deserialize, Serialize};
use tocco_models::write_with_folder;

use crate::instance::lock;
use crate::params::ToccoParams;

pub use choice::{Choice, Device, Format, JACK, Listing};
pub use ending::is_started_again;

/// Of the file.
const VERSION: u32 = 1;

static CURRENT: OnceLock<Standalone> = OnceLock::new();

/// Lists what a system has, or says why it can't.
pub type List = fn(&str) -> Result<Listing, String>;

/// The file of the program without a host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(rename = "tocco_standalone")]
    version: u32,
    /// What the player chose; nothing before.
    sound: Option<Choice>,
    /// As a project keeps it.
    state: Option<PluginState>,
}

/// The program without a host.
pub struct Standalone {
    /// The audio systems of this computer, the better ones first.
    pub systems: &'static [&'static str],
    /// What they have.
    pub list: List,
    file: PathBuf,
    /// Whether the file may be written: not where it holds what could be neither read nor put aside.
    is_writable: bool,
    kept: Mutex<Kept>,
    /// The file's text when it was written last.
    written: Mutex<Vec<u8>>,
    /// The devices at the first start, before any was chosen.
    guess: OnceLock<Choice>,
    /// The devices in use.
    running: Mutex<Option<Choice>>,
    notice: Mutex<Option<String>>,
    wants_restart: AtomicBool,
    is_silent: AtomicBool,
    blocks: AtomicU64,
}

/// The program without a host, where this is one.
pub fn current() -> Option<&'static Standalone> {
    CURRENT.get()
}

/// This process is the program without a host, and its settings are in `file`. For `main`, before all else.
pub fn open(file: &Path, systems: &'static [&'static str], list: List) -> &'static Standalone {
    CURRENT.get_or_init(|| Standalone::read(file, systems, list))
}

impl Standalone {
    fn read(file: &Path, systems: &'static [&'static str], list: List) -> Self {
        let (kept, notice, is_writable) = match read(file) {
            Ok(kept) => (kept, None, true),
            Err((sentence, is_writable)) => (Kept::default(), Some(sentence), is_writable),
        };
        let monitor = kept.sound.as_ref().is_some_and(|choice| choice.monitor);
        Self {
            systems,
            list,
            file: file.to_owned(),
            is_writable,
            kept: Mutex::new(kept),
            written: Mutex::default(),
            guess: OnceLock::new(),
            running: Mutex::default(),
            notice: Mutex::new(notice),
            wants_restart: AtomicBool::new(false),
            is_silent: AtomicBool::new(!monitor),
            blocks: AtomicU64::new(0),
        }
    }

    /// The devices of last time; where none were chosen yet, JACK where its server runs, else the system's, and no input.
    #[must_use]
    pub fn choice(&self) -> Choice {
        let kept = lock(&self.kept).sound.clone();
        kept.filter(|choice| self.systems.contains(&choice.system.as_str())).unwrap_or_else(|| {
            // Asked once: a system may take its time to answer.
            let guess = self.guess.get_or_init(|| {
                // The last is taken whether it runs or not: there is no other.
                let (last, better) = self.systems.split_last().unwrap_or((&"", &[]));
                let system = better.iter().find(|system| (self.list)(system).is_ok()).unwrap_or(last);
                Choice { system: (*system).to_owned(), ..Choice::default() }
            });
            guess.clone()
        })
    }

    /// Keeps the devices for the next start.
    pub fn choose(&self, choice: &Choice) {
        self.is_silent.store(!choice.monitor, Ordering::Relaxed);
        lock(&self.kept).sound = Some(choice.clone());
        self.write();
    }

    /// The devices in use; none where sound does not run, or was asked for by hand.
    #[must_use]
    pub fn running(&self) -> Option<Choice> {
        lock(&self.running).clone()
    }

    /// These devices are in use from now on.
    pub fn runs_with(&self, choice: Option<Choice>) {
        *lock(&self.running) = choice;
    }

    /// A block passes; the player may want to hear nothing of it. For the audio thread.
    pub fn pass<'a>(&self, channels: impl Iterator<Item = &'a mut [f32]>) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        if self.is_silent.load(Ordering::Relaxed) {
            channels.for_each(|channel| channel.fill(0.0));
        }
    }

    /// Blocks of sound so far.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Asks for a new start when the window is closed. From now on nothing is recognised, so that what sounds ends.
    pub fn ask_for_restart(&self) {
        self.wants_restart.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    #[must_use]
    pub fn wants_restart(&self) -> bool {
        self.wants_restart.load(Ordering::Relaxed)
    }

    /// What the player should know of devices and file.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        lock(&self.notice).clone()
    }

    /// Says something to the player.
    pub fn tell(&self, sentence: String) {
        *lock(&self.notice) = Some(sentence);
    }

    /// Brings parameters and settings to where they were left.
    pub fn restore(&self, params: &ToccoParams) {
        if let Some(mut state) = lock(&self.kept).state.clone() {
            params.restore(&mut state);
        }
    }

    /// Keeps parameters and settings as they are now. Writes a file where they changed.
    pub fn keep(&self, params: &ToccoParams) {
        lock(&self.kept).state = Some(params.state());
        self.write();
    }

    fn write(&self) {
        let mut written = lock(&self.written);
        let kept = Kept { version: VERSION, ..lock(&self.kept).clone() };
        let text = match serde_json::to_vec_pretty(&kept) {
            Ok(text) => text,
            Err(error) => return self.tell(format!("The settings are not kept: {error}")),
        };
        if !self.is_writable || *written == text {
            return;
        }
        match write_with_folder(&self.file, &text) {
            Ok(()) => *written = text,
            Err(error) => self.tell(format!("The settings are not kept: {error}")),
        }
    }
}

/// What is not ours to read is put aside, so that nothing overwrites it. Otherwise a sentence, and whether the file may be
/// written.
fn read(file: &Path) -> Result<Kept, (String, bool)> {
    let unreadable = |error| (format!("{}: it can't be read ({error}): nothing is kept.", file.display()), false);
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::default()),
        read => read.map_err(unreadable)?,
    };
    let kept = serde_json::from_slice(&bytes).map_err(|error| error.to_string());
    let known = kept.and_then(|kept: Kept| match kept.version {
        ..=VERSION => Ok(kept),
        newer => Err(format!("they are of version {newer}, this one knows {VERSION}")),
    });
    known.map_err(|error| {
        let free = |number: &u32| !file.with_extension(format!("broken-{number}.json")).exists();
        let aside = file.with_extension(format!("broken-{}.json", (1..).find(free).unwrap_or(0)));
        let moved = std::fs::rename(file, &aside);
        let where_to = match &moved {
            Ok(()) => format!("it now lies in {}", aside.display()),
            Err(error) => format!("it can't be put aside ({error}): nothing is kept"),
        };
        (format!("{}: no settings of this Tocco ({error}); {where_to}.", file.display()), moved.is_ok())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
