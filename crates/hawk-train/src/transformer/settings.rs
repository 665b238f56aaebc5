//! Settings of a training run of a target.

use hawk_files::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::run::limits::{check_count, check_positive, out_of_range};
use crate::run::precision::TrainingPrecision;

/// Id of the token that starts a prompt.
pub(crate) const BOS: u32 = 1;
/// Epsilon of the norms.
pub(crate) const EPSILON: f64 = 1e-5;
/// Base of the rotary position embedding.
pub(crate) const ROPE_BASE: f64 = 10_000.0;

/// The optimizer of the weight matrices. AdamW trains all other parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Loshchilov and Hutter 2019.
    AdamW,
    /// Orthogonalised momentum (Jordan 2024), with the step size of Liu et al. 2025 (arXiv
    /// 2502.16982).
    Muon,
}

/// Shape and training of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetSettings {
    /// Layers, `1..=128`.
    pub layers: usize,
    /// Hidden size: an even multiple of `heads`, at most 8192.
    pub width: usize,
    /// Attention heads, at least 1.
    pub heads: usize,
    /// Inner width of SwiGLU, `1..=32768`.
    pub inner: usize,
    /// Size of the text vocabulary, `257..=100_000`.
    pub words: usize,
    /// Passes over the emoji, above 0, at most 10 000.
    pub passes: f64,
    /// Scenes in a pass for each emoji in it, `0..=100`.
    pub scenes_an_emoji: f64,
    /// Largest fraction of a picture's input codes that are replaced by random codes, `0..=1`.
    /// A quarter of the pictures is unchanged; every other picture draws its own fraction.
    #[serde(default)]
    pub corrupted: f64,
    /// Pictures in a step, `1..=4096`.
    pub batch: usize,
    /// The largest learning rate, above 0, at most 1.
    pub learning_rate: f64,
    /// Number format of the matrix products.
    #[serde(default)]
    pub precision: TrainingPrecision,
    /// Optimizer of the weight matrices.
    pub optimizer: Optimizer,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Default for TargetSettings {
    /// 16 million parameters with 4096 codes.
    fn default() -> Self {
        Self {
            layers: 8,
            width: 384,
            heads: 6,
            inner: 1024,
            words: 1024,
            passes: 12.0,
            scenes_an_emoji: 0.5,
            corrupted: 0.0,
            batch: 16,
            learning_rate: 2e-3,
            precision: TrainingPrecision::F32,
            optimizer: Optimizer::AdamW,
            seed: 0,
        }
    }
}

impl TargetSettings {
    /// Approximate floating-point operations of a step. `codes` is the size of the codebook.
    ///
    /// A multiply-add counts as two operations, and the backward pass as two forward passes.
    pub fn operations_a_step(&self, codes: usize) -> f64 {
        // Sixteen rows of codes with their end tokens, and a short caption.
        let (length, cells) = (290.0, 256.0);
        let layer = 4.0 * (self.width * self.width) as f64 + 3.0 * (self.width * self.inner) as f64;
        let attention = 2.0 * length * self.width as f64;
        let sequence = length * self.layers as f64 * (layer + attention) + cells * (codes * self.width) as f64;
        6.0 * sequence * self.batch as f64
    }

    /// # Errors
    /// A setting is out of range.
    pub(crate) fn check(&self) -> Result<()> {
        check_count("layers", self.layers, 1..=128)?;
        check_count("width", self.width, 2..=8192)?;
        check_count("heads", self.heads, 1..=self.width / 2)?;
        if !self.width.is_multiple_of(2 * self.heads) {
            let got = format!("{} for {} heads", self.width, self.heads);
            return Err(out_of_range("width", "an even multiple of the number of heads", got));
        }
        check_count("inner", self.inner, 1..=32768)?;
        check_count("words", self.words, 257..=100_000)?;
        check_count("batch", self.batch, 1..=4096)?;
        check_positive("passes", self.passes, 1e4)?;
        if !(0.0..=100.0).contains(&self.scenes_an_emoji) {
            return Err(out_of_range("scenes", "0 to 100 for each emoji", self.scenes_an_emoji));
        }
        if !(0.0..=1.0).contains(&self.corrupted) {
            return Err(out_of_range("corrupt", "0 to 1", self.corrupted));
        }
        check_positive("learning rate", self.learning_rate, 1.0)
    }

    /// The transformer's `config.json`, with the keys of Hugging Face's Chameleon.
    pub(crate) fn config_json(&self, vocabulary: usize) -> serde_json::Value {
        json!({
            "architectures": ["ChameleonForConditionalGeneration"],
            "model_type": "chameleon",
            "vocab_size": vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "hidden_act": "silu",
            "rms_norm_eps": EPSILON,
            "rope_theta": ROPE_BASE,
            "max_position_embeddings": 512,
            "swin_norm": false,
            "model_parallel_size": 1,
            "attention_bias": false,
            "mlp_bias": false,
            "tie_word_embeddings": true,
            "bos_token_id": BOS,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "torch_dtype": "bfloat16",
        })
    }
}
