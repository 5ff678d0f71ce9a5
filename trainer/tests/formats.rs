//! Every format that recordings come in, through the decoder that all commands share.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{RATE, sine, skipped, write_wav};
use tocco_trainer::audio::{Error, Sound, decode};

/// How much of `sound` is a sine of `hz`: 1 where it is nothing else (in phase or not).
fn share_of(sound: &Sound, hz: f64) -> f64 {
    let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
    for (i, s) in sound.samples.iter().enumerate() {
        let (s, phase) = (f64::from(*s), std::f64::consts::TAU * hz * i as f64 / f64::from(sound.rate));
        re += s * phase.cos();
        im += s * phase.sin();
        all += s * s;
    }
    2.0 * (re * re + im * im) / (all * sound.samples.len() as f64)
}

#[test]
fn stereo_becomes_the_mean_of_its_channels() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("stereo.WAV");
    let (left, right) = (sine(RATE, 440.0, 0.5), vec![0.25; 12_000]);
    write_wav(&path, RATE, &[&left, &right]);
    let sound = decode(&path).unwrap();
    assert_eq!((sound.rate, sound.samples.len()), (RATE, 12_000));
    for (i, got) in sound.samples.iter().enumerate() {
        assert!((got - (left[i] + 0.25) / 2.0).abs() < 1e-4, "sample {i}: {got}");
    }
}

/// AIFF by hand: 16-bit big-endian, the rate as an 80-bit float.
#[test]
fn aiff_is_read() {
    let samples = sine(RATE, 440.0, 0.5);
    #[allow(clippy::cast_possible_truncation, reason = "the sound lies between -1 and 1")]
    let data: Vec<u8> = samples.iter().flat_map(|s| ((s * 32_767.0) as i16).to_be_bytes()).collect();
    let long = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
    let mut comm = vec![0, 1];
    comm.extend(long(samples.len()));
    // 24000 = 1.46484375 * 2^14: exponent 16383 + 14, mantissa 24000 << 49.
    comm.extend([0, 16, 0x40, 0x0d]);
    comm.extend((24_000_u64 << 49).to_be_bytes());
    let mut body = b"AIFFCOMM".to_vec();
    body.extend(long(comm.len()));
    body.extend(comm);
    body.extend(b"SSND");
    body.extend(long(data.len() + 8));
    body.extend([0; 8]);
    body.extend(data);
    let mut file = b"FORM".to_vec();
    file.extend(long(body.len()));
    file.extend(body);
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("by-hand.aiff");
    std::fs::write(&path, file).unwrap();
    let sound = decode(&path).unwrap();
    assert_eq!((sound.rate, sound.samples.len()), (RATE, samples.len()));
    assert!(share_of(&sound, 440.0) > 0.98);
}

/// A WAV file that was written into a pipe does not know its length: that is no damage.
#[test]
fn a_streamed_wav_is_whole() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("streamed.wav");
    write_wav(&path, RATE, &[&sine(RATE, 440.0, 1.0)]);
    let mut bytes = std::fs::read(&path).unwrap();
    let data = bytes.windows(4).position(|w| w == b"data").unwrap();
    bytes[4..8].fill(0xff);
    bytes[data + 4..data + 8].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let sound = decode(&path).unwrap();
    assert!((sound.duration_s() - 1.0).abs() < 0.06, "{} s", sound.duration_s());

    bytes[data + 4..data + 8].copy_from_slice(&100_000_u32.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(decode(&path), Err(Error::Damaged { .. })), "a length that is a promise was not kept");
}

#[test]
fn numbers_that_are_none_are_damage() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("nan.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    let mut samples = sine(RATE, 440.0, 0.5);
    samples[77] = f32::NAN;
    samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
    writer.finalize().unwrap();
    let sentence = decode(&path).unwrap_err().to_string();
    assert!(sentence.contains("nan.wav") && sentence.contains("not finite"), "{sentence}");
}

fn encode(from: &Path, to: &Path, options: &[&str]) -> bool {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-i"]).arg(from).args(options).arg(to);
    ffmpeg.status().is_ok_and(|s| s.success())
}

/// Compressed formats need an encoder: ffmpeg, where it is at hand.
#[test]
fn compressed_formats_are_read() {
    let root = tempfile::tempdir().unwrap();
    let wav = root.path().join("tone.wav");
    write_wav(&wav, 44_100, &[&sine(44_100, 440.0, 2.0)]);
    if !encode(&wav, &root.path().join("probe.wav"), &[]) {
        return skipped("ffmpeg is not there");
    }
    for (name, options) in [
        ("tone.flac", &[][..]),
        ("tone.mp3", &["-c:a", "libmp3lame"]),
        ("tone.ogg", &["-c:a", "libvorbis"]),
        ("tone.m4a", &["-c:a", "aac"]),
        ("lossless.m4a", &["-c:a", "alac"]),
        ("tone.aiff", &[]),
        ("stereo.flac", &["-ac", "2"]),
        ("24bit.wav", &["-c:a", "pcm_s24le"]),
    ] {
        let path = root.path().join(name);
        if !encode(&wav, &path, options) {
            skipped(&format!("this ffmpeg can't write {name}"));
            continue;
        }
        let sound = decode(&path).unwrap();
        assert_eq!(sound.rate, 44_100, "{name}");
        assert!((sound.duration_s() - 2.0).abs() < 0.06, "{name}: {} s", sound.duration_s());
        assert!(share_of(&sound, 440.0) > 0.95, "{name}: {}", share_of(&sound, 440.0));
        let bytes = std::fs::read(&path).unwrap();
        let cut = root.path().join(format!("cut-{name}"));
        std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let sentence = decode(&cut).expect_err(name).to_string();
        assert!(sentence.contains("damaged") || sentence.contains("not a recording"), "{sentence}");
    }
}

/// Where nothing in the file tells its length, nobody may guess it from the bit rate: here it falls after a second.
#[test]
fn an_mp3_that_does_not_tell_its_length_is_heard_to_its_end() {
    let root = tempfile::tempdir().unwrap();
    let (wav, mp3) = (root.path().join("sound.wav"), root.path().join("sound.mp3"));
    let mut seed = 1_u32;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u8::try_from(seed >> 24).unwrap()) / 256.0 - 0.5
    });
    let sound: Vec<f32> = noise.take(44_100).chain(sine(44_100, 440.0, 3.0)).collect();
    write_wav(&wav, 44_100, &[&sound]);
    if !encode(&wav, &mp3, &["-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0", "-id3v2_version", "0"]) {
        return skipped("there is no ffmpeg that writes MP3");
    }
    let heard = decode(&mp3).unwrap();
    assert!(heard.duration_s() >= 4.0 && heard.duration_s() < 4.1, "{} s", heard.duration_s());
}
