//! Sizes that the model draws: from its own law over the size tokens.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hawk::{Engine, ImageSize, LoadOptions, ModelSource, Precision, Seed};
use hawk_nn::lumina_sizes;
use hawk_spec::TokenId;
use hawk_synth::{SynthModel, synthesize};

const OPTIONS: LoadOptions = LoadOptions { precision: Precision::F32, threads: 1 };
/// Pixels that a size token counts in.
const UNIT: u32 = 32;
const DRAWS: u64 = 6000;
/// The first of the seeds.
const SEED: u64 = 100_000;

/// The law of the unit behind `prefix`: the ten likeliest of those that may be.
fn law(source: &ModelSource, base: u32, prefix: &[TokenId], units: &[u32]) -> Vec<(u32, f64)> {
    let (logits, vocabulary) = hawk::logits(source, OPTIONS, prefix).unwrap();
    let last = &logits[logits.len() - vocabulary..];
    let mut units = units.to_vec();
    units.sort_unstable();
    units.dedup();
    units.sort_by(|a, b| last[(base + b) as usize].total_cmp(&last[(base + a) as usize]).then(a.cmp(b)));
    units.truncate(10);
    let weights: Vec<f64> = units.iter().map(|unit| f64::from(last[(base + unit) as usize]).exp()).collect();
    let sum: f64 = weights.iter().sum();
    units.into_iter().zip(weights.into_iter().map(|weight| weight / sum)).collect()
}

/// Chi-square of what was seen against what was expected, in standard deviations; what is expected fewer than 5 times counts together.
#[track_caller]
fn fits(counts: &[(f64, f64)]) {
    let (often, rare): (Vec<_>, Vec<_>) = counts.iter().partition(|(_, expected)| *expected >= 5.0);
    let rest = rare.iter().fold((0.0, 0.0), |sum, (seen, expected)| (sum.0 + seen, sum.1 + expected));
    let all = often.into_iter().chain((rest.1 >= 1.0).then_some(rest));
    let terms: Vec<f64> = all.map(|(seen, expected)| (seen - expected).powi(2) / expected).collect();
    let freedom = terms.len() as f64 - 1.0;
    let deviation = (terms.iter().sum::<f64>() - freedom) / f64::sqrt(2.0 * freedom.max(1.0));
    println!("{deviation:.2} standard deviations, {freedom} degrees of freedom");
    assert!(deviation < 4.0, "{deviation:.1} standard deviations: {counts:?}");
}

#[test]
fn sizes_are_drawn_from_the_law_of_their_tokens_and_prompts_name_the_asked_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tiny");
    synthesize(SynthModel::TinyLumina, 7, &folder, &(Arc::new(|_, _| ()) as hawk_nn::Progress)).unwrap();
    let source = ModelSource::Dir(folder);
    let engine = Engine::load(source.clone(), OPTIONS).unwrap();
    let sizes: Vec<ImageSize> = [512, 768, 1024].into_iter().flat_map(lumina_sizes).collect();
    let conditioning = engine.conditioning("x").unwrap();
    let tokens = conditioning.cond.tokens();
    // The forced tokens say where size tokens begin: 768 pixels are 24 units.
    let (before, forced) = tokens.split_at(tokens.len() - 2);
    let base = forced[0].0 - engine.config().image_size.height / UNIT;
    let drawn: Vec<ImageSize> = (0..DRAWS).map(|seed| engine.draw_size("x", Seed(SEED + seed)).unwrap()).collect();
    assert!(drawn.iter().all(|size| sizes.contains(size)));
    assert_eq!(engine.draw_size("x", Seed(SEED + 3)).unwrap(), drawn[3]);
    let heights: Vec<u32> = sizes.iter().map(|size| size.height / UNIT).collect();
    let mut seen = Vec::new();
    for (height, probability) in law(&source, base, before, &heights) {
        let of_height: Vec<&ImageSize> = drawn.iter().filter(|size| size.height / UNIT == height).collect();
        seen.push((of_height.len() as f64, probability * DRAWS as f64));
        // Widths, given the height, where it came often enough to count.
        if of_height.len() >= 200 {
            let prefix = [before, &[TokenId(base + height)]].concat();
            let possible = sizes.iter().filter(|size| size.height / UNIT == height);
            let widths: Vec<u32> = possible.map(|size| size.width / UNIT).collect();
            let of_width = |width: u32| of_height.iter().filter(|size| size.width / UNIT == width).count() as f64;
            let law = law(&source, base, &prefix, &widths);
            fits(&law.iter().map(|(width, p)| (of_width(*width), p * of_height.len() as f64)).collect::<Vec<_>>());
        }
    }
    assert!(seen.len() == 10);
    fits(&seen);

    let other = drawn.iter().find(|size| **size != engine.config().image_size).unwrap();
    let engine = engine.with_drawn_size(*other).unwrap();
    let tokens = engine.conditioning("x").unwrap().cond.tokens().to_vec();
    assert_eq!(tokens[..tokens.len() - 2], *before, "the prompt names the size that was asked for");
    assert_eq!(tokens[tokens.len() - 2..], [other.height, other.width].map(|side| TokenId(base + side / UNIT)));
}

#[test]
fn models_of_one_size_draw_none() {
    let engine = Engine::load(hawk::built_in_model(), OPTIONS).unwrap();
    assert!(engine.draw_size("x", Seed(1)).unwrap_err().to_string().contains("no sizes"));
}
