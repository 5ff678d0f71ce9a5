//! The noise gate: opens on a loud short window, closes when the whole context has been quiet.

/// Length of one level measurement, in milliseconds.
const WINDOW_MS: f64 = 10.0;
/// What silence is called, in dBFS.
pub const SILENCE_DBFS: f32 = -120.0;

/// Measures the level over windows of 10 ms and opens or closes.
///
/// It opens as soon as one window's RMS passes the threshold, and closes when every window of the last
/// `hold_ms` is under it. It depends on the samples alone, not on the blocks they come in.
#[derive(Debug, Clone)]
pub struct Gate {
    window: u32,
    window_ms: f32,
    filled: u32,
    energy: f64,
    level_dbfs: f32,
    threshold_dbfs: f32,
    hold_windows: u32,
    quiet_windows: u32,
    open: bool,
}

impl Gate {
    /// A closed gate for sound at `sample_rate` Hz.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are at most 384 kHz")]
    pub fn new(sample_rate: f64, threshold_dbfs: f32, hold_ms: f32) -> Self {
        let window = (sample_rate * WINDOW_MS / 1000.0).round().max(1.0);
        let mut gate = Self {
            window: window as u32,
            window_ms: (window * 1000.0 / sample_rate) as f32,
            filled: 0,
            energy: 0.0,
            level_dbfs: SILENCE_DBFS,
            threshold_dbfs,
            hold_windows: 1,
            quiet_windows: 0,
            open: false,
        };
        gate.set(threshold_dbfs, hold_ms);
        gate
    }

    /// Changes the threshold (dBFS) and the hold (ms).
    pub fn set(&mut self, threshold_dbfs: f32, hold_ms: f32) {
        self.threshold_dbfs = threshold_dbfs;
        self.hold_windows = super::choice::hops(hold_ms, self.window_ms);
    }

    /// Takes one sample.
    #[expect(clippy::cast_possible_truncation, reason = "a level in dB fits in f32")]
    pub fn push(&mut self, sample: f32) {
        self.energy += f64::from(sample) * f64::from(sample);
        self.filled += 1;
        if self.filled < self.window {
            return;
        }
        let mean = self.energy / f64::from(self.window);
        self.level_dbfs = ((10.0 * mean.max(1e-30).log10()) as f32).max(SILENCE_DBFS);
        self.filled = 0;
        self.energy = 0.0;
        if self.level_dbfs > self.threshold_dbfs {
            self.open = true;
            self.quiet_windows = 0;
        } else if self.open {
            self.quiet_windows += 1;
            self.open = self.quiet_windows < self.hold_windows;
        }
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Level of the last whole window, in dBFS (RMS).
    #[must_use]
    pub fn level_dbfs(&self) -> f32 {
        self.level_dbfs
    }

    /// Back to closed and silent.
    pub fn reset(&mut self) {
        self.filled = 0;
        self.energy = 0.0;
        self.level_dbfs = SILENCE_DBFS;
        self.quiet_windows = 0;
        self.open = false;
    }
}
