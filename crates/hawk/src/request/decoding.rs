//! How cells are decoded: decoder, rule and tree together.

use hawk_nn::{Error, Result};
use hawk_spec::{Rule, TreeShape};

use super::decoder::Decoder;
use super::rule::AnyRule;
use super::tree::{MAX_NODES, Tree};

/// How cells are decoded: drafter, rule, tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decoding {
    decoder: Decoder,
    rule: AnyRule,
    tree: Tree,
}

impl Decoding {
    /// Decoding with trees of this shape or size.
    ///
    /// # Errors
    /// No node, or more than [`MAX_NODES`]; more than one under plain decoding; [`Tree::Auto`]
    /// under a rule whose images depend on the trees.
    pub fn new(decoder: Decoder, rule: impl Into<AnyRule>, tree: impl Into<Tree>) -> Result<Self> {
        let (rule, tree) = (rule.into(), tree.into());
        if tree == Tree::Auto && rule != AnyRule::Exact(Rule::Replay) {
            return Err(Error::input(
                "the tree size cannot be tuned at run time: under this rule the image depends on it",
            )
            .at("tree")
            .expected(format!("a number of nodes or a shape for the rule {rule}"))
            .got(tree));
        }
        let most = if decoder == Decoder::AR { 1 } else { MAX_NODES };
        let shape = tree.shape();
        if (1..=most).contains(&shape.nodes()) {
            return Ok(Self { decoder, rule, tree });
        }
        let expected = format!("1 to {most} nodes for the decoder {decoder}, root included");
        let got = format!("{shape}, which has {}", shape.nodes());
        Err(Error::input("invalid tree size").at("tree").expected(expected).got(got))
    }

    /// The decoder with its default tree.
    #[must_use]
    pub fn with_defaults(decoder: Decoder, rule: impl Into<AnyRule>) -> Self {
        let rule = rule.into();
        Self { decoder, rule, tree: decoder.default_tree(rule) }
    }

    /// The drafter.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        self.decoder
    }

    /// The rule that tests drafts.
    #[must_use]
    pub fn rule(&self) -> AnyRule {
        self.rule
    }

    /// What bounds the trees, as asked for.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// The largest shape of the trees.
    #[must_use]
    pub fn shape(&self) -> TreeShape {
        self.tree.shape()
    }
}
