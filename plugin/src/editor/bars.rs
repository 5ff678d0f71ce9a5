//! One bar per class, with the threshold from which it counts.

use egui::{Align2, FontId, Rect, RichText, Sense, Ui, pos2, vec2};
use tocco_models::Task;

use super::theme;
use crate::instance::Instance;

const HEIGHT: f32 = 26.0;

/// All classes in the model's order.
pub fn show(ui: &mut Ui, instance: &Instance) {
    let loaded = instance.model.load();
    let Some(loaded) = loaded.as_ref() else {
        ui.label(RichText::new("No model is loaded yet. Choose one on the page «Model».").color(theme::DIM));
        return;
    };
    let card = loaded.model.card();
    let widest = (ui.available_width() * 0.3).min(170.0);
    for (class, name) in card.classes.iter().enumerate() {
        let threshold = match card.task {
            Task::Technique => instance.params.min_confidence.value(),
            Task::Instruments => card.threshold(class),
        };
        bar(ui, widest, name, instance.published.probability(class), threshold, instance.published.holds(class));
    }
}

fn bar(ui: &mut Ui, widest: f32, name: &str, probability: f32, threshold: f32, holds: bool) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    let painter = ui.painter_at(rect);
    let color = if holds { theme::TEXT } else { theme::DIM };
    let label = Rect::from_min_size(rect.min, vec2(widest - 8.0, HEIGHT));
    let marked = if holds { format!("▸ {name}") } else { format!("   {name}") };
    painter.with_clip_rect(label).text(
        label.left_center(),
        Align2::LEFT_CENTER,
        marked,
        FontId::proportional(14.5),
        color,
    );
    let trough = Rect::from_min_max(
        pos2(rect.left() + widest, rect.top() + 5.0),
        pos2(rect.right() - 56.0, rect.bottom() - 5.0),
    );
    painter.rect_filled(trough, 4, theme::TROUGH);
    let filled = Rect::from_min_size(trough.min, vec2(trough.width() * probability.clamp(0.0, 1.0), trough.height()));
    painter.rect_filled(filled, 4, if holds { theme::HOLDS } else { theme::WAITS });
    let at = trough.left() + trough.width() * threshold.clamp(0.0, 1.0);
    painter.vline(at, trough.y_range(), (2.0, theme::THRESHOLD));
    let percent = format!("{:.0} %", 100.0 * probability);
    painter.text(rect.right_center(), Align2::RIGHT_CENTER, percent, FontId::proportional(14.5), color);
}
