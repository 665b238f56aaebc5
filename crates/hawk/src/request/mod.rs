//! Requests to an image model, their events and their results.

pub(crate) mod decoder;
pub(crate) mod decoding;
pub(crate) mod event;
pub(crate) mod rule;
pub(crate) mod tree;

use std::ops::Range;

use hawk_nn::{Error, Result};
use hawk_spec::{Sampling, Seed};

use decoding::Decoding;

/// Most images of a batch.
pub const MAX_BATCH: usize = 64;

/// A request for images of one prompt.
///
/// Under [`Rule::Replay`](hawk_spec::Rule::Replay) an image depends on the model, `prompt`, `seed`,
/// its index and `sampling` alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The prompt, without the model's template.
    pub prompt: String,
    /// Key of the noise.
    pub seed: Seed,
    /// Numbers of the images among those of the seed.
    pub images: Range<u32>,
    /// Guidance and warping.
    pub sampling: Sampling,
    /// Decoder, rule, tree.
    pub decoding: Decoding,
    /// Most images decoded at once, 1 to [`MAX_BATCH`].
    pub batch: usize,
}

impl Request {
    pub(crate) fn check(&self) -> Result<()> {
        if self.images.is_empty() {
            return Err(Error::input("the request has no image").at("images").expected("at least 1").got(0));
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            let expected = format!("1 to {MAX_BATCH} images in a pass");
            return Err(Error::input("invalid batch size").at("batch").expected(expected).got(self.batch));
        }
        Ok(())
    }
}
