//! The panel. Draws the newest published values; no other thread waits for it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, NativeSize, Size};
use nice_plug::editor::{Editor, HostMethods, ParentWindowHandle, ResizeHint, SpawnedEditor};
use nice_plug::plugin::TrackInfo;
use nice_plug::prelude::ParamSetter;
use nice_plug_egui::{
    EguiEditorHandle, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, baseview,
    create_egui_editor,
};

use crate::instance::{Instance, lock};
use crate::published::AtomicF32;
use crate::standalone;
use crate::state::{EditorSettings, Light, Snapshot};

mod bars;
mod errand;
mod mappings;
mod models;
mod now;
mod osc;
mod presets;
mod scope;
mod settings;
mod sound;
mod status;
mod take;
mod theme;

/// How often the panel is drawn.
const FRAME: Duration = Duration::from_millis(16);
/// How often the framework looks whether somebody else asks for a frame. On X11 nobody has to: a window that comes up is
/// drawn, and each frame asks for the next.
///
/// There the first look must not come before the window is up: baseview 0.4.2 would ask the display for a frame before it
/// listens for the answer (`platform/x11/present.rs`), wait for it without end, and the panel would stay blank.
const POLL: Duration = if cfg!(target_os = "linux") { Duration::from_secs(24 * 60 * 60) } else { FRAME };

/// Where the bars leave so much room, the page of the classes shows the last seconds too.
const LEAST_SCOPE: f32 = 80.0;

/// Opens the panel's window in the size in which the project left it.
pub struct ToccoEditor {
    instance: Arc<Instance>,
    /// The system's scale, as the newest window was told last.
    scale: Arc<AtomicF32>,
}

impl ToccoEditor {
    /// For an instance; no window opens yet.
    #[must_use]
    pub fn new(instance: Arc<Instance>) -> Self {
        let scale = Arc::new(AtomicF32::default());
        scale.set(1.0);
        Self { instance, scale }
    }

    fn remembered(&self) -> EditorSettings {
        self.instance.params.settings.snapshot().settings.editor
    }
}

impl Editor for ToccoEditor {
    type Handle = EguiEditorHandle;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        gui_context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Self::Handle>, Box<dyn Error>> {
        // The framework's window state can't be restored, only made: so it is made anew for each window.
        let EditorSettings { width, height, zoom, .. } = self.remembered();
        let state = EguiEditorState::from_size(Size::Logical(LogicalSize::new(width.into(), height.into())), zoom);
        let settings = EguiNiceSettings::new()
            .with_tile("Tocco")
            .with_resize_hint(self.resize_hint())
            .with_repaint_poll_interval(POLL);
        if let Some(scale) = fallback_scale_factor {
            #[expect(clippy::cast_possible_truncation, reason = "a scale between 1 and 4")]
            self.scale.set(scale as f32);
        }
        let panel = Panel::new(Arc::clone(&self.instance), Arc::clone(&self.scale));
        let editor = create_egui_editor(state, RepaintNotifier::new(), settings, panel).ok_or("no window system")?;
        // The window alone owns the panel: it is dropped when the window closes, which nothing else says.
        editor.spawn(parent, wait_for_parent, fallback_scale_factor, gui_context, host)
    }

    fn size(&self) -> NativeSize<u32> {
        // Not what the framework's window says: that leaves the player's zoom out until the window was resized once.
        let EditorSettings { width, height, zoom, .. } = self.remembered();
        let size = LogicalSize::new(f64::from(width * zoom), f64::from(height * zoom));
        NativeSize::from_size(Size::Logical(size), f64::from(self.scale.get()))
    }

    fn resize_hint(&self) -> ResizeHint {
        let (width, height) = EditorSettings::SMALLEST;
        ResizeHint::resizable().with_min_logical_size(LogicalSize::new(width, height))
    }

    fn track_info_updated(&self, info: TrackInfo) {
        *lock(&self.instance.track) = Some(info.name().to_owned());
    }
}

/// What the lower part shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Classes,
    Model,
    Midi,
    Take,
    Settings,
}

/// One window's state.
pub struct Panel {
    instance: Arc<Instance>,
    /// The system's scale, for the editor.
    scale: Arc<AtomicF32>,
    context: Option<GuiContext>,
    page: Page,
    models: models::Browser,
    mappings: mappings::Page,
    scope: scope::Scope,
    take: take::Page,
    osc: osc::Entry,
    sound: sound::Entry,
    /// The settings as last seen, to copy them only when they change.
    snapshot: Option<Snapshot>,
    /// How the window is lit.
    lit: Light,
    /// What went out lately.
    traffic: status::Traffic,
    /// What is seen to without a host.
    watch: sound::Watch,
}

