//! What lies between the player and the recorder: rooms, air, microphones.

use rand::Rng;
use rand::rngs::StdRng;

use super::config::{Air, Microphone, MicrophoneColour, Room};
use super::fourier::minimum_phase;
use super::{gain, gaussian};

/// Longest room response, in seconds.
pub(super) const LONGEST_ROOM_S: f32 = 1.2;

/// Writes the response of a made-up room: the direct sound, then exponentially decaying, ever duller noise.
pub(super) fn made_up(response: &mut [f32], room: &Room, rate: f32, rng: &mut StdRng) {
    let rt60 = room.rt60_s.draw_ratio(rng).min(LONGEST_ROOM_S);
    let wet_db = room.wet_db.draw(rng);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a second of samples")]
    let (delay, end) = ((rng.random_range(0.002..0.02) * rate) as usize, (rt60 * rate) as usize);
    let end = end.min(response.len());
    let decay = (-6.91 / (rt60 * rate)).exp();
    let dullness = rng.random_range(0.1..0.8_f32);
    let (mut level, mut dull, mut energy) = (1.0_f32, 0.0_f32, 1e-9_f32);
    for cell in &mut response[delay.min(end)..end] {
        dull += (1.0 - dullness) * (gaussian(rng) - dull);
        *cell = dull * level;
        energy += *cell * *cell;
        level *= decay;
    }
    let scale = gain(wet_db) / energy.sqrt();
    response[..end].iter_mut().for_each(|cell| *cell *= scale);
    response[0] = 1.0;
}

/// An impulse response as it is used: from its direct sound on, so that notes stay where their labels are, and with
/// that at level 1. `None` where it is silent.
pub(super) fn recorded(samples: &[f32]) -> Option<Vec<f32>> {
    /// How far under the peak the direct sound may begin.
    const BEGINS: f32 = 0.1;
    let peak = samples.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    if peak <= 1e-6 {
        return None;
    }
    let start = samples.iter().position(|s| s.abs() >= BEGINS * peak)?;
    Some(samples[start..].iter().map(|s| s / peak).collect())
}

/// The response of a way through air.
pub(super) fn air(config: &Air, rate: f32, rng: &mut StdRng) -> Vec<f32> {
    let metres = config.metres.draw(rng);
    let (celsius, humidity) = (config.celsius.draw(rng), config.humidity.draw(rng));
    minimum_phase(|hz| -metres * air_absorption(hz, celsius, humidity), rate)
}

/// What a metre of air at sea level swallows of a tone, in dB (ISO 9613-1:1993, equations 3 to 5 and B.2, B.3).
/// `humidity` is relative, in percent.
#[must_use]
pub fn air_absorption(hz: f32, celsius: f32, humidity: f32) -> f32 {
    let kelvin = celsius + 273.15;
    // Against the reference temperature, 20 degrees.
    let warmth = kelvin / 293.15;
    let saturation = 10.0_f32.powf(-6.8346 * (273.16 / kelvin).powf(1.261) + 4.6151);
    let water = humidity * saturation;
    let oxygen = 24.0 + 4.04e4 * water * (0.02 + water) / (0.391 + water);
    let nitrogen = warmth.powf(-0.5) * (9.0 + 280.0 * water * (-4.170 * (warmth.powf(-1.0 / 3.0) - 1.0)).exp());
    let square = hz * hz;
    let relaxation = 0.012_75 * (-2239.1 / kelvin).exp() / (oxygen + square / oxygen)
        + 0.1068 * (-3352.0 / kelvin).exp() / (nitrogen + square / nitrogen);
    8.686 * square * (1.84e-11 * warmth.sqrt() + warmth.powf(-2.5) * relaxation)
}

/// The response of some microphone.
pub(super) fn microphone(config: &MicrophoneColour, rate: f32, rng: &mut StdRng) -> Vec<f32> {
    let kind = config.kinds.get(rng.random_range(0..config.kinds.len().max(1))).copied();
    // Where it rolls off below and above, in Hz, and how steeply (6 dB an octave each).
    let (low, below, high, above) = match kind.unwrap_or(Microphone::Random) {
        Microphone::Random => (rng.random_range(20.0..150.0), 1, rng.random_range(7_000.0..20_000.0), 2),
        Microphone::Laptop => (rng.random_range(120.0..350.0), 2, rng.random_range(6_000.0..11_000.0), 3),
        Microphone::Phone => (rng.random_range(250.0..400.0), 3, rng.random_range(3_200.0..4_000.0_f32), 8),
    };
    // Humps and hollows about an octave wide, from 80 Hz up.
    let ripple: Vec<f32> = (0..9).map(|_| config.ripple_db * gaussian(rng)).collect();
    let curve = |hz: f32| {
        let octave = (hz.max(80.0) / 80.0).log2();
        let bumps: f32 = ripple.iter().enumerate().map(|(k, db)| db * (-(octave - k as f32).powi(2)).exp()).sum();
        let roll_off = |ratio: f32, order: i32| -10.0 * (1.0 + ratio.powi(2 * order)).log10();
        bumps + roll_off(low / hz.max(1.0), below) + roll_off(hz / high, above)
    };
    minimum_phase(curve, rate)
}
