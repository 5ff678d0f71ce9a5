//! The panel in a host, on a display without a screen, driven by clicks.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::demo::stream;
use crate::display::Display;
use crate::host::{Emitted, Host, Processor};
use crate::locate;
use crate::osc::Receiver;
use crate::phrase::Phrase;
use crate::state::State;

/// The panel's size by default, in points.
pub const SIZE: (u32, u32) = (760, 680);
/// A plucked note of the phrase, in seconds: before it there is one that is bowed.
const PART_S: (f64, f64) = (12.0, 15.8);
const BLOCK: u32 = 512;
/// The plugin's default.
const PORT: u16 = 5005;

/// A panel that is open.
pub struct Stage {
    display: Display,
    host: Host,
    processor: Option<Processor>,
    rate: f64,
    /// Pixels a point.
    scale: u32,
    size: (u32, u32),
    /// Somebody who listens, so that the panel has nothing to complain of.
    _receiver: Receiver,
}

impl Stage {
    /// Opens the panel of a plugin with this state, `scale` times as large, in a host that plays at 48 kHz.
    ///
    /// # Errors
    /// Where a tool is missing, the display does not come up, or the plugin opens no window.
    pub fn open(state: &State, scale: u32) -> Result<Self> {
        let display = Display::start(&format!("{}x{}x24", SIZE.0 * scale, SIZE.1 * scale))?;
        display.make_current();
        // The default if it can be had: it is the one in the picture.
        let receiver = Receiver::at(PORT).or_else(|_| Receiver::start())?;
        let mut host = Host::load(&locate::clap()?)?;
        let mut editor = state.settings()["editor"].clone();
        if !editor.is_object() {
            editor = json!({"light": "dark"});
        }
        for (key, value) in [("width", SIZE.0), ("height", SIZE.1), ("zoom", scale)] {
            editor[key] = json!(f64::from(value));
        }
        host.restore(&state.clone().with_setting("editor", editor).with_osc_port(receiver.port()))?;
        let size = host.open_panel(display.root_window()?)?;
        ensure!(size == (SIZE.0 * scale, SIZE.1 * scale), "the host is told {size:?} at {scale}x");
        let mut stage = Self { display, host, processor: None, rate: 48_000.0, scale, size, _receiver: receiver };
        stage.wait(0.5);
        Ok(stage)
    }

    /// Lets the host live for so many seconds.
    pub fn wait(&mut self, seconds: f64) {
        self.host.live_for(Duration::from_secs_f64(seconds));
    }

    /// Plays sound in real time; what the plugin sent by MIDI comes back.
    ///
    /// # Errors
    /// Where the plugin can't be activated or run.
    pub fn play(&mut self, sound: &[f32]) -> Result<Vec<Emitted>> {
        let processor = match self.processor.take() {
            Some(processor) => processor,
            None => self.host.activate(self.rate, BLOCK)?,
        };
        let rate = self.rate;
        let host = &mut self.host;
        let (processor, midi) = std::thread::scope(|scope| {
            let audio = scope.spawn(|| stream(processor, sound, rate));
            while !audio.is_finished() {
                host.run_callbacks();
                std::thread::sleep(Duration::from_millis(5));
            }
            audio.join().map_err(|_| anyhow!("the audio thread panicked"))?
        })?;
        self.processor = Some(processor);
        Ok(midi)
    }

    /// Plays a part of the demonstration: a bowed note and a plucked one.
    ///
    /// # Errors
    /// As [`Stage::play`].
    pub fn play_phrase(&mut self) -> Result<Vec<Emitted>> {
        let phrase = Phrase::load(&locate::repository().join("tests/demo"))?;
        self.rate = f64::from(phrase.rate);
        self.play(phrase.part(PART_S.0, PART_S.1))
    }

    /// Clicks at a point of the panel, counted in points from its upper left corner, and waits until it is drawn.
    ///
    /// # Errors
    /// Where the display does not answer.
    pub fn click(&mut self, x: u32, y: u32) -> Result<()> {
        let pixel = |point: u32| i16::try_from(point * self.scale).context("a point outside of the panel");
        self.display.click(pixel(x)?, pixel(y)?)?;
        self.wait(0.7);
        Ok(())
    }

