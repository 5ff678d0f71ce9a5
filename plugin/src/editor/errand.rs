//! Work with files, done by a thread, so that a slow disk holds up neither the panel nor the host.

use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// One piece of work at a time, and what came of it. The thread owns what it works on and may outlive the panel.
pub struct Errand<T> {
    answer: Option<Receiver<Result<T, String>>>,
}

impl<T> Default for Errand<T> {
    fn default() -> Self {
        Self { answer: None }
    }
}

impl<T: Send + 'static> Errand<T> {
    /// Starts; what was under way is forgotten. `name` is the thread's.
    pub fn start(&mut self, name: &str, work: impl FnOnce() -> Result<T, String> + Send + 'static) {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            // Nobody may wait for it any more.
            let _ = sender.send(work());
        });
        self.answer = thread.is_ok().then_some(receiver);
    }

    /// Whether it is under way.
    pub fn is_busy(&self) -> bool {
        self.answer.is_some()
    }

    /// What came of it, once.
    pub fn take(&mut self) -> Option<Result<T, String>> {
        let answer = match self.answer.as_ref()?.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => return None,
            // The thread panicked.
            Err(TryRecvError::Disconnected) => None,
        };
        self.answer = None;
        answer
    }
}
