//! Features beside pytorch-fid's and transformers' (`tools/golden_scores.py`), and files that lie.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use hawk_files::ModelSource;
use hawk_nn::Image;
use hawk_scores::{Clip, INCEPTION_FEATURES, Inception};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;

/// Largest difference.
const CLOSE: f64 = 1e-3;

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden() -> Value {
    serde_json::from_slice(&std::fs::read(golden_folder().join("golden.json")).unwrap()).unwrap()
}

fn clip(dir: &Path) -> Result<Clip, hawk_files::Error> {
    Clip::open(&ModelSource::Dir(dir.to_owned()))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The picture of the tool's formula.
fn picture(of: &Value) -> Image {
    let [width, height] = ["width", "height"].map(|side| of[side].as_u64().unwrap() as u32);
    let level = |x: u32, y: u32, c: u32| ((x * 7 + y * 13 + c * 50 + x * y % 31) % 256) as u8;
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| level(x, y, c))));
    Image { width, height, pixels: pixels.collect() }
}

#[track_caller]
fn assert_close(got: &[f32], want: &[f64], most: f64) {
    assert_eq!(got.len(), want.len());
    let far = got.iter().zip(want).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    println!("{far:e}");
    assert!(far < most, "{far}");
}

/// SplitMix64 from a seed, as numbers in 0..1 with 24 bits.
fn uniform(seed: u64, count: usize) -> impl Iterator<Item = f64> {
    (1..=count as u64).map(move |at| {
        let z = seed.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}

/// A tensor of Inception by the tool's formula.
fn weight(name: &str, shape: &[usize]) -> Vec<u8> {
    let seed = name.bytes().zip(1..).map(|(letter, at)| u64::from(letter) * at).sum();
    let fan_in: usize = shape[1..].iter().product();
    let number = |u: f64| match name {
        _ if name.starts_with("fc.") => 0.0 * u,
        _ if name.ends_with("conv.weight") => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
        _ if name.ends_with("bn.weight") || name.ends_with("running_var") => 0.8 + 0.4 * u,
        _ => 0.2 * (2.0 * u - 1.0),
    };
    uniform(seed, shape.iter().product()).flat_map(|u| (number(u) as f32).to_le_bytes()).collect()
}

/// Writes weights in the names of pytorch-fid.
fn write_inception(path: &Path, classes: usize, without: Option<&str>) {
    let mut shapes = vec![("fc.weight".to_owned(), vec![classes, INCEPTION_FEATURES])];
    for line in include_str!("golden/inception.txt").lines() {
        let (name, sizes) = line.split_once(' ').unwrap();
        let shape: Vec<usize> = sizes.split(' ').map(|size| size.parse().unwrap()).collect();
        for part in ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"] {
            shapes.push((format!("{name}.{part}"), vec![shape[0]]));
        }
        shapes.push((format!("{name}.conv.weight"), shape));
    }
    let tensors: HashMap<String, (Vec<u8>, Vec<usize>)> = shapes
        .into_iter()
        .filter(|(name, _)| without != Some(name))
        .map(|(name, shape)| (name.clone(), (weight(&name, &shape), shape)))
        .collect();
    let views = tensors
        .iter()
        .map(|(name, (bytes, shape))| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn features_of_inception_are_those_of_pytorch_fid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inception.safetensors");
    write_inception(&path, 1008, None);
    let inception = Inception::open(&path).unwrap();
    for of in golden()["inception"].as_array().unwrap() {
        let features = inception.features(&picture(of)).unwrap();
        assert_eq!(features.len(), INCEPTION_FEATURES);
        let some: Vec<f32> = features.iter().copied().step_by(64).collect();
        assert_close(&some, &numbers(&of["every_64th"]), CLOSE);
        let mean = features.iter().map(|x| f64::from(*x)).sum::<f64>() / features.len() as f64;
        let length = features.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!((mean - of["mean"].as_f64().unwrap()).abs() < CLOSE, "{mean}");
        assert!((length - of["length"].as_f64().unwrap()).abs() < CLOSE * 10.0, "{length}");
    }
    let empty = Image { width: 2, height: 2, pixels: vec![0; 11] };
    assert!(inception.features(&empty).unwrap_err().to_string().contains("2 x 2"));
}

#[test]
fn other_weights_than_those_of_fid_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, words: &str| {
        let error = Inception::open(&dir.path().join(name)).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    };
    write_inception(&dir.path().join("torchvision.safetensors"), 1000, None);
    refused("torchvision.safetensors", "torchvision's weights");
    let without = "Mixed_7c.branch3x3_2b.bn.running_var";
    write_inception(&dir.path().join("part.safetensors"), 1008, Some(without));
    refused("part.safetensors", without);
    std::fs::copy(golden_folder().join("clip/model.safetensors"), dir.path().join("clip.safetensors")).unwrap();
    refused("clip.safetensors", "not the weights of FID's Inception");
    refused("gone.pth", "gone.pth");
}

#[test]
fn features_of_clip_are_those_of_transformers() {
    let (clip, golden) = (clip(&golden_folder().join("clip")).unwrap(), golden());
    for of in golden["clip"]["texts"].as_array().unwrap() {
        let text = of["text"].as_str().unwrap();
        let ids: Vec<f64> = clip.ids(text).unwrap().into_iter().map(f64::from).collect();
        assert_eq!(ids, numbers(&of["ids"]), "{text}");
        assert_close(&clip.text_features(text).unwrap(), &numbers(&of["features"]), CLOSE);
    }
    for (at, of) in golden["clip"]["images"].as_array().unwrap().iter().enumerate() {
        let features = clip.picture_features(&picture(of)).unwrap();
        // The first has the model's size; the filter that resizes the others rounds once and not twice.
        assert_close(&features, &numbers(&of["features"]), if at == 0 { CLOSE } else { 10.0 * CLOSE });
    }
    let (image, text) = (&golden["clip"]["images"][0], &golden["clip"]["texts"][0]);
    let features = numbers(&image["features"]).into_iter().zip(numbers(&text["features"]));
    let cosine: f64 = features.map(|(a, b)| a * b).sum();
    let score = clip.score(&picture(image), text["text"].as_str().unwrap()).unwrap();
    assert!((score - (100.0 * cosine).max(0.0)).abs() < 100.0 * CLOSE, "{score}");
}

#[test]
fn damaged_files_of_a_clip_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"] {
        std::fs::copy(golden_folder().join("clip").join(name), dir.path().join(name)).unwrap();
    }
    let config = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
    let refused = |from: &str, to: &str, words: &str| {
        assert!(config.contains(from), "{from}");
        std::fs::write(dir.path().join("config.json"), config.replace(from, to)).unwrap();
        let error = clip(dir.path()).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused("\"clip\"", "\"siglip\"", "not a CLIP");
    refused("quick_gelu", "gelu", "unsupported activation");
    refused("\"num_attention_heads\": 4", "\"num_attention_heads\": 5", "num_attention_heads");
    refused("\"patch_size\": 8", "\"patch_size\": 0", "patch_size");
    refused("\"patch_size\": 8", "\"patch_size\": 4", "patch_embedding");
    refused("\"hidden_size\": 24", "\"hidden_size\": 28", "text_");
    refused("{", "[", "config.json");
    std::fs::write(dir.path().join("config.json"), &config).unwrap();
    std::fs::write(dir.path().join("preprocessor_config.json"), "{\"image_std\": [1, 0, 1]}").unwrap();
    assert!(clip(dir.path()).err().unwrap().to_string().contains("image_std"));
    std::fs::remove_file(dir.path().join("preprocessor_config.json")).unwrap();
    assert!(clip(dir.path()).is_ok());
    std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    assert!(clip(dir.path()).err().unwrap().to_string().contains("tokenizer.json"));
}
