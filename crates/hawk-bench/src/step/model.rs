//! The synthetic decoder that passes are compared on.

use std::ops::Range;

use hawk_files::{Checkpoint, Error, Result, TransformerConfig, WantedTensor};
use hawk_spec::TokenId;
use hawk_synth::SplitMix64;
use safetensors::tensor::{Dtype, TensorView};

/// A decoder of usual proportions: hidden size 512, 8 layers of 8 heads, SwiGLU 1408, vocabulary
/// 8192; 29.9 M weights in its products.
const SYNTHETIC: &str = r#"{"model_type":"chameleon","hidden_size":512,"intermediate_size":1408,"num_hidden_layers":8,
    "num_attention_heads":8,"vocab_size":8192,"max_position_embeddings":512,"rms_norm_eps":1e-5}"#;

/// The synthetic decoder: its config, and random bf16 weights in memory that are a function of
/// `seed`.
///
/// # Errors
/// None in practice: the config and the weights are fixed.
pub fn synthetic(seed: u64) -> Result<(TransformerConfig, Checkpoint)> {
    let config = TransformerConfig::from_json(SYNTHETIC.as_bytes())?;
    let checkpoint = random_checkpoint(&config, seed)?;
    Ok((config, checkpoint))
}

fn random_checkpoint(config: &TransformerConfig, seed: u64) -> Result<Checkpoint> {
    let mut random = Random(SplitMix64(seed));
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = config
        .tensors()
        .into_iter()
        .map(|WantedTensor { name, shape, .. }| {
            let matrix = shape.len() == 2 && !name.contains("_norm");
            // Products keep the size of their input; norms are near the identity.
            let (centre, spread) = if matrix { (0.0, (3.0 / shape[1] as f32).sqrt()) } else { (1.0, 0.1) };
            let numbers = (0..shape.iter().product()).map(|_| half::bf16::from_f32(centre + spread * random.next()));
            let bytes = numbers.flat_map(half::bf16::to_le_bytes).collect();
            (name, shape, bytes)
        })
        .collect();
    let failed = |e: safetensors::SafeTensorError| Error::input(format!("not a checkpoint: {e}"));
    let views = tensors.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::BF16, shape.clone(), bytes).map(|view| (name, view)).map_err(failed)
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    Checkpoint::from_bytes(safetensors::serialize(views, None).map_err(failed)?)
}

/// Random numbers and tokens.
pub(super) struct Random(pub(super) SplitMix64);

impl Random {
    /// Even in -1..1.
    fn next(&mut self) -> f32 {
        (self.0.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(super) fn token(&mut self, ids: &Range<usize>) -> TokenId {
        TokenId((ids.start as u64 + self.0.bits() % ids.len() as u64) as u32)
    }
}
