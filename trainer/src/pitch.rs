//! Note names in file names: `Cs3`, `c#3`, `db3` and `C#3` are one pitch.

use std::fmt;

/// A pitch as a MIDI note number (69 is a4, octaves as scientific pitch notation counts them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pitch(pub u8);

impl Pitch {
    /// Reads a whole note name: a letter, `s` or `#` (sharp) or `b` (flat) or nothing, an octave from 0 to 9.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut letters = name.chars();
        let step = match letters.next()?.to_ascii_lowercase() {
            'c' => 0,
            'd' => 2,
            'e' => 4,
            'f' => 5,
            'g' => 7,
            'a' => 9,
            'b' => 11,
            _ => return None,
        };
        let rest = letters.as_str();
        let (alteration, octave) = match rest.strip_prefix(['s', '#']) {
            Some(rest) => (1, rest),
            None => rest.strip_prefix('b').map_or((0, rest), |rest| (-1, rest)),
        };
        let octave: i32 = octave.parse().ok().filter(|o| (0..=9).contains(o) && octave.len() == 1)?;
        u8::try_from(12 * (octave + 1) + step + alteration).ok().map(Self)
    }

    /// The first note name among the words of a file name; words end at `_`, `-`, `.`, and spaces.
    #[must_use]
    pub fn in_file_name(name: &str) -> Option<Self> {
        name.split(['_', '-', '.', ' ']).find_map(Self::parse)
    }
}

impl fmt::Display for Pitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 12] = ["c", "c#", "d", "d#", "e", "f", "f#", "g", "g#", "a", "a#", "b"];
        write!(f, "{}{}", NAMES[usize::from(self.0 % 12)], i32::from(self.0 / 12) - 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    #[test]
    fn names_of_one_pitch_are_one() {
        for name in ["Cs3", "c#3", "db3", "C#3", "Db3"] {
            assert_eq!(Pitch::parse(name).unwrap().to_string(), "c#3", "{name}");
        }
        assert_eq!(Pitch::parse("a4"), Some(Pitch(69)));
        assert_eq!(Pitch::parse("bb1"), Pitch::parse("As1"));
        assert_eq!(Pitch::parse("b1").unwrap().to_string(), "b1");
        for name in ["", "h3", "a", "a10", "rr1", "f", "as", "a-1", "note"] {
            assert_eq!(Pitch::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_note_stands_among_other_words() {
        assert_eq!(Pitch::in_file_name("flute_A4_1_forte_normal.mp3"), Some(Pitch(69)));
        assert_eq!(Pitch::in_file_name("My bass-eb2 take 3.wav"), Pitch::parse("d#2"));
        assert_eq!(Pitch::in_file_name("breath_osc_1.ogg"), None);
    }
}
