//! Drafters with heads: Medusa (horizontal), Hawk's vertical heads, and Hawk (all heads). Heads
//! predict laws, the cache keeps them, and the pool grows the tree.

use hawk_nn::{Arrangement, Error, HeadOffset, HeadsConfig, Result};
use hawk_spec::{Cell, ImageIndex, Noise, Pool, Seed, TokenTree, TreeError, TreeShape};

use super::calibration::MAX_RANKS;
use super::candidates::{Candidates, Joining, UsedHead};
use super::context::{HeadAsks, Seen, View};
use super::contract::{DefaultTree, Drafter, DrafterKind, Heads, Media, Needs, Setup};
use super::mode::DraftMode;
use crate::request::decoder::Decoder;

/// Most levels of a proposal.
const MAX_LEVELS: usize = 16;

const fn kind(
    name: &'static str,
    help: &'static str,
    media: Media,
    make: fn(&Setup<'_>) -> Result<Box<dyn Drafter>>,
) -> DrafterKind {
    DrafterKind { name, help, tree: DefaultTree::Auto { otherwise: 4 }, heads: Heads::Required, media, make }
}

impl Decoder {
    /// Horizontal draft heads (Medusa).
    pub const MEDUSA: Decoder = Decoder::custom(
        &const {
            let help = "horizontal draft heads (Medusa)";
            kind("medusa", help, Media::Any, |setup| make(setup, Directions::Horizontal, Joining::OneLaw))
        },
    );
    /// Vertical draft heads and the Speculation Cache.
    pub const HAWK_VERTICAL: Decoder = Decoder::custom(
        &const {
            let help = "vertical draft heads and the Speculation Cache";
            kind("hawk-vertical", help, Media::Images, |setup| make(setup, Directions::Vertical, Joining::OneLaw))
        },
    );
    /// All draft heads and the cache; each head's candidates enter the pool on their own, as in the
    /// paper.
    pub const HAWK_PAPER: Decoder = Decoder::custom(
        &const {
            let help = "all draft heads; each head's candidates enter the pool on their own, as in the paper";
            kind("hawk-paper", help, Media::Images, |setup| make(setup, Directions::All, Joining::Apart))
        },
    );
    /// All draft heads and the cache; the laws of the heads that predict a cell become one law.
    pub const HAWK: Decoder = Decoder::custom(
        &const {
            let help = "all draft heads; the laws of the heads that predict a cell are joined into one";
            kind("hawk", help, Media::Images, |setup| make(setup, Directions::All, Joining::OneLaw))
        },
    );
}

/// The heads of a decoder, by direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directions {
    Horizontal,
    Vertical,
    All,
}

fn make(setup: &Setup<'_>, directions: Directions, joining: Joining) -> Result<Box<dyn Drafter>> {
    let heads = setup.heads.ok_or_else(|| {
        Error::input(format!("the decoder {} needs draft heads, and the model has none", setup.decoder))
            .expected("heads/ in the model's folder, or --heads DIR")
            .hint("`hawk train heads` makes them for models of images; the decoders ar and scd need none")
    })?;
    Ok(Box::new(HeadsDrafter::new(setup, heads, directions, joining)))
}

struct HeadsDrafter {
    arrangement: Arrangement,
    shape: TreeShape,
    mode: DraftMode,
    candidates: Candidates,
    pool: Pool,
    /// The head and the predicted cell of each ask of the step.
    asked: Vec<(usize, Cell)>,
}

impl HeadsDrafter {
    fn new(setup: &Setup<'_>, heads: &HeadsConfig, directions: Directions, joining: Joining) -> Self {
        let shape = setup.shape;
        let used = heads.heads.iter().enumerate().filter(|(_, head)| match directions {
            Directions::Horizontal => head.offset.down() == 0,
            Directions::Vertical => head.offset.down() > 0 && head.offset.right() == 0,
            Directions::All => true,
        });
        let used: Vec<UsedHead> = used.map(|(index, head)| UsedHead::new(index, head, setup)).collect();
        let count = used.len();
        Self {
            arrangement: setup.arrangement,
            shape,
            mode: setup.mode,
            candidates: Candidates::new(setup, used, joining, levels(shape)),
            pool: Pool::with_capacity(levels(shape), count * MAX_RANKS, shape.nodes()),
            asked: Vec::with_capacity(count * (levels(shape) + 1)),
        }
    }

    fn heads(&self) -> &[UsedHead] {
        &self.candidates.heads
    }
}

impl Drafter for HeadsDrafter {
    fn needs(&self) -> Needs {
        let (levels, heads) = (levels(self.shape), self.heads().len());
        Needs {
            laws: if self.mode == DraftMode::Draws { levels * heads } else { 0 },
            head_rows: heads * (levels + 1),
            best: 0,
            warm_up_cells: self.heads().iter().map(|head| reach(head.offset, self.arrangement)).max().unwrap_or(0),
        }
    }

    fn bytes(&self) -> usize {
        self.heads().iter().map(|head| head.cache.bytes()).sum()
    }

    fn start(&mut self, seed: Seed, image: ImageIndex) {
        self.candidates.start(Noise { seed, image });
    }

    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
        self.candidates.begin_step();
        let (first, deepest) = (view.codes.len(), levels(self.shape).min(tree.cells_left() as usize - 1));
        self.pool.grow(self.shape, tree, &mut |depth, level, tree| {
            if depth < deepest { self.candidates.propose(Cell((first + depth) as u32), level, tree) } else { Ok(()) }
        })
    }

    /// Vertical heads run at every node of the accepted path, horizontal heads at the last node:
    /// the new anchor.
    fn ask(&mut self, seen: &mut Seen<'_>, heads: &mut HeadAsks<'_>) -> Result<()> {
        self.asked.clear();
        let anchor = seen.verdict.path.len();
        for (at, (cell, node)) in seen.path().enumerate() {
            for (index, head) in self.candidates.heads.iter().enumerate() {
                let wanted = at == anchor || head.offset.down() > 0;
                if let Some(target) = head.offset.target(self.arrangement, cell).filter(|_| wanted) {
                    heads.ask(node, head.index);
                    self.asked.push((index, target));
                }
            }
        }
        Ok(())
    }

    /// Calibrates the probabilities with the committed cells, then caches the heads' logits.
    fn observe(&mut self, seen: &mut Seen<'_>) -> Result<()> {
        for (cell, &code) in (seen.first().0..).map(Cell).zip(seen.new_codes()) {
            self.candidates.learn(cell, code);
        }
        for (ask, &(head, cell)) in self.asked.iter().enumerate() {
            let (head, logits) = (&mut self.candidates.heads[head], seen.head_logits(ask));
            if logits.iter().any(|logit| !logit.is_finite()) {
                return Err(
                    Error::input("a draft head gives non-finite logits").at(format!("{} of {cell}", head.offset))
                );
            }
            head.cache.put(cell, logits);
        }
        Ok(())
    }
}

/// Cells from one to the cell that a head predicts from its hidden state.
fn reach(offset: HeadOffset, arrangement: Arrangement) -> usize {
    let row = if let Arrangement::Grid(grid) = arrangement { i64::from(grid.cols()) } else { 0 };
    usize::try_from(i64::from(offset.down()) * row + i64::from(offset.right())).unwrap_or(0)
}

/// Most levels below the root of a tree of this shape.
fn levels(shape: TreeShape) -> usize {
    (0..MAX_LEVELS.min(shape.nodes() - 1)).take_while(|&depth| shape.width(depth) > 0).count()
}
