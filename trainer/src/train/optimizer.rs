//! How gradients become steps.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, LearningRate, ModuleOptimizer, Muon, MuonConfig, MuonState, Optimizer};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::Options;
use super::training::Clip;
use crate::net::Net;

/// What follows the gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    #[default]
    Adamw,
    /// The trunk's weight matrices, and the filters of its convolutions as one row each, go along their momentum made
    /// orthogonal (Jordan et al. 2024), as far as AdamW would (Liu et al., «Muon is scalable for LLM training», 2025); all
    /// other weights by AdamW.
    Muon,
}

/// A new optimizer for `net`. Its parameters are told apart by their paths, which a checkpoint keeps.
pub(super) fn optimizer(options: &Options, net: &Net) -> ModuleOptimizer {
    let clip = match options.training.clip {
        Clip::Norm(most) => Some(GradientClippingConfig::Norm(most)),
        Clip::Value(most) => Some(GradientClippingConfig::Value(most)),
        Clip::None => None,
    };
    let adamw = AdamWConfig::new()
        .with_weight_decay(options.weight_decay)
        .with_epsilon(1e-8)
        .with_grad_clipping(clip.clone())
        .init();
    if options.training.optimizer == OptimizerKind::Adamw {
        return adamw;
    }
    let muon = MuonConfig::new()
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
        .with_weight_decay(Some(WeightDecayConfig::new(options.weight_decay)))
        .build();
    adamw.with_group(ParamGroup::from_paths(matrices(net)), OnRows(muon), clip.map(|clip| clip.init()))
}

/// Burn's [`Muon`], which takes matrices alone, on filters `[outputs, inputs, high, wide]` too: each output is a row.
#[derive(Clone)]
struct OnRows(Muon);

impl Optimizer for OnRows {
    type State<const D: usize> = MuonState<2>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<MuonState<2>>,
    ) -> (Tensor<D>, Option<MuonState<2>>) {
        let shape = weights.dims();
        let rows = |x: Tensor<D>| x.reshape([shape[0], shape[1..].iter().product()]);
        let (weights, state) = self.0.step(rate, rows(weights), rows(gradient), state);
        (weights.reshape(shape), state)
    }

    fn to_device<const D: usize>(state: MuonState<2>, device: &Device) -> MuonState<2> {
        Muon::to_device(state, device)
    }
}

/// Paths of the trunk's weight matrices and filters. Depthwise taps are two-dimensional as well, but no matrix product.
fn matrices(net: &Net) -> Vec<String> {
    #[derive(Default)]
    struct Matrices {
        path: Vec<String>,
        found: Vec<String>,
    }
    impl ModuleVisitor for Matrices {
        fn enter_module(&mut self, name: &str, _kind: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _kind: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            let in_trunk = self.path.first().is_some_and(|name| name == "trunk");
            if D >= 2 && in_trunk && self.path.last().is_some_and(|name| name == "weight") {
                self.found.push(self.path.join("."));
            }
        }
    }
    let mut matrices = Matrices::default();
    net.visit(&mut matrices);
    matrices.found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at once")]
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Distribution};
    use tocco_models::Task;

    use super::*;
    use crate::net::{ConvShape, Head, NetConfig, Shape, TcnShape, Trunk, values};
    use crate::train::{NetKind, preset};

    const CHANNELS: usize = 24;
    const RATE: f64 = 0.003;

    /// A network, and the same after one step of an optimizer.
    fn step(kind: OptimizerKind) -> [Net; 2] {
        let device = Device::flex().autodiff();
        let mut options = preset(NetKind::StreamTcn, Task::Instruments);
        options.training.optimizer = kind;
        options.weight_decay = 0.0;
        let shape =
            Shape::StreamTcn(TcnShape { channels: CHANNELS, kernel: 3, dilations: vec![1, 2], memory_frames: 5.0 });
        let net = Net::new(&NetConfig { inputs: 10, classes: 4, shape, own_heads: false }, 1, &device);
        device.seed(3);
        let heard = Tensor::random([2, 40, 10], Distribution::Normal(0.0, 1.0), &device);
        let gradients = GradientsParams::from_grads(net.forward(heard).square().mean().backward(), &net);
        let after = optimizer(&options, &net).step(RATE, net.clone(), gradients);
        [net, after]
    }

    fn block(net: &Net) -> &crate::net::Block {
        let Trunk::StreamTcn(trunk) = &net.trunk else { panic!("another network") };
        &trunk.blocks[1]
    }

    #[test]
    fn filters_are_rows_of_a_matrix() {
        let device = Device::flex();
        let muon = MuonConfig::new().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW).build();
        let [weights, gradient] =
            [1, 2].map(|_| Tensor::<4>::random([6, 5, 2, 3], Distribution::Normal(0.0, 1.0), &device));
        let flat = |x: &Tensor<4>| x.clone().reshape([6, 30]);
        let (stepped, state) = OnRows(muon.clone()).step(RATE, weights.clone(), gradient.clone(), None);
        assert_eq!(values(&stepped), values(&muon.step(RATE, flat(&weights), flat(&gradient), None).0));
        assert!(state.is_some());

        let net =
            NetConfig { inputs: 128, classes: 4, shape: Shape::Convolutional(ConvShape::ipt_v1()), own_heads: false };
        let found = matrices(&Net::new(&net, 1, &device));
        assert_eq!(found.iter().filter(|path| path.contains("filter")).count(), 8, "{found:?}");
    }

    #[test]
    fn matrices_go_equally_far_in_all_directions_and_all_else_as_ever() {
        let [net, by_muon] = step(OptimizerKind::Muon);
        let [_, by_adamw] = step(OptimizerKind::Adamw);
        assert_eq!(matrices(&net).len(), 6, "{:?}", matrices(&net));

        let way = block(&net).widen.weight.val().inner() - block(&by_muon).widen.weight.val().inner();
        // As long as a step of AdamW, whose numbers have a root mean square of 0.2 by experience (Liu et al. 2025).
        let unit = way / (RATE * 0.2 * (CHANNELS as f64).sqrt());
        let square = values(&unit.clone().transpose().matmul(unit));
        for (at, product) in square.iter().enumerate() {
            let (low, high) = if at % (CHANNELS + 1) == 0 { (0.4, 1.5) } else { (-0.5, 0.5) };
            assert!((low..=high).contains(product), "{at}: {product} of {square:?}");
        }
        assert_eq!(values(&block(&by_muon).taps.val()), values(&block(&by_adamw).taps.val()));
        let heads = [&by_muon, &by_adamw].map(|net| {
            let Head::Shared(head) = &net.head else { panic!("another head") };
            values(&head.weight.val())
        });
        assert_eq!(heads[0], heads[1]);
        assert_ne!(values(&block(&by_muon).widen.weight.val()), values(&block(&by_adamw).widen.weight.val()));
    }
}
