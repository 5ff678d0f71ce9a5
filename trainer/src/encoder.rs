//! Frozen pretrained encoders, given as ONNX: raw audio or a log-mel in, an embedding or a sequence of them out. A head
//! is trained on the embeddings; encoder and head are exported as one model.
//!
//! | file | what |
//! |---|---|
//! | `hears` | what an encoder takes, guessed from its graph where nobody says it |
//! | `windows` | the pieces of recordings that it hears |
//! | `successive` | several windows one after the other, as one |
//! | `embed`, `cache` | recordings to embeddings, kept on disk |
//! | `heads` | the networks on top |
//! | `learn` | training |
//! | `merge` | encoder and head as one graph |
//! | `run` | the folder of a training, and its export |

mod cache;
mod embed;
mod heads;
mod hears;
mod learn;
mod merge;
mod run;
mod successive;
mod windows;

pub use cache::{Cache, Embeddings, default_folder};
pub use embed::{Encoder, Identity};
pub use heads::HeadKind;
pub use hears::{Hears, InputKind, Wish, understand};
pub use learn::{HeadTraining, train};
pub use run::EncoderRun;
pub use successive::Successive;

#[cfg(test)]
mod tests;
