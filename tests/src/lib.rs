//! What the host-level tests share: a host, an OSC receiver, a model whose answers are known, sounds.
//!
//! Nothing here is a test. The tests are in `tests/`, the demonstration is the program `demo`.

pub mod demo;
#[cfg(target_os = "linux")]
pub mod display;
pub mod figures;
pub mod host;
#[cfg(target_os = "linux")]
pub mod jack;
pub mod latency;
pub mod locate;
pub mod osc;
#[cfg(target_os = "linux")]
pub mod panel;
pub mod phrase;
pub mod sounds;
pub mod state;
pub mod synthetic;
