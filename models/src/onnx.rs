//! Reading, checking, building and writing ONNX files, and the card in their metadata.

use prost::Message;
pub use tract_onnx::pb;

mod build;
mod check;
pub(crate) mod sequence;

pub use build::{Attribute, GraphBuilder};
pub(crate) use build::{untyped, value_info};
pub use sequence::{floats, whole_sequence};

use crate::card::{CARD_KEY, Card};
use crate::error::{Error, Result};

/// The largest file that is loaded, in bytes: pretrained encoders of 90 million weights are among what is.
pub const LARGEST_FILE: u64 = 512 << 20;

/// Reads an ONNX file's bytes and refuses what no honest model holds: cut-off files, data outside the file,
/// shapes that contradict their data, weights that are not finite.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::NotOnnx`], [`Error::ExternalData`], [`Error::BadTensor`], [`Error::NotFinite`].
pub fn decode(bytes: &[u8]) -> Result<pb::ModelProto> {
    let size = bytes.len() as u64;
    if size > LARGEST_FILE {
        return Err(Error::TooLarge { size, limit: LARGEST_FILE });
    }
    check::size_of_structure(bytes)?;
    let model = pb::ModelProto::decode(bytes).map_err(|e| Error::NotOnnx(e.to_string()))?;
    match &model.graph {
        Some(graph) if !graph.node.is_empty() => check::graph(graph)?,
        _ => return Err(Error::NotOnnx("it holds no network".into())),
    }
    Ok(model)
}

/// The file's bytes.
#[must_use]
pub fn encode(model: &pb::ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// Puts the card into the model's metadata, in place of one that is there.
///
/// # Errors
/// [`Error::BadCard`] where the card does not make sense in itself.
pub fn with_card(mut model: pb::ModelProto, card: &Card) -> Result<pb::ModelProto> {
    let value = card.to_json()?;
    model.metadata_props.retain(|entry| entry.key != CARD_KEY);
    model.metadata_props.push(pb::StringStringEntryProto { key: CARD_KEY.into(), value });
    Ok(model)
}

/// A value of the model's metadata.
#[must_use]
pub fn metadata<'a>(model: &'a pb::ModelProto, key: &str) -> Option<&'a str> {
    model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

#[cfg(test)]
mod tests;
