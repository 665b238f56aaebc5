//! Every decoder, tree and batch draws plain decoding's image on a GPU, or on a driver that
//! computes like one.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with tests that use other parts of it")]
#[path = "../../hawk/tests/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "shared with tests that use other parts of it")]
#[path = "../../hawk/tests/common/family.rs"]
mod family;

use family::{FAMILIES, codes, ways};
use hawk::{AnyRule, Decoder, Decoding, LossyRule, Precision, Rule, Tree};
use hawk_gpu::{Api, Gpu};

#[test]
fn every_decoder_and_tree_draws_plain_decodings_image_in_every_family() {
    let gpu = Gpu::open(Api::Vulkan, 0, 2).unwrap();
    // A driver that computes in software takes minutes for all: by default every family has one
    // number format and every decoder two trees.
    let all = std::env::var_os("HAWK_GPU_ALL").is_some();
    let precisions = [Precision::Bf16, Precision::F32, Precision::Int8, Precision::F16];
    for (number, family) in FAMILIES.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        family.write(dir.path());
        for precision in precisions.into_iter().skip(if all { 0 } else { number % 4 }).take(if all { 4 } else { 1 }) {
            let engine = family.load_on(dir.path(), &gpu, precision);
            assert!(engine.device().starts_with("vulkan "), "{}", engine.device());
            let plain = family.draw(&engine, Decoding::with_defaults(Decoder::AR, Rule::Replay), 1);
            assert_ne!(plain[0].codes, plain[1].codes, "{}", family.name);
            let mut accepted = 0;
            let ways = ways().filter(|(_, tree)| all || ["1", "5", "7", "auto"].contains(tree));
            for (turn, (decoder, tree)) in ways.enumerate() {
                let decoding = Decoding::new(decoder, Rule::Replay, tree.parse::<Tree>().unwrap()).unwrap();
                let guessed = family.draw(&engine, decoding, 1 + turn % 3);
                let what = format!("{} {precision} {decoder} {tree}", family.name);
                assert_eq!(codes(&guessed), codes(&plain), "{what}");
                assert_eq!(guessed[2].image, plain[2].image, "{what}");
                accepted += guessed.iter().map(|image| image.stats.accepted).sum::<u64>();
            }
            assert!(accepted > 0, "{} {precision}: no guess was ever right", family.name);
        }
    }
}

#[test]
fn every_rule_runs_and_repeats_itself() {
    let gpu = Gpu::open(Api::Vulkan, 0, 2).unwrap();
    let family = &FAMILIES[0];
    let dir = tempfile::tempdir().unwrap();
    family.write(dir.path());
    let engine = family.load_on(dir.path(), &gpu, Precision::Bf16);
    let rules = [Rule::Rejection.into(), AnyRule::Lossy(LossyRule::Typical)];
    for rule in rules {
        for (decoder, tree) in ways().filter(|(_, tree)| *tree == "7") {
            let decoding = Decoding::new(decoder, rule, tree.parse::<Tree>().unwrap()).unwrap();
            let [one, two] = [1, 2].map(|batch| family.draw(&engine, decoding, batch));
            assert_eq!(codes(&one), codes(&two), "{rule} {decoder} {tree}");
        }
    }
}
