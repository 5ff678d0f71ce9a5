//! The settings as threads share them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nice_plug::params::persist::PersistentField;

use super::history::History;
use super::{EditorSettings, Settings};

/// Settings that the host restores, the panel changes and the other threads watch. The audio thread never
/// comes here.
#[derive(Debug, Default)]
pub struct SharedSettings {
    inner: Mutex<Held>,
    /// Moves with every change, so that watching costs one atomic read.
    revision: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    settings: Settings,
    restored: bool,
    history: History,
}

/// The settings at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Them.
    pub settings: Settings,
    /// Whether they came from the project rather than from the panel.
    pub restored: bool,
    /// When: equal numbers mean equal settings.
    pub revision: u64,
}

impl SharedSettings {
    /// Moves with every change.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// A copy.
    pub fn snapshot(&self) -> Snapshot {
        let held = self.lock();
        Snapshot { settings: held.settings.clone(), restored: held.restored, revision: self.revision() }
    }

    /// Changes them from the panel.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut held = self.lock();
        let Held { settings, restored, history } = &mut *held;
        history.before_change(settings);
        change(settings);
        *restored = false;
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// The revision to tell the host after changes on the panel: hosts keep parameters, not settings, in their undo.
    pub fn tell(&self) -> Option<i32> {
        let mut held = self.lock();
        let Held { settings, history, .. } = &mut *held;
        history.tell(settings)
    }

    /// The host set the revision to `value`: where that is an undo, the settings go back with it.
    pub fn follow(&self, value: i32) {
        let mut held = self.lock();
        let Held { settings, restored, history } = &mut *held;
        if let Some(past) = history.follow(value) {
            let editor = settings.editor;
            settings.clone_from(past);
            // Nobody means the window by an undo.
            settings.editor = editor;
            *restored = false;
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Remembers the window, which nobody but the project needs to know.
    pub fn remember_editor(&self, editor: EditorSettings) {
        if editor.is_valid() {
            self.lock().settings.editor = editor;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // A panic while the lock was held leaves settings that are whole: they are plain values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PersistentField<'_, Settings> for SharedSettings {
    fn set(&self, settings: Settings) {
        let mut held = self.lock();
        held.settings = settings;
        held.restored = true;
        held.history.restart();
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&Settings) -> R,
    {
        f(&self.lock().settings)
    }
}
