//! A display without a screen, and pictures of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, MOTION_NOTIFY_EVENT};
use x11rb::protocol::xtest::ConnectionExt as _;

use crate::locate::{self, Child};

/// An X server of its own; it ends with this.
pub struct Display {
    name: String,
    _server: Child,
}

impl Display {
    /// With a screen of `WIDTHxHEIGHTxDEPTH`.
    ///
    /// # Errors
    /// Where a tool is missing or the server does not come up.
    pub fn start(screen: &str) -> Result<Self> {
        let (xvfb, _) = (locate::tool("Xvfb")?, locate::tool("import")?);
        // Numbers that no display of this machine has; process id and count keep runs apart.
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!(":{}", 1000 + (std::process::id() * 8 + count) % 50_000);
        let mut server = Command::new(xvfb);
        // Without -noreset the server starts over, and refuses everybody, whenever its last client leaves.
        server
            .args([&name, "-screen", "0", screen, "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let display = Self { _server: Child::start(&mut server)?, name };
        let start = Instant::now();
        while display.root_window().is_err() {
            ensure!(start.elapsed() < Duration::from_secs(20), "the display {} does not come up", display.name);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(display)
    }

    /// What a program needs to draw here, in software.
    #[must_use]
    pub fn environment(&self) -> [(&str, &str); 2] {
        [("DISPLAY", &self.name), ("LIBGL_ALWAYS_SOFTWARE", "1")]
    }

    /// Makes this process draw here.
    pub fn make_current(&self) {
        for (key, value) in self.environment() {
            // SAFETY: tests and programs that call this do so before they start a thread that reads the environment.
            unsafe { std::env::set_var(key, value) };
        }
    }

    /// The window that covers the screen.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn root_window(&self) -> Result<u32> {
        let (connection, screen) = x11rb::connect(Some(&self.name))?;
        Ok(connection.setup().roots[screen].root)
    }

    /// How many windows lie on the screen.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn windows(&self) -> Result<usize> {
        let (connection, screen) = x11rb::connect(Some(&self.name))?;
        let root = connection.setup().roots[screen].root;
        Ok(connection.query_tree(root)?.reply()?.children.len())
    }

    /// Clicks with the left button at a point of the screen, in pixels, as a hand would: move, press, let go.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn click(&self, x: i16, y: i16) -> Result<()> {
        // So long a hand takes; a panel draws a frame or two meanwhile.
        const PAUSE: Duration = Duration::from_millis(150);
        const LEFT: u8 = 1;
        for (kind, button) in [(MOTION_NOTIFY_EVENT, 0), (BUTTON_PRESS_EVENT, LEFT), (BUTTON_RELEASE_EVENT, LEFT)] {
            self.input(kind, button, x, y)?;
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Moves the pointer to a point of the screen.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub fn point(&self, x: i16, y: i16) -> Result<()> {
        self.input(MOTION_NOTIFY_EVENT, 0, x, y)
    }

    fn input(&self, kind: u8, button: u8, x: i16, y: i16) -> Result<()> {
        let (connection, screen) = x11rb::connect(Some(&self.name))?;
        let root = connection.setup().roots[screen].root;
        connection.xtest_fake_input(kind, button, x11rb::CURRENT_TIME, root, x, y, 0)?.check()?;
        Ok(())
    }

    /// Takes a picture of the screen, or of its upper left corner of so many pixels.
    ///
    /// # Errors
    /// Where ImageMagick fails.
    pub fn shoot(&self, picture: &Path, corner: Option<(u32, u32)>) -> Result<()> {
        let mut command = Command::new(locate::tool("import")?);
        command.args(["-display", &self.name, "-window", "root"]);
        if let Some((width, height)) = corner {
            command.args(["-crop", &format!("{width}x{height}+0+0"), "+repage"]);
        }
        ensure!(command.arg(picture).status()?.success(), "no picture of the display {} could be taken", self.name);
        Ok(())
    }
}

/// How far two pictures are apart, as the root of their mean squared difference from 0 to 1; both are made as small as
/// the second first, which evens out what a letter more or less changes.
///
/// # Errors
/// Where ImageMagick fails.
pub fn difference(picture: &Path, small: &Path) -> Result<f64> {
    let output = Command::new(locate::tool("convert")?)
        .args([small, picture])
        .args(["-resize", crate::panel::GOLDEN_SIZE, "-colorspace", "sRGB", "-metric", "RMSE", "-compare"])
        .args(["-format", "%[distortion]", "info:"])
        .output()?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .with_context(|| format!("{} and {} can't be compared", picture.display(), small.display()))
}

/// How much the pixels of a picture vary, as their standard deviation from 0 to 1.
///
/// # Errors
/// Where ImageMagick fails.
pub fn spread(picture: &Path) -> Result<f64> {
    let output = Command::new(locate::tool("convert")?)
        .arg(picture)
        .args(["-colorspace", "Gray", "-format", "%[fx:standard_deviation]", "info:"])
        .output()?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .with_context(|| format!("{} is no picture", picture.display()))
}
