//! The VQ tokenizer's `config.json`, in taming-transformers' spelling or Hugging Face's, validated.

use serde::Deserialize;

use crate::validate::{size, unsupported};
use crate::{Error, Result};

const MAX_CHANNELS: u64 = 1 << 14;
const MAX_LEVELS: usize = 8;

/// Which numbers a code stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codebook {
    /// Its row of the table, as taming-transformers.
    AsStored,
    /// Its row scaled to length one, as LlamaGen.
    Normalized,
}

/// Sizes of a taming-transformers VQGAN. All sizes are at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VqConfig {
    /// Channels before the encoder's finest level.
    pub base_channels: usize,
    /// Channels of each level, finest first; every entry divides into [`groups`](Self::groups).
    pub level_channels: Vec<usize>,
    /// Residual blocks of a level of the encoder; the decoder has one more.
    pub res_blocks: usize,
    /// Levels (0 = finest) whose blocks are followed by attention.
    pub attention_levels: Vec<usize>,
    /// Channels between `post_quant_conv` and the decoder.
    pub latent_channels: usize,
    /// Numbers of a code.
    pub embed_dim: usize,
    /// Number of codes.
    pub codes: usize,
    /// Groups of every GroupNorm.
    pub groups: usize,
    /// Which numbers a code stands for.
    pub codebook: Codebook,
}

#[derive(Deserialize)]
struct Raw {
    model_type: Option<String>,
    #[serde(alias = "base_channels")]
    ch: u64,
    #[serde(alias = "channel_multiplier")]
    ch_mult: Vec<u64>,
    num_res_blocks: u64,
    attn_resolutions: Option<Vec<u64>>,
    #[serde(alias = "latent_channels")]
    z_channels: u64,
    embed_dim: u64,
    #[serde(alias = "num_embeddings")]
    n_embed: u64,
    resolution: u64,
    norm_num_groups: Option<u64>,
    #[serde(alias = "out_channels")]
    out_ch: Option<u64>,
    attn_type: Option<String>,
    #[serde(default)]
    normalize_codes: bool,
}

impl VqConfig {
    /// Reads the tokenizer's `config.json`; keys that it does not know are left alone.
    ///
    /// # Errors
    /// Not JSON, a key that is missing or out of range, or a choice that is not supported.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let raw: Raw =
            serde_json::from_slice(bytes).map_err(|e| Error::input(format!("not a VQ tokenizer's config: {e}")))?;
        raw.supported()?;
        let groups = size("norm_num_groups", raw.norm_num_groups.unwrap_or(32), MAX_CHANNELS)?;
        Ok(Self {
            base_channels: size("ch", raw.ch, MAX_CHANNELS)?,
            level_channels: raw.level_channels(groups)?,
            res_blocks: size("num_res_blocks", raw.num_res_blocks, 64)?,
            attention_levels: raw.attention_levels()?,
            latent_channels: size("z_channels", raw.z_channels, MAX_CHANNELS)?,
            embed_dim: size("embed_dim", raw.embed_dim, MAX_CHANNELS)?,
            codes: size("n_embed", raw.n_embed, 1 << 24)?,
            groups,
            codebook: if raw.normalize_codes { Codebook::Normalized } else { Codebook::AsStored },
        })
    }

    /// Pixels along a side of the square that a code stands for.
    pub fn pixels_per_cell(&self) -> usize {
        1 << (self.level_channels.len() - 1)
    }
}

impl Raw {
    fn supported(&self) -> Result<()> {
        let choices = [
            ("model_type", self.model_type.as_deref(), &["vqgan", "chameleon_vqgan"][..]),
            ("attn_type", self.attn_type.as_deref(), &["vanilla"]),
        ];
        for (field, choice, known) in choices {
            if let Some(choice) = choice.filter(|choice| !known.contains(choice)) {
                return Err(unsupported(field, &known.join(" or "), choice));
            }
        }
        match self.out_ch {
            None | Some(3) => Ok(()),
            Some(other) => Err(Error::input("an image has three colours").at("out_ch").expected(3).got(other)),
        }
    }

