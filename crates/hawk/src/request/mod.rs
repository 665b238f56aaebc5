//! What is asked of the engine, and what it tells and gives back.

pub(crate) mod decoder;
pub(crate) mod decoding;
pub(crate) mod event;
pub(crate) mod rule;
pub(crate) mod tree;

use std::ops::Range;

use hawk_nn::{Error, Result};
use hawk_spec::{Sampling, Seed};

use decoding::Decoding;

/// Most images that share a pass.
pub const MAX_BATCH: usize = 64;

/// Images of one prompt. Under [`Rule::Replay`](hawk_spec::Rule::Replay) an image depends on the
/// model, `prompt`, `seed`, its index and `sampling` alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The text. The model's template is put around it.
    pub prompt: String,
    /// Key of the noise.
    pub seed: Seed,
    /// Indices of the images.
    pub images: Range<u32>,
    /// Guidance and warping.
    pub sampling: Sampling,
    /// Drafter, rule, budget.
    pub decoding: Decoding,
    /// Images that share a pass, `1..=MAX_BATCH`.
    pub batch: usize,
}

impl Request {
    pub(crate) fn check(&self) -> Result<()> {
        if self.images.is_empty() {
            return Err(Error::input("no image asked for").at("images").expected("at least 1").got(0));
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            let expected = format!("1 to {MAX_BATCH} images in a pass");
            return Err(Error::input("invalid batch size").at("batch").expected(expected).got(self.batch));
        }
        Ok(())
    }
}
