//! Weights packed for a few rows: panels of 16 outputs, along k inside a panel.
//!
//! Element `(output o, step k)` of panel `o / 16` lies at:
//!
//! - f32: `[k][o % 16]`.
//! - bf16: `[k / 2][o % 16][k % 2]`, two steps of k together. k is filled up to an even number.
//! - int8: `[k / 4][o % 16][k % 4]`, four steps of k together, each weight plus 128 as an unsigned
//!   byte. k is filled up to whole blocks of [`BLOCK`] steps. Behind all panels lie the scales,
//!   `[panel][k / BLOCK][o % 16]`, in bf16.

use std::ops::Deref;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Result};
use crate::isa::{ROUND, round_to_bf16};

/// Version of the layout in files.
pub const LAYOUT: u32 = 3;

/// Outputs of one panel.
pub const PANEL: usize = 16;

/// Steps of k that share a scale under int8, in weights and in activations. A sum of so many
/// products of bytes is exact in i32.
pub const BLOCK: usize = 64;

/// Largest magnitude of a rounded weight or activation under int8.
pub(crate) const QUANT_MAX: f32 = 127.0;

/// Blocks without a larger magnitude are rounded to 0 under int8.
pub(crate) const SMALLEST_BLOCK: f32 = 1e-30;

/// What is added to a rounded weight, so that it is an unsigned byte.
pub(crate) const WEIGHT_OFFSET: u8 = 128;

/// How weights are stored and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32 weights and activations.
    F32,
    /// bf16 weights and activations, f32 sums.
    Bf16,
    /// f16 weights, at most 65504 in magnitude; f32 activations.
    F16,
    /// Weights and activations rounded to 8 bits, with a scale per output (or row) and block of 64
    /// inputs; exact sums inside a block.
    Int8,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::F16, Self::Int8];

    /// Steps of k that one step of a kernel takes.
    pub(crate) const fn steps_together(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }

    /// Inputs that a panel has room for where a matrix has `inputs`.
    const fn padded(self, inputs: usize) -> usize {
        match self {
            Self::F32 | Self::F16 => inputs,
            Self::Bf16 => inputs.next_multiple_of(2),
            Self::Int8 => inputs.next_multiple_of(BLOCK),
        }
    }

    /// Bytes of the scales of a panel.
    const fn scale_bytes(self, inputs: usize) -> usize {
        match self {
            Self::F32 | Self::Bf16 | Self::F16 => 0,
            Self::Int8 => inputs.div_ceil(BLOCK) * PANEL * size_of::<u16>(),
        }
    }

    /// The largest magnitude of a weight.
    pub const fn largest_weight(self) -> f32 {
        match self {
            Self::F16 => half::f16::MAX.to_f32_const(),
            Self::F32 | Self::Bf16 | Self::Int8 => f32::MAX,
        }
    }

    /// Bytes of one weight.
    pub const fn weight_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
            Self::Int8 => 1,
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        })
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|precision| precision.to_string() == name);
        known.ok_or_else(|| Error {
            what: "there is no such precision",
            place: None,
            expected: "f32, bf16, f16 or int8".to_owned(),
            got: format!("{name:?}"),
        })
    }
}

/// A cache line; a vector of them is memory aligned for the kernels.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Line([u8; 64]);

impl Line {
    /// 64 bytes of 0.
    pub const ZERO: Self = Self([0; 64]);
}

/// Sizes of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixSize {
    /// Rows: what a product gives for each row of its input.
    pub outputs: usize,
    /// Columns: numbers of a row of a product's input.
    pub inputs: usize,
}

/// A packed matrix `W[n, k]`: `n` outputs, `k` inputs.
pub struct Matrix {
    precision: Precision,
    n: usize,
    k: usize,
    data: Lines,
}

/// The bytes of a file, mapped or in memory.
pub type FileBytes = dyn Deref<Target = [u8]> + Send + Sync;

/// The panels, in memory or in a mapped file.
enum Lines {
    Owned(Vec<Line>),
    /// `lines` of a file from byte `start`, which is aligned to a cache line in memory.
    Mapped {
        file: Arc<FileBytes>,
        start: usize,
        lines: usize,
    },
}

impl Deref for Lines {
    type Target = [Line];
    fn deref(&self) -> &[Line] {
        match self {
            Self::Owned(lines) => lines,
            Self::Mapped { file, start, lines } => {
                bytemuck::cast_slice(&file[*start..*start + *lines * size_of::<Line>()])
            }
        }
    }
}

