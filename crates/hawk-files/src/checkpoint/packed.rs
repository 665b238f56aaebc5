//! Weights in the layout of the kernels: a file that is mapped and not packed again.
//!
//! `packed.safetensors` is a safetensors file whose data are aligned to 64 bytes. It holds, in this
//! order:
//!
//! - each matrix of the target as one tensor of bytes `[lines, 64]`, exactly as
//!   [`hawk_kernels::Matrix`] has it in memory;
//! - the tensors that are not packed (embedding, norms) in their original number format.
//!
//! The metadata hold the format, the version of the layout, the precision, the sizes of the
//! matrices, the tensors that went into them, and the SHA-256 of the data.

use std::collections::BTreeMap;
use std::sync::Arc;

use hawk_kernels::{LAYOUT, MatrixSize, Precision};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::json::from_json;
use crate::source::{Blob, hex};

/// Name of the file.
pub(crate) const FILE: &str = "packed.safetensors";
pub(super) const FORMAT: &str = "hawk-packed";

/// A matrix in a packed file, as the kernels hold it.
pub struct PackedMatrix {
    /// The file.
    pub file: Arc<Blob>,
    /// First byte.
    pub start: usize,
    /// Number of bytes.
    pub length: usize,
}

/// What the file says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(super) precision: String,
    /// Outputs and inputs of the matrices.
    pub(super) matrices: BTreeMap<String, [usize; 2]>,
    /// Shapes of the tensors that are in the matrices.
    pub(super) holds: BTreeMap<String, Vec<usize>>,
    /// SHA-256 of the data, in hex.
    pub(super) sha256: String,
}

impl Description {
    /// From the metadata of a safetensors file.
    pub(super) fn read(metadata: &std::collections::HashMap<String, String>) -> Result<Self> {
        let get = |key: &str| {
            metadata.get(key).ok_or_else(|| {
                Error::input("not a packed model").expected(format!("{key:?} in the metadata")).hint("convert it again")
            })
        };
        let (format, layout) = (get("format")?, get("layout")?);
        if format != FORMAT || *layout != LAYOUT.to_string() {
            return Err(Error::input("a packed model of another version of hawk")
                .expected(format!("format {FORMAT}, layout {LAYOUT}"))
                .got(format!("format {format}, layout {layout}"))
                .hint("hawk convert the original again"));
        }
        let description: Self = from_json("the description of a packed model", get("description")?.as_bytes())
            .map_err(|e| e.at("description"))?;
        description.precision().map_err(|e| e.at("precision"))?;
        Ok(description)
    }

    pub(super) fn precision(&self) -> Result<Precision> {
        Ok(self.precision.parse()?)
    }

    /// The shape of a tensor that went into a matrix.
    pub(super) fn held(&self, name: &str) -> Option<&[usize]> {
        self.holds.get(name).map(Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.holds.keys().map(String::as_str)
    }

    /// Refuses a matrix that the file does not have in this precision and size.
    pub(super) fn check(&self, name: &str, precision: Precision, size: MatrixSize) -> Result<()> {
        if precision.to_string() != self.precision {
            return Err(Error::input("the model is packed for another precision")
                .expected(&self.precision)
                .got(precision)
                .hint(format!(
                    "--precision {}, or hawk convert the original with --precision {precision}",
                    self.precision
                )));
        }
        let size = [size.outputs, size.inputs];
        if self.matrices.get(name) != Some(&size) {
            return Err(Error::input("a packed matrix is missing or has the wrong size")
                .at(name)
                .expected(format!("{size:?}"))
                .got(format!("{:?}", self.matrices.get(name))));
        }
        Ok(())
    }

    /// Compares the digest of the data with what the file says.
    ///
    /// # Errors
    /// It is another.
    pub(super) fn verify(&self, data: &[u8]) -> Result<()> {
        let got = hex(&Sha256::digest(data));
        if got == self.sha256 {
            return Ok(());
        }
        let error = Error::input("a packed model is damaged: its data have another digest");
        Err(error.expected(&self.sha256).got(got).hint("hawk convert the original again"))
    }
}

/// Tensors of this beginning fill up lines.
pub(super) const PADDING: &str = "padding.";

/// Whether a name of a packed file is of what only serves the packing.
pub(super) fn serves_packing(name: &str, description: &Description) -> bool {
    name.starts_with(PADDING) || description.matrices.contains_key(name)
}
