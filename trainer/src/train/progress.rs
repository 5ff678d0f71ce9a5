//! What a person sees while a training runs.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::validate::Score;
use crate::commands::remark;

/// Told of each step and each validation.
pub(super) struct Progress {
    bar: ProgressBar,
    epochs: usize,
    /// Running mean of the loss.
    loss: Option<f32>,
}

impl Progress {
    /// For a training of `total` steps, of which `made` are made.
    pub fn start(total: usize, made: usize, epochs: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
        // The template is a constant; were it wrong, the plain bar would do.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}  {eta} left") {
            bar.set_style(style);
        }
        bar.set_position(made as u64);
        bar.reset_eta();
        Self { bar, epochs, loss: None }
    }

    /// A step was made; its loss is known now and then.
    pub fn step(&mut self, loss: Option<f32>) {
        self.bar.inc(1);
        if let Some(loss) = loss {
            self.loss = Some(self.loss.map_or(loss, |mean| 0.9 * mean + 0.1 * loss));
        }
    }

    /// The weights after `epoch` were validated.
    pub fn validated(&mut self, epoch: usize, score: &Score) {
        let loss = self.loss.map_or_else(String::new, |loss| format!("loss {loss:.3}"));
        self.bar.set_message(format!("{loss}, validation macro-F1 {:.3}", score.macro_f1));
        self.say(&format!(
            "epoch {epoch}/{}  {loss}  validation: macro-F1 {:.3}, macro-recall {:.3}, loss {:.3}",
            self.epochs, score.macro_f1, score.macro_recall, score.loss
        ));
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            remark(line);
        } else {
            self.bar.println(line);
        }
    }

    /// The training is over.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
