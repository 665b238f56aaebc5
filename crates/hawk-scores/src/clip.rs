//! The CLIP score: how near a picture and its prompt are in the features of a CLIP model.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};
use hawk_files::{Checkpoint, Error, ModelSource, Result, TextTokenizer, from_json, hex};
use hawk_nn::Image;
use image::RgbImage;
use image::imageops::{self, FilterType};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::tensors::{broken, check, have_threads, numbers, planes, read};

/// Means and spreads of the channels of CLIP's training pictures.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_55, 0.261_302_6, 0.275_777_1];
/// For messages.
const WHAT: &str = "CLIP";

/// A CLIP model with its tokenizer, in the layout of Hugging Face, such as openai/clip-vit-base-patch32.
pub struct Clip {
    model: ClipModel,
    tokenizer: TextTokenizer,
    /// Side of the pictures that the model sees.
    side: u32,
    /// Most ids of a text.
    positions: usize,
    mean: [f32; 3],
    std: [f32; 3],
    digest: String,
}

#[derive(Deserialize)]
struct RawConfig {
    model_type: String,
    #[serde(default = "default_projection")]
    projection_dim: usize,
    text_config: RawText,
    vision_config: RawVision,
}

#[derive(Deserialize)]
#[serde(default)]
struct RawText {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
}

#[derive(Deserialize)]
#[serde(default)]
struct RawVision {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: String,
}

/// `preprocessor_config.json`.
#[derive(Deserialize)]
struct RawPicture {
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

fn default_projection() -> usize {
    512
}

impl Default for RawText {
    /// Those of transformers.
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_owned(),
        }
    }
}

impl Default for RawVision {
    /// Those of transformers.
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".to_owned(),
        }
    }
}

impl Clip {
    /// Reads `config.json`, `tokenizer.json`, the weights and, where it is there, `preprocessor_config.json`.
    ///
    /// # Errors
    /// A file is missing, damaged or of another kind of model, sizes contradict each other, or the system
    /// refuses threads.
    pub fn open(source: &ModelSource) -> Result<Self> {
        have_threads()?;
        let config = config(&source.read("config.json")?).map_err(|e| e.at(source.describe("config.json")))?;
        let tokenizer = TextTokenizer::from_bytes(&source.read("tokenizer.json")?)
            .map_err(|e| e.at(source.describe("tokenizer.json")))?;
        if tokenizer.ids() > config.text_config.vocab_size {
            return Err(Error::input("the tokenizer has more ids than the model")
                .at(source.describe("tokenizer.json"))
                .expected(format!("at most vocab_size = {} ids", config.text_config.vocab_size))
                .got(tokenizer.ids()));
        }
        let (mean, std) = channels(source)?;
        let checkpoint = Checkpoint::open(source, "")?;
        let (mut tensors, mut digest) = (HashMap::new(), Sha256::new());
        for (name, shape) in wanted(&config) {
            let numbers = read(&checkpoint, &name, &shape, &mut digest)?;
            let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).map_err(|e| broken(WHAT, &e))?;
            tensors.insert(name, tensor);
        }
        let vars = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let model = ClipModel::new(vars, &config).map_err(|e| broken(WHAT, &e))?;
        let (side, positions) = (config.image_size as u32, config.text_config.max_position_embeddings);
        Ok(Self { model, tokenizer, side, positions, mean, std, digest: hex(&digest.finalize()) })
    }

    /// SHA-256 over the weights.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The ids of a text, begin and end included. Of a text that is too long the end is cut off.
    ///
    /// # Errors
    /// The tokenizer fails, or does not add begin and end.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids: Vec<u32> = self.tokenizer.encode(text)?.into_iter().map(|id| id.0).collect();
        // The model reads its features where the largest id stands first: at the end.
        let (Some(&last), 2..) = (ids.last(), ids.len()) else {
            return Err(Error::input("the tokenizer does not add begin and end").at("tokenizer.json"));
        };
        if ids.iter().any(|&id| id > last) {
            return Err(Error::input("the tokenizer does not add the end token")
                .at("tokenizer.json")
                .expected("the largest id at the end")
                .got(last));
        }
        if ids.len() > self.positions {
            ids.truncate(self.positions - 1);
            ids.push(last);
        }
        Ok(ids)
    }

    /// The features of a text, of length 1.
    ///
    /// # Errors
    /// Those of [`ids`](Self::ids), or the weights give numbers that are not finite.
    pub fn text_features(&self, text: &str) -> Result<Vec<f32>> {
        let ids = self.ids(text)?;
        let count = ids.len();
        let features = Tensor::from_vec(ids, (1, count), &Device::Cpu);
        unit(numbers(WHAT, features.and_then(|ids| self.model.get_text_features(&ids)))?)
    }

    /// The features of a picture of any size, of length 1. Its shorter side is brought to the model's size by a
    /// bicubic filter, and the middle is cut out.
    ///
    /// # Errors
    /// The picture does not have its pixels, or the weights give numbers that are not finite.
    pub fn picture_features(&self, picture: &Image) -> Result<Vec<f32>> {
        check(picture)?;
        let middle = self.middle(picture);
        let level = |channel: usize, level: f32| (level / 255.0 - self.mean[channel]) / self.std[channel];
        let features = planes(&middle, &level).and_then(|x| self.model.get_image_features(&x));
        unit(numbers(WHAT, features)?)
    }

    /// 100 times the cosine of picture and text, at least 0.
    ///
    /// # Errors
    /// Those of the features.
    pub fn score(&self, picture: &Image, text: &str) -> Result<f64> {
        let (picture, text) = (self.picture_features(picture)?, self.text_features(text)?);
        let cosine: f64 = picture.iter().zip(&text).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        Ok((100.0 * cosine).max(0.0))
    }

    /// What the model sees of a picture.
    fn middle(&self, picture: &Image) -> Image {
        let (width, height, side) = (picture.width, picture.height, self.side);
        let short = width.min(height);
        let scaled = |length: u32| (u64::from(side) * u64::from(length) / u64::from(short)) as u32;
        // As many pixels as its size says: that was checked.
        let whole = RgbImage::from_raw(width, height, picture.pixels.clone()).unwrap_or_default();
        let (width, height) = (scaled(width), scaled(height));
        let whole = match short == side {
            true => whole,
            false => imageops::resize(&whole, width, height, FilterType::CatmullRom),
        };
        let middle = imageops::crop_imm(&whole, (width - side) / 2, (height - side) / 2, side, side).to_image();
        Image { width: side, height: side, pixels: middle.into_raw() }
    }
}

