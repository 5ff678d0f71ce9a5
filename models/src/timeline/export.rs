//! Segments as files that other programs read.

use std::fmt::Write as _;

use midly::num::{u4, u7, u15, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

use super::Segment;

/// Ticks of a quarter note, which lasts half a second at the tempo that a MIDI file has unless it says otherwise.
const TICKS: u16 = 480;
const TICKS_A_SECOND: f64 = 2.0 * TICKS as f64;
/// The key of the first class; the others follow upwards.
const FIRST_KEY: usize = 36;

/// What a timeline can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// A label track for Audacity: start, end, class, separated by tabs.
    Audacity,
    /// Regions for Reaper's Region/Marker Manager: `#,Name,Start,End,Length`, with the ruler at minutes and seconds.
    Reaper,
    /// A MIDI file: a note for each segment, C2 for the first class and upwards; velocity is the confidence.
    Midi,
    /// `start_s,end_s,class,confidence`
    Csv,
    /// An array of objects.
    Json,
}

impl Export {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Audacity, Self::Reaper, Self::Midi, Self::Csv, Self::Json];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Audacity => "Audacity labels",
            Self::Reaper => "Reaper regions",
            Self::Midi => "MIDI",
            Self::Csv => "CSV",
            Self::Json => "JSON",
        }
    }

    /// How its files end, after the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Audacity => "labels.txt",
            Self::Reaper => "reaper.csv",
            Self::Midi => "mid",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// The file's content.
    #[must_use]
    pub fn write(self, segments: &[Segment]) -> Vec<u8> {
        match self {
            Self::Audacity => lines("", segments, |text, segment| {
                let Segment { start_s, end_s, name, .. } = segment;
                writeln!(text, "{start_s:.6}\t{end_s:.6}\t{}", name.replace(['\t', '\n'], " "))
            }),
            Self::Reaper => {
                let mut number = 0;
                lines("#,Name,Start,End,Length\n", segments, |text, segment| {
                    number += 1;
                    let [start, end] = [segment.start_s, segment.end_s].map(minutes);
                    let length = minutes(segment.end_s - segment.start_s);
                    writeln!(text, "R{number},{},{start},{end},{length}", quoted(&segment.name))
                })
            }
            Self::Csv => lines("start_s,end_s,class,confidence\n", segments, |text, segment| {
                let Segment { start_s, end_s, name, confidence, .. } = segment;
                writeln!(text, "{start_s:.3},{end_s:.3},{},{confidence:.4}", quoted(name))
            }),
            Self::Json => serde_json::to_vec_pretty(segments).unwrap_or_default(),
            Self::Midi => midi(segments),
        }
    }
}

fn lines(head: &str, segments: &[Segment], mut line: impl FnMut(&mut String, &Segment) -> std::fmt::Result) -> Vec<u8> {
    let mut text = head.to_owned();
    for segment in segments {
        // Writing into a string can't fail.
        let _ = line(&mut text, segment);
    }
    text.into_bytes()
}

/// A field of a CSV file.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into() }
}

/// As Reaper's ruler says it: `1:02.345`.
fn minutes(seconds: f64) -> String {
    // Rounded first, or 59.9997 s would be 0:60.000.
    let seconds = (1000.0 * seconds).round() / 1000.0;
    let whole = (seconds / 60.0).floor();
    format!("{whole:.0}:{:06.3}", seconds - 60.0 * whole)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of a MIDI file")]
fn midi(segments: &[Segment]) -> Vec<u8> {
    let tick = |seconds: f64| (seconds.max(0.0) * TICKS_A_SECOND).round() as u32;
    let mut events = Vec::new();
    for segment in segments {
        let key = u7::new(((FIRST_KEY + segment.class) % 128) as u8);
        let vel = u7::new(((segment.confidence.clamp(0.0, 1.0) * 127.0).round() as u8).max(1));
        let start = tick(segment.start_s);
        let end = tick(segment.end_s).max(start + 1);
        let text = TrackEventKind::Meta(MetaMessage::Text(segment.name.as_bytes()));
        let of = |message| TrackEventKind::Midi { channel: u4::new(0), message };
        events.push((start, 1, text));
        events.push((start, 2, of(MidiMessage::NoteOn { key, vel })));
        // At the same moment ends come first.
        events.push((end, 0, of(MidiMessage::NoteOff { key, vel: u7::new(0) })));
    }
    events.sort_by_key(|&(tick, order, _)| (tick, order));
    let mut before = 0;
    let mut track: Vec<TrackEvent<'_>> = Vec::new();
    for (tick, _, kind) in events {
        track.push(TrackEvent { delta: u28::new(tick - before), kind });
        before = tick;
    }
    track.push(TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(MetaMessage::EndOfTrack) });
    let header = Header::new(Format::SingleTrack, Timing::Metrical(u15::new(TICKS)));
    let mut bytes = Vec::new();
    // Memory takes everything, and the header fits its one track.
    let _ = Smf { header, tracks: vec![track] }.write_std(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> Vec<Segment> {
        let segment =
            |start_s, end_s, class, name: &str| Segment { start_s, end_s, class, name: name.into(), confidence: 0.5 };
        vec![segment(0.5, 61.25, 1, "plucked"), segment(61.25, 62.0, 0, "a, \"b\"")]
    }

    fn text(export: Export) -> String {
        String::from_utf8(export.write(&segments())).unwrap_or_default()
    }

    #[test]
    fn each_program_gets_its_lines() {
        assert_eq!(text(Export::Audacity), "0.500000\t61.250000\tplucked\n61.250000\t62.000000\ta, \"b\"\n");
        let reaper = "#,Name,Start,End,Length\nR1,plucked,0:00.500,1:01.250,1:00.750\n\
                      R2,\"a, \"\"b\"\"\",1:01.250,1:02.000,0:00.750\n";
        assert_eq!(text(Export::Reaper), reaper);
        let csv =
            "start_s,end_s,class,confidence\n0.500,61.250,plucked,0.5000\n61.250,62.000,\"a, \"\"b\"\"\",0.5000\n";
        assert_eq!(text(Export::Csv), csv);
        let json: serde_json::Value = serde_json::from_str(&text(Export::Json)).unwrap_or_default();
        assert_eq!((&json[0]["class"], &json[1]["end_s"]), (&"plucked".into(), &62.0.into()));
    }

    #[test]
    fn seconds_are_rounded_into_the_next_minute() {
        assert_eq!([59.9994, 59.9997, 3599.9996].map(minutes), ["0:59.999", "1:00.000", "60:00.000"]);
    }

    #[test]
    fn a_midi_file_has_a_note_for_each_segment_at_its_time() {
        let bytes = Export::Midi.write(&segments());
        let smf = Smf::parse(&bytes).unwrap_or_else(|error| panic!("{error}"));
        let mut now = 0;
        let mut notes = Vec::new();
        for event in &smf.tracks[0] {
            now += event.delta.as_int();
            if let TrackEventKind::Midi { message, .. } = event.kind {
                notes.push(match message {
                    MidiMessage::NoteOn { key, vel } => (now, key.as_int(), vel.as_int()),
                    MidiMessage::NoteOff { key, .. } => (now, key.as_int(), 0),
                    other => panic!("{other:?}"),
                });
            }
        }
        assert_eq!(notes, [(480, 37, 64), (58_800, 37, 0), (58_800, 36, 64), (59_520, 36, 0)]);
    }

    #[test]
    fn nothing_is_a_file_too() {
        for export in Export::ALL {
            assert!(!export.write(&[]).is_empty() || export == Export::Audacity, "{export:?}");
        }
    }
}
