//! The recordings of a manifest, decoded, at the model's rate.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};
use rayon::prelude::*;
use tocco_models::resample_all;

use super::Options;
use crate::audio;
use crate::augment::{Clip, Library};
use crate::commands::remark;
use crate::hash::Sum;
use crate::labels::OF_ONE_FILE;
use crate::manifest::{Manifest, Row, Split};
use crate::samples::{Store, Stored};

/// Longer recordings are learnt from in equal pieces of about this length, in seconds, and judged by their first one.
const PIECE_S: f64 = 30.0;
/// A piece whose peak is this far under that of the recording, as a factor, is a rest.
const REST: f32 = 0.01;

/// Less memory than this is not spoken of, in GB.
const WORTH_SAYING_GB: f64 = 4.0;

/// The splits that training reads.
#[derive(Debug)]
pub struct Corpus {
    /// What the network learns from.
    pub train: Vec<Clip>,
    /// What picks the best checkpoint.
    pub val: Vec<Clip>,
    /// What the card's figures are about; may be empty.
    pub test: Vec<Clip>,
}

impl Corpus {
    /// Decodes every recording and resamples it to the model's rate, on all cores, and keeps it in memory, or where
    /// `on_disk` names a folder in a file there. Recordings that can't be used are named on standard error and skipped;
    /// where one class is told at a time, those of several are among them.
    ///
    /// # Errors
    /// Where a class has no usable recording left to learn from, or there is none of any class to validate on; where the
    /// disk refuses the file.
    pub fn load(manifest: &Manifest, classes: &[String], options: &Options, on_disk: Option<&Path>) -> Result<Self> {
        announce(manifest, options.sample_rate, on_disk);
        let store = on_disk.map(Store::new).transpose()?;
        let mut skipped = 0;
        let mut read = |split| -> Result<Vec<Shelved>> {
            let rows: Vec<&Row> = manifest.split(split).collect();
            let pieces = if split == Split::Train { usize::MAX } else { 1 };
            let shelve = |row: &&Row| match usable(row, classes, options, pieces) {
                None => Ok(None),
                Some(clips) => {
                    clips.into_iter().map(|clip| Shelved::new(clip, store.as_ref())).collect::<Result<_>>().map(Some)
                }
            };
            let clips: Vec<Option<Vec<Shelved>>> = rows.par_iter().map(shelve).collect::<Result<_>>()?;
            skipped += clips.iter().filter(|clips| clips.is_none()).count();
            Ok(clips.into_iter().flatten().flatten().collect())
        };
        let splits = [read(Split::Train)?, read(Split::Val)?, read(Split::Test)?];
        let stored = store.map(Store::close).transpose()?;
        let [train, val, test] =
            splits.map(|clips| clips.into_iter().map(|shelved| shelved.take(stored.as_ref())).collect::<Vec<Clip>>());
        let corpus = Self { train, val, test };
        if skipped > 0 {
            remark(format_args!("{skipped} of {} recordings are skipped, see above", manifest.rows.len()));
        }
        for (index, class) in classes.iter().enumerate() {
            let named = manifest.rows.iter().any(|r| r.labels.contains(class));
            if named && !corpus.train.iter().any(|clip| clip.classes >> index & 1 == 1) {
                bail!("no recording of the class «{class}» can be used for training: see the reasons above");
            }
        }
        ensure!(
            corpus.val.iter().any(|clip| clip.classes != 0),
            "{}: the split «val» holds no recording of a class that can be used, and validation needs some",
            manifest.path.display()
        );
        let samples = |clips: &[Clip]| clips.iter().map(|c| c.samples.len()).sum::<usize>() as f64;
        let seconds = |clips: &[Clip]| samples(clips) / f64::from(options.sample_rate);
        eprintln!(
            "{} recordings ({:.0} s) to learn from, {} ({:.0} s) to validate, {} to test; {} classes",
            corpus.train.len(),
            seconds(&corpus.train),
            corpus.val.len(),
            seconds(&corpus.val),
            corpus.test.len(),
            classes.len()
        );
        Ok(corpus)
    }

    /// A sum over the recordings that shape the weights, those of rooms and backgrounds included: another one means other
    /// recordings.
    pub(super) fn sum(&self, classes: &[String], library: &Library) -> String {
        let mut sum = Sum::new();
        classes.iter().for_each(|class| sum.add_bytes(class.as_bytes()));
        for clip in self.train.iter().chain(&self.val) {
            sum.add_bytes(clip.kind.as_bytes());
            if clip.is_phrase {
                sum.add_bytes(b"phrase");
            }
            for word in [clip.classes, clip.known] {
                sum.add_bytes(&word.to_le_bytes());
            }
            clip.samples.iter().for_each(|sample| sum.add(u64::from(sample.to_bits())));
            // The usual weight says nothing: runs that began before there were weights can go on.
            if clip.weight != 1.0 {
                sum.add(u64::from(clip.weight.to_bits()));
            }
        }
        for samples in library.responses.iter().chain(&library.backgrounds) {
            samples.iter().for_each(|sample| sum.add(u64::from(sample.to_bits())));
        }
        format!("{:016x}", sum.value())
    }
}