impl Panel {
    fn new(instance: Arc<Instance>, scale: Arc<AtomicF32>) -> Self {
        Self {
            instance,
            scale,
            context: None,
            page: Page::Classes,
            models: models::Browser::default(),
            mappings: mappings::Page::default(),
            scope: scope::Scope::default(),
            take: take::Page::default(),
            osc: osc::Entry::default(),
            sound: sound::Entry::default(),
            snapshot: None,
            lit: Light::Dark,
            traffic: status::Traffic::default(),
            watch: sound::Watch::default(),
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let settings = &self.instance.params.settings;
        match &self.snapshot {
            Some(snapshot) if snapshot.revision == settings.revision() => snapshot.clone(),
            _ => self.snapshot.insert(settings.snapshot()).clone(),
        }
    }
}

impl NiceEguiApp for Panel {
    fn build(
        &mut self,
        egui: egui::Context,
        context: GuiContext,
        frame: &mut Frame,
    ) -> Result<(), baseview::HandlerError> {
        theme::dress(&egui);
        let lit = self.instance.params.settings.snapshot().settings.editor.light;
        frame.set_clear_color(theme::light(&egui, lit).into());
        self.lit = lit;
        self.context = Some(context);
        self.instance.panels.fetch_add(1, Ordering::Relaxed);
        self.instance.join();
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        let Some(context) = self.context.clone() else { return };
        let setter = context.param_setter();
        let snapshot = self.snapshot();
        let instance = Arc::clone(&self.instance);
        let page_before = self.page;
        self.tell_host(ui, &setter);
        self.watch.look(ui.ctx(), &instance);
        self.scope.listen(ui.ctx(), &instance);
        let lit = snapshot.settings.editor.light;
        if lit != self.lit {
            frame.set_clear_color(theme::light(ui.ctx(), lit).into());
            self.lit = lit;
        }
        let margin = egui::Frame::new().fill(theme::of(ui).background).inner_margin(14);
        egui::Panel::bottom("status").frame(margin).show_separator_line(false).show(ui, |ui| {
            status::show(ui, &instance, &snapshot, &mut self.traffic);
        });
        egui::Panel::top("now").frame(margin).show_separator_line(false).show(ui, |ui| {
            if now::header(ui, &instance, &snapshot) {
                self.page = if self.page == Page::Model { Page::Classes } else { Page::Model };
            }
            now::class(ui, &instance);
            now::meter(ui, &instance, &setter);
            self.pages(ui, &snapshot);
        });
        if page_before == Page::Settings && self.page != Page::Settings {
            self.osc.leave(&instance.params.settings);
        }
        let sides = egui::Margin { left: 14, right: 14, top: 0, bottom: 0 };
        let around = egui::Frame::new().fill(theme::of(ui).background).inner_margin(sides);
        let page = egui::Frame::new().fill(theme::of(ui).surface).corner_radius(8).inner_margin(12);
        egui::CentralPanel::default().frame(around).show(ui, |ui| {
            page.show(ui, |ui| {
                let height = ui.available_height();
                egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| match self.page {
                    Page::Classes => {
                        let room = height - bars::least_height(ui, &instance, ui.available_width());
                        let strip = room.min(0.5 * height);
                        let height = if strip > LEAST_SCOPE { height - strip } else { height };
                        if strip > LEAST_SCOPE {
                            self.scope.show(ui, &instance, strip - 10.0);
                            ui.add_space(4.0);
                        }
                        if let Some(class) = bars::show(ui, &instance, height) {
                            self.mappings.choose(&class);
                            self.page = Page::Midi;
                        }
                    }
                    Page::Model => self.models.show(ui, &instance, &snapshot),
                    Page::Midi => self.mappings.show(ui, &instance, &snapshot, &setter),
                    Page::Take => self.take.show(ui, &instance),
                    Page::Settings => {
                        self.sound.show(ui);
                        settings::show(ui, &instance, &snapshot, &setter, &mut self.osc);
                    }
                });
            });
        });
        ui.ctx().request_repaint_after(FRAME);
    }

    fn resized(&mut self, size: baseview::WindowSize) {
        let editor = self.instance.params.settings.snapshot().settings.editor;
        let zoom = editor.zoom;
        #[expect(clippy::cast_possible_truncation, reason = "a window's scale")]
        self.scale.set(size.scale_factor as f32);
        #[expect(clippy::cast_possible_truncation, reason = "a window's size")]
        let (width, height) = (size.logical.width as f32 / zoom, size.logical.height as f32 / zoom);
        self.instance.params.settings.remember_editor(EditorSettings { width, height, ..editor });
    }

    fn zoom_factor_changed(&mut self, zoom: f32) {
        let editor = self.instance.params.settings.snapshot().settings.editor;
        self.instance.params.settings.remember_editor(EditorSettings { zoom, ..editor });
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        if self.context.is_none() {
            return;
        }
        self.osc.leave(&self.instance.params.settings);
        if self.instance.panels.fetch_sub(1, Ordering::Relaxed) == 1 {
            scope::Scope::close(&self.instance);
        }
        if let Some(standalone) = standalone::current() {
            standalone.keep(&self.instance.params);
            standalone.end_soon();
        }
    }
}

impl Panel {
    /// Changes of the settings mark the project as changed: once a drag has ended, so that each is one step of undo.
    fn tell_host(&self, ui: &egui::Ui, setter: &ParamSetter<'_>) {
        if ui.input(|input| input.pointer.any_down()) {
            return;
        }
        if let Some(revision) = self.instance.params.settings.tell() {
            let param = &self.instance.params.revision;
            setter.begin_set_parameter(param);
            setter.set_parameter(param, revision);
            setter.end_set_parameter(param);
        }
    }

    fn pages(&mut self, ui: &mut egui::Ui, snapshot: &Snapshot) {
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            let pages = [
                (Page::Classes, "Classes"),
                (Page::Model, "Model"),
                (Page::Midi, "MIDI"),
                (Page::Take, "Take"),
                (Page::Settings, "Settings"),
            ];
            for (page, name) in pages {
                ui.selectable_value(&mut self.page, page, egui::RichText::new(name).size(15.0));
            }
            if let Some(next) = self.watch.trouble().or_else(|| now::next_step(&self.instance, snapshot)) {
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    ui.add(egui::Label::new(egui::RichText::new(next).color(theme::of(ui).threshold)).truncate());
                });
            }
        });
    }
}
