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

/// The sum of products.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let [sum] = dots(simd, [a], b);
    sum
}

/// The sum of products of each of `a` with `b`, all of one length, which is then read once for all. For each, four sums
/// run side by side, so that none waits for the one before; equal numbers give equal sums for any `N`.
#[inline(always)]
pub(crate) fn dots<S: Simd, const N: usize>(simd: S, a: [&[f32]; N], b: &[f32]) -> [f32; N] {
    let (b, b_rest) = S::as_simd_f32s(b);
    let (a, a_rest) = (a.map(|a| S::as_simd_f32s(a).0), a.map(|a| S::as_simd_f32s(a).1));
    let mut sums = [[simd.splat_f32s(0.0); 4]; N];
    let (fours, last) = b.as_chunks::<4>();
    let mut at = 0;
    for b in fours {
        let a = a.map(|a| &a[at..at + 4]);
        for (lane, b) in b.iter().enumerate() {
            for (sums, a) in sums.iter_mut().zip(a) {
                sums[lane] = simd.mul_add_e_f32s(a[lane], *b, sums[lane]);
            }
        }
        at += 4;
    }
    for (lane, b) in last.iter().enumerate() {
        for (sums, a) in sums.iter_mut().zip(a) {
            sums[lane] = simd.mul_add_e_f32s(a[at + lane], *b, sums[lane]);
        }
    }
    let mut answers = [0.0; N];
    for ((answer, [first, second, third, fourth]), a) in answers.iter_mut().zip(sums).zip(a_rest) {
        let sum = simd.add_f32s(simd.add_f32s(first, second), simd.add_f32s(third, fourth));
        *answer = a.iter().zip(b_rest).fold(simd.reduce_sum_f32s(sum), |sum, (a, b)| sum + a * b);
    }
    answers
}
