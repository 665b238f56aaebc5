//! The target's hidden states and laws at every cell of a finished image, for training and for
//! measurements.

use std::sync::Arc;

use hawk_nn::{Error, Laws, NodeOf, Passes, Ranking, Readout, Result, Shaping, Staged, StreamId, Walked};
use hawk_spec::{Cell, Code, Sampling};

use crate::decode::prefill::{PREFILL_ROWS, read_tokens};
use crate::engine::Engine;
use crate::prompt::Prefix;

/// The target's prediction of a cell from the true cells before it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The cell.
    pub cell: Cell,
    /// The conditional stream's last hidden state (after the final norm), `[D]`, the input of draft
    /// heads.
    pub hidden: &'a [f32],
    /// The target's scores after guidance and warping, `[codes]`, -inf for dropped codes. Their
    /// softmax is the target's law.
    pub scores: &'a [f32],
}

impl Engine {
    /// Runs a finished image through the target, and calls the observer with every cell in raster
    /// order. Hidden states and laws have the bits of decoding.
    ///
    /// # Errors
    /// The codes do not fill the grid, a code is not in the codebook, the prompt is too long, the
    /// logits make no law, or the observer returns an error.
    pub fn observe(
        &self,
        prompt: &str,
        codes: &[Code],
        sampling: &Sampling,
        observer: &mut dyn FnMut(Observed<'_>) -> Result<()>,
    ) -> Result<()> {
        Walk::open(self, prompt, codes, sampling)?.run(observer)
    }
}

/// A finished image on its way through the target.
pub(super) struct Walk<'a> {
    engine: &'a Engine,
    /// The codes that rows have.
    pub(super) codes: Vec<Code>,
    sampling: &'a Sampling,
    prefixes: Arc<[Prefix]>,
    /// Cond, and uncond where guided. Their prefixes are committed, except for the last token.
    streams: Vec<StreamId>,
    passes: Box<dyn Passes>,
}

impl<'a> Walk<'a> {
    /// Reads the prompt.
    ///
    /// # Errors
    /// As [`Engine::observe`], the observer's apart.
    pub(super) fn open(engine: &'a Engine, prompt: &str, codes: &[Code], sampling: &'a Sampling) -> Result<Self> {
        let layout = &engine.config().layout;
        if codes.len() != layout.grid().cells() as usize {
            return Err(Error::input("the codes do not fill the grid")
                .expected(format!("{} codes", layout.grid().cells()))
                .got(codes.len()));
        }
        if let Some(code) = codes.iter().find(|code| code.0 >= layout.codes()) {
            let expected = format!("below {}", layout.codes());
            return Err(Error::input("a code is not in the model's codebook").expected(expected).got(code));
        }
        let target = engine.model().target();
        target.pipeline.check(sampling).map_err(|e| Error::input(e.to_string()))?;
        let prefixes = engine.conditioning(prompt)?.prefixes(sampling);
        let longest = prefixes.iter().map(|prefix| prefix.tokens().len()).max().unwrap_or(0);
        let mut plan = target.plan(PREFILL_ROWS, PREFILL_ROWS, longest + layout.sequence_len());
        plan.streams = prefixes.len();
        let mut passes = target.backend.passes(plan)?;
        let mut streams = Vec::new();
        for prefix in &*prefixes {
            let stream = passes.open(prefix.own().clone())?;
            read_tokens(&mut *passes, stream, prefix.before_anchor())?;
            streams.push(stream);
        }
        Ok(Self { engine, codes: codes.to_vec(), sampling, prefixes, streams, passes })
    }

    /// Most cells of a pass.
    pub(super) fn most_cells(&self) -> usize {
        let rows_per_cell = self.streams.len() * (1 + self.engine.config().layout.max_structure_run());
        (PREFILL_ROWS / rows_per_cell).max(1)
    }

