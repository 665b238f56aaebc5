//! Weights on a device.

use half::{bf16, f16};
use hawk_files::{Checkpoint, Result, Tensor};
use hawk_kernels::{BLOCK, Matrix, MatrixSize, PANEL, Precision};
use hawk_nn::{Packer, pack_in_range};

use crate::kernels::numbers::Numbers;
use crate::kernels::product::Format;
use crate::memory::{Buffer, Memory};

/// Inputs of a row are filled up with zeros to a multiple of this.
const PADDING: usize = 16;

/// Numbers that a row of `inputs` numbers takes in front of a product.
pub(crate) fn padded(inputs: usize) -> usize {
    inputs.next_multiple_of(PADDING)
}

impl Format {
    /// The format of a precision.
    pub(crate) fn of(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
            Precision::F16 => Self::F16,
            Precision::Int8 => Self::Int8,
        }
    }

    /// The format of inputs of products, keys and values beside weights of this format.
    pub(crate) fn numbers(self) -> Numbers {
        match self {
            Self::F32 | Self::F16 => Numbers::F32,
            Self::Bf16 | Self::Int8 => Numbers::Bf16,
        }
    }

    /// Vectors of four words of a row of `inputs` weights.
    fn vectors(self, inputs: usize) -> usize {
        let in_a_vector = match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 8,
            Self::Int8 => 16,
        };
        padded(inputs) / in_a_vector
    }

    /// Words of the scales of a row of `inputs` weights.
    fn scales(self, inputs: usize) -> usize {
        match self {
            Self::F32 | Self::Bf16 | Self::F16 => 0,
            Self::Int8 => inputs.div_ceil(BLOCK).div_ceil(2),
        }
    }

    /// Bytes of a row of `inputs` weights with its scales.
    pub(crate) fn row_bytes(self, inputs: usize) -> usize {
        16 * self.vectors(inputs) + 4 * self.scales(inputs)
    }
}

/// A matrix of weights, row after row of [`padded`] inputs.
pub(crate) struct GpuMatrix {
    pub(crate) buffer: Buffer,
    /// Scales of the blocks of each row under int8, two in a word; else one word without a meaning.
    pub(crate) scales: Buffer,
    pub(crate) size: MatrixSize,
    pub(crate) format: Format,
    /// Vectors of four words of a row.
    pub(crate) vectors: usize,
}

impl GpuMatrix {
    /// Uploads a matrix. `fill` writes a row, `[inputs]`, by its number.
    ///
    /// # Errors
    /// A weight that the precision cannot hold.
    pub(crate) fn upload(
        memory: &Memory,
        name: &str,
        precision: Precision,
        size: MatrixSize,
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Self> {
        let format = Format::of(precision);
        pack_in_range(name, precision, fill, |fill| Self::upload_as(memory, format, size, fill))
    }

    fn upload_as(memory: &Memory, format: Format, size: MatrixSize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Self {
        let (vectors, mut row) = (format.vectors(size.inputs), vec![0.0; padded(size.inputs)]);
        let mut words: Vec<u32> = Vec::with_capacity(size.outputs * vectors * 4);
        let mut scales = Vec::new();
        match format {
            Format::Int8 => Rounded::new(size, fill).write(vectors, &mut words, &mut scales),
            Format::F32 | Format::Bf16 | Format::F16 => {
                scales.push(0);
                for output in 0..size.outputs {
                    fill(output, &mut row[..size.inputs]);
                    match format {
                        Format::F32 => words.extend(row.iter().map(|x| x.to_bits())),
                        Format::F16 => words.extend(pairs(&row, |x| f16::from_f32(x).to_bits())),
                        _ => words.extend(pairs(&row, |x| bf16::from_f32(x).to_bits())),
                    }
                }
            }
        }
        Self { buffer: memory.upload(words), scales: memory.upload(scales), size, format, vectors }
    }

    /// Bytes of so many rows.
    pub(crate) fn bytes_of(&self, outputs: usize) -> usize {
        outputs * self.format.row_bytes(self.size.inputs)
    }
}

/// Numbers of 16 bits, two in a word.
fn pairs(row: &[f32], bits: impl Fn(f32) -> u16) -> impl Iterator<Item = u32> {
    row.as_chunks::<2>().0.iter().map(move |[low, high]| word(bits(*low), bits(*high)))
}

fn word(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

/// Two numbers in a word.
pub(crate) fn pair_of(low: bf16, high: bf16) -> u32 {
    word(low.to_bits(), high.to_bits())
}

/// A matrix that the CPU's kernels have rounded to 8 bits: the weights and scales are the same ones.
struct Rounded(Matrix);

impl Rounded {
    fn new(size: MatrixSize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Self {
        Self(Matrix::pack(Precision::Int8, size.outputs, size.inputs, fill))
    }

    /// Writes the weights row after row, four in a word, and the scales, two in a word.
    fn write(&self, vectors: usize, words: &mut Vec<u32>, scales: &mut Vec<u32>) {
        let (bytes, _) = self.0.packed().as_chunks::<4>();
        let (panels, panel_words) = (self.0.panels(), self.0.panel_bytes() / 4);
        let all_scales: &[u16] = bytemuck::cast_slice(&self.0.packed()[4 * panels * panel_words..]);
        let blocks = self.0.k().div_ceil(BLOCK);
        for output in 0..self.0.n() {
            let (panel, lane) = (output / PANEL, output % PANEL);
            // A panel has words of 16 outputs together; blocks are filled up beyond the row.
            words.extend(
                (0..4 * vectors).map(|word| u32::from_le_bytes(bytes[panel * panel_words + word * PANEL + lane])),
            );
            let scale = |block: usize| match block < blocks {
                true => bf16::from_bits(all_scales[(panel * blocks + block) * PANEL + lane]),
                false => bf16::ZERO,
            };
            scales.extend((0..blocks).step_by(2).map(|block| pair_of(scale(block), scale(block + 1))));
        }
    }
}

/// Uploads the matrices of a checkpoint while it is read.
pub(crate) struct Uploader<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) precision: Precision,
}

impl Packer for Uploader<'_> {
    type Matrix = GpuMatrix;

    fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint
    }

    fn matrix(&self, name: &str, size: MatrixSize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Result<GpuMatrix> {
        let matrix = GpuMatrix::upload(self.memory, name, self.precision, size, fill)?;
        self.checkpoint.release();
        Ok(matrix)
    }

    fn packable(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        self.checkpoint.packable(name, shape)
    }
}
