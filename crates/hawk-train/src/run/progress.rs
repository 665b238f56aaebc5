//! What a run reports while it works, and how it ends.

use crate::run::curve::Point;

/// Reported to the observer of a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RunProgress<'a> {
    /// Images are being prepared for training.
    Images {
        /// Images that are ready.
        done: usize,
        /// All images.
        of: usize,
    },
    /// A training step is complete.
    Steps {
        /// Steps that are complete.
        done: usize,
        /// All steps.
        of: usize,
        /// The newest point of the curve, if there is one.
        point: Option<&'a Point>,
    },
    /// The result is being measured.
    Measuring,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Ended<T> {
    /// The run is complete and all files are written.
    Finished(T),
    /// The observer stopped the run. The same run resumes after the last step.
    Stopped,
}
