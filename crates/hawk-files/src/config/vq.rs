//! The VQ tokenizer's `config.json`, in taming-transformers' spelling or Hugging Face's, validated.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::json::{from_json, from_value, size, unsupported};

/// Prefixes of the tokenizer's tensors: none in a file of their own, else as Hugging Face or Janus
/// put them among the tensors of a whole model.
pub const VQ_PREFIXES: [&str; 4] = ["", "vqmodel.", "model.vqmodel.", "gen_vision_model."];
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

/// Who named the tensors, and wrote the code that they are read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VqLayout {
    /// taming-transformers: levels are numbered by resolution, finest first. The config says how
    /// codes are scaled.
    Taming,
    /// LlamaGen, and Janus in its original layout: levels are numbered in the order in which they
    /// run. Codes have length one.
    LlamaGen,
    /// Janus as transformers converts it: taming's words, LlamaGen's order.
    Janus,
}

/// How a colour becomes one of 256 levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Levels {
    /// The level below, as Chameleon and Janus.
    Below,
    /// The nearest, as LlamaGen.
    Nearest,
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
    /// How tensors are named.
    pub layout: VqLayout,
    /// How colours are rounded.
    pub levels: Levels,
}

#[derive(Deserialize)]
struct Raw {
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

/// The name of a tensor without the prefix that it has inside a whole model; none if it has no such
/// prefix.
pub(crate) fn bare_name(name: &str) -> Option<&str> {
    VQ_PREFIXES.iter().filter(|prefix| !prefix.is_empty()).find_map(|prefix| name.strip_prefix(prefix))
}

impl VqConfig {
    /// Reads the tokenizer's `config.json`; keys that it does not know are left alone.
    ///
    /// # Errors
    /// Not JSON, a key that is missing or out of range, or a choice that is not supported.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let keys: Map<String, Value> = from_json("a VQ tokenizer's config", bytes)?;
        let layout = match keys.get("model_type").map_or(Some("vqgan"), Value::as_str) {
            Some("vqgan" | "chameleon_vqgan") => VqLayout::Taming,
            Some("llamagen_vq" | JANUS_ORIGINAL) => VqLayout::LlamaGen,
            Some("janus_vqgan") => VqLayout::Janus,
            other => {
                let known = "vqgan or chameleon_vqgan or llamagen_vq or janus_vq16 or janus_vqgan";
                return Err(unsupported("model_type", known, other.unwrap_or("no text")));
            }
        };
        let levels = (keys.get("model_type").and_then(Value::as_str) == Some(JANUS_ORIGINAL)).then_some(Levels::Below);
        let config = Self::from_keys(keys, layout)?;
        Ok(Self { levels: levels.unwrap_or(config.levels), ..config })
    }

    /// Reads the keys of a tokenizer of this layout.
    pub(crate) fn from_keys(mut keys: Map<String, Value>, layout: VqLayout) -> Result<Self> {
        if layout != VqLayout::Taming {
            for ([taming, hugging_face], value) in vq_16() {
                if !keys.contains_key(hugging_face) {
                    keys.entry(taming).or_insert(value);
                }
            }
        }
        let raw: Raw = from_value("a VQ tokenizer's config", Value::Object(keys))?;
        raw.supported()?;
        let groups = size("norm_num_groups", raw.norm_num_groups.unwrap_or(32), MAX_CHANNELS)?;
        let level_channels = raw.level_channels(groups)?;
        let attention_levels = match layout {
            VqLayout::Taming => raw.attention_levels()?,
            VqLayout::LlamaGen | VqLayout::Janus => vec![level_channels.len() - 1],
        };
        let normalized = raw.normalize_codes || layout != VqLayout::Taming;
        Ok(Self {
            base_channels: size("ch", raw.ch, MAX_CHANNELS)?,
            level_channels,
            res_blocks: size("num_res_blocks", raw.num_res_blocks, 64)?,
            attention_levels,
            latent_channels: size("z_channels", raw.z_channels, MAX_CHANNELS)?,
            embed_dim: size("embed_dim", raw.embed_dim, MAX_CHANNELS)?,
            codes: size("n_embed", raw.n_embed, 1 << 24)?,
            groups,
            codebook: if normalized { Codebook::Normalized } else { Codebook::AsStored },
            layout,
            levels: if layout == VqLayout::LlamaGen { Levels::Nearest } else { Levels::Below },
        })
    }

