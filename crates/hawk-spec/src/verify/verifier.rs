//! The walk through a tree by one of the rules.

use std::fmt;

use super::lossy::LossyRule;
use super::target_laws::TargetLaws;
use super::verdict::{Decision, Drawn, Next, Outcome, Tested, Verdict};
use super::{rejection, replay};
use crate::chooser::Chooser;
use crate::law::{LawError, check_length};
use crate::token::NodeId;
use crate::tree::TokenTree;

/// A rule that tests drafts. Both rules keep the target's law exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A draft is accepted if it is the token that plain AR draws with the image's noise: every
    /// decoder draws the same image as plain AR.
    Replay,
    /// Speculative sampling with several candidates: a draft is accepted with probability min(1,
    /// p/q), else the test goes on with the residual law.
    Rejection,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Rule::Replay => "replay",
            Rule::Rejection => "rejection",
        })
    }
}

/// Tests the drafts of a tree against the target's laws. After construction it allocates nothing.
#[derive(Clone, Debug)]
pub struct Verifier {
    test: Test,
    codes: usize,
    scratch: rejection::Scratch,
}

#[derive(Clone, Debug)]
enum Test {
    Exact(Rule),
    Lossy(LossyRule),
}

impl Verifier {
    /// A verifier that keeps the target's law, over `codes` codes.
    #[must_use]
    pub fn new(rule: Rule, codes: usize) -> Self {
        let scratch = match rule {
            Rule::Replay => 0,
            Rule::Rejection => codes,
        };
        Self { test: Test::Exact(rule), codes, scratch: rejection::Scratch::new(scratch) }
    }

    /// A verifier that changes the law, over `codes` codes.
    #[must_use]
    pub fn lossy(rule: LossyRule, codes: usize) -> Self {
        Self { test: Test::Lossy(rule), codes, scratch: rejection::Scratch::new(codes) }
    }

    /// Walks from the root along accepted candidates, and writes the path and the token after it.
    ///
    /// # Errors
    /// [`LawError`] of the target or the chooser. Under rejection also
    /// [`LawError::ImpossibleDraft`] and [`LawError::EmptyResidual`]. The verdict is then
    /// undefined.
    pub fn verify(
        &mut self,
        tree: &TokenTree,
        laws: &mut dyn TargetLaws,
        chooser: &mut dyn Chooser,
        verdict: &mut Verdict,
    ) -> Result<(), LawError> {
        verdict.clear();
        let mut node = NodeId::ROOT;
        loop {
            let Decision { step, outcome } = match &self.test {
                Test::Exact(Rule::Replay) => replay::decide(tree, node, laws, chooser)?,
                Test::Exact(Rule::Rejection) => {
                    let scores = checked(laws.scores(node)?, self.codes)?;
                    self.scratch.decide(Tested { tree, node, scores }, chooser, &|_, _| {})?
                }
                Test::Lossy(rule) => {
                    let scores = checked(laws.scores(node)?, self.codes)?;
                    rule.decide(&mut self.scratch, Tested { tree, node, scores }, chooser)?
                }
            };
            verdict.steps.push(step);
            match outcome {
                Outcome::Accepted(child) => {
                    verdict.path.push(child);
                    node = child;
                }
                Outcome::Drawn(code) => {
                    let drawn = if step.tested == 0 { Drawn::Bonus } else { Drawn::Recovered };
                    verdict.next = Next { code, drawn };
                    return Ok(());
                }
            }
        }
    }
}

fn checked(scores: &[f32], codes: usize) -> Result<&[f32], LawError> {
    check_length("target scores", codes, scores.len()).map(|()| scores)
}
