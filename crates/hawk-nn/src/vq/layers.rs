//! The layers of a taming-transformers decoder on channels-last feature maps. Each result is
//! bit-equal for any number of threads: products are, and sums over pixels are taken in parts of a
//! fixed size that are added in order.

use hawk_files::Result;

use super::maps::{Then, VqLayers, VqMaps, Window, Zoom};
use super::plane::{Plane, for_parts, map_parts};
use hawk_kernels::{Matrix, Precision, Threads, exp_slice, matmul, silu};

/// Pixels that a thread multiplies at a time: their patches stay in the second cache.
const PART: usize = 48;
/// Pixels whose statistics are summed at a time.
const STATISTICS_PART: usize = 256;
/// As taming-transformers' `Normalize`.
const EPS: f64 = 1e-6;

/// A convolution as a product with the patches under its window.
pub(super) struct Conv {
    window: Window,
    inputs: usize,
    weights: Matrix,
    bias: Vec<f32>,
}

impl Conv {
    /// Weights `[out, in, window, window]` as a checkpoint has them, bias `[out]`.
    fn new(window: Window, inputs: usize, weights: &[f32], bias: Vec<f32>) -> Self {
        let taps = window.side() * window.side();
        let weights = Matrix::pack(Precision::F32, bias.len(), taps * inputs, &mut |output, row| {
            let filter = &weights[output * taps * inputs..][..taps * inputs];
            for (input, taps_of_input) in filter.chunks(taps).enumerate() {
                for (tap, weight) in taps_of_input.iter().enumerate() {
                    row[tap * inputs + input] = *weight;
                }
            }
        });
        Self { window, inputs, weights, bias }
    }

    fn apply_zoomed(&self, pool: &Threads, input: &Plane, zoom: Zoom) -> Plane {
        let outputs = self.bias.len();
        let mut out = Plane::zeros(zoom.output(input.height), zoom.output(input.width), outputs);
        let width = out.width;
        for_parts(pool, &mut out.data, PART * outputs, &|part, out| {
            let (first, pixels) = (part * PART, out.len() / outputs);
            if self.window == Window::One && zoom == Zoom::Same {
                matmul(pool, &self.weights, input.part(first, pixels), pixels, out);
            } else {
                let mut patches = vec![0.0; pixels * self.weights.k()];
                for (pixel, patch) in (first..).zip(patches.chunks_exact_mut(self.weights.k())) {
                    self.patch(input, zoom, pixel / width, pixel % width, patch);
                }
                matmul(pool, &self.weights, &patches, pixels, out);
            }
            for pixel in out.chunks_exact_mut(outputs) {
                pixel.iter_mut().zip(&self.bias).for_each(|(y, bias)| *y += bias);
            }
        });
        out
    }

    /// The input under the window at an output pixel, `[window, window, in]`. `patch` is zero
    /// before.
    fn patch(&self, input: &Plane, zoom: Zoom, y: usize, x: usize, patch: &mut [f32]) {
        let (side, channels) = (self.window.side(), self.inputs);
        for (window_y, row) in patch.chunks_exact_mut(side * channels).enumerate() {
            let Some(y) = zoom.under(y, window_y, side, input.height) else { continue };
            let line = &input.data[y * input.width * channels..][..input.width * channels];
            if zoom == Zoom::Same && x >= side / 2 && x + side / 2 < input.width {
                row.copy_from_slice(&line[(x - side / 2) * channels..][..side * channels]);
                continue;
            }
            for (window_x, tap) in row.chunks_exact_mut(channels).enumerate() {
                let Some(x) = zoom.under(x, window_x, side, input.width) else { continue };
                tap.copy_from_slice(&line[x * channels..][..channels]);
            }
        }
    }
}

/// GroupNorm with weight and bias, biased variance, as torch's.
pub(super) struct GroupNorm {
    groups: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl GroupNorm {
    fn apply(&self, pool: &Threads, input: &Plane, then: Then) -> Plane {
        let (scale, shift) = self.scale_and_shift(pool, input);
        let channels = input.channels;
        let mut out = Plane::zeros(input.height, input.width, channels);
        for_parts(pool, &mut out.data, STATISTICS_PART * channels, &|part, out| {
            let input = input.part(part * STATISTICS_PART, out.len() / channels);
            for (out, x) in out.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
                for channel in 0..channels {
                    out[channel] = x[channel] * scale[channel] + shift[channel];
                }
            }
            if then == Then::Silu {
                silu(out);
            }
        });
        out
    }

