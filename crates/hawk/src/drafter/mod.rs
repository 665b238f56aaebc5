//! What guesses the cells after the anchor. A new drafter is one new file here and one arm in [`new`].

mod cache;
mod calibration;
mod heads;
mod neighbour;
mod voices;

use hawk_nn::{Error, Heads, Result, Staged};
use hawk_spec::{Cell, Code, ImageIndex, Layout, Seed, TokenTree, TreeError, TreeLimits};

pub(crate) use heads::{Brief, HeadsDrafter};
pub(crate) use voices::Manner;

use crate::engine::Engine;
use crate::request::{Decoder, Decoding, Request};

/// What a drafter may look at: never the verifier's randomness.
pub(crate) struct View<'a> {
    /// The committed cells in raster order, or the text after the prompt.
    pub(crate) codes: &'a [Code],
}

/// What the last pass showed at the root and at every accepted node: the hidden states that predict the cells from `first` on.
pub(crate) struct Seen<'a> {
    pub(crate) first: Cell,
    /// The codes that the pass has committed for those cells.
    pub(crate) codes: &'a [Code],
    /// Their rows in the conditional stream.
    pub(crate) rows: &'a [usize],
    pub(crate) staged: &'a Staged<'a>,
    /// The conditional stream.
    pub(crate) stream: usize,
}

impl<'a> Seen<'a> {
    /// The cells and the hidden states `[D]` that predict them, in raster order.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (Cell, &'a [f32])> {
        let states = self.rows.iter().map(|&row| self.staged.hidden(self.stream, row).unwrap_or_default());
        (self.first.0..).map(Cell).zip(states)
    }
}

/// Guesses cells, in memory of its own that is allocated when it is made.
pub(crate) trait Drafter {
    /// Begins an image.
    fn start(&mut self, _seed: Seed, _image: ImageIndex) {}

    /// Adds candidates to a tree that has nothing but its root. A tree that is full and the grid's end are no faults.
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError>;

    /// Learns from a pass.
    fn observe(&mut self, _seen: &Seen<'_>) -> Result<()> {
        Ok(())
    }
}

/// Plain AR: no guesses.
pub(crate) struct Nothing;

impl Drafter for Nothing {
    fn propose(&mut self, _: &View<'_>, _: &mut TokenTree) -> std::result::Result<(), TreeError> {
        Ok(())
    }
}

/// The drafter of a request.
pub(crate) fn new<'a>(engine: &'a Engine, request: &Request) -> Result<Box<dyn Drafter + 'a>> {
    let decoder = request.decoding.decoder();
    Ok(match decoder {
        Decoder::Ar => Box::new(Nothing),
        Decoder::Neighbour => Box::new(neighbour::Neighbour { grid: engine.config().layout.grid() }),
        Decoder::Medusa | Decoder::HawkVertical | Decoder::HawkPaper | Decoder::Hawk => {
            let heads = engine.heads().ok_or_else(|| {
                Error::input(format!("the decoder {decoder} needs draft heads, and the model has none"))
                    .expected("heads/ in the model's folder, or --heads DIR")
                    .hint("`hawk train heads` makes them; --decoder neighbour needs none")
            })?;
            Box::new(HeadsDrafter::new(Brief::of_images(engine, heads, request)?))
        }
    })
}

/// Memory of the trees over so many codes.
pub(crate) fn tree_limits(heads: Option<&Heads>, codes: usize, decoding: Decoding) -> TreeLimits {
    let nodes = decoding.shape().nodes();
    let laws = heads.map_or(0, |heads| heads::laws(heads, decoding));
    // Two sources may propose one code: an edge more without a node more.
    TreeLimits { nodes, candidates: 4 * nodes, laws, codes }
}

/// Bytes of what a drafter keeps beside its heads.
pub(crate) fn cache_bytes(heads: &Heads, decoding: Decoding, layout: &Layout) -> usize {
    heads::cache_bytes(heads, decoding, layout)
}
