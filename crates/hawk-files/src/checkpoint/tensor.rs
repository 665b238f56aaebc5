//! Tensors of a checkpoint.

use std::borrow::Cow;

use safetensors::Dtype;

use crate::error::{Error, Result};

/// A tensor that is read or computed when it is asked for.
pub(crate) struct LazyTensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) read: ReadTensor,
}

pub(crate) type ReadTensor = Box<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;

/// One tensor, still in the file's number format.
#[derive(Clone)]
pub struct Tensor<'a> {
    pub(super) dtype: Dtype,
    pub(super) row_len: usize,
    pub(super) bytes: Cow<'a, [u8]>,
}

/// A tensor of any number format, as it is stored.
pub(crate) struct RawTensor<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl Tensor<'_> {
    /// Stands for a tensor whose numbers were packed; reading it is a fault of the program.
    pub(super) fn without_numbers(shape: &[usize]) -> Self {
        Self { dtype: Dtype::F32, row_len: shape.last().copied().unwrap_or(1), bytes: Cow::Borrowed(&[]) }
    }

    /// The numbers as they are stored, if that is in bf16.
    pub fn bf16_numbers(&self) -> Option<impl Iterator<Item = half::bf16>> {
        let (numbers, _) = self.bytes.as_chunks();
        (self.dtype == Dtype::BF16).then(|| numbers.iter().map(|bytes| half::bf16::from_le_bytes(*bytes)))
    }

    /// Writes row `row` (of the last dimension) as f32.
    ///
    /// # Panics
    /// `row` is not inside the tensor, or `out` is not as long as a row.
    pub fn row_into(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.row_len);
        let width = self.width();
        self.convert(&self.bytes[row * self.row_len * width..][..self.row_len * width], out);
    }

    /// Refuses a number that is not finite, or that would be infinite in bf16: packing could round it
    /// to anything.
    pub(super) fn finite(&self) -> Result<()> {
        let fault = match self.dtype {
            Dtype::F32 => fault(&self.bytes, |b: [u8; 4]| u32::from_le_bytes(b) & 0x7fff_ffff >= INFINITE_IN_BF16),
            Dtype::BF16 => fault(&self.bytes, |b: [u8; 2]| u16::from_le_bytes(b) & 0x7f80 == 0x7f80),
            _ => fault(&self.bytes, |b: [u8; 2]| u16::from_le_bytes(b) & 0x7c00 == 0x7c00),
        };
        let Some(at) = fault else { return Ok(()) };
        let mut number = [0.0];
        self.convert(&self.bytes[at * self.width()..][..self.width()], &mut number);
        let place = format!("row {}, column {}", at / self.row_len.max(1), at % self.row_len.max(1));
        let error = Error::input("a weight is not finite").at(place).hint("are the weights damaged?");
        Err(error.expected("finite numbers below 3.4e38 in magnitude").got(number[0]))
    }

    /// All of it as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.bytes.len() / self.width()];
        self.convert(&self.bytes, &mut all);
        all
    }

    /// Bytes of a number.
    fn width(&self) -> usize {
        if self.dtype == Dtype::F32 { 4 } else { 2 }
    }

    fn convert(&self, bytes: &[u8], out: &mut [f32]) {
        match self.dtype {
            Dtype::F32 => convert(bytes, out, f32::from_le_bytes),
            Dtype::BF16 => convert(bytes, out, |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            _ => convert(bytes, out, |b: [u8; 2]| half::f16::from_le_bytes(b).to_f32()),
        }
    }
}

/// The bits of the smallest magnitude in f32 that bf16 rounds to infinity.
const INFINITE_IN_BF16: u32 = 0x7f7f_8000;

/// Numbers that are looked at before the search for the one at fault.
const LOOKED_AT: usize = 1024;

/// The index of the first number at fault. All numbers of a part are looked at together, which the
/// compiler turns into vectors.
fn fault<const N: usize>(bytes: &[u8], wrong: impl Fn([u8; N]) -> bool) -> Option<usize> {
    let (numbers, _) = bytes.as_chunks::<N>();
    let at_fault = |part: &[[u8; N]]| part.iter().fold(false, |any, number| any | wrong(*number));
    let part = numbers.chunks(LOOKED_AT).position(at_fault)?;
    let start = part * LOOKED_AT;
    numbers[start..].iter().position(|number| wrong(*number)).map(|at| start + at)
}

fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    let (numbers, _) = bytes.as_chunks::<N>();
    out.iter_mut().zip(numbers).for_each(|(out, bytes)| *out = number(*bytes));
}
