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
/// Field numbers of onnx.proto3: `ModelProto.graph`, `GraphProto.initializer`, `GraphProto.node`, `NodeProto.attribute`,
/// `AttributeProto.t`; those of a tensor's numbers, which take no more room in memory than in the file: `raw_data`,
/// `float_data`, `double_data`.
const GRAPH: u64 = 7;
const INITIALIZER: u64 = 5;
const NODE: u64 = 1;
const ATTRIBUTE: u64 = 5;
const TENSOR: u64 = 5;
const NUMBERS: [u64; 3] = [9, 4, 10];

/// Measures, without decoding them, how much of the bytes is structure and how many weights there are: all but the numbers
/// of initializers and of `Constant` nodes.
pub(super) fn size_of_structure(bytes: &[u8]) -> Result<()> {
    let (mut structure, mut weights) = (bytes.len(), 0_usize);
    let mut weight = |tensor: &[u8]| {
        structure -= fields_of(tensor, |number| NUMBERS.contains(&number)).map(<[u8]>::len).sum::<usize>();
        weights += 1;
    };
    for graph in fields_of(bytes, |number| number == GRAPH) {
        fields_of(graph, |number| number == INITIALIZER).for_each(&mut weight);
        fields_of(graph, |number| number == NODE)
            .flat_map(|node| fields_of(node, |number| number == ATTRIBUTE))
            .flat_map(|attribute| fields_of(attribute, |number| number == TENSOR))
            .for_each(&mut weight);
    }
    if structure > MOST_STRUCTURE || weights > MOST_WEIGHTS {
        return Err(Error::NotOnnx(format!(
            "it holds {weights} tensors of weights and {structure} bytes beside them; \
             {MOST_WEIGHTS} and {MOST_STRUCTURE} are the most"
        )));
    }
    Ok(())
}

fn fields_of(message: &[u8], is_wanted: impl Fn(u64) -> bool) -> impl Iterator<Item = &[u8]> {
    Fields(message).filter(move |(number, _)| is_wanted(*number)).map(|(_, field)| field)
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

/// A handful of numbers that say «make a tensor of this size»: refused where that is absurd, since the engine computes
/// constants while it loads, before it looks at how much they hold.
fn expansion(node: &pb::NodeProto, graph: &pb::GraphProto) -> Result<()> {
    let constant = |node: &pb::NodeProto| node.attribute.iter().find_map(|attribute| attribute.t.clone());
    let input = |index: usize| -> Option<pb::TensorProto> {
        let name = node.input.get(index)?;
        let stored = graph.initializer.iter().find(|t| t.name == *name).cloned();
        stored.or_else(|| graph.node.iter().find(|n| n.output.first() == Some(name)).and_then(constant))
    };
    let whole = |index: usize| input(index).as_ref().map(whole_numbers).unwrap_or_default();
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name).map(|a| a.ints.clone());
    // How many times as large the result is at the least, one factor a side.
    let sides = match node.op_type.as_str() {
        "ConstantOfShape" => whole(0),
        "Expand" | "Tile" => whole(1),
        // Before and behind each side.
        "Pad" => {
            let pads = attribute("pads").unwrap_or_else(|| whole(1));
            let (before, behind) = pads.split_at(pads.len() / 2);
            before.iter().zip(behind).map(|(a, b)| a.saturating_add(*b).saturating_add(1).max(1)).collect()
        }
        "Range" => match [0, 1, 2].map(|index| input(index).and_then(|t| number(&t))) {
            [Some(start), Some(limit), Some(step)] => {
                #[expect(clippy::cast_possible_truncation, reason = "what does not fit is absurd too")]
                let steps = ((limit - start) / step).max(0.0) as i64;
                vec![steps]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let numbers = sides.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?));
    if numbers.is_some_and(|n| n <= MOST_NUMBERS) {
        return Ok(());
    }
    let tensor = node.output.first().cloned().unwrap_or_default();
    Err(Error::BadTensor { tensor, reason: "it asks for a tensor of an absurd shape".to_owned() })
}

/// The numbers of a tensor of whole ones; none where it is another.
fn whole_numbers(tensor: &pb::TensorProto) -> Vec<i64> {
    if tensor.data_type != DataType::Int64 as i32 {
        return Vec::new();
    }
    let raw = tensor.raw_data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
    raw.chain(tensor.int64_data.iter().copied()).collect()
}

/// The one number of a tensor.
fn number(tensor: &pb::TensorProto) -> Option<f64> {
    let whole = || tensor.int32_data.first().map(|n| f64::from(*n));
    let raw = &tensor.raw_data;
    match DataType::try_from(tensor.data_type).ok()? {
        DataType::Int64 => whole_numbers(tensor).first().map(|n| *n as f64),
        DataType::Float => {
            let raw = raw.first_chunk().map(|bytes| f32::from_le_bytes(*bytes));
            raw.or_else(|| tensor.float_data.first().copied()).map(f64::from)
        }
        DataType::Double => {
            raw.first_chunk().map(|bytes| f64::from_le_bytes(*bytes)).or_else(|| tensor.double_data.first().copied())
        }
        DataType::Int32 => raw.first_chunk().map(|bytes| f64::from(i32::from_le_bytes(*bytes))).or_else(whole),
        DataType::Int16 => raw.first_chunk().map(|bytes| f64::from(i16::from_le_bytes(*bytes))).or_else(whole),
        _ => None,
    }
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
