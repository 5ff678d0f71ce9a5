//! What the models learn to keep quiet at, beside speech: handling, rooms and streets by ffmpeg, instruments that are none of
//! the classes by fluidsynth.
//!
//! Each kind of noise is an expression whose numbers are drawn for each file. None of them is one of the expressions that
//! [`super::negatives`] measures with, the sound font is another, and bowed strings, pianos and voices are left to the
//! measurement.

use std::path::Path;

use anyhow::{Context, Result};

use super::negatives::{Score, play, synthesise};

/// A kind of noise: its name, ffmpeg's expression of the time and filters. `{0}` to `{4}` stand for numbers, `{noise}` for
/// noise of its own in each file, `{since}` for the time since the last blow of somebody who is not quite even: every `{2}`
/// seconds, by a third of that too early and too late.
struct Kind {
    name: &'static str,
    expression: &'static str,
    filters: &'static str,
    /// From and to, for each number; all ratios are equally likely.
    numbers: [(f64, f64); 5],
}

/// Files of each kind.
const FILES: usize = 6;
/// Seconds of a file.
const NOISE_S: usize = 20;
const KINDS: [Kind; 11] = [
    // A body that rings when it is knocked on.
    Kind {
        name: "thumps",
        expression: "sin(2*PI*{0}*{since})*exp(-{1}*{since})*(0.2+0.8*abs(sin({4}*t)))+0.1*{noise}*exp(-3*{1}*{since})",
        filters: "lowpass=f=3000",
        numbers: [(50.0, 330.0), (12.0, 60.0), (0.23, 1.3), (0.4, 5.0), (0.3, 4.0)],
    },
    // Finger nails and keys.
    Kind {
        name: "taps",
        expression: "{noise}*exp(-{1}*{since})*(0.1+0.9*pow(sin({4}*t),2))",
        filters: "bandpass=f={0}:width_type=o:w=1.5",
        numbers: [(500.0, 5000.0), (60.0, 320.0), (0.09, 0.9), (0.4, 5.0), (0.3, 9.0)],
    },
    // A chair, a stand, a shoe: friction that sets in and lets go.
    Kind {
        name: "scrapes",
        expression: "{noise}*abs(sin({2}*t+2*sin({4}*t)))*gt(sin({3}*t),-0.5)*0.4",
        filters: "bandpass=f={0}:width_type=o:w={1}",
        numbers: [(300.0, 5000.0), (0.5, 3.0), (2.0, 60.0), (0.4, 4.0), (0.5, 5.0)],
    },
    Kind {
        name: "cloth",
        expression: "{noise}*pow(max(0,sin({2}*t)*sin({4}*t+1)),{1})*0.6",
        filters: "highpass=f={0},lowpass=f=6000",
        numbers: [(80.0, 900.0), (1.0, 4.0), (1.0, 14.0), (0.4, 4.0), (0.5, 6.0)],
    },
    // A plug that is pulled, a worn-out pot.
    Kind {
        name: "cable",
        expression: "(lt(random(1),{2})*sgn(random(2)-0.5)+0.3*{noise}*gt(sin({4}*t),0.97))*gt(sin({3}*t),-0.3)",
        filters: "highpass=f={0},lowpass=f={1}",
        numbers: [(20.0, 1200.0), (2500.0, 11000.0), (0.0001, 0.003), (0.4, 3.0), (2.0, 30.0)],
    },
    Kind {
        name: "breath",
        expression: "{noise}*pow(abs(sin({3}*t+0.5*sin({4}*t))),{1})*0.4",
        filters: "bandpass=f={0}:width_type=o:w=1.6,bandpass=f={2}:width_type=o:w=2.5",
        numbers: [(400.0, 4500.0), (0.7, 5.0), (500.0, 3000.0), (0.6, 2.5), (0.3, 2.0)],
    },
    // Cars that come and go.
    Kind {
        name: "traffic",
        expression: "{noise}*0.7*(0.15+0.85*pow(sin({2}*t+2*sin({4}*t)),2))",
        filters: "lowpass=f={0},lowpass=f={1}",
        numbers: [(60.0, 900.0), (120.0, 1500.0), (0.05, 1.2), (0.4, 3.0), (0.03, 0.4)],
    },
    Kind {
        name: "wind",
        expression: "{noise}*(0.1+0.9*abs(sin({2}*t)*sin({3}*t)*sin({4}*t)))",
        filters: "bandpass=f={0}:width_type=o:w={1}",
        numbers: [(40.0, 700.0), (0.6, 3.0), (0.3, 3.0), (0.7, 9.0), (0.2, 2.0)],
    },
    // A fan with the tones of its blades, which waver.
    Kind {
        name: "fans",
        expression: "0.1*{noise}+0.05*sin(2*PI*{0}*t+{3}*sin({4}*t))+0.03*sin(4*PI*{0}*t+{3}*sin({4}*t))*(1+0.5*sin({2}*t))",
        filters: "lowpass=f={1}",
        numbers: [(70.0, 420.0), (400.0, 4000.0), (0.3, 30.0), (0.1, 4.0), (0.3, 6.0)],
    },
    // Lights and power supplies: many partials of the mains.
    Kind {
        name: "mains",
        expression: "0.01*{noise}+0.15*atan({3}*sin(2*PI*{0}*t))*(1+0.2*sin({4}*t))+0.02*sin(2*PI*{0}*{2}*t)",
        filters: "highpass=f={1}",
        numbers: [(49.9, 60.1), (20.0, 300.0), (3.0, 30.0), (0.3, 9.0), (0.1, 4.0)],
    },
    // Many people far away, who clap or talk.
    Kind {
        name: "crowd",
        expression: "{noise}*(0.2+abs(sin({2}*t)*sin({3}*t+1)*sin(17*t))+0.5*gt(random(1),{4}))*0.5",
        filters: "bandpass=f={0}:width_type=o:w={1}",
        numbers: [(350.0, 2500.0), (1.0, 3.0), (2.0, 20.0), (3.0, 40.0), (0.9, 0.999)],
    },
];
/// Instruments of General MIDI that are none of the classes, by their programs from 0. Bowed strings, pianos and voices are
/// not among them, nor what could pass for percussion.
const FOREIGN: [(&str, u8); 36] = [
    ("harpsichord", 6),
    ("clavinet", 7),
    ("celesta", 8),
    ("music-box", 10),
    ("dulcimer", 15),
    ("drawbar-organ", 16),
    ("percussive-organ", 17),
    ("rock-organ", 18),
    ("church-organ", 19),
    ("reed-organ", 20),
    ("accordion", 21),
    ("harmonica", 22),
    ("bandoneon", 23),
    ("harp", 46),
    ("trumpet", 56),
    ("muted-trumpet", 59),
    ("recorder", 74),
    ("pan-flute", 75),
    ("shakuhachi", 77),
    ("ocarina", 79),
    ("square-lead", 80),
    ("saw-lead", 81),
    ("calliope-lead", 82),
    ("chiff-lead", 83),
    ("bass-lead", 87),
    ("new-age-pad", 88),
    ("warm-pad", 89),
    ("polysynth", 90),
    ("metallic-pad", 93),
    ("sweep-pad", 95),
    ("sitar", 104),
    ("shamisen", 106),
    ("koto", 107),
    ("kalimba", 108),
    ("bagpipe", 109),
    ("shanai", 111),
];

