//! Verification: which drafts the target's law accepts, and which token it draws after them.

mod lossy;
mod rejection;
mod replay;
mod target_laws;
mod verdict;
mod verifier;

pub use lossy::{LossyRule, Neighbours};
pub use target_laws::TargetLaws;
pub use verdict::{Drawn, Next, Step, Verdict};
pub use verifier::{Rule, Verifier};
