//! The best codes of the nodes of a pass: short lists from the device, decided on the host.
//!
//! A device has no f64, and may round f32 in its own way. So it lists, for every node, a few codes
//! more than are asked for, and the host ranks them by the definition, in f64, from the logits of
//! these codes. What is left out is below the last listed value by more than all errors together.
//! Where a list does not decide, the caller reads the node's logits and ranks them itself.

mod decide;
#[cfg(test)]
mod sloppy_tests;
#[cfg(all(test, feature = "wgpu"))]
mod tests;

use std::ops::Range;

use hawk_nn::{Laws, NodeLaw, NodeLaws, NodeOf, PassPlan, Ranking, Walked};
use hawk_spec::{Code, Pipeline, Warper};

use self::decide::{Filters, Found, List, Rest};
use crate::kernels::ranking::{self as kernels, ENTRY, HALVINGS, HEADER, NODE};
use crate::kernels::reduce::UNITS;
use crate::launch::{cubes, units};
use crate::memory::{Buffer, Memory, Unread};

/// Most best codes of a node that a device lists.
const MOST: usize = 8;
/// Codes of a list beyond those that are asked for.
const SPARE: usize = 3;

/// Words of a list of so many codes, with its header.
const fn words_of(list: usize) -> usize {
    HEADER as usize + list * ENTRY as usize
}

/// A node that the device has ranked.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: NodeOf,
    law: NodeLaw,
    filters: Filters,
}

/// The short lists of a pass, and the memory in which they are made.
pub(crate) struct Shortlists {
    pipeline: Pipeline,
    codes: usize,
    dropped: Range<usize>,
    /// Nodes that there is memory for.
    most: usize,
    scores: Buffer,
    values: Buffer,
    lists: Buffer,
    asked: Vec<Asked>,
    /// `[asked][words_of(list)]`.
    read: Vec<u32>,
    /// Codes of a list, and how many of them may be asked for.
    list: usize,
    count: usize,
    warper: Warper,
    found: Vec<Found>,
    best: Vec<(f64, Code)>,
}

impl Shortlists {
    /// Words of the memory for the passes of a plan.
    pub(crate) fn words(plan: &PassPlan) -> [usize; 2] {
        [
            plan.readouts.saturating_mul(plan.ids.len().next_multiple_of(4)).saturating_mul(2),
            plan.readouts.saturating_mul(words_of(MOST + SPARE)),
        ]
    }

    pub(crate) fn new(memory: &Memory, plan: &PassPlan) -> Self {
        let codes = plan.ids.len();
        Self {
            pipeline: plan.pipeline,
            codes,
            dropped: plan.dropped.clone(),
            most: plan.readouts,
            scores: memory.empty(plan.readouts * codes.next_multiple_of(4)),
            values: memory.empty(plan.readouts * codes.next_multiple_of(4)),
            lists: memory.empty(plan.readouts * words_of(MOST + SPARE)),
            asked: Vec::with_capacity(plan.readouts),
            read: Vec::with_capacity(plan.readouts * words_of(MOST + SPARE)),
            list: 0,
            count: 0,
            warper: Warper::new(plan.pipeline, 1),
            found: Vec::with_capacity(MOST + SPARE),
            best: Vec::with_capacity(MOST),
        }
    }

    /// Forgets the pass.
    pub(crate) fn clear(&mut self) {
        self.asked.clear();
        self.read.clear();
    }

    /// Number of nodes of the pass that the device has ranked.
    pub(crate) fn nodes(&self) -> usize {
        self.asked.len()
    }

    /// Ranks the nodes of all trees whose rankings will be read, from the logits of the pass. The lists are to be read
    /// and [taken](Self::take); there are none where nothing is ranked.
    pub(crate) fn run(&mut self, memory: &Memory, logits: &Buffer, laws: &NodeLaws, trees: &[Laws]) -> Option<Unread> {
        self.ask(laws, trees);
        if self.asked.is_empty() {
            return None;
        }
        self.list = self.count + SPARE;
        let mut nodes = Vec::with_capacity(self.asked.len() * NODE as usize);
        self.asked.iter().for_each(|asked| asked.describe(&mut nodes));
        self.launch(memory, logits, &memory.upload(nodes));
        Some(Unread { buffer: self.lists.clone(), words: self.asked.len() * words_of(self.list) })
    }

    /// Takes the lists of the pass.
    pub(crate) fn take(&mut self, lists: &[u8]) {
        self.read.extend_from_slice(bytemuck::cast_slice(lists));
    }

