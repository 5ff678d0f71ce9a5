//! Which recording is heard next: first a class, then one of its recordings.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;

use super::clip::Clip;
use super::scene::SceneConfig;

/// How far the kinds of a class are drawn equally often: 0 by their clips, 1 all alike.
const KIND_BALANCE: f32 = 0.5;

/// Draws recordings by their classes, kinds and weights.
pub(super) struct Draw {
    /// Clips of each class, each with the sum of the weights up to and with it; at the end those of no class.
    by_class: Vec<Vec<(usize, f32)>>,
    share: Vec<f32>,
}

impl Draw {
    pub fn new(config: &SceneConfig, clips: &[Clip], classes: usize) -> Self {
        let drawn_as = |clip: &Clip| -> Vec<usize> {
            let of: Vec<usize> = (0..classes).filter(|class| clip.classes >> class & 1 == 1).collect();
            if of.is_empty() { vec![classes] } else { of }
        };
        let mut kinds: BTreeMap<(usize, &str, bool), f32> = BTreeMap::new();
        let mut whole = vec![0.0_f32; classes + 1];
        for clip in clips {
            for class in drawn_as(clip) {
                *kinds.entry((class, &clip.kind, clip.is_phrase)).or_default() += clip.weight;
                whole[class] += clip.weight;
            }
        }
        let mut by_class: Vec<Vec<(usize, f32)>> = vec![Vec::new(); classes + 1];
        for (i, clip) in clips.iter().enumerate() {
            for class in drawn_as(clip) {
                let weight = clip.weight * kinds[&(class, clip.kind.as_str(), clip.is_phrase)].powf(-KIND_BALANCE);
                let sum = by_class[class].last().map_or(0.0, |last| last.1);
                by_class[class].push((i, sum + weight));
            }
        }
        let share = whole
            .iter()
            .enumerate()
            .map(|(class, whole)| {
                let weight = if *whole > 0.0 { whole.powf(config.balance) } else { 0.0 };
                if Some(class) == config.none || class == classes { config.none_share * weight } else { weight }
            })
            .collect();
        Self { by_class, share }
    }

    /// A class that has recordings; the number behind the last stands for recordings of none.
    pub fn class(&self, rng: &mut StdRng) -> usize {
        let mut point = rng.random::<f32>() * self.share.iter().sum::<f32>();
        for (class, share) in self.share.iter().enumerate() {
            point -= share;
            if point <= 0.0 && *share > 0.0 {
                return class;
            }
        }
        self.share.iter().rposition(|s| *s > 0.0).unwrap_or(0)
    }

    /// The number of a recording of a class that has some.
    pub fn clip(&self, class: usize, rng: &mut StdRng) -> usize {
        let clips = &self.by_class[class];
        let point = rng.random::<f32>() * clips.last().map_or(0.0, |last| last.1);
        clips[clips.partition_point(|(_, sum)| *sum < point).min(clips.len() - 1)].0
    }
}
