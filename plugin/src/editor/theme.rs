//! Colours and type, dark and light. The accents are Okabe and Ito's, told apart by colour-blind eyes; what they say is
//! always written too.

use egui::{Color32, Context, CornerRadius, FontId, Sense, Stroke, TextStyle, Ui, Visuals};

use crate::state::Light;

/// The colours of one light.
#[derive(Debug, PartialEq)]
pub struct Theme {
    /// Behind everything.
    pub background: Color32,
    /// Under the pages.
    pub surface: Color32,
    /// Under bars and meters.
    pub trough: Color32,
    /// Words to read.
    pub text: Color32,
    /// Words to glance at.
    pub dim: Color32,
    /// What holds now.
    pub holds: Color32,
    /// `none`, while it holds.
    pub quiet: Color32,
    /// What does not.
    pub waits: Color32,
    /// Thresholds.
    pub threshold: Color32,
    /// The level while the gate is open: quiet enough for words on it.
    pub level: Color32,
    /// Works.
    pub good: Color32,
    /// Does not.
    pub bad: Color32,
    /// What is chosen.
    pub chosen: Color32,
}

const DARK: Theme = Theme {
    background: Color32::from_rgb(0x12, 0x15, 0x1a),
    surface: Color32::from_rgb(0x1a, 0x1e, 0x25),
    trough: Color32::from_rgb(0x2a, 0x30, 0x3a),
    text: Color32::from_rgb(0xe8, 0xea, 0xee),
    dim: Color32::from_rgb(0x9a, 0xa3, 0xb0),
    holds: Color32::from_rgb(0x56, 0xb4, 0xe9),
    quiet: Color32::from_rgb(0x7d, 0x8c, 0x9d),
    waits: Color32::from_rgb(0x4b, 0x5a, 0x6b),
    threshold: Color32::from_rgb(0xe6, 0x9f, 0x00),
    level: Color32::from_rgb(0x1f, 0x7a, 0x5e),
    good: Color32::from_rgb(0x2b, 0xb3, 0x8a),
    bad: Color32::from_rgb(0xf0, 0x7f, 0x3c),
    chosen: Color32::from_rgb(0x23, 0x56, 0x74),
};

const LIGHT: Theme = Theme {
    background: Color32::from_rgb(0xe9, 0xec, 0xf0),
    surface: Color32::from_rgb(0xf9, 0xfa, 0xfb),
    trough: Color32::from_rgb(0xd5, 0xda, 0xe1),
    text: Color32::from_rgb(0x14, 0x18, 0x1e),
    dim: Color32::from_rgb(0x4f, 0x59, 0x66),
    holds: Color32::from_rgb(0x00, 0x72, 0xb2),
    quiet: Color32::from_rgb(0x7d, 0x8c, 0x9d),
    waits: Color32::from_rgb(0x9a, 0xa6, 0xb4),
    threshold: Color32::from_rgb(0xb8, 0x5c, 0x00),
    level: Color32::from_rgb(0x7f, 0xcf, 0xb5),
    good: Color32::from_rgb(0x00, 0x7d, 0x5a),
    bad: Color32::from_rgb(0xb0, 0x3c, 0x00),
    chosen: Color32::from_rgb(0xb5, 0xd7, 0xec),
};

/// The colours of the classes' ribbons, after Okabe and Ito, in the order of the classes; they come round again, and
/// each ribbon bears its name.
const RIBBONS: [Color32; 7] = [
    Color32::from_rgb(0x56, 0xb4, 0xe9),
    Color32::from_rgb(0xe6, 0x9f, 0x00),
    Color32::from_rgb(0x2b, 0xb3, 0x8a),
    Color32::from_rgb(0xf0, 0xe4, 0x42),
    Color32::from_rgb(0xcc, 0x79, 0xa7),
    Color32::from_rgb(0xe0, 0x70, 0x30),
    Color32::from_rgb(0x5a, 0x8f, 0xd8),
];

/// Words on a ribbon.
pub const ON_RIBBON: Color32 = Color32::from_rgb(0x0c, 0x0e, 0x12);

/// The colours in which this window is drawn.
#[must_use]
pub fn of(ui: &Ui) -> &'static Theme {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

/// The colour of a class's ribbon.
#[must_use]
pub fn ribbon(class: usize) -> Color32 {
    RIBBONS[class % RIBBONS.len()]
}

/// Type and spacing of a new window.
pub fn dress(context: &Context) {
    for (kind, theme) in [(egui::Theme::Dark, &DARK), (egui::Theme::Light, &LIGHT)] {
        context.set_visuals_of(kind, visuals(kind, theme));
    }
    context.all_styles_mut(|style| {
        style.text_styles.insert(TextStyle::Body, FontId::proportional(14.5));
        style.text_styles.insert(TextStyle::Button, FontId::proportional(14.5));
        style.text_styles.insert(TextStyle::Small, FontId::proportional(12.0));
        style.spacing.item_spacing = egui::vec2(8.0, 6.0);
        style.spacing.button_padding = egui::vec2(10.0, 5.0);
        style.spacing.slider_width = 180.0;
    });
}

/// Lights a window; answers with what the window is cleared to.
#[must_use]
pub fn light(context: &Context, light: Light) -> Color32 {
    let (kind, theme) = match light {
        Light::Dark => (egui::Theme::Dark, &DARK),
        Light::Light => (egui::Theme::Light, &LIGHT),
    };
    context.set_theme(kind);
    theme.background
}

fn visuals(kind: egui::Theme, theme: &Theme) -> Visuals {
    let mut visuals = kind.default_visuals();
    visuals.panel_fill = theme.background;
    visuals.window_fill = theme.surface;
    visuals.extreme_bg_color = theme.background;
    visuals.override_text_color = Some(theme.text);
    visuals.selection.bg_fill = theme.chosen;
    visuals.selection.stroke = Stroke::new(1.0, theme.text);
    visuals.hyperlink_color = theme.holds;
    for widget in [
        &mut visuals.widgets.noninteractive,
        &mut visuals.widgets.inactive,
        &mut visuals.widgets.hovered,
        &mut visuals.widgets.active,
        &mut visuals.widgets.open,
    ] {
        widget.corner_radius = CornerRadius::same(5);
    }
    visuals.widgets.inactive.weak_bg_fill = theme.trough;
    visuals.widgets.inactive.bg_fill = theme.trough;
    visuals
}

/// A small round light. Painted, since the font has no such sign.
pub fn lamp(ui: &mut Ui, color: Color32) {
    let (rect, _) = ui.allocate_exact_size(egui::vec2(12.0, 16.0), Sense::hover());
    ui.painter().circle_filled(rect.center(), 5.0, color);
}
