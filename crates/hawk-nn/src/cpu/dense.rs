//! Small networks beside the transformer's layers: products with a bias, and the GELU between them.

use hawk_files::{Checkpoint, Result};
use hawk_kernels::{Matrix, Precision, Threads, matmul};

use super::packed::MatrixSource;

/// Rows that are multiplied at once where there are many.
const ROWS: usize = 256;

/// `x W^T + b`; the bias is empty where there is none.
pub(crate) struct Dense {
    pub(crate) weights: Matrix,
    pub(crate) bias: Vec<f32>,
}

impl Dense {
    /// `{name}.weight` `[n, k]` and `{name}.bias` `[n]`, for the kernels in the target's precision.
    pub(crate) fn load(source: &MatrixSource<'_>, name: &str, [n, k]: [usize; 2]) -> Result<Self> {
        let bias = source.checkpoint.tensor(&format!("{name}.bias"), &[n])?.to_f32();
        let weights = source.packable(&format!("{name}.weight"), &[n, k])?;
        let weights = source.matrix(name, [n, k], &mut |row, out| weights.row_into(row, out))?;
        source.checkpoint.release();
        Ok(Self { weights, bias })
    }

    /// As [`load`](Self::load), in f32 whatever the target's precision: what is small, and not part of a packed file.
    pub(crate) fn load_f32(checkpoint: &Checkpoint, name: &str, size: [usize; 2]) -> Result<Self> {
        let bias = checkpoint.tensor(&format!("{name}.bias"), &size[..1])?.to_f32();
        Ok(Self { bias, ..Self::without_bias(checkpoint, name, size)? })
    }

    /// `{name}.weight` `[n, k]` alone, in f32.
    pub(crate) fn without_bias(checkpoint: &Checkpoint, name: &str, [n, k]: [usize; 2]) -> Result<Self> {
        let weights = checkpoint.tensor(&format!("{name}.weight"), &[n, k])?;
        let weights = Matrix::pack(Precision::F32, n, k, &mut |row, out| weights.row_into(row, out));
        checkpoint.release();
        Ok(Self { weights, bias: Vec::new() })
    }

    /// Adds the bias to rows of outputs.
    pub(crate) fn add_bias(&self, rows: &mut [f32]) {
        if !self.bias.is_empty() {
            for row in rows.chunks_exact_mut(self.bias.len()) {
                row.iter_mut().zip(&self.bias).for_each(|(y, bias)| *y += bias);
            }
        }
    }
}

/// `layers` with an activation between them, on `x` `[rows, k]`. For what is computed once: it allocates.
pub(crate) fn mlp(pool: &Threads, layers: &[Dense], activation: fn(&mut [f32]), x: &[f32]) -> Vec<f32> {
    let mut x = x.to_vec();
    for (number, layer) in layers.iter().enumerate() {
        if number > 0 {
            activation(&mut x);
        }
        let (n, k) = (layer.weights.n(), layer.weights.k());
        let mut y = vec![0.0; x.len() / k * n];
        for (x, y) in x.chunks(ROWS * k).zip(y.chunks_mut(ROWS * n)) {
            matmul(pool, &layer.weights, x, x.len() / k, y);
        }
        layer.add_bias(&mut y);
        x = y;
    }
    x
}

/// `x / 2 (1 + erf(x / sqrt 2))` in place, as torch's GELU. libm's function has the same bits everywhere.
pub(crate) fn gelu(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = 0.5 * *x * (1.0 + libm::erff(*x * std::f32::consts::FRAC_1_SQRT_2)));
}

/// GELU in its approximation by a hyperbolic tangent, in place.
pub(crate) fn gelu_tanh(x: &mut [f32]) {
    const FACTOR: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    x.iter_mut().for_each(|x| {
        let wide = f64::from(*x);
        *x = (0.5 * wide * (1.0 + libm::tanh(FACTOR * (wide + 0.044_715 * wide * wide * wide)))) as f32;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_gelus_have_their_known_values() {
        let x = [-3.0_f32, -1.0, 0.0, 0.5, 2.0];
        for (activation, want) in [
            (gelu as fn(&mut [f32]), [-0.004_049_7, -0.158_655_25, 0.0, 0.345_731_23, 1.954_499_7]),
            (gelu_tanh, [-0.003_637_39, -0.158_808_01, 0.0, 0.345_714, 1.954_597_7]),
        ] {
            let mut y = x;
            activation(&mut y);
            assert!(y.iter().zip(want).all(|(y, want)| (y - want).abs() < 1e-6), "{y:?}");
        }
    }
}
