//! Attention weights against the reference implementation's, and against themselves in other shapes of the pass.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{Attention, Checkpoint, ModelSource, OwnInputs, Target, TransformerConfig};
use hawk_spec::TokenId;
use safetensors::SafeTensors;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn load(dir: &Path, precision: Precision) -> Target {
    let source = ModelSource::Dir(dir.to_owned());
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    Target::load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

fn tensor(path: &Path, name: &str) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap().data().to_vec()
}

fn tokens(dir: &Path) -> Vec<TokenId> {
    let ids = tensor(&dir.join("golden.safetensors"), "input_ids");
    ids.as_chunks::<8>().0.iter().map(|id| TokenId(i64::from_le_bytes(*id) as u32)).collect()
}

/// The weights of a sequence, `[layers, heads, tokens, tokens]`, 0 behind the token.
fn weights(target: &Target, threads: usize, tokens: &[TokenId]) -> Vec<f32> {
    let (heads, count) = (target.config().heads, tokens.len());
    let mut all = vec![0.0; target.config().layers * heads * count * count];
    let mut seen = 0;
    let mut keep = |row: Attention<'_>| {
        assert_eq!((row.logits.len(), row.weights.len()), (row.token + 1, row.token + 1));
        let at = ((row.layer * heads + row.head) * count + row.token) * count;
        all[at..][..=row.token].copy_from_slice(row.weights);
        // The weights are the softmax of the logits.
        let most = row.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = row.logits.iter().map(|logit| (logit - most).exp()).sum();
        let softmax = |logit: &f32| (logit - most).exp() / sum;
        assert!(row.logits.iter().zip(row.weights).all(|(logit, weight)| (softmax(logit) - weight).abs() < 1e-6));
        seen += 1;
    };
    target.attention(&Threads::new(threads), OwnInputs::default(), tokens, &mut keep).unwrap();
    assert_eq!(seen, target.config().layers * heads * count);
    all
}

#[test]
fn weights_are_those_of_transformers() {
    for name in ["chameleon", "chameleon-swin", "llama-gqa"] {
        let dir = golden(name);
        let want = tensor(&dir.join("attention.safetensors"), "weights");
        let want: Vec<f32> = want.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        let got = weights(&load(&dir, Precision::F32), 2, &tokens(&dir));
        assert_eq!(got.len(), want.len());
        let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-5, "{name}: {worst}");
        // A test that cannot see a mask or a head out of place would be none.
        assert!(want.iter().any(|weight| *weight > 0.2), "{name}");
    }
}

#[test]
fn rounded_keys_change_little_and_threads_nothing() {
    let dir = golden("llama-gqa");
    // More tokens than a pass has rows.
    let tokens: Vec<TokenId> = tokens(&dir).into_iter().cycle().take(60).collect();
    let exact = weights(&load(&dir, Precision::F32), 1, &tokens);
    for precision in [Precision::Bf16, Precision::Int8] {
        let target = load(&dir, precision);
        let rounded = weights(&target, 1, &tokens);
        assert!(rounded == weights(&target, 2, &tokens), "{precision}");
        let difference: f32 = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).sum();
        let mean = difference / (target.config().layers * target.config().heads * tokens.len()) as f32;
        assert!(mean > 0.0 && mean < 0.1, "{precision}: {mean} of a mass of 1");
    }
}

#[test]
fn a_long_sequence_goes_through_in_passes() {
    let dir = golden("chameleon");
    let target = load(&dir, Precision::F32);
    let tokens: Vec<TokenId> = tokens(&dir).into_iter().cycle().take(target.config().max_positions.min(90)).collect();
    let long = weights(&target, 2, &tokens);
    let short = weights(&target, 2, &tokens[..40]);
    let (heads, count) = (target.config().heads, tokens.len());
    for at in 0..target.config().layers * heads {
        for token in 0..40 {
            let (long, short) = (&long[(at * count + token) * count..], &short[(at * 40 + token) * 40..]);
            assert!(long[..40] == short[..40], "a later token changes an earlier one's");
        }
    }
}

#[test]
fn what_cannot_run_is_named() {
    let target = load(&golden("llama-gqa"), Precision::F32);
    let run = |tokens: &[u32]| {
        let tokens: Vec<TokenId> = tokens.iter().copied().map(TokenId).collect();
        target.attention(&Threads::new(1), OwnInputs::default(), &tokens, &mut |_| ()).unwrap_err().to_string()
    };
    assert!(run(&[]).contains("at least 1 token"));
    assert!(run(&[1, 100_000]).contains("vocabulary"));
    assert!(run(&[1; 5000]).contains("positions"));
}
