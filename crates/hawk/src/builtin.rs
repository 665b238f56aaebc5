//! The model inside the program.

use hawk_nn::{EmbeddedFile, ModelSource};

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(EmbeddedFile { name: $name, bytes: include_bytes!(concat!("../../../models/emoji-v0/", $name)) }),*]
    };
}

/// What a record calls the built-in model.
pub const BUILT_IN: &str = "built-in emoji-v0";

/// The files of the built-in model: emoji of 64 x 64 pixels from captions.
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
