//! Players and instruments held out: models that were trained as the shipped ones, for fewer passes, but never heard them,
//! asked about them. That is what a musician meets whose instrument and room are none of those in the recordings.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::{Recipe, Workshop};

/// The file of the figures.
pub const FILE: &str = "held-out.txt";

/// A training, and what it is asked about: a title and the groups, as a part of their names.
struct Trial {
    recipe: Recipe,
    /// Whether no recording of what it is asked about is left: neither this player's nor another's.
    whole_instruments: bool,
    asked: &'static [(&'static str, &'static str)],
}

/// Passes over the recordings: about half of those of the shipped models, whose validation rises little after that.
const TECHNIQUE_EPOCHS: &str = "30";
const INSTRUMENT_EPOCHS: &str = "40";

const fn techniques(name: &'static str, held_out: &'static str) -> Recipe {
    Recipe {
        name,
        config: "techniques",
        title: "Techniques",
        label_set: "techniques",
        mixtures: false,
        held_out: Some(held_out),
        epochs: Some(TECHNIQUE_EPOCHS),
    }
}

const fn instruments(name: &'static str, held_out: &'static str) -> Recipe {
    Recipe {
        name,
        config: "instruments",
        title: "Instruments",
        label_set: "every-instrument",
        mixtures: false,
        held_out: Some(held_out),
        epochs: Some(INSTRUMENT_EPOCHS),
    }
}

const OTHER_ROOMS: &str = "^(double-bass|other-rooms/(baritone-sax|archtop-guitar))/";
const ASKED_IN_OTHER_ROOMS: &[(&str, &str)] = &[
    ("double bass, recorded by D. Smolken", "double-bass/double-bass/"),
    ("saxophone, recorded by Karoryfer", "other-rooms/baritone-sax/"),
    ("guitar, recorded by Karoryfer", "other-rooms/archtop-guitar/"),
];
const PHILHARMONIA: &str = "^philharmonia/(double-bass|saxophone|guitar)/";
const ASKED_IN_PHILHARMONIA: &[(&str, &str)] = &[
    ("double bass of the Philharmonia", "philharmonia/double-bass/"),
    ("saxophone of the Philharmonia", "philharmonia/saxophone/"),
    ("guitar of the Philharmonia", "philharmonia/guitar/"),
];

const TRIALS: [Trial; 8] = [
    Trial {
        recipe: techniques("held-out-other-rooms", OTHER_ROOMS),
        whole_instruments: false,
        asked: ASKED_IN_OTHER_ROOMS,
    },
    Trial {
        recipe: techniques("held-out-philharmonia", PHILHARMONIA),
        whole_instruments: false,
        asked: ASKED_IN_PHILHARMONIA,
    },
    // Each instrument stands in one of these; two or more are left out at once, so that four trainings do for ten.
    Trial {
        recipe: techniques("held-out-clarinet-cello", "^philharmonia/(clarinet|cello)/"),
        whole_instruments: true,
        asked: &[("clarinet", "philharmonia/clarinet/"), ("cello", "philharmonia/cello/")],
    },
    Trial {
        recipe: techniques("held-out-flute-trombone", "^philharmonia/(flute|trombone)/"),
        whole_instruments: true,
        asked: &[("flute", "philharmonia/flute/"), ("trombone", "philharmonia/trombone/")],
    },
    Trial {
        recipe: techniques("held-out-bassoon-horn", "^philharmonia/(bassoon|french-horn)/"),
        whole_instruments: true,
        asked: &[("bassoon", "philharmonia/bassoon/"), ("French horn", "philharmonia/french-horn/")],
    },
    Trial {
        recipe: techniques("held-out-reeds", "^philharmonia/(oboe|english-horn|contrabassoon|bass-clarinet)/"),
        whole_instruments: true,
        asked: &[
            ("oboe", "philharmonia/oboe/"),
            ("cor anglais", "philharmonia/english-horn/"),
            ("contrabassoon", "philharmonia/contrabassoon/"),
            ("bass clarinet", "philharmonia/bass-clarinet/"),
        ],
    },
    Trial {
        recipe: instruments("held-out-instruments-other-rooms", OTHER_ROOMS),
        whole_instruments: false,
        asked: ASKED_IN_OTHER_ROOMS,
    },
    Trial {
        recipe: instruments("held-out-instruments-philharmonia", PHILHARMONIA),
        whole_instruments: false,
        asked: ASKED_IN_PHILHARMONIA,
    },
];
/// Techniques whose sound no bow or breath holds.
const NOT_BOWED: [&str; 3] = ["plucked", "struck", "none"];
/// Techniques that bowed and plucked strings have.
const EITHER: [&str; 2] = ["harmonic", "tremolo"];

/// Trains what is not trained yet, and writes [`FILE`].
pub fn measure(workshop: &Workshop<'_>) -> Result<()> {
    let mut text = String::new();
    let mut of_instruments = Vec::new();
    for Trial { recipe, whole_instruments, asked } in &TRIALS {
        workshop.train(recipe)?;
        workshop.tune(recipe)?;
        for (title, groups) in *asked {
            let predictions = ask(workshop, &mut text, recipe, title, groups)?;
            if recipe.config == "techniques" {
                bowed_or_plucked(&mut text, &predictions)?;
            }
            if *whole_instruments {
                of_instruments.push(predictions);
            }
        }
    }
    let mut pooled = vec!["evaluate", "--from-predictions"];
    pooled.extend(of_instruments.iter().map(String::as_str));
    workshop.tell(&mut text, "Techniques: the ten instruments that no recording in training was of", &pooled)?;
    let file = workshop.folder.join(FILE);
    std::fs::write(&file, text).with_context(|| format!("{}: it can't be written", file.display()))
}

/// What the model of a trial says of some of the groups that it never heard: the file of its predictions.
fn ask(workshop: &Workshop<'_>, text: &mut String, recipe: &Recipe, title: &str, groups: &str) -> Result<String> {
    let manifest = workshop.manifest(recipe);
    let all = std::fs::read_to_string(&manifest).with_context(|| manifest.clone())?;
    let mut rows = all.lines();
    let mut some: String = rows.next().unwrap_or_default().to_owned() + "\n";
    rows.filter(|row| row.contains(&format!(",{groups}"))).for_each(|row| some = format!("{some}{row}\n"));
    let name = format!("{}-{}", recipe.name, groups.trim_end_matches('/').replace('/', "-"));
    let (asked, predictions) = (workshop.path(&format!("{name}.csv")), workshop.path(&format!("{name}-said.csv")));
    std::fs::write(&asked, some).with_context(|| asked.clone())?;
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
