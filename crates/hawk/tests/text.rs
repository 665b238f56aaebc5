//! Text: the same text from every decoder, its ends, its law.
#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawk::{
    CellSource, Decoder, Decoding, GeneratedText, LoadOptions, ModelSource, Precision, PromptStyle, Result, Rule,
    Sampling, Seed, Stop, TextEngine, TextEvent, TextRequest, TextSampling, Tree,
};
use hawk_nn::Progress;
use hawk_spec::{Cell, DecodeStats, ImageIndex, Noise, Pipeline, Purpose, TokenId, Warper, probabilities};
use hawk_synth::{SynthModel, synthesize, synthesize_heads};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

const PROMPTS: [&str; 5] =
    ["The hawk is a bird of prey", "x", "Äpfel 🍎 and 日本語", "1 2 3 1 2 3 1 2", "a much longer prompt, "];

fn silent() -> Progress {
    Arc::new(|_, _| ())
}

/// A folder with a model whose texts do not end by themselves, and heads for it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        synthesize(SynthModel::TinyLlama, 3, &place.model(), &silent()).unwrap();
        place.configure("generation_config.json", |config| config["eos_token_id"] = Value::Null);
        place.make_heads();
        place
    }

    /// A model of five ids, of which even random heads guess some.
    fn of_few_ids() -> Self {
        let place = Self::new();
        cut(&place.model());
        place.reconfigure(|config| config["vocab_size"] = json!(IDS));
        place
    }

    /// Another config, and heads for the model that it makes.
    fn reconfigure(&self, change: impl FnOnce(&mut Value)) {
        self.configure("config.json", change);
        std::fs::remove_dir_all(self.0.path().join("heads")).unwrap();
        self.make_heads();
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("model")
    }

    fn make_heads(&self) {
        let source = ModelSource::Dir(self.model());
        synthesize_heads(&source, "tiny", 5, &self.0.path().join("heads"), &silent()).unwrap();
    }

    fn configure(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.model().join(file);
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(path, config.to_string()).unwrap();
    }

    fn engine(&self, precision: Precision, threads: usize) -> TextEngine {
        let engine = TextEngine::load(ModelSource::Dir(self.model()), LoadOptions { precision, threads }).unwrap();
        engine.with_heads(&ModelSource::Dir(self.0.path().join("heads"))).unwrap()
    }
}

fn decoding(decoder: Decoder, rule: Rule, tree: &str) -> Decoding {
    Decoding::new(decoder, rule, tree.parse::<Tree>().unwrap()).unwrap()
}

fn request(prompt: &str, sampling: TextSampling, decoding: Decoding) -> TextRequest {
    TextRequest { prompt: prompt.to_owned(), style: PromptStyle::Plain, sampling, decoding, max_tokens: 48 }
}

fn drawn(seed: u64) -> TextSampling {
    TextSampling::Drawn { sampling: Sampling::new(1.0, 0.7, 40, 0.95).unwrap(), seed: Seed(seed) }
}

