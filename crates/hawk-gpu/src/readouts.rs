//! What is read of a pass: best codes of all nodes at once, rows of logits where they are asked for.

use std::ops::Range;
use std::result::Result as StdResult;
use std::sync::Arc;

use hawk_kernels::Threads;
use hawk_nn::{Laws, NodeLaws, NodeOf, PassPlan, ReadBack, Rows};
use hawk_spec::{Code, LawError, NodeId};

use crate::memory::{Buffer, Memory, Unread};
use crate::ranking::Shortlists;

/// Nodes whose logits are read one after another. Where more are asked for, the rest follow at once:
/// a wait costs more than the bytes.
const ONE_BY_ONE: usize = 4;

/// The readouts of the last pass.
pub(crate) struct Readouts {
    pub(crate) laws: NodeLaws,
    threads: Arc<Threads>,
    shortlists: Shortlists,
    trees: Vec<Laws>,
    /// Logits, `[readouts, codes]`, as far as they were read.
    logits: Vec<f32>,
    codes: usize,
    /// Of each row, whether its logits were read.
    known: Vec<bool>,
    /// Nodes whose logits were read.
    nodes: usize,
    pub(crate) read_back: ReadBack,
}

impl Readouts {
    pub(crate) fn new(memory: &Memory, plan: &PassPlan, threads: Arc<Threads>) -> Self {
        Self {
            laws: NodeLaws::new(plan, threads.threads()),
            threads,
            shortlists: Shortlists::new(memory, plan),
            trees: Vec::new(),
            logits: vec![0.0; plan.readouts * plan.ids.len()],
            codes: plan.ids.len(),
            known: Vec::with_capacity(plan.readouts),
            nodes: 0,
            read_back: ReadBack::default(),
        }
    }

    /// Forgets the pass.
    pub(crate) fn clear(&mut self) {
        self.laws.clear();
        self.shortlists.clear();
        self.known.clear();
        self.nodes = 0;
    }

    /// Takes the nodes of a pass that is under way. The short lists of the trees whose best codes are read are to be
    /// read and [taken](Self::take).
    pub(crate) fn begin<'a>(
        &mut self,
        memory: &Memory,
        logits: &Buffer,
        trees: &[Laws],
        rows: impl Iterator<Item = &'a Rows>,
    ) -> Option<Unread> {
        // One node after another is ranked here, where the device has not.
        self.trees.clear();
        self.trees.extend(trees.iter().map(|tree| Laws { best: 0, ..*tree }));
        self.laws.begin(&self.trees, rows);
        self.known.resize(self.laws.rows(), false);
        self.shortlists.run(memory, logits, &self.laws, trees)
    }

    /// Takes the short lists of the pass.
    pub(crate) fn take(&mut self, lists: &[u8]) {
        self.shortlists.take(lists);
        self.read_back.bytes += lists.len() as u64;
        self.read_back.listed += self.shortlists.nodes() as u64;
    }

    /// Reads the logits of a node.
    fn fetch(&mut self, memory: &Memory, logits: &Buffer, at: NodeOf) -> StdResult<(), LawError> {
        let Some(law) = self.laws.law(at) else { return Ok(()) };
        let rows = [Some(law.cond), law.uncond.filter(|row| *row != law.cond)];
        if rows.iter().flatten().all(|&row| self.known[row]) {
            return Ok(());
        }
        self.nodes += 1;
        let unread =
            |reason: hawk_files::Error| LawError::Unread { node: NodeId(at.node as u32), reason: reason.to_string() };
        let wanted = |row: &usize| !self.known[*row];
        let rows: Vec<usize> = match self.nodes {
            ..=ONE_BY_ONE => rows.into_iter().flatten().filter(wanted).collect(),
            _ => (0..self.known.len()).filter(wanted).collect(),
        };
        let words = |row: usize| row * self.codes..(row + 1) * self.codes;
        let parts: Vec<Range<usize>> = rows.iter().map(|&row| words(row)).collect();
        let read = memory.read_parts(logits, parts.iter().cloned()).map_err(unread)?;
        for ((row, part), bytes) in rows.into_iter().zip(parts).zip(read) {
            self.logits[part].copy_from_slice(bytemuck::cast_slice(&bytes));
            self.known[row] = true;
            self.read_back.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// The scores at a node ([`Passes::scores`](hawk_nn::Passes::scores)).
    pub(crate) fn scores(&mut self, memory: &Memory, logits: &Buffer, at: NodeOf) -> StdResult<&[f32], LawError> {
        self.fetch(memory, logits, at)?;
        self.laws.scores(&mut self.logits, at)
    }

    /// The best codes at a node ([`Passes::best`](hawk_nn::Passes::best)).
    pub(crate) fn best(
        &mut self,
        memory: &Memory,
        logits: &Buffer,
        at: NodeOf,
        count: usize,
    ) -> StdResult<&[(f64, Code)], LawError> {
        if self.shortlists.rank(at, count) {
            return Ok(self.shortlists.ranked());
        }
        self.fetch(memory, logits, at)?;
        self.read_back.ranked_on_host += 1;
        self.laws.best(&self.threads, &mut self.logits, at, count)
    }
}
