//! Weights packed for a few rows: panels of 16 outputs, along k inside a panel.
//!
//! Element `(output o, step k)` of panel `o / 16` lies at:
//!
//! - f32: `[k][o % 16]`.
//! - bf16: the same, with the 16 outputs in the order 0 8 1 9 ..., so that a shift and a mask give
//!   both halves.
//! - int8: `[k / 2][o % 16][k % 2]`, two steps of k together, as the multiply-add of pairs reads
//!   them.

use std::ops::Deref;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Result};
use crate::isa::ROUND;

/// Version of the layout in files.
pub const LAYOUT: u32 = 1;

/// Outputs of one panel.
pub const PANEL: usize = 16;

/// How weights are stored and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32 weights and activations.
    F32,
    /// bf16 weights, f32 activations and sums.
    Bf16,
    /// int8 weights with a scale per output; activations rounded to 15 bits with a scale per row;
    /// exact sums.
    Int8,
}

impl Precision {
    /// Steps of k that lie together.
    pub const fn steps_together(self) -> usize {
        match self {
            Self::F32 | Self::Bf16 => 1,
            Self::Int8 => 2,
        }
    }

    /// Bytes of one weight.
    pub const fn weight_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
            Self::Int8 => 1,
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [Self::F32, Self::Bf16, Self::Int8].into_iter().find(|precision| precision.to_string() == name);
        known.ok_or_else(|| Error {
            what: "there is no such precision",
            place: None,
            expected: "f32, bf16 or int8".to_owned(),
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
    /// One per output under [`Precision::Int8`], else empty.
    scales: Vec<f32>,
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
    /// The place is not in the file or not aligned to a cache line in memory, or the number of scales
    /// is wrong.
    pub fn mapped(
        precision: Precision,
        size: MatrixSize,
        file: Arc<FileBytes>,
        start: usize,
        scales: Vec<f32>,
    ) -> Result<Self> {
        let (n, k) = (size.outputs, size.inputs);
        let bytes = Self::packed_bytes(precision, size);
        let place = start.checked_add(bytes).and_then(|end| file.get(start..end));
        let aligned = place.is_some_and(|place| (place.as_ptr() as usize).is_multiple_of(size_of::<Line>()));
        if !aligned || scales.len() != scales_of(precision, n) {
            return Err(Error {
                what: "a packed matrix does not lie as it should",
                place: None,
                expected: format!("{bytes} bytes on a border of 64 and {} scales", scales_of(precision, n)),
                got: format!("byte {start} of {}, {} scales", file.len(), scales.len()),
            });
        }
        let data = Lines::Mapped { file, start, lines: bytes / size_of::<Line>() };
        Ok(Self { precision, n, k, data, scales })
    }

    /// Bytes of the panels of a matrix, whole lines.
    pub fn packed_bytes(precision: Precision, size: MatrixSize) -> usize {
        let panel_bytes = PANEL * size.inputs.next_multiple_of(precision.steps_together()) * precision.weight_bytes();
        (size.outputs.div_ceil(PANEL) * panel_bytes).next_multiple_of(size_of::<Line>())
    }

    /// The panels as a file keeps them, and the scales.
    pub fn packed(&self) -> (&[u8], &[f32]) {
        (bytemuck::cast_slice(&self.data), &self.scales)
    }

    /// Packs `n` rows of `k` weights. `fill(row, out)` writes one row, so that no f32 copy of the
    /// whole matrix is needed.
    pub fn pack(precision: Precision, n: usize, k: usize, fill: &mut dyn FnMut(usize, &mut [f32])) -> Self {
        let mut data = vec![
            Line::zeroed();
            Self::packed_bytes(precision, MatrixSize { outputs: n, inputs: k }) / size_of::<Line>()
        ];
        let mut scales = vec![0.0; scales_of(precision, n)];
        let mut row = vec![0.0; k];
        for output in 0..n {
            fill(output, &mut row);
            put(precision, &mut data, &mut scales, output, &row);
        }
        Self { precision, n, k, data: Lines::Owned(data), scales }
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
        self.data.len() * size_of::<Line>() + self.scales.len() * size_of::<f32>()
    }

    /// Bytes that a product with so many panels reads.
    pub fn bytes_of(&self, panels: usize) -> usize {
        panels * (self.panel_bytes() + self.panel_scales(0).map_or(0, size_of_val))
    }

    /// Groups of k-steps that one multiply-add takes.
    pub fn steps(&self) -> usize {
        self.k.div_ceil(self.precision.steps_together())
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }

    /// Bytes of a panel.
    pub fn panel_bytes(&self) -> usize {
        PANEL * self.steps() * self.precision.steps_together() * self.precision.weight_bytes()
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

    /// The 16 scales of a panel.
    pub fn panel_scales(&self, panel: usize) -> Option<&[f32]> {
        (!self.scales.is_empty()).then(|| &self.scales[panel * PANEL..][..PANEL])
    }
}

/// Where output `lane` of a bf16 panel is stored.
pub const fn bf16_slot(lane: usize) -> usize {
    2 * (lane % 8) + lane / 8
}

/// Writes a row of weights into its lane.
fn put(precision: Precision, data: &mut [Line], scales: &mut [f32], output: usize, row: &[f32]) {
    let (panel, lane, k) = (output / PANEL, output % PANEL, row.len());
    match precision {
        Precision::F32 => {
            let all: &mut [f32] = bytemuck::cast_slice_mut(data);
            let start = panel * PANEL * k;
            for (step, &weight) in row.iter().enumerate() {
                all[start + step * PANEL + lane] = weight;
            }
        }
        Precision::Bf16 => {
            let all: &mut [u16] = bytemuck::cast_slice_mut(data);
            let start = panel * PANEL * k + bf16_slot(lane);
            for (step, &weight) in row.iter().enumerate() {
                all[start + step * PANEL] = half::bf16::from_f32(weight).to_bits();
            }
        }
        Precision::Int8 => {
            let scale = row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 127.0;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            scales[output] = scale;
            let all: &mut [i8] = bytemuck::cast_slice_mut(data);
            let start = panel * PANEL * k.next_multiple_of(2) + 2 * lane;
            for (step, &weight) in row.iter().enumerate() {
                // The low bits of the sum are the nearest integer; `f32::round` would be a function
                // call for every weight.
                all[start + step / 2 * 2 * PANEL + step % 2] = (weight * inverse + ROUND).to_bits() as i8;
            }
        }
    }
}

/// Scales of a matrix of `n` outputs.
fn scales_of(precision: Precision, n: usize) -> usize {
    if precision == Precision::Int8 { n.next_multiple_of(PANEL) } else { 0 }
}
