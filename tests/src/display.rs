//! A display without a screen, and pictures of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use x11rb::connection::Connection;

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
