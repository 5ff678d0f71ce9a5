//! What the host was given and still holds. Lives on the audio thread: fixed size, never allocates.

use super::Message;

/// Held notes and open gates, one bit each for 16 channels of 128 numbers.
#[derive(Debug, Clone, Default)]
pub struct Sounding {
    notes: [u128; 16],
    gates: [u128; 16],
}

impl Sounding {
    /// Whether sending the message would change anything: an end of what does not sound would not.
    #[must_use]
    pub fn changes(&self, message: Message) -> bool {
        match message {
            Message::Note { channel, key, velocity } => {
                (self.notes[usize::from(channel & 15)] >> (key & 127) & 1 == 1) != (velocity > 0)
            }
            Message::Gate { channel, number, on } => {
                (self.gates[usize::from(channel & 15)] >> (number & 127) & 1 == 1) != on
            }
            Message::Controller { .. } | Message::Program { .. } | Message::Release => true,
        }
    }

    /// Notes down what the host took.
    pub fn note_down(&mut self, message: Message) {
        let (held, number, on) = match message {
            Message::Note { channel, key, velocity } => (&mut self.notes[usize::from(channel & 15)], key, velocity > 0),
            Message::Gate { channel, number, on } => (&mut self.gates[usize::from(channel & 15)], number, on),
            Message::Controller { .. } | Message::Program { .. } | Message::Release => return,
        };
        let bit = 1_u128 << (number & 127);
        *held = if on { *held | bit } else { *held & !bit };
    }

    /// Whether anything is held.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.notes.iter().chain(&self.gates).all(|&held| held == 0)
    }

    /// Ends everything that is held: a note-off for each note, a 0 for each gate. `send` answers whether the
    /// host took the message; what it did not take stays held.
    pub fn release(&mut self, mut send: impl FnMut(Message) -> bool) {
        for (channel, held) in (0_u8..).zip(&mut self.notes) {
            for_each_bit(held, |key| send(Message::Note { channel, key, velocity: 0 }));
        }
        for (channel, held) in (0_u8..).zip(&mut self.gates) {
            for_each_bit(held, |number| send(Message::Gate { channel, number, on: false }));
        }
    }
}

/// Calls for each bit that is set, lowest first, and clears those for which the answer is true.
fn for_each_bit(held: &mut u128, mut sent: impl FnMut(u8) -> bool) {
    for number in 0..128_u8 {
        let bit = 1_u128 << number;
        if *held & bit != 0 && sent(number) {
            *held &= !bit;
        }
    }
}
