//! What runs a network, as options that are the same for every subcommand.

use std::path::Path;

use anyhow::Result;

use crate::engine::Provider;
use crate::listen::{Ear, Engine};

/// What runs the network, and where.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct EngineArgs {
    /// What runs the network.
    #[arg(long, value_enum, default_value = "tract")]
    engine: Engine,
    /// Where ONNX Runtime runs it.
    #[arg(long, value_enum, default_value = "cpu")]
    execution_provider: Provider,
}

impl EngineArgs {
    /// The model in a file, or of a shipped model's name, on this engine.
    ///
    /// # Errors
    /// As [`Ear::open`].
    pub fn open(self, model: &Path) -> Result<Ear> {
        Ear::open(model, self.engine, self.execution_provider)
    }
}
