//! The contract of drafters.

use std::sync::Arc;

use hawk_nn::{Arrangement, HeadsConfig, Result, SpatialHeads};
use hawk_spec::{ImageIndex, Pipeline, Sampling, Seed, TokenTree, TreeError, TreeShape};

use super::context::{HeadAsks, Seen, View};
use super::mode::DraftMode;

/// A kind of drafter: its name, its demands, and how one is made.
pub struct DrafterKind {
    /// Name in code, files and arguments. It differs from the names of the other kinds.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub help: &'static str,
    /// The tree where a request names none.
    pub tree: DefaultTree,
    /// Use of draft heads.
    pub heads: Heads,
    /// Media that it can draft.
    pub media: Media,
    /// Makes a drafter for one slot.
    ///
    /// It fails where the setup does not fit, for example without draft heads.
    pub make: fn(&Setup<'_>) -> Result<Box<dyn Drafter>>,
}

/// The tree of a decoder where a request names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultTree {
    /// This number of nodes, root included: a chain of 8 candidates needs 9.
    Nodes(usize),
    /// Autotuned; where the rule forbids autotuning, a fixed number of nodes.
    Auto {
        /// Nodes, root included.
        otherwise: usize,
    },
}

/// The use that a drafter makes of draft heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heads {
    /// It uses no draft heads.
    Unused,
    /// It needs draft heads.
    Required,
    /// It uses spatial heads where the model has them.
    Spatial,
}

/// The media that a drafter can draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Images only: it reads rows and columns. The loop refuses it for text before it is made, so that
    /// its arrangement is always a grid.
    Images,
    /// Images and text.
    Any,
}

/// The inputs from which a drafter is made.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Order of the cells: a grid, or a line of text. The grid tells a drafter rows and columns.
    pub arrangement: Arrangement,
    /// V, number of codes.
    pub codes: usize,
    /// The model's draft heads.
    pub heads: Option<&'a HeadsConfig>,
    /// The model's spatial heads, where they fit its images.
    pub spatial: Option<&'a Arc<SpatialHeads>>,
    /// Name of the decoder, for messages.
    pub decoder: &'static str,
    /// Largest shape of a tree.
    pub shape: TreeShape,
    /// The way from a draft law to candidates.
    pub mode: DraftMode,
    /// Temperature, top-k and top-p of the target. The guidance scale is 1: draft laws are guided
    /// already.
    pub sampling: Sampling,
    /// The order of the sampling stages.
    pub pipeline: Pipeline,
}

/// Room that a drafter needs in the tree and in the pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Most draft laws in a tree.
    pub laws: usize,
    /// Most rows of draft heads in a step.
    pub head_rows: usize,
    /// Number of best codes under noise that it reads at every node.
    pub best: usize,
    /// Cells that it must observe before its proposals are as good as they will be. A head that
    /// looks a row ahead needs a row. Where trees are autotuned, a trial waits for it.
    pub warm_up_cells: usize,
}

/// Proposes cells.
///
/// A drafter belongs to one slot. Its memory is allocated when it is made.
pub trait Drafter: Send {
    /// Room that it needs.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Bytes of its own memory.
    fn bytes(&self) -> usize {
        0
    }

    /// Begins an image or a text with this key of the noise.
    fn start(&mut self, _seed: Seed, _image: ImageIndex) {}

    /// Adds candidates to a tree that consists of its root.
    ///
    /// The children of the root are candidates for the cell [`TokenTree::first_open`], whose number
    /// is the number of committed codes.
    ///
    /// A full tree and the end of the grid are no faults: the drafter returns their errors.
    ///
    /// # Errors
    /// [`TreeError::Full`] of nodes or candidates and [`TreeError::TooDeep`] end the proposal. Any
    /// other error fails the job.
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError>;

    /// Asks draft heads about nodes of the pass, after verification. The heads of all slots run in
    /// one product.
    ///
    /// # Errors
    /// Any error fails the job.
    fn ask(&mut self, _seen: &mut Seen<'_>, _heads: &mut HeadAsks<'_>) -> Result<()> {
        Ok(())
    }

    /// Learns from a pass: tree, verdict, laws and hidden states at its nodes, and logits of the
    /// heads that were asked.
    ///
    /// # Errors
    /// Any error fails the job.
    fn observe(&mut self, _seen: &mut Seen<'_>) -> Result<()> {
        Ok(())
    }
}
