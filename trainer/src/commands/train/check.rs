//! Whether the options of a training make sense.

use anyhow::{Context, Result, bail, ensure};
use tocco_models::{LogMel, MOST_EXTRA_WINDOWS};

use super::LearningArgs;
use crate::net::{Hearing, OnSummary, Shape, SummaryShape};
use crate::train::{OptimizerKind, Options};

/// Frames of the shortest window.
const FEWEST_FRAMES: usize = 8;

/// Refuses what can't be meant, before anything is read.
pub(super) fn check(options: &Options, checkpoint_s: f64) -> Result<()> {
    let positive = [
        ("--epochs", options.epochs),
        ("--batch-size", options.batch_size),
        ("--windows-per-scene", options.windows_per_scene),
        ("--mels", options.frontend.mels),
        ("--frames-per-step", options.frames_per_step),
        ("--hop", options.frontend.hop),
        ("--accumulate", options.training.accumulate),
        ("--plateau", options.training.plateau),
    ];
    if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
        bail!("{name} is 0: it must be at least 1");
    }
    check_shape(options)?;
    let ranges = [
        ("--stay", options.stay, 0.0, 1.0),
        ("--overlap", options.overlap, 0.0, 1.0),
        ("--room", options.augmentation.room.chance, 0.0, 1.0),
        ("--balance", options.balance, 0.0, 1.0),
        ("--none-share", options.none_share, 0.0, 100.0),
        ("--scene-s", options.scene_s, 0.5, 20.0),
        ("--semitones", options.augmentation.pitch_shift.semitones.1, 0.0, 12.0),
        ("--tone-db", options.augmentation.tone_colour.db, 0.0, 40.0),
        ("--teacher-weight", options.training.teacher_weight, 0.0, 1.0),
        ("--teacher-temperature", options.training.teacher_temperature, 0.5, 20.0),
        ("--averaging", options.training.averaging, 0.0, 0.99999),
    ];
    if let Some((name, value, low, high)) = ranges.iter().find(|(_, value, low, high)| !(*low..=*high).contains(value))
    {
        bail!("{name} is {value}: it must lie between {low} and {high}");
    }
    for (name, value, high) in [("--warm-up", options.training.warm_up, 0.5), ("--checkpoint-s", checkpoint_s, 1e6)] {
        ensure!((0.0..=high).contains(&value), "{name} is {value}: it must lie between 0 and {high}");
    }
    check_frontend(options)?;
    if !(options.lr > 0.0 && options.lr <= 1.0) {
        bail!("--lr is {}: it must lie between 0 and 1", options.lr);
    }
    Ok(())
}

/// What is minimised, and when it is enough: of whole networks and of heads on encoders.
pub(super) fn check_loss(asked: &LearningArgs) -> Result<()> {
    let LearningArgs { label_smoothing, focal, class_balance, patience, .. } = asked;
    for (name, value, high) in [("--label-smoothing", label_smoothing, 0.5), ("--focal", focal, 10.0)] {
        ensure!((0.0..=high).contains(value), "{name} is {value}: it must lie between 0 and {high}");
    }
    ensure!(
        (0.0..=0.999_999_999).contains(class_balance),
        "--class-balance is {class_balance}: it must lie between 0 and 0.999999999"
    );
    ensure!(*patience != Some(0), "--patience is 0: it must be at least 1");
    Ok(())
}

fn check_frontend(options: &Options) -> Result<()> {
    let (frontend, rate) = (&options.frontend, options.sample_rate);
    ensure!((8000..=96_000).contains(&rate), "--sample-rate is {rate}: it must lie between 8000 and 96000");
    ensure!(
        (16..=65_536).contains(&frontend.fft_size),
        "--fft-size is {}: it must lie between 16 and 65536",
        frontend.fft_size
    );
    let half = rate as f32 / 2.0;
    ensure!(
        frontend.fmin >= 0.0 && frontend.fmin < frontend.fmax && frontend.fmax <= half,
        "--fmin is {} and --fmax is {}: the first must lie under the second, and that no higher than half of the \
         sample rate, {half}",
        frontend.fmin,
        frontend.fmax
    );
    check_extra_windows(options)?;
    LogMel::new(rate, frontend).context("--fft-size, --window, --hop, --mels, --fmin and --fmax do not go together")?;
    Ok(())
}

