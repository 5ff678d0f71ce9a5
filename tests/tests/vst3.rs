//! The bundled VST3 in other hosts: pedalboard and DawDreamer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use anyhow::ensure;
use serde_json::json;
use tocco_tests::locate;
use tocco_tests::phrase::Phrase;
use tocco_tests::state::State;

#[test]
fn pedalboard_runs_the_vst3_bit_exactly_and_keeps_its_state() {
    let Some(python) = locate::needed(locate::python()) else { return };
    let Some(vst3) = locate::needed(locate::vst3()) else { return };
    let script = locate::repository().join("tests/python/vst3_in_pedalboard.py");
    let output = Command::new(python).arg(script).arg(vst3).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().any(|line| line == "all checks passed"), "{said}");
}

#[test]
fn dawdreamer_passes_sound_bit_exactly_and_osc_arrives() {
    let Some(python) = locate::needed(locate::python()) else { return };
    let Some(vst3) = locate::needed(locate::vst3()) else { return };
    let has_dawdreamer = || {
        let found = Command::new(&python).args(["-c", "import dawdreamer"]).output()?.status.success();
        ensure!(found, "{} has no dawdreamer: run `cargo xtask setup` first", python.display());
        Ok(())
    };
    let Some(()) = locate::needed(has_dawdreamer()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (sound, preset) = (folder.path().join("sound.f32"), folder.path().join("tocco.vstpreset"));
    // Silence, then bowed notes.
    let phrase = Phrase::load(&locate::repository().join("tests/demo")).unwrap();
    let samples: Vec<u8> = phrase.part(0.0, 6.0).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(&sound, samples).unwrap();
    // Free for the script, which binds it next.
    let port = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let state = State::empty().with_setting("model", json!({"library": "bowed-plucked"})).with_osc_port(port);
    std::fs::write(&preset, state.to_vst_preset()).unwrap();

    let script = locate::repository().join("tests/python/vst3_in_dawdreamer.py");
    let output =
        Command::new(python).arg(script).args([&vst3, &sound, &preset]).arg(port.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.lines().any(|line| line == "all checks passed"), "{said}");
}
