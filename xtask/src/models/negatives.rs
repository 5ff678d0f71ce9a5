//! Sound in which none of the classes is played, to be measured with: speech by espeak-ng, noise, handling and rooms by
//! ffmpeg, instruments that no model learnt by fluidsynth; and speech to learn from. What the models learn from and what
//! they are measured with have no voice, no noise and no sound font in common: [`super::noises`] makes the rest of what
//! they learn from. They are other noises, but of the same kinds: knocks, rubbing, streets.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::checked;

/// The folders of what is measured with.
pub const KINDS: [&str; 6] = ["speech", "noise", "handling", "room", "silence", "unknown"];
/// What people say around a stage.
const SENTENCES: [&str; 6] = [
    "Could you turn the monitor down a little, please?",
    "We start again at bar forty two, from the upbeat.",
    "The train leaves at a quarter past nine from platform seven.",
    "Nobody had expected so many people on a Tuesday evening.",
    "Is this microphone on? One, two, three, four.",
    "Wait until the lights go out, then count to eight.",
];
/// Languages and voices to learn from.
const LEARNT: ([&str; 8], [&str; 4]) =
    (["en-us", "de", "fr-fr", "es", "it", "pl", "pt-br", "ru"], ["m1", "f2", "m3", "f4"]);
/// Languages and voices to be measured with.
const HELD_OUT: ([&str; 5], [&str; 3]) = (["en-gb-scotland", "nl", "sv", "cs", "hu"], ["m5", "f3", "m7"]);
/// Colours of noise, as ffmpeg calls them.
const COLOURS: [&str; 5] = ["white", "pink", "brown", "blue", "violet"];
/// What a microphone and an instrument that is picked up sound like: knocks on wood twice a second and ever so slightly
/// apart, a sleeve that rubs, a cable that crackles, steps. As ffmpeg's expressions of the time, and its filters.
const HANDLING: [(&str, &str, &str); 4] = [
    ("knocks", "(random(0)*2-1)*exp(-45*mod(t+0.07*sin(t),0.53))*(0.15+0.5*abs(sin(1.7*t)))", "lowpass=f=900"),
    ("rubbing", "(random(0)*2-1)*0.25*pow(abs(sin(2.3*t)),3)*gt(sin(0.61*t),-0.2)", "bandpass=f=1400:width_type=o:w=2"),
    ("crackle", "gt(random(0),0.9993)*(random(1)*2-1)", "highpass=f=300"),
    ("steps", "(random(0)*2-1)*exp(-18*mod(t+0.05*sin(3*t),0.61))*0.9", "lowpass=f=160"),
];
/// Rooms in which nobody plays: ventilation and the street, a hall's fans and its lights, both above the default gate.
const ROOMS: [(&str, &str, &str); 2] = [
    ("street", "(random(0)*2-1)*0.3*(0.6+0.4*sin(0.21*t)*sin(0.057*t))", "lowpass=f=250,lowpass=f=250"),
    ("hall", "(random(0)*2-1)*0.05+0.004*sin(2*PI*100*t)+0.003*sin(2*PI*120*t)", "lowpass=f=700"),
];
/// Where Debian's packages put sound fonts.
const FONTS: &str = "/usr/share/sounds/sf2";
/// Seconds of each noise.
const NOISE_S: usize = 72;
/// Instruments of General MIDI that stand in no training data, by their programs from 0.
const UNKNOWN: [(&str, u8); 3] = [("violin", 40), ("piano", 0), ("voice", 52)];

/// Speech to learn from: `speech/VOICE_0.wav`.
pub fn train(folder: &Path) -> Result<()> {
    let speech = folder.join("speech");
    std::fs::create_dir_all(&speech).with_context(|| speech.display().to_string())?;
    let voices = LEARNT.0.iter().flat_map(|language| LEARNT.1.iter().map(move |voice| (language, voice)));
    for (i, (language, voice)) in voices.enumerate() {
        let text = format!("{} {}", SENTENCES[i % 6], SENTENCES[(i + 1) % 6]);
        speak(&speech.join(format!("{language}-{voice}_0.wav")), language, voice, i, &text)?;
    }
    Ok(())
}