    /// The `config.json` that describes the VQ tokenizer of a Janus in a folder of its own.
    pub(crate) fn janus_json(&self) -> Value {
        let factors: Vec<usize> = self.level_channels.iter().map(|channels| channels / self.base_channels).collect();
        json!({
            "model_type": if self.layout == VqLayout::Janus { "janus_vqgan" } else { JANUS_ORIGINAL },
            "ch": self.base_channels, "ch_mult": factors, "num_res_blocks": self.res_blocks,
            "z_channels": self.latent_channels, "embed_dim": self.embed_dim, "n_embed": self.codes,
            "norm_num_groups": self.groups,
        })
    }

    /// Pixels along a side of the square that a code stands for.
    pub fn pixels_per_cell(&self) -> usize {
        1 << (self.level_channels.len() - 1)
    }
}

/// Hawk's own name for the tokenizer of a Janus in its original layout, in a folder of its own.
const JANUS_ORIGINAL: &str = "janus_vq16";

/// What LlamaGen's and Janus's code takes for keys that are not there, in both spellings.
fn vq_16() -> [([&'static str; 2], Value); 7] {
    [
        (["ch", "base_channels"], json!(128)),
        (["ch_mult", "channel_multiplier"], json!([1, 1, 2, 2, 4])),
        (["num_res_blocks", "num_res_blocks"], json!(2)),
        (["z_channels", "latent_channels"], json!(256)),
        (["embed_dim", "embed_dim"], json!(8)),
        (["n_embed", "num_embeddings"], json!(16384)),
        // No level's attention depends on it here.
        (["resolution", "resolution"], json!(256)),
    ]
}

impl Raw {
    fn supported(&self) -> Result<()> {
        if let Some(choice) = self.attn_type.as_deref().filter(|choice| *choice != "vanilla") {
            return Err(unsupported("attn_type", "vanilla", choice));
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
        serde_json::from_str(include_str!("../../../../models/built-in/vq/config.json")).unwrap()
    }

    fn read(json: &Map<String, Value>) -> Result<VqConfig> {
        VqConfig::from_json(&serde_json::to_vec(json).unwrap())
    }

    #[test]
    fn both_spellings_read_the_same() {
        let mut json = emoji();
        let taming = read(&json).unwrap();
        assert_eq!((taming.level_channels.as_slice(), taming.pixels_per_cell()), (&[16, 32, 64, 128][..], 8));
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
        assert_eq!(read(&json).unwrap().attention_levels, [1, 3]);
    }

    #[test]
    fn the_tokenizers_of_janus_and_llamagen_have_the_defaults_of_their_code() {
        let of = |json: Value| VqConfig::from_model_json(&serde_json::to_vec(&json).unwrap()).unwrap().unwrap();
        let converted = of(json!({"model_type": "janus"}));
        let original = of(json!({"model_type": "multi_modality", "gen_vision_config": {"params": {"n_embed": 8}}}));
        for (config, layout) in [(&converted, VqLayout::Janus), (&original, VqLayout::LlamaGen)] {
            assert_eq!((config.layout, config.levels, config.codebook), (layout, Levels::Below, Codebook::Normalized));
            assert_eq!((config.pixels_per_cell(), config.codes, config.embed_dim), (16, 16384, 8));
            assert_eq!((config.level_channels[4], config.attention_levels.as_slice()), (512, &[4][..]));
        }
        for config in [&converted, &original] {
            assert_eq!(&VqConfig::from_json(config.janus_json().to_string().as_bytes()).unwrap(), config);
        }
        let eight = VqConfig::from_json(br#"{"model_type": "llamagen_vq", "ch_mult": [1, 2, 2, 4]}"#).unwrap();
        assert_eq!((eight.pixels_per_cell(), eight.levels), (8, Levels::Nearest));
        assert!(VqConfig::from_model_json(br#"{"model_type": "llama"}"#).unwrap().is_none());
    }
}
