//! A page that plays a song while its spectrogram, instruments and techniques move with it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use tocco_models::timeline::Timeline;
use tocco_models::{Card, Frontend, FrontendConfig, NONE, Policy, Resampler};

use crate::audio;
use crate::listen::Ear;
use crate::page;
use crate::picture::Picture;

/// Columns of the spectrogram and hops of a lane at most: more than a screen shows of a whole song, and a few
/// megabytes of the page.
const MOST_COLUMNS: usize = 24_000;
/// Columns of one picture: browsers refuse pictures that are too wide.
const TILE: usize = 4_000;
/// A class whose probability never gets here has no lane of its own, in 255ths.
const HEARD: u8 = 26;
/// The rate of the spectrogram where the model itself has none.
const USUAL_RATE: u32 = 24_000;

/// A finished page.
#[derive(Debug)]
pub struct Page {
    /// The whole file.
    pub html: String,
    /// Bytes of it that are the song.
    pub sound_bytes: usize,
    /// What is wrong with the recording, where its beginning could be heard.
    pub damage: Option<audio::Error>,
}

#[derive(Serialize)]
struct Data {
    duration_s: f64,
    spectrogram: Spectrogram,
    models: Vec<Lanes>,
}

#[derive(Serialize)]
struct Spectrogram {
    columns_per_s: f64,
    /// Left edge of the first column.
    start_s: f64,
    tile_columns: usize,
    tiles: Vec<String>,
    #[serde(skip)]
    low_hz: f32,
    #[serde(skip)]
    high_hz: f32,
}

/// What one model hears over the song.
#[derive(Serialize)]
struct Lanes {
    id: usize,
    #[serde(skip)]
    name: String,
    classes: Vec<String>,
    colours: Vec<String>,
    /// Classes that have a lane.
    shown: Vec<usize>,
    start_s: f64,
    step_s: f64,
    hops: usize,
    /// `[hops, classes]` in 255ths, base64.
    posterior: String,
    /// Class, start, end.
    segments: Vec<(usize, f64, f64)>,
}

/// Makes the page of one song as the models hear it; the first model's frontend draws the spectrogram.
///
/// # Errors
/// The recording can't be read, or recognizing fails.
pub fn page(ears: &[Ear], file: &Path, policy: &Policy, with_none: bool) -> Result<Page> {
    let first = ears.first().context("a page needs a model")?;
    let mut models = Vec::new();
    let mut heard = None;
    for (id, ear) in ears.iter().enumerate() {
        let (lanes, about) = lanes(id, ear, file, policy, with_none)?;
        models.push(lanes);
        heard = Some(about);
    }
    colour(&mut models);
    let heard = heard.context("a page needs a model")?;
    let data = Data { duration_s: heard.duration_s, spectrogram: spectrogram(first.model.card(), file)?, models };
    let sound = match page::media_type(file) {
        Some(kind) => page::data_uri(
            kind,
            &std::fs::read(file).with_context(|| format!("{}: the recording can't be read", file.display()))?,
        ),
        // What browsers can't play goes in as they can.
        None => {
            let (samples, rate) = page::samples(file)?;
            page::data_uri("audio/wav", &page::wav(&samples, rate)?)
        }
    };
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let body = body(&name, &data, &sound)?;
    let html = page::document(&name, include_str!("player/player.css"), &body, include_str!("player/player.js"));
    Ok(Page { html, sound_bytes: sound.len(), damage: heard.damage })
}

fn lanes(id: usize, ear: &Ear, file: &Path, policy: &Policy, with_none: bool) -> Result<(Lanes, crate::listen::Heard)> {
    let card = ear.model.card();
    let mut timeline = Timeline::new(&card.classes, card.none_class().filter(|_| !with_none));
    let mut levels = Vec::new();
    let (mut first, mut last, mut hops) = (None, 0, 0_usize);
    let heard = ear.hear(file, policy, |decision, rate| {
        timeline.push(decision, rate);
        levels.extend(decision.posterior.iter().map(|p| level(*p)));
        first.get_or_insert(decision.about);
        last = decision.about;
        hops += 1;
        Ok(())
    })?;
    timeline.finish(heard.duration_s);
    let rate = f64::from(heard.rate.max(1));
    let first = first.unwrap_or(0) as f64 / rate;
    let step_s = if hops > 1 { (last as f64 / rate - first) / (hops - 1) as f64 } else { heard.duration_s.max(0.01) };
    let together = hops.div_ceil(MOST_COLUMNS).max(1);
    let levels = thinned(&levels, card.classes.len(), together);
    let mut segments: Vec<_> = timeline.closed.drain(..).map(|s| (s.class, s.start_s, s.end_s)).collect();
    segments.sort_by(|a, b| a.1.total_cmp(&b.1));
    let is_shown = |class: &usize| {
        let held = segments.iter().any(|s| s.0 == *class);
        let heard = levels.iter().skip(*class).step_by(card.classes.len()).any(|p| *p >= HEARD);
        held || (heard && (with_none || card.none_class() != Some(*class)))
    };
    let lanes = Lanes {
        id,
        name: card.name.clone(),
        shown: (0..card.classes.len()).filter(is_shown).collect(),
        colours: Vec::new(),
        classes: card.classes.clone(),
        // The middle of the hops that stand together.
        start_s: first + 0.5 * (together - 1) as f64 * step_s,
        step_s: step_s * together as f64,
        hops: levels.len() / card.classes.len(),
        posterior: page::base64(&levels),
        segments,
    };
    Ok((lanes, heard))
}