/// Half an hour of everything: a folder of each kind.
pub fn held_out(folder: &Path) -> Result<()> {
    let [speech, noise, handling, room, silence, unknown] = KINDS.map(|kind| folder.join(kind));
    for kind in [&speech, &noise, &handling, &room, &silence, &unknown] {
        std::fs::create_dir_all(kind).with_context(|| kind.display().to_string())?;
    }
    for (kind, sounds) in [(&handling, &HANDLING[..]), (&room, &ROOMS[..])] {
        for (name, expression, filters) in sounds {
            let source = format!("aevalsrc='{expression}':d={NOISE_S}:s=44100,{filters}");
            synthesise(&kind.join(format!("{name}.wav")), &source)?;
        }
    }
    let text = [SENTENCES; 2].concat().join(" ");
    let voices = HELD_OUT.0.iter().flat_map(|language| HELD_OUT.1.iter().map(move |voice| (language, voice)));
    for (i, (language, voice)) in voices.enumerate() {
        speak(&speech.join(format!("{language}-{voice}.wav")), language, voice, i + 5, &text)?;
    }
    for (i, colour) in COLOURS.iter().enumerate() {
        let source = format!("anoisesrc=color={colour}:amplitude=0.1:seed={i}:duration={NOISE_S}:sample_rate=44100");
        synthesise(&noise.join(format!("{colour}.wav")), &source)?;
    }
    let hum = format!("aevalsrc='0.05*sin(314*t)+0.03*sin(628*t)+0.02*sin(942*t)':d={NOISE_S}:s=44100");
    synthesise(&noise.join("hum.wav"), &hum)?;
    synthesise(&silence.join("silence.wav"), &format!("anullsrc=cl=mono:r=44100:d={}", 2 * NOISE_S))?;
    for (name, program) in UNKNOWN {
        play(&unknown, name, "FluidR3_GM.sf2", program, &Score { notes: 480, lowest: 60, range: 20 })?;
    }
    Ok(())
}

/// Has a command make a file that is not there yet: it is told where to put it, so that one that was cut off leaves
/// nothing that looks finished.
fn made(file: &Path, command: impl FnOnce(&Path) -> Command) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let unfinished = file.with_extension("unfinished.wav");
    checked(&mut command(&unfinished))?;
    std::fs::rename(&unfinished, file).with_context(|| file.display().to_string())
}

/// Another speed and pitch for each number.
fn speak(file: &Path, language: &str, voice: &str, number: usize, text: &str) -> Result<()> {
    let (speed, pitch) = ((140 + number * 7 % 60).to_string(), (30 + number * 11 % 50).to_string());
    made(file, |to| {
        let mut command = Command::new("espeak-ng");
        command.args(["-v", &format!("{language}+{voice}"), "-s", &speed, "-p", &pitch, "-w"]).arg(to).arg(text);
        command
    })
}

pub(super) fn synthesise(file: &Path, source: &str) -> Result<()> {
    made(file, |to| {
        let mut command = Command::new("ffmpeg");
        command.args(["-loglevel", "error", "-y", "-f", "lavfi", "-i", source, "-ac", "1", "-bitexact"]).arg(to);
        command
    })
}

/// Leaps and steps from a sound font: `FOLDER/NAME.wav`.
pub(super) fn play(folder: &Path, name: &str, font: &str, program: u8, notes: &Score) -> Result<()> {
    let score = folder.join(format!("{name}.mid"));
    std::fs::write(&score, midi(program, notes)).with_context(|| score.display().to_string())?;
    made(&folder.join(format!("{name}.wav")), |to| {
        let mut command = Command::new("fluidsynth");
        command.args(["-ni", "-q", "-r", "44100", "-F"]).arg(to).arg(Path::new(FONTS).join(font)).arg(&score);
        command
    })
}

/// The notes that an instrument plays.
pub(super) struct Score {
    /// How many.
    pub notes: u32,
    /// The lowest, as MIDI counts.
    pub lowest: u8,
    /// Within how many semitones from there.
    pub range: u32,
}

/// A MIDI file of format 0 with 480 ticks a beat, 120 beats a minute: notes of half a second one after another, with short
/// rests.
fn midi(program: u8, score: &Score) -> Vec<u8> {
    const TICKS: [u8; 2] = [0x83, 0x30];
    let mut track = vec![0, 0xc0, program];
    for i in 0..score.notes {
        let pitch = score.lowest + u8::try_from(i * 7 % score.range).unwrap_or(0);
        let strength = 60 + u8::try_from(i * 13 % 50).unwrap_or(0);
        track.extend([if i % 4 == 0 { 0x60 } else { 0 }, 0x90, pitch, strength]);
        track.extend(TICKS);
        track.extend([0x80, pitch, 0]);
    }
    track.extend([0, 0xff, 0x2f, 0]);
    let mut file = b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0MTrk".to_vec();
    file.extend(u32::try_from(track.len()).unwrap_or(u32::MAX).to_be_bytes());
    file.extend(track);
    file
}
