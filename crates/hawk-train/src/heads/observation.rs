//! One image as the target sees it, and its file.

use half::f16;
use half::slice::HalfFloatSliceExt;
use hawk_files::{Error, Result};
use hawk_spec::{Code, Grid};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// The sizes that all observations of a target share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObservationShape {
    pub(crate) grid: Grid,
    /// Hidden size D.
    pub(crate) hidden_size: usize,
    /// Size of the codebook.
    pub(crate) codes: usize,
}

impl ObservationShape {
    /// Cells of the grid.
    pub(crate) fn cells(self) -> usize {
        self.grid.cells() as usize
    }
}

/// One image as the target sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    /// The last hidden states of the conditional stream, `[cells, D]`.
    pub(crate) hidden: Vec<f32>,
    /// The target's laws, `[cells, codes]`. f16 keeps a probability to one part in two thousand.
    pub(crate) laws: Vec<f16>,
    /// The image, in raster order.
    pub(crate) codes: Vec<Code>,
}

impl Observation {
    /// # Errors
    /// A size differs from `shape`.
    pub(crate) fn to_bytes(&self, shape: ObservationShape) -> Result<Vec<u8>> {
        let hidden: Vec<u8> = self.hidden.iter().flat_map(|x| x.to_le_bytes()).collect();
        let laws: Vec<u8> = self.laws.iter().flat_map(|p| p.to_le_bytes()).collect();
        let codes: Vec<u8> = self.codes.iter().flat_map(|code| code.0.to_le_bytes()).collect();
        let failed = |e| Error::input(format!("cannot write an observed image: {e}"));
        let tensors = [
            ("hidden", Dtype::F32, vec![shape.cells(), shape.hidden_size], &hidden),
            ("law", Dtype::F16, vec![shape.cells(), shape.codes], &laws),
            ("codes", Dtype::U32, vec![shape.cells()], &codes),
        ];
        let views = tensors
            .into_iter()
            .map(|(name, dtype, shape, bytes)| TensorView::new(dtype, shape, bytes).map(|view| (name, view)));
        let views: Vec<_> = views.collect::<std::result::Result<_, _>>().map_err(failed)?;
        safetensors::serialize(views, None).map_err(failed)
    }

    /// # Errors
    /// The file is damaged or has another shape.
    pub(crate) fn from_bytes(bytes: &[u8], shape: ObservationShape) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| Error::input(format!("invalid observed image: {e}")))?;
        let data = |name: &str, dtype: Dtype, expected: &[usize]| {
            let tensor = file.tensor(name).map_err(|e| Error::input(e.to_string()))?;
            if tensor.dtype() == dtype && tensor.shape() == expected {
                return Ok(tensor.data());
            }
            Err(Error::input("the observed image belongs to another target").at(name).expected(format!("{expected:?}")))
        };
        let hidden = data("hidden", Dtype::F32, &[shape.cells(), shape.hidden_size])?.as_chunks().0;
        let laws = data("law", Dtype::F16, &[shape.cells(), shape.codes])?.as_chunks().0;
        let codes = data("codes", Dtype::U32, &[shape.cells()])?.as_chunks().0;
        Ok(Self {
            hidden: hidden.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            laws: laws.iter().map(|bytes| f16::from_le_bytes(*bytes)).collect(),
            codes: codes.iter().map(|bytes| Code(u32::from_le_bytes(*bytes))).collect(),
        })
    }

    /// Appends the laws of all cells as f32.
    pub(crate) fn append_laws(&self, out: &mut Vec<f32>) {
        let start = out.len();
        out.resize(start + self.laws.len(), 0.0);
        self.laws.convert_to_f32_slice(&mut out[start..]);
    }
}
