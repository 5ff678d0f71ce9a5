//! The bundled VST3 in another host: pedalboard.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use tocco_tests::locate;

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
