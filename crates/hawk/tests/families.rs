//! Every family with its own grammar: any decoder, tree, batch and number of threads draws plain decoding's image, and guided laws are the
//! reference's.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/family.rs"]
mod family;

use std::fs;
use std::path::{Path, PathBuf};

use family::{BEGIN, BOS, FAMILIES, GOLDEN, PAD, codes, copy, tokenizer, ways, write};
use hawk::{AnyRule, Decoder, Decoding, Engine, LoadOptions, LossyRule, ModelSource, Precision, Rule, Sampling, Tree};
use hawk_spec::{Code, TokenId};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

#[test]
fn every_decoder_and_tree_draws_plain_decodings_image_in_every_family() {
    for family in &FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        family.write(dir.path());
        for precision in Precision::ALL {
            let engines = [1, 2].map(|threads| family.load(dir.path(), precision, threads));
            let plain = family.draw(&engines[0], Decoding::with_defaults(Decoder::AR, Rule::Replay), 1);
            assert_ne!(plain[0].codes, plain[1].codes, "{}", family.name);
            let (mut accepted, mut compared) = (0, 0);
            for (turn, (decoder, tree)) in ways().enumerate() {
                let decoding = Decoding::new(decoder, Rule::Replay, tree.parse::<Tree>().unwrap()).unwrap();
                let guessed = family.draw(&engines[turn % 2], decoding, 1 + turn % 3);
                let what = format!("{} {precision} {decoder} {tree}", family.name);
                assert_eq!(codes(&guessed), codes(&plain), "{what}");
                assert_eq!(guessed[2].image, plain[2].image, "{what}");
                accepted += guessed.iter().map(|image| image.stats.accepted).sum::<u64>();
                compared += guessed.len();
            }
            println!("{} {precision}: {compared} images compared, {accepted} guesses accepted", family.name);
            assert!(accepted > 0, "{} {precision}: no guess was ever right", family.name);
        }
    }
}

#[test]
fn every_rule_runs_and_repeats_itself_in_every_family() {
    for family in &FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        family.write(dir.path());
        let engine = family.load(dir.path(), Precision::Bf16, 2);
        let rules = [Rule::Rejection.into(), AnyRule::Lossy(LossyRule::Typical), AnyRule::Lossy(LossyRule::Lantern)];
        for rule in rules {
            for (decoder, tree) in ways().filter(|(_, tree)| *tree != "auto") {
                let decoding = Decoding::new(decoder, rule, tree.parse::<Tree>().unwrap()).unwrap();
                let [one, two] = [1, 1].map(|batch| family.draw(&engine, decoding, batch));
                assert_eq!(codes(&one), codes(&two), "{} {rule} {decoder} {tree}", family.name);
                let cells = family.side * family.side;
                assert!(one.iter().all(|image| image.codes.len() == cells), "{} {rule}", family.name);
            }
        }
    }
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    file.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

#[test]
fn guided_laws_of_llamagen_are_the_references() {
    for family in FAMILIES.iter().filter(|family| family.name.starts_with("llamagen")) {
        let dir = tempfile::tempdir().unwrap();
        family.write(dir.path());
        let engine = family.load(dir.path(), Precision::F32, 2);
        let golden = fs::read(dir.path().join("golden.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let (cond, uncond) = (numbers(&golden, "logits"), numbers(&golden, "uncond"));
        let of_file = golden.tensor("codes").unwrap();
        let codes: Vec<Code> =
            of_file.data().as_chunks().0.iter().map(|code| Code(i64::from_le_bytes(*code) as u32)).collect();
        let (cfg, temperature) = (engine.config().defaults.cfg(), 0.8);
        let (mut at, mut worst) = (0, 0.0_f32);
        let sampling = Sampling::new(cfg, temperature, 0, 1.0).unwrap();
        let compare = &mut |seen: hawk::Observed<'_>| {
            for score in seen.scores {
                let want = (uncond[at] + cfg * (cond[at] - uncond[at])) / temperature;
                worst = worst.max((score - want).abs());
                at += 1;
            }
            Ok(())
        };
        engine.observe(family.prompt, &codes, &sampling, compare).unwrap();
        println!("{}: guided by {cfg}, off by {worst:.1e}", family.name);
        assert!(at == cond.len() && worst < 4.0 * cfg * 2e-4, "{}: {worst}", family.name);
    }
}

fn janus(dir: &Path) -> Engine {
    FAMILIES[1].write(dir);
    FAMILIES[1].load(dir, Precision::F32, 1)
}

#[test]
fn a_janus_reads_its_conversation_and_a_partner_of_padding() {
    let dir = tempfile::tempdir().unwrap();
    let engine = janus(dir.path());
    let conditioning = engine.conditioning("  a red apple\n").unwrap();
    // "<|", "User", "|>:", the words, "<|", "Assistant", "|>:".
    let words = [0, 7, 0, 4, 5, 6, 0, 8, 0];
    let ids = |ids: &[u32]| ids.iter().copied().map(TokenId).collect::<Vec<_>>();
    assert_eq!(conditioning.cond.tokens(), ids(&[&[BOS], &words[..], &[BEGIN]].concat()));
    assert_eq!(conditioning.uncond.tokens(), ids(&[&[BOS], &[PAD; 9][..], &[BEGIN]].concat()));
    assert_eq!((engine.config().defaults.cfg(), engine.config().defaults.top_k()), (5.0, 0));
    assert_eq!(engine.config().layout.code_offset(), 160);
    for lacking in ["<begin_of_image>", "<｜▁pad▁｜>", "<｜begin▁of▁sentence｜>"] {
        fs::write(dir.path().join("tokenizer.json"), tokenizer().replace(lacking, "<other>")).unwrap();
        let error = Engine::load(ModelSource::Dir(dir.path().to_owned()), LoadOptions::default()).err().unwrap();
        assert!(error.to_string().contains(lacking) && error.to_string().contains("tokenizer.json"), "{error}");
    }
}

/// The name of a tensor in deepseek-ai/Janus, from that in transformers.
fn original_name(name: &str) -> Option<String> {
    let renamed = [
        ("model.language_model.", "language_model.model."),
        ("model.generation_embeddings.", "gen_embed."),
        ("model.generation_aligner.fc1.", "gen_aligner.layers.0."),
        ("model.generation_aligner.hidden_layers.0.", "gen_aligner.layers.2."),
        ("model.generation_head.proj_out.", "gen_head.output_mlp_projector."),
        ("model.generation_head.vision_head.", "gen_head.vision_head."),
    ];
    renamed.into_iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)))
}

