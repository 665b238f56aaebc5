//! The features of a caption, as files bring them.

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// The features of a caption, `[tokens, width]`: the last hidden state of a text encoder without
/// padding.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionFeatures {
    values: Vec<f32>,
    width: usize,
}

impl CaptionFeatures {
    /// Tensor of this name in the file.
    const TENSOR: &'static str = "features";

    /// Reads a safetensors file with the tensor `features` `[tokens, width]`, in f32, bf16 or f16.
    ///
    /// # Errors
    /// No such file or tensor, one of another shape, numbers that are not finite.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let checkpoint = Checkpoint::from_bytes(bytes)?;
        let wrong = |what: &str| Error::input(what).at(Self::TENSOR).expected("[tokens, width], each at least 1");
        let Some(&[tokens, width]) = checkpoint.shape(Self::TENSOR) else {
            let got = checkpoint.shape(Self::TENSOR).map_or("no such tensor".to_owned(), |shape| format!("{shape:?}"));
            return Err(wrong("the features of a caption are missing").got(got));
        };
        if tokens == 0 || width == 0 {
            return Err(wrong("there are no features").got(format!("[{tokens}, {width}]")));
        }
        let values = checkpoint.tensor(Self::TENSOR, &[tokens, width])?.to_f32();
        Ok(Self { values, width })
    }

    /// Number of tokens, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// The numbers, `[tokens, width]`.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Numbers of a feature, at least 1.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }
}
