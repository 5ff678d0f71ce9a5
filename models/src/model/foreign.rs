//! Models of the ipt_recognition project: raw audio `[batch, 1, seglen]` to logits, described by three
//! metadata keys instead of a card.

use crate::card::{CARD_FORMAT, Card, NetworkKind, Reference, Task};
use crate::error::{Error, Result};
use crate::onnx::{metadata, pb};

/// Decisions a window: such a network recomputes its whole window each time, so it can't decide at every frame.
const HOPS_A_WINDOW: usize = 8;

/// Our own key beside the project's three, as JSON: one window and the logits it must lead to.
const REFERENCE_KEY: &str = "tocco.reference";

/// Makes a card from the keys `sr`, `seglen` and `classnames`.
pub(super) fn card(proto: &pb::ModelProto, name: &str) -> Result<Card> {
    let (Some(rate), Some(length), Some(names)) =
        (metadata(proto, "sr"), metadata(proto, "seglen"), metadata(proto, "classnames"))
    else {
        return Err(Error::NoCard);
    };
    let samples = number(length).ok_or_else(|| Error::BadCard(format!("seglen is «{length}»")))?;
    let sample_rate =
        number(rate).and_then(|r| u32::try_from(r).ok()).ok_or_else(|| Error::BadCard(format!("sr is «{rate}»")))?;
    let reference: Option<Reference> = metadata(proto, REFERENCE_KEY)
        .map(serde_json::from_str)
        .transpose()
        .map_err(|e| Error::BadCard(format!("its {REFERENCE_KEY} can't be read: {e}")))?;
    let card = Card {
        format: CARD_FORMAT,
        name: name.to_owned(),
        task: Task::Technique,
        classes: class_names(names),
        sample_rate,
        frontend: None,
        network: NetworkKind::Audio { samples, hop: (samples / HOPS_A_WINDOW).max(1) },
        temperature: 1.0,
        offsets: Vec::new(),
        thresholds: Vec::new(),
        data: Vec::new(),
        licence: String::new(),
        metrics: std::collections::BTreeMap::new(),
        reference,
    };
    // Through the same door as a card of ours, so that the same limits hold.
    Card::from_json(&card.to_json()?)
}

/// A whole number, also where it was written as `24000.0`.
fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

/// A JSON list, a Python list, or names with commas between.
fn class_names(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| {
        text.trim()
            .trim_start_matches(['[', '('])
            .trim_end_matches([']', ')'])
            .split(',')
            .map(|name| name.trim().trim_matches(['\'', '"']).to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    })
}
