//! `hawk text` from outside: what it writes, and what it refuses.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use serde_json::{Value, json};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/built-in");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-nn/tests/golden");

/// A folder with a tiny Llama and heads for it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.hawk(&["synth", "tiny-llama", "--seed", "4", "--out", "llama"]).success();
        place.configure("llama/generation_config.json", |config| config["eos_token_id"] = Value::Null);
        place.hawk(&["synth", "heads", "--model", "llama", "--out", "heads"]).success();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn hawk(&self, args: &[&str]) -> Assert {
        Command::cargo_bin("hawk").unwrap().current_dir(&self.0).args(args).assert()
    }

    /// What a text and the line behind it are.
    #[track_caller]
    fn text(&self, args: &[&str]) -> (String, String) {
        let output =
            self.hawk(&[&["text", "The hawk", "--model", "llama"], args].concat()).success().get_output().clone();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], words: &str) {
        let output = self.hawk(&[&["text"], args].concat()).code(2).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(words) && !message.contains("panicked"), "{args:?}: {message}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn configure(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut config = self.json(name);
        change(&mut config);
        std::fs::write(self.path(name), config.to_string()).unwrap();
    }
}

#[test]
fn one_text_whatever_guesses() {
    let place = Place::new();
    for sampling in [&[][..], &["--temperature", "0.8", "--top-k", "50", "--top-p", "0.9", "--seed", "7"]] {
        let files = ["--tokens-out", "t.json", "--stats", "s.json"];
        let (plain, line) =
            place.text(&[sampling, &files, &["--max-tokens", "40", "--decoder", "ar", "--threads", "1"]].concat());
        assert!(
            line.starts_with("40 tokens in 40 passes (1.00 tokens per pass)") && line.contains("max tokens"),
            "{line}"
        );
        let (tokens, stats) = (place.json("t.json"), place.json("s.json"));
        assert_eq!(tokens["text"].as_str().unwrap().to_owned() + "\n", plain);
        assert_eq!(tokens["prompt_tokens"][0], 1);
        assert_eq!((tokens["tokens"].as_array().unwrap().len(), &tokens["settings"]["decoder"]), (40, &json!("ar")));
        assert_eq!(
            (&stats["target_passes"], &stats["tokens"], &stats["acceptance_length"]),
            (&json!(40), &json!(40), &json!(1.0))
        );
        assert_eq!(stats["settings"]["seed"], if sampling.is_empty() { Value::Null } else { json!(7) });
        for how in
            [&["--tree", "6"][..], &["--budget", "20", "--threads", "2"], &["--tree", "auto", "--decoder", "medusa"]]
        {
            let (guessed, line) =
                place.text(&[sampling, how, &["--heads", "heads", "--max-tokens", "40", "--stats", "g.json"]].concat());
            assert_eq!(guessed, plain, "{how:?}");
            assert!(line.contains("medusa in bf16"), "{line}");
            assert_eq!(place.json("g.json")["settings"]["decoder"], "medusa");
        }
    }
    let (rejection, _) = place.text(&["--heads", "heads", "--rule", "rejection", "--temperature", "1", "--seed", "1"]);
    assert_eq!(
        rejection,
        place.text(&["--heads", "heads", "--rule", "rejection", "--temperature", "1", "--seed", "1"]).0
    );
}

#[test]
fn texts_end_and_heads_may_lie_in_the_models_folder() {
    let place = Place::new();
    place.text(&["--max-tokens", "30", "--tokens-out", "t.json"]);
    let tokens = place.json("t.json")["tokens"].clone();
    let end = tokens.as_array().unwrap().iter().position(|token| *token == tokens[12]).unwrap();
    place.configure("llama/generation_config.json", |config| config["eos_token_id"] = json!([2, tokens[12]]));
    std::fs::rename(place.path("heads"), place.path("llama/heads")).unwrap();
    let (_, line) = place.text(&["--max-tokens", "30", "--tree", "8", "--tokens-out", "e.json", "--chat"]);
    assert!(line.contains("medusa"), "{line}");
    assert_eq!(place.json("e.json")["prompt_tokens"].as_array().unwrap().len(), 2 + "[INST] The hawk [/INST]".len());
    let (_, line) = place.text(&["--max-tokens", "30", "--tree", "8", "--tokens-out", "e.json"]);
    assert!(line.starts_with(&format!("{} tokens in", end + 1)) && line.contains("end of text"), "{line}");
    assert_eq!(place.json("e.json")["tokens"].as_array().unwrap()[..], tokens.as_array().unwrap()[..=end]);
    let (_, line) = place.text(&[
        "--max-tokens",
        "9999",
        "--decoder",
        "ar",
        "--precision",
        "int8",
        "--temperature",
        "9",
        "--seed",
        "1",
    ]);
    assert!(line.contains("end of text") || line.contains("end of positions"), "{line}");
    // A text alone has no images.
    let output = place.hawk(&["generate", "x", "--model", "llama"]).code(2).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("draws no images"));
}

