//! Several models as one: a weighted mean of their posteriors, exported as one network.
//!
//! The mean is taken over posteriors, not over logits: a member that is sure and wrong can't overrule the others, the
//! likeliest weights are those of a mixture, which expectation maximisation finds from any start (Dempster et al.
//! 1977), and a member that adds nothing gets a weight of nothing.

mod merge;
mod weights;

pub use merge::{Member, merged};
pub use weights::{Observation, learnt};

use anyhow::{Context, Result};
use rayon::prelude::*;
use tocco_models::{Policy, Task};

use crate::engine::Provider;
use crate::evaluation::mean_posterior;
use crate::listen::{Ear, Engine};
use crate::manifest::Row;

/// What all members make of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Mean posterior of each member, `[members][classes]`.
    pub posteriors: Vec<Vec<f64>>,
    /// Whether each class sounds; `None` where nobody listened for it.
    pub truth: Vec<Option<bool>>,
}

/// The members' mean posteriors over a recording's hops with an open gate, over all hops where it never opens.
///
/// # Errors
/// Where the recording can't be heard, or holds nothing but silence.
pub fn hear(members: &[Ear], row: &Row) -> Result<Heard> {
    let classes = &members.first().context("an ensemble needs members")?.model.card().classes;
    let mean =
        |ear| Ok(mean_posterior(ear, &row.path, Policy::default().gate_dbfs)?.into_iter().map(f64::from).collect());
    let posteriors = members.iter().map(mean).collect::<Result<_>>()?;
    Ok(Heard { posteriors, truth: classes.iter().map(|class| row.sounds(class)).collect() })
}

/// Members for [`hear`], from their files.
///
/// # Errors
/// Where one is refused.
pub fn ears(paths: &[std::path::PathBuf]) -> Result<Vec<Ear>> {
    paths.iter().map(|path| Ear::open(path, Engine::Tract, Provider::Cpu)).collect()
}

/// What all members make of the recordings, in parallel; those that can't be heard are left to `skipped`.
pub fn hear_all(members: &[Ear], rows: &[&Row], skipped: impl Fn(&anyhow::Error) + Sync) -> Vec<Heard> {
    let heard = rows.par_iter().filter_map(|row| hear(members, row).map_err(|e| skipped(&e)).ok());
    heard.collect()
}

impl Heard {
    /// How likely each member held what is known to be true: of the class that sounds, or of each class's presence.
    #[must_use]
    pub fn observations(&self, task: Task) -> Vec<Observation> {
        let of = |class: usize, sounds: bool| {
            self.posteriors.iter().map(|p| if sounds { p[class] } else { 1.0 - p[class] }).collect()
        };
        let known = self.truth.iter().enumerate().filter_map(|(class, truth)| Some((class, (*truth)?)));
        match task {
            Task::Technique => known.filter(|(_, sounds)| *sounds).map(|(class, sounds)| of(class, sounds)).collect(),
            Task::Instruments => known.map(|(class, sounds)| of(class, sounds)).collect(),
        }
    }

    /// Whether a class sounds that could be the likeliest one.
    #[must_use]
    pub fn sounds(&self) -> bool {
        self.truth.contains(&Some(true))
    }

    /// Whether the likeliest class by these weights is one that sounds.
    #[must_use]
    pub fn right(&self, weights: &[f64]) -> bool {
        let posterior = |class: usize| self.posteriors.iter().zip(weights).map(|(p, w)| w * p[class]).sum::<f64>();
        let likeliest = (0..self.truth.len()).max_by(|a, b| posterior(*a).total_cmp(&posterior(*b)));
        likeliest.is_some_and(|class| self.truth[class] == Some(true))
    }
}
