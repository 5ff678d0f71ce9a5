//! Where decisions go: to the panel, to OSC, to MIDI, to the take.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringbuf::HeapProd;
use ringbuf::traits::Producer;
use tocco_models::{ClassSet, Decision, Task};

use super::Report;
use crate::midi::{Due, Message, MidiMap, Moment};
use crate::published::Published;
use crate::take::TakeInput;

/// Where decisions go.
pub(super) struct Outlet {
    pub(super) published: Arc<Published>,
    pub(super) midi: Option<HeapProd<Due>>,
    pub(super) map: MidiMap,
    pub(super) midi_was_on: bool,
    pub(super) reports: HeapProd<Report>,
    pub(super) task: Task,
    pub(super) none: Option<usize>,
    /// The class and the set that were told last.
    pub(super) last: (Option<usize>, ClassSet),
    pub(super) sample_rate: f64,
    pub(super) generation: u32,
    pub(super) take: TakeInput,
}

impl Outlet {
    pub(super) fn silence(&self) -> (Option<usize>, ClassSet) {
        (self.none, self.none.into_iter().collect())
    }

    pub(super) fn decide(&mut self, decision: &Decision<'_>, base: u64) {
        self.published.decide(decision);
        self.tell(decision, base);
        self.take.decided(decision, base + decision.about);
        if self.midi_was_on
            && let Some(midi) = &mut self.midi
        {
            // Known once the sample before `known_at` had been heard.
            let at = (base + decision.known_at).saturating_sub(1);
            let generation = self.generation;
            let send = |message| midi.try_push(Due { at, generation, message }).is_ok();
            let tried = self.published.take_tried();
            self.map.decide(&Moment::new(decision, self.sample_rate), tried, send);
        }
    }

    fn tell(&mut self, decision: &Decision<'_>, base: u64) {
        let class = decision.class.and_then(|class| u8::try_from(class).ok());
        let (last_class, last_active) = self.last;
        if decision.class != last_class {
            let seconds = self.seconds(base + decision.about);
            self.report(Report::Event { class, confidence: decision.confidence, seconds });
        }
        if self.task == Task::Instruments && decision.active != last_active {
            self.report(Report::Active(decision.active));
        }
        self.last = (decision.class, decision.active);
        if let Some(class) = class.filter(|_| decision.gate_open && decision.class != self.none) {
            self.report(Report::Class(class));
        }
    }

    /// Nothing holds any more, and whoever was told otherwise learns it.
    pub(super) fn fall_silent(&mut self, position: u64) {
        self.published.clear();
        let silence = self.silence();
        if self.last.0 != silence.0 {
            let class = silence.0.and_then(|class| u8::try_from(class).ok());
            let seconds = self.seconds(position);
            self.report(Report::Event { class, confidence: 0.0, seconds });
        }
        if self.task == Task::Instruments && self.last.1 != silence.1 {
            self.report(Report::Active(silence.1));
        }
        self.last = silence;
        self.take.silence(position, silence.1);
    }

    #[expect(clippy::cast_possible_truncation, reason = "OSC's f is 32 bits wide")]
    fn seconds(&self, position: u64) -> f32 {
        (position as f64 / self.sample_rate) as f32
    }

    pub(super) fn count_late(&self, windows: u64) {
        self.published.late_windows.fetch_add(windows, Ordering::Relaxed);
    }

    pub(super) fn report(&mut self, report: Report) {
        // A network thread that stands still for 40 seconds misses reports; nobody waits for it.
        let _ = self.reports.try_push(report);
    }

    pub(super) fn send(&mut self, at: u64, message: Message) {
        let generation = self.generation;
        if let Some(midi) = &mut self.midi {
            // The ring has room for 40 hops of everything; should it be full, the audio thread stands still
            // and will reset.
            let _ = midi.try_push(Due { at, generation, message });
        }
    }
}
