//! The standalone opens a window, seen on a display without a screen.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tocco_tests::locate::{self, Child};

/// How much the pixels of a picture vary, from 0 to 1, as ImageMagick measures it.
fn spread(convert: &Path, picture: &Path) -> f64 {
    let output = Command::new(convert)
        .arg(picture)
        .args(["-colorspace", "Gray", "-format", "%[fx:standard_deviation]", "info:"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

#[test]
fn the_window_is_not_blank() {
    let Some(xvfb) = locate::needed(locate::tool("Xvfb")) else { return };
    let Some(import) = locate::needed(locate::tool("import")) else { return };
    let Some(convert) = locate::needed(locate::tool("convert")) else { return };
    let Some(standalone) = locate::needed(locate::standalone()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("panel.png");

    for (scale, screen) in [("1", "1280x1000x24"), ("2", "2000x1600x24")] {
        // A number that no display of this machine has; the process id keeps parallel runs apart.
        let display = format!(":{}", 1000 + std::process::id() % 50_000);
        let mut server = Command::new(&xvfb);
        server.args([&display, "-screen", "0", screen, "-nolisten", "tcp"]).stdout(Stdio::null()).stderr(Stdio::null());
        let _server = Child::start(&mut server).unwrap();
        let mut program = Command::new(&standalone);
        program
            .args(["--backend", "dummy", "--dpi-scale", scale])
            .envs([("DISPLAY", display.as_str()), ("LIBGL_ALWAYS_SOFTWARE", "1")])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let shoot = || {
            let mut shot = Command::new(&import);
            shot.args(["-display", &display, "-window", "root"]).arg(&picture).stderr(Stdio::null());
            shot.status().unwrap().success().then(|| spread(&convert, &picture))
        };
        let start = Instant::now();
        let empty = loop {
            if let Some(spread) = shoot() {
                break spread;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "the display {display} does not come up");
            std::thread::sleep(Duration::from_millis(100));
        };
        let mut window = Child::start(&mut program).unwrap();
        let start = Instant::now();
        let full = loop {
            assert!(window.0.try_wait().unwrap().is_none(), "the standalone ended by itself");
            let full = shoot().unwrap_or(0.0);
            if full > 0.02 || start.elapsed() > Duration::from_secs(30) {
                break full;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        println!("scale {scale}: the pixels' standard deviation goes from {empty:.4} to {full:.4}");
        assert!(empty < 0.005, "the empty display is not empty: {empty}");
        assert!(full > 0.02, "the window is blank at scale {scale}: {full}");
    }
}
