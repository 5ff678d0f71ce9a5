//! The two inner loops of a streaming step, written for a handful of rows.
//!
//! tract's matrix product is made for large matrices: it packs the frames, keeps scratch memory for each thread and
//! session, and looks up its kernel at every call. For two frames and 64 channels that is most of its time, and the
//! scratch is what an audio thread can't afford. Here the weights are laid out once, rows stay in registers, and
//! nothing is kept.

use std::ops::Range;

/// Columns that are computed together: four registers of eight floats for each row.
const TILE: usize = 32;

/// Weights `[inputs, outputs]` of a linear layer with its bias, in panels of [`TILE`] columns, zeros behind the last.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    panels: Vec<Vec<[f32; TILE]>>,
    bias: Vec<[f32; TILE]>,
    inputs: usize,
    outputs: usize,
    relu: bool,
    fused: bool,
}

impl Linear {
    /// `weights` row-major `[inputs, outputs]`; an empty `bias` is none. With `relu`, what is below zero becomes zero.
    pub fn new(weights: &[f32], inputs: usize, outputs: usize, bias: &[f32], relu: bool) -> Self {
        let columns = |row: &[f32], from: usize| {
            let mut panel = [0.0; TILE];
            for (to, from) in panel.iter_mut().zip(row.iter().skip(from)) {
                *to = *from;
            }
            panel
        };
        let starts = || (0..outputs).step_by(TILE);
        Self {
            panels: starts()
                .map(|from| weights.chunks_exact(outputs).take(inputs).map(|row| columns(row, from)).collect())
                .collect(),
            bias: starts().map(|from| columns(bias, from)).collect(),
            inputs,
            outputs,
            relu,
            fused: has_fused(),
        }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `y = relu(x * weights + bias + residual)`: `x` `[rows, inputs]`, `y` and, where it is not empty, `residual`
    /// `[rows, outputs]`.
    pub fn run(&self, x: &[f32], residual: &[f32], y: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if self.fused {
            // SAFETY: `fused` is set only where the processor said that it has AVX2 and FMA.
            return unsafe { linear_avx2(self, x, residual, y) };
        }
        linear::<{ cfg!(target_arch = "aarch64") }>(self, x, residual, y);
    }
}

/// Whether products and sums are rounded once, by instructions that not every processor has.
fn has_fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn linear_avx2(layer: &Linear, x: &[f32], residual: &[f32], y: &mut [f32]) {
    linear::<true>(layer, x, residual, y);
}

#[inline(always)]
fn linear<const FUSED: bool>(layer: &Linear, x: &[f32], residual: &[f32], y: &mut [f32]) {
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    let rows = y.len() / outputs;
    for (tile, (panel, bias)) in layer.panels.iter().zip(&layer.bias).enumerate() {
        let columns = tile * TILE..outputs.min((tile + 1) * TILE);
        let mut row = 0;
        while row < rows {
            let mut finish = |row: usize, sums: &[f32; TILE]| {
                let cells = row * outputs + columns.start..row * outputs + columns.end;
                store(layer.relu, sums, residual, cells, y);
            };
            if row + 1 < rows {
                let (first, second) = x[row * inputs..(row + 2) * inputs].split_at(inputs);
                let sums = sums::<2, FUSED>([first, second], panel, bias);
                finish(row, &sums[0]);
                finish(row + 1, &sums[1]);
                row += 2;
            } else {
                let sums = sums::<1, FUSED>([&x[row * inputs..(row + 1) * inputs]], panel, bias);
                finish(row, &sums[0]);
                row += 1;
            }
        }
    }
}

/// Some rows times one panel.
#[inline(always)]
fn sums<const ROWS: usize, const FUSED: bool>(
    rows: [&[f32]; ROWS],
    panel: &[[f32; TILE]],
    bias: &[f32; TILE],
) -> [[f32; TILE]; ROWS] {
    let mut sums = [[0.0; TILE]; ROWS];
    let rows = rows.map(|row| &row[..panel.len()]);
    for (i, weights) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let x = row[i];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = if FUSED { x.mul_add(*weight, *sum) } else { *sum + x * *weight };
            }
        }
    }
    // Last: where it makes up for a mean that the weights carry, it is large, and sums upon it would be coarse.
    for sums in &mut sums {
        for (sum, bias) in sums.iter_mut().zip(bias) {
            *sum += bias;
        }
    }
    sums
}

/// Residual and rectifier, into the cells of one row.
#[inline(always)]
fn store(relu: bool, sums: &[f32; TILE], residual: &[f32], cells: Range<usize>, y: &mut [f32]) {
    let to = &mut y[cells.clone()];
    let sums = &sums[..to.len()];
    if residual.is_empty() {
        to.copy_from_slice(sums);
    } else {
        for ((to, sum), residual) in to.iter_mut().zip(sums).zip(&residual[cells]) {
            *to = sum + residual;
        }
    }
    if relu {
        for to in to {
            *to = to.max(0.0);
        }
    }
}

/// A causal depthwise filter over time: `[kernel, channels]`, the oldest frame first.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    taps: Vec<f32>,
    bias: Vec<f32>,
    kernel: usize,
    dilation: usize,
    channels: usize,
    fused: bool,
}

