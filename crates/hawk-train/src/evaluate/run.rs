//! What is evaluated, and how far it is.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::{Engine, Sampling, Seed};
use hawk_files::Result;
use hawk_pictures::things::Things;

use crate::evaluate::figures::EvaluationFigures;
use crate::evaluate::{emoji, painted};
use crate::run::files;

/// An evaluation of a model.
#[derive(Clone, Debug)]
pub struct EvaluationRun {
    /// Where the captions come from.
    pub captions: CaptionSource,
    /// Prompts for each measure, at least 1. A measure has fewer if there are fewer.
    pub prompts: usize,
    /// Guidance, temperature, top-k and top-p.
    pub sampling: Sampling,
    /// Seed of the noise.
    pub seed: Seed,
    /// Folder of the sheets and figures.
    pub out: PathBuf,
}

/// Whose captions are drawn.
#[derive(Clone, Debug)]
pub enum CaptionSource {
    /// Those of a folder of emoji, as [`make_emoji`](crate::make_emoji) makes it.
    Emoji(PathBuf),
    /// Those of landscapes, painted as `hawk data landscapes` paints them.
    Landscapes,
    /// Those of landscapes, things, scenes, and things in landscapes. The things come from a pack
    /// or from a folder of emoji.
    Mixture(PathBuf),
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvaluationProgress {
    /// Images are drawn.
    Images {
        /// Images that are drawn.
        done: usize,
        /// All images.
        of: usize,
    },
    /// All images are drawn. The rules learn from real pictures, and judge.
    Learning,
}

/// Draws prompts and measures the images. Writes `figures.json`, and for each measure a PNG sheet
/// and its captions.
///
/// Returns `None` if `observer` stopped the work.
///
/// # Errors
/// A picture cannot be read or painted, the model draws images of another size, or a file cannot be
/// written.
pub fn evaluate(
    engine: &Engine,
    run: &EvaluationRun,
    observer: &mut dyn FnMut(EvaluationProgress) -> ControlFlow<()>,
) -> Result<Option<EvaluationFigures>> {
    files::make_dir(&run.out)?;
    let figures = match &run.captions {
        CaptionSource::Emoji(pictures) => emoji::evaluate(engine, run, pictures, observer)?,
        CaptionSource::Landscapes => painted::evaluate(engine, run, None, observer)?,
        CaptionSource::Mixture(path) => {
            let things = Things::open(path).map_err(|e| {
                painted::painting(e).hint("name a pack, or the folder that `hawk data emoji --out DIR` made")
            })?;
            painted::evaluate(engine, run, Some(&things), observer)?
        }
    };
    if let Some(figures) = &figures {
        files::write_json(&run.out.join("figures.json"), figures)?;
    }
    Ok(figures)
}
