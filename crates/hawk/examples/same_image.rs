//! Compares every decoder with plain decoding on all captions of the sweep, four images each, in every precision: minutes of work, of
//! which the test `same_image` does a small part.
//!
//! `cargo run --release -p hawk --example same_image`
#![allow(clippy::unwrap_used, reason = "what fails must stop it")]

#[path = "../tests/common/ways.rs"]
mod ways;

use hawk::Precision;
use ways::{Sweep, check};

fn main() {
    for precision in Precision::ALL {
        let compared = check(Sweep { precision, step: 1, first_way: 0, images: 4 });
        println!("{precision}: {} images are equal, {} guesses were accepted", compared.images, compared.accepted);
    }
}
