//! Weights on a device.

use half::bf16;
use hawk_files::{Checkpoint, Error, Result, Tensor};
use hawk_kernels::{MatrixSize, Precision};
use hawk_nn::Packer;

use crate::kernels::numbers::Numbers;
use crate::memory::{Buffer, Memory};

/// Inputs of a row are filled up with zeros to a multiple of this.
const PADDING: usize = 8;

/// Numbers that a row of `inputs` numbers takes in front of a product.
pub(crate) fn padded(inputs: usize) -> usize {
    inputs.next_multiple_of(PADDING)
}

/// The number format of a precision.
///
/// # Errors
/// There are no kernels for it.
pub(crate) fn numbers_of(precision: Precision) -> Result<Numbers> {
    match precision {
        Precision::F32 => Ok(Numbers::F32),
        Precision::Bf16 => Ok(Numbers::Bf16),
        Precision::Int8 => Err(Error::input("a GPU has no kernels for this number format")
            .at("precision")
            .expected("f32 or bf16")
            .got(precision)
            .hint("--precision bf16, or --device cpu")),
    }
}

/// A matrix of weights, row after row of [`padded`] inputs.
pub(crate) struct GpuMatrix {
    pub(crate) buffer: Buffer,
    pub(crate) size: MatrixSize,
    /// Vectors of four words of a row.
    pub(crate) vectors: usize,
}

/// Vectors of four words of a row of `inputs` weights.
pub(crate) fn vectors_of(inputs: usize, numbers: Numbers) -> usize {
    match numbers {
        Numbers::F32 => padded(inputs) / 4,
        Numbers::Bf16 => padded(inputs) / 8,
    }
}

impl GpuMatrix {
    /// Uploads a matrix. `fill` writes a row, `[inputs]`, by its number.
    pub(crate) fn upload(
        memory: &Memory,
        numbers: Numbers,
        size: MatrixSize,
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Self {
        let (vectors, mut row) = (vectors_of(size.inputs, numbers), vec![0.0; padded(size.inputs)]);
        let mut words: Vec<u32> = Vec::with_capacity(size.outputs * vectors * 4);
        for output in 0..size.outputs {
            fill(output, &mut row[..size.inputs]);
            match numbers {
                Numbers::F32 => words.extend(row.iter().map(|x| x.to_bits())),
                Numbers::Bf16 => words.extend(row.as_chunks::<2>().0.iter().map(|pair| {
                    let [low, high] = pair.map(|x| u32::from(bf16::from_f32(x).to_bits()));
                    low | high << 16
                })),
            }
        }
        Self { buffer: memory.upload(words), size, vectors }
    }

    /// Bytes of so many rows.
    pub(crate) fn bytes_of(&self, outputs: usize) -> usize {
        outputs * self.vectors * 16
    }
}

/// Uploads the matrices of a checkpoint while it is read.
pub(crate) struct Uploader<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) numbers: Numbers,
}

impl Packer for Uploader<'_> {
    type Matrix = GpuMatrix;

    fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint
    }

    fn matrix(&self, _: &str, size: MatrixSize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Result<GpuMatrix> {
        let matrix = GpuMatrix::upload(self.memory, self.numbers, size, fill);
        self.checkpoint.release();
        Ok(matrix)
    }

    fn packable(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        self.checkpoint.packable(name, shape)
    }
}
