//! Arithmetic over the widest registers that the processor at hand has.

use pulp::{Simd, WithSimd};

/// Does `work` with AVX2 or NEON where the processor has it. What it calls must be `#[inline(always)]`.
pub(crate) fn wide<W: WithSimd>(work: W) -> W::Output {
    // pulp's own choice knows AVX2 only with a feature that would be another build of everything behind it.
    #[cfg(target_arch = "x86_64")]
    return match pulp::x86::V3::try_new() {
        Some(avx2) => Simd::vectorize(avx2, work),
        None => Simd::vectorize(pulp::Scalar128b, work),
    };
    #[cfg(not(target_arch = "x86_64"))]
    pulp::Arch::new().dispatch(work)
}

/// The sum of products. Four sums side by side, so that none waits for the one before.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = simd.mul_add_e_f32s(*a, *b, *sum);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_last).zip(b_last) {
        *sum = simd.mul_add_e_f32s(*a, *b, *sum);
    }
    let [first, second, third, fourth] = sums;
    let sum = simd.add_f32s(simd.add_f32s(first, second), simd.add_f32s(third, fourth));
    a_rest.iter().zip(b_rest).fold(simd.reduce_sum_f32s(sum), |sum, (a, b)| sum + a * b)
}