/// A vector at length 1.
fn unit(mut features: Vec<f32>) -> Result<Vec<f32>> {
    let length = features.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length == 0.0 {
        return Err(Error::input("features without a length").at(WHAT).hint("are the weights damaged?"));
    }
    features.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    Ok(features)
}

fn channels(source: &ModelSource) -> Result<([f32; 3], [f32; 3])> {
    const NAME: &str = "preprocessor_config.json";
    if !source.contains(NAME) {
        return Ok((MEAN, STD));
    }
    let at = |e: Error| e.at(source.describe(NAME));
    let raw: RawPicture = from_json("how pictures are prepared", &source.read(NAME)?).map_err(at)?;
    let (mean, std) = (raw.image_mean.unwrap_or(MEAN), raw.image_std.unwrap_or(STD));
    match std.iter().find(|std| !std.is_finite() || **std <= 0.0) {
        Some(std) => Err(at(Error::input("a value is out of range").at("image_std").expected("above 0").got(std))),
        None => Ok((mean, std)),
    }
}

/// Parses and validates `config.json`.
fn config(bytes: &[u8]) -> Result<ClipConfig> {
    let raw: RawConfig = from_json("the config of a CLIP", bytes)?;
    if raw.model_type != "clip" {
        return Err(Error::input("not a CLIP").at("model_type").expected("clip").got(format!("{:?}", raw.model_type)));
    }
    let RawConfig { projection_dim, text_config: text, vision_config: vision, .. } = raw;
    for (place, name) in [("text_config", &text.hidden_act), ("vision_config", &vision.hidden_act)] {
        if name != "quick_gelu" {
            let error = Error::input("unsupported activation").at(format!("{place}.hidden_act"));
            return Err(error.expected("quick_gelu, as the models of OpenAI have").got(format!("{name:?}")));
        }
    }
    size("projection_dim", projection_dim, 1 << 16)?;
    size("text_config.vocab_size", text.vocab_size, 1 << 24)?;
    size("text_config.max_position_embeddings", text.max_position_embeddings, 1 << 16)?;
    for (place, width, inner, layers, heads) in [
        ("text_config", text.hidden_size, text.intermediate_size, text.num_hidden_layers, text.num_attention_heads),
        (
            "vision_config",
            vision.hidden_size,
            vision.intermediate_size,
            vision.num_hidden_layers,
            vision.num_attention_heads,
        ),
    ] {
        size(&format!("{place}.hidden_size"), width, 1 << 16)?;
        size(&format!("{place}.intermediate_size"), inner, 1 << 18)?;
        size(&format!("{place}.num_hidden_layers"), layers, 1 << 10)?;
        size(&format!("{place}.num_attention_heads"), heads, width)?;
        if width % heads != 0 {
            let error = Error::input("heads do not divide the width").at(format!("{place}.num_attention_heads"));
            return Err(error.expected(format!("a divisor of {width}")).got(heads));
        }
    }
    size("vision_config.image_size", vision.image_size, 4096)?;
    size("vision_config.patch_size", vision.patch_size, vision.image_size)?;
    Ok(ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: text.vocab_size,
            embed_dim: text.hidden_size,
            activation: Activation::QuickGelu,
            intermediate_size: text.intermediate_size,
            max_position_embeddings: text.max_position_embeddings,
            pad_with: None,
            num_hidden_layers: text.num_hidden_layers,
            num_attention_heads: text.num_attention_heads,
            projection_dim,
        },
        vision_config: ClipVisionConfig {
            embed_dim: vision.hidden_size,
            activation: Activation::QuickGelu,
            intermediate_size: vision.intermediate_size,
            num_hidden_layers: vision.num_hidden_layers,
            num_attention_heads: vision.num_attention_heads,
            projection_dim,
            num_channels: 3,
            image_size: vision.image_size,
            patch_size: vision.patch_size,
        },
        // It scales no cosine.
        logit_scale_init_value: 1.0,
        image_size: vision.image_size,
    })
}

