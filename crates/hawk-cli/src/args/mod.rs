//! Arguments that several commands share.

mod decoding;
mod device;
mod model;
mod sampling;
mod values;

pub(crate) use decoding::{DecodingArgs, budget, decoder, rule, rule_help, tree_forms};
pub(crate) use device::DeviceArgs;
pub(crate) use model::{LoadArgs, ModelArgs, built_in, with_features, with_heads};
pub(crate) use sampling::{SamplingArgs, invalid_setting, not_greedy};
pub(crate) use values::{image_size, precision, threads};
