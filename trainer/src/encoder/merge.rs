//! Encoder and head as one graph.

use anyhow::{Result, anyhow, bail, ensure};
use tocco_models::NetworkKind;
use tocco_models::onnx::{Attribute, GraphBuilder, pb};

use super::hears::Hears;

/// Versions of the operators that head and encoder can share: in all of them the head's operators mean the same.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=22;
/// Where an embedding leaves the encoder.
pub(super) const EMBEDDING: &str = "embedding";

impl Hears {
    /// Name and shape of the merged model's input, as a card wants them.
    pub(super) fn input(&self) -> (&'static str, Vec<usize>) {
        match self {
            Self::Audio { samples } => ("audio", vec![1, 1, *samples]),
            Self::LogMel { frames, frontend, .. } => ("frames", vec![1, *frames, frontend.mels]),
        }
    }
}

/// The encoder behind the input that a card speaks of, with one output, [`EMBEDDING`]. `shape` is that of its own
/// input; `output` names one of its outputs, the first by default.
///
/// # Errors
/// Where its operators are of a version that no head can be joined to, or it has no such output.
pub(super) fn adapted(
    model: &pb::ModelProto,
    hears: &Hears,
    shape: &[usize],
    output: Option<&str>,
) -> Result<pb::ModelProto> {
    check_versions(model)?;
    let mut whole = model.clone();
    whole.metadata_props.clear();
    let mut encoder = whole.graph.take().ok_or_else(|| anyhow!("it holds no network"))?;
    let is_weight = |name: &str| encoder.initializer.iter().any(|w| w.name == name);
    let input = encoder.input.iter().find(|input| !is_weight(&input.name)).map(|input| input.name.clone());
    let input = input.ok_or_else(|| anyhow!("it has no input"))?;
    let names: Vec<String> = encoder.output.iter().map(|o| o.name.clone()).collect();
    let wanted = match output {
        Some(name) => names.iter().find(|n| *n == name),
        None => names.first(),
    };
    let wanted = wanted
        .ok_or_else(|| anyhow!("it has no output «{}»; it has: {}", output.unwrap_or_default(), names.join(", ")))?;
    let mut graph = front(hears, shape);
    let rename = |name: &str| if name == input { "encoder_input".into() } else { format!("encoder/{name}") };
    rename_all(&mut encoder, &rename);
    let from = rename(wanted);
    graph.node.extend(encoder.node);
    graph.node.push(node("Identity", &[&from], EMBEDDING));
    graph.initializer.extend(encoder.initializer);
    graph.sparse_initializer = encoder.sparse_initializer;
    graph.output = vec![of_any_shape(EMBEDDING)];
    whole.graph = Some(graph);
    Ok(whole)
}

