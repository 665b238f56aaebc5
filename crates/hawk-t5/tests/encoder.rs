//! The encoder beside transformers' (`tools/golden_t5.py`), and files that lie.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hawk_files::{CaptionFeatures, Error, Fault, ModelSource};
use hawk_kernels::Precision;
use hawk_spec::TokenId;
use hawk_t5::T5Encoder;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

const CAPTIONS: [&str; 3] = ["a red house", "a house by the sea, red", "blue"];
/// Largest difference in f32.
const CLOSE: f32 = 2e-4;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn load(dir: &Path, precision: Precision) -> Result<T5Encoder, Error> {
    T5Encoder::load(&ModelSource::Dir(dir.to_owned()), precision)
}

fn tensor<T>(name: &str, read: fn(&[u8]) -> Vec<T>) -> Vec<T> {
    let bytes = std::fs::read(golden().join("golden.safetensors")).unwrap();
    read(SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap().data())
}

fn states(name: &str) -> Vec<f32> {
    tensor(name, |bytes| bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
}

fn ids(name: &str) -> Vec<TokenId> {
    tensor(name, |bytes| bytes.as_chunks().0.iter().map(|id| TokenId(i64::from_le_bytes(*id) as u32)).collect())
}

fn farthest(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn states_are_those_of_transformers() {
    let mut encoder = load(&golden(), Precision::F32).unwrap();
    // 150 ids: beyond the largest distance that positions tell apart.
    for name in ["0", "1", "2", "long"] {
        let far = farthest(&encoder.states(&ids(&format!("ids.{name}"))).unwrap(), &states(&format!("alone.{name}")));
        println!("{name}: {far:e}");
        assert!(far < CLOSE, "{name}: {far}");
    }
    let mut rounded = load(&golden(), Precision::Bf16).unwrap();
    let far = farthest(&rounded.states(&ids("ids.long")).unwrap(), &states("alone.long"));
    println!("bf16: {far:e}");
    assert!(far > CLOSE && far < 0.15, "weights in bf16: {far}");
}

#[test]
fn features_are_what_padding_leaves_of_a_caption() {
    let mut encoder = load(&golden(), Precision::F32).unwrap();
    for (number, caption) in CAPTIONS.iter().enumerate() {
        assert_eq!(encoder.ids(caption, 120).unwrap(), (ids(&format!("ids.{number}")), 0));
        let features = encoder.features(caption, 120).unwrap();
        // Upstream pads to 120 tokens, masks, and takes the valid ones.
        assert!(farthest(&features.values, &states(&format!("padded.{number}"))) < CLOSE, "{caption}");
        let file = features.to_safetensors().unwrap();
        assert_eq!(file, encoder.features(caption, 120).unwrap().to_safetensors().unwrap());
        let read = CaptionFeatures::from_bytes(file).unwrap();
        assert_eq!((read.count(), features.width, features.cut), (ids(&format!("ids.{number}")).len(), 24, 0));
    }
}

#[test]
fn long_captions_are_cut_and_closed() {
    let mut encoder = load(&golden(), Precision::F32).unwrap();
    let (whole, _) = encoder.ids(CAPTIONS[1], 120).unwrap();
    let (cut, gone) = encoder.ids(CAPTIONS[1], 5).unwrap();
    assert_eq!((&cut[..4], cut[4], gone), (&whole[..4], TokenId(1), whole.len() - 5));
    assert_eq!(encoder.features(CAPTIONS[1], 5).unwrap().cut, whole.len() - 5);
    // No words: the end token alone.
    assert_eq!(encoder.ids("", 120).unwrap(), (vec![TokenId(1)], 0));
    assert_eq!(encoder.features("", 120).unwrap().values.len(), 24);
    assert!(encoder.states(&[]).unwrap_err().to_string().contains("no tokens"));
    assert!(encoder.states(&[TokenId(46)]).unwrap_err().to_string().contains("vocab_size = 46"));
}

/// A copy of the golden folder with another config, tokenizer or weights.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            std::fs::copy(golden().join(name), dir.path().join(name)).unwrap();
        }
        Self(dir)
    }

    fn json(self, name: &str, change: impl Fn(&mut Value)) -> Self {
        let path = self.0.path().join(name);
        let mut json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(path, json.to_string()).unwrap();
        self
    }

    fn weights(self, change: impl Fn(&str, Vec<usize>, Vec<u8>) -> Option<(Vec<usize>, Vec<u8>)>) -> Self {
        let path = self.0.path().join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors: Vec<_> = file
            .iter()
            .filter_map(|(name, view)| Some((name, change(name, view.shape().to_vec(), view.data().to_vec())?)))
            .collect();
        let views = tensors.iter().map(|(name, (shape, data))| {
            (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
        });
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        self
    }

    #[track_caller]
    fn refused(self, words: &str) {
        let error = load(self.0.path(), Precision::F32).and_then(|mut encoder| encoder.features("a house", 120));
        let error = error.unwrap_err();
        assert_eq!(error.fault(), Fault::Input, "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[test]
fn every_field_that_lies_is_named() {
    for (key, value, words) in [
        ("model_type", json!("umt5"), "umt5"),
        ("model_type", Value::Null, "config of a T5"),
        ("feed_forward_proj", json!("swish"), "swish"),
        ("feed_forward_proj", json!("relu"), "dense_act_fn"),
        ("d_model", json!(0), "d_model"),
        ("d_model", json!(32), "[46, 32]"),
        ("d_kv", json!(16), "[64, 24]"),
        ("d_kv", json!(u64::MAX), "d_kv"),
        ("d_ff", json!(-1), "-1"),
        ("num_layers", json!(4), "encoder.block.3."),
        ("num_heads", json!(0), "num_heads"),
        ("relative_attention_num_buckets", json!(2), "relative_attention_num_buckets"),
        ("relative_attention_num_buckets", json!(64), "[64, 4]"),
        ("relative_attention_max_distance", json!(8), "relative_attention_max_distance"),
        ("layer_norm_epsilon", json!(-1.0), "layer_norm_epsilon"),
        ("vocab_size", json!(30), "vocab_size = 30"),
        ("vocab_size", json!(0), "vocab_size"),
        ("eos_token_id", json!(46), "eos_token_id"),
        ("eos_token_id", json!(3), "eos_token_id = 3"),
    ] {
        Copy::new().json("config.json", |config| config[key] = value.clone()).refused(words);
    }
    let config = |config: &mut Value| {
        ["relative_attention_num_buckets", "relative_attention_max_distance", "layer_norm_epsilon", "eos_token_id"]
            .iter()
            .for_each(|key| drop(config.as_object_mut().unwrap().remove(*key)));
    };
    let defaults = Copy::new().json("config.json", config);
    assert!(load(defaults.0.path(), Precision::F32).is_ok(), "these are the library's defaults");
}

#[test]
fn damaged_files_are_refused() {
    let without =
        |gone: &'static str| Copy::new().weights(move |name, shape, data| (name != gone).then_some((shape, data)));
    for name in ["shared.weight", "encoder.final_layer_norm.weight", "encoder.block.2.layer.1.DenseReluDense.wo.weight"]
    {
        without(name).refused(name);
    }
    let nan = |name: &str, shape: Vec<usize>, mut data: Vec<u8>| {
        if name == "encoder.final_layer_norm.weight" {
            data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        Some((shape, data))
    };
    Copy::new().weights(nan).refused("not finite");
    Copy::new().json("tokenizer.json", |t| t["post_processor"] = Value::Null).refused("does not add the end token");
    Copy::new().json("tokenizer.json", |t| t["model"]["vocab"] = json!(7)).refused("tokenizer");
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let copy = Copy::new();
        std::fs::write(copy.0.path().join(name), b"{").unwrap();
        copy.refused(name);
        let copy = Copy::new();
        std::fs::remove_file(copy.0.path().join(name)).unwrap();
        copy.refused(name);
    }
    let error = load(&golden(), Precision::Int8).err().unwrap();
    assert!(error.to_string().contains("f32 or bf16"), "{error}");
    assert!(load(Path::new("nowhere"), Precision::F32).is_err());
    // What a tokenizer was saved with for other calls changes no caption.
    let pads = Copy::new().json("tokenizer.json", |t| {
        t["truncation"] = json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
        t["padding"] = json!({"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                              "pad_type_id": 0, "pad_token": "<pad>"});
    });
    let encoder = load(pads.0.path(), Precision::F32).unwrap();
    assert_eq!(encoder.ids(CAPTIONS[0], 120).unwrap().0, ids("ids.0"));
}
