//! The last seconds: a spectrogram, and under it the decisions as ribbons.

use egui::{
    Align2, Color32, ColorImage, Context, FontId, Rect, Sense, TextureFilter, TextureHandle, TextureOptions, Ui, lerp,
    pos2, vec2,
};
use tocco_models::timeline::Segment;
use tocco_models::{FrontendConfig, LogMel};

use super::theme;
use crate::instance::{Instance, lock};
use crate::take::Sound;

/// What is shown, in seconds.
const SECONDS: f64 = 10.0;
/// Columns a second.
const COLUMNS_A_SECOND: f64 = 100.0;
const COLUMNS: usize = 1000;
const BANDS: usize = 72;
/// Samples that a column looks back on, at 48 kHz.
const WINDOW: usize = 2048;
/// From black to white, in dB over and under full scale.
const LOWEST_DB: f32 = -78.0;
const HIGHEST_DB: f32 = -8.0;
/// The mel power of a full-scale sine, roughly: what the frontend sums over a window.
const FULL_SCALE_DB: f32 = 34.0;

const LANE: f32 = 16.0;
/// More lanes than these are not told apart.
const MOST_LANES: usize = 8;

/// The picture and its place in time.
#[derive(Default)]
pub struct Scope {
    picture: Option<TextureHandle>,
    /// Columns since the picture began.
    columns: u64,
    /// The time after the newest column, in seconds of the take.
    end_s: f64,
    analysis: Option<(f64, LogMel)>,
    /// What holds the picture still, if anything: the spans as they were.
    frozen: Option<Vec<Segment>>,
}

impl Scope {
    /// Takes in what was heard since the last frame.
    pub fn listen(&mut self, context: &Context, instance: &Instance) {
        let mut fresh: Vec<[Color32; BANDS]> = Vec::new();
        let is_frozen = self.frozen.is_some();
        let Self { analysis, end_s, .. } = self;
        let mut take = lock(&instance.take);
        take.watch(true);
        take.take_in(
            |model| instance.classes(model),
            |sound| {
                if !is_frozen {
                    analyse(analysis, sound, &mut fresh);
                    *end_s = sound.start_s + sound.samples.len() as f64 / sound.rate;
                }
            },
        );
        drop(take);
        self.draw(context, &fresh);
    }

    /// The window closes: nobody wants the sound.
    pub fn close(instance: &Instance) {
        lock(&instance.take).watch(false);
    }

    /// Puts columns into the picture, which goes round.
    fn draw(&mut self, context: &Context, fresh: &[[Color32; BANDS]]) {
        let picture = self.picture.get_or_insert_with(|| {
            let options = TextureOptions { minification: TextureFilter::Linear, ..TextureOptions::LINEAR };
            context.load_texture("spectrogram", ColorImage::filled([COLUMNS, BANDS], shade(0.0)), options)
        });
        let fresh = &fresh[fresh.len().saturating_sub(COLUMNS)..];
        for column in fresh {
            // One column after another: few come at once.
            let image = ColorImage::new([1, BANDS], column.iter().rev().copied().collect());
            picture.set_partial([place(self.columns), 0], image, TextureOptions::LINEAR);
            self.columns += 1;
        }
    }

    /// The picture over its ribbons; a click holds it still.
    pub fn show(&mut self, ui: &mut Ui, instance: &Instance, height: f32) {
        let spans = match &self.frozen {
            Some(spans) => spans.clone(),
            None => recent(instance, self.end_s),
        };
        let lanes = lanes(&spans);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
        let split = rect.bottom() - LANE * lanes.len().max(1) as f32 - 4.0;
        self.paint(ui, Rect::from_min_max(rect.min, pos2(rect.right(), split)));
        let area = Rect::from_min_max(pos2(rect.left(), split + 4.0), rect.max);
        self.ribbons(ui, area, &spans, &lanes);
        if self.frozen.is_some() {
            let corner = rect.right_top() + vec2(-8.0, 6.0);
            let font = FontId::proportional(13.0);
            ui.painter().text(corner, Align2::RIGHT_TOP, "held still: click to go on", font, Color32::WHITE);
        }
        let hint = if self.frozen.is_some() { "Click: go on" } else { "The last ten seconds. Click: hold them still" };
        if response.on_hover_text(hint).clicked() {
            self.frozen = if self.frozen.is_some() { None } else { Some(spans) };
        }
    }

    fn paint(&self, ui: &Ui, rect: Rect) {
        let Some(picture) = &self.picture else { return };
        let painter = ui.painter_at(rect);
        // The oldest column stands where the next one will be written.
        let cut = place(self.columns) as f32 / COLUMNS as f32;
        let x = lerp(rect.left()..=rect.right(), 1.0 - cut);
        let piece = |from: f32, to: f32| Rect::from_min_max(pos2(from, 0.0), pos2(to, 1.0));
        let older = Rect::from_min_max(rect.min, pos2(x, rect.bottom()));
        let newer = Rect::from_min_max(pos2(x, rect.top()), rect.max);
        painter.image(picture.id(), older, piece(cut, 1.0), Color32::WHITE);
        painter.image(picture.id(), newer, piece(0.0, cut), Color32::WHITE);
    }

