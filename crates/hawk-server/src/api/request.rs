//! Requests for images: what JSON may say, and how it becomes an order.

use hawk::{AnyRule, Decoder, Decoding, Engine, ImageSize, Request, Result as HawkResult, Sampling, Seed};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::ApiError;
use crate::decode::encode::PictureFormat;
use crate::decode::order::CellReports;
use crate::settings::{MAX_IMAGES, MAX_PARTIAL_IMAGES, MAX_TREE_NODES, Settings};

/// Longest name of a user.
const MAX_USER_BYTES: usize = 512;

/// A request for images, as the official client sends it. The fields from `seed` on are this server's:
/// the official client sends them in `extra_body`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenerationRequest {
    /// What to draw. For a model of classes the number of a class.
    #[schema(min_length = 1, example = "red apple, fluent 3d style")]
    prompt: String,
    /// Number of images.
    #[schema(minimum = 1, maximum = 10, default = 1)]
    n: Option<u32>,
    /// Width and height in pixels: `auto`, or the size that the model draws.
    #[schema(default = "auto")]
    size: Option<String>,
    /// `png`, `jpeg` or `webp`. PNG files hold the record of the image.
    #[schema(default = "png", pattern = "^(png|jpeg|webp)$")]
    output_format: Option<String>,
    /// Quality of a JPEG or WebP picture in percent; WebP with 100 is without loss. A PNG has 100.
    #[schema(minimum = 0, maximum = 100, default = 100)]
    output_compression: Option<u32>,
    /// `b64_json`: pictures are in the answer.
    #[schema(pattern = "^b64_json$")]
    response_format: Option<String>,
    /// Whether the answer is a stream of events.
    #[schema(default = false)]
    stream: Option<bool>,
    /// Pictures of each image before it is finished. They need `stream`.
    #[schema(minimum = 0, maximum = 3, default = 0)]
    partial_images: Option<u32>,
    /// The name of the model that this server has.
    model: Option<String>,
    /// A name of the user, at most 512 bytes. It changes nothing.
    #[schema(max_length = 512)]
    user: Option<String>,
    /// Read and ignored: there is one quality.
    #[schema(pattern = "^(auto|low|medium|high|standard|hd)$")]
    quality: Option<String>,
    /// `auto` or `opaque`: images have no transparency.
    #[schema(pattern = "^(auto|opaque)$")]
    background: Option<String>,
    /// Read and ignored: this server does not judge prompts.
    #[schema(pattern = "^(auto|low)$")]
    moderation: Option<String>,
    /// Random seed; the answer names the one that was used.
    #[schema(minimum = 0)]
    seed: Option<u64>,
    /// Drafter that proposes cells.
    decoder: Option<String>,
    /// How proposals are verified.
    rule: Option<String>,
    /// Tree of proposals: `auto`, a number of nodes or a shape such as `4x2x1`, of at most 32 nodes.
    tree: Option<String>,
    /// Scale of classifier-free guidance; 1 = off.
    #[schema(minimum = 0, maximum = 100)]
    guidance: Option<f32>,
    /// Temperature; higher = more varied, 0 = always the likeliest code.
    #[schema(minimum = 0)]
    temperature: Option<f32>,
    /// Sample from the K likeliest codes; 0 = all.
    #[schema(minimum = 0)]
    top_k: Option<u32>,
    /// Sample from the likeliest codes that together have this probability.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    top_p: Option<f32>,
    /// No family of models that this version knows has one.
    negative_prompt: Option<String>,
    /// Whether the stream tells the cells that each pass committed, as events `hawk.cells`.
    #[schema(default = false)]
    cells: Option<bool>,
}

/// How the pictures are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All at once.
    Whole,
    /// As events.
    Stream,
}

/// A request that was checked.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) format: PictureFormat,
    pub(crate) delivery: Delivery,
    pub(crate) partial_images: u32,
    pub(crate) cells: CellReports,
}

