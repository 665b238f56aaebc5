//! The laws that sources of drafts have for the cells of a finished image, beside the target's.

use hawk::{Arrangement, Cell, Code, Engine, Error, JacobiRun, Result, Sampling, joint_law};
use hawk_nn::{HeadWorkspace, Heads};
use hawk_spec::{Grid, Warper, probabilities};

use crate::images::Drawn;

/// Drafted cells of a pass of the Jacobi decoder.
pub(crate) const WINDOW: usize = 16;

/// A source of drafts for the cell after the anchor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A draft head, by its index.
    Head(usize),
    /// The joint law of all heads, as the decoder `hawk` makes it.
    Joint,
    /// The target's own law of the last pass.
    Jacobi,
    /// A copy of the cell to the left.
    Left,
    /// A copy of the cell above.
    Above,
}

/// The laws of one cell. A law has one probability per code.
pub(crate) struct CellLaws<'a> {
    pub(crate) cell: Cell,
    /// The target's law, after guidance and warping.
    pub(crate) target: &'a [f64],
    /// The target's scores.
    pub(crate) scores: &'a [f32],
    /// Logits of each head that predicts the cell.
    heads: &'a [Option<Vec<f32>>],
    jacobi: Option<&'a [f32]>,
    codes: &'a [Code],
    image: &'a ImageLaws<'a>,
}

/// The laws of an image.
pub(crate) struct ImageLaws<'a> {
    engine: &'a Engine,
    grid: Grid,
    /// The target's warping without guidance: drafts are guided already.
    warping: Sampling,
}

impl<'a> ImageLaws<'a> {
    /// # Errors
    /// The sampling is out of range, or the model is not on the CPU.
    pub(crate) fn new(engine: &'a Engine, sampling: Sampling) -> Result<Self> {
        engine.cpu()?;
        let warping = Sampling::new(1.0, sampling.temperature(), sampling.top_k(), sampling.top_p())
            .map_err(|e| Error::input(e.to_string()))?;
        Ok(Self { engine, grid: engine.config().layout.grid(), warping })
    }

    /// The sources of the model, with their names.
    pub(crate) fn sources(&self) -> Vec<(String, Source)> {
        let mut sources = Vec::new();
        if let Some(heads) = self.engine.heads() {
            let head = |(index, head): (usize, &hawk_nn::HeadConfig)| (head.offset.to_string(), Source::Head(index));
            sources.extend(heads.heads.iter().enumerate().map(head));
            if heads.heads.len() > 1 {
                sources.push(("joint law".to_owned(), Source::Joint));
            }
        }
        sources.push(("Jacobi law".to_owned(), Source::Jacobi));
        sources.push(("copy of the left".to_owned(), Source::Left));
        sources.push(("copy from above".to_owned(), Source::Above));
        sources
    }

    /// Calls the observer with the laws of every cell in raster order.
    ///
    /// # Errors
    /// The model or the observer fails.
    pub(crate) fn of(
        &self,
        image: &Drawn,
        sampling: &Sampling,
        observer: &mut dyn FnMut(&CellLaws<'_>) -> Result<()>,
    ) -> Result<()> {
        let width = self.engine.backend().config().hidden;
        let mut hidden = Vec::with_capacity(image.codes.len() * width);
        self.engine.observe(&image.prompt, &image.codes, sampling, &mut |seen| {
            hidden.extend_from_slice(seen.hidden);
            Ok(())
        })?;
        let mut asker = self.engine.cpu()?.heads().map(|heads| Asker::new(self.engine, heads)).transpose()?;
        let mut target = vec![0.0; self.engine.config().layout.codes() as usize];
        let run =
            JacobiRun { prompt: &image.prompt, codes: &image.codes, noise: image.noise, sampling, window: WINDOW };
        self.engine.jacobi_laws(&run, &mut |laws| {
            probabilities(laws.target, &mut target).map_err(|e| Error::input(e.to_string()))?;
            let heads = match &mut asker {
                Some(asker) => asker.ask(laws.cell, &hidden, self.grid)?,
                None => Vec::new(),
            };
            observer(&CellLaws {
                cell: laws.cell,
                target: &target,
                scores: laws.target,
                heads: &heads,
                jacobi: laws.draft,
                codes: &image.codes,
                image: self,
            })
        })
    }
}

impl CellLaws<'_> {
    /// The grid of the image.
    pub(crate) fn grid(&self) -> Grid {
        self.image.grid
    }

    /// Whether the source has a law for the cell.
    pub(crate) fn has(&self, source: &Source) -> bool {
        match *source {
            Source::Head(index) => self.heads.get(index).is_some_and(Option::is_some),
            Source::Joint => self.heads.iter().flatten().count() > 0,
            Source::Jacobi => self.jacobi.is_some(),
            Source::Left => self.image.grid.left(self.cell).is_some(),
            Source::Above => self.image.grid.above(self.cell).is_some(),
        }
    }