    /// Per channel, the factor and the summand that the norm comes to.
    fn scale_and_shift(&self, pool: &Threads, input: &Plane) -> (Vec<f32>, Vec<f32>) {
        let channels = input.channels;
        let parts = map_parts(pool, input.pixels().div_ceil(STATISTICS_PART), &|part| {
            let mut sums = vec![(0.0_f64, 0.0_f64); channels];
            for pixel in input.part(part * STATISTICS_PART, STATISTICS_PART).chunks_exact(channels) {
                for ((sum, squares), &x) in sums.iter_mut().zip(pixel) {
                    *sum += f64::from(x);
                    *squares += f64::from(x) * f64::from(x);
                }
            }
            sums
        });
        let per_group = channels / self.groups;
        let count = (input.pixels() * per_group) as f64;
        let (mut scale, mut shift) = (vec![0.0; channels], vec![0.0; channels]);
        for group in (0..channels).step_by(per_group) {
            let members = group..group + per_group;
            let (mut sum, mut squares) = (0.0, 0.0);
            for (s, q) in parts.iter().flat_map(|part| &part[members.clone()]) {
                sum += s;
                squares += q;
            }
            let mean = sum / count;
            let inverse = 1.0 / ((squares / count - mean * mean).max(0.0) + EPS).sqrt();
            for channel in members {
                let factor = inverse * f64::from(self.weight[channel]);
                scale[channel] = factor as f32;
                shift[channel] = (f64::from(self.bias[channel]) - mean * factor) as f32;
            }
        }
        (scale, shift)
    }
}

/// Layers for CPUs.
pub(super) struct CpuLayers;

impl VqLayers for CpuLayers {
    type Conv = Conv;
    type Norm = GroupNorm;

    fn conv(&self, window: Window, inputs: usize, weights: &[f32], bias: Vec<f32>) -> Result<Conv> {
        Ok(Conv::new(window, inputs, weights, bias))
    }

    fn norm(&self, groups: usize, weight: Vec<f32>, bias: Vec<f32>) -> Result<GroupNorm> {
        Ok(GroupNorm { groups, weight, bias })
    }
}

/// Feature maps on the threads of a CPU.
pub(super) struct CpuMaps<'a>(pub(super) &'a Threads);

impl VqMaps for CpuMaps<'_> {
    type Layers = CpuLayers;
    type Map = Plane;

    fn convolve(&self, conv: &Conv, input: &Plane, zoom: Zoom) -> Plane {
        conv.apply_zoomed(self.0, input, zoom)
    }

    fn normalize(&self, norm: &GroupNorm, input: &Plane, then: Then) -> Plane {
        norm.apply(self.0, input, then)
    }

    fn mix(&self, q: &Plane, k: &Plane, v: &Plane) -> Plane {
        let (pixels, channels) = (q.pixels(), q.channels);
        let keys = Matrix::pack(Precision::F32, pixels, channels, &mut |pixel, row| {
            row.copy_from_slice(k.part(pixel, 1));
        });
        let values = Matrix::pack(Precision::F32, channels, pixels, &mut |channel, row| {
            row.iter_mut().zip(v.data[channel..].iter().step_by(channels)).for_each(|(out, x)| *out = *x);
        });
        let mut mixed = Plane::zeros(q.height, q.width, channels);
        let scale = 1.0 / (channels as f32).sqrt();
        for_parts(self.0, &mut mixed.data, PART * channels, &|part, mixed| {
            let rows = mixed.len() / channels;
            let mut weights = vec![0.0; rows * pixels];
            matmul(self.0, &keys, q.part(part * PART, rows), rows, &mut weights);
            weights.chunks_exact_mut(pixels).for_each(|row| softmax(row, scale));
            matmul(self.0, &values, &weights, rows, mixed);
        });
        mixed
    }

    fn add(&self, mut sum: Plane, other: &Plane) -> Plane {
        sum.add(other);
        sum
    }
}

