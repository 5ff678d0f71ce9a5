//! Small pictures in 256 colours: spectrograms and tables of shares.
//!
//! They are written as GIF, which holds just that, without loss.

use std::borrow::Cow;

use anyhow::{Result, ensure};

/// Decibels between the brightest and the darkest colour of a spectrogram.
const RANGE_DB: f32 = 75.0;
/// Natural logarithms of power in a decibel.
const NATS_PER_DB: f32 = std::f32::consts::LN_10 / 10.0;

/// Levels 0 to 255 in rows from the top, drawn in the colours of `colour`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width]`.
    pub levels: Vec<u8>,
}

impl Picture {
    /// Log-mel frames `[frames, mels]` (natural logarithms of power) as a picture: time to the right, low bands at
    /// the bottom. Each column is the loudest of `frames_per_column` frames. The loudest band of all is brightest,
    /// what lies 75 dB under it is black.
    #[must_use]
    pub fn spectrogram(frames: &[f32], mels: usize, frames_per_column: usize) -> Self {
        let columns: Vec<&[f32]> = frames.chunks(mels.max(1) * frames_per_column.max(1)).collect();
        let top = frames.iter().copied().fold(f32::MIN, f32::max);
        let bottom = top - RANGE_DB * NATS_PER_DB;
        let mut levels = vec![0; columns.len() * mels];
        for (x, column) in columns.iter().enumerate() {
            for mel in 0..mels {
                let loudest = column.iter().skip(mel).step_by(mels).copied().fold(f32::MIN, f32::max);
                let share = ((loudest - bottom) / (top - bottom)).clamp(0.0, 1.0);
                levels[(mels - 1 - mel) * columns.len() + x] = level(share);
            }
        }
        Self { width: columns.len(), height: mels, levels }
    }

    /// A table of shares 0 to 1, `[rows, columns]`, each a square of `side` pixels.
    #[must_use]
    pub fn table(shares: &[f64], columns: usize, side: usize) -> Self {
        let rows = shares.len() / columns.max(1);
        let (width, height) = (columns * side, rows * side);
        #[expect(clippy::cast_possible_truncation, reason = "a share")]
        let levels = (0..height * width)
            .map(|i| level(shares[(i / width / side) * columns + i % width / side] as f32))
            .collect();
        Self { width, height, levels }
    }

    /// The columns from `first` on, at most `count`.
    #[must_use]
    pub fn part(&self, first: usize, count: usize) -> Self {
        let (first, end) = (first.min(self.width), (first + count).min(self.width));
        let rows = self.levels.chunks_exact(self.width.max(1));
        Self {
            width: end - first,
            height: self.height,
            levels: rows.flat_map(|row| &row[first..end]).copied().collect(),
        }
    }

    /// The picture as a GIF file.
    ///
    /// # Errors
    /// Where it has no pixel, or more than 65 535 in a row or column.
    pub fn gif(&self) -> Result<Vec<u8>> {
        let (width, height) = (u16::try_from(self.width)?, u16::try_from(self.height)?);
        ensure!(width > 0 && height > 0, "a picture without a pixel can't be encoded");
        let palette: Vec<u8> = (0..=u8::MAX).flat_map(colour).collect();
        let mut bytes = Vec::new();
        let mut encoder = gif::Encoder::new(&mut bytes, width, height, &palette)?;
        let levels = Cow::Borrowed(self.levels.as_slice());
        encoder.write_frame(&gif::Frame { width, height, buffer: levels, ..gif::Frame::default() })?;
        drop(encoder);
        Ok(bytes)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share times 255 is a byte")]
fn level(share: f32) -> u8 {
    (share.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Red, green and blue of a level: night blue over violet and orange to pale yellow, growing lighter all the way, so
/// that it reads without colours too.
fn colour(level: u8) -> [u8; 3] {
    const STOPS: [[f32; 3]; 6] = [
        [11.0, 12.0, 28.0],
        [48.0, 28.0, 92.0],
        [128.0, 42.0, 118.0],
        [208.0, 74.0, 90.0],
        [246.0, 150.0, 88.0],
        [252.0, 246.0, 200.0],
    ];
    let place = f32::from(level) / 255.0 * (STOPS.len() - 1) as f32;
    let lower = (0..STOPS.len() - 2).rev().find(|&stop| place >= stop as f32).unwrap_or(0);
    let share = place - lower as f32;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two bytes")]
    std::array::from_fn(|i| (STOPS[lower][i] + share * (STOPS[lower + 1][i] - STOPS[lower][i])).round() as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    #[test]
    fn low_bands_lie_at_the_bottom_and_a_column_keeps_its_loudest_frame() {
        // Three frames of two bands: the low band loud in the second, the high band in the third.
        let quiet = -30.0;
        let picture = Picture::spectrogram(&[quiet, quiet, 0.0, quiet, quiet, 0.0], 2, 2);
        assert_eq!((picture.width, picture.height), (2, 2));
        assert_eq!(picture.levels, [0, 255, 255, 0]);
        assert_eq!(picture.part(1, 9).levels, [255, 0]);
    }

    #[test]
    fn a_picture_reads_back() {
        let picture = Picture::table(&[1.0, 0.0, 0.5, 1.0], 2, 3);
        let bytes = picture.gif().unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        let mut reader = options.read_info(bytes.as_slice()).unwrap();
        assert_eq!(reader.global_palette().unwrap()[3 * 255..], colour(255));
        let frame = reader.read_next_frame().unwrap().unwrap();
        assert_eq!((frame.width, frame.height), (6, 6));
        assert_eq!(frame.buffer, picture.levels);
        assert_eq!(frame.buffer[..7], [255, 255, 255, 0, 0, 0, 255]);
        assert!(Picture { width: 0, height: 2, levels: Vec::new() }.gif().is_err());
    }

    #[test]
    fn lighter_means_more() {
        let light = |level| colour(level).map(f32::from).iter().zip([0.3, 0.59, 0.11]).map(|(c, w)| c * w).sum::<f32>();
        assert!((1..=u8::MAX).all(|level| light(level) >= light(level - 1)));
    }
}
