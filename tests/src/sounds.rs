//! Sounds made by the tests themselves.

/// One stretch of a made sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tone {
    /// Frequency in Hz; 0 is silence.
    pub hz: f64,
    /// Length in seconds.
    pub seconds: f64,
}

/// Silence, a low tone, a high tone and so on: what the [synthetic](crate::synthetic) model tells apart.
pub const LOW_AND_HIGH: [Tone; 8] = [
    Tone { hz: 0.0, seconds: 0.35 },
    Tone { hz: 220.0, seconds: 0.45 },
    Tone { hz: 4000.0, seconds: 0.4 },
    Tone { hz: 220.0, seconds: 0.2 },
    Tone { hz: 0.0, seconds: 0.55 },
    Tone { hz: 4000.0, seconds: 0.3 },
    Tone { hz: 220.0, seconds: 0.35 },
    Tone { hz: 0.0, seconds: 0.5 },
];

/// The tones at a rate in Hz, with 5 ms of fade at each end.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths of a few seconds, samples of 32 bits"
)]
pub fn render(tones: &[Tone], rate: f64) -> Vec<f32> {
    let fade = 0.005 * rate;
    let mut sound = Vec::new();
    for tone in tones {
        let length = (tone.seconds * rate).round();
        sound.extend((0..length as usize).map(|i| {
            let i = i as f64;
            let envelope = (i / fade).min((length - 1.0 - i) / fade).clamp(0.0, 1.0);
            (0.3 * envelope * (std::f64::consts::TAU * tone.hz * i / rate).sin()) as f32
        }));
    }
    sound
}

/// Samples of every kind a host may give: any finite number, denormals, infinities, NaN. The same for the same seed.
#[must_use]
pub fn any_bits(length: usize, mut seed: u32) -> Vec<f32> {
    let next = || {
        // Marsaglia's xorshift32.
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        f32::from_bits(seed)
    };
    std::iter::repeat_with(next).take(length).collect()
}
