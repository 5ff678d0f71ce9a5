//! Several windows of an encoder, one after the other, as one encoder with a longer window: what a head over a sequence
//! hears where the encoder gives one embedding a window.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tocco_models::onnx::{Attribute, GraphBuilder, pb};

use super::hears::{Hears, LONGEST_WINDOW_S, Wish};
use super::merge::{EMBEDDING, rename_all, reshape};

/// More windows than this would make a graph that takes minutes to read.
const MOST_WINDOWS: usize = 64;
/// Share of a window by which the next one comes later.
const USUAL_STEP: f64 = 0.5;

/// How windows follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Successive {
    /// How many are heard for a decision.
    pub windows: usize,
    /// How much later the next one is: samples, or frames of a log-mel.
    pub step: usize,
    /// One of them.
    pub one: Hears,
}

impl Successive {
    /// What a wish asks for: `None` for one window, else the windows and all that they hear together.
    ///
    /// # Errors
    /// A value is out of its range, or the windows are longer than an encoder may hear.
    pub fn wished(one: &Hears, rate: u32, wish: &Wish) -> Result<Option<(Self, Hears)>> {
        let windows = wish.windows.unwrap_or(1);
        ensure!(
            (1..=MOST_WINDOWS).contains(&windows),
            "--encoder-windows is {windows}: 1 to {MOST_WINDOWS} are possible"
        );
        if windows == 1 {
            ensure!(
                wish.step_s.is_none(),
                "--encoder-step-s needs windows to put one after the other: --encoder-windows 4"
            );
            return Ok(None);
        }
        let (length, unit_s) = match one {
            Hears::Audio { samples } => (*samples, 1.0 / f64::from(rate)),
            Hears::LogMel { frames, frontend, .. } => (*frames, frontend.hop as f64 / f64::from(rate)),
        };
        let longest = length as f64 * unit_s;
        let seconds = wish.step_s.unwrap_or(USUAL_STEP * longest);
        // Half a sample or frame: a step as long as the window may not fail by its rounding.
        ensure!(
            seconds > 0.0 && seconds <= longest + 0.5 * unit_s,
            "--encoder-step-s is {seconds}: it must lie between 0 and the length of a window, {longest:.3}"
        );
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a window")]
        let step = ((seconds / unit_s).round() as usize).clamp(1, length);
        let more = (windows - 1) * step;
        let mut whole = one.clone();
        match &mut whole {
            Hears::Audio { samples } => *samples += more,
            Hears::LogMel { frames, .. } => *frames += more,
        }
        let together = whole.samples() as f64 / f64::from(rate);
        ensure!(
            together <= LONGEST_WINDOW_S,
            "{windows} windows (--encoder-windows) are {together:.1} s together: at most {LONGEST_WINDOW_S} are possible"
        );
        Ok(Some((Self { windows, step, one: one.clone() }, whole)))
    }

    /// The end of the sentence on what an encoder hears.
    pub(super) fn sentence(&self, whole: &Hears, rate: u32) -> String {
        let (windows, unit) =
            (self.windows, if matches!(self.one, Hears::Audio { .. }) { "samples" } else { "frames" });
        let seconds = whole.samples() as f64 / f64::from(rate);
        format!("; {windows} of them for a decision, each {} {unit} after the one before ({seconds:.2} s)", self.step)
    }

    /// The encoder `one`, as [`super::merge::adapted`] leaves it, over all windows: its nodes once for each, its weights
    /// once. The output is `[1, windows * time, size]` where a window gives `time` embeddings of `size` numbers.
    ///
    /// # Errors
    /// Where it holds no network.
    pub(super) fn over(
        &self,
        one: &pb::ModelProto,
        (time, size): (usize, usize),
        whole: &Hears,
    ) -> Result<pb::ModelProto> {
        let mut model = one.clone();
        let Some(encoder) = model.graph.take() else { bail!("it holds no network") };
        let shared = shared(&encoder);
        let input = whole.input();
        let (constants, of_window): (Vec<_>, Vec<_>) = encoder.node.into_iter().partition(is_constant);
        let mut cuts = GraphBuilder::new("successive windows");
        cuts.input(input.0, &input.1);
        let mut joint = GraphBuilder::new("");
        let mut nodes = constants;
        for window in 0..self.windows {
            let name = |value: &str| format!("window{window}/{value}");
            self.cut(&mut cuts, input.0, window * self.step, &name);
            let mut copy = pb::GraphProto { node: of_window.clone(), ..Default::default() };
            rename_all(&mut copy, &|value| if shared.contains(value) { value.to_owned() } else { name(value) });
            // A node may be called as a weight is; no two nodes may have one name.
            copy.node.iter_mut().filter(|n| shared.contains(&n.name)).for_each(|n| n.name = name(&n.name));
            nodes.extend(copy.node);
            reshape(&mut joint, &name(EMBEDDING), &name("sequence"), &[1, time, size]);
        }
        let heard: Vec<String> = (0..self.windows).map(|window| format!("window{window}/sequence")).collect();
        let heard: Vec<&str> = heard.iter().map(String::as_str).collect();
        joint.node("Concat", &heard, &[EMBEDDING], &[("axis", Attribute::Int(1))]);
        let (before, behind) = (cuts.finish().graph.unwrap_or_default(), joint.finish().graph.unwrap_or_default());
        model.graph = Some(pb::GraphProto {
            node: before.node.into_iter().chain(nodes).chain(behind.node).collect(),
            initializer: before.initializer.into_iter().chain(encoder.initializer).chain(behind.initializer).collect(),
            sparse_initializer: encoder.sparse_initializer,
            output: encoder.output,
            name: before.name,
            input: before.input,
            ..Default::default()
        });
        Ok(model)
    }

    /// The window that begins at `start`, out of all that is heard.
    fn cut(&self, g: &mut GraphBuilder, input: &str, start: usize, name: &impl Fn(&str) -> String) {
        let (axis, length) = match &self.one {
            Hears::Audio { samples } => (2, *samples),
            Hears::LogMel { frames, .. } => (1, *frames),
        };
        let numbers = [("from", start), ("to", start + length), ("axis", axis)];
        let numbers = numbers.map(|(what, number)| {
            #[expect(clippy::cast_possible_wrap, reason = "a place in a window")]
            g.initializer_i64(&name(what), &[1], &[number as i64]);
            name(what)
        });
        let [from, to, axis] = numbers.each_ref().map(String::as_str);
        g.node("Slice", &[input, from, to, axis], &[&name(input)], &[]);
    }
}

fn is_constant(node: &pb::NodeProto) -> bool {
    node.op_type == "Constant"
}

/// Names of the values that are the same in every window.
fn shared(encoder: &pb::GraphProto) -> HashSet<String> {
    let sparse = encoder.sparse_initializer.iter().filter_map(|w| w.values.as_ref());
    let weights = encoder.initializer.iter().chain(sparse).map(|w| w.name.clone());
    weights.chain(encoder.node.iter().filter(|node| is_constant(node)).flat_map(|node| node.output.clone())).collect()
}
