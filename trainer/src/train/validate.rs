//! Whole recordings through the network, as they are: which weights are best, how sure to be, how good it is.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use tocco_models::LogMel;

use super::corpus::Corpus;
use super::run::{Figures, Run, Settings};
use crate::augment::Clip;
use crate::metrics::{self, Logits, RecordingScore, Rule};
use crate::net::{Hearing, Net, values};
use crate::segments::{Segment, Segmentation};

/// Frames of a recording that are heard at most.
const LONGEST_FRAMES: usize = 800;
/// Recordings in one pass.
const TOGETHER: usize = 16;
/// Windows of a recording that a network which hears windows answers to.
const MOST_WINDOWS: usize = 4;
/// Windows in one pass.
const WINDOWS_TOGETHER: usize = 32;

/// Validates on the recordings that are there for it.
pub(super) fn files(net: &Net, settings: &Settings, corpus: &Corpus, device: &Device) -> Result<RecordingScore> {
    let heard = hear(net, settings, &corpus.val, device)?;
    Ok(RecordingScore::of(rule(settings, corpus), &heard, &settings.classes))
}

fn rule(settings: &Settings, corpus: &Corpus) -> Rule {
    let judged = corpus.val.iter().chain(&corpus.test);
    Rule::of(settings.options.task, settings.classes.len(), judged.map(|clip| (clip.classes, clip.known)))
}

/// Temperature and figures of the run's best weights.
pub(super) fn final_figures(run: &Run, corpus: &Corpus, device: &Device) -> Result<Figures> {
    let (settings, rule) = (&run.settings, rule(&run.settings, corpus));
    let net = run.best(device)?;
    let heard = hear(&net, settings, &corpus.val, device)?;
    let mut metrics = BTreeMap::new();
    RecordingScore::of(rule, &heard, &settings.classes).note("val", &mut metrics);
    if !corpus.test.is_empty() {
        let heard = hear(&net, settings, &corpus.test, device)?;
        RecordingScore::of(rule, &heard, &settings.classes).note("test", &mut metrics);
    }
    let temperature = metrics::temperature(settings.options.task, &heard, &metrics::TEMPERATURES);
    Ok(Figures { temperature, metrics })
}

/// Each recording's logits over its sounding frames, and what sounds in it as far as somebody said.
fn hear(net: &Net, settings: &Settings, clips: &[Clip], device: &Device) -> Result<Vec<Logits>> {
    let mut order: Vec<&Clip> = clips.iter().collect();
    // Equal lengths go together, so that little is padded.
    order.sort_by_key(|clip| clip.samples.len());
    let mut heard = Vec::with_capacity(clips.len());
    for group in order.chunks(TOGETHER) {
        let logits = match settings.options.shape.hearing() {
            Hearing::Stream => {
                let frames: Vec<Vec<f32>> =
                    group.par_iter().map(|clip| features(clip, settings)).collect::<Result<_>>()?;
                sequences(net, settings, group, &frames, device)
            }
            Hearing::Window { frames } => windows(net, settings, group, frames, device)?,
        };
        let classes = settings.classes.len();
        let told = |(clip, values): (&&Clip, _)| Logits::new(values, (clip.classes, clip.known), classes);
        heard.extend(group.iter().zip(logits).map(told));
    }
    Ok(heard)
}

/// The frames at which a recording sounds; all, where it never does.
fn sounding(clip: &Clip, settings: &Settings, count: usize) -> Vec<usize> {
    let sounding: Vec<usize> = (0..count).filter(|&frame| clip.sounds(frame, &settings.options.frontend)).collect();
    if sounding.is_empty() { (0..count).collect() } else { sounding }
}

/// Logits of each recording at its sounding frames, from one pass over them all.
fn sequences(net: &Net, settings: &Settings, group: &[&Clip], frames: &[Vec<f32>], device: &Device) -> Vec<Vec<f32>> {
    let (classes, size) = (settings.classes.len(), settings.options.frontend.frame_size());
    let time = frames.iter().map(|f| f.len() / size).max().unwrap_or(0);
    let mut input = vec![0.0; group.len() * time * size];
    for (row, frames) in input.chunks_exact_mut((time * size).max(1)).zip(frames) {
        row[..frames.len()].copy_from_slice(frames);
    }
    let input = Tensor::<3>::from_data(TensorData::new(input, [group.len(), time, size]), device);
    let logits = values(&net.forward(input));
    let of_each = logits.chunks_exact((time * classes).max(1));
    let recordings = group.iter().zip(frames).zip(of_each);
    recordings
        .map(|((clip, frames), logits)| {
            let frames = sounding(clip, settings, frames.len() / size).into_iter();
            frames.flat_map(|frame| logits[frame * classes..(frame + 1) * classes].iter().copied()).collect()
        })
        .collect()
}