    /// The logits of a head for the cell, before warping.
    pub(crate) fn head_logits(&self, index: usize) -> Option<&[f32]> {
        self.heads.get(index)?.as_deref()
    }

    /// The scores of a source, from which drafts are drawn; none where it has no law for the cell. A copy is certain.
    ///
    /// # Errors
    /// The logits make no law.
    pub(crate) fn scores_of(&self, source: &Source) -> Result<Option<Vec<f32>>> {
        let certain = |cell: Option<Cell>| {
            cell.map(|cell| {
                let mut scores = vec![f32::NEG_INFINITY; self.target.len()];
                scores[self.codes[cell.index()].index()] = 0.0;
                scores
            })
        };
        match *source {
            Source::Head(index) => self.head_logits(index).map(|logits| self.warped(logits)).transpose(),
            Source::Joint => {
                let Some(config) = self.image.engine.heads().filter(|_| self.has(source)) else { return Ok(None) };
                let laws = config.heads.iter().zip(self.heads);
                let laws = laws.filter_map(|(head, logits)| Some((head, logits.as_deref()?)));
                let mut joint = vec![0.0; self.target.len()];
                joint_law(laws, &mut joint);
                self.warped(&joint).map(Some)
            }
            Source::Jacobi => Ok(self.jacobi.map(<[f32]>::to_vec)),
            Source::Left => Ok(certain(self.image.grid.left(self.cell))),
            Source::Above => Ok(certain(self.image.grid.above(self.cell))),
        }
    }

    /// The law of a source.
    ///
    /// # Errors
    /// The logits make no law.
    pub(crate) fn law_of(&self, source: &Source) -> Result<Option<Vec<f64>>> {
        self.scores_of(source)?.map(|scores| law(&scores)).transpose()
    }

    fn warped(&self, logits: &[f32]) -> Result<Vec<f32>> {
        let pipeline = self.image.engine.config().family.rules().pipeline();
        let mut scores = vec![0.0; logits.len()];
        Warper::new(pipeline, logits.len())
            .warp(&self.image.warping, logits, None, &mut scores)
            .map_err(|e| Error::input(e.to_string()).at(format!("a draft of cell {}", self.cell)))?;
        Ok(scores)
    }
}

/// The law of scores.
///
/// # Errors
/// They make none.
pub(crate) fn law(scores: &[f32]) -> Result<Vec<f64>> {
    let mut law = vec![0.0; scores.len()];
    probabilities(scores, &mut law).map_err(|e| Error::input(e.to_string()))?;
    Ok(law)
}

/// Total variation of two laws: half the sum of the differences.
pub(crate) fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

/// Kullback-Leibler divergence of `q` from `p`, in nats. Finite where `q` is a softmax.
pub(crate) fn divergence(p: &[f64], q: &[f64]) -> f64 {
    let term = |(&p, &q): (&f64, &f64)| if p > 0.0 { p * (p / q.max(f64::MIN_POSITIVE)).ln() } else { 0.0 };
    p.iter().zip(q).map(term).sum()
}

/// The entropy of a law in nats.
pub(crate) fn entropy(law: &[f64]) -> f64 {
    // Without the 0 a certain law would have the entropy -0.
    0.0 - law.iter().filter(|&&p| p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

/// Asks draft heads about cells.
struct Asker<'a> {
    engine: &'a Engine,
    heads: &'a Heads,
    workspace: HeadWorkspace,
}

impl<'a> Asker<'a> {
    fn new(engine: &'a Engine, heads: &'a Heads) -> Result<Self> {
        let codes = engine.config().layout.codes() as usize;
        let workspace = heads.workspace(engine.cpu()?.target(), heads.config().heads.len(), codes)?;
        Ok(Self { engine, heads, workspace })
    }

    /// The logits of each head for the cell, from the hidden states of the cells from which it looks there.
    fn ask(&mut self, cell: Cell, hidden: &[f32], grid: Grid) -> Result<Vec<Option<Vec<f32>>>> {
        let (cpu, width) = (self.engine.cpu()?, self.engine.backend().config().hidden);
        self.workspace.clear();
        let mut rows = Vec::with_capacity(self.heads.config().heads.len());
        for (index, head) in self.heads.config().heads.iter().enumerate() {
            let steps = i64::from(head.offset.down()) * i64::from(grid.cols()) + i64::from(head.offset.right());
            let from = u32::try_from(i64::from(cell.0) - steps).ok().map(Cell);
            let from = from.filter(|&from| head.offset.target(Arrangement::Grid(grid), from) == Some(cell));
            rows.push(from.map(|from| self.workspace.push(index, &hidden[from.index() * width..][..width])));
        }
        let codes = self.engine.config().layout.code_ids();
        self.heads.run(cpu.target(), cpu.threads(), &mut self.workspace, codes)?;
        Ok(rows.into_iter().map(|row| row.map(|row| self.workspace.logits(row).to_vec())).collect())
    }
}
