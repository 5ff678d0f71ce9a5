//! What comes in and is passed on. Lives on the audio thread: fixed size, never allocates after activation.
//!
//! VST3 has no control changes: the framework shows each of them, 130 on each of 16 channels, as a parameter. Hosts that
//! tell a plugin all its parameters when a project opens (Ardour does) would so have every controller there is moved in
//! whatever is wired behind, volume and «all notes off» among them. So in VST3 a controller is passed on only where its
//! value is another than the last. At first that is what such a parameter says of itself: its default is 0, its value
//! exactly a half, which seven bits can't say.

use nice_plug::prelude::NoteEvent;

/// Controllers, then channel pressure and pitch bend.
const KINDS: usize = 130;
const PRESSURE: usize = 128;
const BEND: usize = 129;
/// What the parameter of a controller says that nobody has moved.
const UNTOUCHED: [f32; 2] = [0.0, 0.5];

/// The last values of all controllers, where they are parameters.
#[derive(Debug)]
pub struct Incoming {
    last: Option<Box<[[f32; KINDS]; 16]>>,
}

impl Incoming {
    /// Where `are_parameters` is false, everything is news.
    #[must_use]
    pub fn new(are_parameters: bool) -> Self {
        Self { last: are_parameters.then(|| Box::new([[f32::NAN; KINDS]; 16])) }
    }

    /// Whether an event says anything new.
    pub fn is_news<S>(&mut self, event: &NoteEvent<S>) -> bool {
        let Some(last) = &mut self.last else { return true };
        let (channel, kind, value) = match *event {
            NoteEvent::MidiCC { channel, cc, value, .. } => (channel, usize::from(cc), value),
            NoteEvent::MidiChannelPressure { channel, pressure, .. } => (channel, PRESSURE, pressure),
            NoteEvent::MidiPitchBend { channel, value, .. } => (channel, BEND, value),
            _ => return true,
        };
        let Some(before) = last.get_mut(usize::from(channel)).and_then(|kinds| kinds.get_mut(kind)) else {
            return true;
        };
        let is_first = before.is_nan();
        let is_news = if is_first { !UNTOUCHED.contains(&value) } else { before.to_bits() != value.to_bits() };
        *before = value;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(channel: u8, cc: u8, value: f32) -> NoteEvent<()> {
        NoteEvent::MidiCC { timing: 0, channel, cc, value }
    }

    #[test]
    fn a_host_that_tells_all_parameters_moves_nothing() {
        let mut incoming = Incoming::new(true);
        for (first_channel, untouched) in [(0, 0.0), (8, 0.5)] {
            let channels = first_channel..first_channel + 8;
            let told = channels.flat_map(|channel| (0..128).map(move |cc| controller(channel, cc, untouched)));
            assert_eq!(told.filter(|event| incoming.is_news(event)).count(), 0);
        }
        // What a player moves is passed on, down to 0 too.
        let moved = [(7, 0.4), (7, 0.4), (7, 0.0), (8, 0.0)].map(|(cc, value)| controller(3, cc, value));
        assert_eq!(moved.map(|event| incoming.is_news(&event)), [true, false, true, false]);
        let bend = NoteEvent::<()>::MidiPitchBend { timing: 0, channel: 3, value: 0.6 };
        assert!(incoming.is_news(&bend) && !incoming.is_news(&bend));
    }

    #[test]
    fn where_controllers_are_messages_each_is_passed_on() {
        let mut incoming = Incoming::new(false);
        assert!([0.0, 0.0].iter().all(|&value| incoming.is_news(&controller(0, 7, value))));
    }
}