/// Logits of each recording for its windows.
fn windows(net: &Net, settings: &Settings, group: &[&Clip], length: usize, device: &Device) -> Result<Vec<Vec<f32>>> {
    let (classes, numbers) = (settings.classes.len(), length * settings.options.frontend.frame_size());
    let heard: Vec<Vec<f32>> = (group.par_iter())
        .map(|clip| match &settings.options.segments {
            None => Ok(sounding_windows(clip, settings, length, &features(clip, settings)?)),
            Some(cut) => cut_windows(clip, settings, length, cut),
        })
        .collect::<Result<_>>()?;
    let logits: Vec<f32> = heard
        .concat()
        .chunks(WINDOWS_TOGETHER * numbers)
        .flat_map(|some| {
            let shape = [some.len() / numbers, length, numbers / length];
            values(&net.forward(Tensor::<3>::from_data(TensorData::new(some.to_vec(), shape), device)))
        })
        .collect();
    let mut rest = logits.as_slice();
    let of_each = heard.iter().map(|windows| {
        let (mine, others) = rest.split_at(windows.len() / numbers * classes);
        rest = others;
        mine.to_vec()
    });
    Ok(of_each.collect())
}

/// Windows that end at sounding frames of a recording, at most [`MOST_WINDOWS`] of them, evenly spread.
fn sounding_windows(clip: &Clip, settings: &Settings, length: usize, frames: &[f32]) -> Vec<f32> {
    let size = settings.options.frontend.frame_size();
    let ends = sounding(clip, settings, frames.len() / size);
    let mut windows = Vec::new();
    for end in spread(&ends).map(|last| last + 1) {
        // Before the recording there is silence.
        (0..length.saturating_sub(end)).for_each(|_| windows.extend(settings.silence()));
        windows.extend_from_slice(&frames[end.saturating_sub(length) * size..end * size]);
    }
    windows
}

/// Windows of a recording as training cuts them, of those that count for its classes.
fn cut_windows(clip: &Clip, settings: &Settings, length: usize, cut: &Segmentation) -> Result<Vec<f32>> {
    let (frontend, rate) = (&settings.options.frontend, settings.options.sample_rate);
    let segments: Vec<Segment> = cut.sounding(clip, rate).collect();
    // The first frame looks back by an analysis window.
    let before = frontend.window.div_ceil(frontend.hop);
    let mut windows = Vec::new();
    for segment in spread(&segments) {
        let start = segment.start - i64::try_from(before * frontend.hop)?;
        let mut log_mel = LogMel::new(rate, frontend)?;
        let mut frames = Vec::new();
        let sound = (Segment { start, ..segment }).samples(clip, 0);
        log_mel.push_all(&sound, |frame| frames.extend_from_slice(frame));
        windows.extend_from_slice(&frames[frames.len() - length * frontend.frame_size()..]);
    }
    settings.normalise(&mut windows);
    Ok(windows)
}

/// At most [`MOST_WINDOWS`], evenly spread; the last is among them.
fn spread<T: Copy>(all: &[T]) -> impl Iterator<Item = T> {
    let chosen = all.len().min(MOST_WINDOWS);
    (0..chosen).map(move |i| all[(i + 1) * all.len() / chosen - 1])
}

/// Normalised frames of a recording as it is.
fn features(clip: &Clip, settings: &Settings) -> Result<Vec<f32>> {
    let frontend = &settings.options.frontend;
    let mut log_mel = LogMel::new(settings.options.sample_rate, frontend)?;
    let mut frames = Vec::new();
    let heard = clip.samples.len().min(LONGEST_FRAMES * frontend.hop);
    log_mel.push_all(&clip.samples[..heard], |frame| frames.extend_from_slice(frame));
    settings.normalise(&mut frames);
    Ok(frames)
}
