//! Laws and best codes of the nodes of a pass, made on this machine from the logits of the rows
//! that were read.

use std::ops::Range;
use std::result::Result as StdResult;

use hawk_kernels::Threads;
use hawk_spec::{Cell, Code, LawError, NodeId, Warper};

use crate::cpu::rankers::{Asked, Rankers};
use crate::pass::{Laws, NodeOf, PassPlan, Ranking, Shaping, StreamId};
use crate::rows::Rows;

/// How the law of a node is made and ranked, for a device that ranks codes itself.
#[derive(Clone, Copy, Debug)]
pub struct NodeLaw {
    /// Row of the conditional logits.
    pub cond: usize,
    /// Row of the unconditional logits, where the tree has them.
    pub uncond: Option<usize>,
    /// The way from logits to the law.
    pub shaping: Shaping,
    /// The ranking of codes.
    pub ranking: Ranking,
    /// The cell whose noise ranks them.
    pub cell: Cell,
}

/// The nodes of a pass, and the memory in which their laws are made. Logits are `[readouts,
/// codes]`, stream after stream, rows in order.
pub struct NodeLaws {
    /// Codes with probability 0 in every law.
    dropped: Range<usize>,
    /// Of each stream, the rows of logits.
    readouts: Vec<Range<usize>>,
    /// Of each row of logits, the cell.
    cells: Vec<Cell>,
    trees: Vec<Laws>,
    warper: Warper,
    scores: Vec<f32>,
    best: Vec<(f64, Code)>,
    rankers: Rankers,
}

impl NodeLaws {
    /// Memory for the passes of a plan, ranked by so many threads.
    #[must_use]
    pub fn new(plan: &PassPlan, threads: usize) -> Self {
        let codes = plan.ids.len();
        Self {
            dropped: plan.dropped.clone(),
            readouts: Vec::with_capacity(plan.streams),
            cells: Vec::with_capacity(plan.readouts),
            trees: Vec::new(),
            warper: Warper::new(plan.pipeline, codes),
            scores: vec![0.0; codes],
            best: Vec::with_capacity(Rankers::MOST),
            rankers: Rankers::new(threads, plan.pipeline, codes, plan.readouts),
        }
    }