/// The lanes of all models take turns on the colour wheel; what has no lane is grey.
fn colour(models: &mut [Lanes]) {
    let mut lane = 0;
    for model in models {
        model.colours = vec![page::GREY.to_owned(); model.classes.len()];
        for &class in model.shown.iter().filter(|&&class| model.classes[class] != NONE) {
            model.colours[class] = page::colour(lane);
            lane += 1;
        }
    }
}

/// Each `together` rows of `[hops, classes]` as their mean.
fn thinned(levels: &[u8], classes: usize, together: usize) -> Vec<u8> {
    let mean = |rows: &[u8], class: usize| {
        let (sum, n) =
            rows.iter().skip(class).step_by(classes).fold((0_u32, 0_u32), |(s, n), p| (s + u32::from(*p), n + 1));
        u8::try_from(sum / n.max(1)).unwrap_or(u8::MAX)
    };
    levels.chunks(classes * together).flat_map(|rows| (0..classes).map(move |class| mean(rows, class))).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability times 255 is a byte")]
fn level(probability: f32) -> u8 {
    (probability.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn spectrogram(card: &Card, file: &Path) -> Result<Spectrogram> {
    let (rate, config) = match &card.frontend {
        // Of several resolutions the first one is drawn.
        Some(config) => (card.sample_rate, FrontendConfig { extra_windows: Vec::new(), ..config.clone() }),
        None => (USUAL_RATE, FrontendConfig::default()),
    };
    let (samples, sound_rate) = page::samples(file)?;
    let late_s = Resampler::new(f64::from(sound_rate), f64::from(rate))?.delay_s();
    let mut frontend = Frontend::new(rate, &config, f64::from(sound_rate))?;
    let mut frames = Vec::new();
    frontend.push(&samples, |frame| frames.extend_from_slice(frame));
    let together = (frames.len() / config.mels).div_ceil(MOST_COLUMNS).max(1);
    let picture = Picture::spectrogram(&frames, config.mels, together);
    let tiles = (0..picture.width).step_by(TILE).map(|first| {
        let tile = picture.part(first, TILE).gif()?;
        Ok(page::data_uri("image/gif", &tile))
    });
    let hop_s = config.hop as f64 / f64::from(rate);
    // A frame stands for the hop around the middle of its window.
    let start_s = 0.5 * (hop_s - config.window as f64 / f64::from(rate)) - late_s;
    Ok(Spectrogram {
        columns_per_s: 1.0 / (hop_s * together as f64),
        start_s,
        tile_columns: TILE,
        tiles: tiles.collect::<Result<_>>()?,
        low_hz: config.fmin,
        high_hz: config.fmax,
    })
}

fn body(name: &str, data: &Data, sound: &str) -> Result<String> {
    let (mut now, mut labels) = (String::new(), String::new());
    for model in &data.models {
        let (id, title) = (model.id, page::escape(&model.name));
        write!(
            now,
            "<div class=\"card\"><div class=\"about\">{title}</div>\
             <div class=\"class\" id=\"now-{id}\" aria-live=\"off\">–</div></div>"
        )?;
        let unshown = |(class, name): (usize, &String)| !model.shown.contains(&class) && name != NONE;
        let untold = model.classes.iter().enumerate().filter(|class| unshown(*class)).count();
        let rest = if untold == 0 { String::new() } else { format!("<span>{untold} more not heard</span>") };
        write!(labels, "<div class=\"model\"><span>{title}</span>{rest}</div>")?;
        for class in &model.shown {
            write!(
                labels,
                "<div class=\"lane\" id=\"lane-{id}-{class}\"><i style=\"background:{}\"></i><span>{}</span><b></b></div>",
                model.colours[*class],
                page::escape(&model.classes[*class])
            )?;
        }
    }
    let Spectrogram { low_hz, high_hz, .. } = data.spectrogram;
    let json = page::embedded(&serde_json::to_string(data)?);
    Ok(format!(
        "<main>\n<h1>{}</h1>\n<div class=\"now\">{now}</div>\n\
         <audio id=\"sound\" preload=\"auto\" src=\"{sound}\"></audio>\n\
         <div class=\"bar\"><button id=\"play\" type=\"button\" aria-label=\"play\">▶</button><span id=\"time\"></span>\n\
         <div id=\"overview\" role=\"slider\" tabindex=\"0\" aria-label=\"position\" aria-valuemin=\"0\" \
         aria-valuemax=\"{:.1}\"><canvas></canvas><div id=\"cursor\"></div></div></div>\n\
         <div class=\"score\"><div class=\"labels\">\
         <div class=\"hz\"><span>{:.1} kHz</span><span>{low_hz:.0} Hz</span></div>{labels}</div>\
         <canvas id=\"view\"></canvas></div>\n\
         <p class=\"soft help\"><kbd>space</kbd> plays and stops, <kbd>←</kbd> <kbd>→</kbd> go 2 s back and on (with \
         <kbd>shift</kbd> 0.2 s), <kbd>+</kbd> <kbd>−</kbd> zoom; a click goes there.</p>\n</main>\n\
         <script type=\"application/json\" id=\"data\">{json}</script>",
        page::escape(name),
        data.duration_s,
        high_hz / 1000.0,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_thinned_class_by_class() {
        assert_eq!(thinned(&[10, 200, 30, 100, 7, 9], 2, 2), [20, 150, 7, 9]);
        assert_eq!(thinned(&[10, 200], 2, 1), [10, 200]);
    }
}
