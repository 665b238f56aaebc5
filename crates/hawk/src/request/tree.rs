//! The bound of token trees.

use std::{fmt, str};

use hawk_spec::{ShapeError, TreeShape};

/// Most nodes of a tree, root included.
pub const MAX_NODES: usize = 128;
/// Most nodes of a tree whose size is autotuned, root included.
pub const AUTO_NODES: usize = 32;

/// The bound of the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// The same shape in every step.
    Shape(TreeShape),
    /// 1 to [`AUTO_NODES`] nodes, autotuned by measured cells per second. It needs
    /// [`Rule::Replay`](hawk_spec::Rule::Replay), where no image depends on the trees.
    Auto,
}

impl Tree {
    /// Largest shape of the trees.
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

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        if text == "auto" { Ok(Tree::Auto) } else { text.parse().map(Tree::Shape) }
    }
}