    /// Takes the nodes of a pass in place of the last one's. `rows` are those of all streams by number.
    pub fn begin<'a>(&mut self, trees: &[Laws], rows: impl Iterator<Item = &'a Rows>) {
        self.clear();
        self.trees.extend_from_slice(trees);
        for rows in rows {
            let first = self.cells.len();
            self.cells.extend_from_slice(rows.read_cells());
            self.readouts.push(first..self.cells.len());
        }
    }

    /// Forgets the pass.
    pub fn clear(&mut self) {
        self.trees.clear();
        self.readouts.clear();
        self.cells.clear();
        self.rankers.clear();
    }

    /// Number of rows of logits of the pass.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.cells.len()
    }

    /// The row of logits of a node in the conditional stream; none where there is no such node.
    #[must_use]
    pub fn row(&self, at: NodeOf) -> Option<usize> {
        self.row_of(self.trees.get(at.tree)?.cond, at.node)
    }

    /// Number of nodes of a tree.
    #[must_use]
    pub fn nodes(&self, tree: usize) -> usize {
        self.trees.get(tree).and_then(|tree| self.readouts.get(tree.cond.0)).map_or(0, Range::len)
    }

    /// How the law of a node is made; none where there is no such node.
    #[must_use]
    pub fn law(&self, at: NodeOf) -> Option<NodeLaw> {
        let (cond, uncond) = self.rows_of(at).ok()?;
        let Laws { shaping, ranking, .. } = self.trees[at.tree];
        Some(NodeLaw { cond, uncond, shaping, ranking, cell: self.cells[cond] })
    }

    fn row_of(&self, stream: StreamId, node: usize) -> Option<usize> {
        let rows = self.readouts.get(stream.0)?;
        (node < rows.len()).then_some(rows.start + node)
    }

    /// The rows of a node's logits.
    fn rows_of(&self, at: NodeOf) -> StdResult<(usize, Option<usize>), LawError> {
        let no_law = LawError::NoLaw { node: NodeId(at.node as u32) };
        let tree = self.trees.get(at.tree).ok_or(no_law.clone())?;
        let cond = self.row_of(tree.cond, at.node).ok_or(no_law.clone())?;
        let uncond = match tree.uncond {
            Some(stream) => Some(self.row_of(stream, at.node).ok_or(no_law)?),
            None => None,
        };
        Ok((cond, uncond))
    }

    /// Gives the dropped codes of a node the logit -inf.
    fn drop_codes(&mut self, logits: &mut [f32], at: NodeOf) -> StdResult<(), LawError> {
        if !self.dropped.is_empty() {
            let (cond, uncond) = self.rows_of(at)?;
            for row in [Some(cond), uncond].into_iter().flatten() {
                logits[row * self.scores.len()..][self.dropped.clone()].fill(f32::NEG_INFINITY);
            }
        }
        Ok(())
    }

    /// The scores at a node, one per code, -inf for dropped codes.
    ///
    /// # Errors
    /// The logits make no law, or the pass has no such node.
    pub fn scores(&mut self, logits: &mut [f32], at: NodeOf) -> StdResult<&[f32], LawError> {
        let (cond, uncond) = self.rows_of(at)?;
        self.drop_codes(logits, at)?;
        let codes = self.scores.len();
        let row = |row: usize| &logits[row * codes..][..codes];
        match self.trees[at.tree].shaping {
            Shaping::Logits => self.scores.copy_from_slice(row(cond)),
            Shaping::Sampling(sampling) => {
                self.warper.warp(&sampling, row(cond), uncond.map(row), &mut self.scores)?;
            }
        }
        Ok(&self.scores)
    }

    /// The best codes at a node with their values, best first, ties to the lower code.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn best(
        &mut self,
        threads: &Threads,
        logits: &mut [f32],
        at: NodeOf,
        count: usize,
    ) -> StdResult<&[(f64, Code)], LawError> {
        if self.rank_fast(threads, logits, at, count)? {
            return Ok(&self.best);
        }
        self.scores(logits, at)?;
        let tree = self.trees[at.tree];
        let cell = self.cells[self.rows_of(at)?.0];
        match tree.ranking {
            Ranking::Noise(noise, purpose) if count == 1 => {
                let code = noise.at(cell, purpose).argmax(&self.scores)?;
                let value = f64::from(self.scores[code.index()]) + noise.at(cell, purpose).gumbel(code);
                self.best.clear();
                self.best.push((value, code));
            }
            Ranking::Noise(noise, purpose) => {
                noise.at(cell, purpose).rank(&self.scores, count, &mut self.best);
            }
            Ranking::Score => rank(&self.scores, count, &mut self.best)?,
        }
        Ok(&self.best)
    }

    /// What a ranker needs to know of a node; none where the tree is not ranked by law and noise.
    fn ask(&self, at: NodeOf, count: usize) -> Option<Asked> {
        let tree = self.trees.get(at.tree)?;
        let (Shaping::Sampling(sampling), Ranking::Noise(noise, purpose)) = (tree.shaping, tree.ranking) else {
            return None;
        };
        let (cond, uncond) = self.rows_of(at).ok()?;
        Some(Asked { at, cond, uncond, sampling, noise: noise.at(self.cells[cond], purpose), count })
    }

    /// Ranks all nodes of the trees whose drafters read them all, in one parallel region.
    fn rank_all(&mut self, threads: &Threads, logits: &mut [f32]) -> StdResult<(), LawError> {
        for tree in 0..self.trees.len() {
            let Laws { best, .. } = self.trees[tree];
            if !(1..=Rankers::MOST).contains(&best) {
                continue;
            }
            for node in 0..self.nodes(tree) {
                let at = NodeOf { tree, node };
                self.drop_codes(logits, at)?;
                if let Some(asked) = self.ask(at, best) {
                    self.rankers.ask(asked);
                }
            }
        }
        if !self.rankers.is_empty() {
            self.rankers.run(threads, logits, self.scores.len());
        }
        Ok(())
    }

    /// Writes the best codes of a node to `best` without its scores. False where they are needed.
    fn rank_fast(
        &mut self,
        threads: &Threads,
        logits: &mut [f32],
        at: NodeOf,
        count: usize,
    ) -> StdResult<bool, LawError> {
        if self.rankers.is_empty() && self.trees.get(at.tree).is_some_and(|tree| tree.best > 0) {
            self.rank_all(threads, logits)?;
        }
        if let Some(known) = self.rankers.find(at, count, &mut self.best) {
            return Ok(known);
        }
        self.drop_codes(logits, at)?;
        let Some(asked) = self.ask(at, count).filter(|asked| asked.count > 0) else { return Ok(false) };
        Ok(self.rankers.rank(&asked, logits, self.scores.len(), &mut self.best))
    }
}

/// The codes of the highest scores, best first, ties to the lower code.
fn rank(scores: &[f32], count: usize, best: &mut Vec<(f64, Code)>) -> StdResult<(), LawError> {
    best.clear();
    for (code, &value) in (0..).map(Code).zip(scores) {
        if value.is_nan() || value == f32::INFINITY {
            return Err(LawError::NotALogit { code, value });
        }
        let value = f64::from(value);
        let place = best.partition_point(|&(better, _)| better >= value);
        if place < count && value > f64::NEG_INFINITY {
            best.truncate(count - 1);
            best.insert(place, (value, code));
        }
    }
    Ok(())
}
