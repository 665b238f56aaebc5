//! The built-in model.

#[cfg(feature = "built-in")]
use std::sync::LazyLock;

#[cfg(feature = "built-in")]
use hawk_nn::{EmbeddedFile, ModelSource};

/// The name of the built-in model in records.
pub const BUILT_IN: &str = "built-in emoji-v1";

/// Captions that the built-in model draws: the default prompts of comparisons and figures, which use them in turn.
pub const PROMPTS: &[&str] = &[
    "red apple, fluent 3d style",
    "snowman, fluent flat style",
    "pizza, fluent 3d style",
    "octopus, fluent flat style",
    "grinning face, fluent 3d style",
    "castle, fluent flat style",
    "sunflower, fluent 3d style",
    "guitar, fluent flat style",
    "whale, fluent 3d style",
    "balloon, fluent flat style",
    "cat, fluent 3d style",
    "birthday cake, fluent flat style",
];

/// The files of the built-in model. It draws emoji of 128 x 128 pixels from captions.
///
/// The cargo feature `built-in`, on by default, adds the files (38 MB) to the program.
#[cfg(feature = "built-in")]
#[must_use]
pub fn built_in_model() -> ModelSource {
    static FILES: LazyLock<Vec<EmbeddedFile>> = LazyLock::new(|| {
        let embedded = |file: &hawk_built_in::File| EmbeddedFile { name: file.name, bytes: file.bytes };
        hawk_built_in::FILES.iter().map(embedded).collect()
    });
    ModelSource::Embedded(&FILES)
}
