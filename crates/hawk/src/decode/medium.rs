//! What differs between images and text in the decoding loop.

use hawk_nn::Arrangement;
use hawk_spec::{Cell, Code, Drawn, Layout, Next, Purpose, TokenId, TokenTree, Verdict};

/// Layout, noise and ends of what is decoded.
pub(crate) trait Medium: Send + Sync {
    /// How cells stand to each other.
    fn arrangement(&self) -> Arrangement;

    /// The vocabulary id of a code.
    fn token(&self, code: Code) -> TokenId;

    /// The structure tokens after a cell.
    fn after(&self, cell: Cell) -> &[TokenId];

    /// Most tokens that a cell takes in the sequence, structure tokens included.
    fn tokens_per_cell(&self) -> usize;

    /// The purpose of the noise of the target's draws.
    fn purpose(&self) -> Purpose;

    /// Shortens a verdict whose path runs past an end. Nothing is committed behind an end.
    fn end_verdict(&self, tree: &TokenTree, verdict: &mut Verdict);

    /// Whether nothing can follow this code.
    fn ends(&self, code: Code) -> bool;
}

/// An image: cells on a grid in raster order, a fixed number of them.
pub(crate) struct ImageMedium(pub(crate) Layout);

impl Medium for ImageMedium {
    fn arrangement(&self) -> Arrangement {
        self.0.grid().into()
    }

    fn token(&self, code: Code) -> TokenId {
        self.0.token(code)
    }

    fn after(&self, cell: Cell) -> &[TokenId] {
        self.0.after(cell)
    }

    fn tokens_per_cell(&self) -> usize {
        1 + self.0.max_structure_run()
    }

    fn purpose(&self) -> Purpose {
        Purpose::Replay
    }

    fn end_verdict(&self, _: &TokenTree, _: &mut Verdict) {}

    fn ends(&self, _: Code) -> bool {
        false
    }
}

/// A text: tokens on a line, ended by any of some tokens. A cell is a position after the prompt, a
/// code a vocabulary id.
pub(crate) struct TextMedium {
    /// Tokens that end a text.
    pub(crate) ends: Vec<TokenId>,
}

impl Medium for TextMedium {
    fn arrangement(&self) -> Arrangement {
        Arrangement::Line
    }

    fn token(&self, code: Code) -> TokenId {
        TokenId(code.0)
    }

    fn after(&self, _: Cell) -> &[TokenId] {
        &[]
    }

    fn tokens_per_cell(&self) -> usize {
        1
    }

    fn purpose(&self) -> Purpose {
        Purpose::Text
    }

    fn end_verdict(&self, tree: &TokenTree, verdict: &mut Verdict) {
        let ends = |node| tree.code(node).filter(|&code| self.ends(code));
        if let Some((at, code)) = verdict.path.iter().enumerate().find_map(|(at, &node)| Some((at, ends(node)?))) {
            // The end counts as the step's last token, not as an accepted draft.
            verdict.next = Next { code, drawn: Drawn::Bonus };
            verdict.path.truncate(at);
            verdict.steps.truncate(at + 1);
            if let Some(step) = verdict.steps.last_mut() {
                step.accepted = None;
            }
        }
    }

    fn ends(&self, code: Code) -> bool {
        self.ends.contains(&TokenId(code.0))
    }
}
