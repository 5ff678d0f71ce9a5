//! Gated recurrent units as one step.

use tocco_models::StateSpec;
use tocco_models::onnx::Attribute;

use super::{Graph, bias, values};
use crate::net::{GruLayer, StreamGru};
use crate::train::Settings;

/// What the units of each layer keep, as the ONNX operator has it: `[directions, batch, hidden]`.
pub(super) fn states(net: &StreamGru) -> Vec<StateSpec> {
    net.layers
        .iter()
        .enumerate()
        .map(|(layer, units)| StateSpec {
            name: format!("units{layer}"),
            shape: vec![1, 1, units.past.weight.dims()[0]],
        })
        .collect()
}

impl Graph {
    /// Frames to the features of the newest one `[1, 1, hidden]`.
    pub(super) fn stream_gru(&mut self, net: &StreamGru, settings: &Settings) -> String {
        self.projection(&net.input, "x", settings);
        self.builder.node("Relu", &["x"], &["projected"], &[]);
        // The operator wants time first.
        let swap = [("perm", Attribute::Ints(vec![1, 0, 2]))];
        self.builder.node("Transpose", &["projected"], &["units_in"], &swap);
        let mut x = "units_in".to_owned();
        for (index, layer) in net.layers.iter().enumerate() {
            x = self.units(index, layer, &x, &format!("units{index}"));
        }
        // The newest state of the uppermost layer is the answer.
        let newest = format!("units{}_next", net.layers.len().saturating_sub(1));
        self.builder.node("Identity", &[&newest], &["features"], &[]);
        "features".into()
    }

    /// One layer, from the state of that name, or from zero where it is empty; the name of its states at all new frames
    /// `[frames, 1, hidden]`. Its newest state is `units{index}_next`.
    pub(super) fn units(&mut self, index: usize, layer: &GruLayer, x: &str, state: &str) -> String {
        let [inputs, wide] = layer.below.weight.dims();
        let hidden = wide / 3;
        let name = |part: &str| format!("units{index}_{part}");
        let transposed = |layer: &burn::nn::Linear| values(&layer.weight.val().transpose());
        let biases = [bias(&layer.below), bias(&layer.past)].concat();
        self.builder.initializer(&name("w"), &[1, wide, inputs], &transposed(&layer.below));
        self.builder.initializer(&name("r"), &[1, wide, hidden], &transposed(&layer.past));
        self.builder.initializer(&name("b"), &[1, 2 * wide], &biases);
        #[expect(clippy::cast_possible_wrap, reason = "a number of units")]
        let attributes = [("hidden_size", Attribute::Int(hidden as i64)), ("linear_before_reset", Attribute::Int(1))];
        let (next, all) = (name("next"), name("all"));
        let inputs = [x, &name("w"), &name("r"), &name("b"), "", state];
        let inputs = if state.is_empty() { &inputs[..4] } else { &inputs[..] };
        self.builder.node("GRU", inputs, &[&all, &next], &attributes);
        let out = name("out");
        self.builder.initializer_i64(&name("axis"), &[1], &[1]);
        self.builder.node("Squeeze", &[&all, &name("axis")], &[&out], &[]);
        out
    }
}
