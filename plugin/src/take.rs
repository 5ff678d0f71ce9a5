//! What was heard and decided, for eyes: the panel's spectrogram, and the timeline of the take.
//!
//! [`TakeInput`] stays with the recognizer, writes without waiting and allocates nothing. [`Take`] is what the panel and
//! the loader thread share; whoever comes by takes in what is new.
//!
//! Time is that of the sound: from the first activation on, in seconds, and it goes on where the host activates the
//! plugin anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use tocco_models::timeline::{Segment, Timeline};
use tocco_models::{ClassSet, Decision};

mod folder;
mod recording;

pub use folder::Folder;
pub use recording::Recording;

/// Samples that can wait for eyes: more than a second of the fastest rate, so that a panel may be late.
const SOUND_ROOM: usize = 1 << 18;
/// Marks that can wait: ten seconds of decisions, or a tenth of a second of an offline bounce a hundred times as fast.
const MARK_ROOM: usize = 1024;
/// So many classes that hold at once bring their probability along.
const SURE: usize = 8;
/// The longest take, in segments; then the oldest goes.
const MOST_SEGMENTS: usize = 100_000;

/// What the recognizer tells of one moment.
#[derive(Debug, Clone, Copy)]
enum Mark {
    /// Positions count from 0 again, at this rate in Hz, with the sample that is number `index`.
    Start { rate: f64, index: u64 },
    /// Class indices are those of this model, counted by the instance.
    Model(u64),
    /// The sample that is number `index` of all that were handed over has this position.
    Sound { index: u64, position: u64 },
    /// A decision about the sound at this position.
    Decided { at: u64, active: ClassSet, sure: [u8; SURE] },
}

/// The recognizer's end.
pub struct TakeInput {
    sound: HeapProd<f32>,
    marks: HeapProd<Mark>,
    /// Whether anybody wants the sound.
    wanted: Arc<AtomicBool>,
    /// Samples handed over so far.
    index: u64,
    /// The position of the sample that would follow them.
    next: Option<u64>,
}

impl TakeInput {
    /// Positions count from 0 again.
    pub fn start(&mut self, rate: f64) {
        self.next = None;
        self.mark(Mark::Start { rate, index: self.index });
    }

    /// Another model.
    pub fn model(&mut self, number: u64) {
        self.mark(Mark::Model(number));
    }

    /// Sound that begins at `position`. What finds no room is left out.
    pub fn sound(&mut self, samples: &[f32], position: u64) {
        if !self.wanted.load(Ordering::Relaxed) {
            self.next = None;
            return;
        }
        if self.next != Some(position) && !self.mark(Mark::Sound { index: self.index, position }) {
            return;
        }
        let taken = self.sound.push_slice(samples);
        self.index += taken as u64;
        self.next = (taken == samples.len()).then(|| position + taken as u64);
    }

    /// A decision about the sound at position `at`.
    pub fn decided(&mut self, decision: &Decision<'_>, at: u64) {
        let mut sure = [0; SURE];
        for (sure, class) in sure.iter_mut().zip(decision.active.iter()) {
            *sure = to_byte(decision.posterior.get(class).copied().unwrap_or(0.0));
        }
        self.mark(Mark::Decided { at, active: decision.active, sure });
    }

    /// Nothing holds any more.
    pub fn silence(&mut self, at: u64, silence: ClassSet) {
        self.mark(Mark::Decided { at, active: silence, sure: [0; SURE] });
    }

