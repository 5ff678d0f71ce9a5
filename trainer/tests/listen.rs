//! `tocco listen` and `tocco devices` on devices that ALSA's own library makes up: no sound card is asked. Real sound
//! comes in through JACK, in the host-level tests.
#![cfg(all(target_os = "linux", feature = "live"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at once")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Answer, tocco_in};

/// Two devices that give zeros as fast as they are read.
const DEVICES: &str = r#"
pcm.left { type null hint { show on description "Left Microphone" } }
pcm.right { type null hint { show on description "Right Microphone" } }
pcm.null { type null }
"#;

/// Runs `tocco` where ALSA knows only the devices of this configuration, and no JACK server runs.
fn with_devices(configuration: &str, folder: &Path, arguments: &[&str]) -> Answer {
    let file = folder.join("alsa.conf");
    std::fs::write(&file, configuration).unwrap();
    let environment = [("ALSA_CONFIG_PATH", file.as_os_str()), ("JACK_DEFAULT_SERVER", "there-is-none".as_ref())];
    tocco_in(environment, arguments)
}

#[test]
fn a_machine_without_a_device_is_told_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let model = common::model(folder.path());
    let listen = ["listen", "--model", model.to_str().unwrap()];
    for arguments in [&["devices"][..], &["devices", "--backend", "JACK"], &listen] {
        let told = with_devices("", folder.path(), arguments).refusal();
        assert!(told.contains("there is no audio device to listen to") && told.contains("JACK)"), "{told}");
    }
    let told = with_devices(DEVICES, folder.path(), &["devices", "--backend", "gramophone"]).refusal();
    assert!(told.contains("no audio backend «gramophone» here; there is: alsa, jack"), "{told}");
}

#[test]
fn devices_are_listed_with_the_numbers_that_listen_takes() {
    let folder = tempfile::tempdir().unwrap();
    let told = with_devices(DEVICES, folder.path(), &["devices"]).ok().out;
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "ALSA");
    assert!(lines[1].starts_with("   1  Left Microphone (left), 1 to 64 channels, "), "{told}");
    assert!(lines[2].starts_with("   2  Right Microphone (right), "), "{told}");
    assert_eq!(lines.len(), 3, "a device that is silent everywhere is none: {told}");

    let model = common::model(folder.path());
    let listen = |rest: &[&str]| {
        let start = ["listen", "--seconds", "1", "--model", model.to_str().unwrap()];
        with_devices(DEVICES, folder.path(), &[&start, rest].concat())
    };
    for device in ["2", "Right Microphone", "right"] {
        let told = listen(&["--device", device]).ok().err;
        assert!(
            told.contains("listening to channel 1 of «Right Microphone» (ALSA) at 48000 Hz with high or low"),
            "{told}"
        );
    }
    for (device, reason) in [
        ("3", "there is no audio device 3"),
        ("0", "there is no audio device 0"),
        ("theremin", "no audio device is called «theremin»"),
        ("micro", "several audio devices are called «micro»"),
    ] {
        let told = listen(&["--device", device]).refusal();
        assert!(told.contains(reason) && told.contains("1 «Left Microphone», 2 «Right Microphone»"), "{told}");
    }
    let told = listen(&["--channel", "65"]).refusal();
    assert!(told.contains("«Left Microphone» has 64 channels: there is no channel 65"), "{told}");
    let told = listen(&["--channel", "0"]).refusal();
    assert!(told.contains("there is no channel 0"), "{told}");
    let told = listen(&["--osc", "nowhere"]).refusal();
    assert!(told.contains("«nowhere» is no address"), "{told}");
}

/// These devices deliver minutes of sound in a moment: more than any machine can follow.
#[test]
fn sound_that_comes_too_fast_is_counted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let model = common::model(folder.path());
    let arguments =
        ["listen", "--seconds", "600", "--buffer", "4096", "--device", "left", "--model", model.to_str().unwrap()];
    let told = with_devices(DEVICES, folder.path(), &arguments).ok().err;
    assert!(told.contains("sound is being lost"), "{told}");
    let number = |before: &str, after: &str| -> f64 {
        let text = told.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap();
        text.trim().parse().unwrap()
    };
    let (heard_s, lost) = (number("listened for ", " s;"), number(" s; ", " samples"));
    assert!(heard_s >= 600.0 && lost > 0.0 && lost / 48_000.0 < heard_s, "{told}");
}

#[test]
fn ctrl_c_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alsa.conf");
    std::fs::write(&file, DEVICES).unwrap();
    let model = common::model(folder.path());
    let program = Command::new(env!("CARGO_BIN_EXE_tocco"))
        .args(["listen", "--device", "left", "--model"])
        .arg(model)
        .env("ALSA_CONFIG_PATH", &file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap().success());
    let output = program.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("stopping") && told.contains("listened for"), "{told}");
}
