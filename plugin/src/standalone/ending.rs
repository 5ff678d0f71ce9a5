//! How the program without a host ends, and starts again with other devices.

use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Standalone;

/// A JACK server may never answer a client that leaves from its own callback, as the framework's does: after so long
/// nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Set for a program that was started by itself.
const STARTED_AGAIN: &str = "TOCCO_STARTED_AGAIN";

/// Whether this start follows another one, whose devices the system may still be about to give back.
#[must_use]
pub fn is_started_again() -> bool {
    std::env::var_os(STARTED_AGAIN).is_some()
}

impl Standalone {
    /// The window is closed: the process ends soon, whatever the audio system does. Well or not, nobody learns it then.
    pub fn end_soon(&'static self) {
        let end = || {
            std::thread::sleep(PATIENCE);
            std::process::exit(i32::from(self.start_again().is_err()));
        };
        // Without the thread, it ends when the audio system lets it.
        let _ = std::thread::Builder::new().name("tocco-end".into()).spawn(end);
    }

    /// The last act of `main`: starts again where that was asked for.
    #[must_use]
    pub fn ended(&self, went_well: bool) -> ExitCode {
        let started = self.start_again();
        if went_well && started.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Where that was asked for, once.
    fn start_again(&self) -> std::io::Result<()> {
        if !self.wants_restart.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        again().inspect_err(|error| eprintln!("Tocco can't start again: {error}"))
    }
}

/// A new start of this program. On Unix it stays the same process, so that who started it can still end it.
fn again() -> std::io::Result<()> {
    let mut program = Command::new(std::env::current_exe()?);
    program.env(STARTED_AGAIN, "1");
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let_go_of_files();
        Err(program.exec())
    }
    #[cfg(not(unix))]
    program.spawn().map(drop)
}

/// What audio systems and window have open is not to stay open in the next program: a JACK server would take its client
/// for alive.
#[cfg(unix)]
fn let_go_of_files() {
    let Ok(open) = std::fs::read_dir("/dev/fd") else { return };
    for file in open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|&file| file > 2) {
        // SAFETY: it only says what becomes of the file when another program takes this process over; one that is
        // closed meanwhile is refused.
        unsafe { libc::fcntl(file, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