/// Says how much room the recordings will take, where that is worth knowing.
fn announce(manifest: &Manifest, sample_rate: u32, on_disk: Option<&Path>) {
    let kept_s = |row: &Row| if row.split == Split::Train { row.duration_s } else { row.duration_s.min(PIECE_S) };
    let gigabytes = manifest.rows.iter().map(kept_s).sum::<f64>() * f64::from(sample_rate) * 4e-9;
    match on_disk {
        Some(folder) => remark(format_args!(
            "the recordings are decoded once, into a file of {gigabytes:.1} GB in {} that goes with the program",
            folder.display()
        )),
        None if gigabytes > WORTH_SAYING_GB => remark(format_args!(
            "the recordings will take {gigabytes:.0} GB of memory: they are decoded once, and kept; --sounds-on-disk \
             keeps them in a file instead"
        )),
        None => {}
    }
}

/// A clip whose samples may lie in a file that is still written.
struct Shelved {
    clip: Clip,
    bytes: Option<Range<usize>>,
}

impl Shelved {
    fn new(mut clip: Clip, store: Option<&Store>) -> Result<Self> {
        let put = |store: &Store| store.put(&std::mem::replace(&mut clip.samples, Vec::new().into()));
        let bytes = store.map(put).transpose()?;
        Ok(Self { clip, bytes })
    }

    fn take(mut self, stored: Option<&Stored>) -> Clip {
        if let (Some(bytes), Some(stored)) = (self.bytes, stored) {
            self.clip.samples = stored.at(bytes);
        }
        self.clip
    }
}

/// The first so many pieces of a recording; `None` where it can't be used, with the reason on standard error.
fn usable(row: &Row, classes: &[String], options: &Options, pieces: usize) -> Option<Vec<Clip>> {
    clips(row, classes, options, pieces).inspect_err(|reason| eprintln!("skipped: {reason:#}")).ok()
}

fn clips(row: &Row, classes: &[String], options: &Options, pieces: usize) -> Result<Vec<Clip>> {
    let at = row.path.display();
    let labels = row.labels.len();
    ensure!(
        row.is_for(options.task),
        "{at}: it has {labels} labels: with --task technique recordings of one class each are trained on"
    );
    let sounding =
        row.sounding(classes).map_err(|label| anyhow!("{at}: the class «{label}» is none of the model's"))?;
    let sound = audio::decode(&row.path)?;
    let rate = f64::from(sound.rate);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of pieces")]
    let count = (sound.duration_s() / PIECE_S).round().max(1.0) as usize;
    let peak = |samples: &[f32]| samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    let loudest = peak(&sound.samples);
    // Groups are named collection/instrument/pitch or the like: all but the last part says which instrument it is.
    let (kind, own) = row.group.rsplit_once('/').unwrap_or(("", &row.group));
    let known = row.listened_for(classes, options.task);
    let (mut clips, mut silent) = (Vec::new(), true);
    let all = sound.samples.chunks(sound.samples.len().div_ceil(count));
    for piece in all.filter(|piece| peak(piece) > REST * loudest).take(pieces) {
        let samples = resample_all(piece, rate, f64::from(options.sample_rate))?;
        let Some(mut clip) = Clip::new(samples, sounding, known, kind) else { continue };
        silent = false;
        if options.segments.is_none_or(|cut| cut.hears(&clip, options.sample_rate)) {
            clip.weight = row.weight;
            clip.is_phrase = own.starts_with(OF_ONE_FILE);
            clips.push(clip);
        }
    }
    match options.segments {
        _ if !clips.is_empty() => Ok(clips),
        Some(cut) if !silent => bail!(
            "{at}: no window of {:.3} s holds enough of its sound; --padding minimal puts silence before short recordings",
            cut.segment_s
        ),
        _ => bail!("{at}: the recording is silent"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]

    use tocco_models::Task;

    use super::*;
    use crate::train::{NetKind, preset};

    #[test]
    fn all_of_a_long_recording_is_learnt_from() {
        let folder = tempfile::tempdir().unwrap();
        let rate = 8000_u16;
        // Sound for 54 s, a rest of 30, sound for 54.
        let level = |i: u32| if (54..84).contains(&(i / u32::from(rate))) { 1e-4 } else { 0.1 };
        let samples: Vec<f32> =
            (0..138 * u32::from(rate)).map(|i| if i % 40 < 20 { level(i) } else { -level(i) }).collect();
        let path = folder.path().join("long.wav");
        audio::write_wav(&path, &samples, u32::from(rate)).unwrap();
        let manifest = folder.path().join("m.csv");
        let text = format!("path,labels,group,split,duration_s,sample_rate\nlong.wav,flute,long,train,138,{rate}\n");
        std::fs::write(&manifest, &text).unwrap();
        let manifest = Manifest::read(&manifest).unwrap();
        let late: Vec<f32> =
            samples.iter().enumerate().map(|(i, s)| if i < 54 * usize::from(rate) { 0.0 } else { *s }).collect();
        audio::write_wav(&folder.path().join("late.wav"), &late, u32::from(rate)).unwrap();
        let text = text.replace("long.wav", "late.wav");
        std::fs::write(folder.path().join("late.csv"), text).unwrap();
        let late = Manifest::read(&folder.path().join("late.csv")).unwrap();
        let (classes, options) = (["flute".to_owned()], preset(NetKind::StreamTcn, Task::Instruments));
        assert!(usable(&late.rows[0], &classes, &options, 1).is_some(), "it begins with a rest");
        let seconds = |pieces| -> Vec<usize> {
            let clips = usable(&manifest.rows[0], &classes, &options, pieces);
            clips.iter().flatten().map(|clip| clip.samples.len() / options.sample_rate as usize).collect()
        };
        assert_eq!(seconds(usize::MAX), [27; 4], "five pieces, of which one is nothing but the rest");
        assert_eq!(seconds(1), [27], "validation is not about one recording five times");
    }
}
