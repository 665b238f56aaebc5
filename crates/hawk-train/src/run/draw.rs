//! Draws one image with the inference engine.

use std::ops::ControlFlow;

use hawk::{Decoder, Decoding, Engine, Request, Rule, Sampling, Seed};
use hawk_files::{Error, Result};
use hawk_nn::Image;

/// Draws one image by plain decoding.
///
/// # Errors
/// The request is invalid, or the engine fails.
pub(crate) fn draw(engine: &Engine, prompt: &str, sampling: Sampling, seed: Seed) -> Result<Image> {
    let request = Request {
        prompt: prompt.to_owned(),
        seed,
        images: 0..1,
        sampling,
        decoding: Decoding::with_defaults(Decoder::AR, Rule::Replay),
        batch: 1,
    };
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    let image = outcome.images.into_iter().next();
    image.map(|generated| generated.image).ok_or_else(|| Error::input("the engine drew no image").at(prompt))
}
