//! Answers with images, as the official service words them.

use serde::Serialize;
use utoipa::ToSchema;

use super::request::{Asked, size_name};
use super::state::now;
use crate::decode::order::Whole;

/// The images of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImagesResponse {
    /// Seconds since 1970.
    created: u64,
    data: Vec<ImageData>,
    background: &'static str,
    output_format: &'static str,
    quality: &'static str,
    size: String,
    /// The random seed of the images.
    seed: u64,
    usage: Usage,
}

/// An image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageData {
    /// The file.
    b64_json: String,
    /// The random seed.
    seed: u64,
    /// The number of the image among those of the seed.
    index: u32,
}

/// Tokens of prompt and images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Tokens of the prompt.
    input_tokens: u64,
    input_tokens_details: InputTokens,
    /// Cells of the images.
    output_tokens: u64,
    total_tokens: u64,
}

/// Kinds of tokens of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct InputTokens {
    image_tokens: u64,
    text_tokens: u64,
}

impl Usage {
    pub(crate) fn of(prompt: u64, cells: u64) -> Self {
        Self {
            input_tokens: prompt,
            input_tokens_details: InputTokens { image_tokens: 0, text_tokens: prompt },
            output_tokens: cells,
            total_tokens: prompt + cells,
        }
    }
}

/// What all answers to a request say.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Common {
    pub(crate) background: &'static str,
    pub(crate) output_format: &'static str,
    pub(crate) quality: &'static str,
    pub(crate) size: String,
    pub(crate) seed: u64,
}

impl Common {
    pub(crate) fn of(asked: &Asked, size: hawk::ImageSize) -> Self {
        Self {
            background: "opaque",
            output_format: asked.format.name(),
            quality: "high",
            size: size_name(size),
            seed: asked.request.seed.0,
        }
    }
}

impl ImagesResponse {
    /// The answer with all images of a request.
    pub(crate) fn new(common: Common, mut images: Vec<Whole>) -> Self {
        images.sort_by_key(|image| image.image);
        let prompt = images.first().map_or(0, |image| image.tokens[0]);
        let usage = Usage::of(prompt, images.iter().map(|image| image.tokens[1]).sum());
        let Common { background, output_format, quality, size, seed } = common;
        let image = |whole: Whole| ImageData { b64_json: whole.base64, seed, index: whole.image };
        let data = images.into_iter().map(image).collect();
        Self { created: now(), data, background, output_format, quality, size, seed, usage }
    }
}
