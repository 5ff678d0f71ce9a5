//! `tocco train --encoder`: which of the options say something about the head of an encoder.

use anyhow::{Result, bail, ensure};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};

use super::{Args, check, command, config};
use crate::encoder::{HeadKind, HeadTraining};
use crate::toml_file::TomlFile;

/// Options that hold with and without an encoder; those of its own stand under [`OWN`].
const SHARED: [&str; 20] = [
    "config",
    "manifest",
    "out",
    "device",
    "seed",
    "task",
    "epochs",
    "batch-size",
    "lr",
    "weight-decay",
    "loss",
    "focal",
    "class-balance",
    "label-smoothing",
    "patience",
    "segment",
    "segment-overlap",
    "padding",
    "trim",
    "no-report",
];
/// The heading of an encoder's options.
const OWN: &str = "Encoder";
/// Embeddings are kept, so what they are made of must lie on disk.
const AS_THEY_ARE: &str =
    "an encoder hears the recordings as they are: «tocco augment» writes varied copies and a manifest of them";

/// The training of a head: quick, since the embeddings are there. `tables`: the file of `--config`, where its tables of
/// augmentation count.
///
/// # Errors
/// Where an option is given that would be silently ignored, or a number makes no sense.
pub(super) fn training(args: &Args, matches: &ArgMatches, tables: Option<&TomlFile>) -> Result<HeadTraining> {
    refuse_others(matches)?;
    if let Some(file) = tables.filter(|file| config::augments(file).unwrap_or(false)) {
        let at = file.path().display();
        bail!("{at}: [augment] does not go with --encoder: {AS_THEY_ARE}");
    }
    let training = HeadTraining {
        task: args.task.task(),
        head: HeadKind::Linear,
        epochs: args.learning.epochs.unwrap_or(30),
        batch_size: args.learning.batch_size.unwrap_or(32),
        lr: args.learning.lr.unwrap_or(2e-3),
        weight_decay: args.learning.weight_decay,
        loss: args.learning.loss,
        focal: args.learning.focal,
        class_balance: args.learning.class_balance,
        label_smoothing: args.learning.label_smoothing,
        patience: args.learning.patience,
        seed: args.seed,
        windows: 1,
        cut: None,
        decision_s: 0.1,
    };
    check::check_loss(&args.learning)?;
    for (name, value) in [("--epochs", training.epochs), ("--batch-size", training.batch_size)] {
        ensure!(value > 0, "{name} is 0: it must be at least 1");
    }
    ensure!(training.lr > 0.0 && training.lr <= 1.0, "--lr is {}: it must lie between 0 and 1", training.lr);
    Ok(training)
}

/// Whether an option says something about a head.
pub(super) fn is_used(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(OWN) || arg.get_long().is_some_and(|name| SHARED.contains(&name))
}

/// Refuses what only the training of a whole network uses.
fn refuse_others(matches: &ArgMatches) -> Result<()> {
    let command = command();
    let given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    for arg in command.get_arguments().filter(given).filter(|arg| !is_used(arg)) {
        let Some(name) = arg.get_long() else { continue };
        let why = match (name, arg.get_help_heading()) {
            ("from", _) => "a head on an encoder begins anew",
            ("teacher" | "teacher-weight" | "teacher-temperature", _) => "it teaches whole networks",
            ("workers", _) => "the embeddings are there before the head learns",
            ("sounds-on-disk", _) => "recordings are heard one by one, and only the embeddings are kept",
            ("checkpoint-s", _) => "a head is trained too quickly for checkpoints",
            (_, Some("Net")) => "the network is the encoder with the --head on it",
            (_, Some("Frontend")) => "what the encoder hears is said with --encoder-rate, --encoder-mels and so on",
            (_, Some("Augment")) => AS_THEY_ARE,
            (_, Some("Data")) => "an encoder hears the recordings as they are, one by one",
            (_, Some("Schedule")) => "a head learns by AdamW, at a rate that falls as a cosine",
            ("devices", _) => "a head learns on one device",
            _ => "a head learns without it",
        };
        bail!("--{name} does not go with --encoder: {why}");
    }
    Ok(())
}
