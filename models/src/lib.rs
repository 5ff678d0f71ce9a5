//! What a Tocco model is, and how sound becomes decisions.
//!
//! `samples -> resampler -> log-mel frontend -> network -> posterior -> decision -> message, segment`
//!
//! Nothing else computes a feature or runs a network, so training, evaluation, the live plugin and an
//! offline bounce can't disagree.
//!
//! # Promises
//! - One `.onnx` file is the whole model: the [`Card`] lies in its metadata.
//! - A model that loads has been run against the reference in its card on this machine.
//! - [`Recognizer::push`] gives the same decisions, bit for bit, at the same sample positions, however the
//!   sound was cut into blocks.
//! - After construction a recognizer allocates nothing of its own. The network engine (tract) does.
//! - Bad bytes give an [`Error`] that says what is wrong with them, never a panic.
//!
//! # Not promised
//! - [`Recognizer::push`] is not safe on an audio thread as it stands: tract allocates at every step.
#![deny(missing_docs)]

mod card;
pub mod decision;
mod error;
mod files;
mod frontend;
mod latency;
pub mod library;
mod model;
pub mod onnx;
pub mod osc;
mod recognizer;
mod resampler;
pub mod stream;
#[cfg(test)]
#[allow(missing_docs, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
mod test_models;
pub mod timeline;
mod wide;

pub use card::{
    CARD_FORMAT, CARD_KEY, Card, DataSource, FrontendConfig, LONGEST_CLASS, MAX_CLASSES, MOST_EXTRA_WINDOWS,
    MOST_REFERENCE_STEPS, NONE, NetworkKind, Reference, StateSpec, Task, unfit_name,
};
pub use decision::{ClassSet, Decider, Decision, Gate, Policy, Smoothing};
pub use error::{Error, Result};
pub use files::{is_half_written, write_beside, write_with_folder};
pub use frontend::{Frontend, LogMel};
pub use latency::Latency;
pub use model::{Loader, Model, Runner};
pub use recognizer::Recognizer;
pub use resampler::{Resampler, resample_all};