    fn level_channels(&self, groups: usize) -> Result<Vec<usize>> {
        if !(1..=MAX_LEVELS).contains(&self.ch_mult.len()) {
            return Err(Error::input("too few or too many levels")
                .at("ch_mult")
                .expected(format!("1 to {MAX_LEVELS} entries"))
                .got(self.ch_mult.len()));
        }
        let base = size("ch", self.ch, MAX_CHANNELS)?;
        let channels = |&factor: &u64| {
            let channels = base * size("ch_mult", factor, 1 << 10)?;
            if !channels.is_multiple_of(groups) {
                return Err(Error::input("channels do not fall into equal groups")
                    .at("norm_num_groups")
                    .expected(format!("a divisor of ch * ch_mult = {channels}"))
                    .got(groups));
            }
            size("ch * ch_mult", channels as u64, MAX_CHANNELS)
        };
        self.ch_mult.iter().map(channels).collect()
    }

    /// A level's resolution halves from level to level, rounded down, as in taming-transformers.
    fn attention_levels(&self) -> Result<Vec<usize>> {
        let finest = size("resolution", self.resolution, 1 << 16)?;
        let wanted = self.attn_resolutions.as_deref().unwrap_or_default();
        Ok((0..self.ch_mult.len()).filter(|level| wanted.contains(&((finest >> level) as u64))).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn emoji() -> Map<String, Value> {
        serde_json::from_str(include_str!("../../../../models/emoji-v0/vq/config.json")).unwrap()
    }

    fn read(json: &Map<String, Value>) -> Result<VqConfig> {
        VqConfig::from_json(&serde_json::to_vec(json).unwrap())
    }

    #[test]
    fn both_spellings_read_the_same() {
        let mut json = emoji();
        let taming = read(&json).unwrap();
        assert_eq!((taming.level_channels.as_slice(), taming.pixels_per_cell()), (&[16, 32, 64][..], 4));
        for (taming, hugging_face) in [
            ("ch", "base_channels"),
            ("ch_mult", "channel_multiplier"),
            ("z_channels", "latent_channels"),
            ("n_embed", "num_embeddings"),
            ("out_ch", "out_channels"),
        ] {
            let value = json.remove(taming).unwrap();
            json.insert(hugging_face.into(), value);
        }
        json.insert("model_type".into(), json!("chameleon_vqgan"));
        json.insert("attn_type".into(), json!("vanilla"));
        json.insert("attn_resolutions".into(), Value::Null);
        assert_eq!(read(&json).unwrap(), taming);
    }

    #[test]
    fn attention_stands_at_the_levels_of_its_resolutions() {
        let mut json = emoji();
        json.insert("attn_resolutions".into(), json!([16, 64, 7]));
        assert_eq!(read(&json).unwrap().attention_levels, [0, 2]);
    }

    #[test]
    fn missing_keys_are_named() {
        for key in ["ch", "ch_mult", "num_res_blocks", "z_channels", "embed_dim", "n_embed", "resolution"] {
            let mut json = emoji();
            json.remove(key);
            let error = read(&json).unwrap_err().to_string();
            assert!(error.contains(key), "{key}: {error}");
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for (key, value, named) in [
            ("ch", json!(0), "ch"),
            ("ch", json!(u64::MAX), "ch"),
            ("ch_mult", json!([]), "ch_mult"),
            ("ch_mult", json!([1, 0]), "ch_mult"),
            ("ch_mult", json!(vec![1; 9]), "9"),
            ("ch", json!(8192), "32768"),
            ("norm_num_groups", json!(7), "norm_num_groups"),
            ("norm_num_groups", json!(0), "norm_num_groups"),
            ("num_res_blocks", json!(0), "num_res_blocks"),
            ("z_channels", json!(-4), "-4"),
            ("embed_dim", json!(1 << 20), "embed_dim"),
            ("n_embed", json!(0), "n_embed"),
            ("resolution", json!(0), "resolution"),
            ("out_ch", json!(4), "out_ch"),
            ("attn_type", json!("linear"), "linear"),
            ("model_type", json!("janus_vqgan"), "janus_vqgan"),
        ] {
            let mut json = emoji();
            json.insert(key.into(), value);
            let error = read(&json).unwrap_err().to_string();
            assert!(error.contains(named), "{key}: {error}");
        }
    }
}
