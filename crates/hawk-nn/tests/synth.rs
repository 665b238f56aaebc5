//! Synthetic models: the same for a seed, of the shapes that the loaders ask for, with finite laws.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{
    Arrangement, Checkpoint, Condition, HawkConfig, HeadsConfig, ImageSize, ModelSource, PassLimits, Progress, Readout,
    Target, TextPrompt, TransformerConfig, VqDecoder,
};
use hawk_spec::TokenId;
use hawk_synth::{SynthModel, synthesize, synthesize_heads};

fn silent() -> Progress {
    Arc::new(|_, _| ())
}

fn made(model: SynthModel, dir: &Path) -> ModelSource {
    let out = dir.join(model.name());
    synthesize(model, 7, &out, &silent()).unwrap();
    ModelSource::Dir(out)
}

fn transformer(source: &ModelSource) -> TransformerConfig {
    TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap()
}

fn text_of(config: &HawkConfig) -> &TextPrompt {
    match &config.condition {
        Condition::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tiny_models_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let tiny = SynthModel::ALL.into_iter().filter(|model| model.name().starts_with("tiny"));
    for model in tiny {
        let source = made(model, dir.path());
        let (config, checkpoint) = (transformer(&source), Checkpoint::open(&source, "").unwrap());
        for tensor in config.tensors() {
            assert_eq!(tensor.fault(&checkpoint), None);
        }
        let ids = config.readable();
        let target = Target::load(config.clone(), &checkpoint, Precision::Bf16).unwrap();
        // The head over text of a Janus is not asked for.
        assert!(checkpoint.left_over().iter().all(|name| *name == "language_model.lm_head.weight"));
        let image_side = HawkConfig::of_model(&source, &config).unwrap();
        assert_eq!(image_side.is_none(), model == SynthModel::TinyLlama);
        if let Some(image_side) = image_side {
            let vq = source.vq().unwrap().unwrap();
            image_side.check_decoder(&vq.config).unwrap();
            VqDecoder::of_model(&source).unwrap();
        }
        // Laws that are neither flat nor certain, and depend on what was read.
        let mut streams = [target.stream(8).unwrap()];
        let mut workspace =
            target.workspace(PassLimits { rows: 8, readouts: 8, tokens: 8, vocabulary: ids.len() }).unwrap();
        let rows = &mut streams[0].rows;
        let first = ids.start as u32 + 4;
        (0..8).fold(None, |last, token| Some(rows.push(TokenId(first + token * 3), last, Readout::Logits)));
        let staged = target.forward(&Threads::new(1), &mut workspace, &mut streams, ids).unwrap();
        let spread = |logits: &[f32]| {
            let mean = logits.iter().sum::<f32>() / logits.len() as f32;
            (logits.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / logits.len() as f32).sqrt()
        };
        let (first, last) = (staged.logits(0, 0).unwrap(), staged.logits(0, 7).unwrap());
        assert!((1.0..10.0).contains(&spread(first)) && (1.0..10.0).contains(&spread(last)));
        assert!(first.iter().zip(last).any(|(a, b)| (a - b).abs() > 1.0));
    }
}

#[test]
fn the_grammar_follows_from_the_tokens_names() {
    let dir = tempfile::tempdir().unwrap();
    let source = made(SynthModel::TinyLumina, dir.path());
    let config = HawkConfig::of_model(&source, &transformer(&source)).unwrap().unwrap();
    assert_eq!(config.image_size, ImageSize { height: 768, width: 768 });
    assert_eq!((config.layout.code_offset(), config.layout.codes(), config.layout.grid().rows()), (4, 64, 48));
    let text = text_of(&config);
    assert_eq!((text.bos, text.after_text.as_slice()), (TokenId(0), &[TokenId(326)][..]));
    let prompt = text.template.fill("a {width} pear", config.image_size);
    assert_eq!(prompt, "Generate an image of 768x768 according to the following prompt:\na {width} pear");
    // Rows first on the wire, in units of 32 pixels.
    let wide = config.resized(ImageSize { height: 512, width: 1152 }).unwrap();
    assert_eq!(wide.layout.opening(), [69, 328 + 16, 328 + 36].map(TokenId));
    assert_eq!(text_of(&wide).unconditional_prefix(&wide.layout, 3), wide.layout.opening());
    assert_eq!(wide.layout.grid().cols(), 72);
    for size in [(768, 769), (32, 32), (2048, 2048)] {
        let error = config.resized(ImageSize { height: size.1, width: size.0 }).unwrap_err().to_string();
        assert!(error.contains("the nearest are") && error.contains(&format!("{}x{}", size.0, size.1)), "{error}");
    }
    // What is written down reads the same, and a folder's name gives the size.
    for config in [&config, &wide] {
        assert_eq!(&HawkConfig::from_json(config.to_json().unwrap().to_string().as_bytes()).unwrap(), config);
    }
    let named = dir.path().join("Lumina-mGPT-7B-1024");
    std::fs::rename(dir.path().join("tiny-lumina-mgpt"), &named).unwrap();
    let source = ModelSource::Dir(named);
    let config = HawkConfig::of_model(&source, &transformer(&source)).unwrap().unwrap();
    assert_eq!(config.image_size.width, 1024);

    let source = made(SynthModel::TinyAnole, dir.path());
    let config = HawkConfig::of_model(&source, &transformer(&source)).unwrap().unwrap();
    assert_eq!(text_of(&config).unconditional_prefix(&config.layout, 3), [0, 69].map(TokenId));
    assert_eq!(text_of(&config).after_text, [326, 69].map(TokenId));
    assert_eq!((config.layout.opening().len(), config.layout.sequence_len()), (0, 1024));
    assert_eq!(&HawkConfig::from_json(config.to_json().unwrap().to_string().as_bytes()).unwrap(), &config);
    assert!(config.resized(ImageSize { height: 768, width: 768 }).is_err());
}

#[test]
fn tokenizers_that_are_not_the_familys_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let source = made(SynthModel::TinyLumina, dir.path());
    let path = dir.path().join("tiny-lumina-mgpt/tokenizer.json");
    let good: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (name, id, words) in [
        ("<racm3:break>", None, "<racm3:break>"),
        ("<reserved08799>", None, "08799"),
        ("<reserved08810>", Some(5000), "08810"),
        ("IMGIMGBZ", Some(399), "code 1"),
        ("IMGIMGBZ", None, "code 1"),
        ("<reserved08706>", Some(10), "after_text"),
        ("<s>", Some(70_000), "bos"),
    ] {
        let mut json = good.clone();
        let vocab = json["model"]["vocab"].as_object_mut().unwrap();
        let _ = vocab.remove(name);
        if let Some(id) = id {
            vocab.insert(name.to_owned(), id.into());
        }
        json["added_tokens"].as_array_mut().unwrap().retain(|token| token["content"] != name);
        std::fs::write(&path, json.to_string()).unwrap();
        let error = HawkConfig::of_model(&source, &transformer(&source)).unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn every_model_of_the_list_can_be_written_and_a_seed_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    for model in [SynthModel::TinyJanusPro, SynthModel::TinyLlamaGen, SynthModel::TinyLumina] {
        assert_eq!(model.name().parse::<SynthModel>().unwrap(), model);
        let [a, b, c] = [(1, "a"), (1, "b"), (2, "c")].map(|(seed, name)| {
            let out = dir.path().join(name).join(model.name());
            std::fs::create_dir_all(out.parent().unwrap()).unwrap();
            synthesize(model, seed, &out, &silent()).unwrap();
            assert!(synthesize(model, seed, &out, &silent()).unwrap_err().to_string().contains("already"));
            std::fs::read(out.join("model.safetensors")).unwrap()
        });
        assert!(a == b && a != c, "{}", model.name());
    }
    assert!("janus-pro-2b".parse::<SynthModel>().unwrap_err().to_string().contains("janus-pro-7b"));
    // Broken off in the middle.
    let out = dir.path().join("broken");
    let progress: Progress = Arc::new(|done, total| assert!(done < total / 2, "broken off"));
    assert!(catch_unwind(AssertUnwindSafe(|| synthesize(SynthModel::TinyLumina, 1, &out, &progress))).is_err());
    assert!(!out.exists());
    synthesize(SynthModel::TinyLumina, 1, &out, &silent()).unwrap();
    let whole = dir.path().join("a/tiny-lumina-mgpt");
    let [a, b] = [out, whole].map(|dir| ModelSource::Dir(dir).digest().unwrap());
    assert_eq!(a, b);
}

#[test]
fn heads_are_made_for_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let source = made(SynthModel::TinyLumina, dir.path());
    let out = dir.path().join("heads");
    synthesize_heads(&source, "tiny", 3, &out, &silent()).unwrap();
    let heads = HeadsConfig::from_json(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!((heads.target_digest, heads.heads.len()), (source.digest().unwrap(), 5));
    let target = Target::load(transformer(&source), &Checkpoint::open(&source, "").unwrap(), Precision::Int8).unwrap();
    hawk_nn::Heads::load(&ModelSource::Dir(out), "", &target).unwrap();
    // Text has no rows to look down.
    let (source, out) = (made(SynthModel::TinyLlama, dir.path()), dir.path().join("text-heads"));
    synthesize_heads(&source, "tiny", 3, &out, &silent()).unwrap();
    let heads = HeadsConfig::from_json(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(heads.arrangement, Arrangement::Line);
    assert!(heads.heads.iter().all(|head| head.offset.down() == 0));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chameleon");
    let error = synthesize_heads(&ModelSource::Dir(golden), "x", 3, &dir.path().join("no"), &silent()).unwrap_err();
    assert!(error.to_string().contains("hawk.json"), "{error}");
}
