//! Pure speculative decoding of autoregressive image models: token trees, the target's law, exact verification.
//!
//! An image model writes a grid of cells in raster order, one pass of the target per cell. A drafter guesses several
//! cells ahead; the target looks at all guesses in one pass; verification keeps the guesses that the target's own law
//! allows. With either [`Rule`] the images have exactly the law of plain decoding; with [`Rule::Replay`] they are the
//! very same images.
//!
//! One step:
//!
//! ```
//! use hawk_spec::*;
//!
//! /// A target of 4 codes that likes to repeat the last one.
//! struct Repeats<'a> {
//!     tree: &'a TokenTree,
//!     anchor: Code,
//!     warper: Warper,
//!     sampling: Sampling,
//!     scores: [f32; 4],
//! }
//!
//! impl TargetLaws for Repeats<'_> {
//!     fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError> {
//!         let last = self.tree.code(node).unwrap_or(self.anchor);
//!         let mut logits = [0.0; 4];
//!         logits[last.index()] = 9.0;
//!         self.warper.warp(&self.sampling, &logits, None, &mut self.scores)?;
//!         Ok(&self.scores)
//!     }
//! }
//!
//! // Cells 0 to 2 of 16 are committed, the last one as code 3. Guess that it goes on like that.
//! let anchor = Code(3);
//! let mut tree = TokenTree::with_capacity(8, 4);
//! tree.reset(Cell(3), 16 - 3);
//! let left = tree.propose(NodeId::ROOT, anchor, DraftLaw::Deterministic, Source::LEFT)?;
//! tree.propose(left, anchor, DraftLaw::Deterministic, Source::LEFT)?;
//!
//! let sampling = Sampling::new(1.0, 1.0, 0, 1.0)?; // cfg, temperature, top-k, top-p
//! let warper = Warper::new(Pipeline::LUMINA, 4);
//! let mut target = Repeats { tree: &tree, anchor, warper, sampling, scores: [0.0; 4] };
//! let mut noise = Noise { seed: Seed(7), image: ImageIndex(0) };
//! let mut verdict = Verdict::with_capacity(8);
//! Verifier::new(Rule::Replay, 4).verify(&tree, &mut target, &mut noise, &mut verdict)?;
//!
//! // Both guesses were right, and the pass gave the cell after them too: 3 cells for one pass.
//! assert!(verdict.codes(&tree).eq([Code(3), Code(3), Code(3)]));
//! assert_eq!(verdict.next.drawn, Drawn::Bonus);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Cell`], [`Grid`], [`Layout`] | image tokens in raster order, and where they stand in the sequence |
//! | [`TokenTree`], [`Candidate`] | guesses after the anchor, each with its [`Source`] and [`DraftLaw`] |
//! | [`Pool`], [`TreeShape`] | candidates of several sources per cell, and the tree that grows from them |
//! | [`Sampling`], [`Pipeline`], [`Warper`] | from logits to the target's law p |
//! | [`Chooser`], [`Noise`], [`TextNoise`], [`Greedy`] | who decides what is random; in production, counter-based noise, or nothing |
//! | [`Verifier`], [`Verdict`] | which guesses are accepted, and the recovered or bonus token after them |
//! | [`LossyRule`] | rules that change the law, for comparison |
//! | [`DecodeStats`] | passes, acceptance length, what each source's guesses were worth |
//! | [`Enumerator`] | the chooser of proofs: every branch with its weight |
//!
//! Text is decoded with the same nouns: a cell is then a position after the prompt, a code an id of the vocabulary, and
//! a tree's `cells_left` what may still be written.
//!
//! # What keeps the law
//!
//! Under [`Rule::Replay`] nothing is asked of a drafter. Under [`Rule::Rejection`] it must name the law that each
//! candidate was really drawn from, *given what was proposed before it*:
//!
//! - whether a candidate is proposed may depend on earlier draws, never on its own value or on later draws: draw two
//!   and keep the likelier, or leave out repeats, and the law of the images changes;
//! - draws must not share random numbers with the verifier ([`Purpose::Draft`] is a stream of its own) or with each
//!   other;
//! - a candidate that is no random choice is [`DraftLaw::Deterministic`].
//!
//! The tests prove both rules by enumeration of whole decodes to 1e-12, and show that the proof sees each of these
//! faults.
//!
//! # What it does not do
//!
//! No tensors, no model, no files, no clock, no threads, no environment. It neither trains nor chooses a drafter nor
//! sizes its tree. It never commits ahead of raster order. After construction
//! its steps allocate nothing.

#![forbid(unsafe_code)]

mod chooser;
mod enumerate;
mod law;
mod layout;
mod noise;
mod pool;
mod sample;
mod shape;
mod stats;
mod token;
mod tree;
mod verify;

pub use chooser::{Chooser, Greedy, TextNoise, draw_at};
pub use enumerate::Enumerator;
pub use law::{DraftLaw, LawError, LawId, Replacement, Source, SourceError, probabilities};
pub use layout::{Grid, Layout, LayoutError, Structure};
pub use noise::{CellNoise, Noise, Purpose, philox4x32_10};
pub use pool::{FillLevel, Pool, Pooled, push_or_raise};
pub use sample::{Pipeline, Sampling, SamplingError, Stage, Warper};
pub use shape::{ShapeError, TreeShape, Widths};
pub use stats::{DecodeStats, SourceTally};
pub use token::{Cell, Code, ImageIndex, NodeId, Position, Seed, TokenId};
pub use tree::{Candidate, TokenTree, TreeError, TreeLimits};
pub use verify::{Drawn, LossyRule, Neighbours, Next, Rule, Step, TargetLaws, Verdict, Verifier};
