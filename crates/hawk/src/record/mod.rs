//! The record of an image, and the PNG that holds it.

pub(crate) mod png;
mod sources;

use hawk_nn::kernels::Precision;
use hawk_nn::{CPU, Error, Result};
use hawk_spec::{DecodeStats, Sampling, Seed};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::request::Request;
use crate::request::decoding::Decoding;
use crate::request::event::{CellSource, Generated};
use crate::request::rule::AnyRule;
use crate::request::tree::Tree;

/// The settings and counts of an image. Choices are stored by name, as in arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the program.
    pub version: String,
    /// The prompt.
    pub prompt: String,
    /// SHA-256 of the file of the caption's features; empty without features.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub features_digest: String,
    /// SHA-256 over the files of the draft heads; empty where the decoder uses none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub heads_digest: String,
    /// Width and height that the prompt names, where the model drew the size of the image itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_size: Option<[u32; 2]>,
    /// Key of the noise.
    pub seed: u64,
    /// Number of the image.
    pub index: u32,
    /// Source of the model: a folder, or [`BUILT_IN`](crate::BUILT_IN).
    pub model: String,
    /// SHA-256 over the model's files.
    pub model_digest: String,
    /// Number format of the weights.
    pub precision: String,
    /// The class of the device that drew the image: `cpu`, or the interface and the name of a GPU. Images of
    /// one class are the same to the bit; another class may round near ties in other ways.
    #[serde(default = "cpu", skip_serializing_if = "is_cpu")]
    pub device: String,
    /// Name of the decoder.
    pub decoder: String,
    /// Name of the rule.
    pub rule: String,
    /// The bound of the trees: `auto`, most nodes with the root, or candidates per level.
    pub tree: String,
    /// Guidance and warping.
    pub sampling: RecordedSampling,
    /// Counts of the decode.
    pub stats: RecordedStats,
    /// The source of each cell's code in raster order; empty in records of versions without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "sources")]
    pub sources: Vec<CellSource>,
}

/// The device of records that name none.
fn cpu() -> String {
    CPU.to_owned()
}

fn is_cpu(device: &str) -> bool {
    device == CPU
}

/// [`Sampling`] in a record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedSampling {
    /// Scale of guidance.
    pub cfg: f32,
    /// Divisor of the logits.
    pub temperature: f32,
    /// Number of surviving codes, 0 = all.
    pub top_k: u32,
    /// Surviving mass.
    pub top_p: f32,
}

impl From<Sampling> for RecordedSampling {
    fn from(sampling: Sampling) -> Self {
        Self {
            cfg: sampling.cfg(),
            temperature: sampling.temperature(),
            top_k: sampling.top_k(),
            top_p: sampling.top_p(),
        }
    }
}

/// The counts of a decode in a record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedStats {
    /// Committed cells.
    pub cells: u64,
    /// Target passes over trees.
    pub target_passes: u64,
    /// Committed cells per target pass.
    pub acceptance_length: f64,
    /// Accepted drafts.
    pub accepted: u64,
    /// Proposed nodes, roots excluded.
    pub nodes: u64,
}

impl From<&DecodeStats> for RecordedStats {
    fn from(stats: &DecodeStats) -> Self {
        Self {
            cells: stats.committed,
            target_passes: stats.target_passes,
            acceptance_length: stats.acceptance_length(),
            accepted: stats.accepted,
            nodes: stats.nodes,
        }
    }
}

impl Record {
    /// The record of an image that `engine`, loaded from `model`, made for `request`.
    ///
    /// # Errors
    /// A file of the model cannot be read for the digest.
    pub fn new(engine: &Engine, model: &str, request: &Request, image: &Generated) -> Result<Self> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            prompt: request.prompt.clone(),
            features_digest: engine.features_digest(&request.prompt).to_owned(),
            heads_digest: match request.decoding.decoder().needs_heads() {
                true => engine.heads_digest()?.to_owned(),
                false => String::new(),
            },
            asked_size: engine.asked_size().map(|size| [size.width, size.height]),
            seed: request.seed.0,
            index: image.index,
            model: model.to_owned(),
            model_digest: engine.digest()?.to_owned(),
            precision: engine.precision().to_string(),
            device: engine.device().to_owned(),
            decoder: request.decoding.decoder().to_string(),
            rule: request.decoding.rule().to_string(),
            tree: request.decoding.tree().to_string(),
            sampling: request.sampling.into(),
            stats: (&image.stats).into(),
            sources: image.sources.clone(),
        })
    }

    /// The request that makes the image again.
    ///
    /// # Errors
    /// This version does not know a choice, or a setting is out of range.
    pub fn request(&self) -> Result<Request> {
        let refused = |e: String| Error::input(format!("the image's record is damaged: {e}"));
        let s = self.sampling;
        let rule: AnyRule = self.rule.parse()?;
        let tree: Tree = self.tree.parse().map_err(|e: hawk_spec::ShapeError| refused(e.to_string()))?;
        let end = self.index.checked_add(1).ok_or_else(|| refused("the image's number is too large".to_owned()))?;
        Ok(Request {
            prompt: self.prompt.clone(),
            seed: Seed(self.seed),
            images: self.index..end,
            sampling: Sampling::new(s.cfg, s.temperature, s.top_k, s.top_p).map_err(|e| refused(e.to_string()))?,
            decoding: Decoding::new(self.decoder.parse()?, rule, tree)?,
            batch: 1,
        })
    }

    /// Number format of the weights.
    ///
    /// # Errors
    /// This version does not know the precision.
    pub fn precision(&self) -> Result<Precision> {
        Ok(self.precision.parse()?)
    }
}
