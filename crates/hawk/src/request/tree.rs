//! What bounds a token tree, and the whole of what decides how cells are decoded.

use std::{fmt, str};

use hawk_nn::{Error, Result};
use hawk_spec::{Rule, ShapeError, TreeShape};

use super::decoder::Decoder;
use super::rule::AnyRule;

/// Most nodes of a tree, root included.
pub const MAX_NODES: usize = 128;
/// Most nodes of a tree whose size is tuned at run time.
pub const AUTO_NODES: usize = 16;

/// What bounds the size of the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// The same shape in every step.
    Shape(TreeShape),
    /// Tuned at run time by measured cells per second, 1 to [`AUTO_NODES`] nodes. Only under [`Rule::Replay`], where no image depends on it.
    Auto,
}

impl Tree {
    /// The largest shape that its trees can have.
    #[must_use]
    pub fn shape(self) -> TreeShape {
        match self {
            Tree::Shape(shape) => shape,
            Tree::Auto => TreeShape::Budget(AUTO_NODES),
        }
    }
}

impl From<TreeShape> for Tree {
    fn from(shape: TreeShape) -> Self {
        Tree::Shape(shape)
    }
}

impl fmt::Display for Tree {
    /// `auto`, or the shape: `7`, `4x2x1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Shape(shape) => shape.fmt(f),
            Tree::Auto => f.pad("auto"),
        }
    }
}

impl str::FromStr for Tree {
    type Err = ShapeError;

    fn from_str(text: &str) -> std::result::Result<Self, ShapeError> {
        if text == "auto" { Ok(Tree::Auto) } else { text.parse().map(Tree::Shape) }
    }
}

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
    /// No node, or more than [`MAX_NODES`]; more than one under plain decoding; [`Tree::Auto`] under a rule whose images depend on the trees.
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

