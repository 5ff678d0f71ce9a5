//! Refuses graphs that no honest model holds, before any of their numbers is believed.

use super::pb;
use crate::error::{Error, Result};
use pb::tensor_proto::{DataLocation, DataType};

/// How deep graphs may lie in graphs (loop and branch bodies).
const DEEPEST: usize = 8;
/// The most numbers in one tensor.
const MOST_NUMBERS: usize = 1 << 27;

/// The most bytes that all but the weights may take in the file: an empty node takes 2 bytes there and a hundred
/// times as many in memory.
const MOST_STRUCTURE: usize = 8 << 20;
/// The most tensors of weights.
const MOST_WEIGHTS: usize = 20_000;
/// Field numbers of onnx.proto3: `ModelProto.graph` and `GraphProto.initializer`.
const GRAPH: u64 = 7;
const INITIALIZER: u64 = 5;

/// Measures, without decoding them, how much of the bytes is structure and how many weights there are.
pub(super) fn size_of_structure(bytes: &[u8]) -> Result<()> {
    let (mut structure, mut weights) = (bytes.len(), 0_usize);
    for (_, graph) in Fields(bytes).filter(|(number, _)| *number == GRAPH) {
        for (_, tensor) in Fields(graph).filter(|(number, _)| *number == INITIALIZER) {
            structure -= tensor.len();
            weights += 1;
        }
    }
    if structure > MOST_STRUCTURE || weights > MOST_WEIGHTS {
        return Err(Error::NotOnnx(format!(
            "it holds {weights} tensors of weights and {structure} bytes beside them; \
             {MOST_WEIGHTS} and {MOST_STRUCTURE} are the most"
        )));
    }
    Ok(())
}

/// The length-delimited fields of a protobuf message, as far as it can be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let tag = prost::encoding::decode_varint(&mut self.0).ok()?;
            let length = match tag & 7 {
                0 => {
                    prost::encoding::decode_varint(&mut self.0).ok()?;
                    continue;
                }
                1 => 8,
                2 => usize::try_from(prost::encoding::decode_varint(&mut self.0).ok()?).ok()?,
                5 => 4,
                _ => return None,
            };
            let (field, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            if tag & 7 == 2 {
                return Some((tag >> 3, field));
            }
        }
    }
}

/// Checks every tensor of the graph, those in attributes and inner graphs included.
pub(super) fn graph(graph: &pb::GraphProto) -> Result<()> {
    inner(graph, 0)
}

fn inner(graph: &pb::GraphProto, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(Error::NotOnnx(format!("graphs lie more than {DEEPEST} deep in each other")));
    }
    graph.initializer.iter().try_for_each(tensor)?;
    graph.node.iter().try_for_each(|node| expansion(node, graph))?;
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute.t.iter().chain(&attribute.tensors).try_for_each(tensor)?;
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|g| inner(g, depth + 1))?;
    }
    Ok(())
}

/// A handful of numbers that say «make a tensor of this shape»: refused where that is absurd, since the engine
/// computes constants while it loads.
fn expansion(node: &pb::NodeProto, graph: &pb::GraphProto) -> Result<()> {
    let shape = match node.op_type.as_str() {
        "ConstantOfShape" => node.input.first(),
        "Expand" => node.input.get(1),
        _ => None,
    };
    let constant = |node: &pb::NodeProto| node.attribute.iter().find_map(|attribute| attribute.t.clone());
    let tensor = shape.and_then(|name| {
        let stored = graph.initializer.iter().find(|t| t.name == *name).cloned();
        stored.or_else(|| graph.node.iter().find(|n| n.output.first() == Some(name)).and_then(constant))
    });
    let Some(tensor) = tensor.filter(|t| t.data_type == DataType::Int64 as i32) else { return Ok(()) };
    let raw = tensor.raw_data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
    let numbers =
        raw.chain(tensor.int64_data.iter().copied()).try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(d).ok()?));
    if numbers.is_some_and(|n| n <= MOST_NUMBERS) {
        return Ok(());
    }
    let reason = "it asks for a tensor of an absurd shape".to_owned();
    Err(Error::BadTensor { tensor: tensor.name, reason })
}

fn tensor(tensor: &pb::TensorProto) -> Result<()> {
    let broken = |reason: String| Err(Error::BadTensor { tensor: tensor.name.clone(), reason });
    if tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty() {
        let location = tensor.external_data.iter().find(|entry| entry.key == "location");
        return Err(Error::ExternalData {
            tensor: tensor.name.clone(),
            location: location.map_or_else(|| "no file named".into(), |entry| entry.value.clone()),
        });
    }
    let numbers = tensor.dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    let Some(numbers) = numbers.filter(|&n| n <= MOST_NUMBERS) else {
        return broken(format!("its shape is {:?}", tensor.dims));
    };
    let Ok(kind) = DataType::try_from(tensor.data_type) else {
        return broken(format!("its type {} is unknown", tensor.data_type));
    };
    if let Some(held) = held(tensor, kind)
        && held != numbers
    {
        return broken(format!("its shape {:?} wants {numbers} numbers, the file holds {held}", tensor.dims));
    }
    if is_finite(tensor, kind) { Ok(()) } else { Err(Error::NotFinite(tensor.name.clone())) }
}

/// How many numbers the tensor holds, where that can be counted.
fn held(tensor: &pb::TensorProto, kind: DataType) -> Option<usize> {
    let bytes = match kind {
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        _ => return None,
    };
    if !tensor.raw_data.is_empty() {
        // A remainder is a broken tensor too: counted as one number that no shape asks for.
        let whole = tensor.raw_data.len() / bytes;
        return Some(if tensor.raw_data.len().is_multiple_of(bytes) { whole } else { usize::MAX });
    }
    Some(match kind {
        DataType::Float => tensor.float_data.len(),
        DataType::Double => tensor.double_data.len(),
        DataType::Int64 => tensor.int64_data.len(),
        DataType::Uint64 | DataType::Uint32 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    })
}

fn is_finite(tensor: &pb::TensorProto, kind: DataType) -> bool {
    match kind {
        DataType::Float => {
            tensor.float_data.iter().all(|v| v.is_finite())
                && tensor.raw_data.as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite())
        }
        DataType::Double => {
            tensor.double_data.iter().all(|v| v.is_finite())
                && tensor.raw_data.as_chunks::<8>().0.iter().all(|b| f64::from_le_bytes(*b).is_finite())
        }
        _ => true,
    }
}
