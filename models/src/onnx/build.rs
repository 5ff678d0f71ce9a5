//! A small builder of ONNX graphs.

use super::pb;
use pb::attribute_proto::AttributeType;
use pb::tensor_proto::DataType;

/// The operator set that is written: tract is tested up to 18, ONNX Runtime reads all of these.
const OPSET: i64 = 17;
/// The file format version that belongs to it.
const IR_VERSION: i64 = 8;

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
    /// A list of numbers.
    Floats(Vec<f32>),
    /// A text.
    String(String),
}

/// Collects inputs, outputs, weights and nodes; nodes go in the order in which they run.
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    graph: pb::GraphProto,
}

impl GraphBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { graph: pb::GraphProto { name: name.into(), ..Default::default() } }
    }

    /// Declares an input of 32-bit floats.
    pub fn input(&mut self, name: &str, shape: &[usize]) -> &mut Self {
        self.graph.input.push(value_info(name, shape));
        self
    }

    /// Declares an output of 32-bit floats.
    pub fn output(&mut self, name: &str, shape: &[usize]) -> &mut Self {
        self.graph.output.push(value_info(name, shape));
        self
    }

    /// Adds a tensor of weights.
    pub fn initializer(&mut self, name: &str, shape: &[usize], values: &[f32]) -> &mut Self {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, shape, DataType::Float, raw)
    }

    /// Adds a tensor of integers (axes, shapes, starts and ends).
    pub fn initializer_i64(&mut self, name: &str, shape: &[usize], values: &[i64]) -> &mut Self {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, shape, DataType::Int64, raw)
    }

    /// Adds a node; it is named after its first output.
    pub fn node(&mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attribute)]) -> &mut Self {
        self.graph.node.push(pb::NodeProto {
            name: outputs.first().map(|o| format!("{op}_{o}")).unwrap_or_default(),
            op_type: op.into(),
            input: inputs.iter().map(|&s| s.into()).collect(),
            output: outputs.iter().map(|&s| s.into()).collect(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            ..Default::default()
        });
        self
    }

    /// The finished model, without a card.
    #[must_use]
    pub fn finish(self) -> pb::ModelProto {
        pb::ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "tocco".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            ..Default::default()
        }
    }

    fn tensor(&mut self, name: &str, shape: &[usize], kind: DataType, raw_data: Vec<u8>) -> &mut Self {
        self.graph.initializer.push(pb::TensorProto {
            name: name.into(),
            dims: dims(shape),
            data_type: kind as i32,
            raw_data,
            ..Default::default()
        });
        self
    }
}

#[expect(clippy::cast_possible_wrap, reason = "a tensor that fits in memory")]
fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}

pub(crate) fn value_info(name: &str, shape: &[usize]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dim = dims(shape)
        .into_iter()
        .map(|d| Dimension { denotation: String::new(), value: Some(Value::DimValue(d)) })
        .collect();
    floats_info(name, Some(pb::TensorShapeProto { dim }))
}

/// An output whose shape the engine infers.
pub(crate) fn untyped(name: &str) -> pb::ValueInfoProto {
    floats_info(name, None)
}

fn floats_info(name: &str, shape: Option<pb::TensorShapeProto>) -> pb::ValueInfoProto {
    let tensor = pb::type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    pb::ValueInfoProto {
        name: name.into(),
        r#type: Some(pb::TypeProto {
            denotation: String::new(),
            value: Some(pb::type_proto::Value::TensorType(tensor)),
        }),
        ..Default::default()
    }
}

pub(super) fn attribute(name: &str, value: &Attribute) -> pb::AttributeProto {
    let mut proto = pb::AttributeProto { name: name.into(), ..Default::default() };
    let kind = match value {
        Attribute::Int(i) => {
            proto.i = *i;
            AttributeType::Int
        }
        Attribute::Ints(ints) => {
            proto.ints.clone_from(ints);
            AttributeType::Ints
        }
        Attribute::Float(f) => {
            proto.f = *f;
            AttributeType::Float
        }
        Attribute::Floats(floats) => {
            proto.floats.clone_from(floats);
            AttributeType::Floats
        }
        Attribute::String(s) => {
            proto.s = s.as_bytes().to_vec();
            AttributeType::String
        }
    };
    proto.r#type = kind as i32;
    proto
}