fn size(field: &str, value: usize, most: usize) -> Result<()> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => Err(Error::input("a size is out of range").at(field).expected(format!("1 to {most}")).got(value)),
    }
}

/// Names and shapes of all tensors.
fn wanted(config: &ClipConfig) -> Vec<(String, Vec<usize>)> {
    let (text, vision) = (&config.text_config, &config.vision_config);
    let mut wanted = vec![
        ("text_projection.weight".to_owned(), vec![text.projection_dim, text.embed_dim]),
        ("visual_projection.weight".to_owned(), vec![vision.projection_dim, vision.embed_dim]),
        ("text_model.embeddings.token_embedding.weight".to_owned(), vec![text.vocab_size, text.embed_dim]),
        (
            "text_model.embeddings.position_embedding.weight".to_owned(),
            vec![text.max_position_embeddings, text.embed_dim],
        ),
        ("vision_model.embeddings.class_embedding".to_owned(), vec![vision.embed_dim]),
        (
            "vision_model.embeddings.patch_embedding.weight".to_owned(),
            vec![vision.embed_dim, 3, vision.patch_size, vision.patch_size],
        ),
        (
            "vision_model.embeddings.position_embedding.weight".to_owned(),
            vec![(vision.image_size / vision.patch_size).pow(2) + 1, vision.embed_dim],
        ),
    ];
    let mut add = |name: String, shape: &[usize]| wanted.push((name, shape.to_vec()));
    let mut norm = |name: &str, width: usize| {
        ["weight", "bias"].iter().for_each(|part| add(format!("{name}.{part}"), &[width]));
    };
    norm("text_model.final_layer_norm", text.embed_dim);
    norm("vision_model.pre_layrnorm", vision.embed_dim);
    norm("vision_model.post_layernorm", vision.embed_dim);
    for (place, width, inner, layers) in [
        ("text_model", text.embed_dim, text.intermediate_size, text.num_hidden_layers),
        ("vision_model", vision.embed_dim, vision.intermediate_size, vision.num_hidden_layers),
    ] {
        for layer in 0..layers {
            let layer = format!("{place}.encoder.layers.{layer}");
            let mut linear = |name: &str, outputs: usize, inputs: usize| {
                wanted.push((format!("{layer}.{name}.weight"), vec![outputs, inputs]));
                wanted.push((format!("{layer}.{name}.bias"), vec![outputs]));
            };
            ["q_proj", "k_proj", "v_proj", "out_proj"]
                .iter()
                .for_each(|part| linear(&format!("self_attn.{part}"), width, width));
            linear("mlp.fc1", inner, width);
            linear("mlp.fc2", width, inner);
            for part in ["layer_norm1.weight", "layer_norm1.bias", "layer_norm2.weight", "layer_norm2.bias"] {
                wanted.push((format!("{layer}.{part}"), vec![width]));
            }
        }
    }
    wanted
}
