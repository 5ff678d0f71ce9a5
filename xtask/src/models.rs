//! `cargo xtask models`: remakes the shipped models from the recordings, and measures them.
//!
//! Everything lies in `target/models` until the end; what is there already is not made again, and a training that was
//! cut off goes on, so that the command can be started again whenever it ended too early.

mod figures;
mod held_out;
mod negatives;
mod noises;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cargo::{Workspace, checked};
use crate::setup;

/// One model: a shipped one, or one that was kept from some recordings to see how it hears them.
#[derive(Clone)]
struct Recipe {
    /// Name of its files.
    name: &'static str,
    /// How it is trained: the name of a file in trainer/recipes.
    config: &'static str,
    /// What its card calls it.
    title: &'static str,
    /// The choice of recordings in trainer/recipes/labels.toml.
    label_set: &'static str,
    /// Whether it is validated, tuned and judged on mixtures of notes too, since any number of its classes may sound.
    mixtures: bool,
    /// Groups of recordings that training does not know, as `tocco prepare --hold-out` takes them.
    held_out: Option<String>,
    /// Passes over the recordings, where they are not those of the file.
    epochs: Option<&'static str>,
}

static TECHNIQUES: Recipe = Recipe {
    name: "techniques",
    config: "techniques",
    title: "Techniques",
    label_set: "techniques",
    mixtures: false,
    held_out: None,
    epochs: None,
};
static INSTRUMENTS: Recipe = Recipe {
    name: "instruments",
    config: "instruments",
    title: "Instruments",
    label_set: "every-instrument",
    mixtures: true,
    held_out: None,
    epochs: None,
};
static RECIPES: [&Recipe; 2] = [&TECHNIQUES, &INSTRUMENTS];

/// Decides, with the groups' names, in which split each recording stands.
const SEED: &str = "1";

/// What all steps need.
struct Workshop<'a> {
    workspace: &'a Workspace,
    /// The command `tocco`.
    tocco: PathBuf,
    /// Where everything is made.
    folder: PathBuf,
    /// The collections.
    recordings: PathBuf,
}

/// Makes and measures all models, or the one of this name.
///
/// # Errors
/// Where the recordings are missing, or a step fails: its command is named.
pub fn make(workspace: &Workspace, only: Option<&str>) -> Result<()> {
    let chosen = chosen(only)?;
    let workshop = Workshop::open(workspace)?;
    for recipe in &chosen {
        workshop.train(recipe)?;
        workshop.tune(recipe)?;
    }
    for recipe in &chosen {
        figures::measure(&workshop, recipe, &workshop.path(&format!("{}.onnx", recipe.name)))?;
        figures::page(&workshop, recipe)?;
    }
    for recipe in &chosen {
        for ending in ["onnx", "txt", "html"] {
            workshop.ship(&format!("{}.{ending}", recipe.name))?;
        }
    }
    println!("models/library holds the new models and their figures: look at the changes before they are committed");
    Ok(())
}

/// Measures the shipped models anew, all or the one of this name: after a change of the usual settings or of what is
/// measured.
///
/// # Errors
/// As [`make`].
pub fn measure(workspace: &Workspace, only: Option<&str>) -> Result<()> {
    let chosen = chosen(only)?;
    let workshop = Workshop::open(workspace)?;
    for recipe in &chosen {
        let shipped = workspace.root().join(format!("models/library/{}.onnx", recipe.name));
        workshop.divide(recipe)?;
        figures::measure(&workshop, recipe, &shipped.display().to_string())?;
        workshop.ship(&format!("{}.txt", recipe.name))?;
    }
    Ok(())
}

/// What becomes of rooms and instruments that training did not know: hours of trainings, which go on where they were cut
/// off.
///
/// # Errors
/// As [`make`].
pub fn full_report(workspace: &Workspace, only: Option<&str>) -> Result<()> {
    let chosen = chosen(only)?;
    let workshop = Workshop::open(workspace)?;
    chosen.iter().try_for_each(|recipe| held_out::measure(&workshop, recipe))
}

