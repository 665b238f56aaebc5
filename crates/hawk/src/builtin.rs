//! The built-in model.

#[cfg(feature = "built-in")]
use std::sync::LazyLock;

#[cfg(feature = "built-in")]
use hawk_nn::{EmbeddedFile, ModelSource};

/// The name of the built-in model in records.
pub const BUILT_IN: &str = "built-in emoji-v1";

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
