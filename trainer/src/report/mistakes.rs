//! The worst mistakes, to be seen and heard: the surest wrong answers and, where any number of classes may sound, those
//! that were missed by most.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use tocco_models::{Card, Frontend, FrontendConfig, Policy, Smoothing, resample_all};

use super::Subject;
use crate::commands::remark;
use crate::listen::Ear;
use crate::page;
use crate::picture::Picture;
use crate::predictions::{Prediction, Predictions};

/// Length of what is heard of a mistake, in seconds.
const LENGTH_S: f64 = 3.0;
/// The rate of what is heard, in Hz.
const RATE: u32 = 24_000;

/// A recording in which a class was heard that is not there, or was not heard though it is.
struct Mistake<'a> {
    row: &'a Prediction,
    /// The class that it is about.
    class: usize,
    /// Whether it was heard.
    heard: bool,
    /// How far beyond its threshold the probability is, from 0 to 1, as far as it could be.
    beyond: f32,
}

impl Mistake<'_> {
    /// What was heard and what is there, in HTML. `there`: the classes that sound.
    fn caption(&self, classes: &[String], there: &[usize]) -> String {
        let percent = 100.0 * self.row.mean[self.class];
        let name = page::escape(&classes[self.class]);
        if !self.heard {
            return format!("<b class=\"good\">{name}</b> is there, heard with {percent:.0} %");
        }
        let names: Vec<&str> = there.iter().map(|c| classes[*c].as_str()).collect();
        let names = if names.is_empty() { tocco_models::NONE.to_owned() } else { names.join(", ") };
        let names = page::escape(&names);
        format!("<b class=\"bad\">{name}</b> heard with {percent:.0} %, <b class=\"good\">{names}</b> is there")
    }
}

pub(super) fn section(body: &mut String, subject: &Subject<'_>, predictions: &Predictions) -> Result<()> {
    let classes = &predictions.classes;
    let mut all: Vec<Mistake<'_>> = predictions.rows.iter().filter_map(worst).collect();
    all.sort_by(|a, b| b.beyond.total_cmp(&a.beyond));
    body.push_str("<h2>The worst mistakes</h2>\n");
    if all.is_empty() {
        body.push_str("<p class=\"soft\">No class was heard where it is not, or missed where it is.</p>\n");
        return Ok(());
    }
    let shown = subject.mistakes.min(all.len());
    writeln!(
        body,
        "<p class=\"soft\">The worst {shown} of {} recordings with wrong answers, each where it is most wrong: what the \
         network sees (time across, pitch up) and, under it, the probability of <span class=\"key bad\">what it \
         heard</span> and of <span class=\"key good\">what is there</span>.{}</p>\n<div class=\"mistakes\">",
        all.len(),
        if subject.audio { "" } else { " The recordings themselves are left out." }
    )?;
    for mistake in &all[..shown] {
        let row = mistake.row;
        let there: Vec<usize> = (0..classes.len()).filter(|c| row.truth[*c] == Some(true)).collect();
        writeln!(
            body,
            "<figure class=\"card\"><figcaption>{}<span class=\"soft file\">{}</span></figcaption>",
            mistake.caption(classes, &there),
            page::escape(&short_name(Path::new(&row.file)))
        )?;
        let (wrong, right) = if mistake.heard { (Some(mistake.class), there) } else { (None, vec![mistake.class]) };
        match Passage::find(subject.ear, Path::new(&row.file), wrong, &right) {
            Ok(passage) => passage.write(body, subject)?,
            Err(error) => {
                remark(format_args!("a mistake can't be shown: {error:#}"));
                body.push_str("<p class=\"soft\">The recording can't be read again.</p>");
            }
        }
        body.push_str("</figure>\n");
    }
    body.push_str("</div>\n");
    Ok(())
}