fn write(engine: &TextEngine, request: &TextRequest) -> GeneratedText {
    engine.generate(request, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Plain decoding against guesses on other threads. Returns what the guesses of trees did whose size does not depend on the machine.
fn check(place: &Place, precision: Precision, decoder: Decoder, prompts: &[&str]) -> DecodeStats {
    let (one, two) = (place.engine(precision, 1), place.engine(precision, 2));
    let (mut all, mut different) = (DecodeStats::default(), HashSet::new());
    for (number, prompt) in (0..).zip(prompts) {
        for sampling in [TextSampling::Greedy, drawn(number)] {
            let plain = write(&one, &request(prompt, sampling, decoding(Decoder::AR, Rule::Replay, "1")));
            assert_eq!((plain.tokens.len(), plain.stats.target_passes), (48, 48));
            for tree in ["2", "4", "7", "16", "40", "auto", "4x2x1"] {
                let guessed = write(&two, &request(prompt, sampling, decoding(decoder, Rule::Replay, tree)));
                assert_eq!(guessed.tokens, plain.tokens, "{decoder} {precision} {prompt:?} {sampling:?} {tree}");
                assert_eq!((guessed.prompt, guessed.stop), (plain.prompt.clone(), Stop::MaxTokens));
                assert_eq!(guessed.stats.committed, 48);
                if tree != "auto" {
                    all.merge(&guessed.stats);
                }
            }
            // Greedy decoding tests by equality, whatever the rule.
            if sampling == TextSampling::Greedy {
                let guessed = write(&two, &request(prompt, sampling, decoding(decoder, Rule::Rejection, "5")));
                assert_eq!(guessed.tokens, plain.tokens, "{decoder} {precision} {prompt:?} greedy under rejection");
            }
            different.insert(plain.tokens);
        }
    }
    assert_eq!(different.len(), 2 * prompts.len(), "prompts and noise make texts different");
    println!(
        "{decoder} {precision}: {} of {} guesses accepted, {:.2} tokens a pass",
        all.accepted,
        all.nodes,
        all.acceptance_length()
    );
    all
}

#[test]
fn every_decoder_writes_plain_decodings_text_in_every_precision() {
    let (place, few) = (Place::new(), Place::of_few_ids());
    for precision in Precision::ALL {
        for decoder in [Decoder::MEDUSA, Decoder::SCD, Decoder::SOAR] {
            check(&place, precision, decoder, &PROMPTS);
            let stats = check(&few, precision, decoder, &["a", "b", "z"]);
            assert!(stats.acceptance_length() > 1.2, "is {decoder} dead? {}", stats.acceptance_length());
        }
    }
}

#[test]
fn the_texts_are_those_of_the_logits() {
    let place = Place::new();
    let engine = place.engine(Precision::F32, 2);
    let source = ModelSource::Dir(place.model());
    for sampling in [TextSampling::Greedy, drawn(11)] {
        let text = write(&engine, &request(PROMPTS[0], sampling, decoding(Decoder::MEDUSA, Rule::Replay, "6")));
        let all = [text.prompt.clone(), text.tokens.clone()].concat();
        let options = LoadOptions { precision: Precision::F32, threads: 1 };
        let (logits, ids) = hawk::logits(&source, options, &all).unwrap();
        let (mut warper, mut scores) = (Warper::new(Pipeline::TEMPERATURE_FIRST, ids), vec![0.0; ids]);
        for (cell, &token) in (0..).map(Cell).zip(&text.tokens) {
            let logits = &logits[(text.prompt.len() - 1 + cell.index()) * ids..][..ids];
            let code = match sampling {
                TextSampling::Greedy => (0..ids).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32,
                TextSampling::Drawn { sampling, seed } => {
                    warper.warp(&sampling, logits, None, &mut scores).unwrap();
                    Noise { seed, image: ImageIndex(0) }.at(cell, Purpose::Text).argmax(&scores).unwrap().0
                }
            };
            assert_eq!(code, token.0, "token {cell}, {sampling:?}");
        }
    }
}

#[test]
fn events_tell_every_token_and_an_observer_may_break_off() {
    let place = Place::new();
    let engine = place.engine(Precision::Bf16, 1);
    for rule in [Rule::Replay, Rule::Rejection] {
        let request = request(PROMPTS[0], drawn(2), decoding(Decoder::MEDUSA, rule, "6"));
        let (mut prompt, mut heard, mut from) = (Vec::new(), Vec::new(), Vec::new());
        let text = engine.generate(&request, &mut |event| {
            match event {
                TextEvent::PrefillDone { prompt: tokens } => prompt = tokens.to_vec(),
                TextEvent::TokensCommitted { tokens, sources } => {
                    assert!(matches!(sources.last(), Some(CellSource::Target(_))));
                    heard.extend_from_slice(tokens);
                    from.extend_from_slice(sources);
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        let text = text.unwrap();
        assert_eq!((&text.prompt, &text.tokens, &text.sources), (&prompt, &heard, &from));
        assert_eq!(text.stats.accepted + text.stats.target_passes, 48);
    }
    let mut steps = 0;
    let broken = engine.generate(&request("x", drawn(2), decoding(Decoder::AR, Rule::Replay, "1")), &mut |_| {
        steps += 1;
        if steps > 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let broken = broken.unwrap();
    assert_eq!((broken.tokens.len(), broken.stop), (5, Stop::Observer));
}

#[test]
fn a_text_ends_with_the_first_end_wherever_it_was_guessed() {
    let place = Place::new();
    let plain = decoding(Decoder::AR, Rule::Replay, "1");
    let mut ended = 0;
    for (number, prompt) in (0..).zip(PROMPTS) {
        for sampling in [TextSampling::Greedy, drawn(number)] {
            place.configure("generation_config.json", |config| config["eos_token_id"] = Value::Null);
            let whole = write(&place.engine(Precision::Bf16, 1), &request(prompt, sampling, plain)).tokens;
            // Two tokens of the text become ends; the first of them in the text must end it.
            let ends = [whole[20], whole[30]];
            let first = whole.iter().position(|token| ends.contains(token)).unwrap();
            place.configure("generation_config.json", |config| config["eos_token_id"] = json!(ends.map(|end| end.0)));
            let engine = place.engine(Precision::Bf16, 1);
            for how in [plain].into_iter().chain([
                decoding(Decoder::MEDUSA, Rule::Replay, "3"),
                decoding(Decoder::MEDUSA, Rule::Replay, "8"),
                decoding(Decoder::MEDUSA, Rule::Replay, "30"),
                decoding(Decoder::SCD, Rule::Replay, "8"),
            ]) {
                let text = write(&engine, &request(prompt, sampling, how));
                assert_eq!((text.tokens, text.stop), (whole[..=first].to_vec(), Stop::Eos), "{prompt:?} {how:?}");
                assert_eq!((text.stats.committed, text.sources.len()), (first as u64 + 1, first + 1));
                // A guessed end is the token of its pass, and no accepted guess.
                let stats = &text.stats;
                let tallied = stats.tallies().map(|(.., tally)| tally.accepted).sum::<u64>();
                assert_eq!((tallied, stats.accepted + stats.target_passes), (stats.accepted, stats.committed));
                assert_eq!(stats.recovered + stats.bonus, stats.target_passes);
                assert!(stats.prefill_passes > 0);
                ended += 1;
            }
        }
    }
    assert_eq!(ended, 50);
}

#[test]
fn positions_and_prompts_are_limited() {
    let place = Place::new();
    place.reconfigure(|config| config["max_position_embeddings"] = json!(40));
    let engine = place.engine(Precision::Bf16, 1);
    for how in [(Decoder::AR, "1"), (Decoder::MEDUSA, "9"), (Decoder::SCD, "9")] {
        let how = decoding(how.0, Rule::Replay, how.1);
        let text = write(&engine, &request(PROMPTS[0], TextSampling::Greedy, how));
        assert_eq!((text.prompt.len() + text.tokens.len(), text.stop), (40, Stop::Positions));
        // Begin of text and a space before 37 letters leave one position.
        let text = write(&engine, &request(&"a".repeat(37), TextSampling::Greedy, how));
        assert_eq!((text.prompt.len(), text.tokens.len(), text.stop), (39, 1, Stop::Positions));
    }
    let refused = |request: TextRequest| -> String {
        let result: Result<_> = engine.generate(&request, &mut |_| ControlFlow::Continue(()));
        result.unwrap_err().to_string()
    };
    let good = request("x", TextSampling::Greedy, decoding(Decoder::AR, Rule::Replay, "1"));
    let guided = TextSampling::Drawn { sampling: Sampling::new(3.0, 1.0, 0, 1.0).unwrap(), seed: Seed(1) };
    for (bad, words) in [
        (TextRequest { prompt: String::new(), ..good.clone() }, "prompt is empty"),
        (TextRequest { prompt: " \n".to_owned(), ..good.clone() }, "prompt is empty"),
        (TextRequest { prompt: "a".repeat(38), ..good.clone() }, "at most 39 tokens"),
        (TextRequest { max_tokens: 0, ..good.clone() }, "max_tokens"),
        (TextRequest { sampling: guided, ..good.clone() }, "guidance"),
        (
            TextRequest { decoding: decoding(Decoder::HAWK, Rule::Replay, "4"), ..good.clone() },
            "ar or sjd or scd or soar or medusa",
        ),
        (
            TextRequest {
                decoding: Decoding::with_defaults(Decoder::MEDUSA, hawk::AnyRule::Lossy(hawk::LossyRule::Typical)),
                ..good.clone()
            },
            "replay or rejection",
        ),
    ] {
        let error = refused(bad);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn chat_stands_around_the_prompt_once() {
    let place = Place::new();
    let engine = place.engine(Precision::Bf16, 1);
    let (chat, plain) =
        (engine.prompt(" hi\n", PromptStyle::Chat), engine.prompt("[INST] hi [/INST]", PromptStyle::Plain));
    let chat = chat.unwrap();
    assert_eq!(chat, plain.unwrap());
    assert_eq!(chat.iter().filter(|token| **token == TokenId(1)).count(), 1);
    // A tokenizer that leaves the begin of text to others.
    place.configure("tokenizer.json", |tokenizer| tokenizer["post_processor"] = Value::Null);
    place.reconfigure(|_| ());
    assert_eq!(place.engine(Precision::Bf16, 1).prompt("hi", PromptStyle::Chat).unwrap(), chat);
}

/// Letters of the tiny language: unknown, begin, end, and these.
const LETTERS: [&str; 2] = ["a", "b"];
const IDS: usize = 5;
const LONGEST: usize = 4;
const TEXTS: u64 = 4000;

/// Cuts the model down to five ids.
fn cut(model: &Path) {
    let path = model.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = whole.iter().map(|(name, tensor)| {
        let mut shape = tensor.shape().to_vec();
        if name.contains("embed_tokens") || name.contains("lm_head") {
            shape[0] = IDS;
        }
        let length = shape.iter().product::<usize>() * 2;
        (name.to_owned(), TensorView::new(tensor.dtype(), shape, &tensor.data()[..length]).unwrap())
    });
    let cut = safetensors::serialize(tensors.collect::<HashMap<_, _>>(), None).unwrap();
    std::fs::write(path, cut).unwrap();
    let names = ["<unk>", "<s>", "</s>"].into_iter().chain(LETTERS).zip(0..);
    let vocab: serde_json::Map<String, Value> =
        names.map(|(name, id): (_, u32)| (name.to_owned(), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
    });
    std::fs::write(model.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

/// The law of all texts after a prompt, by their tokens.
fn exact_law(model: &Path, sampling: &Sampling) -> HashMap<Vec<u32>, f64> {
    let (source, options) = (ModelSource::Dir(model.to_owned()), LoadOptions { precision: Precision::F32, threads: 1 });
    let mut warper = Warper::new(Pipeline::TEMPERATURE_FIRST, IDS);
    let (mut open, mut ended) = (vec![(Vec::new(), 1.0)], HashMap::new());
    while let Some((text, chance)) = open.pop() {
        if text.len() == LONGEST || text.last() == Some(&2) {
            ended.insert(text, chance);
            continue;
        }
        let tokens: Vec<TokenId> = [1, 3].into_iter().chain(text.iter().copied()).map(TokenId).collect();
        let (logits, _) = hawk::logits(&source, options, &tokens).unwrap();
        let (mut scores, mut law) = ([0.0; IDS], [0.0; IDS]);
        warper.warp(sampling, &logits[logits.len() - IDS..], None, &mut scores).unwrap();
        probabilities(&scores, &mut law).unwrap();
        open.extend((0..IDS as u32).map(|id| ([text.clone(), vec![id]].concat(), chance * law[id as usize])));
    }
    assert!((ended.values().sum::<f64>() - 1.0).abs() < 1e-9);
    ended
}

/// Chi-square over its degrees of freedom, in standard deviations above what is expected; texts rarer than 5 in all count as one.
fn deviation(engine: &TextEngine, law: &HashMap<Vec<u32>, f64>, sampling: Sampling, decoding: Decoding) -> (f64, f64) {
    let (mut seen, mut stats) = (HashMap::<Vec<u32>, f64>::new(), DecodeStats::default());
    for seed in (0..TEXTS).map(Seed) {
        let request = request("a", TextSampling::Drawn { sampling, seed }, decoding);
        let text = write(engine, &TextRequest { max_tokens: LONGEST, ..request });
        *seen.entry(text.tokens.iter().map(|token| token.0).collect()).or_default() += 1.0;
        stats.merge(&text.stats);
    }
    let (mut chi, mut freedom, mut rare) = (0.0, -1.0, (0.0, 0.0));
    for (text, chance) in law {
        let (seen, expected) = (seen.get(text).copied().unwrap_or(0.0), chance * TEXTS as f64);
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
    ((chi - freedom) / f64::sqrt(2.0 * freedom), stats.acceptance_length())
}

#[test]
fn every_decoder_and_rule_writes_by_the_targets_joint_law() {
    let place = Place::of_few_ids();
    place.configure("generation_config.json", |config| config["eos_token_id"] = json!(2));
    let engine = place.engine(Precision::F32, 1);
    for sampling in [Sampling::new(1.0, 2.0, 0, 1.0).unwrap(), Sampling::new(1.0, 3.0, 4, 0.98).unwrap()] {
        let law = exact_law(&place.model(), &sampling);
        for rule in [Rule::Replay, Rule::Rejection] {
            for (decoder, tree) in [
                (Decoder::AR, "1"),
                (Decoder::MEDUSA, "2"),
                (Decoder::MEDUSA, "6"),
                (Decoder::MEDUSA, "3x2x1"),
                (Decoder::SCD, "2"),
                (Decoder::SCD, "4"),
            ] {
                let (deviation, length) = deviation(&engine, &law, sampling, decoding(decoder, rule, tree));
                println!("{decoder} {rule} {tree}: {deviation:.2}, {length:.2} tokens a pass");
                assert!(deviation < 4.0, "{decoder} {rule} {tree}: {deviation:.1} standard deviations");
                assert!(decoder == Decoder::AR || length > 1.05, "{rule} {tree}: {length}");
            }
        }
    }
}
