//! Dividing recordings into splits and folds: groups stay whole, classes stay in proportion, and the same seed
//! gives the same division on every machine and version.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::hash::{fnv1a, spread};
use crate::manifest::{Row, Split};

/// Two recordings of different splits that were to become one sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is of the split «{}» and {} of «{}»: one sound of both would carry one split into the other; mix recordings of \
     one split only", .first.display(), .first_split.name(), .other.display(), .other_split.name()
)]
pub struct CrossesSplits {
    /// The first recording.
    pub first: PathBuf,
    /// Its split.
    pub first_split: Split,
    /// The first recording of another split.
    pub other: PathBuf,
    /// The other split.
    pub other_split: Split,
}

/// The split that a mixture of these recordings belongs to: the one that all of them are of. `None` for no recording.
///
/// # Errors
/// [`CrossesSplits`] where they are of two splits.
pub fn one_side<'a>(sources: impl IntoIterator<Item = &'a Row>) -> Result<Option<Split>, CrossesSplits> {
    let mut sources = sources.into_iter();
    let Some(first) = sources.next() else { return Ok(None) };
    match sources.find(|row| row.split != first.split) {
        None => Ok(Some(first.split)),
        Some(other) => Err(CrossesSplits {
            first: first.path.clone(),
            first_split: first.split,
            other: other.path.clone(),
            other_split: other.split,
        }),
    }
}

/// The seed of one mixture: a number that depends on the seed of the run, the split and the mixture's index alone, so
/// that any machine, in any order, makes the same mixtures. Those of a few are written down in
/// `recipes/divisions.toml`.
#[must_use]
pub fn mixture_seed(seed: u64, split: Split, index: u64) -> u64 {
    shuffled(&format!("mixture/{}/{index}", split.name()), seed)
}

/// One group of recordings that must stay together: how many of each class it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name; orders and shuffles the groups.
    pub name: String,
    /// Class -> number of recordings.
    pub classes: BTreeMap<String, usize>,
}

/// A class that has too few groups to stand in every part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooFew {
    /// The class.
    pub class: String,
    /// How many groups it has.
    pub groups: usize,
    /// How many parts there are.
    pub parts: usize,
}

/// Gives each group the index of a part. `weights` says how large each part should be (any unit); parts of weight 0
/// stay empty. Every class comes to stand in every part.
///
/// The method is iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011) on groups: those that hold rare
/// classes first, then large ones, each to the part that has the smallest share of their classes so far.
///
/// # Errors
/// [`TooFew`] names the first class that can't stand in every part.
pub fn assign(groups: &[Group], weights: &[f64], seed: u64) -> Result<Vec<usize>, TooFew> {
    let parts: Vec<usize> = (0..weights.len()).filter(|p| weights[*p] > 0.0).collect();
    let mut rarity: BTreeMap<&str, usize> = BTreeMap::new();
    let mut total: BTreeMap<&str, usize> = BTreeMap::new();
    for group in groups {
        for (class, n) in &group.classes {
            *rarity.entry(class).or_default() += 1;
            *total.entry(class).or_default() += n;
        }
    }
    if let Some((class, n)) = rarity.iter().find(|(_, n)| **n < parts.len()) {
        return Err(TooFew { class: (*class).to_owned(), groups: *n, parts: parts.len() });
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|g| {
        let group = &groups[*g];
        let rarest = group.classes.keys().map(|c| rarity[c.as_str()]).min().unwrap_or(0);
        let size: usize = group.classes.values().sum();
        (rarest, std::cmp::Reverse(size), shuffled(&group.name, seed), group.name.clone())
    });
    let mut held: Vec<BTreeMap<&str, usize>> = vec![BTreeMap::new(); weights.len()];
    let mut part_of = vec![0; groups.len()];
    for g in order {
        let fullness = |part: usize| -> f64 {
            let share = |class: &String| {
                held[part].get(class.as_str()).copied().unwrap_or(0) as f64 / total[class.as_str()] as f64
            };
            groups[g].classes.keys().map(share).sum::<f64>() / weights[part]
        };
        // Equal parts: the one that should be largest, then the first.
        let key = |part: usize| (fullness(part), -weights[part]);
        let best = parts
            .iter()
            .copied()
            .min_by(|a, b| key(*a).partial_cmp(&key(*b)).unwrap_or(std::cmp::Ordering::Equal))
            .unwrap_or(0);
        part_of[g] = best;
        for (class, n) in &groups[g].classes {
            *held[best].entry(class).or_default() += n;
        }
    }
    fill_gaps(groups, &parts, &mut part_of)?;
    Ok(part_of)
}

