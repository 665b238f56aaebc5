//! One file per command: its arguments and what it does.

pub(crate) mod again;
pub(crate) mod analyze;
pub(crate) mod batch;
pub(crate) mod bench_decoders;
pub(crate) mod bench_model;
pub(crate) mod bench_project;
pub(crate) mod bench_step;
pub(crate) mod convert;
#[cfg(feature = "train")]
pub(crate) mod data_emoji;
#[cfg(feature = "pictures")]
pub(crate) mod data_landscapes;
pub(crate) mod decode;
#[cfg(feature = "train")]
pub(crate) mod evaluate;
#[cfg(feature = "t5")]
pub(crate) mod features;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod logits;
pub(crate) mod pull;
#[cfg(feature = "serve")]
pub(crate) mod serve;
pub(crate) mod synth;
pub(crate) mod text;
#[cfg(feature = "train")]
pub(crate) mod train_heads;
#[cfg(feature = "train")]
pub(crate) mod train_target;
#[cfg(feature = "train")]
pub(crate) mod train_vq;

#[cfg(feature = "train")]
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// The number format of a training run's matrix products.
#[cfg(feature = "train")]
fn train_precision() -> impl TypedValueParser<Value = hawk_train::TrainingPrecision> {
    PossibleValuesParser::new(["f32", "bf16"]).map(|name| match name.as_str() {
        "bf16" => hawk_train::TrainingPrecision::Bf16,
        _ => hawk_train::TrainingPrecision::F32,
    })
}
