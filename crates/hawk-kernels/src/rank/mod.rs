//! From logits to the best codes under noise: guidance, top-k, top-p and the search, without
//! sorting and without exact exponentials.
//!
//! What is decided here is certain: sums of exponentials and bounds of noise carry margins for
//! their errors, and where a margin does not decide, the caller is told to compute exactly.

mod border;
mod run;
mod search;
mod shape;
#[cfg(test)]
mod tests;
mod top_p;

pub use border::keep_largest;
pub use run::GROUP;
pub use search::{BOUNDS, Search};
pub use shape::{Divide, Guide};
pub use top_p::TopP;