fn check_extra_windows(options: &Options) -> Result<()> {
    let (extra, window) = (&options.frontend.extra_windows, options.frontend.window);
    if let Some(other) = extra.iter().find(|extra| !(16..=window).contains(*extra)) {
        bail!("--extra-windows: {other} must lie between 16 and --window, which is {window}");
    }
    let takes = match &options.shape {
        Shape::Convolutional(shape) => shape.resolutions - 1..=shape.resolutions - 1,
        Shape::Ast(_) | Shape::CbamCnn(_) | Shape::MsCrnn(_) => 0..=0,
        _ => 0..=MOST_EXTRA_WINDOWS,
    };
    let (count, least, most) = (extra.len(), takes.start(), takes.end());
    ensure!(
        takes.contains(&count),
        "--extra-windows: {count} do not go with this network: it takes {least}{}",
        if least < most { format!(" to {most}") } else { String::new() }
    );
    Ok(())
}

fn check_shape(options: &Options) -> Result<()> {
    if let Hearing::Window { frames } = options.shape.hearing() {
        ensure!(
            frames >= FEWEST_FRAMES,
            "--segment: {frames} frames are too few for a network, it needs {FEWEST_FRAMES}"
        );
    }
    ensure!(
        options.segments.is_none() || options.augmentation.mixup.chance == 0.0,
        "mixup.chance is {}: it mixes scenes, and windows are cut from single recordings; set it to 0",
        options.augmentation.mixup.chance
    );
    ensure!(
        options.segments.is_none() || options.augmentation.glide.chance + options.augmentation.slur.chance == 0.0,
        "glide.chance and slur.chance make notes for scenes, and windows are cut from single recordings; set them to 0"
    );
    ensure!(
        options.training.optimizer == OptimizerKind::Adamw || !matches!(options.shape, Shape::Summary(_)),
        "--optimizer muon is for weight matrices between layers: this network has none; leave it out"
    );
    match &options.shape {
        Shape::StreamTcn(shape) => {
            ensure!(shape.channels > 0, "--channels is 0: it must be at least 1");
            ensure!(
                !shape.dilations.is_empty() && !shape.dilations.contains(&0),
                "--dilations must be numbers from 1, separated by commas"
            );
            ensure!((0.0..=6000.0).contains(&shape.memory_frames), "--memory-s must lie between 0 and 60");
        }
        Shape::StreamGru(shape) => ensure!(shape.hidden > 0, "--channels is 0: it must be at least 1"),
        Shape::Convolutional(shape) => {
            let mels = options.frontend.mels;
            let [_, high, wide] = shape.left(mels);
            ensure!(high > 0, "--mels is {mels}: too few for this network, whose poolings leave nothing of them");
            ensure!(
                wide > 0,
                "--segment: {} frames are too few for this network, whose poolings leave nothing of them",
                shape.frames
            );
        }
        Shape::Ast(shape) => {
            let (mels, high) = (options.frontend.mels, shape.patch[0]);
            ensure!(mels.is_multiple_of(high), "--mels is {mels}: this network cuts the bands into patches of {high}");
            let (frames, wide) = (shape.frames, shape.patch[1]);
            ensure!(
                frames.is_multiple_of(wide),
                "--segment: these are {frames} frames, and this network cuts them into patches of {wide}: --segment {} \
                 would do",
                (frames - frames % wide) as f32 * options.frontend.hop as f32 / options.sample_rate as f32
            );
        }
        Shape::Summary(SummaryShape { on: OnSummary::Svm(_), .. }) => ensure!(
            !options.own_heads,
            "a support vector machine tells each class from the rest already: it has no use for heads of their own"
        ),
        Shape::CbamCnn(_) | Shape::MsCrnn(_) | Shape::Summary(_) | Shape::Pooled(_) => {}
    }
    Ok(())
}
