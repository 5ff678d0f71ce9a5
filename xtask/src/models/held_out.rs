//! Players and instruments held out: models that were trained as the shipped ones, for fewer passes, but never heard them,
//! asked about them. That is what a musician meets whose instrument and room are none of those in the recordings.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::{INSTRUMENTS, Recipe, TECHNIQUES, Workshop};

/// A training that hears no recording of some groups, and is asked about them.
struct Trial {
    name: &'static str,
    /// As what it is trained otherwise.
    like: &'static Recipe,
    epochs: &'static str,
    /// Whether no recording of what it is asked about is left: neither this player's nor another's.
    whole_instruments: bool,
    /// A title, and how the groups' names begin.
    asked: &'static [(&'static str, &'static str)],
}

/// Passes over the recordings: about half of those of the shipped models, whose validation rises little after that.
const TECHNIQUE_EPOCHS: &str = "30";
const INSTRUMENT_EPOCHS: &str = "40";

const fn techniques(name: &'static str, asked: &'static [(&'static str, &'static str)]) -> Trial {
    Trial { name, like: &TECHNIQUES, epochs: TECHNIQUE_EPOCHS, whole_instruments: false, asked }
}

const fn instruments(name: &'static str, asked: &'static [(&'static str, &'static str)]) -> Trial {
    Trial { name, like: &INSTRUMENTS, epochs: INSTRUMENT_EPOCHS, whole_instruments: false, asked }
}

const fn whole_instruments(name: &'static str, asked: &'static [(&'static str, &'static str)]) -> Trial {
    Trial { whole_instruments: true, ..techniques(name, asked) }
}

const OTHER_ROOMS: &[(&str, &str)] = &[
    ("double bass, recorded by D. Smolken", "double-bass/double-bass/"),
    ("saxophone, recorded by Karoryfer", "other-rooms/baritone-sax/"),
    ("guitar, recorded by Karoryfer", "other-rooms/archtop-guitar/"),
];
const PHILHARMONIA: &[(&str, &str)] = &[
    ("double bass of the Philharmonia", "philharmonia/double-bass/"),
    ("saxophone of the Philharmonia", "philharmonia/saxophone/"),
    ("guitar of the Philharmonia", "philharmonia/guitar/"),
];

const TRIALS: [Trial; 8] = [
    techniques("held-out-other-rooms", OTHER_ROOMS),
    techniques("held-out-philharmonia", PHILHARMONIA),
    // Two or more are left out at once, so that four trainings do for ten.
    whole_instruments(
        "held-out-clarinet-cello",
        &[("clarinet", "philharmonia/clarinet/"), ("cello", "philharmonia/cello/")],
    ),
    whole_instruments(
        "held-out-flute-trombone",
        &[("flute", "philharmonia/flute/"), ("trombone", "philharmonia/trombone/")],
    ),
    whole_instruments(
        "held-out-bassoon-horn",
        &[("bassoon", "philharmonia/bassoon/"), ("French horn", "philharmonia/french-horn/")],
    ),
    whole_instruments(
        "held-out-reeds",
        &[
            ("oboe", "philharmonia/oboe/"),
            ("cor anglais", "philharmonia/english-horn/"),
            ("contrabassoon", "philharmonia/contrabassoon/"),
            ("bass clarinet", "philharmonia/bass-clarinet/"),
        ],
    ),
    instruments("held-out-instruments-other-rooms", OTHER_ROOMS),
    instruments("held-out-instruments-philharmonia", PHILHARMONIA),
];

impl Trial {
    fn recipe(&self) -> Recipe {
        let groups: Vec<&str> = self.asked.iter().map(|(_, groups)| *groups).collect();
        let held_out = Some(format!("^({})", groups.join("|")));
        // The mixtures there are hold recordings that this training must not know.
        Recipe { name: self.name, held_out, epochs: Some(self.epochs), mixtures: false, ..self.like.clone() }
    }
}

/// Techniques whose sound no bow or breath holds.
const NOT_BOWED: [&str; 3] = ["plucked", "struck", "none"];
/// Techniques that bowed and plucked strings have.
const EITHER: [&str; 2] = ["harmonic", "tremolo"];