fn chosen(only: Option<&str>) -> Result<Vec<&'static Recipe>> {
    let chosen: Vec<&Recipe> =
        RECIPES.into_iter().filter(|recipe| only.is_none_or(|name| recipe.name == name)).collect();
    let names = RECIPES.map(|recipe| recipe.name).join(", ");
    ensure!(!chosen.is_empty(), "there is no recipe «{}»; there are {names}", only.unwrap_or_default());
    Ok(chosen)
}

impl<'a> Workshop<'a> {
    /// Installs and builds what is needed, and makes what the models keep quiet at.
    fn open(workspace: &'a Workspace) -> Result<Self> {
        setup::system_packages(setup::Need::Models)?;
        let recordings = std::env::var_os("TOCCO_RECORDINGS").map_or_else(|| "../shared/data".into(), PathBuf::from);
        ensure!(
            recordings.join("philharmonia").is_dir(),
            "{}: the recordings that the models are trained on are not there; TOCCO_RECORDINGS names another folder",
            recordings.display()
        );
        // As the tests are built, so that nothing is compiled twice.
        checked(workspace.cargo().args(["build", "--workspace", "--lib", "--bins", "--tests"]))?;
        let tocco = workspace.profile_folder("debug").join(format!("tocco{}", std::env::consts::EXE_SUFFIX));
        let workshop = Workshop { workspace, tocco, folder: workspace.target().join("models"), recordings };
        negatives::train(&workshop.folder.join("made"))?;
        noises::make(&workshop.folder.join("noises/made"))?;
        Ok(workshop)
    }

