//! Refuses graphs that no honest model holds, before any of their numbers is believed.

use super::pb;
use crate::error::{Error, Result};
use pb::tensor_proto::{DataLocation, DataType};

/// How deep graphs may lie in graphs (loop and branch bodies).
const DEEPEST: usize = 8;
/// The most numbers in one tensor.
const MOST_NUMBERS: usize = 1 << 27;

/// Checks every tensor of the graph, those in attributes and inner graphs included.
pub(super) fn graph(graph: &pb::GraphProto) -> Result<()> {
    inner(graph, 0)
}

fn inner(graph: &pb::GraphProto, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(Error::NotOnnx(format!("graphs lie more than {DEEPEST} deep in each other")));
    }
    graph.initializer.iter().try_for_each(tensor)?;
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute.t.iter().chain(&attribute.tensors).try_for_each(tensor)?;
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|g| inner(g, depth + 1))?;
    }
    Ok(())
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
