//! The largest size and width of token trees.

use std::{fmt, str};

/// Levels that a shape can name.
const LEVELS: usize = 8;

/// The bound of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TreeShape {
    /// Most nodes, root included; the tree grows best first.
    Budget(usize),
    /// Most candidates below every node, level by level; the tree is no deeper.
    Widths(Widths),
}

/// Candidates per level: 1 to 8 levels of 1 to 255 candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Widths {
    /// Zero after the last level.
    levels: [u8; LEVELS],
}

impl Widths {
    /// Candidates below a node of this depth.
    fn at(self, depth: usize) -> usize {
        self.levels.get(depth).copied().unwrap_or(0).into()
    }
}

impl TreeShape {
    /// Most nodes of a tree of this shape, root included.
    #[must_use]
    pub fn nodes(self) -> usize {
        match self {
            TreeShape::Budget(nodes) => nodes,
            TreeShape::Widths(widths) => {
                let mut level: usize = 1;
                let below = widths.levels.iter().map_while(|&width| (width > 0).then_some(usize::from(width)));
                1 + below.fold(0_usize, |sum, width| {
                    level = level.saturating_mul(width);
                    sum.saturating_add(level)
                })
            }
        }
    }

    /// Most candidates below a node of this depth.
    #[must_use]
    pub fn width(self, depth: usize) -> usize {
        match self {
            TreeShape::Budget(_) => usize::MAX,
            TreeShape::Widths(widths) => widths.at(depth),
        }
    }
}

impl fmt::Display for TreeShape {
    /// `7`, or `4x2x1`; a single width is `4x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeShape::Budget(nodes) => f.pad(&nodes.to_string()),
            TreeShape::Widths(widths) => {
                let levels = widths.levels.iter().take_while(|&&width| width > 0);
                let names: Vec<String> = levels.map(u8::to_string).collect();
                let end = if names.len() == 1 { "x" } else { "" };
                f.pad(&(names.join("x") + end))
            }
        }
    }
}

impl str::FromStr for TreeShape {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let refused = || ShapeError { given: text.to_owned() };
        if !text.contains('x') {
            return text.parse().ok().filter(|&nodes| nodes > 0).map(TreeShape::Budget).ok_or_else(refused);
        }
        let mut levels = [0; LEVELS];
        let names = text.strip_suffix('x').unwrap_or(text).split('x');
        for (depth, name) in names.enumerate() {
            let level = levels.get_mut(depth).ok_or_else(refused)?;
            *level = name.parse().ok().filter(|&width| width > 0).ok_or_else(refused)?;
        }
        Ok(TreeShape::Widths(Widths { levels }))
    }
}

/// A text is no shape of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tree must be a number of nodes such as 7, or candidates per level such as 4x2x1 (up to 8 levels of 1 to 255), got {given:?}"
)]
pub struct ShapeError {
    /// The shape as given.
    pub given: String,
}
