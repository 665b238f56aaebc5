//! Tiny families as users have them, with heads.

use std::fs;
use std::path::Path;

use hawk::{Engine, LoadOptions, ModelSource, Precision, Seed};
use hawk_spec::{Cell, ImageIndex, Noise, Purpose};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use crate::common::{Tiny, write_tiny_model};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-nn/tests/golden");
/// Words of the tiny tokenizer of a Janus; any other is unknown.
pub(crate) fn tokenizer() -> String {
    let special = ["<unk>", "<｜begin▁of▁sentence｜>", "<begin_of_image>", "<｜▁pad▁｜>"];
    let words = special.into_iter().chain(["a", "red", "apple", "User", "Assistant"]);
    let vocab: serde_json::Map<_, _> = words.zip(0..).map(|(word, id)| (word.to_owned(), json!(id))).collect();
    let added = special.iter().zip(0..).map(|(content, id)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
    .to_string()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() { copy(&path, &to.join(name)) } else { fs::copy(&path, to.join(name)).map(|_| ()).unwrap() }
    }
}

/// Heads that say something, whatever: H1 H2 V1 D1-1.
fn write_heads(dir: &Path, width: usize, side: usize) {
    let offsets = [("H1", [0, 1]), ("H2", [0, 2]), ("V1", [1, 0]), ("D1-1", [1, -1])];
    let heads: Vec<_> = offsets.iter().map(|(name, offset)| json!({ "name": name, "offset": offset })).collect();
    let config = json!({
        "architectures": ["HawkHeads"], "speculators_model_type": "hawk", "block": "residual_silu",
        "hidden_size": width, "grid": [side, side], "heads": heads,
        "target": { "name": "tiny", "digest": ModelSource::Dir(dir.to_owned()).digest().unwrap() },
    });
    fs::create_dir_all(dir.join("heads")).unwrap();
    fs::write(dir.join("heads/config.json"), config.to_string()).unwrap();
    let numbers = |stream: u32, count: usize| -> Vec<u8> {
        let noise = Noise { seed: Seed(9), image: ImageIndex(stream) }.at(Cell(0), Purpose::Text);
        let number = |i| noise.uniform(i) as f32 - 0.5;
        (0..count as u32).flat_map(|i| (0.2 * number(i)).to_le_bytes()).collect()
    };
    let tensors: Vec<_> = (0..offsets.len() as u32)
        .flat_map(|head| {
            let weight = (format!("heads.{head}.weight"), vec![width, width], numbers(2 * head, width * width));
            [weight, (format!("heads.{head}.bias"), vec![width], numbers(2 * head + 1, width))]
        })
        .collect();
    write(&dir.join("heads/model.safetensors"), &tensors);
}

fn write(path: &Path, tensors: &[(String, Vec<usize>, Vec<u8>)]) {
    let views =
        tensors.iter().map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The built-in model's family.
const EMOJI: &str = "emoji";

/// A tiny family as a user has it, with heads.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) prompt: &'static str,
    pub(crate) width: usize,
    pub(crate) side: usize,
}

pub(crate) const FAMILIES: [Family; 4] = [
    // Row-end tokens, and a stream without the prompt.
    Family { name: EMOJI, prompt: "red apple, fluent 3d style", width: 32, side: 8 },
    // No row-end tokens, a head of its own, padding.
    Family { name: "janus", prompt: "a red apple", width: 64, side: 4 },
    // Rows and columns turn, one class before the image.
    Family { name: "llamagen-c2i", prompt: "7", width: 80, side: 6 },
    // Features of a caption before the image, which start late.
    Family { name: "llamagen-t2i", prompt: "an apple", width: 64, side: 5 },
];

impl Family {
    pub(crate) fn write(&self, dir: &Path) {
        if self.name == EMOJI {
            return write_tiny_model(dir, Tiny { side: self.side as u32, codes: 24 });
        }
        copy(&Path::new(GOLDEN).join(self.name), dir);
        match self.name {
            "janus" => fs::write(dir.join("tokenizer.json"), tokenizer()).unwrap(),
            "llamagen-t2i" => copy(&Path::new(GOLDEN).join("llamagen-c2i/vq"), &dir.join("vq")),
            _ => {}
        }
        write_heads(dir, self.width, self.side);
    }

    pub(crate) fn load(&self, dir: &Path, precision: Precision, threads: usize) -> Engine {
        let options = LoadOptions { precision, threads };
        let engine = Engine::load(ModelSource::Dir(dir.to_owned()), options).unwrap();
        match fs::read(dir.join("features.safetensors")) {
            Ok(features) => engine.with_features(features).unwrap(),
            Err(_) => engine,
        }
    }
}