/// `noise/KIND_I.wav` and `foreign/INSTRUMENT_0.wav`.
pub fn make(folder: &Path) -> Result<()> {
    let [noise, foreign] = ["noise", "foreign"].map(|kind| folder.join(kind));
    for kind in [&noise, &foreign] {
        std::fs::create_dir_all(kind).with_context(|| kind.display().to_string())?;
    }
    for (k, kind) in KINDS.iter().enumerate() {
        for i in 0..FILES {
            let source = kind.source(k * FILES + i);
            synthesise(&noise.join(format!("{}_{i}.wav", kind.name)), &source)?;
        }
    }
    for (i, (name, program)) in FOREIGN.into_iter().enumerate() {
        // Over two octaves and a half, each from another note.
        let score = Score { notes: 52, lowest: 40 + u8::try_from(i * 5 % 16).unwrap_or(0), range: 31 };
        play(&foreign, &format!("{name}_0"), "TimGM6mb.sf2", program, &score)?;
    }
    Ok(())
}

impl Kind {
    /// The `i`-th file's sound, as ffmpeg's `lavfi` takes it.
    fn source(&self, i: usize) -> String {
        let fill = |text: &str| {
            let numbers = self.numbers.iter().enumerate();
            numbers.fold(text.to_owned(), |text, (k, (from, to))| {
                text.replace(&format!("{{{k}}}"), &format!("{:.6}", from * (to / from).powf(spread(i, k))))
            })
        };
        let since = "mod(t+{2}*0.3*sin({3}*t),{2})";
        let expression = self.expression.replace("{since}", since).replace("{noise}", "(random(0)*2-1)");
        let seed = 1 + i * 7919;
        let seeds = format!("if(eq(n,0),st(0,{seed})+st(1,{seed}+1)+st(2,{seed}+2))");
        let (expression, filters) = (fill(&expression), fill(self.filters));
        format!("aevalsrc='{seeds};{expression}':d={NOISE_S}:s=44100,{filters}")
    }
}

/// Numbers from 0 to 1 that fill the cube of five evenly (the additive recurrence of the plastic numbers, M. Roberts 2018).
fn spread(i: usize, dimension: usize) -> f64 {
    /// The root of `x^6 = x + 1`.
    const ROOT: f64 = 1.134_724_138_401_519_4;
    let step = ROOT.powi(-(i32::try_from(dimension).unwrap_or(0) + 1));
    (0.5 + step * (i + 1) as f64).fract()
}
