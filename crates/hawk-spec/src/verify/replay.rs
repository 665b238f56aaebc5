//! Exact replay: sampling is a pure function of seed, image, cell and law, so a draft is either the
//! sampled token or not.

use super::target_laws::TargetLaws;
use super::verdict::{Decision, Outcome, Step};
use crate::chooser::Chooser;
use crate::law::LawError;
use crate::token::NodeId;
use crate::tree::TokenTree;

pub(super) fn decide(
    tree: &TokenTree,
    node: NodeId,
    laws: &mut dyn TargetLaws,
    chooser: &mut dyn Chooser,
) -> Result<Decision, LawError> {
    let code = laws.replay(node, tree.open_cell_below(node), chooser)?;
    let mut tested = 0;
    for candidate in tree.candidates(node) {
        tested += 1;
        if candidate.code == code {
            let step = Step { node, tested, accepted: Some(tested - 1) };
            return Ok(Decision { step, outcome: Outcome::Accepted(candidate.child) });
        }
    }
    Ok(Decision { step: Step { node, tested, accepted: None }, outcome: Outcome::Drawn(code) })
}
