//! Speculative sampling with several candidates (Hawk, section "Verification"; SpecInfer, algorithm
//! 2):
//!
//! ```text
//! p <- target law at the node
//! for (x, q) in candidates:   if u < min(1, p(x)/q(x)): accept x
//!                             else p <- normalise(max(0, p - q))
//! none accepted: draw from p
//! ```
//!
//! It keeps the target's law if every q is the exact law of its candidate, given the candidates
//! before it.

use super::verdict::{Decision, Outcome, Step, Tested};
use crate::chooser::Chooser;
use crate::coupling::{normalise, take_residual};
use crate::law::{DraftLaw, LawError, LawId, Replacement, probabilities};
use crate::token::{Code, NodeId};
use crate::tree::{Candidate, TokenTree};

/// Two laws, one entry per code.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    /// The target's law, then its residual.
    pub(super) p: Vec<f64>,
    /// The draft law of the candidate under test.
    q: Vec<f64>,
}

impl Scratch {
    pub(super) fn new(codes: usize) -> Self {
        Self { p: vec![0.0; codes], q: vec![0.0; codes] }
    }

    /// Tests a node's candidates in order. `bend` changes p before a code is tested; that of the
    /// exact rule changes nothing.
    pub(super) fn decide(
        &mut self,
        Tested { tree, node, scores }: Tested<'_>,
        chooser: &mut dyn Chooser,
        bend: &dyn Fn(&mut [f64], Code),
    ) -> Result<Decision, LawError> {
        let cell = tree.open_cell_below(node);
        probabilities(scores, &mut self.p)?;
        let mut tested = 0;
        for candidate in tree.candidates(node) {
            let index = tested;
            tested += 1;
            let code = candidate.code;
            let x = code.index();
            self.set_draft_law(tree, node, index, candidate);
            if self.q[x] == 0.0 {
                return Err(LawError::ImpossibleDraft { node, candidate: index, code });
            }
            bend(&mut self.p, code);
            let probability = self.p[x] / self.q[x];
            // The chooser decides no certain outcome: a rejection of p = q would leave no residual.
            if probability >= 1.0 || (probability > 0.0 && chooser.accept(cell, index, probability)) {
                let step = Step { node, tested, accepted: Some(index) };
                return Ok(Decision { step, outcome: Outcome::Accepted(candidate.child) });
            }
            if !take_residual(&mut self.p, &self.q) {
                return Err(LawError::EmptyResidual { node, candidate: index, code });
            }
        }
        let code = chooser.draw(cell, &self.p);
        Ok(Decision { step: Step { node, tested, accepted: None }, outcome: Outcome::Drawn(code) })
    }

    /// q <- the law that the node's candidate of this index was drawn from.
    fn set_draft_law(&mut self, tree: &TokenTree, node: NodeId, index: u32, candidate: &Candidate) {
        match candidate.draft {
            DraftLaw::Deterministic => {
                self.q.fill(0.0);
                self.q[candidate.code.index()] = 1.0;
            }
            DraftLaw::Drawn { law, replacement: Replacement::With } => self.q.copy_from_slice(tree.law(law)),
            DraftLaw::Drawn { law, replacement: Replacement::Without } => {
                self.q.copy_from_slice(tree.law(law));
                for earlier in tree.candidates(node).take(index as usize).filter(|earlier| drawn_from(earlier, law)) {
                    self.q[earlier.code.index()] = 0.0;
                }
                normalise(&mut self.q);
            }
        }
    }
}

fn drawn_from(candidate: &Candidate, id: LawId) -> bool {
    matches!(candidate.draft, DraftLaw::Drawn { law, .. } if law == id)
}