impl Matrix {
    /// A matrix whose panels lie in a mapped file from byte `start`.
    ///
    /// # Errors
    /// The place is not in the file or not aligned to a cache line in memory, or a weight or scale is
    /// not finite.
    pub fn mapped(precision: Precision, size: MatrixSize, file: Arc<FileBytes>, start: usize) -> Result<Self> {
        let (n, k) = (size.outputs, size.inputs);
        let bytes = Self::packed_bytes(precision, size);
        let place = start.checked_add(bytes).and_then(|end| file.get(start..end));
        let aligned = place.is_some_and(|place| (place.as_ptr() as usize).is_multiple_of(size_of::<Line>()));
        if !aligned {
            return Err(Error {
                what: "a packed matrix does not lie as it should",
                place: None,
                expected: format!("{bytes} bytes on a border of 64"),
                got: format!("byte {start} of {}", file.len()),
            });
        }
        let data = Lines::Mapped { file, start, lines: bytes / size_of::<Line>() };
        let matrix = Self { precision, n, k, data };
        match matrix.fault() {
            None => Ok(matrix),
            Some((at, number)) => Err(Error {
                what: "a packed matrix has a weight or scale that is not finite",
                place: None,
                expected: "finite numbers".to_owned(),
                got: format!("{number}, number {at}"),
            }),
        }
    }

    /// The place and value of the first number that is not finite, among the weights, or among the
    /// scales under int8, whose weights are always finite.
    fn fault(&self) -> Option<(usize, f32)> {
        match self.precision {
            Precision::F32 => {
                let weights: &[u32] = bytemuck::cast_slice(&self.data);
                let at = first(weights, |bits| bits & 0x7f80_0000 == 0x7f80_0000)?;
                Some((at, f32::from_bits(weights[at])))
            }
            Precision::F16 => {
                let weights: &[u16] = bytemuck::cast_slice(&self.data);
                let at = first(weights, |bits| bits & 0x7c00 == 0x7c00)?;
                Some((at, half::f16::from_bits(weights[at]).to_f32()))
            }
            Precision::Bf16 | Precision::Int8 => {
                let numbers =
                    if self.precision == Precision::Bf16 { bytemuck::cast_slice(&self.data) } else { self.scales() };
                let at = first(numbers, |bits: u16| bits & 0x7f80 == 0x7f80)?;
                Some((at, half::bf16::from_bits(numbers[at]).to_f32()))
            }
        }
    }

    /// Bytes of the panels and scales of a matrix, whole lines.
    pub fn packed_bytes(precision: Precision, size: MatrixSize) -> usize {
        let panel = PANEL * precision.padded(size.inputs) * precision.weight_bytes();
        let bytes = size.outputs.div_ceil(PANEL) * (panel + precision.scale_bytes(size.inputs));
        bytes.next_multiple_of(size_of::<Line>())
    }

    /// The panels and scales as a file keeps them.
    pub fn packed(&self) -> &[u8] {
        bytemuck::cast_slice(&self.data)
    }

