//! What a person sees of a training: the progress display, `history.csv` and TensorBoard's event files.

mod events;
pub mod history;
pub mod settings;

pub use events::EventWriter;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::remark;
use crate::metrics::Confusion;
use crate::picture::Picture;
use history::{History, Row};

/// The folder of the event files inside that of the run.
pub const TENSORBOARD: &str = "tensorboard";
/// Where standard error is no terminal, a line comes at least this often.
const WORD_EVERY: Duration = Duration::from_secs(60);
/// Pixels of a field of the confusion matrix in TensorBoard.
const FIELD: usize = 24;

/// The length of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Passes over the training sound.
    pub epochs: usize,
    /// Steps in all.
    pub steps: usize,
    /// Steps that were made before the training was interrupted; 0 for one from the start.
    pub first_step: usize,
    /// Seconds of sound in a step.
    pub step_sound_s: f64,
}

/// What a validation found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation<'a> {
    /// Passes over the training sound so far.
    pub epoch: usize,
    /// Loss on the validation recordings.
    pub loss: f64,
    /// Macro-F1 on the validation recordings.
    pub macro_f1: f64,
    /// Macro-recall on the validation recordings, `none` left out.
    pub macro_recall: f64,
    /// Which class was taken for which.
    pub confusion: &'a Confusion,
}

/// Watches one training, from its first step (or the one that it is resumed at) to its last.
#[derive(Debug)]
pub struct Watcher {
    plan: Plan,
    bar: ProgressBar,
    history: History,
    events: EventWriter,
    /// When this session started.
    started: Instant,
    /// Seconds of training before this session.
    earlier_s: f64,
    /// Steps so far, those of earlier sessions included.
    step: usize,
    learning_rate: f64,
    /// Running mean.
    loss: Option<f64>,
    /// When the newest stretch of steps without a validation began, and at which step.
    stretch: (Instant, usize),
    /// Newest macro-F1.
    macro_f1: Option<f64>,
    last_word: Instant,
}

impl Watcher {
    /// For the run in `folder`. TensorBoard shows the `settings`.
    ///
    /// # Errors
    /// The files of an older training can't be removed or read, or the new ones can't be made.
    pub fn start(folder: &Path, plan: Plan, settings: &impl serde::Serialize) -> Result<Self> {
        let history = History::begin(folder, plan.first_step)?;
        let mut events = EventWriter::create(&folder.join(TENSORBOARD), plan.first_step)?;
        events.text(plan.first_step, "settings", &settings::markdown(settings)?)?;
        let now = Instant::now();
        Ok(Self {
            bar: progress_bar(&plan),
            earlier_s: history.last().map_or(0.0, |row| row.wall_s),
            history,
            events,
            started: now,
            step: plan.first_step,
            learning_rate: 0.0,
            loss: None,
            stretch: (now, plan.first_step),
            macro_f1: None,
            last_word: now,
            plan,
        })
    }

    /// A step was made. Its loss is told where it was read from the device, which takes time.
    ///
    /// # Errors
    /// The event file can't be written.
    pub fn step(&mut self, learning_rate: f64, loss: Option<f32>) -> Result<()> {
        self.step += 1;
        self.learning_rate = learning_rate;
        self.bar.inc(1);
        let Some(loss) = loss.map(f64::from) else { return Ok(()) };
        let mean = self.loss.map_or(loss, |mean| 0.9 * mean + 0.1 * loss);
        self.loss = Some(mean);
        let mut scalars = vec![("train/loss", mean), ("train/learning_rate", learning_rate)];
        scalars.extend(self.sound_per_s().map(|rate| ("train/sound_per_s", rate)));
        self.events.scalars(self.step, &scalars)?;
        self.bar.set_message(self.words());
        if self.bar.is_hidden() && self.last_word.elapsed() >= WORD_EVERY {
            self.say(&format!("step {}/{}  {}", self.step, self.plan.steps, self.words()));
        }
        Ok(())
    }

    /// A validation is done.
    ///
    /// # Errors
    /// The history or the event file can't be written.
    pub fn validated(&mut self, found: &Validation<'_>) -> Result<()> {
        let loss = self.loss.unwrap_or(f64::NAN);
        self.macro_f1 = Some(found.macro_f1);
        self.history.push(Row {
            epoch: found.epoch,
            step: self.step,
            loss,
            val_loss: found.loss,
            macro_f1: found.macro_f1,
            macro_recall: found.macro_recall,
            learning_rate: self.learning_rate,
            sound_s: self.step as f64 * self.plan.step_sound_s,
            wall_s: self.earlier_s + self.started.elapsed().as_secs_f64(),
        })?;
        let scalars =
            [("val/loss", found.loss), ("val/macro_f1", found.macro_f1), ("val/macro_recall", found.macro_recall)];
        self.events.scalars(self.step, &scalars)?;
        let (picture, words) = confusion_picture(found.confusion);
        self.events.picture(self.step, "val/confusion", &picture, &words)?;
        self.say(&format!(
            "epoch {}/{}  loss {loss:.3}  validation: macro-F1 {:.3}, macro-recall {:.3}, loss {:.3}{}",
            found.epoch,
            self.plan.epochs,
            found.macro_f1,
            found.macro_recall,
            found.loss,
            self.pace()
        ));
        self.stretch = (Instant::now(), self.step);
        Ok(())
    }

    /// The training is over: the display goes.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }

    /// Seconds of sound a second of training, since the newest validation.
    fn sound_per_s(&self) -> Option<f64> {
        let (since, first) = self.stretch;
        let seconds = since.elapsed().as_secs_f64();
        let steps = self.step.saturating_sub(first);
        (steps > 0 && seconds > 0.0).then(|| steps as f64 * self.plan.step_sound_s / seconds)
    }

    /// Seconds until the last step, at this session's pace with its validations.
    fn left_s(&self) -> Option<f64> {
        let made = self.step.saturating_sub(self.plan.first_step);
        let left = self.plan.steps.saturating_sub(self.step) as f64;
        (made > 0 && left > 0.0).then(|| self.started.elapsed().as_secs_f64() / made as f64 * left)
    }

    fn words(&self) -> String {
        let loss = self.loss.map_or_else(String::new, |loss| format!("loss {loss:.3}"));
        let f1 = self.macro_f1.map_or_else(String::new, |f1| format!(", macro-F1 {f1:.3}"));
        format!("{loss}{f1}{}", self.pace())
    }

    fn pace(&self) -> String {
        let rate = self.sound_per_s().map_or_else(String::new, |rate| format!(", {rate:.0} s of sound a second"));
        let left = self.left_s().map_or_else(String::new, |left| format!(", {} left", duration(left)));
        rate + &left
    }

    /// A line of its own, beside the display.
    pub fn say(&mut self, line: &str) {
        self.last_word = Instant::now();
        if self.bar.is_hidden() {
            remark(line);
        } else {
            self.bar.println(line);
        }
    }
}

/// Removes what an older training left in the folder of a run.
///
/// # Errors
/// A file can't be removed.
pub fn clear(folder: &Path) -> Result<()> {
    History::begin(folder, 0)?;
    events::remove_older(&folder.join(TENSORBOARD))
}

/// The matrix as shares of its rows, and what the rows are.
fn confusion_picture(confusion: &Confusion) -> (Picture, String) {
    let classes = confusion.classes();
    let n = classes.len();
    let whole: Vec<u64> = (0..n).map(|t| (0..n).map(|p| confusion.count(t, p)).sum()).collect();
    let share = |i: usize| confusion.count(i / n, i % n) as f64 / whole[i / n].max(1) as f64;
    let shares: Vec<f64> = (0..n * n).map(share).collect();
    let words = format!(
        "A row for each true class, a column for each predicted one, lighter for a larger share of the row. \
         From the top and from the left: {}.",
        classes.join(", ")
    );
    (Picture::table(&shares, n, FIELD), words)
}

fn progress_bar(plan: &Plan) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(plan.steps as u64), ProgressDrawTarget::stderr());
    // The template is a constant; were it wrong, the plain bar would do.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}") {
        bar.set_style(style);
    }
    bar.set_position(plan.first_step as u64);
    bar
}

/// A length of time for people.
fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive time")]
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds:02} s"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    #[test]
    fn times_for_people() {
        assert_eq!(duration(9.4), "9 s");
        assert_eq!(duration(185.0), "3 min 05 s");
        assert_eq!(duration(7500.0), "2 h 05 min");
    }

    #[test]
    fn the_picture_shows_shares_of_rows() {
        let mut confusion = Confusion::new(&["a".to_owned(), "b".to_owned()]);
        confusion.add(0, 1, 5);
        confusion.add(1, 1, 1);
        let (picture, words) = confusion_picture(&confusion);
        let centre = |row: usize, column: usize| picture.levels[(row * FIELD + 9) * picture.width + column * FIELD + 9];
        assert_eq!([centre(0, 0), centre(0, 1), centre(1, 0), centre(1, 1)], [0, 255, 0, 255]);
        assert!(words.ends_with("a, b."), "{words}");
    }

    /// A run that was interrupted after its second validation: the clock and the table go on.
    #[test]
    fn a_resumed_training_goes_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let confusion = Confusion::new(&["a".to_owned()]);
        let found = |epoch| Validation { epoch, loss: 0.5, macro_f1: 0.75, macro_recall: 0.5, confusion: &confusion };
        let plan = Plan { epochs: 3, steps: 6, first_step: 0, step_sound_s: 10.0 };
        let mut watcher = Watcher::start(folder.path(), plan, &()).unwrap();
        for epoch in 1..=2 {
            watcher.step(0.1, Some(2.0)).unwrap();
            watcher.step(0.1, None).unwrap();
            std::thread::sleep(Duration::from_millis(5));
            watcher.validated(&found(epoch)).unwrap();
        }
        drop(watcher);
        let path = folder.path().join(history::FILE);
        let before = history::read(&path).unwrap();
        assert_eq!(before.iter().map(|r| (r.step, r.sound_s)).collect::<Vec<_>>(), [(2, 20.0), (4, 40.0)]);

        let mut resumed = Watcher::start(folder.path(), Plan { first_step: 2, ..plan }, &()).unwrap();
        resumed.step(0.1, Some(1.0)).unwrap();
        resumed.step(0.1, None).unwrap();
        resumed.validated(&found(2)).unwrap();
        resumed.finish();
        let after = history::read(&path).unwrap();
        assert_eq!(after.len(), 2);
        assert_eq!(after[0], before[0]);
        assert!(after[1].step == 4 && after[1].wall_s > before[0].wall_s && after[1].sound_s == 40.0, "{after:?}");
    }
}
