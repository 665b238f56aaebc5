//! The joint law of whole images of a tiny model: what every decoder and rule draws, against the law that its logits give.
#![allow(clippy::unwrap_used)]

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{Tiny, write_tiny_model};
use hawk::{
    AnyRule, Decoder, Decoding, Engine, LoadOptions, LossyRule, ModelSource, Precision, Request, Rule, Sampling, Seed,
    TreeShape,
};
use hawk_spec::{Code, Pipeline, TokenId, Warper, probabilities};

/// 2 x 2 cells of 4 codes, so that whole images can be enumerated.
const CODES: u32 = 4;
const CELLS: usize = 4;
const TINY: Tiny = Tiny { side: 2, codes: CODES };
const IMAGES: u32 = 3000;
const OPTIONS: LoadOptions = LoadOptions { precision: Precision::F32, threads: 1 };

/// The law of every image, by number: cell 0 counts least.
fn exact_law(dir: &Path, engine: &Engine, sampling: &Sampling) -> Vec<f64> {
    let (layout, conditioning) = (&engine.config().layout, engine.conditioning("x").unwrap());
    let mut warper = Warper::new(Pipeline::LUMINA, CODES as usize);
    let last = |prefix: &[TokenId], path: &[Code]| -> Vec<f32> {
        let tokens = [prefix.to_vec(), layout.sequence(path)].concat();
        let (logits, vocabulary) = hawk::logits(&ModelSource::Dir(dir.to_owned()), OPTIONS, &tokens).unwrap();
        let first = logits.len() - vocabulary + layout.code_offset() as usize;
        logits[first..first + CODES as usize].to_vec()
    };
    let images = CODES.pow(CELLS as u32);
    let mut joint = vec![1.0; images as usize];
    for cell in 0..CELLS as u32 {
        for prefix in 0..CODES.pow(cell) {
            let path: Vec<Code> = (0..cell).map(|at| Code(prefix / CODES.pow(at) % CODES)).collect();
            let [cond, uncond] = [&conditioning.cond, &conditioning.uncond].map(|prefix| last(prefix.tokens(), &path));
            let (mut scores, mut law) = (vec![0.0; CODES as usize], vec![0.0; CODES as usize]);
            warper.warp(sampling, &cond, Some(&uncond), &mut scores).unwrap();
            probabilities(&scores, &mut law).unwrap();
            for image in (0..images).filter(|image| image % CODES.pow(cell) == prefix) {
                joint[image as usize] *= law[(image / CODES.pow(cell) % CODES) as usize];
            }
        }
    }
    assert!((joint.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    joint
}

/// Chi-square over its degrees of freedom, in standard deviations above what is expected; images rarer than 5 in all count as one.
fn deviation(engine: &Engine, law: &[f64], sampling: Sampling, decoding: Decoding) -> f64 {
    let request = Request { prompt: "x".to_owned(), seed: Seed(77), images: 0..IMAGES, sampling, decoding, batch: 8 };
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    let mut seen = vec![0.0; law.len()];
    for image in &outcome.images {
        let number = image.codes.iter().rev().fold(0, |number, code| number * CODES + code.0);
        seen[number as usize] += 1.0;
    }
    let (mut chi, mut freedom, mut rare) = (0.0, -1.0, (0.0, 0.0));
    for (seen, law) in seen.iter().zip(law) {
        let expected = law * f64::from(IMAGES);
        if expected < 5.0 {
            rare = (rare.0 + seen, rare.1 + expected);
        } else {
            chi += (seen - expected) * (seen - expected) / expected;
            freedom += 1.0;
        }
    }
    if rare.1 > 0.0 {
        chi += (rare.0 - rare.1) * (rare.0 - rare.1) / rare.1;
        freedom += 1.0;
    }
    assert!(freedom > 10.0, "the law is too narrow to test: {freedom}");
    (chi - freedom) / f64::sqrt(2.0 * freedom)
}

fn every_decoder_and_rule_draws_from_the_joint_law(sampling: Sampling) {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), TINY);
    let engine = Engine::load(ModelSource::Dir(dir.path().to_owned()), OPTIONS).unwrap();
    let law = exact_law(dir.path(), &engine, &sampling);
    for rule in [Rule::Replay, Rule::Rejection] {
        for (decoder, tree) in [
            (Decoder::AR, "1"),
            (Decoder::NEIGHBOUR, "4"),
            (Decoder::SCD, "2"),
            (Decoder::SCD, "3"),
            (Decoder::SCD, "4"),
            (Decoder::SJD, "4"),
            (Decoder::SOAR, "3"),
            (Decoder::SOAR, "6"),
            (Decoder::MEDUSA, "5"),
            (Decoder::HAWK_VERTICAL, "4"),
            (Decoder::HAWK_PAPER, "6"),
            (Decoder::HAWK, "2"),
            (Decoder::HAWK, "6"),
            (Decoder::HAWK, "3x2x1"),
        ] {
            let decoding = Decoding::new(decoder, rule, tree.parse::<TreeShape>().unwrap()).unwrap();
            let deviation = deviation(&engine, &law, sampling, decoding);
            println!("{decoder} {rule} {tree}: {deviation:.2}");
            assert!(deviation < 4.0, "{decoder} {rule} {tree}: {deviation:.1} standard deviations");
        }
    }
}

#[test]
fn every_decoder_and_rule_draws_from_the_targets_joint_law() {
    every_decoder_and_rule_draws_from_the_joint_law(Sampling::new(3.0, 1.0, 0, 1.0).unwrap());
}

#[test]
fn every_decoder_and_rule_draws_from_the_targets_joint_law_that_is_cut_off() {
    every_decoder_and_rule_draws_from_the_joint_law(Sampling::new(1.5, 1.3, 3, 0.95).unwrap());
}

#[test]
fn rules_that_change_the_law_are_seen_to_do_so() {
    let dir = tempfile::tempdir().unwrap();
    write_tiny_model(dir.path(), TINY);
    let engine = Engine::load(ModelSource::Dir(dir.path().to_owned()), OPTIONS).unwrap();
    let sampling = engine.config().defaults;
    let law = exact_law(dir.path(), &engine, &sampling);
    for rule in [LossyRule::Typical, LossyRule::Lantern] {
        let decoding = Decoding::new(Decoder::HAWK, AnyRule::Lossy(rule), "6".parse::<TreeShape>().unwrap()).unwrap();
        let deviation = deviation(&engine, &law, sampling, decoding);
        println!("{rule:?}: {deviation:.1}");
        assert!(deviation > 8.0, "{rule:?}: {deviation:.1} standard deviations");
    }
}
