//! Trains models for `hawk`: draft heads, VQ tokenizers, and whole targets. It also makes captioned
//! pictures to train on.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use hawk::{Engine, LoadOptions, Seed};
//! use hawk_train::{HeadsRun, HeadsSettings, TrainingImages, default_prompts, train_heads};
//!
//! let engine = Engine::load(hawk::built_in_model(), LoadOptions::default())?;
//! let run = HeadsRun {
//!     target_name: hawk::BUILT_IN.to_owned(),
//!     images: TrainingImages::Sampled { images: 600, prompts: default_prompts(), seed: Seed(0) },
//!     settings: HeadsSettings::default(),
//!     out: "heads".into(),
//!     data: "heads-data".into(),
//! };
//! train_heads(&engine, &run, &mut |progress| {
//!     println!("{progress:?}");
//!     ControlFlow::Continue(())
//! })?;
//! # Ok::<(), hawk::Error>(())
//! ```
//!
//! Draft heads follow Hawk (arXiv 2510.25739, section 3). The target is frozen: it draws images,
//! and the heads learn its law from its hidden states. [`make_emoji`] makes captioned pictures,
//! [`train_vq`] a tokenizer from them, and [`train_target`] a whole model from both.
//!
//! A run writes its state to disk. A run that was stopped resumes from it, and ends with the same
//! bytes.
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`HeadsRun`], [`HeadsSettings`], [`TrainingImages`], [`Labels`] | heads: images to learn from, offsets, steps |
//! | [`VqRun`], [`VqSettings`], [`VqFigures`], [`Likeness`] | a tokenizer, and how well it reconstructs pictures |
//! | [`TargetRun`], [`TargetSettings`], [`Optimizer`] | a whole model, which every command loads |
//! | [`TrainingPrecision`] | number format of the matrix products |
//! | [`RunProgress`], [`Ended`] | what an observer gets, and how a run ended |
//! | [`Curve`], [`Point`] | a measure over the steps, as JSON and SVG |
//! | [`evaluate`], [`EvaluationRun`], [`CaptionSource`], [`EvaluationProgress`] | an evaluation of a model |
//! | [`EvaluationFigures`], [`KindFigures`], [`Followed`], [`Accuracy`], [`Confusion`] | entropy, diversity, and whether a model draws what captions say |
//! | [`make_emoji`], [`EmojiSettings`], [`Manifest`] | captioned pictures to train on |
//!
//! # What it does not do
//!
//! It has no decoder of its own, parses no arguments and prints nothing. Training heads does not
//! change their target.

mod emoji;
mod evaluate;
mod heads;
mod pictures;
mod run;
mod transformer;
mod vq;

pub use emoji::make::make_emoji;
pub use emoji::manifest::Manifest;
pub use emoji::settings::{EmojiProgress, EmojiSettings, NPM_REGISTRY};
pub use evaluate::drawing::KindFigures;
pub use evaluate::figures::{Accuracy, Confusion, EvaluationFigures, Followed};
pub use evaluate::run::evaluate;
pub use evaluate::settings::{CaptionSource, EvaluationProgress, EvaluationRun};
pub use hawk_nn::HeadOffset;
pub use hawk_pictures::Counts;
pub use heads::images::{CaptionedPicture, TrainingImages, captioned_pictures, default_prompts};
pub use heads::run::{HeadsRun, TrainedHeads, train_heads};
pub use heads::settings::{HeadsKind, HeadsSettings, Labels};
pub use run::curve::{Curve, Point};
pub use run::precision::TrainingPrecision;
pub use run::progress::{Ended, RunProgress};
pub use transformer::run::{TargetRun, TrainedTarget, train_target};
pub use transformer::settings::{Optimizer, TargetSettings};
pub use vq::figures::{Likeness, VqFigures};
pub use vq::run::{TrainedVq, VqRun, train_vq};
pub use vq::settings::VqSettings;
