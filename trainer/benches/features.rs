//! Decoding, resampling and log-mel of a folder of recordings: our path on all cores against a loop over librosa.
//!
//! `cargo bench --workspace --bench features [-- --quick] [-- FOLDER]`. Both take turns at parts of the same files, so
//! that whatever else the machine does meets both.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop at once")]

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::Peer;
use rayon::prelude::*;
use serde::Deserialize;
use tocco_models::{FrontendConfig, LogMel, resample_all};
use tocco_trainer::audio;

const RATE: u32 = 24_000;
/// Turns that each side has: few, since a processor that was idle needs half a second to reach its clock.
const PARTS: usize = 3;

fn main() {
    // As the command does.
    tocco_trainer::memory::keep_freed();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let folder = arguments
        .iter()
        .find(|a| !a.starts_with("--"))
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/philharmonia"), PathBuf::from);
    let made = tempfile::tempdir().unwrap();
    let folder = if folder.is_dir() {
        folder
    } else {
        println!("{}: there is no such folder: made sounds instead", folder.display());
        make_sounds(made.path());
        made.path().to_owned()
    };
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(&folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| audio::has_audio_extension(path))
        .collect();
    if quick {
        files = files.into_iter().step_by(10).collect();
    }
    compare(&files);
}

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    sound: f64,
    failed: usize,
}

fn compare(files: &[PathBuf]) {
    let config = FrontendConfig::default();
    let mut librosa = Peer::start("librosa_loop.py", &[]);
    // Who begins would read all files from the disk for both.
    files.iter().for_each(|path| drop(std::fs::read(path)));
    // The first call compiles what numba compiles.
    let _: Answer = librosa.ask(&request(&files[..1], &config));
    let (mut ours, mut theirs) =
        (Answer { seconds: 0.0, sound: 0.0, failed: 0 }, Answer { seconds: 0.0, sound: 0.0, failed: 0 });
    for part in 0..PARTS {
        let files: Vec<PathBuf> = files.iter().skip(part).step_by(PARTS).cloned().collect();
        for (total, now) in [(&mut ours, tocco(&files, &config)), (&mut theirs, librosa.ask(&request(&files, &config)))]
        {
            total.seconds += now.seconds;
            total.sound += now.sound;
            total.failed += now.failed;
        }
    }
    println!("{} files, decoded, resampled to {RATE} Hz, {} log-mel bands every 10 ms", files.len(), config.mels);
    for (name, sum) in [("tocco", &ours), ("librosa", &theirs)] {
        println!(
            "{name:8} {:7.1} s for {:6.0} s of sound ({:4.0} times real time), {} files failed",
            sum.seconds,
            sum.sound,
            sum.sound / sum.seconds,
            sum.failed
        );
    }
    println!("tocco on {} threads is {:.1} times as fast", rayon::current_num_threads(), theirs.seconds / ours.seconds);
}

fn request(files: &[PathBuf], config: &FrontendConfig) -> serde_json::Value {
    serde_json::json!({
        "files": files, "rate": RATE, "fft_size": config.fft_size, "window": config.window, "hop": config.hop,
        "mels": config.mels, "fmin": config.fmin, "fmax": config.fmax, "floor": config.log_floor,
    })
}

/// What the trainer does with each recording.
fn tocco(files: &[PathBuf], config: &FrontendConfig) -> Answer {
    let start = Instant::now();
    let samples: Vec<Option<usize>> = files
        .par_iter()
        .map_init(
            || LogMel::new(RATE, config).unwrap(),
            |log_mel, path| {
                let sound = audio::decode(path).ok()?;
                let sound = resample_all(&sound.samples, f64::from(sound.rate), f64::from(RATE)).unwrap();
                log_mel.reset();
                let mut frames = Vec::with_capacity(sound.len() / config.hop * config.mels);
                log_mel.push_all(&sound, |frame| frames.extend_from_slice(frame));
                std::hint::black_box(&frames);
                Some(sound.len())
            },
        )
        .collect();
    Answer {
        seconds: start.elapsed().as_secs_f64(),
        sound: samples.iter().flatten().sum::<usize>() as f64 / f64::from(RATE),
        failed: samples.iter().filter(|s| s.is_none()).count(),
    }
}

/// A few minutes of plucked strings in files of a second or two.
fn make_sounds(folder: &Path) {
    for file in 0..200_u16 {
        let rate = 44_100_u32;
        let period = f32::from(40 + file);
        let format = hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(folder.join(format!("{file:03}.wav")), format).unwrap();
        for t in 0..u16::MAX {
            let t = f32::from(t);
            let sound = (t / period * std::f32::consts::TAU).sin() * (-t / 20_000.0).exp();
            #[expect(clippy::cast_possible_truncation, reason = "at most 16 bits")]
            wav.write_sample((sound * 20_000.0) as i16).unwrap();
        }
        wav.finalize().unwrap();
    }
}
