//! What a device does with the matrices of a checkpoint.

use hawk_files::{Checkpoint, Result, Tensor};
use hawk_kernels::MatrixSize;

/// Makes the matrices of a device out of a checkpoint.
pub trait Packer {
    /// A matrix in the device's form.
    type Matrix;

    /// The checkpoint.
    fn checkpoint(&self) -> &Checkpoint;

    /// A matrix under a name of its own. `fill` writes a row, `[inputs]`, by its number.
    ///
    /// # Errors
    /// The device cannot take the matrix.
    fn matrix(&self, name: &str, size: MatrixSize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Result<Self::Matrix>;

    /// A tensor that is read to fill a [`matrix`](Self::matrix) and for nothing else.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    fn packable(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>>;
}
