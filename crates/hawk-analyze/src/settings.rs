//! The model of an analysis, in words and as an identity.

use hawk::{Engine, RecordedSampling, Result};
use serde::Serialize;

use crate::images::ImageSet;

/// What tells a loaded model from another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Model {
    digest: String,
    heads: String,
    precision: String,
    size: [u32; 2],
}

impl Model {
    /// # Errors
    /// A file of the model cannot be read.
    pub(crate) fn of(engine: &Engine) -> Result<Self> {
        let size = engine.config().image_size;
        Ok(Self {
            digest: engine.digest()?.to_owned(),
            heads: engine.heads_digest()?.to_owned(),
            precision: engine.precision().to_string(),
            size: [size.width, size.height],
        })
    }
}

/// What figures over the images of a model depend on: unfinished sums of another identity are not continued.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Identity<'a> {
    model: Model,
    prompts: &'a [String],
    seed: u64,
    images: usize,
    sampling: RecordedSampling,
}

impl<'a> Identity<'a> {
    /// # Errors
    /// A file of the model cannot be read.
    pub(crate) fn of(engine: &Engine, images: &'a ImageSet) -> Result<Self> {
        Ok(Self {
            model: Model::of(engine)?,
            prompts: &images.prompts,
            seed: images.seed.0,
            images: images.images,
            sampling: images.sampling.into(),
        })
    }
}

/// The model in words, for the settings of a figure.
///
/// # Errors
/// A file of the model cannot be read.
pub(crate) fn model_settings(engine: &Engine, name: &str) -> Result<Vec<[String; 2]>> {
    let (grid, digest) = (engine.config().layout.grid(), engine.digest()?);
    let (rows, columns, precision) = (grid.rows(), grid.cols(), engine.precision());
    let words = format!("{name}, {rows} × {columns} cells, {precision}, digest {}…", &digest[..12.min(digest.len())]);
    Ok(vec![["Model".to_owned(), words]])
}

/// A share in percent, for sentences.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
