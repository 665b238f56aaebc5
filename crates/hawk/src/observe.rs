//! What the target sees in a finished image: the input of training, and of measurements that need its law at every cell.

use std::slice;

use hawk_nn::{Error, PassLimits, Readout, Result, Stream, Workspace};
use hawk_spec::{Cell, Code, Sampling, Warper};

use crate::conditioning::{Conditioning, Prefix};
use crate::engine::Engine;

/// Rows of a pass.
const ROWS: usize = 64;

/// What predicts a cell, given the true cells before it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The cell.
    pub cell: Cell,
    /// The conditional stream's last hidden state, `[D]`: what draft heads read.
    pub hidden: &'a [f32],
    /// The target's scores `[codes]` after guidance and warping, -inf for dropped codes; their softmax is the target's law.
    pub scores: &'a [f32],
}

impl Engine {
    /// Runs a finished image through the target and shows every cell's law in raster order; the bits are those that decoding meets.
    ///
    /// # Errors
    /// Codes that do not fill the grid or are none of the model's, a prompt that is too long, logits that are no numbers, or what the
    /// observer returns.
    pub fn observe(
        &self,
        prompt: &str,
        codes: &[Code],
        sampling: &Sampling,
        observer: &mut dyn FnMut(Observed<'_>) -> Result<()>,
    ) -> Result<()> {
        let layout = &self.config().layout;
        if codes.len() != layout.grid().cells() as usize {
            return Err(Error::input("the codes do not fill the grid")
                .expected(format!("{} codes", layout.grid().cells()))
                .got(codes.len()));
        }
        if let Some(code) = codes.iter().find(|code| code.0 >= layout.codes()) {
            let expected = format!("below {}", layout.codes());
            return Err(Error::input("a code is not in the model's codebook").expected(expected).got(code));
        }
        self.pipeline().check(sampling).map_err(|e| Error::input(e.to_string()))?;
        let Conditioning { cond, uncond } = self.conditioning(prompt)?;
        let prefixes = if sampling.guided() { vec![cond, uncond] } else { vec![cond] };
        Walk::new(self, prefixes, codes, sampling)?.run(observer)
    }
}

/// An image under way through the target.
struct Walk<'a> {
    engine: &'a Engine,
    codes: &'a [Code],
    sampling: &'a Sampling,
    prefixes: Vec<Prefix>,
    /// Cond, and uncond where guided; their prefixes are committed but for the last token.
    streams: Vec<Stream>,
    workspace: Workspace,
    warper: Warper,
    scores: Vec<f32>,
}

impl<'a> Walk<'a> {
    fn new(engine: &'a Engine, prefixes: Vec<Prefix>, codes: &'a [Code], sampling: &'a Sampling) -> Result<Self> {
        let (layout, target) = (&engine.config().layout, engine.target());
        let longest = prefixes.iter().map(|prefix| prefix.tokens().len()).max().unwrap_or(0);
        let (tokens, vocabulary) = (longest + layout.sequence_len(), layout.codes() as usize);
        let mut walk = Self {
            engine,
            codes,
            sampling,
            streams: prefixes.iter().map(|prefix| target.stream(tokens).with_inputs(prefix.own().clone())).collect(),
            workspace: target.workspace(PassLimits { rows: ROWS, readouts: ROWS, tokens, vocabulary }),
            warper: Warper::new(engine.pipeline(), vocabulary),
            scores: vec![0.0; vocabulary],
            prefixes,
        };
        for (stream, prefix) in walk.streams.iter_mut().zip(&walk.prefixes) {
            for part in prefix.before_anchor().chunks(ROWS) {
                let last = stream.rows.push_chain(part.iter().copied(), None, Readout::Nothing);
                engine.forward(&mut walk.workspace, slice::from_mut(stream))?.commit(&[last]);
            }
        }
        Ok(walk)
    }

    fn run(mut self, observer: &mut dyn FnMut(Observed<'_>) -> Result<()>) -> Result<()> {
        let rows_a_cell = self.streams.len() * (1 + self.engine.config().layout.max_structure_run());
        let at_once = (ROWS / rows_a_cell).max(1);
        let cells: Vec<Cell> = (0..self.codes.len() as u32).map(Cell).collect();
        cells.chunks(at_once).try_for_each(|cells| self.pass(cells, observer))
    }

    /// One pass for the laws of some consecutive cells.
    fn pass(&mut self, cells: &[Cell], observer: &mut dyn FnMut(Observed<'_>) -> Result<()>) -> Result<()> {
        let layout = &self.engine.config().layout;
        let mut rows = Vec::with_capacity(cells.len());
        for (stream, prefix) in self.streams.iter_mut().zip(&self.prefixes) {
            let mut last = None;
            rows.clear();
            for &cell in cells {
                last = match cell.0.checked_sub(1).map(Cell) {
                    None => Some(stream.rows.push(prefix.anchor(), None, Readout::Logits)),
                    Some(before) => {
                        let token = layout.token(self.codes[before.index()]);
                        let tokens = [token].into_iter().chain(layout.after(before).iter().copied());
                        stream.rows.push_chain(tokens, last, Readout::Logits)
                    }
                };
                rows.extend(last);
            }
        }
        let staged = self.engine.forward(&mut self.workspace, &mut self.streams)?;
        for (&cell, &row) in cells.iter().zip(&rows) {
            let unread = || Error::input("the target has no law here").at(format!("cell {cell}"));
            let (cond, uncond) = (staged.logits(0, row).ok_or_else(unread)?, self.sampling.guided());
            let uncond = if uncond { staged.logits(1, row) } else { None };
            self.warper
                .warp(self.sampling, cond, uncond, &mut self.scores)
                .map_err(|e| Error::input(e.to_string()).at(format!("cell {cell}")))?;
            let hidden = staged.hidden(0, row).ok_or_else(unread)?;
            observer(Observed { cell, hidden, scores: &self.scores })?;
        }
        staged.commit(&vec![rows.last().copied(); self.prefixes.len()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use hawk_spec::{ImageIndex, Purpose, Seed, argmax_with_noise};

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
                decoding: Decoding::with_defaults(Decoder::Neighbour, Rule::Replay),
                batch: 1,
            };
            let image = &engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images[0];
            let mut drawn = Vec::new();
            let mut keep = |seen: Observed<'_>| {
                assert_eq!((seen.cell.index(), seen.hidden.len()), (drawn.len(), engine.target().config().hidden));
                let (image, purpose) = (ImageIndex(2), Purpose::Replay);
                drawn.push(argmax_with_noise(request.seed, image, seen.cell, seen.scores, purpose).unwrap());
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
