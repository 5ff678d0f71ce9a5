#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use burn::optim::GradientsParams;
use clap::ValueEnum;
use rand::Rng;
use tocco_models::Task;

use super::*;
use crate::train::{NetKind, preset};

const BATCH: usize = 3;

/// What a network of this kind answers to the same random frames on a device, and the gradient of its head's weights.
fn outcome(kind: NetKind, device: &Device) -> [Vec<f32>; 2] {
    let options = preset(kind, Task::Technique);
    let inputs = options.frontend.frame_size();
    let time = match options.shape.hearing() {
        Hearing::Window { frames } => frames,
        Hearing::Stream => 60,
    };
    let config = NetConfig { inputs, classes: 4, shape: options.shape, own_heads: options.own_heads };
    let rng = &mut StdRng::seed_from_u64(5);
    let frames = (0..BATCH * time * inputs).map(|_| rng.random_range(-2.0..2.0)).collect();
    let frames = Tensor::<3>::from_data(TensorData::new(frames, [BATCH, time, inputs]), &device.clone().autodiff());
    let net = Net::new(&config, 3, &device.clone().autodiff());
    // Frozen: nothing is dropped at random.
    let logits = net.forward_frozen(frames);
    let said = values(&logits);
    let slopes = logits.powf_scalar(2.0).mean().backward();
    let slopes = GradientsParams::from_grads(slopes, &net);
    let mut of_head = Vec::new();
    net.head.visit(&mut Slopes { slopes: &slopes, all: &mut of_head });
    [said, of_head]
}

struct Slopes<'a> {
    slopes: &'a GradientsParams,
    all: &'a mut Vec<f32>,
}

impl ModuleVisitor for Slopes<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.all.extend(values(&self.slopes.get::<D>(param.id).unwrap()));
    }
}

#[test]
fn pytorchs_library_computes_every_network_as_the_processor_does() {
    for kind in NetKind::value_variants() {
        let (expected, got) = (outcome(*kind, &Device::flex()), outcome(*kind, &Device::libtorch()));
        for (expected, got) in expected.iter().zip(&got) {
            assert!(expected.iter().any(|x| *x != 0.0), "{kind:?}");
            let scale = expected.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
            let off = expected.iter().zip(got).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(got.len() == expected.len() && off <= 1e-4 * scale, "{kind:?}: off by {off}");
        }
    }
}
