//! The built-in model.

#[cfg(feature = "built-in")]
use std::sync::LazyLock;

#[cfg(feature = "built-in")]
use hawk_nn::{EmbeddedFile, ModelSource};

/// The name of the built-in model in records.
pub const BUILT_IN: &str = "built-in scenes-v2";

/// Captions that the built-in model draws: the default prompts of comparisons and figures, which use them in turn.
pub const PROMPTS: [&str; 12] = [
    "a mountain lake at sunset",
    "a red apple, fluent 3d style",
    "a snowy pine forest at night with aurora, paper-cut style",
    "a fox on summer rolling hills, fluent flat style",
    "a beach by day under a cloudy sky with a sailing boat, painterly style",
    "an octopus, fluent flat style",
    "desert dunes at dawn, paper-cut style",
    "a castle on a green background, noto style",
    "a city skyline at dusk, painterly style",
    "a sunflower, fluent 3d style",
    "an autumn forest of leafy trees in fog",
    "three cupcakes, fluent 3d style",
];

/// The files of the built-in model. It draws landscapes, things, and things in landscapes,
/// 128 x 128 pixels, from captions.
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