#[test]
fn converted_and_packed_models_write_the_same_text() {
    let place = Place::new();
    let (plain, _) = place.text(&["--max-tokens", "20", "--precision", "int8"]);
    place.hawk(&["convert", "llama", "--out", "packed", "--precision", "int8"]).success();
    assert_eq!(place.json("packed/generation_config.json")["eos_token_id"], Value::Null);
    let output =
        place.hawk(&["text", "The hawk", "--model", "packed", "--max-tokens", "20"]).success().get_output().clone();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), plain);
}

#[test]
fn a_model_of_images_writes_no_codes() {
    let place = Place::new();
    place.hawk(&["synth", "tiny-anole", "--out", "anole"]).success();
    let args = [
        "text",
        "x",
        "--model",
        "anole",
        "--max-tokens",
        "60",
        "--temperature",
        "3",
        "--seed",
        "1",
        "--tokens-out",
        "t.json",
    ];
    place.hawk(&args).success();
    // Of 400 ids the codes are 4 to 67.
    assert!(
        place.json("t.json")["tokens"].as_array().unwrap().iter().all(|id| !(4..68).contains(&id.as_u64().unwrap()))
    );
}

#[test]
fn bad_input_is_refused() {
    let place = Place::new();
    place.hawk(&["synth", "tiny-llama", "--seed", "5", "--out", "other"]).success();
    place.hawk(&["synth", "tiny-llama", "--seed", "4", "--out", "bare"]).success();
    std::fs::remove_file(place.path("bare/tokenizer.json")).unwrap();
    for name in ["vertical", "grid"] {
        std::fs::create_dir(place.path(name)).unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(place.path("heads").join(file), place.path(name).join(file)).unwrap();
        }
    }
    place.configure("vertical/config.json", |config| config["heads"][1] = json!({ "name": "V1", "offset": [1, 0] }));
    place.configure("grid/config.json", |config| config["grid"] = json!([16, 16]));
    let (long, image_heads, janus) = ("hawk ".repeat(200), format!("{MODEL}/heads"), format!("{GOLDEN}/janus"));
    let x = ["x", "--model", "llama"];
    for (args, words) in [
        (&["", "--model", "llama"][..], "prompt is empty"),
        (&["  \n", "--model", "llama", "--chat"], "prompt is empty"),
        (&[&long, "--model", "llama"], "prompt is too long"),
        (&["x", "--model", "bare"], "no tokenizer"),
        (&["x", "--model", "nowhere"], "nowhere"),
        (&["x", "--model", &janus], "model_type llama"),
        (&["x"], "--model"),
        (&[&x[..], &["--decoder", "medusa"]].concat(), "draft heads"),
        (&[&x[..], &["--decoder", "hawk"]].concat(), "medusa"),
        (&[&x[..], &["--rule", "typical"]].concat(), "rejection"),
        (&[&x[..], &["--heads", &image_heads]].concat(), "another target"),
        (&["x", "--model", "other", "--heads", "heads"], "another model"),
        (&[&x[..], &["--heads", "vertical"]].concat(), "text has no rows"),
        (&[&x[..], &["--heads", "grid"]].concat(), "images of 16 x 16 cells"),
        (&[&x[..], &["--heads", "nowhere"]].concat(), "nowhere"),
        (&[&x[..], &["--decoder", "ar", "--tree", "4"]].concat(), "decoder ar"),
        (
            &[&x[..], &["--heads", "heads", "--rule", "rejection", "--tree", "auto", "--temperature", "1"]].concat(),
            "tree",
        ),
        (&[&x[..], &["--temperature=-1"]].concat(), "temperature"),
        (&[&x[..], &["--temperature", "nan"]].concat(), "temperature"),
        (&[&x[..], &["--temperature", "1", "--top-p", "0"]].concat(), "top_p"),
        (&[&x[..], &["--seed", "3"]].concat(), "greedy decoding does not sample"),
        (&[&x[..], &["--max-tokens", "0"]].concat(), "--max-tokens"),
        (&[&x[..], &["--stats", "no/s.json"]].concat(), "no"),
    ] {
        place.refuses(args, words);
    }
    place.configure("llama/generation_config.json", |config| config["eos_token_id"] = json!(9999));
    place.refuses(&x, "generation_config.json: eos_token_id");
    // Heads of text are no heads of images.
    let output = place.hawk(&["generate", "x", "--heads", "heads"]).code(2).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("another target"));
}