/// Softmax of `scale * x` in place.
fn softmax(x: &mut [f32], scale: f32) {
    let most = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter_mut().for_each(|x| *x = (*x - most) * scale);
    exp_slice(x);
    let sum: f64 = x.iter().copied().map(f64::from).sum();
    let inverse = (1.0 / sum) as f32;
    x.iter_mut().for_each(|x| *x *= inverse);
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Attention;
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 % 101) as f32 - 50.0) / 40.0).collect()
    }

    fn plane(height: usize, width: usize, channels: usize) -> Plane {
        Plane { height, width, channels, data: numbers(height * width * channels) }
    }

    /// The sum over the window, written down as it is defined: the input zoomed by `factor`, a
    /// window at every `stride` pixels that begins `before` pixels earlier.
    fn naive(conv: (Window, &[f32], &[f32]), input: &Plane, zoom: Zoom) -> Vec<f32> {
        let (window, weights, bias) = conv;
        let side = window.side() as isize;
        let (factor, stride, before) = match zoom {
            Zoom::Same => (1, 1, side / 2),
            Zoom::Twice => (2, 1, side / 2),
            Zoom::Half => (1, 2, 0),
        };
        let (height, width) = (input.height * factor, input.width * factor);
        let at = |y: isize, x: isize, channel: usize| {
            let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
            let pixel = || y as usize / factor * input.width + x as usize / factor;
            if inside { input.data[pixel() * input.channels + channel] } else { 0.0 }
        };
        let (rows, columns) = (height as isize / stride, width as isize / stride);
        let mut out = Vec::new();
        for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y * stride, x * stride))) {
            for (output, bias) in bias.iter().enumerate() {
                let mut sum = *bias;
                for channel in 0..input.channels {
                    for (dy, dx) in (0..side).flat_map(|dy| (0..side).map(move |dx| (dy, dx))) {
                        let weight = ((output * input.channels + channel) as isize * side + dy) * side + dx;
                        sum += weights[weight as usize] * at(y + dy - before, x + dx - before, channel);
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    #[track_caller]
    fn close(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-4), "{got:?} {want:?}");
    }

    #[test]
    fn convolutions_are_their_definition_and_do_not_depend_on_threads() {
        let pools = [Threads::new(1), Threads::new(3)];
        for (height, width, inputs, outputs) in [(1, 1, 1, 1), (2, 3, 4, 3), (5, 1, 3, 17), (9, 11, 5, 20)] {
            let input = plane(height, width, inputs);
            for window in [Window::One, Window::Three] {
                let weights = numbers(outputs * inputs * window.side() * window.side());
                let bias = numbers(outputs);
                let conv = Conv::new(window, inputs, &weights, bias.clone());
                for zoom in [Zoom::Same, Zoom::Twice, Zoom::Half] {
                    let [got, again] = [0, 1].map(|i| conv.apply_zoomed(&pools[i], &input, zoom).data);
                    assert_eq!(got, again);
                    close(&got, &naive((window, &weights, &bias), &input, zoom));
                }
            }
        }
    }

    #[test]
    fn a_group_norm_has_mean_and_variance_of_its_bias_and_weight() {
        let (pools, input) = ([Threads::new(1), Threads::new(2)], plane(19, 31, 6));
        let norm = GroupNorm { groups: 3, weight: vec![2.0; 6], bias: vec![0.5; 6] };
        let out = norm.apply(&pools[0], &input, Then::Nothing);
        assert_eq!(out.data, norm.apply(&pools[1], &input, Then::Nothing).data);
        for group in 0..3 {
            let members: Vec<f64> =
                out.data.chunks(6).flat_map(|pixel| &pixel[2 * group..][..2]).map(|x| f64::from(*x)).collect();
            let mean = members.iter().sum::<f64>() / members.len() as f64;
            let variance = members.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / members.len() as f64;
            assert!((mean - 0.5).abs() < 1e-5 && (variance - 4.0).abs() < 1e-3, "{mean} {variance}");
        }
    }

    #[test]
    fn attention_mixes_values_by_their_keys() {
        let identity = |scale: f32| Conv::new(Window::One, 2, &[scale, 0.0, 0.0, scale], vec![0.0; 2]);
        let norm = || GroupNorm { groups: 1, weight: vec![1.0; 2], bias: vec![0.0; 2] };
        let input = Plane { height: 1, width: 2, channels: 2, data: vec![1.0, -1.0, -1.0, 1.0] };
        let data = input.data.clone();
        let attend = |sharpness: f32| Attention::<CpuLayers> {
            norm: norm(),
            q: identity(sharpness),
            k: identity(1.0),
            v: identity(1.0),
            out: identity(1.0),
        };
        let pool = Threads::new(1);
        let maps = CpuMaps(&pool);
        let copy = |data: &[f32]| Plane { height: 1, width: 2, channels: 2, data: data.to_vec() };
        close(&attend(100.0).apply(&maps, copy(&data)).data, &[2.0, -2.0, -2.0, 2.0]);
        close(&attend(0.0).apply(&maps, input).data, &data);
    }
}
