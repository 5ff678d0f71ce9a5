//! The panel is drawn, seen on a display without a screen: in the standalone and in a host.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tocco_tests::display::{Display, spread};
use tocco_tests::host::Host;
use tocco_tests::locate::{self, Child};

/// A blank screen has none.
const LEAST_SPREAD: f64 = 0.02;

/// Looks at the display until something is drawn, at most half a minute.
fn wait_for_picture(display: &Display, mut meanwhile: impl FnMut()) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("panel.png");
    let start = Instant::now();
    loop {
        meanwhile();
        display.shoot(&picture, None).unwrap();
        let spread = spread(&picture).unwrap();
        if spread > LEAST_SPREAD || start.elapsed() > Duration::from_secs(30) {
            return spread;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// One test, one after the other: the second part changes the environment of this process.
#[test]
fn the_panel_is_drawn() {
    in_the_standalone_at_either_scale();
    in_a_host_again_and_again();
}

fn in_the_standalone_at_either_scale() {
    let Some(standalone) = locate::needed(locate::standalone()) else { return };
    for (scale, screen) in [("1", "1280x1000x24"), ("2", "2000x1600x24")] {
        let Some(display) = locate::needed(Display::start(screen)) else { return };
        let mut program = Command::new(&standalone);
        program
            .args(["--backend", "dummy", "--dpi-scale", scale])
            .envs(display.environment())
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
        let (width, height) = host.open_panel(display.root_window().unwrap()).unwrap();
        assert!(width >= 400 && height >= 300, "{width} x {height}");
        let spread = wait_for_picture(&display, || {
            host.run_callbacks();
            host.show_panel();
        });
        assert!(spread > LEAST_SPREAD, "the panel is blank when opened for the {round}th time: {spread}");
        host.close_panel();
    }
}