/// Trains what is not trained yet. `NAME-held-out.txt` beside the shipped models holds what is known so far, after each
/// training.
pub fn measure(workshop: &Workshop<'_>, like: &Recipe) -> Result<()> {
    let file = format!("{}-held-out.txt", like.name);
    let path = workshop.folder.join(&file);
    let keep = |text: &str| {
        std::fs::write(&path, text).with_context(|| format!("{}: it can't be written", path.display()))?;
        workshop.ship(&file)
    };
    let mut text = String::new();
    let mut of_instruments = Vec::new();
    for trial in TRIALS.iter().filter(|trial| trial.like.name == like.name) {
        let recipe = trial.recipe();
        workshop.train(&recipe)?;
        workshop.tune(&recipe)?;
        for (title, groups) in trial.asked {
            let predictions = ask(workshop, &mut text, &recipe, title, groups)?;
            if like.name == TECHNIQUES.name {
                bowed_or_plucked(&mut text, &predictions)?;
            }
            if trial.whole_instruments {
                of_instruments.push(predictions);
            }
        }
        keep(&text)?;
    }
    if !of_instruments.is_empty() {
        let title = format!("{}: the instruments that no recording in training was of", like.title);
        let mut pooled = vec!["evaluate", "--from-predictions"];
        pooled.extend(of_instruments.iter().map(String::as_str));
        workshop.tell(&mut text, &title, &pooled)?;
        keep(&text)?;
    }
    Ok(())
}

/// What the model of a trial says of some of the groups that it never heard: the file of its predictions.
fn ask(workshop: &Workshop<'_>, text: &mut String, recipe: &Recipe, title: &str, groups: &str) -> Result<String> {
    let name = format!("{}-{}", recipe.name, groups.trim_end_matches('/').replace('/', "-"));
    let begins = format!(",{groups}");
    let asked = workshop.part_of(&workshop.manifest(recipe), &name, |row| row.contains(&begins))?;
    let predictions = workshop.path(&format!("{name}-said.csv"));
    let model = workshop.path(&format!("{}.onnx", recipe.name));
    let title = format!("{}: {title}, unknown to training", recipe.title);
    workshop.tell(
        text,
        &title,
        &["evaluate", "--model", &model, "--manifest", &asked, "--predictions", &predictions],
    )?;
    Ok(predictions)
}

/// How many of the bowed or blown recordings were called something bowed or blown, and of the plucked ones plucked.
/// Harmonics and tremolos do not say which of the two they are.
fn bowed_or_plucked(text: &mut String, predictions: &str) -> Result<()> {
    let said = std::fs::read_to_string(predictions).with_context(|| predictions.to_owned())?;
    let mut rows = said.lines();
    let columns = rows.next().unwrap_or_default().split(',').count();
    let mut held = (0_u32, 0_u32);
    let mut plucked = (0_u32, 0_u32);
    for row in rows {
        // Paths may hold commas: the columns are counted from the end.
        let cells: Vec<&str> = row.split(',').collect();
        let first = cells.len().saturating_sub(columns - 1);
        let (Some(label), Some(answer)) = (cells.get(first), cells.get(first + 1)) else { continue };
        match *label {
            "plucked" => plucked = (plucked.0 + u32::from(*answer == "plucked"), plucked.1 + 1),
            label if !NOT_BOWED.contains(&label) && !EITHER.contains(&label) => {
                held = (held.0 + u32::from(!NOT_BOWED.contains(answer)), held.1 + 1);
            }
            _ => {}
        }
    }
    writeln!(text, "bowed or blown {} of {}, plucked {} of {}", held.0, held.1, plucked.0, plucked.1)?;
    if held.1 > 0 && plucked.1 > 0 {
        let recall = |(right, all): (u32, u32)| f64::from(right) / f64::from(all);
        writeln!(text, "macro-recall of the two {:.3}", f64::midpoint(recall(held), recall(plucked)))?;
    }
    writeln!(text).map_err(Into::into)
}
