//! Analysis of a model without decoding: its files, its logits, its laws over a finished image.

mod attention;
mod colours;
mod decode;
mod inspect;
mod jacobi;
mod logits;
mod observe;

pub use attention::SequenceParts;
pub use decode::{CodeGrid, decode};
pub use inspect::{Inspection, inspect, packed_for};
pub use jacobi::{JacobiLaws, JacobiRun};
pub use logits::{logits, logits_after_features};
pub use observe::Observed;
