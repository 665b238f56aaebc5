//! The decoding loop: jobs enter slots, every step is one target pass for all of them.
//!
//! One step, as [`Batch::step`](batch::Batch::step) runs it:
//!
//! ```text
//! slot.propose    the drafter grows a token tree below the anchor; every node becomes a row in each stream of the slot
//! Staged::run     one pass of the target over the rows of all slots; nothing is committed
//! slot.verify     the rule walks the tree from the root -> Verdict { path, next: recovered | bonus }
//! slot.ask        drafters ask draft heads about nodes of the pass; the heads of all slots run in one product
//! slot.observe    drafters learn from tree, verdict, laws and hidden states
//! Staged::commit  the accepted paths become committed tokens; all other rows are forgotten
//! ```
//!
//! Images and text share the loop; a [`Medium`](medium::Medium) is what differs.

pub(crate) mod batch;
pub(crate) mod draws;
pub(crate) mod job;
mod laws;
pub(crate) mod medium;
pub(crate) mod prefill;
mod slot;
pub(crate) mod target;
mod tree_size;