fn shards(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(".safetensors")).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("model"));
    files.sort();
    files
}

#[test]
fn both_layouts_of_a_janus_draw_the_same_codes() {
    let (converted, original) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = janus(converted.path());
    let mut tensors = Vec::new();
    for file in shards(converted.path()) {
        let bytes = fs::read(file).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            if let Some(name) = original_name(name) {
                tensors.push((name, view.shape().to_vec(), view.data().to_vec()));
            }
        }
    }
    write(&original.path().join("model.safetensors"), &tensors);
    // Its VQ tokenizer has fixed sizes, too large for a test: one of the same number of codes stands in `vq/`.
    copy(&Path::new(GOLDEN).join("llamagen-c2i/vq"), &original.path().join("vq"));
    fs::write(original.path().join("tokenizer.json"), tokenizer()).unwrap();
    let config = json!({
        "model_type": "multi_modality",
        "language_config": {"model_type": "llama", "hidden_size": 64, "intermediate_size": 144, "num_hidden_layers": 2,
                            "num_attention_heads": 4, "vocab_size": 160, "max_position_embeddings": 256},
        "vision_config": {"cls": "CLIPVisionTower", "params": {"image_size": 64}},
        "gen_vision_config": {"cls": "VQ-16", "params": {"image_token_size": 96, "n_embed": 8}},
        "gen_aligner_config":
            {"cls": "MlpProjector",
             "params": {"depth": 2, "input_dim": 8, "n_embed": 64, "projector_type": "mlp_gelu"}},
        "gen_head_config":
            {"cls": "vision_head", "params": {"image_token_embed": 64, "image_token_size": 96, "n_embed": 64}},
    });
    fs::write(original.path().join("config.json"), config.to_string()).unwrap();
    let other = FAMILIES[1].load(original.path(), Precision::F32, 2);
    let decoding = Decoding::with_defaults(Decoder::AR, Rule::Replay);
    let [a, b] = [&engine, &other].map(|engine| FAMILIES[1].draw(engine, decoding, 1));
    assert_eq!(codes(&a), codes(&b));
    let found = hawk::inspect(&ModelSource::Dir(original.path().to_owned())).unwrap();
    assert_eq!((found.faults, found.left_over), (Vec::<String>::new(), Vec::<String>::new()));
}

#[test]
fn conditions_that_a_model_cannot_draw_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    FAMILIES[2].write(dir.path());
    let c2i = FAMILIES[2].load(dir.path(), Precision::F32, 1);
    assert_eq!(c2i.conditioning(" 9 ").unwrap().cond.tokens(), [TokenId(96 + 9)]);
    assert_eq!(c2i.conditioning("0").unwrap().uncond.tokens(), [TokenId(96 + 10)]);
    for prompt in ["10", "-1", "a dog", ""] {
        let error = c2i.conditioning(prompt).unwrap_err().to_string();
        assert!(error.contains("0 to 9") && error.contains(&format!("{prompt:?}")), "{error}");
    }
    let features = fs::read(Path::new(GOLDEN).join("llamagen-t2i/features.safetensors")).unwrap();
    assert!(c2i.with_features(features).err().unwrap().to_string().contains("reads no features"));
    let dir = tempfile::tempdir().unwrap();
    FAMILIES[3].write(dir.path());
    let t2i = Engine::load(ModelSource::Dir(dir.path().to_owned()), LoadOptions::default()).unwrap();
    assert!(t2i.features_digest("a dog").is_empty());
    assert!(t2i.conditioning("a dog").unwrap_err().to_string().contains("--features"));
    let t2i = FAMILIES[3].load(dir.path(), Precision::F32, 1);
    let conditioning = t2i.conditioning("a dog").unwrap();
    assert_eq!(conditioning.cond.tokens()[0], TokenId(96 + 12));
    assert_eq!((conditioning.uncond.tokens()[0], conditioning.uncond.tokens().len()), (TokenId(96 + 5), 7));
    assert_eq!(t2i.features_digest("a dog").len(), 64);
    // One prompt's own features leave the others theirs.
    let one = TensorView::new(Dtype::F32, vec![1, 24], &[0; 96]).unwrap();
    let one = safetensors::serialize([("features", one)], None).unwrap();
    let t2i = t2i.with_features_of("a cat", one).unwrap();
    assert_eq!(t2i.conditioning("a cat").unwrap().cond.tokens().len(), 1);
    assert_eq!(t2i.conditioning("a dog").unwrap(), conditioning);
    assert_ne!(t2i.features_digest("a cat"), t2i.features_digest("a dog"));
}
