//! What stands behind the command `tocco`: recordings become a manifest, a manifest becomes a model, a model
//! is measured and used on files.
//!
//! Promises
//! - results go to standard output, progress and remarks to standard error;
//! - a recording, row or model that can't be used is named with its reason, never silently dropped;
//! - files are written beside and renamed: a run that fails leaves what was there before;
//! - the same seed on the same data gives the same manifest.

pub mod audio;
pub mod augment;
pub mod collect;
pub mod commands;
pub mod cost;
pub mod encoder;
pub mod engine;
pub mod ensemble;
pub mod evaluation;
pub mod export;
pub mod fingerprint;
mod hash;
pub mod importers;
mod interrupt;
pub mod label_map;
pub mod labels;
pub mod listen;
#[cfg(feature = "live")]
pub mod live;
pub mod manifest;
pub mod memory;
pub mod metrics;
pub mod mixture;
pub mod nearest;
pub mod net;
pub mod osc;
pub mod page;
pub mod picture;
pub mod pitch;
pub mod player;
pub mod predictions;
pub mod report;
pub mod samples;
pub mod segments;
pub mod split;
pub mod toml_file;
pub mod train;
pub mod watch;
