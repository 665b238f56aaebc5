//! One seed, one image: whatever decoder, budget, batch and number of threads. These are a few images of the built-in model in every
//! precision; `families.rs` has every decoder with every tree on tiny models, and the example `same_image` every caption.
#![allow(clippy::unwrap_used)]

#[path = "common/ways.rs"]
mod ways;

use hawk::Precision;
use ways::{Compared, Sweep, check};

#[test]
fn every_decoder_draws_plain_decodings_image_in_bf16() {
    let Compared { images, accepted } = check(Sweep { precision: Precision::Bf16, step: 5, first_way: 0, images: 2 });
    assert_eq!(images, 28);
    assert!(accepted > 600, "only {accepted} guesses were accepted: is a drafter dead?");
}

#[test]
fn every_decoder_draws_plain_decodings_image_in_int8() {
    let Compared { images, .. } = check(Sweep { precision: Precision::Int8, step: 5, first_way: 8, images: 2 });
    assert_eq!(images, 27);
}

#[test]
fn every_decoder_draws_plain_decodings_image_in_f32() {
    let Compared { images, .. } = check(Sweep { precision: Precision::F32, step: 11, first_way: 13, images: 2 });
    assert_eq!(images, 13);
}
