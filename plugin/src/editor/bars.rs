//! One bar per class, with the threshold from which it counts.

use egui::{Align2, FontId, Rect, RichText, Sense, Ui, pos2, vec2};
use tocco_models::{NONE, Task};

use super::theme;
use crate::instance::Instance;

/// Heights of a row: few classes are drawn large, many still fit.
const LOWEST: f32 = 24.0;
const HIGHEST: f32 = 46.0;

/// The gap between two columns.
const GUTTER: f32 = 24.0;
/// A column narrower than this can't be read.
const NARROWEST: f32 = 250.0;

/// All classes in the model's order, in two columns where one is not enough for `height`; answers with the class that
/// was clicked.
pub fn show(ui: &mut Ui, instance: &Instance, height: f32) -> Option<String> {
    let loaded = instance.model.load();
    let Some(loaded) = loaded.as_ref() else {
        ui.label(RichText::new("No model is loaded yet. Choose one on the page «Model».").color(theme::of(ui).dim));
        return None;
    };
    let card = loaded.model.card();
    let gap = ui.spacing().item_spacing.y;
    let classes = card.classes.len().max(1);
    let is_tall = classes as f32 * (LOWEST + gap) > height;
    let columns = if is_tall && ui.available_width() >= 2.0 * NARROWEST + GUTTER { 2 } else { 1 };
    let rows = classes.div_ceil(columns);
    let row_height = (height / rows as f32 - gap).clamp(LOWEST, HIGHEST);
    let width = (ui.available_width() - (columns - 1) as f32 * GUTTER) / columns as f32;
    let (area, _) =
        ui.allocate_exact_size(vec2(ui.available_width(), rows as f32 * (row_height + gap)), Sense::hover());
    let mut clicked = None;
    for (class, name) in card.classes.iter().enumerate() {
        let threshold = match card.task {
            Task::Technique => instance.params.min_confidence.value(),
            Task::Instruments => card.threshold(class),
        };
        let row = Row {
            name,
            probability: instance.published.probability(class),
            threshold,
            holds: instance.published.holds(class),
        };
        let place = vec2((class / rows) as f32 * (width + GUTTER), (class % rows) as f32 * (row_height + gap));
        let rect = Rect::from_min_size(area.min + place, vec2(width, row_height));
        let response = ui.interact(rect, ui.scope_id().with(("bar", class)), Sense::click());
        if response.hovered() {
            ui.painter().rect_filled(rect, 4, theme::of(ui).trough.gamma_multiply(0.4));
        }
        bar(ui, rect, &row);
        if response.on_hover_text("Click: what it sends by MIDI").clicked() {
            clicked = Some(name.clone());
        }
    }
    clicked
}

/// The height in which all classes fit into `width`.
pub fn least_height(ui: &Ui, instance: &Instance, width: f32) -> f32 {
    let classes = instance.model.load().as_ref().map_or(0, |loaded| loaded.model.card().classes.len());
    let columns = if width >= 2.0 * NARROWEST + GUTTER { 2 } else { 1 };
    classes.div_ceil(columns) as f32 * (LOWEST + ui.spacing().item_spacing.y)
}

struct Row<'a> {
    name: &'a str,
    probability: f32,
    threshold: f32,
    holds: bool,
}

fn bar(ui: &Ui, rect: Rect, row: &Row<'_>) {
    let height = rect.height();
    let widest = (rect.width() * 0.36).min(170.0);
    let painter = ui.painter_at(rect);
    let font = FontId::proportional((height * 0.5).clamp(14.0, 18.0));
    // `none` is the absence of news: it never shines.
    let (words, fill) = match row.holds {
        true if row.name == NONE => (theme::of(ui).text, theme::of(ui).quiet),
        true => (theme::of(ui).text, theme::of(ui).holds),
        false => (theme::of(ui).dim, theme::of(ui).waits),
    };
    if row.holds {
        painter.rect_filled(Rect::from_min_size(rect.min, vec2(4.0, height)), 2, fill);
    }
    let label = Rect::from_min_size(rect.min + vec2(14.0, 0.0), vec2(widest - 22.0, height));
    painter.with_clip_rect(label).text(label.left_center(), Align2::LEFT_CENTER, row.name, font.clone(), words);
    let inset = height * 0.2;
    let trough = Rect::from_min_max(
        pos2(rect.left() + widest, rect.top() + inset),
        pos2(rect.right() - 64.0, rect.bottom() - inset),
    );
    painter.rect_filled(trough, 4, theme::of(ui).trough);
    let width = trough.width() * row.probability.clamp(0.0, 1.0);
    painter.rect_filled(Rect::from_min_size(trough.min, vec2(width, trough.height())), 4, fill);
    let at = trough.left() + trough.width() * row.threshold.clamp(0.0, 1.0);
    painter.vline(at, trough.y_range(), (2.0, theme::of(ui).threshold));
    let percent = format!("{:.0} %", 100.0 * row.probability);
    painter.text(rect.right_center(), Align2::RIGHT_CENTER, percent, font, words);
}