/// The card's input to the encoder's.
fn front(hears: &Hears, shape: &[usize]) -> pb::GraphProto {
    let mut g = GraphBuilder::new("encoder and head");
    let (input, dims) = hears.input();
    g.input(input, &dims);
    let mut x = input;
    if let Hears::LogMel { bands_first, scale, offset, .. } = hears {
        if (*scale, *offset) != (1.0, 0.0) {
            g.initializer("front_scale", &[1, 1, 1], &[*scale]).initializer("front_offset", &[1, 1, 1], &[*offset]);
            g.node("Mul", &[x, "front_scale"], &["front_scaled"], &[]);
            g.node("Add", &["front_scaled", "front_offset"], &["front_moved"], &[]);
            x = "front_moved";
        }
        if *bands_first {
            g.node("Transpose", &[x], &["front_turned"], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
            x = "front_turned";
        }
    }
    reshape(&mut g, x, "encoder_input", shape);
    g.finish().graph.unwrap_or_default()
}

/// One model: an adapted encoder, its embeddings as `[1, time, size]`, and a head with the input `frames` and the
/// output `logits`, whose states start at zero and are forgotten at the end.
///
/// # Errors
/// Where one of the two holds no network.
pub(super) fn merged(
    encoder: pb::ModelProto,
    (time, size): (usize, usize),
    head: pb::ModelProto,
    kind: &NetworkKind,
) -> Result<pb::ModelProto> {
    let mut whole = encoder;
    let (Some(graph), Some(mut head)) = (&mut whole.graph, head.graph) else { bail!("it holds no network") };
    let states: &[_] = if let NetworkKind::Stream { states, .. } = kind { states } else { &[] };
    rename_all(&mut head, &|name| if name == "logits" { name.to_owned() } else { format!("head/{name}") });
    let mut between = GraphBuilder::new("");
    reshape(&mut between, EMBEDDING, "head/frames", &[1, time, size]);
    for state in states {
        let zeros = vec![0.0; state.shape.iter().product()];
        between.initializer(&format!("head/{}", state.name), &state.shape, &zeros);
    }
    let between = between.finish().graph.unwrap_or_default();
    graph.node.extend(between.node.into_iter().chain(head.node));
    graph.initializer.extend(between.initializer.into_iter().chain(head.initializer));
    graph.output = head.output.into_iter().filter(|output| output.name == "logits").collect();
    whole.ir_version = whole.ir_version.max(8);
    whole.producer_name = "tocco".into();
    Ok(whole)
}

fn check_versions(model: &pb::ModelProto) -> Result<()> {
    for import in &model.opset_import {
        let ours = matches!(import.domain.as_str(), "" | "ai.onnx");
        ensure!(
            !ours || OPSETS.contains(&import.version),
            "its operators are of version {}, a head can be joined to versions {} to {}: export it anew, or turn it with \
             the Python package onnx (onnx.version_converter.convert_version(model, 17))",
            import.version,
            OPSETS.start(),
            OPSETS.end()
        );
    }
    ensure!(
        model.opset_import.iter().any(|import| matches!(import.domain.as_str(), "" | "ai.onnx")),
        "it does not say of which version its operators are"
    );
    Ok(())
}

/// Renames every value of a graph and of the graphs inside it; nodes too, so that no two have the same name.
pub(super) fn rename_all(graph: &mut pb::GraphProto, rename: &impl Fn(&str) -> String) {
    let new = |name: &mut String| {
        // An empty name stands for an input that is left out.
        if !name.is_empty() {
            *name = rename(name);
        }
    };
    graph.input.iter_mut().chain(&mut graph.output).for_each(|value| new(&mut value.name));
    graph.initializer.iter_mut().for_each(|weight| new(&mut weight.name));
    graph.sparse_initializer.iter_mut().filter_map(|w| w.values.as_mut()).for_each(|weight| new(&mut weight.name));
    // Shapes of inner values are inferred anew; those of the file may hold symbols that now have a value.
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    for node in &mut graph.node {
        new(&mut node.name);
        node.input.iter_mut().chain(&mut node.output).for_each(new);
        for attribute in &mut node.attribute {
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|inner| rename_all(inner, rename));
        }
    }
}

pub(super) fn reshape(g: &mut GraphBuilder, from: &str, to: &str, shape: &[usize]) {
    #[expect(clippy::cast_possible_wrap, reason = "a shape that fits in memory")]
    let numbers: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
    let name = format!("{to}_shape");
    g.initializer_i64(&name, &[numbers.len()], &numbers);
    g.node("Reshape", &[from, &name], &[to], &[]);
}

fn node(operator: &str, inputs: &[&str], output: &str) -> pb::NodeProto {
    pb::NodeProto {
        name: format!("{operator}_{output}"),
        op_type: operator.into(),
        input: inputs.iter().map(|&s| s.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

/// An output of 32-bit floats.
fn of_any_shape(name: &str) -> pb::ValueInfoProto {
    let elem_type = pb::tensor_proto::DataType::Float as i32;
    let value = pb::type_proto::Value::TensorType(pb::type_proto::Tensor { elem_type, shape: None });
    let r#type = Some(pb::TypeProto { value: Some(value), ..Default::default() });
    pb::ValueInfoProto { name: name.into(), r#type, ..Default::default() }
}
