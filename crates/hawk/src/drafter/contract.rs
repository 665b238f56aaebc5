//! The contract that every drafter fulfils.

use hawk_nn::{Arrangement, HeadsConfig, Result};
use hawk_spec::{ImageIndex, Pipeline, Sampling, Seed, TokenTree, TreeError, TreeShape};

use super::context::{HeadAsks, Seen, View};
use super::mode::DraftMode;

/// A kind of drafter: what users and the engine know of it before one is made.
pub struct DrafterKind {
    /// Name in code, files and arguments.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub help: &'static str,
    /// The tree where none is asked for.
    pub tree: DefaultTree,
    /// Whether it needs draft heads.
    pub heads: Heads,
    /// What it can draft.
    pub media: Media,
    /// Makes a drafter for one slot.
    pub make: fn(&Setup<'_>) -> Result<Box<dyn Drafter>>,
}

/// The tree of a decoder where none is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultTree {
    /// So many nodes, root included.
    Nodes(usize),
    /// Tuned at run time; where the rule forbids that, so many nodes.
    Auto {
        /// Nodes, root included.
        otherwise: usize,
    },
}

/// Whether a drafter needs draft heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heads {
    /// It needs none.
    Unused,
    /// It needs them.
    Required,
}

/// What a drafter can draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Images only: it looks at rows and columns.
    Images,
    /// Images and text.
    Any,
}

/// What a drafter is made for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// How cells stand to each other: a grid, or a line of text.
    pub arrangement: Arrangement,
    /// V, number of codes.
    pub codes: usize,
    /// The draft heads at hand.
    pub heads: Option<&'a HeadsConfig>,
    /// Name of the decoder, for messages.
    pub decoder: &'static str,
    /// Largest shape of a tree.
    pub shape: TreeShape,
    /// How candidates are made of a law under the rule.
    pub mode: DraftMode,
    /// Temperature, top-k and top-p of the target. Guidance is 1: a draft law has it in already.
    pub sampling: Sampling,
    /// The order of the sampling stages.
    pub pipeline: Pipeline,
}

/// Memory that a drafter needs in the tree and in the pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Draft laws in a tree.
    pub laws: usize,
    /// Rows of draft heads asked in a step.
    pub head_rows: usize,
    /// Best codes under noise, at every node of the pass.
    pub best: usize,
}

/// Proposes cells. One drafter belongs to one slot; its memory is allocated when it is made.
pub trait Drafter: Send {
    /// What must have room for it.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Bytes of its own memory.
    fn bytes(&self) -> usize {
        0
    }

    /// Begins an image or a text.
    fn start(&mut self, _seed: Seed, _image: ImageIndex) {}

    /// Adds candidates to a tree that has only its root. A full tree and the end of the grid are no
    /// errors of the drafter: it returns them.
    ///
    /// # Errors
    /// [`TreeError::Full`] and [`TreeError::TooDeep`] end proposing; any other one fails the slot.
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError>;

    /// Asks draft heads about nodes of the pass that has just been verified. Heads of all slots run
    /// in one product.
    ///
    /// # Errors
    /// Fails the slot.
    fn ask(&mut self, _seen: &mut Seen<'_>, _heads: &mut HeadAsks<'_>) -> Result<()> {
        Ok(())
    }

    /// Learns from a pass: tree, verdict, laws and hidden states at all its nodes, and what the
    /// asked heads say.
    ///
    /// # Errors
    /// Fails the slot.
    fn observe(&mut self, _seen: &mut Seen<'_>) -> Result<()> {
        Ok(())
    }
}
