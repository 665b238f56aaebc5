//! Small networks beside the transformer's layers: products with a bias, and the GELU between them.

use hawk_files::{Activation, Checkpoint, LinearTensors, MlpTensors, Result};
use hawk_kernels::{Matrix, MatrixSize, Precision, Threads, matmul};

use super::packer::Packer;

/// Rows that are multiplied at once where there are many.
const ROWS: usize = 256;

/// `x W^T + b`; the bias is empty where there is none.
pub struct Dense<M> {
    /// `[outputs, inputs]`.
    pub weights: M,
    /// `[outputs]`, or empty.
    pub bias: Vec<f32>,
    /// Outputs and inputs.
    pub size: MatrixSize,
}

impl<M> Dense<M> {
    /// In a device's form; `matrix` is its name in a packed file.
    pub(super) fn load(source: &impl Packer<Matrix = M>, tensors: &LinearTensors, matrix: &str) -> Result<Self> {
        let bias = bias(source.checkpoint(), tensors)?;
        let weights = source.packable(&tensors.weight, &tensors.shape())?;
        let weights = source.matrix(matrix, tensors.size, &mut |row, out| weights.row_into(row, out))?;
        source.checkpoint().release();
        Ok(Self { weights, bias, size: tensors.size })
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

impl Dense<Matrix> {
    /// In f32 whatever the target's precision: what is small, and not part of a packed file.
    pub(crate) fn load_f32(checkpoint: &Checkpoint, tensors: &LinearTensors) -> Result<Self> {
        let (bias, MatrixSize { outputs, inputs }) = (bias(checkpoint, tensors)?, tensors.size);
        let weights = checkpoint.tensor(&tensors.weight, &tensors.shape())?;
        let weights = Matrix::pack(Precision::F32, outputs, inputs, &mut |row, out| weights.row_into(row, out));
        checkpoint.release();
        Ok(Self { weights, bias, size: tensors.size })
    }
}

fn bias(checkpoint: &Checkpoint, tensors: &LinearTensors) -> Result<Vec<f32>> {
    match &tensors.bias {
        Some(name) => Ok(checkpoint.tensor(name, &[tensors.size.outputs])?.to_f32()),
        None => Ok(Vec::new()),
    }
}

/// Layers with an activation between them, in f32. For what is computed once: it allocates.
pub(crate) struct Mlp {
    layers: Vec<Dense<Matrix>>,
    activation: Activation,
}

impl Mlp {
    pub(crate) fn load(checkpoint: &Checkpoint, tensors: &MlpTensors) -> Result<Self> {
        let layers = tensors.layers.iter().map(|layer| Dense::load_f32(checkpoint, layer)).collect::<Result<_>>()?;
        Ok(Self { layers, activation: tensors.activation })
    }

    /// `x` `[rows, inputs]` to `[rows, outputs]`.
    pub(crate) fn run(&self, threads: &Threads, x: &[f32]) -> Vec<f32> {
        let activation: fn(&mut [f32]) = match self.activation {
            Activation::Gelu => gelu,
            Activation::GeluTanh => gelu_tanh,
        };
        let mut x = x.to_vec();
        for (number, layer) in self.layers.iter().enumerate() {
            if number > 0 {
                activation(&mut x);
            }
            let (n, k) = (layer.weights.n(), layer.weights.k());
            let mut y = vec![0.0; x.len() / k * n];
            for (x, y) in x.chunks(ROWS * k).zip(y.chunks_mut(ROWS * n)) {
                matmul(threads, &layer.weights, x, x.len() / k, y);
            }
            layer.add_bias(&mut y);
            x = y;
        }
        x
    }
}

/// `x / 2 (1 + erf(x / sqrt 2))` in place, as torch's GELU. The function of `libm` has the same
/// bits everywhere.
pub(crate) fn gelu(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = 0.5 * *x * (1.0 + libm::erff(*x * std::f32::consts::FRAC_1_SQRT_2)));
}

/// GELU in its approximation by a hyperbolic tangent, in place.
fn gelu_tanh(x: &mut [f32]) {
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
