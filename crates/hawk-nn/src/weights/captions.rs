//! The inputs that the features of a caption become.

use std::sync::Arc;

use hawk_files::{CaptionFeatures, CaptionTensors, Checkpoint, Error, Result};
use hawk_kernels::Threads;

use super::dense::Mlp;
use crate::pass::OwnInputs;

/// What turns the features of a caption into inputs, in f32.
pub struct Captions {
    mlp: Mlp,
    width: usize,
    most: usize,
}

impl Captions {
    pub(super) fn load(checkpoint: &Checkpoint, tensors: &CaptionTensors) -> Result<Self> {
        Ok(Self { mlp: Mlp::load(checkpoint, &tensors.mlp)?, width: tensors.width, most: tensors.most })
    }

    /// The inputs of a caption. Its features stand directly before the first cell. The reference
    /// puts padding before them that nobody attends to; it is left out.
    ///
    /// # Errors
    /// The features were made for another model, or are too many.
    pub fn inputs(&self, threads: &Threads, features: &CaptionFeatures) -> Result<OwnInputs> {
        let (count, wrong) = (features.count(), |what: &str| Error::input(what).at("features"));
        if features.width() != self.width {
            return Err(wrong("the features were made for another model")
                .expected(format!("{} numbers each, caption_dim", self.width))
                .got(features.width()));
        }
        if count > self.most {
            let expected = format!("at most {}, cls_token_num", self.most);
            return Err(wrong("too many features").expected(expected).got(count));
        }
        Ok(OwnInputs::new(Arc::from(self.mlp.run(threads, features.values())), self.most - count))
    }
}
