//! Speculative decoding of autoregressive image models: token trees, the target's law, and exact
//! verification.
//!
//! An image model draws a grid of cells in raster order, one pass of the target per cell. A drafter
//! proposes several cells ahead. The target runs all of them in one pass. Verification accepts the
//! drafts that the target's law allows. With either [`Rule`] the images have exactly the law of
//! plain decoding. With [`Rule::Replay`] they are the same images.
//!
//! One step:
//!
//! ```
//! use hawk_spec::*;
//!
//! /// A target of 4 codes that repeats the last one with high probability.
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
//! // Cells 0 to 2 of 16 are committed, the last one as code 3. The drafter proposes code 3 twice.
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
//! // Both drafts are accepted, and the pass gives a bonus token too: 3 cells in one pass.
//! assert!(verdict.codes(&tree).eq([Code(3), Code(3), Code(3)]));
//! assert_eq!(verdict.next.drawn, Drawn::Bonus);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Cell`], [`Grid`], [`Layout`] | image tokens and their places in the sequence |
//! | [`TokenTree`], [`Candidate`] | drafts, each with [`Source`] and [`DraftLaw`] |
//! | [`Pool`], [`TreeShape`] | candidates of several sources per cell, and the size of their tree |
//! | [`Sampling`], [`Pipeline`], [`Warper`] | from logits to the target's law p |
//! | [`Chooser`], [`Noise`], [`TextNoise`], [`Greedy`] | random choices, and their noise |
//! | [`Verifier`], [`Verdict`] | the accepted drafts, and the recovered or bonus token after them |
//! | [`LossyRule`] | rules that change the law, for comparison |
//! | [`DecodeStats`] | passes, acceptance length, counts by source and depth |
//! | [`Enumerator`] | the chooser of proofs: every branch with its probability |
//!
//! Text has the same nouns. A cell is a position after the prompt, a code is an id of the
//! vocabulary, and `cells_left` of a tree is the number of tokens that may follow.
//!
//! # Conditions of exactness
//!
//! [`Rule::Replay`] is exact whatever the drafter proposes. Under [`Rule::Rejection`] a drafter
//! must give the exact law of each candidate, *given the candidates before it*:
//!
//! - Whether a candidate is proposed may depend on earlier draws. It must not depend on the
//!   candidate's own value or on later draws. A drafter that draws two codes and keeps the
//!   likelier, or leaves out repeats, changes the law of the images.
//! - Draws share no random numbers with the verifier or with each other. [`Purpose::Draft`] is a
//!   stream of their own.
//! - A candidate that is no random choice is [`DraftLaw::Deterministic`].
//!
//! The tests prove both rules to 1e-12 by enumeration of whole decodes. They also show that the
//! proof detects each of these faults.
//!
//! # What it does not do
//!
//! It has no tensors, models, files, clock, threads or environment. It trains no drafter, chooses
//! none, and does not choose the size of trees. It never commits ahead of raster order. After
//! construction its steps allocate nothing.

#![forbid(unsafe_code)]

mod chooser;
mod coupling;
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
pub use coupling::{Draft, recouple};
pub use enumerate::Enumerator;
pub use law::{DraftLaw, LawError, LawId, Replacement, Source, SourceError, probabilities};
pub use layout::{Grid, Layout, LayoutError, Structure};
pub use noise::{CellNoise, Noise, NoiseBounds, Purpose, philox4x32_10};
pub use pool::{FillLevel, Pool, Pooled, best_first, push_or_raise};
pub use sample::{Pipeline, Sampling, SamplingError, Stage, Warper};
pub use shape::{ShapeError, TreeShape, Widths};
pub use stats::{DecodeStats, SourceTally};
pub use token::{Cell, Code, ImageIndex, NodeId, Position, Seed, TokenId};
pub use tree::{Candidate, TokenTree, TreeError, TreeLimits};
pub use verify::{Drawn, LossyRule, Neighbours, Next, Rule, Step, TargetLaws, Verdict, Verifier};