    fn tocco(&self, arguments: &[&str]) -> Result<()> {
        checked(self.workspace.command(&self.tocco).args(arguments))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Puts a file of the workshop beside the shipped models.
    fn ship(&self, file: &str) -> Result<()> {
        let library = self.workspace.root().join("models/library").join(file);
        std::fs::copy(self.folder.join(file), &library)
            .with_context(|| format!("{}: it can't be written", library.display()))?;
        Ok(())
    }

    fn manifest(&self, recipe: &Recipe) -> String {
        self.path(&format!("{}.csv", recipe.name))
    }

    /// A manifest, `NAME.csv`, of some recordings of another: its path.
    fn part_of(&self, manifest: &str, name: &str, is_chosen: impl Fn(&str) -> bool) -> Result<String> {
        let all = std::fs::read_to_string(manifest).with_context(|| manifest.to_owned())?;
        let mut rows = all.lines();
        let heading = rows.next().unwrap_or_default();
        let chosen = std::iter::once(heading).chain(rows.filter(|row| is_chosen(row)));
        let path = self.path(&format!("{name}.csv"));
        std::fs::write(&path, chosen.map(|row| format!("{row}\n")).collect::<String>())
            .with_context(|| format!("{path}: it can't be written"))?;
        Ok(path)
    }

    /// Trains, or goes on with a training that was cut off.
    fn train(&self, recipe: &Recipe) -> Result<()> {
        let run = self.path(recipe.name);
        if Path::new(&run).join("model.onnx").is_file() {
            println!("{run}: trained already");
            return Ok(());
        }
        if Path::new(&run).join("config.toml").is_file() {
            return self.tocco(&["train", "--resume", &run]);
        }
        self.divide(recipe)?;
        let config = format!("trainer/recipes/{}.toml", recipe.config);
        let manifest = if recipe.mixtures { self.notes_and_mixtures(recipe)? } else { self.manifest(recipe) };
        let epochs = recipe.epochs.map(|epochs| vec!["--epochs", epochs]).unwrap_or_default();
        self.tocco(&[&["train", "--config", &config, "--manifest", &manifest, "--out", &run], &epochs[..]].concat())
    }

    /// Writes the manifest: which recording is for training, for validation, for the test. It gets its name when it is
    /// whole.
    fn divide(&self, recipe: &Recipe) -> Result<()> {
        let half = self.path(&format!("{}-half.csv", recipe.name));
        let (recordings, made) = (self.recordings.display().to_string(), self.path("made"));
        let chosen = ["--label-set", recipe.label_set, "--seed", SEED, "--out", &half];
        let held_out = recipe.held_out.as_ref().map(|groups| vec!["--hold-out", groups.as_str()]).unwrap_or_default();
        self.tocco(&[&["prepare", &recordings, &made], &chosen[..], &held_out].concat())?;
        // Noises and foreign instruments are for learning: in the test they would count as easy silence.
        let (noises, noises_manifest) = (self.path("noises"), self.path(&format!("{}-noises.csv", recipe.name)));
        let chosen = ["--label-set", recipe.label_set, "--seed", SEED, "--test-ratio", "0", "--out", &noises_manifest];
        self.tocco(&[&["prepare", &noises], &chosen[..]].concat())?;
        append(&half, &std::fs::read_to_string(&noises_manifest)?, "")?;
        std::fs::rename(&half, self.manifest(recipe)).with_context(|| format!("{half}: it can't be renamed"))
    }

    /// Temperature and thresholds from the validation split.
    fn tune(&self, recipe: &Recipe) -> Result<()> {
        let (run, named) = (self.path(recipe.name), self.path(&format!("{}-untuned.onnx", recipe.name)));
        let tuned = self.path(&format!("{}.onnx", recipe.name));
        self.tocco(&["export", "--run", &run, "--name", recipe.title, "--out", &named])?;
        let tune_on = if recipe.mixtures { self.notes_and_mixtures(recipe)? } else { self.manifest(recipe) };
        self.tocco(&[
            "evaluate",
            "--model",
            &named,
            "--manifest",
            &tune_on,
            "--split",
            "val",
            "--tune",
            "--write-card",
            &tuned,
        ])
    }

    /// The manifest of the notes with the mixtures of the validation split in it: a plugin hears one instrument as often
    /// as several. Weights that single notes alone would choose miss the softer ones of several, and thresholds that
    /// mixtures alone would choose find company in a single note.
    fn notes_and_mixtures(&self, recipe: &Recipe) -> Result<String> {
        let path = self.path(&format!("{}-tune.csv", recipe.name));
        std::fs::copy(self.manifest(recipe), &path).with_context(|| format!("{path}: it can't be written"))?;
        append(&path, &std::fs::read_to_string(self.mixtures(recipe, "val")?)?, "mixtures-val/")?;
        Ok(path)
    }

    /// Mixtures of two to six notes of one split, and their manifest.
    fn mixtures(&self, recipe: &Recipe, split: &str) -> Result<String> {
        let folder = self.path(&format!("mixtures-{split}"));
        let manifest = format!("{folder}/manifest.csv");
        if !Path::new(&manifest).is_file() {
            // As trainer/recipes/divisions.toml has it.
            let seed = if split == "val" { "2" } else { "3" };
            let notes = self.manifest(recipe);
            let how = ["--count", "1000", "--polyphony", "2..6", "--gain-db", "-12..0", "--rate", "24000"];
            let what = ["mix", "--manifest", &notes, "--split", split, "--seed", seed, "--out", &folder];
            self.tocco(&[&what, &how[..]].concat())?;
        }
        Ok(manifest)
    }
}

/// Adds the rows of a manifest to those of the file `path`; before the paths in them goes the folder that they are relative
/// to.
fn append(path: &str, rows: &str, folder: &str) -> Result<()> {
    let mut both = std::fs::read_to_string(path)?;
    let mut rows = rows.lines();
    ensure!(rows.next() == both.lines().next(), "{path}: the manifest to add has other columns");
    for row in rows {
        // A row begins with its path.
        both.push_str(folder);
        both.push_str(row);
        both.push('\n');
    }
    std::fs::write(path, both).with_context(|| format!("{path}: it can't be written"))
}