/// Where groups hold several classes, greed can leave a part without one of them: moves the smallest group that
/// its part can spare.
fn fill_gaps(groups: &[Group], parts: &[usize], part_of: &mut [usize]) -> Result<(), TooFew> {
    let count = |part_of: &[usize], part: usize, class: &str| {
        (0..groups.len()).filter(|g| part_of[*g] == part && groups[*g].classes.contains_key(class)).count()
    };
    let classes: std::collections::BTreeSet<&String> = groups.iter().flat_map(|g| g.classes.keys()).collect();
    for _ in 0..groups.len() {
        let gap =
            parts.iter().flat_map(|p| classes.iter().map(move |c| (*p, *c))).find(|(p, c)| count(part_of, *p, c) == 0);
        let Some((part, class)) = gap else { return Ok(()) };
        let spare = (0..groups.len())
            .filter(|g| groups[*g].classes.contains_key(class))
            .filter(|g| groups[*g].classes.keys().all(|c| count(part_of, part_of[*g], c) > 1))
            .min_by_key(|g| (groups[*g].classes.values().sum::<usize>(), &groups[*g].name));
        let Some(spare) = spare else {
            let groups = groups.iter().filter(|g| g.classes.contains_key(class)).count();
            return Err(TooFew { class: class.clone(), groups, parts: parts.len() });
        };
        part_of[spare] = part;
    }
    Ok(())
}

/// A number that depends on the name and the seed alone: every fold ever written down depends on it.
fn shuffled(name: &str, seed: u64) -> u64 {
    spread(fnv1a(name.as_bytes()) ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use super::*;

    fn group(name: &str, classes: &[(&str, usize)]) -> Group {
        Group { name: name.into(), classes: classes.iter().map(|(c, n)| ((*c).to_owned(), *n)).collect() }
    }

    fn notes() -> Vec<Group> {
        let mut groups: Vec<Group> = (0..30)
            .map(|p| {
                if p % 3 == 0 {
                    group(&format!("p{p}"), &[("bowed", 10)])
                } else {
                    group(&format!("p{p}"), &[("bowed", 10), ("plucked", 6)])
                }
            })
            .collect();
        groups.extend((0..9).map(|n| group(&format!("n{n}"), &[("none", 1 + n)])));
        groups
    }

    fn share(groups: &[Group], part_of: &[usize], part: usize, class: &str) -> f64 {
        let of = |only: Option<usize>| -> usize {
            (0..groups.len())
                .filter(|g| only.is_none_or(|p| part_of[*g] == p))
                .filter_map(|g| groups[g].classes.get(class))
                .sum()
        };
        of(Some(part)) as f64 / of(None) as f64
    }

    #[test]
    fn classes_keep_their_proportions() {
        let groups = notes();
        let parts = assign(&groups, &[0.6, 0.2, 0.2], 1).unwrap();
        for class in ["bowed", "plucked", "none"] {
            for (part, wanted) in [0.6, 0.2, 0.2].iter().enumerate() {
                let got = share(&groups, &parts, part, class);
                assert!((got - wanted).abs() < 0.1, "{class} in part {part}: {got:.2}");
            }
        }
    }

    #[test]
    fn the_seed_decides_and_the_order_of_the_groups_does_not() {
        let groups = notes();
        let first = assign(&groups, &[1.0; 5], 7).unwrap();
        assert_eq!(first, assign(&groups, &[1.0; 5], 7).unwrap());
        assert_ne!(first, assign(&groups, &[1.0; 5], 8).unwrap());
        let turned: Vec<Group> = groups.iter().rev().cloned().collect();
        let mut back = assign(&turned, &[1.0; 5], 7).unwrap();
        back.reverse();
        assert_eq!(first, back);
    }

    #[test]
    fn a_class_with_too_few_groups_is_named() {
        let mut groups = notes();
        groups.push(group("lonely", &[("tapped", 40)]));
        let refusal = assign(&groups, &[0.6, 0.2, 0.2], 1).unwrap_err();
        assert_eq!(refusal, TooFew { class: "tapped".into(), groups: 1, parts: 3 });
        assert!(assign(&groups, &[1.0, 0.0, 0.0], 1).is_ok(), "one part holds everything");
    }

    #[test]
    fn every_class_stands_in_every_part_even_where_groups_overlap() {
        let groups: Vec<Group> = (0..6_usize)
            .map(|g| {
                let mut classes = vec![("a", 5)];
                if g % 2 == 0 {
                    classes.push(("b", 1));
                }
                if g < 3 {
                    classes.push(("c", 2));
                }
                group(&format!("g{g}"), &classes)
            })
            .collect();
        for seed in 0..50 {
            let parts = assign(&groups, &[0.6, 0.2, 0.2], seed).unwrap();
            for part in 0..3 {
                for class in ["a", "b", "c"] {
                    assert!(share(&groups, &parts, part, class) > 0.0, "seed {seed}: no {class} in part {part}");
                }
            }
        }
    }

    #[test]
    fn a_mix_stays_on_one_side() {
        let row = |path: &str, split| Row {
            path: path.into(),
            labels: vec!["a".into()],
            known: Vec::new(),
            group: path.into(),
            split,
            duration_s: 1.0,
            sample_rate: 44_100,
            collection: String::new(),
            licence: String::new(),
            weight: 1.0,
        };
        let rows = [row("a.wav", Split::Train), row("b.wav", Split::Train), row("c.wav", Split::Test)];
        assert_eq!(one_side(&rows[..2]).unwrap(), Some(Split::Train));
        assert_eq!(one_side([]).unwrap(), None);
        let sentence = one_side(&rows).unwrap_err().to_string();
        for part in ["a.wav", "«train»", "c.wav", "«test»"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn shuffling_is_frozen() {
        // The finalizer alone: another value here means that every fold written down has changed.
        assert_eq!(shuffled("", 0), 0xf52a_15e9_a9b5_e89b);
    }
}