impl GenerationRequest {
    /// Reads a body. Errors name the field.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let request: Self = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            let (path, inner) = (e.path().to_string(), e.inner().to_string());
            let names_field = ["missing", "unknown", "duplicate"].iter().any(|word| inner.starts_with(word));
            match path.as_str() {
                path if names_field || path == "." || path == "?" => at_no_field(&inner),
                field => ApiError::field(field, "invalid_type", format!("Invalid '{field}': {inner}.")),
            }
        })?;
        reader.end().map_err(|e| ApiError::no_json(format!("The body goes on after its JSON: {e}.")))?;
        Ok(request)
    }

    /// Checks the request against the model and the settings of the server.
    pub(crate) fn check(self, engine: &Engine, settings: &Settings) -> Result<Asked, ApiError> {
        self.check_prompt(settings)?;
        self.check_ignored(settings)?;
        self.check_size(engine.config().image_size)?;
        let n = self.n.unwrap_or(1);
        if !(1..=MAX_IMAGES).contains(&n) {
            return Err(ApiError::range("n", "1 to 10 images", n));
        }
        let (delivery, partial_images, cells) = self.delivery()?;
        let seed = Seed(self.seed.unwrap_or_else(fresh_seed));
        let (sampling, decoding) = (self.sampling(engine.config().defaults)?, self.decoding(settings)?);
        let request = Request { prompt: self.prompt.clone(), seed, images: 0..n, sampling, decoding, batch: 1 };
        Ok(Asked { request, format: self.format()?, delivery, partial_images, cells })
    }

    fn check_prompt(&self, settings: &Settings) -> Result<(), ApiError> {
        let (bytes, most) = (self.prompt.len(), settings.prompt_bytes);
        if self.prompt.trim().is_empty() {
            return Err(ApiError::range("prompt", "a text", "an empty one"));
        }
        if bytes > most {
            return Err(ApiError::range("prompt", &format!("at most {most} bytes"), format!("{bytes} bytes")));
        }
        match &self.negative_prompt {
            Some(negative) if !negative.is_empty() => {
                let message = "'negative_prompt' is not supported: this model has none.";
                Err(ApiError::field("negative_prompt", "unsupported_parameter", message))
            }
            _ => Ok(()),
        }
    }

    fn check_ignored(&self, settings: &Settings) -> Result<(), ApiError> {
        if let Some(model) = self.model.as_ref().filter(|model| **model != settings.model) {
            return Err(ApiError::no_model(model));
        }
        if let Some(user) = self.user.as_ref().filter(|user| user.len() > MAX_USER_BYTES) {
            return Err(ApiError::range("user", "at most 512 bytes", format!("{} bytes", user.len())));
        }
        let (quality, formats) = (["auto", "low", "medium", "high", "standard", "hd"], ["b64_json"]);
        one_of("quality", self.quality.as_deref(), &quality)?;
        one_of("background", self.background.as_deref(), &["auto", "opaque"])?;
        one_of("moderation", self.moderation.as_deref(), &["auto", "low"])?;
        one_of("response_format", self.response_format.as_deref(), &formats)
    }

    fn check_size(&self, drawn: ImageSize) -> Result<(), ApiError> {
        one_of("size", self.size.as_deref(), &["auto", &size_name(drawn)])
    }

    fn format(&self) -> Result<PictureFormat, ApiError> {
        let compression = self.output_compression.unwrap_or(100);
        if compression > 100 {
            return Err(ApiError::range("output_compression", "0 to 100 percent", compression));
        }
        let name = self.output_format.as_deref().unwrap_or("png");
        one_of("output_format", Some(name), &["png", "jpeg", "webp"])?;
        match name {
            "jpeg" => Ok(PictureFormat::Jpeg { quality: compression.max(1) as u8 }),
            "webp" => Ok(PictureFormat::WebP { quality: compression as u8 }),
            _ if compression < 100 => {
                Err(ApiError::range("output_compression", "100 for png, which is without loss", compression))
            }
            _ => Ok(PictureFormat::Png),
        }
    }

    fn delivery(&self) -> Result<(Delivery, u32, CellReports), ApiError> {
        let partial_images = self.partial_images.unwrap_or(0);
        if partial_images > MAX_PARTIAL_IMAGES {
            return Err(ApiError::range("partial_images", "0 to 3", partial_images));
        }
        let cells = if self.cells == Some(true) { CellReports::EveryPass } else { CellReports::Nothing };
        if self.stream == Some(true) {
            return Ok((Delivery::Stream, partial_images, cells));
        }
        if partial_images > 0 {
            return Err(ApiError::range("partial_images", "0 without 'stream'", partial_images));
        }
        if cells != CellReports::Nothing {
            return Err(ApiError::range("cells", "false without 'stream'", true));
        }
        Ok((Delivery::Whole, 0, cells))
    }

    fn sampling(&self, defaults: Sampling) -> Result<Sampling, ApiError> {
        let guidance = self.guidance.unwrap_or(defaults.cfg());
        let (top_k, top_p) = (self.top_k.unwrap_or(defaults.top_k()), self.top_p.unwrap_or(defaults.top_p()));
        if self.temperature == Some(0.0) {
            Sampling::new(guidance, 1.0, top_k, top_p).map_err(out_of_range)?;
            for (field, samples) in
                [("top_k", self.top_k.is_some_and(|k| k > 1)), ("top_p", self.top_p.is_some_and(|p| p < 1.0))]
            {
                if samples {
                    return Err(ApiError::range(field, "nothing where 'temperature' is 0", "a value"));
                }
            }
            return Sampling::new(guidance, 1.0, 1, 1.0).map_err(out_of_range);
        }
        let temperature = self.temperature.unwrap_or(defaults.temperature());
        Sampling::new(guidance, temperature, top_k, top_p).map_err(out_of_range)
    }

    fn decoding(&self, settings: &Settings) -> Result<Decoding, ApiError> {
        let default = settings.decoding;
        let (decoder, rule) = (named("decoder", self.decoder.as_deref())?, named("rule", self.rule.as_deref())?);
        let decoder: Decoder = decoder.unwrap_or(default.decoder());
        let rule: AnyRule = rule.unwrap_or(default.rule());
        let tree = match &self.tree {
            Some(tree) => tree.parse().map_err(|e| ApiError::range("tree", "auto, nodes or a shape", e))?,
            None if decoder == default.decoder() && rule == default.rule() => default.tree(),
            None => decoder.default_tree(rule),
        };
        let decoding = Decoding::new(decoder, rule, tree).map_err(|e| ApiError::library("tree", &e))?;
        match decoding.shape().nodes() {
            nodes if nodes > MAX_TREE_NODES => Err(ApiError::range("tree", "at most 32 nodes", nodes)),
            _ => Ok(decoding),
        }
    }
}

