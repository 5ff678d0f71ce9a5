//! Where the recognizer runs, and why there.

use std::time::Duration;

use nice_plug::prelude::Enum;
use tocco_models::NetworkKind;

use crate::trial::Trial;

/// Where the recognizer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// The host has not activated the plugin.
    Inactive,
    /// On the inference threads.
    Worker,
    /// Inside `process`, live: MIDI lands on the exact sample.
    AudioThread,
    /// Inside `process`, which may take all the time it wants: the host renders.
    Offline,
}

impl Mode {
    /// The name in `/status` and on the panel.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Worker => "worker",
            Self::AudioThread => "audio-thread",
            Self::Offline => "offline",
        }
    }

    /// The mode of a number written by [`Placed::to_bits`].
    fn from_bits(bits: u8) -> Self {
        [Self::Worker, Self::AudioThread, Self::Offline]
            .into_iter()
            .find(|&mode| mode as u8 == bits)
            .unwrap_or(Self::Inactive)
    }
}

/// What the player asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
pub enum Wish {
    /// The audio thread where the model fits there.
    #[default]
    #[id = "auto"]
    #[name = "Automatic"]
    Auto,
    /// The audio thread, as long as the model is quicker than the sound.
    #[id = "audio"]
    #[name = "Audio thread"]
    AudioThread,
    /// The inference threads.
    #[id = "worker"]
    #[name = "Worker"]
    Worker,
}

/// Why it runs where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// There is nothing to run.
    Nothing,
    /// Its slowest step was measured and fits.
    Fits,
    /// Its slowest step was measured and takes too much of a block.
    TooSlow,
    /// It computes a whole window at each decision.
    Windowed,
    /// The player wants it so.
    Wished,
    /// The memory kept for it did not suffice.
    Exhausted,
    /// It failed on the audio thread.
    Failed,
    /// The host renders, or delivers sound ahead of time.
    Rendering,
}

const WHYS: [Why; 8] =
    [Why::Nothing, Why::Fits, Why::TooSlow, Why::Windowed, Why::Wished, Why::Exhausted, Why::Failed, Why::Rendering];

/// A mode with its reason: small enough to be shared as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub mode: Mode,
    /// Why.
    pub why: Why,
}

impl Placed {
    /// The host has not activated the plugin.
    pub const INACTIVE: Self = Self { mode: Mode::Inactive, why: Why::Nothing };
    /// Before anything is known.
    pub const WORKER: Self = Self { mode: Mode::Worker, why: Why::Nothing };
    /// The host renders.
    pub const OFFLINE: Self = Self { mode: Mode::Offline, why: Why::Rendering };

    /// On the inference threads, because of this.
    #[must_use]
    pub fn worker(why: Why) -> Self {
        Self { mode: Mode::Worker, why }
    }

    /// As one number.
    #[must_use]
    pub fn to_bits(self) -> u16 {
        u16::from(self.mode as u8) << 8 | u16::from(self.why as u8)
    }

    /// Back from [`Placed::to_bits`].
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        let [mode, why] = bits.to_be_bytes();
        Self { mode: Mode::from_bits(mode), why: WHYS.get(usize::from(why)).copied().unwrap_or(Why::Nothing) }
    }

    /// The reason in a few words, with the slowest step and the host's block as they were measured.
    #[must_use]
    pub fn reason(self, slowest: Duration, block: Duration) -> String {
        let measured = || {
            let share = 100.0 * slowest.as_secs_f64() / block.as_secs_f64().max(1e-9);
            format!("{:.0} us of a block of {:.1} ms ({share:.1} %)", slowest.as_secs_f64() * 1e6, ms(block))
        };
        match self.why {
            Why::Nothing if self.mode == Mode::Inactive => "not activated".into(),
            Why::Nothing => "no model".into(),
            Why::Fits => format!("slowest step {}", measured()),
            Why::TooSlow => format!("slowest step {}: too much for the audio thread", measured()),
            Why::Windowed => "the model computes a whole window at each decision".into(),
            Why::Wished => "as set".into(),
            Why::Exhausted => "the audio thread's memory ran out".into(),
            Why::Failed => "it failed on the audio thread".into(),
            Why::Rendering => "the host renders".into(),
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// A step may take so much of a block: the rest is for the instrument, the effects, and the other instances.
const AUTO_SHARE: f64 = 0.25;
/// Where the player wants the audio thread, more than this would leave gaps in the sound.
pub const WISHED_SHARE: f64 = 0.75;

/// Where a model runs live, by what the player wishes, what kind of network it is, and what was measured.
#[must_use]
pub fn place(wish: Wish, network: &NetworkKind, trial: Option<&Trial>, block: Duration) -> Placed {
    let fits = |share: f64| trial.is_some_and(|trial| trial.slowest.as_secs_f64() <= share * block.as_secs_f64());
    match wish {
        Wish::Worker => Placed::worker(Why::Wished),
        Wish::Auto if !network.is_stream() => Placed::worker(Why::Windowed),
        _ if trial.is_some_and(|trial| trial.system_calls > 0) => Placed::worker(Why::Exhausted),
        Wish::Auto if fits(AUTO_SHARE) => Placed { mode: Mode::AudioThread, why: Why::Fits },
        Wish::AudioThread if fits(WISHED_SHARE) => Placed { mode: Mode::AudioThread, why: Why::Wished },
        _ => Placed::worker(Why::TooSlow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Duration = Duration::from_micros(1000);
    const STREAM: NetworkKind = NetworkKind::Stream { frames_per_step: 1, states: Vec::new() };

    fn trial(microseconds: u64) -> Trial {
        Trial { slowest: Duration::from_micros(microseconds), pool_bytes: 1, system_calls: 0 }
    }

    #[test]
    fn the_audio_thread_gets_what_fits_and_nothing_else() {
        let auto = |trial: Option<Trial>| place(Wish::Auto, &STREAM, trial.as_ref(), BLOCK);
        assert_eq!(auto(Some(trial(100))).mode, Mode::AudioThread);
        assert_eq!(auto(Some(trial(300))), Placed::worker(Why::TooSlow));
        assert_eq!(auto(Some(Trial { system_calls: 1, ..trial(100) })), Placed::worker(Why::Exhausted));
        assert_eq!(auto(None), Placed::worker(Why::TooSlow));
        let window = NetworkKind::Audio { samples: 8000, hop: 1000 };
        assert_eq!(place(Wish::Auto, &window, Some(&trial(1)), BLOCK), Placed::worker(Why::Windowed));
    }

    #[test]
    fn the_player_decides_within_what_the_sound_allows() {
        let wished = |wish, microseconds| place(wish, &STREAM, Some(&trial(microseconds)), BLOCK).mode;
        assert_eq!(wished(Wish::Worker, 1), Mode::Worker);
        assert_eq!(wished(Wish::AudioThread, 500), Mode::AudioThread);
        assert_eq!(wished(Wish::AudioThread, 2000), Mode::Worker);
    }

    #[test]
    fn mode_and_reason_go_through_one_number() {
        for why in WHYS {
            for mode in [Mode::Inactive, Mode::Worker, Mode::AudioThread, Mode::Offline] {
                let placed = Placed { mode, why };
                assert_eq!(Placed::from_bits(placed.to_bits()), placed);
            }
        }
    }
}
