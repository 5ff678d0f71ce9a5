//! The panel is drawn, seen on a display without a screen: in the standalone and in a host.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tocco_tests::display::{Display, difference, spread};
use tocco_tests::host::{Emitted, Host, Message};
use tocco_tests::locate::{self, Child};
use tocco_tests::panel::{PLUCKED, SENDS, Stage, TEST, VIEWS, golden};
use tocco_tests::state::State;

/// A blank screen has none.
const LEAST_SPREAD: f64 = 0.02;

/// How much there is to see on the display.
fn seen(display: &Display) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("display.png");
    display.shoot(&picture, None).unwrap();
    spread(&picture).unwrap()
}

/// Looks at the display until something is drawn, at most half a minute.
fn wait_for_picture(display: &Display, mut meanwhile: impl FnMut()) -> f64 {
    let start = Instant::now();
    loop {
        meanwhile();
        let spread = seen(display);
        if spread > LEAST_SPREAD || start.elapsed() > Duration::from_secs(30) {
            return spread;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Shows the panel until it is drawn.
fn wait_until_shown(display: &Display, host: &mut Host) -> f64 {
    wait_for_picture(display, || {
        host.run_callbacks();
        host.show_panel();
    })
}

/// One test, one after the other: all but the first part change the environment of this process.
#[test]
fn the_panel_is_drawn_and_does_what_is_clicked() {
    in_the_standalone_at_either_scale();
    in_a_host_again_and_again();
    every_view_looks_as_it_did();
    two_clicks_lead_to_the_first_control_change_of_a_class();
    a_click_on_the_panel_is_kept_in_the_project();
}

fn in_the_standalone_at_either_scale() {
    let Some(standalone) = locate::needed(locate::standalone()) else { return };
    let home = tempfile::tempdir().unwrap();
    for (scale, screen) in [("1", "1280x1000x24"), ("2", "2000x1600x24")] {
        let Some(display) = locate::needed(Display::start(screen)) else { return };
        let mut program = Command::new(&standalone);
        program
            .args(["--backend", "dummy", "--dpi-scale", scale])
            .envs(display.environment())
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut window = Child::start(&mut program).unwrap();
        let spread = wait_for_picture(&display, || {
            assert!(window.0.try_wait().unwrap().is_none(), "the standalone ended by itself");
        });
        println!("scale {scale}: the pixels' standard deviation is {spread:.4}");
        assert!(spread > LEAST_SPREAD, "the window is blank at scale {scale}: {spread}");
    }
}

fn in_a_host_again_and_again() {
    let Some(display) = locate::needed(Display::start("1280x1000x24")) else { return };
    display.make_current();
    let mut host = Host::load(&locate::clap().unwrap()).unwrap();
    for round in 1..=3 {
        let (width, height) = host.make_panel(display.root_window().unwrap()).unwrap();
        assert!(width >= 400 && height >= 300, "{width} x {height}");
        // A workstation that has other things to do shows it later.
        host.live_for(Duration::from_millis(100) * (round - 1));
        let spread = wait_until_shown(&display, &mut host);
        assert!(spread > LEAST_SPREAD, "the panel is blank when opened for the {round}th time: {spread}");
        host.hide_panel();
        host.live_for(Duration::from_millis(500));
        assert!(seen(&display) < LEAST_SPREAD, "the hidden panel is still there");
        let spread = wait_until_shown(&display, &mut host);
        assert!(spread > LEAST_SPREAD, "the panel is blank when shown again: {spread}");
        host.close_panel();
    }
}

/// Remade by `cargo run -p tocco_tests --bin panel -- --golden`, after a look at the new ones.
fn every_view_looks_as_it_did() {
    /// Another page makes 0.06 and more, a shift by twelve points 0.12; other numbers in the lower lines and the moment in
    /// which a spectrum begins 0.007.
    const MOST: f64 = 0.03;
    if locate::needed(Display::start("64x64x24")).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut apart = Vec::new();
    for view in &VIEWS {
        for scale in [1, 2] {
            let picture = folder.path().join("panel.png");
            let mut stage = view.stage(scale).unwrap();
            let mut apart_by = f64::INFINITY;
            // A machine that is busy with other things draws later.
            for _ in 0..6 {
                stage.shoot(&picture).unwrap();
                apart_by = difference(&picture, &golden(view, scale)).unwrap();
                if apart_by <= MOST {
                    break;
                }
                stage.wait(1.0);
            }
            println!("{} at {scale}x: {apart_by:.4}", view.name);
            if apart_by > MOST {
                let kept = std::env::temp_dir().join(format!("tocco-panel-{}-{scale}x.png", view.name));
                std::fs::copy(&picture, &kept).unwrap();
                apart.push(format!("{} at {scale}x by {apart_by:.3}: {}", view.name, kept.display()));
            }
        }
    }
    assert!(apart.is_empty(), "these look different now: {apart:#?}");
}

/// The steps that the README has: click the class, click «Test».
fn two_clicks_lead_to_the_first_control_change_of_a_class() {
    let Some(mut stage) = locate::needed(Stage::open(&State::empty(), 1)) else { return };
    let silence = vec![0.0; 48_000];
    // The host plays: controllers say where they stand.
    let before = control_changes(&stage.play(&silence[..24_000]).unwrap());
    assert!(before.iter().any(|&(number, value)| number == 17 && value < 64), "{before:?}");
    stage.click(PLUCKED.0, PLUCKED.1).unwrap();
    stage.click(TEST.0, TEST.1).unwrap();
    let after = control_changes(&stage.play(&silence).unwrap());
    // The fourth controller, and then back to what is heard.
    assert_eq!(after.first(), Some(&(17, 127)), "{after:?}");
    assert!(after.iter().any(|&(number, value)| number == 17 && value < 64), "{after:?}");
}

/// Controller numbers and values on the first channel.
fn control_changes(midi: &[Emitted]) -> Vec<(u8, u8)> {
    let change = |event: &Emitted| match event.message {
        Message::Midi([0xb0, number, value]) => Some((number, value)),
        _ => None,
    };
    midi.iter().filter_map(change).collect()
}

fn a_click_on_the_panel_is_kept_in_the_project() {
    let Some(mut stage) = locate::needed(Stage::open(&State::empty(), 1)) else { return };
    let before = stage.save().unwrap();
    stage.click(PLUCKED.0, PLUCKED.1).unwrap();
    stage.click(SENDS.0, SENDS.1).unwrap();
    // A host takes over with its next block what a panel moved.
    stage.play(&[0.0; 4800]).unwrap();
    let after = stage.save().unwrap();
    assert_eq!(after.settings()["mappings"]["plucked"]["on"], false, "{:?}", after.settings());
    // Hosts mark a project as changed when a parameter moves.
    assert_ne!(after.parameter("revision"), before.parameter("revision"));
}
