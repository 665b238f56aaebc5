//! Analysis of image models: what they attend to, what draft laws are worth, what sampling does. Each
//! analysis is a figure of *Hawk* (arXiv 2510.25739) on any model that `hawk` loads.
//!
//! ```
//! use std::ops::ControlFlow;
//! use hawk::{Engine, LoadOptions, Seed};
//! use hawk_analyze::{AttentionRun, Detail, Ended, ImageSet, attention};
//!
//! let engine = Engine::load(hawk::built_in_model(), LoadOptions::default())?;
//! let images = ImageSet {
//!     prompts: vec!["red apple, fluent 3d style".to_owned()],
//!     images: 1,
//!     seed: Seed(1),
//!     sampling: engine.config().defaults,
//! };
//! let dir = std::env::temp_dir().join(format!("hawk-analyze-{}", std::process::id()));
//! let run = AttentionRun {
//!     engine: &engine,
//!     model: hawk::BUILT_IN,
//!     images,
//!     text: None,
//!     detail: Detail::Mean,
//!     dir: dir.clone(),
//! };
//! let Ended::Finished(figure) = attention(&run, &mut |_| ControlFlow::Continue(()))? else { return Ok(()) };
//! assert!(figure.findings[0].contains("The row above holds"));
//! hawk_analyze::write_figure(&dir, &figure)?;
//! # std::fs::remove_dir_all(&dir).unwrap();
//! # Ok::<(), hawk::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`ImageSet`], [`Drawn`] | the images that an analysis looks at, drawn by the model, kept on disk |
//! | [`attention()`], [`AttentionRun`] | attention by distance and on the plane |
//! | [`divergence_of_laws`], [`DivergenceRun`] | draft laws against each other and against the target's |
//! | [`rejection()`], [`RejectionRun`], [`least_rejection`] | rejection of a node by its candidates, and its bound |
//! | [`sampling_sheets`], [`SamplingRun`] | pictures over temperature, top-k and guidance |
//! | [`heads()`], [`HeadsRun`] | loss and match of heads by offset |
//! | [`table()`], [`TableRun`] | speed, acceptance, memory and quality of decoders over prompts |
//! | [`Caption`], [`read_captions`], [`find_pictures`] | prompts of public sets, and their pictures |
//! | [`FeatureSpace`], [`VqFeatures`], [`Judge`], [`frechet_distance`] | what images are worth |
//! | [`Figure`], [`Part`](struct@Part), [`Content`] | a result as data |
//! | [`write_figure`], [`report`] | its files: JSON, CSV, SVG, and one page of all figures |
//! | [`Watch`], [`Progress`], [`Ended`] | progress, and runs that are stopped and go on |
//!
//! # What it does not do
//!
//! It parses no arguments, prints nothing and trains nothing.

#![deny(unsafe_code)]

mod attention;
mod divergence;
mod figure;
mod heads;
mod images;
mod laws;
mod rejection;
mod sampling;
mod settings;
mod table;
mod watch;

pub use attention::{
    AttentionRun, AttentionSums, ByOffset, Detail, ImagePlan, Offsets, Part as Goal, Texts, attention,
};
pub use divergence::{DivergenceRun, divergence_of_laws};
pub use figure::{
    Content, Figure, Line, LinePlot, MapPlot, PAGE, Part, Picture, Pictures, Spacing, Table, csv, read_figures, report,
    short, svg, svg_file, write_figure,
};
pub use heads::{HeadGroup, HeadsRun, heads};
pub use images::{Drawn, ImageSet};
pub use rejection::{
    RejectionRun, least_rejection, rejection, rejection_with_replacement, rejection_without_replacement,
};
pub use sampling::{SamplingRun, sampling_sheets};
pub use table::{
    Caption, CaptionFormat, FeatureSpace, FeaturesOf, Judge, RealPictures, ScoreOf, Space, TableRun, VqFeatures,
    find_pictures, frechet_distance, read_captions, table,
};
pub use watch::{Ended, Progress, Watch};
