//! Ctrl-C and polite requests to end: what is under way is brought to a good end first.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::commands::remark;

/// Whether somebody is there who looks at [`ASKED`] soon.
static LISTENING: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);
/// What a shell reports of a program that Ctrl-C ended.
const ENDED_BY_CTRL_C: i32 = 130;

/// While it lives, the first request to end is kept for [`Interrupts::asked`]; the second ends the program at once.
pub(crate) struct Interrupts(());

impl Interrupts {
    /// `answer` is told at the first request; that of the first caller in this process holds.
    pub fn listen(answer: &'static str) -> Self {
        static HANDLER: OnceLock<()> = OnceLock::new();
        HANDLER.get_or_init(|| {
            let handler = move || {
                if !LISTENING.load(Ordering::SeqCst) || ASKED.swap(true, Ordering::SeqCst) {
                    std::process::exit(ENDED_BY_CTRL_C);
                }
                remark(answer);
            };
            if let Err(e) = ctrlc::set_handler(handler) {
                remark(format_args!("Ctrl-C will end the program at once: {e}"));
            }
        });
        LISTENING.store(true, Ordering::SeqCst);
        Self(())
    }

    /// Whether it should end.
    pub fn asked(&self) -> bool {
        ASKED.load(Ordering::SeqCst)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        LISTENING.store(false, Ordering::SeqCst);
    }
}