    fn mark(&mut self, mark: Mark) -> bool {
        self.marks.try_push(mark).is_ok()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=255; NaN becomes 0")]
fn to_byte(probability: f32) -> u8 {
    (probability.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// A stretch in which one class held, times in seconds of the take.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What was heard; the player may have given it another class.
    pub segment: Segment,
    /// Whether the player did.
    pub corrected: bool,
}

/// The take so far.
pub struct Take {
    sound: HeapCons<f32>,
    marks: HeapCons<Mark>,
    wanted: Arc<AtomicBool>,
    /// Marks of sound that is still in its ring.
    places: VecDeque<(u64, u64)>,
    /// Samples taken over so far.
    index: u64,
    /// Time of position 0, and the rate.
    origin_s: f64,
    rate: f64,
    /// The newest time that anything was told of.
    now_s: f64,
    /// The classes of the model, and the one that is not told.
    classes: Vec<String>,
    none: Option<usize>,
    timeline: Timeline,
    closed: VecDeque<Span>,
    /// Whether a panel takes in what is new.
    watched: bool,
    recording: Option<Recording>,
}

/// Both ends.
#[must_use]
pub fn take() -> (TakeInput, Take) {
    let (sound, sound_out) = HeapRb::new(SOUND_ROOM).split();
    let (marks, marks_out) = HeapRb::new(MARK_ROOM).split();
    let wanted = Arc::new(AtomicBool::new(false));
    let input = TakeInput { sound, marks, wanted: Arc::clone(&wanted), index: 0, next: None };
    let take = Take {
        sound: sound_out,
        marks: marks_out,
        wanted,
        places: VecDeque::new(),
        index: 0,
        origin_s: 0.0,
        rate: 48_000.0,
        now_s: 0.0,
        classes: Vec::new(),
        none: None,
        timeline: Timeline::new(&[], None),
        closed: VecDeque::new(),
        watched: false,
        recording: None,
    };
    (input, take)
}

/// Sound of the take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sound<'a> {
    /// Time of the first sample, in seconds of the take.
    pub start_s: f64,
    /// In Hz.
    pub rate: f64,
    /// The samples.
    pub samples: &'a [f32],
}

impl Take {
    /// A panel asks for the sound too, or no longer.
    pub fn watch(&mut self, watched: bool) {
        self.watched = watched;
        self.want_sound();
    }

    /// Keeps the sound from now on, or no longer; what was kept goes.
    pub fn record(&mut self, on: bool) {
        self.recording = on.then(Recording::default);
        self.want_sound();
    }

    /// The sound that is kept.
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    /// The sound costs the recognizer's thread a copy: only where somebody wants it.
    fn want_sound(&mut self) {
        let wanted = self.watched || self.recording.is_some();
        if self.wanted.swap(wanted, Ordering::Relaxed) != wanted && !wanted {
            self.index += self.sound.clear() as u64;
            self.places.clear();
        }
    }

    /// Takes in what is new where no panel does, or one that stands still.
    pub fn tend(&mut self, names: impl Fn(u64) -> Option<(Vec<String>, Option<usize>)>) {
        let (marks, sound) = (self.marks.occupied_len(), self.sound.occupied_len());
        let is_tended = self.watched && marks < MARK_ROOM / 2 && sound < SOUND_ROOM / 2;
        if !is_tended {
            self.take_in(names, |_| ());
        }
    }

    /// Takes in what is new. `names` answers with the classes of a model by its number and the index of `none`; sound
    /// goes to `hear`.
    pub fn take_in(
        &mut self,
        names: impl Fn(u64) -> Option<(Vec<String>, Option<usize>)>,
        mut hear: impl FnMut(&Sound<'_>),
    ) {
        while let Some(mark) = self.marks.try_pop() {
            match mark {
                Mark::Start { rate, index } => {
                    self.take_sound(index, &mut hear);
                    self.places.clear();
                    self.end_all();
                    (self.origin_s, self.rate) = (self.now_s, rate);
                }
                Mark::Model(number) => {
                    self.end_all();
                    (self.classes, self.none) = names(number).unwrap_or_default();
                    self.timeline = Timeline::new(&self.classes, self.none);
                }
                Mark::Sound { index, position } => {
                    self.take_sound(index, &mut hear);
                    self.places.push_back((index, position));
                }
                Mark::Decided { at, active, sure } => self.decide(self.time(at), active, &sure),
            }
        }
        self.take_sound(u64::MAX, &mut hear);
    }

    /// The spans that ended, oldest first.
    pub fn spans(&self) -> impl DoubleEndedIterator<Item = &Span> {
        self.closed.iter()
    }

    /// What lasts, as if it ended now.
    pub fn lasting(&self) -> impl Iterator<Item = Segment> {
        self.timeline.lasting(self.now_s)
    }

    /// The newest time that a decision or sound was of, in seconds of the take.
    #[must_use]
    pub fn now_s(&self) -> f64 {
        self.now_s
    }

    /// Gives the span that ended as number `index` another name, of one of the classes; one that is none is gone.
    pub fn correct(&mut self, index: usize, class: usize) {
        if Some(class) == self.none {
            self.closed.remove(index);
        } else if let (Some(span), Some(name)) = (self.closed.get_mut(index), self.classes.get(class)) {
            span.segment.class = class;
            span.segment.name.clone_from(name);
            span.corrected = true;
        }
    }

    /// The names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Forgets what ended, and the sound.
    pub fn clear(&mut self) {
        self.closed.clear();
        if let Some(recording) = &mut self.recording {
            *recording = Recording::default();
        }
        self.timeline.clear();
    }

    fn time(&self, position: u64) -> f64 {
        self.origin_s + position as f64 / self.rate
    }

    /// Hands on the samples before number `until`.
    fn take_sound(&mut self, until: u64, hear: &mut impl FnMut(&Sound<'_>)) {
        let mut samples = [0.0; 1024];
        loop {
            while self.places.get(1).is_some_and(|&(index, _)| index <= self.index) {
                self.places.pop_front();
            }
            let end = self.places.get(1).map_or(until, |&(index, _)| index.min(until));
            let room = usize::try_from(end.saturating_sub(self.index)).unwrap_or(usize::MAX).min(samples.len());
            let taken = self.sound.pop_slice(&mut samples[..room]);
            if taken == 0 {
                return;
            }
            if let Some(&(index, position)) = self.places.front().filter(|(index, _)| *index <= self.index) {
                let start_s = self.time(position + (self.index - index));
                let sound = Sound { start_s, rate: self.rate, samples: &samples[..taken] };
                hear(&sound);
                if let Some(recording) = &mut self.recording {
                    recording.add(&sound);
                }
                self.now_s = self.now_s.max(start_s + taken as f64 / self.rate);
            }
            self.index += taken as u64;
        }
    }

    fn decide(&mut self, now_s: f64, active: ClassSet, sure: &[u8; SURE]) {
        self.now_s = self.now_s.max(now_s);
        let probability = |class| {
            let place = active.iter().position(|other| other == class);
            place.and_then(|place| sure.get(place)).map_or(0.0, |&sure| f32::from(sure) / 255.0)
        };
        self.timeline.hear(now_s, active, probability);
        self.keep_closed();
    }

    fn end_all(&mut self) {
        self.timeline.finish(self.now_s);
        self.keep_closed();
    }

    fn keep_closed(&mut self) {
        self.closed.extend(self.timeline.closed.drain(..).map(|segment| Span { segment, corrected: false }));
        while self.closed.len() > MOST_SEGMENTS {
            self.closed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
