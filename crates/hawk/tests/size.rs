//! Sizes that the model draws: from its own law over the size tokens.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hawk::{Engine, ImageSize, LoadOptions, ModelSource, Precision, Seed};
use hawk_nn::{SynthModel, lumina_sizes, synthesize};
use hawk_spec::TokenId;

const OPTIONS: LoadOptions = LoadOptions { precision: Precision::F32, threads: 1 };
/// Pixels that a size token counts in.
const UNIT: u32 = 32;
const DRAWS: u64 = 1500;

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
    let drawn: Vec<ImageSize> = (0..DRAWS).map(|seed| engine.draw_size("x", Seed(seed)).unwrap()).collect();
    assert!(drawn.iter().all(|size| sizes.contains(size)));
    assert_eq!(engine.draw_size("x", Seed(3)).unwrap(), drawn[3]);
    let heights: Vec<u32> = sizes.iter().map(|size| size.height / UNIT).collect();
    let (mut chi, mut freedom) = (0.0, -1.0);
    for (height, probability) in law(&source, base, before, &heights) {
        let seen = drawn.iter().filter(|size| size.height / UNIT == height).count() as f64;
        let expected = probability * DRAWS as f64;
        chi += (seen - expected).powi(2) / expected;
        freedom += 1.0;
        // Widths, given the height, where it came often enough to count.
        if seen >= 200.0 {
            let prefix = [before, &[TokenId(base + height)]].concat();
            let of_height = sizes.iter().filter(|size| size.height / UNIT == height);
            let widths: Vec<u32> = of_height.map(|size| size.width / UNIT).collect();
            freedom -= 1.0;
            for (width, probability) in law(&source, base, &prefix, &widths) {
                let both = ImageSize { height: height * UNIT, width: width * UNIT };
                let (seen_both, expected) = (drawn.iter().filter(|size| **size == both).count(), probability * seen);
                chi += (seen_both as f64 - expected).powi(2) / expected;
                freedom += 1.0;
            }
        }
    }
    assert!(freedom > 8.0);
    let deviation = (chi - freedom) / f64::sqrt(2.0 * freedom);
    assert!(deviation.abs() < 4.0, "{deviation:.1} standard deviations");

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
