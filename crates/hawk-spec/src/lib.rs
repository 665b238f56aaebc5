//! Pure speculative decoding.
#![forbid(unsafe_code)]

mod chooser;
mod enumerate;
mod law;
mod layout;
mod noise;
mod sample;
mod stats;
mod token;
mod tree;
mod verify;

pub use chooser::{Chooser, Noise, draw_at};
pub use enumerate::Enumerator;
pub use law::{DraftLaw, LawError, LawId, Replacement, Source, probabilities};
pub use layout::{Grid, Layout, LayoutError, Structure};
pub use noise::{Purpose, argmax_with_noise, gumbel, noise_words, philox4x32_10, uniform};
pub use sample::{Pipeline, Sampling, SamplingError, Stage, Warper};
pub use stats::{DecodeStats, SourceTally};
pub use token::{Cell, Code, ImageIndex, NodeId, Position, Seed, TokenId};
pub use tree::{Candidate, TokenTree, TreeError, TreeLimits};
pub use verify::{Drawn, Next, Rule, Step, TargetLaws, UnknownRule, Verdict, Verifier};
