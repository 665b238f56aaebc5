//! What a decode did, counted.

use crate::law::Source;
use crate::tree::TokenTree;
use crate::verify::{Drawn, Verdict};

/// Buckets of [`DecodeStats::tokens_per_pass`].
const PASS_BUCKETS: usize = 66;
/// Depths that [`DecodeStats::by_source`] tells apart.
const DEPTHS: usize = 16;

/// Counts of one source at one depth, in candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Candidates in the trees.
    pub proposed: u64,
    /// Candidates that the walk came to.
    pub tested: u64,
    /// Candidates that were accepted.
    pub accepted: u64,
}

/// Counts of a decode. Cells are counted; structure tokens never are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeStats {
    /// Target passes over the prompt. They are no target passes of the acceptance length.
    pub prefill_passes: u64,
    /// Target passes over a tree.
    pub target_passes: u64,
    /// Cells committed by them: accepted, recovered and bonus.
    pub committed: u64,
    /// Cells whose guess was kept.
    pub accepted: u64,
    /// Cells drawn after a rejection.
    pub recovered: u64,
    /// Cells drawn where nothing was proposed.
    pub bonus: u64,
    /// Nodes proposed, roots excluded.
    pub nodes: u64,
    /// Passes by committed cells; the last bucket, 65, counts longer ones too.
    pub tokens_per_pass: [u64; PASS_BUCKETS],
    /// Candidates by [`Source::index`], then by depth - 1; the last depth, 16, counts deeper ones too.
    pub by_source: [[SourceTally; DEPTHS]; Source::COUNT],
}

impl Default for DecodeStats {
    fn default() -> Self {
        Self {
            prefill_passes: 0,
            target_passes: 0,
            committed: 0,
            accepted: 0,
            recovered: 0,
            bonus: 0,
            nodes: 0,
            tokens_per_pass: [0; PASS_BUCKETS],
            by_source: [[SourceTally::default(); DEPTHS]; Source::COUNT],
        }
    }
}

impl DecodeStats {
    /// Counts a pass over the prompt.
    pub fn record_prefill(&mut self) {
        self.prefill_passes += 1;
    }

    /// Counts a pass over a tree and the verdict on it.
    pub fn record(&mut self, tree: &TokenTree, verdict: &Verdict) {
        let committed = verdict.committed();
        self.target_passes += 1;
        self.committed += committed as u64;
        self.accepted += verdict.path.len() as u64;
        match verdict.next.drawn {
            Drawn::Recovered => self.recovered += 1,
            Drawn::Bonus => self.bonus += 1,
        }
        self.nodes += tree.len() as u64 - 1;
        self.tokens_per_pass[committed.min(PASS_BUCKETS - 1)] += 1;
        for node in tree.nodes() {
            let depth = tree.depth(node) as usize;
            tree.candidates(node).for_each(|candidate| self.tally(candidate.source, depth).proposed += 1);
        }
        for step in &verdict.steps {
            let depth = tree.depth(step.node) as usize;
            for (index, candidate) in (0..step.tested).zip(tree.candidates(step.node)) {
                let tally = self.tally(candidate.source, depth);
                tally.tested += 1;
                tally.accepted += u64::from(step.accepted == Some(index));
            }
        }
    }

    /// The tally of a source's candidates below a node of depth `parent_depth`.
    fn tally(&mut self, source: Source, parent_depth: usize) -> &mut SourceTally {
        &mut self.by_source[source.index()][parent_depth.min(DEPTHS - 1)]
    }

    /// The tallies that are not all zero, as (source, depth from 1, tally).
    pub fn tallies(&self) -> impl Iterator<Item = (Source, usize, SourceTally)> {
        (0..).map_while(Source::from_index).zip(&self.by_source).flat_map(|(source, depths)| {
            let tallied = (1..).zip(depths).filter(|(_, tally)| tally.proposed > 0);
            tallied.map(move |(depth, &tally)| (source, depth, tally))
        })
    }

    /// Cells committed per target pass; plain AR has 1. Zero before the first pass.
    #[must_use]
    pub fn acceptance_length(&self) -> f64 {
        if self.target_passes == 0 { 0.0 } else { self.committed as f64 / self.target_passes as f64 }
    }

    /// Adds the counts of another decode.
    pub fn merge(&mut self, other: &DecodeStats) {
        self.prefill_passes += other.prefill_passes;
        self.target_passes += other.target_passes;
        self.committed += other.committed;
        self.accepted += other.accepted;
        self.recovered += other.recovered;
        self.bonus += other.bonus;
        self.nodes += other.nodes;
        self.tokens_per_pass.iter_mut().zip(other.tokens_per_pass).for_each(|(mine, theirs)| *mine += theirs);
        for (mine, theirs) in self.by_source.as_flattened_mut().iter_mut().zip(other.by_source.as_flattened()) {
            mine.proposed += theirs.proposed;
            mine.tested += theirs.tested;
            mine.accepted += theirs.accepted;
        }
    }
}
