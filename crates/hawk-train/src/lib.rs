//! Trains the draft heads of a target (the method of Hawk, arXiv 2510.25739, section 3, by default on images that the target draws itself), and
//! whole small models: a VQ tokenizer and a target from captioned pictures.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use hawk::{Engine, LoadOptions, Seed};
//! use hawk_train::{Images, Run, Settings, default_prompts, train_heads};
//!
//! let engine = Engine::load(hawk::built_in_model(), LoadOptions::default())?;
//! let run = Run {
//!     target_name: hawk::BUILT_IN.to_owned(),
//!     images: Images::Sampled { images: 600, prompts: default_prompts(), seed: Seed(0) },
//!     settings: Settings::default(),
//!     out: "heads".into(),
//!     data: "heads-data".into(),
//! };
//! train_heads(&engine, &run, &mut |progress| { println!("{progress:?}"); ControlFlow::Continue(()) })?;
//! # Ok::<(), hawk::Error>(())
//! ```
//!
//! The target stays frozen. Its own engine draws the images (or its VQ encoder reads pictures) and shows, for every cell, the hidden state that the heads read and the law
//! that they should tell; burn trains the residual blocks; the heads that come out are measured with the code that decoding runs.
//!
//! [`make_emoji`] makes captioned pictures from pinned packages, [`train_vq`] a tokenizer from them, [`train_target`] a whole model from both.
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Run`], [`Images`], [`Settings`], [`Labels`] | what is asked of heads: images to learn from, heads, steps |
//! | [`Progress`] | what an observer hears |
//! | [`Curve`], [`Point`] | a measure over the steps; JSON and SVG |
//! | [`train_vq`], [`VqRun`], [`VqSettings`], [`VqFigures`] | a tokenizer, and how well pictures survive it |
//! | [`train_target`], [`TargetRun`], [`TargetSettings`] | a model that every command loads |
//! | [`Precision`] | what products are computed in |
//! | [`evaluate`], [`Evaluation`], [`Evaluated`] | whether a model draws what captions say |
//! | [`make_emoji`], [`EmojiSettings`], [`Manifest`] | pictures and captions to train whole models on |
//!
//! # What it does not do
//!
//! It parses no arguments and prints nothing. Training heads changes nothing of their target.

mod corpus;
mod curve;
mod data;
mod dataset;
mod device;
mod evaluate;
mod figures;
mod files;
mod images;
mod module;
mod params;
mod pixels;
mod precision;
mod random;
mod run;
mod schedule;
mod settings;
mod state;
mod target;
mod trainer;
mod vq;

pub use curve::{Curve, Point};
pub use data::{Counts, EmojiProgress, EmojiSettings, Manifest, NPM_REGISTRY, make_emoji};
pub use evaluate::{Evaluated, Evaluation, Share, evaluate};
pub use hawk_nn::HeadOffset;
pub use images::{Images, Picture, default_prompts, pictures};
pub use precision::Precision;
pub use run::{Ended, Progress, Run, Trained, train_heads};
pub use settings::{Labels, Settings};
pub use target::{Optimizer, TargetRun, TargetSettings, TrainedTarget, train_target};
pub use vq::{Likeness, TrainedVq, VqFigures, VqRun, VqSettings, train_vq};
