//! Settings of a training run of a VQ tokenizer.

use hawk_files::{Result, VqConfig};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::pictures::canvas::SIDE;
use crate::run::limits::{check_count, check_positive};
use crate::run::precision::TrainingPrecision;

/// Shape and training of a VQ tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqSettings {
    /// Channels at full resolution, a multiple of 4, `4..=1024`.
    pub channels: usize,
    /// Channel multiplier of each level, finest first. One to six values, each `1..=32`.
    /// Each level but the last halves the resolution.
    pub multipliers: Vec<usize>,
    /// Size of the codebook, `2..=65536`.
    pub codes: usize,
    /// Dimension of a code vector, `2..=256`.
    pub width: usize,
    /// Steps of the run, `10..=10_000_000`.
    pub steps: usize,
    /// Whole pictures in a step, `1..=1024`. A step on crops has four times as many.
    pub batch: usize,
    /// The largest learning rate, above 0, at most 1.
    pub learning_rate: f64,
    /// Number format of the convolutions.
    #[serde(default)]
    pub precision: TrainingPrecision,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Default for VqSettings {
    fn default() -> Self {
        Self {
            channels: 16,
            multipliers: vec![1, 2, 4, 8],
            codes: 4096,
            width: 8,
            steps: 12_000,
            batch: 4,
            learning_rate: 1e-3,
            precision: TrainingPrecision::F32,
            seed: 0,
        }
    }
}

impl VqSettings {
    /// The shape of a new tokenizer.
    ///
    /// # Errors
    /// A setting is out of range.
    pub(crate) fn config(&self) -> Result<VqConfig> {
        self.check()?;
        VqConfig::from_json(self.to_json().to_string().as_bytes())
    }

    /// # Errors
    /// A setting is out of range.
    pub(crate) fn check(&self) -> Result<()> {
        check_count("channels", self.channels, 4..=1024)?;
        check_count("number of multipliers", self.multipliers.len(), 1..=6)?;
        self.multipliers.iter().try_for_each(|&multiplier| check_count("multiplier", multiplier, 1..=32))?;
        check_count("codes", self.codes, 2..=1 << 16)?;
        check_count("width", self.width, 2..=256)?;
        check_count("steps", self.steps, 10..=10_000_000)?;
        check_count("batch", self.batch, 1..=1024)?;
        check_positive("learning rate", self.learning_rate, 1.0)
    }

    /// The tokenizer's `config.json`, with the keys of taming-transformers.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json!({
            "model_type": "vqgan",
            "ch": self.channels,
            "ch_mult": self.multipliers,
            "num_res_blocks": 1,
            "attn_resolutions": [],
            "in_channels": 3,
            "out_ch": 3,
            // Four channels a group at full resolution: with one channel a group the norm would
            // remove the colour.
            "norm_num_groups": (self.channels / 4).max(1),
            "z_channels": self.channels * self.multipliers.last().copied().unwrap_or(1),
            "embed_dim": self.width,
            "n_embed": self.codes,
            "resolution": SIDE,
            "double_z": false,
            "normalize_codes": true,
        })
    }
}