    /// Takes the nodes of the trees whose rankings are read.
    fn ask(&mut self, laws: &NodeLaws, trees: &[Laws]) {
        self.count = 1;
        for (tree, &Laws { best, walked, .. }) in trees.iter().enumerate() {
            if best > MOST || (best == 0 && walked == Walked::Scores) {
                continue;
            }
            self.count = self.count.max(best);
            for node in 0..laws.nodes(tree).min(self.most - self.asked.len()) {
                let at = NodeOf { tree, node };
                let Some(law) = laws.law(at) else { continue };
                match Filters::of(self.pipeline, law, self.codes) {
                    // Guidance between two dropped codes is no number, which the host tells.
                    Some(filters) if self.dropped.is_empty() || filters.cfg == 1.0 => {
                        self.asked.push(Asked { at, law, filters });
                    }
                    _ => {}
                }
            }
        }
    }

    fn launch(&self, memory: &Memory, logits: &Buffer, nodes: &Buffer) {
        let (client, count, codes, list) = (&memory.client, self.asked.len(), self.codes as u32, self.list as u32);
        let any = |wanted: fn(&Filters) -> bool| self.asked.iter().any(|asked| wanted(&asked.filters));
        let (has_top_k, has_top_p) = (any(|filters| filters.top_k.is_some()), any(|filters| filters.top_p < 1.0));
        let rounds = |has: bool| if has { HALVINGS } else { 0 };
        // SAFETY: nodes name rows of logits; scores, values and lists have a row for every node.
        unsafe {
            kernels::score::launch_unchecked(
                client,
                cubes(self.codes.div_ceil(4 * UNITS as usize), count),
                units(UNITS),
                logits.arg(),
                nodes.arg(),
                self.scores.arg(),
                self.values.arg(),
                codes,
                self.dropped.start as u32,
                self.dropped.end as u32,
            );
            kernels::shortlist::launch_unchecked(
                client,
                cubes(count, 1),
                units(UNITS),
                logits.arg(),
                nodes.arg(),
                self.scores.vectors(),
                self.values.vectors(),
                self.lists.arg(),
                codes,
                list,
                rounds(has_top_k),
                rounds(has_top_p),
            );
            kernels::place::launch_unchecked(
                client,
                cubes(count, self.list),
                units(UNITS),
                logits.arg(),
                nodes.arg(),
                self.scores.vectors(),
                self.lists.arg(),
                codes,
                list,
                if has_top_k || has_top_p { codes.div_ceil(4) } else { 0 },
            );
        }
    }

    /// Ranks a node by its list. False where the device has not ranked it, or the list does not
    /// decide.
    pub(crate) fn rank(&mut self, at: NodeOf, count: usize) -> bool {
        self.decide(at, count).unwrap_or(false)
    }

    /// The best codes of the node that was ranked last, with their values, best first, ties to the
    /// lower code.
    pub(crate) fn ranked(&self) -> &[(f64, Code)] {
        &self.best
    }

    fn decide(&mut self, at: NodeOf, count: usize) -> Option<bool> {
        if count > self.count {
            return None;
        }
        let number = self.asked.iter().position(|asked| asked.at == at)?;
        let list = &self.read[number * words_of(self.list)..][..words_of(self.list)];
        let Asked { law, filters, .. } = &self.asked[number];
        self.found.clear();
        for entry in list[HEADER as usize..].chunks_exact(ENTRY as usize) {
            let Some(found) = Found::read(entry, law, &mut self.warper)? else { break };
            self.found.push(found);
        }
        let rest = if self.found.len() < self.list { Rest::Dropped } else { Rest::Below };
        let list = List { header: &list[..HEADER as usize], found: &mut self.found, rest };
        Some(list.decide(filters, count, &mut self.best))
    }
}

impl Asked {
    /// What the kernels read of the node.
    fn describe(&self, words: &mut Vec<u32>) {
        let NodeLaw { cond, uncond, ranking, cell, .. } = self.law;
        let Filters { cfg, temperature, top_k, top_p, codes } = self.filters;
        let noise = match ranking {
            Ranking::Noise(noise, purpose) => {
                let seed = noise.seed.0;
                [1, seed as u32, (seed >> 32) as u32, cell.0, noise.image.0, purpose as u32]
            }
            Ranking::Score => [0; 6],
        };
        let mut node = [0_u32; NODE as usize];
        for (at, word) in [
            (kernels::COND, cond as u32),
            (kernels::UNCOND, uncond.unwrap_or(cond) as u32),
            (kernels::NOISY, noise[0]),
            (kernels::CFG, cfg.to_bits()),
            (kernels::TEMPERATURE, temperature.to_bits()),
            (kernels::TOP_P, (top_p as f32).to_bits()),
            (kernels::TOP_K, top_k.unwrap_or(codes) as u32),
        ] {
            node[at as usize] = word;
        }
        node[kernels::NOISE as usize..].copy_from_slice(&noise[1..]);
        words.extend(node);
    }
}
