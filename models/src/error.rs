//! Everything that can go wrong with a model or its input, as sentences a musician can act on.

use std::path::PathBuf;

/// A refusal, with the file or value it speaks of.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read at all.
    #[error("{path}: the model file can't be read: {source}")]
    Unreadable {
        /// The file as it was asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("{path}: the file can't be written: {source}")]
    Unwritable {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An error inside a file, prefixed with the file's name.
    #[error("{path}: {source}")]
    InFile {
        /// The file that holds the fault.
        path: PathBuf,
        /// The fault itself.
        source: Box<Error>,
    },
    /// The bytes are no ONNX model (corrupt, cut off, or another kind of file).
    #[error("this is no complete ONNX model ({0}): it may be cut off, or another kind of file")]
    NotOnnx(String),
    /// The file is larger than any model this program runs.
    #[error("the file has {size} bytes; models of more than {limit} bytes are not loaded")]
    TooLarge {
        /// Size of the file in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The weights lie in a second file.
    #[error(
        "the tensor «{tensor}» keeps its data in another file ({location}); \
         a Tocco model is one file: export it with its weights inside"
    )]
    ExternalData {
        /// Name of the tensor.
        tensor: String,
        /// Where it says its data is.
        location: String,
    },
    /// A weight is not a finite number.
    #[error("the tensor «{0}» holds values that are not finite numbers (NaN or infinity)")]
    NotFinite(String),
    /// A tensor's shape is absurd or contradicts its data.
    #[error("the tensor «{tensor}» is broken: {reason}")]
    BadTensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is an ONNX model without a card of ours, and without the foreign keys that we read.
    #[error("the model has no card: it holds neither «tocco.card» nor the keys «sr», «seglen» and «classnames»")]
    NoCard,
    /// The card can't be understood.
    #[error("the model's card is not valid: {0}")]
    BadCard(String),
    /// The network and its card disagree.
    #[error("the network does not fit its card: {0}")]
    CardMismatch(String),
    /// The network uses something that the engine does not run.
    #[error("the network can't be run here: {0}")]
    NotRunnable(String),
    /// The network runs, but gives other numbers than where it was made.
    #[error(
        "this machine computes the model wrongly: its outputs differ from the card's reference by {difference:.2e}, \
         more than {tolerance:.0e}"
    )]
    WrongReference {
        /// Largest absolute difference.
        difference: f32,
        /// What is allowed.
        tolerance: f32,
    },
    /// A sample rate that can't be used.
    #[error("a sample rate of {0} Hz can't be used: it must lie between 8000 and 384000 Hz")]
    SampleRate(f64),
    /// A setting out of its range.
    #[error("{name} is {value}: it must lie between {low} and {high}")]
    OutOfRange {
        /// The setting's name.
        name: &'static str,
        /// The value that was given.
        value: f32,
        /// Smallest value allowed.
        low: f32,
        /// Largest value allowed.
        high: f32,
    },
    /// The network failed while it ran.
    #[error("the network failed while running: {0}")]
    Run(String),
}

impl Error {
    /// Prefixes the error with the file it was found in.
    #[must_use]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Self {
        match self {
            already @ (Self::InFile { .. } | Self::Unreadable { .. } | Self::Unwritable { .. }) => already,
            bare => Self::InFile { path: path.into(), source: Box::new(bare) },
        }
    }
}

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;
