//! The model inside the program.

use hawk_nn::{EmbeddedFile, ModelSource};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(EmbeddedFile { name: $name, bytes: include_bytes!(concat!("../../../models/emoji-v1/", $name)) }),*]
    };
}

/// What a record calls the built-in model.
pub const BUILT_IN: &str = "built-in emoji-v1";

/// The files of the built-in model: emoji of 128 x 128 pixels from captions.
#[must_use]
pub fn built_in_model() -> ModelSource {
    ModelSource::Embedded(embedded![
        "config.json",
        "hawk.json",
        "tokenizer.json",
        "model.safetensors",
        "vq/config.json",
        "vq/model.safetensors",
        "heads/config.json",
        "heads/model.safetensors",
    ])
}
