//! `tocco train --segment …`: the windows that are heard, where a network or an encoder hears windows.

use anyhow::{Result, anyhow, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;
use tocco_models::FrontendConfig;

use crate::net::{Hearing, Shape};
use crate::segments::{Padding, Segmentation, Trim};
use crate::train::kind_of;

/// Which windows are heard. Any option but the first cuts them from single recordings instead of scenes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Data")]
pub(in crate::commands) struct SegmentArgs {
    /// Seconds that a network which hears windows, or an encoder, hears at once [default: 0.32]
    #[arg(long)]
    pub(in crate::commands) segment: Option<f32>,
    /// Cut windows from single recordings instead of scenes; so much of a window the next one holds again [default: 0.5]
    #[arg(long)]
    segment_overlap: Option<f32>,
    /// As --segment-overlap; which windows may hold more than the recording does [default: minimal]
    #[arg(long, value_enum)]
    padding: Option<Padding>,
    /// As --segment-overlap; what happens to silence before the first and after the last note [default: keep]
    #[arg(long, value_enum)]
    trim: Option<Trim>,
}

/// Options about scenes of several notes, by their fields: of no meaning where windows are cut from single recordings.
pub(super) const OF_SCENES: [&str; 6] = ["scene_s", "stay", "overlap", "polyphony", "gain_db", "choice"];

impl SegmentArgs {
    /// How windows are cut from single recordings, if they are; `segment_s` is their length.
    ///
    /// # Errors
    /// A value is out of its range.
    pub(in crate::commands) fn segmentation(&self, segment_s: f32) -> Result<Option<Segmentation>> {
        let usual = Segmentation::default();
        let segmentation = Segmentation {
            segment_s,
            overlap: self.segment_overlap.unwrap_or(usual.overlap),
            padding: self.padding.unwrap_or(usual.padding),
            trim: self.trim.unwrap_or(usual.trim),
        };
        segmentation.check().map_err(|reason| anyhow!(reason))?;
        Ok(self.cutting().map(|_| segmentation))
    }

    /// The shape with the window that is asked for, and how its windows are cut from single recordings, if they are.
    ///
    /// # Errors
    /// The network hears scenes, a value is out of its range, or an option about scenes contradicts.
    pub(super) fn hear(
        &self,
        shape: Shape,
        frontend: &FrontendConfig,
        rate: u32,
        matches: &ArgMatches,
    ) -> Result<(Shape, Option<Segmentation>)> {
        let Hearing::Window { frames } = shape.hearing() else {
            if let Some(name) = self.segment.map(|_| "segment").or(self.cutting()) {
                let net = kind_of(&shape).map(|kind| kind.name()).unwrap_or_default();
                bail!(
                    "--{name} belongs to networks that hear windows, and to --encoder: {net} hears whole scenes, whose \
                     length is --scene-s"
                );
            }
            return Ok((shape, None));
        };
        let hop_s = frontend.hop as f32 / rate as f32;
        self.segmentation(self.segment.unwrap_or(frames as f32 * hop_s))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a minute in frames at most")]
        let frames = self.segment.map_or(frames, |seconds| (seconds / hop_s).round() as usize);
        // A whole number of frames, as the network hears them.
        let segmentation = self.segmentation(frames as f32 * hop_s)?;
        if let Some(name) = self.cutting() {
            let given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
            if let Some(other) = OF_SCENES.into_iter().find(given) {
                let other = other.replace('_', "-");
                bail!(
                    "--{other} is about scenes: --{name} cuts windows from single recordings, leave one of them away"
                );
            }
        }
        Ok((shape.with_frames(frames), segmentation))
    }

    /// The option that asks for windows of single recordings.
    fn cutting(&self) -> Option<&'static str> {
        let overlap = self.segment_overlap.map(|_| "segment-overlap");
        overlap.or(self.padding.map(|_| "padding")).or(self.trim.map(|_| "trim"))
    }
}
