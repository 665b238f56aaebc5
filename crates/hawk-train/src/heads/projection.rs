//! The target's output projection, which turns hidden states into logits.

use hawk::Engine;
use hawk_files::{Checkpoint, Result};

/// Reads the target's output projection for the codes, transposed to `[D, codes]`.
///
/// # Errors
/// The target's checkpoint cannot be read.
pub(crate) fn projection(engine: &Engine, codes: usize) -> Result<Vec<f32>> {
    let checkpoint = Checkpoint::open(engine.source(), "")?;
    let table = engine.target().config().output_projection(&checkpoint)?;
    let first = engine.config().layout.code_offset() as usize;
    let width = engine.target().config().hidden;
    let (mut row, mut transposed) = (vec![0.0; width], vec![0.0; width * codes]);
    for code in 0..codes {
        table.row_into(first + code, &mut row);
        transposed[code..].iter_mut().step_by(codes).zip(&row).for_each(|(out, x)| *out = *x);
    }
    Ok(transposed)
}
