//! Decoder, rule and tree of a request.

use hawk_nn::{Error, Result};
use hawk_spec::{Rule, TreeShape};

use super::decoder::Decoder;
use super::rule::AnyRule;
use super::tree::{MAX_NODES, Tree};

/// A way of decoding cells: decoder, rule and tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decoding {
    decoder: Decoder,
    rule: AnyRule,
    tree: Tree,
}

impl Decoding {
    /// Decoding by this decoder and rule, with trees up to this bound.
    ///
    /// # Errors
    /// The tree has no node, more than [`MAX_NODES`], or more than 1 under plain decoding; or it is
    /// [`Tree::Auto`] under a rule whose images depend on the trees.
    pub fn new(decoder: Decoder, rule: impl Into<AnyRule>, tree: impl Into<Tree>) -> Result<Self> {
        let (rule, tree) = (rule.into(), tree.into());
        if tree == Tree::Auto && rule != AnyRule::Exact(Rule::Replay) {
            return Err(Error::input("the tree size cannot be autotuned: under this rule the result depends on it")
                .at("tree")
                .expected(format!("a number of nodes or a shape for the rule {rule}"))
                .got(tree));
        }
        let most = if decoder == Decoder::AR { 1 } else { MAX_NODES };
        let shape = tree.shape();
        if (1..=most).contains(&shape.nodes()) {
            return Ok(Self { decoder, rule, tree });
        }
        let expected = match most {
            1 => format!("1 node for the decoder {decoder}, which proposes nothing"),
            _ => format!("1 to {most} nodes for the decoder {decoder}, root included"),
        };
        let got = match tree.to_string() {
            number if number == shape.nodes().to_string() => number,
            other => format!("{other}, which has up to {}", shape.nodes()),
        };
        Err(Error::input("invalid tree size").at("tree").expected(expected).got(got))
    }

    /// The decoder with its default tree.
    #[must_use]
    pub fn with_defaults(decoder: Decoder, rule: impl Into<AnyRule>) -> Self {
        let rule = rule.into();
        Self { decoder, rule, tree: decoder.default_tree(rule) }
    }

    /// The decoder.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        self.decoder
    }

    /// The rule that tests the drafts.
    #[must_use]
    pub fn rule(&self) -> AnyRule {
        self.rule
    }

    /// The bound of the trees, as requested.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// Largest shape of the trees.
    #[must_use]
    pub fn shape(&self) -> TreeShape {
        self.tree.shape()
    }
}
