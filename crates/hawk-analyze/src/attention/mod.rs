//! What tokens attend to, by offset: figures 1 and 7 of the paper.

mod figure;
mod run;
mod sums;

pub use run::{AttentionRun, Texts, attention};
pub use sums::{AttentionSums, ByOffset, Detail, ImagePlan, Offsets, Part};
