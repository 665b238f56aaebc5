//! Runs an evaluation.

use std::ops::ControlFlow;

use hawk::Engine;
use hawk_files::{FolderLock, Result};
use hawk_pictures::things::Things;

use crate::evaluate::emoji;
use crate::evaluate::figures::EvaluationFigures;
use crate::evaluate::painted::run as painted;
use crate::evaluate::settings::{CaptionSource, EvaluationProgress, EvaluationRun};
use crate::run::files;

/// Draws prompts and measures the images. Writes `figures.json`, and for each measure a PNG sheet
/// and its captions.
///
/// Returns `None` if `observer` stopped the work.
///
/// # Errors
/// There is nothing to measure, a picture cannot be read or painted, the model draws images of another
/// size, another process writes into the folder, it holds files already, or a file cannot be written.
pub fn evaluate(
    engine: &Engine,
    run: &EvaluationRun,
    observer: &mut dyn FnMut(EvaluationProgress) -> ControlFlow<()>,
) -> Result<Option<EvaluationFigures>> {
    let _lock = FolderLock::take(&run.out)?;
    files::check_holds(&run.out, &[], "a new or empty folder")?;
    let figures = match &run.captions {
        CaptionSource::Emoji(pictures) => emoji::evaluate(engine, run, pictures, observer)?,
        CaptionSource::Landscapes => painted::evaluate(engine, run, None, observer)?,
        CaptionSource::Mixture(path) => {
            let things = Things::open(path)
                .map_err(|e| e.hint("name a pack, or the folder that `hawk data emoji --out DIR` made"))?;
            painted::evaluate(engine, run, Some(&things), observer)?
        }
    };
    if let Some(figures) = &figures {
        files::write_json(&run.out.join("figures.json"), figures)?;
    }
    Ok(figures)
}
