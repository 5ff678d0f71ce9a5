//! A stream network read back from the file that [`super::export`] wrote: what fine-tuning begins with where the run's
//! folder is not at hand.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use tocco_models::onnx::{self, pb};
use tocco_models::{Card, Model, NetworkKind};

use super::verify::whole_sequence;
use crate::net::{GruShape, Net, Shape, TcnShape};
use crate::train::{Options, Settings, kind_of, preset};

/// How far the logits of the network that was read may lie from those in the card. Normalisation is taken out of the
/// weights and put back in: that rounds.
const ROUNDING: f32 = 1e-3;

/// A stream network out of a model file.
#[derive(Debug)]
pub struct Exported {
    card: Card,
    /// What the file tells of the options that it was trained with: network, frontend, rate, step and task.
    pub options: Options,
    weights: Weights,
}

impl Exported {
    /// Reads a model file's bytes.
    ///
    /// # Errors
    /// Where they are no model, or one whose network is no stream network as this program writes it.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let card = Model::from_bytes(bytes)?.card().clone();
        let NetworkKind::Stream { frames_per_step, .. } = card.network else {
            bail!("its network does not hear frame by frame: only the folder of its run can be begun with")
        };
        let weights = Weights::of(&onnx::decode(bytes)?)?;
        let (shape, own_heads) = (weights.shape(&card, frames_per_step)?, weights.0.contains_key("head_answer"));
        let frontend = card.frontend.clone().context("its card tells of no frontend")?;
        let kind = kind_of(&shape).context("its network is of no kind that can be trained")?;
        let sample_rate = card.sample_rate;
        let options = Options { frames_per_step, shape, own_heads, sample_rate, frontend, ..preset(kind, card.task) };
        let exported = Self { card, options, weights };
        exported.check()?;
        Ok(exported)
    }

    /// The classes in the file's order.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.card.classes
    }

    /// The network for frames that are normalised by `mean` and `deviation`, a number a band: the file's own takes
    /// frames as they are.
    ///
    /// # Errors
    /// Where the file lacks a weight.
    pub fn net(&self, mean: &[f32], deviation: &[f32], device: &Device) -> Result<Net> {
        let all = match &self.options.shape {
            Shape::StreamTcn(shape) => self.stream_tcn(shape, mean, deviation)?,
            Shape::StreamGru(shape) => self.stream_gru(shape, mean, deviation)?,
            _ => bail!("its network does not hear frame by frame"),
        };
        let net = Net::new(&self.settings(mean, deviation).net(), 0, device);
        ensure!(all.len() == net.weights().len(), "its network has parts that this program does not know");
        Ok(net.with_weights(&all))
    }

    /// Whether the network that was read answers as its card says.
    fn check(&self) -> Result<()> {
        let size = self.options.frontend.frame_size();
        let (mean, deviation) = (vec![0.0; size], vec![1.0; size]);
        let Some(reference) = &self.card.reference else { bail!("its card holds no reference to compare with") };
        let net = self.net(&mean, &deviation, &Device::flex())?;
        let heard = whole_sequence(&net, &self.settings(&mean, &deviation), &reference.input);
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= ROUNDING * b.abs().max(1.0);
        ensure!(
            heard.len() == reference.output.len() && heard.iter().zip(&reference.output).all(near),
            "its network is not one that «tocco train» makes: read back, it answers otherwise than its card says"
        );
        Ok(())
    }

    fn settings(&self, mean: &[f32], deviation: &[f32]) -> Settings {
        Settings {
            name: self.card.name.clone(),
            classes: self.card.classes.clone(),
            mean: mean.to_vec(),
            deviation: deviation.to_vec(),
            data: self.card.data.clone(),
            options: self.options.clone(),
        }
    }

    /// All weights in the order of [`Net::weights`].
    fn stream_tcn(&self, shape: &TcnShape, mean: &[f32], deviation: &[f32]) -> Result<Vec<f32>> {
        let mut all = self.input(mean, deviation)?;
        let row = shape.channels;
        for block in 0..shape.dilations.len() {
            // The file holds each tap once for every frame of a step.
            let (_, taps) = self.weights.get(&format!("b{block}_taps"))?;
            let of_tap = taps.chunks_exact(self.options.frames_per_step * row);
            all.extend(of_tap.flat_map(|tap| &tap[..row]));
            for layer in ["widen", "narrow"] {
                all.extend(self.weights.linear(&format!("b{block}_{layer}"))?);
            }
        }
        all.extend(self.weights.linear("mix")?);
        all.extend(self.head()?);
        Ok(all)
    }

    /// As [`Exported::stream_tcn`].
    fn stream_gru(&self, shape: &GruShape, mean: &[f32], deviation: &[f32]) -> Result<Vec<f32>> {
        let mut all = self.input(mean, deviation)?;
        for layer in 0..shape.layers {
            let (_, biases) = self.weights.get(&format!("units{layer}_b"))?;
            let (below, past) = biases.split_at(biases.len() / 2);
            for (matrix, bias) in [("w", below), ("r", past)] {
                let (shape, numbers) = self.weights.get(&format!("units{layer}_{matrix}"))?;
                let [_, outputs, inputs] = shape[..] else { bail!("its recurrent weights have an unknown shape") };
                let at = |input: usize| (0..outputs).map(move |output| numbers[output * inputs + input]);
                all.extend((0..inputs).flat_map(at));
                all.extend(bias);
            }
        }
        all.extend(self.head()?);
        Ok(all)
    }

    /// The first layer. The file's takes raw frames `x`; one that takes `(x - mean) / deviation` and answers the same
    /// has `W' = W deviation` and `b' = b + W mean`.
    fn input(&self, mean: &[f32], deviation: &[f32]) -> Result<Vec<f32>> {
        let (shape, weight) = self.weights.get("input_weight")?;
        let outputs = shape.last().copied().unwrap_or(1).max(1);
        let (_, bias) = self.weights.get("input_bias")?;
        let mut bias: Vec<f64> = bias.iter().map(|b| f64::from(*b)).collect();
        let mut all = Vec::with_capacity(weight.len() + bias.len());
        for (row, (mean, deviation)) in weight.chunks_exact(outputs).zip(mean.iter().zip(deviation)) {
            all.extend(row.iter().map(|w| w * deviation));
            bias.iter_mut().zip(row).for_each(|(b, w)| *b += f64::from(*w) * f64::from(*mean));
        }
        #[expect(clippy::cast_possible_truncation, reason = "weights are kept as 32-bit floats")]
        all.extend(bias.iter().map(|b| *b as f32));
        Ok(all)
    }

    fn head(&self) -> Result<Vec<f32>> {
        if !self.options.own_heads {
            return self.weights.linear("head");
        }
        let mut all = self.weights.linear("head_hidden")?;
        for part in ["head_answer", "head_bias"] {
            all.extend(&self.weights.get(part)?.1);
        }
        Ok(all)
    }
}

