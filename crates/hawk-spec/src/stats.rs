//! Counts of a decode.

use crate::law::Source;
use crate::tree::TokenTree;
use crate::verify::{Drawn, Verdict};

/// Buckets of [`DecodeStats::tokens_per_pass`].
const PASS_BUCKETS: usize = 66;
/// Depths of [`DecodeStats::tallies`]; the last one counts deeper candidates too.
const DEPTHS: usize = 16;
/// Number of sources that are counted without a new allocation.
const SOURCES: usize = 32;

/// Counts of one source at one depth, in candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Candidates in the trees.
    pub proposed: u64,
    /// Candidates that were tested.
    pub tested: u64,
    /// Candidates that were accepted.
    pub accepted: u64,
}

/// Counts of a decode. Structure tokens are not counted.
#[derive(Debug)]
pub struct DecodeStats {
    /// Target passes over the prompt. The acceptance length does not count them.
    pub prefill_passes: u64,
    /// Target passes over trees.
    pub target_passes: u64,
    /// Cells that these passes committed: accepted, recovered and bonus.
    pub committed: u64,
    /// Cells whose draft was accepted.
    pub accepted: u64,
    /// Cells that the target drew after a rejection.
    pub recovered: u64,
    /// Cells that the target drew where no candidate was left.
    pub bonus: u64,
    /// Nodes proposed, roots excluded.
    pub nodes: u64,
    /// Passes by their number of committed cells; the last bucket, 65, counts longer ones too.
    pub tokens_per_pass: [u64; PASS_BUCKETS],
    /// Candidates by source, then by depth - 1.
    by_source: Vec<(Source, [SourceTally; DEPTHS])>,
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
            by_source: Vec::with_capacity(SOURCES),
        }
    }
}

impl Clone for DecodeStats {
    /// A copy with the same room: it counts on without a new allocation.
    fn clone(&self) -> Self {
        let mut by_source = Vec::with_capacity(SOURCES.max(self.by_source.len()));
        by_source.extend_from_slice(&self.by_source);
        Self { by_source, ..*self }
    }
}

impl PartialEq for DecodeStats {
    /// The order of the sources is ignored.
    fn eq(&self, other: &Self) -> bool {
        let counts = |stats: &Self| {
            let DecodeStats { prefill_passes, target_passes, committed, accepted, recovered, bonus, nodes, .. } =
                *stats;
            [prefill_passes, target_passes, committed, accepted, recovered, bonus, nodes]
        };
        counts(self) == counts(other)
            && self.tokens_per_pass == other.tokens_per_pass
            && self.tallies().eq(other.tallies())
    }
}

impl Eq for DecodeStats {}

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
        let at = self.by_source.iter().position(|(known, _)| *known == source).unwrap_or_else(|| {
            self.by_source.push((source, [SourceTally::default(); DEPTHS]));
            self.by_source.len() - 1
        });
        &mut self.by_source[at].1[parent_depth.min(DEPTHS - 1)]
    }

    /// Adds counts of a source's candidates at a depth; depths begin at 1.
    pub fn add(&mut self, source: Source, depth: usize, counts: SourceTally) {
        let tally = self.tally(source, depth.saturating_sub(1));
        tally.proposed += counts.proposed;
        tally.tested += counts.tested;
        tally.accepted += counts.accepted;
    }

    /// The tallies with candidates, as (source, depth from 1, tally), by label and depth. Depth 16
    /// counts deeper candidates too.
    pub fn tallies(&self) -> impl Iterator<Item = (Source, usize, SourceTally)> {
        let tallied = |(source, depths): &(Source, [SourceTally; DEPTHS])| {
            let source = *source;
            (1..)
                .zip(*depths)
                .map(move |(depth, tally)| (source, depth, tally))
                .filter(|(.., tally)| tally.proposed > 0)
        };
        let mut all: Vec<_> = self.by_source.iter().flat_map(tallied).collect();
        all.sort_by_key(|&(source, depth, _)| (source, depth));
        all.into_iter()
    }

    /// Committed cells per target pass. Plain AR has 1; before the first pass it is 0.
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
        for &(source, depths) in &other.by_source {
            (1..).zip(depths).for_each(|(depth, tally)| self.add(source, depth, tally));
        }
    }
}
