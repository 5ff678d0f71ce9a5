//! Colours and sizes. The accents are Okabe and Ito's, told apart by colour-blind eyes; what they say is always
//! written too.

use egui::{Color32, Context, CornerRadius, FontId, Sense, Stroke, TextStyle, Ui, Visuals};

/// Behind everything.
pub const BACKGROUND: Color32 = Color32::from_rgb(0x12, 0x15, 0x1a);
/// Under the pages.
pub const SURFACE: Color32 = Color32::from_rgb(0x1a, 0x1e, 0x25);
/// Under bars and meters.
pub const TROUGH: Color32 = Color32::from_rgb(0x2a, 0x30, 0x3a);
/// Words to read.
pub const TEXT: Color32 = Color32::from_rgb(0xe8, 0xea, 0xee);
/// Words to glance at.
pub const DIM: Color32 = Color32::from_rgb(0x9a, 0xa3, 0xb0);
/// What holds now.
pub const HOLDS: Color32 = Color32::from_rgb(0x56, 0xb4, 0xe9);
/// `none`, while it holds.
pub const QUIET: Color32 = Color32::from_rgb(0x7d, 0x8c, 0x9d);
/// What does not.
pub const WAITS: Color32 = Color32::from_rgb(0x4b, 0x5a, 0x6b);
/// Thresholds.
pub const THRESHOLD: Color32 = Color32::from_rgb(0xe6, 0x9f, 0x00);
/// The level while the gate is open: dark enough for words on it.
pub const LEVEL: Color32 = Color32::from_rgb(0x1f, 0x7a, 0x5e);
/// Works.
pub const GOOD: Color32 = Color32::from_rgb(0x2b, 0xb3, 0x8a);
/// Does not.
pub const BAD: Color32 = Color32::from_rgb(0xf0, 0x7f, 0x3c);

/// Dresses a new window.
pub fn apply(context: &Context) {
    context.set_theme(egui::Theme::Dark);
    let mut visuals = Visuals::dark();
    visuals.panel_fill = BACKGROUND;
    visuals.window_fill = SURFACE;
    visuals.extreme_bg_color = BACKGROUND;
    visuals.override_text_color = Some(TEXT);
    visuals.selection.bg_fill = Color32::from_rgb(0x23, 0x56, 0x74);
    visuals.selection.stroke = Stroke::new(1.0, TEXT);
    visuals.hyperlink_color = HOLDS;
    for widget in [
        &mut visuals.widgets.noninteractive,
        &mut visuals.widgets.inactive,
        &mut visuals.widgets.hovered,
        &mut visuals.widgets.active,
        &mut visuals.widgets.open,
    ] {
        widget.corner_radius = CornerRadius::same(5);
    }
    visuals.widgets.inactive.weak_bg_fill = TROUGH;
    visuals.widgets.inactive.bg_fill = TROUGH;
    context.set_visuals(visuals);
    context.all_styles_mut(|style| {
        style.text_styles.insert(TextStyle::Body, FontId::proportional(14.5));
        style.text_styles.insert(TextStyle::Button, FontId::proportional(14.5));
        style.text_styles.insert(TextStyle::Small, FontId::proportional(12.0));
        style.spacing.item_spacing = egui::vec2(8.0, 6.0);
        style.spacing.button_padding = egui::vec2(10.0, 5.0);
        style.spacing.slider_width = 180.0;
    });
}

/// A small round light. Painted, since the font has no such sign.
pub fn lamp(ui: &mut Ui, color: Color32) {
    let (rect, _) = ui.allocate_exact_size(egui::vec2(12.0, 16.0), Sense::hover());
    ui.painter().circle_filled(rect.center(), 5.0, color);
}
