#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use rand::{Rng, SeedableRng};

use super::*;
use crate::net::values;

/// `[batch, time, channels, kernel, dilation]`: also more lag than frames, one frame, more scenes than shares.
const SIDES: [[usize; 5]; 5] =
    [[3, 20, 8, 5, 2], [1, 7, 3, 5, 4], [2, 1, 4, 3, 1], [19, 6, 5, 1, 1], [16, 50, 33, 4, 3]];

fn block(channels: usize, kernel: usize, dilation: usize, rng: &mut StdRng, device: &Device) -> Block {
    let biased = |mut layer: Linear, rng: &mut StdRng| {
        layer.bias = Some(Param::from_tensor(uniform(rng, [channels], 0.5, device)));
        layer
    };
    let (widen, narrow) = (linear(rng, channels, channels, 1.0, device), linear(rng, channels, channels, 1.0, device));
    let taps = Param::from_tensor(uniform(rng, [kernel, channels], 0.7, device));
    Block { taps, widen: biased(widen, rng), narrow: biased(narrow, rng), dilation }
}

/// What a computation gives, and the gradients of its input and of the block's weights under a random weighting of
/// what it gives.
fn outcome(
    block: &Block,
    x: &Tensor<3>,
    weighting: &Tensor<3>,
    compute: impl Fn(Tensor<3>) -> Tensor<3>,
) -> Vec<Vec<f32>> {
    let x = x.clone().require_grad();
    let out = compute(x.clone());
    let slopes = (out.clone() * weighting.clone()).sum().backward();
    let bias = |layer: &Linear| values(&layer.bias.as_ref().unwrap().val().grad(&slopes).unwrap());
    vec![
        values(&out),
        values(&x.grad(&slopes).unwrap()),
        values(&block.taps.val().grad(&slopes).unwrap()),
        values(&block.widen.weight.val().grad(&slopes).unwrap()),
        bias(&block.widen),
        values(&block.narrow.weight.val().grad(&slopes).unwrap()),
        bias(&block.narrow),
    ]
}

fn assert_near(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0_f32, |most, x| most.max(x.abs()));
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= 2e-5 * scale, "{what}: {got} against {expected}");
    }
}

#[test]
fn a_block_by_hand_agrees_with_burns_operations_and_their_gradients() {
    let device = Device::flex().autodiff();
    let rng = &mut StdRng::seed_from_u64(7);
    for sides in SIDES {
        let [batch, time, channels, kernel, dilation] = sides;
        let block = block(channels, kernel, dilation, rng, &device);
        let x = uniform(rng, [batch, time, channels], 1.0, &device);
        let weighting = uniform(rng, [batch, time, channels], 1.0, &device);
        let by_hand = outcome(&block, &x, &weighting, |x| block.on_processor(&x).unwrap());
        let expected = outcome(&block, &x, &weighting, |x| block.anywhere(x));
        for (part, (got, expected)) in by_hand.iter().zip(&expected).enumerate() {
            assert_near(got, expected, &format!("part {part} of {sides:?}"));
        }
        let still = block.valid().on_processor(&x.inner()).unwrap();
        assert_eq!(values(&still), by_hand[0], "without gradients, {sides:?}");
    }
}

#[test]
fn equal_steps_give_equal_bits_on_any_number_of_threads() {
    let device = Device::flex().autodiff();
    let rng = &mut StdRng::seed_from_u64(8);
    let block = block(32, 5, 2, rng, &device);
    let x = uniform(rng, [11, 40, 32], 1.0, &device);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| outcome(&block, &x, &x, |x| block.forward(x)))
    };
    let one = run(1);
    assert!(run(2) == one && run(7) == one);
}

#[test]
fn a_frozen_block_passes_its_inputs_gradient_on() {
    let device = Device::flex().autodiff();
    let rng = &mut StdRng::seed_from_u64(9);
    let block = block(6, 3, 2, rng, &device).no_grad();
    let x = uniform(rng, [2, 9, 6], 1.0, &device).require_grad();
    let slope = |out: Tensor<3>| values(&x.grad(&out.sum().backward()).unwrap());
    assert_near(&slope(block.on_processor(&x).unwrap()), &slope(block.anywhere(x.clone())), "the input's gradient");
    assert!(block.taps.val().grad(&block.forward(x.clone()).sum().backward()).is_none());
}

#[test]
fn no_frames_give_no_features() {
    let device = Device::flex();
    let block = block(4, 5, 2, &mut StdRng::seed_from_u64(11), &device);
    assert_eq!(block.forward(Tensor::zeros([3, 0, 4], &device)).dims(), [3, 0, 4]);
}

#[test]
fn a_walk_over_time_agrees_with_the_triangle_of_powers() {
    let device = Device::flex().autodiff();
    let rng = &mut StdRng::seed_from_u64(10);
    for [batch, time, channels, ..] in SIDES {
        let x = uniform(rng, [batch, time, channels], 1.0, &device).require_grad();
        let weighting = uniform(rng, [batch, time, channels], 1.0, &device);
        let decay = rng.random_range(0.3..0.99);
        let outcome = |mean: Tensor<3>| {
            let slopes = (mean.clone() * weighting.clone()).sum().backward();
            (values(&mean), values(&x.grad(&slopes).unwrap()))
        };
        let (got, got_slope) = outcome(scan::running_mean(&x, decay).unwrap());
        let (expected, slope) = outcome(running_mean(x.clone(), decay));
        assert_near(&got, &expected, "the mean");
        assert_near(&got_slope, &slope, "its gradient");
        let still = scan::running_mean(&x.clone().inner(), decay).unwrap();
        assert_eq!(values(&still), got, "without gradients");
    }
}
