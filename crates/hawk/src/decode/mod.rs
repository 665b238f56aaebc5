//! The decoding loop: jobs enter slots, and every step is one target pass for all slots.
//!
//! One step, as [`Batch::step`](batch::Batch::step) runs it:
//!
//! ```text
//! slot.propose    the drafter grows a token tree below the anchor; every node becomes a row in
//!                 each stream of the slot
//! Staged::run     one pass of the target over the rows of all slots; nothing is committed
//! slot.verify     the rule walks the tree from the root and writes the Verdict: the accepted path
//!                 and the recovered or bonus token after it
//! slot.ask        drafters ask draft heads about nodes of the pass; all heads run in one product
//! slot.observe    drafters learn from tree, verdict, laws and hidden states
//! Staged::commit  the accepted paths become committed tokens; all other rows are removed
//! ```
//!
//! Images and text share the loop. A [`Medium`](medium::Medium) holds their differences.

pub(crate) mod batch;
pub(crate) mod draws;
pub(crate) mod job;
mod laws;
pub(crate) mod medium;
pub(crate) mod prefill;
mod slot;
pub(crate) mod target;
pub(crate) mod tree_size;
