//! The contact sheet of what a model draws.

use std::path::Path;

use hawk::{Engine, LoadOptions, Seed};
use hawk_files::{ModelSource, Result};

use crate::pictures::canvas::Canvas;
use crate::pictures::corpus::Corpus;
use crate::pictures::entry::Kind;
use crate::pictures::sheet::{COLUMNS, contact_sheet};
use crate::run::draw::draw;

/// Rows of the sheet.
const ROWS: usize = 4;

/// Draws training captions with the model in `dir`: rows of pictures that are no scenes, then one
/// row of scenes. Returns a PNG file.
///
/// # Errors
/// The model cannot be loaded or cannot draw.
pub(crate) fn sheet(dir: &Path, corpus: &Corpus) -> Result<Vec<u8>> {
    let engine = Engine::load(ModelSource::Dir(dir.to_owned()), LoadOptions::default())?;
    let (scenes, singles): (Vec<usize>, Vec<usize>) =
        corpus.training().into_iter().partition(|&i| corpus.entries[i].kind == Kind::Scene);
    let mut rows = Vec::new();
    for row in 0..ROWS {
        let all = if row + 1 == ROWS { &scenes } else { &singles };
        let shown = all.len().min(COLUMNS);
        let index = |column: usize| all[(column * ROWS + row) * all.len() / (shown * ROWS)];
        let caption = |column: usize| &corpus.entries[index(column)].captions[0];
        let drawn = (0..shown).map(|column| draw(&engine, caption(column), engine.config().defaults, Seed(0)));
        rows.push(drawn.map(|image| Ok(Canvas(image?.pixels))).collect::<Result<Vec<_>>>()?);
    }
    contact_sheet(&rows)
}