/// The worst that is wrong about a recording: of the classes that were heard but are not there and, where each has a
/// threshold, of those that are there but were not heard, the one that is furthest beyond it.
fn worst(row: &Prediction) -> Option<Mistake<'_>> {
    let mistakes = (0..row.mean.len()).filter_map(|class| {
        let (mean, threshold) = (row.mean[class], row.thresholds.get(class).copied());
        let heard = row.is_heard(class);
        let beyond = match (row.truth[class]?, heard) {
            (false, true) => threshold.map_or(mean, |limit| (mean - limit) / (1.0 - limit).max(f32::MIN_POSITIVE)),
            // Where one class is told at a time, the other that was heard says it all.
            (true, false) => threshold.map(|limit| (limit - mean) / limit)?,
            _ => return None,
        };
        Some(Mistake { row, class, heard, beyond })
    });
    mistakes.max_by(|a, b| a.beyond.total_cmp(&b.beyond))
}

/// The file and its folder: where the recordings lie is nobody's business.
fn short_name(path: &Path) -> String {
    let names: Vec<String> = path.iter().rev().take(2).map(|n| n.to_string_lossy().into_owned()).collect();
    names.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// A few seconds of a recording.
struct Passage {
    samples: Vec<f32>,
    rate: u32,
    /// Seconds into the passage, probability of what was heard, and of what is there.
    curve: Vec<(f64, f32, f32)>,
}

impl Passage {
    /// The stretch of at most [`LENGTH_S`] in which the wrong class was most probable, or where there is none, those
    /// that are there.
    fn find(ear: &Ear, path: &Path, heard: Option<usize>, there: &[usize]) -> Result<Self> {
        let policy = Policy { gate_dbfs: -120.0, smoothing: Smoothing::MovingAverage { ms: 0.0 }, ..Policy::default() };
        let mut hops = Vec::new();
        ear.hear(path, &policy, |decision, rate| {
            let right = there.iter().map(|c| decision.posterior[*c]).fold(0.0, f32::max);
            let wrong = heard.map_or(0.0, |class| decision.posterior[class]);
            hops.push((decision.about as f64 / f64::from(rate), wrong, right));
            Ok(())
        })?;
        let from_s = most(&hops, if heard.is_some() { |hop| hop.1 } else { |hop| hop.2 });
        let (samples, rate) = page::samples(path)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of samples")]
        let at = |seconds: f64| ((seconds * f64::from(rate)) as usize).min(samples.len());
        let samples = &samples[at(from_s)..at(from_s + LENGTH_S)];
        let curve = hops.iter().map(|(s, wrong, right)| (s - from_s, *wrong, *right));
        Ok(Self {
            samples: resample_all(samples, f64::from(rate), f64::from(RATE))?,
            rate: RATE,
            curve: curve.filter(|(s, ..)| (0.0..=LENGTH_S).contains(s)).collect(),
        })
    }

    fn write(&self, body: &mut String, subject: &Subject<'_>) -> Result<()> {
        let picture = page::data_uri("image/gif", &self.picture(subject.ear.model.card())?.gif()?);
        let length_s = self.samples.len() as f64 / f64::from(self.rate);
        let line = |value: fn(&(f64, f32, f32)) -> f32| -> String {
            let point =
                |hop: &(f64, f32, f32)| format!("{:.1},{:.1}", 300.0 * hop.0 / length_s, 40.0 - 38.0 * value(hop));
            self.curve.iter().map(point).collect::<Vec<_>>().join(" ")
        };
        writeln!(
            body,
            "<div class=\"passage\"><img src=\"{picture}\" alt=\"spectrogram\"><i class=\"head\"></i>\
             <svg viewBox=\"0 0 300 42\" preserveAspectRatio=\"none\"><polyline class=\"good\" points=\"{}\"/>\
             <polyline class=\"bad\" points=\"{}\"/></svg></div>",
            line(|hop| hop.2),
            line(|hop| hop.1)
        )?;
        if subject.audio {
            let sound = page::data_uri("audio/wav", &page::wav(&self.samples, self.rate)?);
            writeln!(body, "<audio controls preload=\"metadata\" src=\"{sound}\"></audio>")?;
        }
        Ok(())
    }

    /// As the model's own frontend sees it.
    fn picture(&self, card: &Card) -> Result<Picture> {
        let (rate, config) = match &card.frontend {
            Some(config) => (card.sample_rate, FrontendConfig { extra_windows: Vec::new(), ..config.clone() }),
            None => (RATE, FrontendConfig::default()),
        };
        let mut frontend = Frontend::new(rate, &config, f64::from(self.rate))?;
        let mut frames = Vec::new();
        frontend.push(&self.samples, |frame| frames.extend_from_slice(frame));
        Ok(Picture::spectrogram(&frames, config.mels, 1))
    }
}

/// Where the [`LENGTH_S`] begin that hold the most of a probability, in seconds. A recording that is shorter is taken from
/// its start.
fn most(hops: &[(f64, f32, f32)], of: fn(&(f64, f32, f32)) -> f32) -> f64 {
    let Some(last) = hops.last() else { return 0.0 };
    let mut best = (0.0, f64::MIN);
    let (mut sum, mut end) = (0.0, 0);
    for (start, hop) in hops.iter().enumerate() {
        while end < hops.len() && hops[end].0 < hop.0 + LENGTH_S {
            sum += f64::from(of(&hops[end]));
            end += 1;
        }
        let first = if start == 0 { 0.0 } else { hop.0 };
        if sum > best.1 && (start == 0 || first + LENGTH_S <= last.0) {
            best = (first, sum);
        }
        sum -= f64::from(of(hop));
    }
    best.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn hops(seconds: usize, wrong: std::ops::Range<usize>) -> Vec<(f64, f32, f32)> {
        (0..10 * seconds).map(|i| (i as f64 / 10.0, f32::from(u8::from(wrong.contains(&i))), 0.0)).collect()
    }

    #[test]
    fn what_is_shown_is_where_it_is_most_wrong() {
        let wrong = |hop: &(f64, f32, f32)| hop.1;
        let from = most(&hops(10, 62..80), wrong);
        assert!(from <= 6.2 && from + LENGTH_S >= 7.9, "{from}");
        assert_eq!(most(&hops(2, 15..20), wrong), 0.0, "a short recording is shown from its start");
        assert_eq!(most(&[], wrong), 0.0);
    }

    #[test]
    fn a_mistake_is_about_a_class_that_is_known() {
        let row = |mean: [f32; 3], truth: [Option<bool>; 3], thresholds: &[f32]| Prediction {
            file: String::new(),
            truth: truth.to_vec(),
            group: String::new(),
            mean: mean.to_vec(),
            hops: vec![0; 3],
            open_hops: 0,
            thresholds: thresholds.to_vec(),
        };
        let told = |row: &Prediction| worst(row).map(|mistake| (mistake.class, mistake.heard));
        let known = [Some(true), Some(false), Some(false)];
        assert_eq!(told(&row([0.6, 0.3, 0.1], known, &[])), None);
        assert_eq!(told(&row([0.2, 0.3, 0.5], known, &[])), Some((2, true)));
        let unknown = [Some(true), None, Some(false)];
        assert_eq!(told(&row([0.4, 0.9, 0.8], unknown, &[0.5; 3])), Some((2, true)));
        assert_eq!(told(&row([0.1, 0.9, 0.6], unknown, &[0.5; 3])), Some((0, false)), "missed by more");
        assert_eq!(told(&row([0.5, 0.9, 0.4], unknown, &[0.5; 3])), None);
    }

    #[test]
    fn no_path_goes_into_the_page() {
        assert_eq!(short_name(Path::new("/home/someone/notes/arco/a2.ogg")), "arco/a2.ogg");
    }
}
