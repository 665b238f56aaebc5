//! Autotunes the tree size (`--tree auto`): the size with the most cells per second.
//!
//! Cells per second are cells per pass over time per pass. The two are measured apart, because they
//! depend on different things and are learnt at different speeds.
//!
//! - [`gain`]: cells per pass. They depend on decoder, sampling and image. Trees grow best first,
//!   so the first n nodes of a larger tree are the tree of n nodes: one verdict tells for every
//!   smaller size what it would have accepted. One trial of a large size informs all smaller ones.
//! - [`cost`]: time per pass over that of a plain pass. It depends on model, precision, threads and
//!   the number of trees in the pass, and on the nodes that are really in it: a drafter with little
//!   to propose fills no tree. The work of the drafter is part of it.
//!
//! [`tuner`] decides. A trial of a size runs rounds of a plain pass and some passes with trees of
//! that size, so that the two are compared at the same place of the image and under the
//! same load. In plain passes of a trial drafters observe, and before a trial they observe until
//! they are warm ([`Needs::warm_up_cells`](crate::Needs::warm_up_cells)): a vertical head
//! speaks a row later. A size that was not tried is judged by interpolation of the cost and by the
//! gain of a larger tree's first nodes, and is tried before it is used.
//!
//! The choice holds for all images. Where one image accepts much less, [`pause`] turns to plain decoding for a
//! while.
//!
//! [`memory`] is what a program keeps between runs. Under `replay` no image depends on any of it.

mod cost;
mod gain;
pub(crate) mod memory;
mod pause;
mod sizes;
pub(crate) mod store;
pub(crate) mod tuner;
#[cfg(test)]
mod tuner_tests;
