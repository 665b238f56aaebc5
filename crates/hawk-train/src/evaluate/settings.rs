//! What is evaluated, and how far it is.

use std::path::PathBuf;

use hawk::{Sampling, Seed};

/// An evaluation of a model.
#[derive(Clone, Debug)]
pub struct EvaluationRun {
    /// Where the captions come from.
    pub captions: CaptionSource,
    /// Prompts for each measure, at least 1. A measure has fewer if there are fewer.
    pub prompts: usize,
    /// Guidance, temperature, top-k and top-p.
    pub sampling: Sampling,
    /// Seed of the noise.
    pub seed: Seed,
    /// Folder of the sheets and figures.
    pub out: PathBuf,
}

/// Whose captions are drawn.
#[derive(Clone, Debug)]
pub enum CaptionSource {
    /// Those of a folder of emoji, as [`make_emoji`](crate::make_emoji) makes it.
    Emoji(PathBuf),
    /// Those of landscapes, painted as `hawk data landscapes` paints them.
    Landscapes,
    /// Those of landscapes, things, scenes, and things in landscapes. The things come from a pack
    /// or from a folder of emoji.
    Mixture(PathBuf),
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvaluationProgress {
    /// Images are drawn.
    Images {
        /// Images that are drawn.
        done: usize,
        /// All images.
        of: usize,
    },
    /// All images are drawn. The rules learn from real pictures, and judge.
    Learning,
}