/// The size's name in requests and answers.
pub(crate) fn size_name(size: ImageSize) -> String {
    format!("{}x{}", size.width, size.height)
}

/// The error of a body that is no object of known fields. serde names the field in backticks.
fn at_no_field(message: &str) -> ApiError {
    let field = message.split('`').nth(1).unwrap_or_default();
    match message {
        _ if message.starts_with("missing field") => {
            ApiError::field(field, "missing_required_parameter", format!("Missing required parameter: '{field}'."))
        }
        _ if message.starts_with("unknown field") => {
            ApiError::field(field, "unknown_parameter", format!("Unknown parameter: '{field}'."))
        }
        _ if message.starts_with("duplicate field") => {
            ApiError::field(field, "duplicate_parameter", format!("'{field}' is given twice."))
        }
        _ => ApiError::no_json(format!("The body is not a JSON object of a request: {message}.")),
    }
}

/// The error of sampling settings; its first word is the setting.
fn out_of_range(error: impl std::fmt::Display) -> ApiError {
    let message = error.to_string();
    let field = match message.split_whitespace().next() {
        Some("cfg") => "guidance",
        Some("top_k") => "top_k",
        Some("top_p") => "top_p",
        _ => "temperature",
    };
    ApiError::field(field, "invalid_value", format!("Invalid value of '{field}': {message}."))
}

fn one_of(field: &str, value: Option<&str>, allowed: &[&str]) -> Result<(), ApiError> {
    match value {
        Some(value) if !allowed.contains(&value) => {
            Err(ApiError::range(field, &allowed.join(" or "), format!("{value:?}")))
        }
        _ => Ok(()),
    }
}

/// A choice by its name.
fn named<T: std::str::FromStr<Err = hawk::Error>>(field: &str, name: Option<&str>) -> Result<Option<T>, ApiError> {
    let choice: HawkResult<Option<T>> = name.map(str::parse).transpose();
    choice.map_err(|e| ApiError::library(field, &e))
}

/// A random seed, short enough to type.
fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    u64::from(RandomState::new().hash_one(std::process::id()) as u32)
}