    /// Moves the pointer to the panel's empty lower right corner, where it explains nothing.
    ///
    /// # Errors
    /// Where the display does not answer.
    pub fn point_nowhere(&mut self) -> Result<()> {
        let [x, y] = [SIZE.0, SIZE.1].map(|length| i16::try_from((length - 4) * self.scale));
        self.display.point(x?, y?)?;
        self.wait(0.6);
        Ok(())
    }

    /// Takes a picture of the panel.
    ///
    /// # Errors
    /// Where ImageMagick fails.
    pub fn shoot(&self, picture: &Path) -> Result<()> {
        self.display.shoot(picture, Some(self.size))
    }

    /// What the plugin would keep in a project now.
    ///
    /// # Errors
    /// Where it can't be saved.
    pub fn save(&mut self) -> Result<State> {
        self.host.save()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.host.close_panel();
        if let Some(processor) = self.processor.take() {
            self.host.deactivate(processor);
        }
    }
}

/// Where the tabs of the pages stand, in points.
pub const CLASSES: (u32, u32) = (48, 199);
/// The page of models.
pub const MODEL: (u32, u32) = (121, 199);
/// The page of mappings.
pub const MIDI: (u32, u32) = (186, 199);
/// The page of the take.
pub const TAKE: (u32, u32) = (243, 199);
/// The page of settings.
pub const SETTINGS: (u32, u32) = (310, 199);

/// The bar of the class «plucked» of the techniques, in silence.
pub const PLUCKED: (u32, u32) = (120, 518);
/// In the mapping that is open: whether it sends.
pub const SENDS: (u32, u32) = (36, 360);
/// In the mapping that is open: the button «Test».
pub const TEST: (u32, u32) = (130, 330);

/// A state of the panel to look at.
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// The settings that lead to it.
    settings: fn() -> Vec<(&'static str, Value)>,
    /// Whether sound is played.
    plays: bool,
    /// Clicks that lead to it.
    clicks: &'static [(u32, u32)],
}

fn nothing() -> Vec<(&'static str, Value)> {
    Vec::new()
}

/// All that are kept as pictures.
pub const VIEWS: [View; 10] = [
    View { name: "classes", settings: nothing, plays: true, clicks: &[] },
    View { name: "classes-light", settings: || vec![("editor", json!({"light": "light"}))], plays: true, clicks: &[] },
    View {
        name: "instruments",
        settings: || vec![("model", json!({"library": "instruments"}))],
        plays: true,
        clicks: &[],
    },
    View { name: "waiting", settings: nothing, plays: false, clicks: &[] },
    View { name: "model", settings: nothing, plays: true, clicks: &[MODEL] },
    View { name: "midi", settings: nothing, plays: true, clicks: &[MIDI] },
    View { name: "mapping", settings: nothing, plays: true, clicks: &[PLUCKED] },
    View { name: "take", settings: nothing, plays: true, clicks: &[TAKE] },
    View { name: "settings", settings: nothing, plays: true, clicks: &[SETTINGS] },
    View {
        name: "model-gone",
        settings: || vec![("model", json!({"path": "/nowhere/flute.onnx"}))],
        plays: true,
        clicks: &[],
    },
];

impl View {
    /// Brings it on, `scale` times as large.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub fn stage(&self, scale: u32) -> Result<Stage> {
        let mut state = State::empty();
        for (key, value) in (self.settings)() {
            state = state.with_setting(key, value);
        }
        let mut stage = Stage::open(&state, scale)?;
        if self.plays {
            stage.play_phrase()?;
        }
        for &(x, y) in self.clicks {
            stage.click(x, y)?;
        }
        // Meanwhile lamps go out.
        stage.point_nowhere()?;
        Ok(stage)
    }

    /// Takes its picture, `scale` times as large.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub fn shoot(&self, scale: u32, picture: &Path) -> Result<()> {
        self.stage(scale)?.shoot(picture)
    }
}

/// The size of the pictures that are kept.
pub const GOLDEN_SIZE: &str = "190x170!";

/// Where the small picture of a view is kept.
#[must_use]
pub fn golden(view: &View, scale: u32) -> std::path::PathBuf {
    locate::repository().join("tests/golden/panel").join(format!("{}-{scale}x.png", view.name))
}
