//! The matrices of a target: packed while they are loaded, mapped out of a packed file, or written
//! into one.

use std::sync::Arc;

use hawk_files::{Checkpoint, Error, PackedMatrix, PackedWriter, Result, Tensor};
use hawk_kernels::{Matrix, MatrixSize, Precision};

use crate::weights::packer::{Packer, pack_in_range};

/// The weights of a target as its loaders ask for them.
#[derive(Clone, Copy)]
pub(crate) struct MatrixSource<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) precision: Precision,
    /// The packed file that the matrices are written into, if they are.
    writer: Option<&'a PackedWriter>,
}

impl<'a> MatrixSource<'a> {
    /// Matrices are packed in memory, or mapped where the checkpoint is packed.
    pub(crate) fn new(checkpoint: &'a Checkpoint, precision: Precision) -> Self {
        Self { checkpoint, precision, writer: None }
    }

    /// Matrices are packed and written into a file.
    pub(crate) fn writing(checkpoint: &'a Checkpoint, precision: Precision, writer: &'a PackedWriter) -> Self {
        Self { checkpoint, precision, writer: Some(writer) }
    }

    /// Whether the matrices are kept in memory: neither mapped nor written.
    pub(crate) fn keeps_matrices(&self) -> bool {
        self.writer.is_none() && self.checkpoint.packed_for().is_none()
    }

    fn packed(&self, name: &str, size: MatrixSize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Result<Matrix> {
        pack_in_range(name, self.precision, fill, |fill| Matrix::pack(self.precision, size.outputs, size.inputs, fill))
    }

    /// Packs and writes a matrix, unless that was done already; the result lies in the file.
    fn written(
        &self,
        writer: &PackedWriter,
        name: &str,
        size: MatrixSize,
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Matrix> {
        if !writer.has(name, size) {
            let matrix = self.packed(name, size, fill)?;
            writer.matrix(name, size, matrix.packed())?;
        }
        let packed = writer.written(name)?;
        let file = Arc::clone(&packed.file);
        let matrix = mapped(name, self.precision, size, packed)?;
        file.release();
        Ok(matrix)
    }
}

impl Packer for MatrixSource<'_> {
    type Matrix = Matrix;

    fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint
    }

    /// A matrix for the kernels of the CPU.
    ///
    /// # Errors
    /// A packed checkpoint of another precision, layout or model; a weight that the precision cannot hold; a file that
    /// cannot be written.
    fn matrix(&self, name: &str, size: MatrixSize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Result<Matrix> {
        if let Some(packed) = self.checkpoint.packed_matrix(name, self.precision, size)? {
            return mapped(name, self.precision, size, packed);
        }
        let matrix = match self.writer {
            None => self.packed(name, size, fill)?,
            Some(writer) => self.written(writer, name, size, fill)?,
        };
        // So that a model is never in memory twice.
        self.checkpoint.release();
        Ok(matrix)
    }

    fn packable(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        match self.writer {
            None => self.checkpoint.packable(name, shape),
            Some(writer) => {
                writer.hold(name, shape);
                self.checkpoint.tensor_to_pack(name, shape)
            }
        }
    }
}

fn mapped(name: &str, precision: Precision, size: MatrixSize, packed: PackedMatrix) -> Result<Matrix> {
    let PackedMatrix { file, start, length } = packed;
    if length != Matrix::packed_bytes(precision, size) {
        return Err(Error::input("a packed matrix has the wrong length")
            .at(name)
            .expected(Matrix::packed_bytes(precision, size))
            .got(length));
    }
    Matrix::mapped(precision, size, file, start).map_err(|e| Error::from(e).at(name))
}