/// The frames that a [`Filter`] still needs: a ring of frames, and where the next one goes.
#[derive(Debug, Clone)]
pub(super) struct Past {
    ring: Vec<f32>,
    next: usize,
}

impl Filter {
    pub fn new(taps: Vec<f32>, bias: Vec<f32>, kernel: usize, dilation: usize) -> Self {
        let channels = bias.len();
        Self { taps, bias, kernel, dilation, channels, fused: has_fused() }
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Silence before the first frame.
    pub fn past(&self) -> Past {
        Past { ring: vec![0.0; ((self.kernel - 1) * self.dilation + 1) * self.channels], next: 0 }
    }

    /// `x` and `y` `[frames, channels]`.
    pub fn run(&self, past: &mut Past, x: &[f32], y: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if self.fused {
            // SAFETY: `fused` is set only where the processor said that it has AVX2 and FMA.
            return unsafe { filter_avx2(self, past, x, y) };
        }
        filter::<{ cfg!(target_arch = "aarch64") }>(self, past, x, y);
    }
}

impl Past {
    /// Silence again, in place.
    pub fn reset(&mut self) {
        self.ring.fill(0.0);
        self.next = 0;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn filter_avx2(layer: &Filter, past: &mut Past, x: &[f32], y: &mut [f32]) {
    filter::<true>(layer, past, x, y);
}

#[inline(always)]
fn filter<const FUSED: bool>(layer: &Filter, past: &mut Past, x: &[f32], y: &mut [f32]) {
    let channels = layer.channels;
    let frames = past.ring.len() / channels;
    for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
        past.ring[past.next * channels..(past.next + 1) * channels].copy_from_slice(x);
        past.next = if past.next + 1 == frames { 0 } else { past.next + 1 };
        y.copy_from_slice(&layer.bias);
        // The ring is just as long as the filter: what comes next is what is oldest.
        let mut frame = past.next;
        for taps in layer.taps.chunks_exact(channels) {
            let heard = &past.ring[frame * channels..(frame + 1) * channels];
            for ((y, x), tap) in y.iter_mut().zip(heard).zip(taps) {
                *y = if FUSED { x.mul_add(*tap, *y) } else { *y + x * tap };
            }
            frame += layer.dilation;
            if frame >= frames {
                frame -= frames;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "small whole numbers, exact in every order")]
    use super::*;

    /// Small whole numbers.
    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7 + seed * 3) % 11) as f32 - 5.0).collect()
    }

    #[test]
    fn a_layer_is_a_product_a_sum_and_a_rectifier() {
        for (rows, inputs, outputs) in [(1, 3, 1), (2, 5, 32), (3, 64, 33), (5, 16, 80)] {
            let (x, w) = (numbers(rows * inputs, 1), numbers(inputs * outputs, 2));
            let (bias, residual) = (numbers(outputs, 3), numbers(rows * outputs, 4));
            for (with_residual, relu) in [(false, false), (true, false), (true, true)] {
                let mut layer = Linear::new(&w, inputs, outputs, &bias, relu);
                let residual = if with_residual { residual.as_slice() } else { &[] };
                let expected: Vec<f32> = (0..rows * outputs)
                    .map(|cell| {
                        let (row, column) = (cell / outputs, cell % outputs);
                        let product: f32 = (0..inputs).map(|i| x[row * inputs + i] * w[i * outputs + column]).sum();
                        let sum = product + bias[column] + residual.get(cell).copied().unwrap_or(0.0);
                        if relu { sum.max(0.0) } else { sum }
                    })
                    .collect();
                for fused in [false, layer.fused] {
                    layer.fused = fused;
                    let mut y = vec![f32::NAN; rows * outputs];
                    layer.run(&x, residual, &mut y);
                    assert_eq!(y, expected, "{rows} {inputs} {outputs} {fused}");
                }
            }
        }
    }

    #[test]
    fn a_filter_remembers_across_any_cuts_and_forgets_at_a_reset() {
        for (kernel, dilation, channels) in [(1, 1, 3), (5, 1, 64), (3, 8, 17), (2, 64, 8)] {
            let (taps, bias) = (numbers(kernel * channels, 5), numbers(channels, 6));
            let x = numbers(200 * channels, 7);
            let context = (kernel - 1) * dilation;
            let expected: Vec<f32> = (0..x.len())
                .map(|cell| {
                    let (frame, channel) = (cell / channels, cell % channels);
                    let at = |tap: usize| (frame + tap * dilation).checked_sub(context);
                    let term = |tap: usize| {
                        taps[tap * channels + channel] * at(tap).map_or(0.0, |f| x[f * channels + channel])
                    };
                    bias[channel] + (0..kernel).map(term).sum::<f32>()
                })
                .collect();
            let mut filter = Filter::new(taps, bias, kernel, dilation);
            let mut past = filter.past();
            for (fused, frames) in [(false, 1), (filter.fused, 2), (filter.fused, 7), (false, 200)] {
                filter.fused = fused;
                let mut y = vec![f32::NAN; x.len()];
                for (x, y) in x.chunks(frames * channels).zip(y.chunks_mut(frames * channels)) {
                    filter.run(&mut past, x, y);
                }
                assert_eq!(y, expected, "{kernel} {dilation} {channels} {frames}");
                past.reset();
            }
        }
    }
}