    fn run(mut self, observer: &mut dyn FnMut(Observed<'_>) -> Result<()>) -> Result<()> {
        let cells: Vec<Cell> = (0..self.codes.len() as u32).map(Cell).collect();
        cells.chunks(self.most_cells()).try_for_each(|cells| {
            self.pass(cells, &mut |seen| {
                observer(seen)?;
                Ok(cells.len())
            })
        })
    }

    /// One pass for the laws of some consecutive cells. The observer says how many of them are right: the rows of so
    /// many are committed. Its last answer counts.
    pub(super) fn pass(
        &mut self,
        cells: &[Cell],
        observer: &mut dyn FnMut(Observed<'_>) -> Result<usize>,
    ) -> Result<()> {
        let rows = self.lay_out(cells);
        let laws = Laws {
            cond: self.streams[0],
            uncond: self.streams.get(1).copied(),
            shaping: Shaping::Sampling(*self.sampling),
            ranking: Ranking::Score,
            best: 0,
            walked: Walked::Scores,
            asks_heads: false,
        };
        let mut staged = Staged::run(&mut *self.passes, &[laws])?;
        let (mut hidden, mut right) = (Vec::new(), 0);
        for (node, &cell) in cells.iter().enumerate() {
            let (at, passes) = (NodeOf { tree: 0, node }, staged.read());
            hidden.clear();
            hidden.extend_from_slice(passes.hidden(at).unwrap_or_default());
            let scores = passes.scores(at).map_err(|e| Error::from(e).at(format!("cell {cell}")))?;
            right = observer(Observed { cell, hidden: &hidden, scores })?;
        }
        let last = right.checked_sub(1).and_then(|last| rows.get(last).copied());
        staged.commit(last.into_iter().flat_map(|row| self.streams.iter().map(move |&stream| (stream, row))));
        Ok(())
    }

    /// Stages the rows whose laws are those of the cells, as a chain, the same in every stream. Returns the row of each
    /// cell's law.
    fn lay_out(&mut self, cells: &[Cell]) -> Vec<usize> {
        let layout = &self.engine.config().layout;
        let mut read = Vec::with_capacity(cells.len());
        for (&stream, prefix) in self.streams.iter().zip(&*self.prefixes) {
            let (rows, mut last) = (self.passes.rows(stream), None);
            read.clear();
            for &cell in cells {
                let readout = Readout::Law(cell);
                last = match cell.0.checked_sub(1).map(Cell) {
                    None => Some(rows.push(prefix.anchor(), None, readout)),
                    Some(before) => {
                        let token = layout.token(self.codes[before.index()]);
                        let tokens = [token].into_iter().chain(layout.after(before).iter().copied());
                        rows.push_chain(tokens, last, readout)
                    }
                };
                read.extend(last);
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use hawk_spec::{ImageIndex, Noise, Purpose, Seed};

    use super::*;
    use crate::{Decoder, Decoding, LoadOptions, Request, Rule, built_in_model};

    /// The strongest test there is: the noise of the image and the observed laws give the image.
    #[test]
    fn the_observed_laws_are_those_that_drew_the_image() {
        let engine = Engine::load(built_in_model(), LoadOptions::default()).unwrap();
        for (cfg, top_k) in [(3.0, 0), (1.0, 50)] {
            let request = Request {
                prompt: "frog, fluent flat style".to_owned(),
                seed: Seed(11),
                images: 2..3,
                sampling: Sampling::new(cfg, 0.9, top_k, 1.0).unwrap(),
                decoding: Decoding::with_defaults(Decoder::NEIGHBOUR, Rule::Replay),
                batch: 1,
            };
            let image = &engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images[0];
            let mut drawn = Vec::new();
            let mut keep = |seen: Observed<'_>| {
                assert_eq!((seen.cell.index(), seen.hidden.len()), (drawn.len(), engine.backend().config().hidden));
                let noise = Noise { seed: request.seed, image: ImageIndex(2) };
                drawn.push(noise.at(seen.cell, Purpose::Replay).argmax(seen.scores).unwrap());
                Ok(())
            };
            engine.observe(&request.prompt, &image.codes, &request.sampling, &mut keep).unwrap();
            assert_eq!(drawn, image.codes);
        }
    }

    #[test]
    fn wrong_codes_are_named_and_a_failing_observer_is_heard() {
        let engine = Engine::load(built_in_model(), LoadOptions::default()).unwrap();
        let sampling = engine.config().defaults;
        let observe = |codes: &[Code], fail: bool| {
            let mut observer = |_: Observed<'_>| if fail { Err(Error::input("enough")) } else { Ok(()) };
            engine.observe("x", codes, &sampling, &mut observer).unwrap_err().to_string()
        };
        assert!(observe(&[Code(0); 3], false).contains("256"));
        assert!(observe(&[Code(4096); 256], false).contains("4096"));
        assert!(observe(&[Code(0); 256], true).contains("enough"));
    }
}
