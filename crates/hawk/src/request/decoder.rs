//! A decoder: the kind of drafter that proposes cells, by name.

use std::fmt;
use std::hash::{Hash, Hasher};

use hawk_spec::{Rule, TreeShape};

use super::rule::AnyRule;
use super::tree::Tree;
use crate::drafter::contract::{DefaultTree, DrafterKind, Heads};

/// What proposes the cells after the anchor: plain decoding, or one of the drafters.
///
/// The built-in ones are constants (`Decoder::AR`, `Decoder::HAWK`, ...), each defined in its
/// drafter's file; [`Decoder::custom`] makes one of a drafter of your own.
#[derive(Clone, Copy)]
pub struct Decoder(&'static DrafterKind);

impl Decoder {
    /// A decoder of a drafter that is not built in. Its name must differ from the built-in ones.
    #[must_use]
    pub const fn custom(kind: &'static DrafterKind) -> Self {
        Self(kind)
    }

    /// Its name in code, files and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// One sentence about it.
    #[must_use]
    pub fn help(self) -> &'static str {
        self.0.help
    }

    /// Whether it needs draft heads.
    #[must_use]
    pub fn needs_heads(self) -> bool {
        self.0.heads == Heads::Required
    }

    /// What it proposes from, and how it drafts.
    #[must_use]
    pub fn kind(self) -> &'static DrafterKind {
        self.0
    }

    /// The tree where none is asked for. Its size is tuned at run time only under `replay`, where
    /// that cannot change the image.
    #[must_use]
    pub fn default_tree(self, rule: impl Into<AnyRule>) -> Tree {
        match (self.0.tree, rule.into()) {
            (DefaultTree::Nodes(nodes), _) => TreeShape::Budget(nodes).into(),
            (DefaultTree::Auto { .. }, AnyRule::Exact(Rule::Replay)) => Tree::Auto,
            (DefaultTree::Auto { otherwise }, _) => TreeShape::Budget(otherwise).into(),
        }
    }
}

impl PartialEq for Decoder {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Decoder {}

impl Hash for Decoder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoder").field(&self.name()).finish()
    }
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
