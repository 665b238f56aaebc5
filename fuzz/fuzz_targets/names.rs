//! Any text as the value of an option: refused, or read again from what it prints.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use hawk::{AnyRule, Decoder, Tree};
use hawk_files::HeadOffset;
use hawk_hub::Repository;
use hawk_nn::kernels::Precision;
use hawk_synth::SynthModel;
use libfuzzer_sys::fuzz_target;

/// Reads the text and reads again what it prints.
fn round<T: FromStr + Display + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    assert!(value.to_string().parse::<T>().is_ok_and(|again| again == value), "{value}");
}

fuzz_target!(|text: &str| {
    round::<Repository>(text);
    round::<Tree>(text);
    round::<AnyRule>(text);
    let _ = (text.parse::<Decoder>(), text.parse::<HeadOffset>(), text.parse::<Precision>());
    let _ = text.parse::<SynthModel>();
});
