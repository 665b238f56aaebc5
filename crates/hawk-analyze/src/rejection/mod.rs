//! How often all candidates of a node are rejected: figure 6 of the paper.

mod rules;
mod run;
mod transport;

pub use rules::{rejection_with_replacement, rejection_without_replacement};
pub use run::{RejectionRun, rejection};
pub use transport::least_rejection;
