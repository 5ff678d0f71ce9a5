//! Random weights from one generator, so that equal seeds give equal networks on every device.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand::rngs::StdRng;

/// Numbers between `-limit` and `limit`.
pub(super) fn uniform<const D: usize>(rng: &mut StdRng, shape: [usize; D], limit: f32, device: &Device) -> Tensor<D> {
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-limit..=limit)).collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

/// He's uniform initialisation, scaled; the bias starts at zero.
pub(super) fn linear(rng: &mut StdRng, inputs: usize, outputs: usize, scale: f32, device: &Device) -> Linear {
    let limit = scale * (3.0 / inputs as f32).sqrt();
    Linear {
        weight: Param::from_tensor(uniform(rng, [inputs, outputs], limit, device)),
        bias: Some(Param::from_tensor(Tensor::zeros([outputs], device))),
    }
}
