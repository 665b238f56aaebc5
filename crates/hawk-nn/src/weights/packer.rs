//! What a device does with the matrices of a checkpoint.

use hawk_files::{Checkpoint, Error, Result, Tensor};
use hawk_kernels::{MatrixSize, Precision};

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

/// Packs a matrix with `pack` and refuses weights that the precision cannot hold: those beyond 65504 under f16.
///
/// # Errors
/// Such a weight.
pub fn pack_in_range<M>(
    name: &str,
    precision: Precision,
    fill: &mut dyn FnMut(usize, &mut [f32]),
    pack: impl FnOnce(&mut dyn FnMut(usize, &mut [f32])) -> M,
) -> Result<M> {
    let (most, mut largest) = (precision.largest_weight(), 0.0_f32);
    let matrix = pack(&mut |row, out| {
        fill(row, out);
        if most < f32::MAX {
            largest = out.iter().fold(largest, |largest, weight| largest.max(weight.abs()));
        }
    });
    if largest > most {
        let error =
            Error::input(format!("a weight is too large for {precision}")).at(name).expected(format!("at most {most}"));
        return Err(error.got(largest).hint("take bf16, which has the range of f32"));
    }
    Ok(matrix)
}