/// Shape and numbers of each weight, by its name in the file.
#[derive(Debug)]
struct Weights(HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Weights {
    fn of(model: &pb::ModelProto) -> Result<Self> {
        let graph = model.graph.as_ref().context("it holds no network")?;
        let weights = graph.initializer.iter().filter_map(|tensor| Some((tensor, onnx::floats(tensor)?)));
        let weights = weights.map(|(tensor, numbers)| {
            let shape = tensor.dims.iter().map(|d| usize::try_from(*d)).collect::<Result<_, _>>()?;
            Ok((tensor.name.clone(), (shape, numbers)))
        });
        Ok(Self(weights.collect::<Result<_>>()?))
    }

    fn get(&self, name: &str) -> Result<&(Vec<usize>, Vec<f32>)> {
        let found = self.0.get(name);
        found.with_context(|| format!("its network lacks «{name}», which every network of «tocco train» has"))
    }

    /// Weight and bias of a layer.
    fn linear(&self, name: &str) -> Result<Vec<f32>> {
        let (weight, bias) = (self.get(&format!("{name}_weight"))?, self.get(&format!("{name}_bias"))?);
        Ok([weight.1.as_slice(), &bias.1].concat())
    }

    /// What the network was made as.
    fn shape(&self, card: &Card, frames_per_step: usize) -> Result<Shape> {
        let (input, _) = self.get("input_weight")?;
        let channels = input.last().copied().unwrap_or_default();
        let layers = (0..).take_while(|layer| self.0.contains_key(&format!("units{layer}_w"))).count();
        if layers > 0 {
            let (past, _) = self.get("units0_r")?;
            let hidden = past.last().copied().unwrap_or_default();
            return Ok(Shape::StreamGru(GruShape { channels, hidden, layers }));
        }
        let (taps, _) = self.get("b0_taps")?;
        let kernel = taps.get(1).copied().unwrap_or_default() / frames_per_step;
        ensure!(kernel > 1, "its filters have {kernel} taps: that is no network of «tocco train»");
        let NetworkKind::Stream { states, .. } = &card.network else { bail!("it has no states") };
        let blocks = states.iter().filter(|state| state.name.starts_with("block"));
        let dilations = blocks.map(|state| state.shape.get(1).copied().unwrap_or_default() / (kernel - 1)).collect();
        let memory_frames = match self.0.get("powers").and_then(|(_, powers)| powers.first()) {
            // The first number is what the running mean keeps over a step. Whole hundredths undo the rounding.
            Some(kept) => (-100.0 * frames_per_step as f32 / kept.ln()).round() / 100.0,
            None => 0.0,
        };
        Ok(Shape::StreamTcn(TcnShape { channels, kernel, dilations, memory_frames }))
    }
}
