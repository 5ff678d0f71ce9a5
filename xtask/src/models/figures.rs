//! The figures of a shipped model: one text file of what `tocco` printed, each part below the command that made it,
//! and the page of its training.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Recipe, Workshop, negatives};
use crate::cargo::checked;

/// What recordings are heard through, one at a time: a name and the table that does it.
const DEGRADED: [(&str, &str); 7] = [
    ("40 dB softer", "[gain]\nchance = 1\npeak_dbfs = [-46, -46]"),
    ("at full scale", "[gain]\nchance = 1\npeak_dbfs = [0, 0]"),
    ("in a small room", "[room]\nchance = 1\nrt60_s = [0.4, 0.4]\nwet_db = [-12, -12]"),
    ("by a laptop's microphone", "[microphone]\nchance = 1\nkinds = [\"laptop\"]"),
    (
        "with hum 20 dB below",
        "[noise]\nchance = 1\nunder_db = [20, 20]\nshares = { coloured = 0, hum = 1, clicks = 0 }",
    ),
    (
        "with pink noise 20 dB below",
        "[noise]\nchance = 1\nunder_db = [20, 20]\nshares = { coloured = 0, hum = 0, clicks = 0, pink = 1 }",
    ),
    ("at 48 kHz", ""),
];
/// Everything that augmentation does by itself, switched off.
const USUALLY_ON: [&str; 10] =
    ["pitch_shift", "release", "section", "swell", "tone_colour", "room", "gain", "noise", "floor", "band_mask"];

/// Writes `NAME.txt`: the figures of a model file.
pub fn measure(workshop: &Workshop<'_>, recipe: &Recipe, model: &str) -> Result<()> {
    negatives::held_out(&workshop.folder.join("negatives"))?;
    let manifest = workshop.manifest(recipe);
    let mut text = String::new();
    workshop.tell(&mut text, "The model", &["inspect", model])?;
    workshop.tell(&mut text, "Held-out recordings", &["evaluate", "--model", model, "--manifest", &manifest])?;
    if recipe.mixtures {
        let name = format!("{}-of-one", recipe.name);
        let of_one = workshop.part_of(&manifest, &name, |row| row.contains(",test,") && !row.contains(",none,"))?;
        let title = "Held-out recordings of one instrument: the likeliest class";
        workshop.tell(&mut text, title, &["evaluate", "--model", model, "--manifest", &of_one])?;
        let mixtures = workshop.mixtures(recipe, "test")?;
        let title = "Mixtures of two to six held-out notes";
        workshop.tell(&mut text, title, &["evaluate", "--model", model, "--manifest", &mixtures])?;
    }
    // With the policy as the plugin has it: what is recalled at the settings at which false triggers are counted.
    // Phrases are grouped by file.
    let name = format!("{}-single-notes", recipe.name);
    let notes = workshop.part_of(&manifest, &name, |row| !row.contains("/file:"))?;
    workshop.tell(&mut text, "Single notes", &["evaluate", "--notes", "--model", model, "--manifest", &notes])?;
    for kind in negatives::KINDS {
        let folder = workshop.path(&format!("negatives/{kind}"));
        let title = format!("False triggers: {kind}");
        workshop.tell(&mut text, &title, &["evaluate", "--model", model, "--negatives", &folder])?;
    }
    for (what, table) in DEGRADED {
        let copies = degraded(workshop, recipe, what, table)?;
        let title = format!("Held-out recordings {what}");
        workshop.tell(&mut text, &title, &["evaluate", "--model", model, "--manifest", &copies])?;
    }
    let coded = coded(workshop, recipe)?;
    let title = "Held-out recordings through MP3 at 96 kbit/s";
    workshop.tell(&mut text, title, &["evaluate", "--model", model, "--manifest", &coded])?;
    let path = workshop.path(&format!("{}.txt", recipe.name));
    std::fs::write(&path, text).with_context(|| format!("{path}: it can't be written"))
}

/// Writes `NAME.html`, the page of a training.
pub fn page(workshop: &Workshop<'_>, recipe: &Recipe) -> Result<()> {
    let page = workshop.path(&format!("{}.html", recipe.name));
    workshop.tocco(&["report", "--run", &workshop.path(recipe.name), "--no-audio", "--out", &page])
}

/// Copies of the held-out recordings, all in one way worse.
fn degraded(workshop: &Workshop<'_>, recipe: &Recipe, what: &str, table: &str) -> Result<String> {
    let folder = workshop.path(&format!("{}-{}", recipe.name, what.replace([' ', '\''], "-")));
    let manifest = format!("{folder}/manifest.csv");
    if Path::new(&manifest).is_file() {
        return Ok(manifest);
    }
    let mut config = String::new();
    for effect in USUALLY_ON.iter().filter(|effect| !table.starts_with(&format!("[{effect}]"))) {
        writeln!(config, "[{effect}]\nchance = 0")?;
    }
    config += table;
    let file = format!("{folder}.toml");
    std::fs::write(&file, config)?;
    let rate = if what.contains("48 kHz") { "48000" } else { "44100" };
    let source = workshop.manifest(recipe);
    let what = ["augment", "--manifest", &source, "--split", "test", "--without-originals", "--config", &file];
    workshop.tocco(&[&what[..], &["--rate", rate, "--out", &folder]].concat())?;
    Ok(manifest)
}

/// Copies of the held-out recordings through a coder of MP3.
fn coded(workshop: &Workshop<'_>, recipe: &Recipe) -> Result<String> {
    let folder = workshop.folder.join(format!("{}-mp3", recipe.name));
    let path = folder.join("manifest.csv");
    if path.is_file() {
        return Ok(path.display().to_string());
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let source = workshop.manifest(recipe);
    let rows = std::fs::read_to_string(&source).with_context(|| source.clone())?;
    let mut manifest = rows.lines().next().map(|heading| format!("{heading}\n")).unwrap_or_default();
    for (number, row) in rows.lines().filter(|row| row.contains(",test,")).enumerate() {
        let (recording, rest) = row.split_once(',').with_context(|| source.clone())?;
        let (recording, copy) = (workshop.folder.join(recording.trim_matches('"')), format!("{number:05}.mp3"));
        let mut command = Command::new("ffmpeg");
        command.args(["-loglevel", "error", "-y", "-i"]).arg(&recording).args(["-b:a", "96k"]).arg(folder.join(&copy));
        checked(&mut command)?;
        writeln!(manifest, "{copy},{rest}")?;
    }
    std::fs::write(&path, manifest)?;
    Ok(path.display().to_string())
}

impl Workshop<'_> {
    /// Runs `tocco` and puts what it prints into the text.
    pub(super) fn tell(&self, text: &mut String, title: &str, arguments: &[&str]) -> Result<()> {
        println!("{title} ...");
        let output = self.workspace.command(&self.tocco).args(arguments).output().with_context(|| title.to_owned())?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tocco {}: {errors}", arguments.join(" "));
        let root = format!("{}/", self.workspace.root().display());
        let said = String::from_utf8_lossy(&output.stdout).replace(&root, "");
        writeln!(text, "## {title}\n\n    tocco {}\n\n{said}", arguments.join(" ").replace(&root, ""))?;
        Ok(())
    }
}
