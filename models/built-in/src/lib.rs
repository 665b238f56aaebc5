//! The files of scenes-v2 as plain data: a small model that draws landscapes and things from captions.
//!
//! ```
//! let names: Vec<&str> = hawk_built_in::FILES.iter().map(|file| file.name).collect();
//! assert!(names.contains(&"model.safetensors"));
//! ```
//!
//! This crate adds 38 MB to every program that uses [`FILES`]. It depends on nothing and knows no format: the crate
//! `hawk` loads the model, as `hawk::built_in_model()`. `README.md` says how the model was made and what it draws.

/// A file of the model.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The path below the model's folder, with `/` between the parts, such as `vq/config.json`.
    pub name: &'static str,
    /// The whole content.
    pub bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(File { name: $name, bytes: include_bytes!(concat!("../", $name)) }),*]
    };
}

/// The name of the model.
pub const NAME: &str = "scenes-v2";

/// All files that the model is loaded from: transformer, tokenizer, layout, VQ tokenizer and draft heads.
pub static FILES: &[File] = files![
    "config.json",
    "hawk.json",
    "tokenizer.json",
    "model.safetensors",
    "vq/config.json",
    "vq/model.safetensors",
    "heads/config.json",
    "heads/model.safetensors",
];
