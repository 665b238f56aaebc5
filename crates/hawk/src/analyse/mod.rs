//! Analysis of a model without decoding: its files, its logits, its laws over a finished image.

mod colours;
mod decode;
mod inspect;
mod logits;
mod observe;

pub use decode::{CodeGrid, decode};
pub use inspect::{Inspection, inspect, packed_for};
pub use logits::{logits, logits_after_features};
pub use observe::Observed;