    #[expect(clippy::cast_possible_truncation, reason = "places on a screen")]
    fn ribbons(&self, ui: &Ui, area: Rect, spans: &[Segment], lanes: &[usize]) {
        let painter = ui.painter_at(area);
        painter.rect_filled(area, 3, theme::of(ui).trough);
        let at =
            |time: f64| lerp(area.left()..=area.right(), (1.0 + (time - self.end_s) / SECONDS).clamp(0.0, 1.0) as f32);
        for span in spans {
            let lane = lanes.iter().position(|&class| class == span.class).unwrap_or(0);
            let top = area.top() + lane as f32 * LANE;
            let ribbon = Rect::from_min_max(pos2(at(span.start_s), top), pos2(at(span.end_s), top + LANE - 1.0));
            let color = theme::ribbon(span.class);
            painter.rect_filled(ribbon, 2, color);
            let font = FontId::proportional(11.5);
            let word = painter.layout_no_wrap(span.name.clone(), font, theme::ON_RIBBON);
            if word.size().x + 6.0 < ribbon.width() {
                painter.galley(ribbon.left_center() + vec2(3.0, -0.5 * word.size().y), word, theme::ON_RIBBON);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "under the number of columns")]
fn place(column: u64) -> usize {
    (column % COLUMNS as u64) as usize
}

/// Columns of the sound, one each hundredth of a second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates of sound cards")]
fn analyse(analysis: &mut Option<(f64, LogMel)>, sound: &Sound<'_>, columns: &mut Vec<[Color32; BANDS]>) {
    if analysis.as_ref().is_none_or(|(rate, _)| (rate - sound.rate).abs() > 0.5) {
        let window = ((WINDOW as f64 * sound.rate / 48_000.0) as usize).next_power_of_two();
        let config = FrontendConfig {
            fft_size: 2 * window,
            window,
            hop: (sound.rate / COLUMNS_A_SECOND) as usize,
            mels: BANDS,
            fmin: 60.0,
            fmax: (0.45 * sound.rate as f32).min(14_000.0),
            log_floor: 1e-10,
            extra_windows: Vec::new(),
        };
        // A rate so low that no band fits shows no picture.
        *analysis = LogMel::new(sound.rate as u32, &config).ok().map(|log_mel| (sound.rate, log_mel));
    }
    let Some((_, log_mel)) = analysis else { return };
    for &sample in sound.samples {
        if let Some(frame) = log_mel.push(if sample.is_finite() { sample } else { 0.0 }) {
            columns.push(std::array::from_fn(|band| {
                let db =
                    frame.get(band).map_or(f32::MIN, |power| 10.0 * power / std::f32::consts::LN_10) - FULL_SCALE_DB;
                shade((db - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB))
            }));
        }
    }
}

/// From black over blue and yellow to white: even in lightness, and told apart by colour-blind eyes.
fn shade(share: f32) -> Color32 {
    const STOPS: [[f32; 3]; 5] =
        [[4.0, 8.0, 18.0], [24.0, 58.0, 110.0], [98.0, 112.0, 122.0], [196.0, 172.0, 92.0], [255.0, 240.0, 170.0]];
    let at = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "one of five; NaN becomes 0")]
    let below = (at as usize).min(STOPS.len() - 2);
    let mix = |n: usize| lerp(STOPS[below][n]..=STOPS[below + 1][n], at - below as f32);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let byte = |n: usize| mix(n) as u8;
    Color32::from_rgb(byte(0), byte(1), byte(2))
}

/// The spans that reach into what is shown, the newest last.
fn recent(instance: &Instance, end_s: f64) -> Vec<Segment> {
    let take = lock(&instance.take);
    let ended = take.spans().rev().map(|span| &span.segment);
    let mut spans: Vec<Segment> =
        ended.take_while(|span| span.end_s > end_s - SECONDS - 1.0).take(500).cloned().collect();
    spans.reverse();
    spans.extend(take.lasting());
    spans
}

/// Whether no two classes hold at once: then one lane is enough.
fn is_single(spans: &[Segment]) -> bool {
    spans.iter().zip(spans.iter().skip(1)).all(|(first, then)| then.start_s >= first.end_s - 1e-6)
}

/// The classes that get a lane each, in their order.
fn lanes(spans: &[Segment]) -> Vec<usize> {
    let mut lanes: Vec<usize> = spans.iter().map(|span| span.class).collect();
    lanes.sort_unstable();
    lanes.dedup();
    lanes.truncate(if is_single(spans) { 1 } else { MOST_LANES });
    lanes
}
