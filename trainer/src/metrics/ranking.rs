//! Figures that need no threshold: average precision and the area under the ROC curve.
//!
//! Both are those of scikit-learn (`average_precision_score`, `roc_auc_score`): recordings of equal score are taken
//! together, and average precision is the sum of precision over the steps of recall, without interpolation.

use serde::Serialize;

use super::{Scored, mean};

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassRanking {
    /// Its name.
    pub class: String,
    /// Recordings that hold it.
    pub support: u64,
    /// Recordings that are known not to hold it.
    pub absent: u64,
    /// Average precision; none where no recording holds it.
    pub average_precision: Option<f64>,
    /// Area under the ROC curve; none where all recordings hold it, or none does.
    pub roc_auc: Option<f64>,
}

/// All classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// Mean average precision (mAP) of the classes that have one.
    pub mean_average_precision: Option<f64>,
    /// Mean area under the ROC curve of the classes that have one.
    pub mean_roc_auc: Option<f64>,
    /// Class by class, in the model's order.
    pub classes: Vec<ClassRanking>,
}

/// Average precision and ROC-AUC of every class, each against all others.
#[must_use]
pub fn ranking(classes: &[String], rows: &[Scored]) -> Ranking {
    let once = vec![1; rows.len()];
    let of_class = |(c, name): (usize, &String)| {
        let there = |wanted: bool| rows.iter().filter(|r| r.truth[c] == Some(wanted)).count() as u64;
        let order = order(rows, c);
        ClassRanking {
            class: name.clone(),
            support: there(true),
            absent: there(false),
            average_precision: weighted_average_precision(rows, c, &order, &once),
            roc_auc: weighted_roc_auc(rows, c, &order, &once),
        }
    };
    let classes: Vec<ClassRanking> = classes.iter().enumerate().map(of_class).collect();
    Ranking {
        mean_average_precision: mean(classes.iter().filter_map(|c| c.average_precision)),
        mean_roc_auc: mean(classes.iter().filter_map(|c| c.roc_auc)),
        classes,
    }
}

/// Mean average precision where recording `i` counts `weights[i]` times, as the bootstrap needs it: the sorting is done
/// once, in the answer, which is then called for each set of weights.
pub fn mean_average_precision(rows: &[Scored], classes: usize) -> impl Fn(&[u32]) -> Option<f64> + Sync {
    let orders: Vec<Vec<usize>> = (0..classes).map(|c| order(rows, c)).collect();
    move |weights| mean((0..classes).filter_map(|c| weighted_average_precision(rows, c, &orders[c], weights)))
}

/// As [`mean_average_precision`], of the area under the ROC curve.
pub fn mean_roc_auc(rows: &[Scored], classes: usize) -> impl Fn(&[u32]) -> Option<f64> + Sync {
    let orders: Vec<Vec<usize>> = (0..classes).map(|c| order(rows, c)).collect();
    move |weights| mean((0..classes).filter_map(|c| weighted_roc_auc(rows, c, &orders[c], weights)))
}

/// Average precision of scores and whether each is of a recording that holds the class. `None` without one that does.
#[must_use]
pub fn average_precision(scored: &[(f32, bool)]) -> Option<f64> {
    let rows = of_one_class(scored);
    weighted_average_precision(&rows, 0, &order(&rows, 0), &vec![1; rows.len()])
}

/// Area under the ROC curve: how likely a recording that holds the class scores higher than one that does not, equal
/// scores counting half. `None` where one of the two is missing.
#[must_use]
pub fn roc_auc(scored: &[(f32, bool)]) -> Option<f64> {
    let rows = of_one_class(scored);
    weighted_roc_auc(&rows, 0, &order(&rows, 0), &vec![1; rows.len()])
}

fn of_one_class(scored: &[(f32, bool)]) -> Vec<Scored> {
    scored.iter().map(|(s, t)| Scored { scores: vec![*s], truth: vec![Some(*t)] }).collect()
}

/// The recordings whose truth is known, the surest first.
fn order(rows: &[Scored], class: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|&r| rows[r].truth[class].is_some()).collect();
    order.sort_by(|&a, &b| rows[b].scores[class].total_cmp(&rows[a].scores[class]));
    order
}

/// The recordings in `order` by falling score, those of equal score together: how much those count that hold the class,
/// and those that don't.
fn steps<'a>(
    rows: &'a [Scored],
    class: usize,
    order: &'a [usize],
    weights: &'a [u32],
) -> impl Iterator<Item = [f64; 2]> + 'a {
    order.chunk_by(move |&a, &b| rows[a].scores[class] == rows[b].scores[class]).map(move |equal| {
        let counted = |there: bool| {
            let those = equal.iter().filter(|&&r| (rows[r].truth[class] == Some(true)) == there);
            those.map(|&r| f64::from(weights[r])).sum()
        };
        [counted(true), counted(false)]
    })
}

fn weighted_average_precision(rows: &[Scored], class: usize, order: &[usize], weights: &[u32]) -> Option<f64> {
    let (mut hits, mut all, mut sum) = (0.0, 0.0, 0.0);
    for [there, not] in steps(rows, class, order, weights) {
        hits += there;
        all += there + not;
        if there > 0.0 {
            sum += there * hits / all;
        }
    }
    (hits > 0.0).then(|| sum / hits)
}

fn weighted_roc_auc(rows: &[Scored], class: usize, order: &[usize], weights: &[u32]) -> Option<f64> {
    let (mut above, mut wins, mut negatives) = (0.0, 0.0, 0.0);
    for [there, not] in steps(rows, class, order, weights) {
        wins += not * (above + there / 2.0);
        above += there;
        negatives += not;
    }
    (above > 0.0 && negatives > 0.0).then(|| wins / (above * negatives))
}
