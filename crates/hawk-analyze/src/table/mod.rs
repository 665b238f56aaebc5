//! Table 1 of the paper: decoders over prompts.

mod captions;
mod figure;
mod frechet;
mod measures;
mod pictures;
mod resample;
mod run;
mod scores;
mod steps;
mod turns;

pub use captions::{Caption, CaptionFormat, read_captions};
pub use frechet::frechet_distance;
pub use pictures::find_pictures;
pub use run::{RealPictures, TableRun, table};
pub use scores::{FeatureSpace, FeaturesOf, Judge, ScoreOf, Space, VqFeatures};
