//! Scores of pictures: the features that FID compares, and the CLIP score of a picture and its prompt.
//!
//! ```no_run
//! use std::path::Path;
//! use hawk_files::ModelSource;
//! use hawk_nn::Image;
//! use hawk_scores::{Clip, Inception};
//!
//! let picture = Image { width: 2, height: 1, pixels: vec![255, 0, 0, 0, 0, 255] };
//! let inception = Inception::open(Path::new("pt_inception-2015-12-05-6726825d.pth"))?;
//! assert_eq!(inception.features(&picture)?.len(), hawk_scores::INCEPTION_FEATURES);
//! let clip = Clip::open(&ModelSource::Dir("clip-vit-base-patch32".into()))?;
//! println!("{:.2}", clip.score(&picture, "a red apple")?);
//! # Ok::<(), hawk_files::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`Inception`] | the network of FID: its features of a picture are those of pytorch-fid |
//! | [`Clip`] | a CLIP model with its tokenizer: its features are those of transformers |
//!
//! # What it does not do
//!
//! It compares no sets of pictures and reads no picture files; `hawk-analyze` does. candle does the
//! arithmetic: no invariant of speculative decoding depends on it.

#![deny(unsafe_code)]

mod clip;
mod inception;
mod tensors;

pub use clip::Clip;
pub use inception::{FEATURES as INCEPTION_FEATURES, Inception};
