//! Published datasets, read from a local folder in the layout that they are published in.
//!
//! Each importer says what a recording is and what it belongs together with; nothing is decoded here. What each one
//! relies on stands at the head of its file.
//!
//! | dataset | labels | stays together by default | official splits |
//! |---|---|---|---|
//! | Philharmonia names | instrument, or technique | instrument and pitch; a phrase alone | |
//! | IRMAS | predominant instruments | source recording | train, test |
//! | OpenMIC-2018 | instruments that were checked | excerpt | train, test |
//! | NSynth | family, or instrument | instrument | train, val, test |
//! | FSDKaggle2018 | sound | clip | train, test |
//! | VocalSet | technique, or singer | singer | train, test, where its lists are there |
//! | Musical Instruments Sound Dataset | instrument | clip | train, test |
//! | Medley-solos-DB | instrument | song | train, val, test |
//! | GFDatabase, EG-IPT | technique | take, over all microphones | |

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::audio;
use crate::collect::{Attribute, Candidate, Found, GroupBy, from_root, group_of};
use crate::manifest::Split;
use crate::pitch::Pitch;

mod fsdkaggle;
mod irmas;
mod kaggle_instruments;
mod medley;
mod nsynth;
mod openmic;
mod philharmonia;
mod playing_techniques;
mod table;
mod vocalset;

/// The layouts that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Dataset {
    /// CLASS/files, or train|val|test/.../CLASS/files.
    Folders,
    /// INSTRUMENT_PITCH_LENGTH_DYNAMIC_TECHNIQUE.mp3 anywhere below the folder.
    Philharmonia,
    /// IRMAS-TrainingData with labels in the names, IRMAS-TestingData-PartN with texts beside.
    Irmas,
    /// OpenMIC-2018: aggregated labels, partitions and audio.
    Openmic,
    /// nsynth-train, nsynth-valid, nsynth-test, each with examples.json and audio.
    Nsynth,
    /// FSDKaggle2018.meta, .audio_train and .audio_test.
    #[value(name = "fsdkaggle2018")]
    FsdKaggle2018,
    /// VocalSet: SINGER/CONTEXT/TECHNIQUE/files.
    #[value(name = "vocalset")]
    VocalSet,
    /// The Musical Instruments Sound Dataset: Metadata_Train.csv beside Train_submission, the same for Test.
    MusicalInstruments,
    /// Medley-solos-DB: its metadata and files.
    MedleySolosDb,
    /// GFDatabase: flute playing techniques.
    #[value(name = "gfdatabase")]
    GfDatabase,
    /// EG-IPT: playing techniques of the electric guitar.
    EgIpt,
}

/// What is the same for all recordings of a dataset.
struct Layout {
    /// Begins the groups' names, and the sentences.
    name: &'static str,
    title: &'static str,
    /// Empty where it is not known for certain.
    licence: &'static str,
    group_by: GroupBy,
    read: fn(&Path, &mut Harvest) -> Result<()>,
}

impl Dataset {
    fn layout(self) -> Option<Layout> {
        let by = GroupBy::Attribute;
        let layout = |name, title, licence, group_by, read| Some(Layout { name, title, licence, group_by, read });
        match self {
            Self::Folders => None,
            Self::Philharmonia => layout(
                "philharmonia",
                "Players of the Philharmonia Orchestra",
                "CC BY-SA 3.0, Philharmonia Orchestra",
                by(Attribute::Source),
                philharmonia::read,
            ),
            Self::Irmas => layout("irmas", "IRMAS", "CC BY-NC-SA 3.0", by(Attribute::Source), irmas::read),
            Self::Openmic => layout(
                "openmic",
                "OpenMIC-2018",
                "CC BY 4.0; each track of the Free Music Archive under its own licence",
                GroupBy::File,
                openmic::read,
            ),
            Self::Nsynth => layout("nsynth", "NSynth", "CC BY 4.0", by(Attribute::Instrument), nsynth::read),
            Self::FsdKaggle2018 => layout("fsdkaggle2018", "FSDKaggle2018", "", GroupBy::File, fsdkaggle::read),
            Self::VocalSet => layout("vocalset", "VocalSet", "CC BY 4.0", by(Attribute::Player), vocalset::read),
            Self::MusicalInstruments => layout(
                "musical-instruments",
                "Musical Instruments Sound Dataset",
                "",
                GroupBy::File,
                kaggle_instruments::read,
            ),
            Self::MedleySolosDb => {
                layout("medley-solos-db", "Medley-solos-DB", "CC BY 4.0", by(Attribute::Source), medley::read)
            }
            Self::GfDatabase => layout("gfdatabase", "GFDatabase", "", by(Attribute::Source), playing_techniques::read),
            Self::EgIpt => layout("eg-ipt", "EG-IPT", "", by(Attribute::Source), playing_techniques::read),
        }
    }
}

/// One recording as its dataset describes it.
#[derive(Debug, Default)]
struct Item {
    path: PathBuf,
    labels: Vec<String>,
    known: Vec<String>,
    split: Option<Split>,
    pitch: Option<Pitch>,
    /// Its own licence, where it has one.
    licence: Option<String>,
    attributes: Vec<(Attribute, String)>,
}

impl Item {
    fn new(path: PathBuf, label: impl Into<String>) -> Self {
        Self { path, labels: vec![label.into()], ..Self::default() }
    }

    fn with(mut self, attribute: Attribute, value: impl Into<String>) -> Self {
        self.attributes.push((attribute, value.into()));
        self
    }

    fn get(&self, attribute: Attribute) -> Option<&str> {
        self.attributes.iter().find(|(a, _)| *a == attribute).map(|(_, value)| value.as_str())
    }
}