    /// Packs `n` rows of `k` weights. `fill(row, out)` writes one row, so that no f32 copy of the
    /// whole matrix is needed.
    pub fn pack(precision: Precision, n: usize, k: usize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Self {
        let mut data = vec![
            Line::zeroed();
            Self::packed_bytes(precision, MatrixSize { outputs: n, inputs: k }) / size_of::<Line>()
        ];
        let mut row = vec![0.0; k];
        for output in 0..n {
            fill(output, &mut row);
            match precision {
                Precision::F32 => put_f32(bytemuck::cast_slice_mut(&mut data), output, &row),
                Precision::Bf16 => put_bf16(bytemuck::cast_slice_mut(&mut data), output, &row),
                Precision::F16 => put_f16(bytemuck::cast_slice_mut(&mut data), output, &row),
                Precision::Int8 => put_int8(bytemuck::cast_slice_mut(&mut data), n.div_ceil(PANEL), output, &row),
            }
        }
        Self { precision, n, k, data: Lines::Owned(data) }
    }

    /// Outputs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Inputs.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How the weights are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes that one pass over the matrix reads.
    pub fn bytes(&self) -> usize {
        self.data.len() * size_of::<Line>()
    }

    /// Bytes that a product with so many panels reads.
    pub fn bytes_of(&self, panels: usize) -> usize {
        panels * (self.panel_bytes() + self.precision.scale_bytes(self.k))
    }

    /// Steps that a kernel takes through a panel.
    pub fn steps(&self) -> usize {
        self.precision.padded(self.k) / self.precision.steps_together()
    }

    /// Blocks of inputs that share a scale under int8.
    pub(crate) fn blocks(&self) -> usize {
        self.k.div_ceil(BLOCK)
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }

    /// Bytes of a panel.
    pub fn panel_bytes(&self) -> usize {
        PANEL * self.precision.padded(self.k) * self.precision.weight_bytes()
    }

    /// First byte of a panel.
    pub fn panel(&self, panel: usize) -> *const u8 {
        bytemuck::cast_slice::<Line, u8>(&self.data)[panel * self.panel_bytes()..].as_ptr()
    }

    /// The bytes of some panels.
    pub fn bytes_in(&self, panels: std::ops::Range<usize>) -> &[u8] {
        let bytes = bytemuck::cast_slice::<Line, u8>(&self.data);
        &bytes[panels.start * self.panel_bytes()..panels.end * self.panel_bytes()]
    }

    /// The first scale of a panel under int8, in bf16: 16 for each block of [`BLOCK`] steps.
    pub(crate) fn panel_scales(&self, panel: usize) -> *const u16 {
        self.scales()[panel * self.blocks() * PANEL..].as_ptr()
    }

    /// All scales under int8, in bf16.
    fn scales(&self) -> &[u16] {
        let start = self.panels() * self.panel_bytes();
        let length = self.panels() * self.precision.scale_bytes(self.k);
        bytemuck::cast_slice(&bytemuck::cast_slice::<Line, u8>(&self.data)[start..start + length])
    }
}

/// The index of the first number at fault. Those of a part are looked at together, which the compiler
/// turns into vectors.
fn first<T: Copy>(numbers: &[T], wrong: impl Fn(T) -> bool) -> Option<usize> {
    const PART: usize = 1024;
    let at_fault = |part: &[T]| part.iter().fold(false, |any, number| any | wrong(*number));
    let start = PART * numbers.chunks(PART).position(at_fault)?;
    numbers[start..].iter().position(|number| wrong(*number)).map(|at| start + at)
}

/// Writes a row of weights into its lane.
fn put_f32(all: &mut [f32], output: usize, row: &[f32]) {
    let start = output / PANEL * PANEL * row.len() + output % PANEL;
    for (step, &weight) in row.iter().enumerate() {
        all[start + step * PANEL] = weight;
    }
}

fn put_f16(all: &mut [u16], output: usize, row: &[f32]) {
    let start = output / PANEL * PANEL * row.len() + output % PANEL;
    for (step, &weight) in row.iter().enumerate() {
        all[start + step * PANEL] = half::f16::from_f32(weight).to_bits();
    }
}

fn put_bf16(all: &mut [u16], output: usize, row: &[f32]) {
    let start = output / PANEL * PANEL * row.len().next_multiple_of(2) + 2 * (output % PANEL);
    for (step, &weight) in row.iter().enumerate() {
        all[start + step / 2 * 2 * PANEL + step % 2] = round_to_bf16(weight).to_bits();
    }
}

fn put_int8(all: &mut [u8], panels: usize, output: usize, row: &[f32]) {
    let (panel, lane, blocks) = (output / PANEL, output % PANEL, row.len().div_ceil(BLOCK));
    let (weights, scales) = all.split_at_mut(panels * blocks * BLOCK * PANEL);
    let weights = &mut weights[panel * blocks * BLOCK * PANEL..];
    let scales = &mut bytemuck::cast_slice_mut::<u8, u16>(scales)[panel * blocks * PANEL..];
    for (number, block) in row.chunks(BLOCK).enumerate() {
        let scale = block_scale(block);
        scales[number * PANEL + lane] = scale.to_bits();
        let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
        for (step, &weight) in block.iter().enumerate() {
            // The low bits of the sum are the nearest integer; `f32::round` would be a function call
            // for every weight.
            let rounded = (weight * inverse + ROUND).to_bits() as u8;
            let at = (number * BLOCK + step) / 4 * 4 * PANEL + 4 * lane + step % 4;
            weights[at] = rounded.wrapping_add(WEIGHT_OFFSET);
        }
    }
}

/// The smallest scale in bf16 under which no weight exceeds [`QUANT_MAX`]; NaN where a weight is not
/// finite, because rounded weights cannot tell.
fn block_scale(block: &[f32]) -> half::bf16 {
    let most = block.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
    if block.iter().any(|weight| !weight.is_finite()) {
        return half::bf16::NAN;
    }
    // So that its inverse is finite.
    if most < SMALLEST_BLOCK {
        return half::bf16::ZERO;
    }
    let exact = (most / QUANT_MAX).to_bits();
    half::bf16::from_bits((exact.saturating_add(0xffff) >> 16) as u16)
}
