//! The tensors that a config asks for, by name and shape. A checkpoint is compared with them
//! without loading it.

use super::Checkpoint;

/// A tensor that a config asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTensor {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How many rows may stand for several: see [`Rows`].
    rows: Rows,
}

/// Which first dimensions are as good as the shape's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Exact,
    /// Any divisor: a row then serves several heads.
    Shared,
}

impl WantedTensor {
    pub(crate) fn exact(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape, rows: Rows::Exact }
    }

    /// Rows of the shape's first dimension may be stored once for several.
    pub(crate) fn shared(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape, rows: Rows::Shared }
    }

    /// What is wrong with the tensor in a checkpoint, in words; none if it is there and fits.
    #[must_use]
    pub fn fault(&self, checkpoint: &Checkpoint) -> Option<String> {
        let Some(got) = checkpoint.shape(&self.name) else {
            return Some(format!("{} {:?} is missing", self.name, self.shape));
        };
        let shared = self.rows == Rows::Shared
            && got.len() == self.shape.len()
            && got[0] > 0
            && self.shape[0].is_multiple_of(got[0])
            && got[1..] == self.shape[1..];
        let fits = got == self.shape || shared;
        (!fits).then(|| format!("{} has the shape {got:?}, expected {:?}", self.name, self.shape))
    }
}