/// What an importer gathers.
#[derive(Debug, Default)]
struct Harvest {
    items: Vec<Item>,
    /// Path and reason.
    skipped: Vec<(PathBuf, String)>,
}

impl Harvest {
    fn skip(&mut self, path: impl Into<PathBuf>, reason: impl Into<String>) {
        self.skipped.push((path.into(), reason.into()));
    }
}

/// Reads folders that hold a dataset in its published layout.
///
/// Labels are the dataset's own; `label_from` takes another attribute instead. `group_by` replaces the dataset's own
/// grouping. Official splits stand in the candidates.
///
/// # Errors
/// A folder is not laid out like the dataset: the sentence names the file that was looked for. Or the dataset does
/// not tell what the labels or groups shall be made of: the sentence lists what it tells.
pub fn import(
    dataset: Dataset,
    dirs: &[PathBuf],
    label_from: Option<Attribute>,
    group_by: Option<&GroupBy>,
) -> Result<Found> {
    let layout = dataset.layout().context("plain folders are read by «collect»")?;
    let group_by = group_by.unwrap_or(&layout.group_by);
    let mut found = Found::default();
    let mut items = Vec::new();
    for dir in dirs {
        let root = dir.canonicalize().with_context(|| format!("{}: the folder can't be read", dir.display()))?;
        let mut harvest = Harvest::default();
        (layout.read)(&root, &mut harvest)?;
        found.skipped.append(&mut harvest.skipped);
        items.extend(harvest.items.into_iter().map(|item| (root.clone(), item)));
    }
    layout.check(&items, label_from, group_by)?;
    items.sort_by(|(_, a), (_, b)| a.path.cmp(&b.path));
    items.dedup_by(|(_, a), (_, b)| a.path == b.path);
    for (root, mut item) in items {
        if let Some(attribute) = label_from {
            let Some(label) = item.get(attribute) else {
                found.skipped.push((item.path, format!("nothing says its {}", attribute.name())));
                continue;
            };
            item.labels = vec![label.to_owned()];
            item.known.clear();
        }
        if !item.path.is_file() {
            found.skipped.push((item.path, "the dataset lists it, but it is not there".into()));
            continue;
        }
        let Some(within) = from_root(&item.path, &root) else {
            found.skipped.push((item.path, "its name is not valid Unicode".into()));
            continue;
        };
        let group = layout.group(&item, &within, group_by).unwrap_or_else(|| {
            found.ungrouped += 1;
            within
        });
        let licence = item.licence.unwrap_or_else(|| layout.licence.to_owned());
        let Item { path, labels, known, split, .. } = item;
        let source = (layout.title.to_owned(), licence);
        found.candidates.push(Candidate { path, labels, known, group, split, source });
    }
    Ok(found)
}

impl Layout {
    /// Whether the dataset tells what is asked of it.
    fn check(&self, items: &[(PathBuf, Item)], label_from: Option<Attribute>, group_by: &GroupBy) -> Result<()> {
        let grouped = if let GroupBy::Attribute(attribute) = group_by { Some(*attribute) } else { None };
        for (option, asked) in [("--label-from", label_from), ("--group-by", grouped)] {
            let Some(asked) = asked else { continue };
            if items.is_empty() || items.iter().any(|(_, item)| item.get(asked).is_some()) {
                continue;
            }
            let told: Vec<&str> = Attribute::ALL
                .into_iter()
                .filter(|a| items.iter().any(|(_, item)| item.get(*a).is_some()))
                .map(Attribute::name)
                .collect();
            let told = if told.is_empty() { "nothing of the kind".to_owned() } else { told.join(", ") };
            bail!("{option} {}: {} does not tell it; it tells: {told}", asked.name(), self.title);
        }
        ensure!(
            !matches!(group_by, GroupBy::Table),
            "--group-by table: {} has no table of labels; leave --group-by out for its own grouping",
            self.title
        );
        Ok(())
    }

    fn group(&self, item: &Item, within: &str, group_by: &GroupBy) -> Option<String> {
        let name = self.name;
        match group_by {
            GroupBy::Attribute(attribute) => item.get(*attribute).map(|value| format!("{name}/{value}")),
            GroupBy::Pitch if item.pitch.is_some() => {
                let instrument = item.get(Attribute::Instrument).unwrap_or(name);
                item.pitch.map(|pitch| format!("{name}/{instrument}/{pitch}"))
            }
            _ => group_of(within, None, group_by),
        }
    }
}

/// The recordings below a folder, in the order of their paths. Hidden files and macOS's leftovers count for nothing.
fn recordings(root: &Path) -> Result<Vec<PathBuf>> {
    let hidden = |name: &std::ffi::OsStr| name.to_str().is_some_and(|n| n.starts_with('.') || n == "__MACOSX");
    let mut paths = Vec::new();
    let entries = walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|e| e.depth() == 0 || !hidden(e.file_name())) {
        let entry = entry.with_context(|| format!("{}: the folder can't be read to its end", root.display()))?;
        if entry.file_type().is_file() && audio::has_audio_extension(entry.path()) {
            paths.push(entry.into_path());
        }
    }
    Ok(paths)
}

/// The path's folders below `root`, outermost first; names that are not valid Unicode are left out.
fn folders_within<'p>(path: &'p Path, root: &Path) -> Vec<&'p str> {
    let folder = path.parent().and_then(|p| p.strip_prefix(root).ok());
    folder.map_or_else(Vec::new, |f| f.components().filter_map(|c| c.as_os_str().to_str()).collect())
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|s| s.to_str()).unwrap_or_default()
}

/// Refuses a folder that is not laid out as the dataset is.
fn wrong_layout(root: &Path, dataset: &str, looked_for: &str) -> anyhow::Error {
    anyhow::anyhow!("{}: this is no folder of {dataset}: there is no {looked_for} in it", root.display())
}
