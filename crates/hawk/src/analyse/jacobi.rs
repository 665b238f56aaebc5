//! The laws that a Jacobi decoder drafts from: those of the last pass, made from drafts.

use hawk_nn::{Error, Result};
use hawk_spec::{Cell, Code, Noise, Purpose, Sampling};

use super::observe::Walk;
use crate::engine::Engine;

/// A cell whose true law a pass has found, and the law of the last pass for it.
#[derive(Clone, Copy, Debug)]
pub struct JacobiLaws<'a> {
    /// The cell.
    pub cell: Cell,
    /// Scores of the last pass, which had drafts before the cell, `[codes]`; none where no pass had reached the
    /// cell.
    pub draft: Option<&'a [f32]>,
    /// Scores from the true cells before it, `[codes]`.
    pub target: &'a [f32],
    /// Number of the pass, from 0.
    pub pass: usize,
}

/// An image that is decoded once more.
#[derive(Clone, Copy, Debug)]
pub struct JacobiRun<'a> {
    /// Its prompt.
    pub prompt: &'a str,
    /// Its codes in raster order: those that `noise` and `sampling` give.
    pub codes: &'a [Code],
    /// Its noise.
    pub noise: Noise,
    /// Guidance and warping.
    pub sampling: &'a Sampling,
    /// Drafted cells of a pass, at least 1; as many as a pass has room for.
    pub window: usize,
}

impl Engine {
    /// Decodes an image that is known already by speculative Jacobi decoding under `replay`, and calls the
    /// observer with every cell in raster order: with the law of the last pass, which drafted it, and with the
    /// target's own.
    ///
    /// A window of cells follows the committed ones. A pass runs it as a chain; each cell's next draft is the
    /// code with the largest score plus noise, as with the decoder `scd`.
    ///
    /// # Errors
    /// As [`observe`](Self::observe), or the window is empty.
    pub fn jacobi_laws(
        &self,
        run: &JacobiRun<'_>,
        observer: &mut dyn FnMut(JacobiLaws<'_>) -> Result<()>,
    ) -> Result<()> {
        let JacobiRun { prompt, codes, noise, sampling, window } = *run;
        if window == 0 {
            return Err(Error::input("the window is empty").at("window").expected("at least 1 cell").got(0));
        }
        let mut walk = Walk::open(self, prompt, codes, sampling)?;
        let window = window.min(walk.most_cells() - 1);
        // The scores of each cell in its last pass.
        let mut drafts: Vec<Option<Vec<f32>>> = vec![None; codes.len()];
        let (mut first, mut number) = (0, 0);
        while first < codes.len() {
            let end = (first + window + 1).min(codes.len());
            let cells: Vec<Cell> = (first as u32..end as u32).map(Cell).collect();
            // A cell that no pass has reached is a copy of the one before.
            for (cell, draft) in drafts.iter().enumerate().take(end).skip(first.max(1)) {
                if draft.is_none() {
                    walk.codes[cell] = walk.codes[cell - 1];
                }
            }
            let drafted = walk.codes.clone();
            let (mut right, mut next) = (0, Vec::with_capacity(cells.len()));
            walk.pass(&cells, &mut |seen| {
                let at = seen.cell.index();
                // All before it are true: so is its law.
                if right == at - first {
                    let draft = drafts[at].as_deref();
                    observer(JacobiLaws { cell: seen.cell, draft, target: seen.scores, pass: number })?;
                    if drafted[at] == codes[at] && at + 1 < end {
                        right += 1;
                    }
                } else {
                    drafts[at] = Some(seen.scores.to_vec());
                }
                let drawn = noise.at(seen.cell, Purpose::Replay).argmax(seen.scores);
                next.push(drawn.map_err(|e| Error::input(e.to_string()))?);
                Ok(right + 1)
            })?;
            walk.codes[first..end].copy_from_slice(&next);
            let known = first + right + 1;
            walk.codes[..known].copy_from_slice(&codes[..known]);
            (first, number) = (known, number + 1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use hawk_spec::{ImageIndex, Seed};

    use super::*;
    use crate::{Decoder, Decoding, LoadOptions, Request, Rule, TreeShape, built_in_model};

    #[test]
    fn laws_are_the_targets_and_passes_those_of_jacobi_decoding() {
        let engine = Engine::load(built_in_model(), LoadOptions::default()).unwrap();
        let request = Request {
            prompt: "frog, fluent flat style".to_owned(),
            seed: Seed(11),
            images: 0..1,
            sampling: engine.config().defaults,
            decoding: Decoding::new(Decoder::AR, Rule::Replay, TreeShape::Budget(1)).unwrap(),
            batch: 1,
        };
        let image = &engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images[0];
        let mut own = Vec::new();
        let mut keep = |seen: crate::Observed<'_>| {
            own.push(seen.scores.to_vec());
            Ok(())
        };
        engine.observe(&request.prompt, &image.codes, &request.sampling, &mut keep).unwrap();
        let noise = Noise { seed: request.seed, image: ImageIndex(0) };
        let run =
            JacobiRun { prompt: &request.prompt, codes: &image.codes, noise, sampling: &request.sampling, window: 16 };
        let (mut cells, mut passes, mut drafted, mut right) = (0, 0, 0, 0);
        let mut check = |laws: JacobiLaws<'_>| {
            assert_eq!(laws.cell.index(), cells, "cell after cell");
            assert!(laws.target == own[cells], "another law than the target's at {cells}");
            if let Some(draft) = laws.draft {
                drafted += 1;
                let guess = noise.at(laws.cell, Purpose::Replay).argmax(draft).unwrap();
                right += usize::from(guess == image.codes[cells]);
            }
            (cells, passes) = (cells + 1, laws.pass + 1);
            Ok(())
        };
        engine.jacobi_laws(&run, &mut check).unwrap();
        assert_eq!(cells, 256);
        // Most cells were drafted, a good part of them rightly, and every right one saved a pass.
        assert!(drafted > 200 && right > 60 && passes < 256 - right / 2, "{drafted} {right} {passes}");
        let empty = JacobiRun { window: 0, ..run };
        assert!(engine.jacobi_laws(&empty, &mut |_| Ok(())).unwrap_err().to_string().contains("at least 1"));
    }
}
