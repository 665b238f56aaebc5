//! Where the texts of a model begin and end, as its configs say.

use hawk_spec::TokenId;
use serde_json::Value;

use super::transformer::TransformerConfig;
use crate::error::{Error, Result};
use crate::json::from_json;
use crate::source::ModelSource;

/// The files that say it, the first that does.
const FILES: [&str; 2] = ["generation_config.json", "config.json"];
/// What the reference library takes where neither does (`LlamaConfig`, transformers 5.23.0).
const BOS: u32 = 1;
const EOS: u32 = 2;

/// The tokens around a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextConfig {
    /// Opens every text; none where the config says `null`.
    pub bos: Option<TokenId>,
    /// Any of these ends a text; empty where the config says `null`.
    pub eos: Vec<TokenId>,
}

impl TextConfig {
    /// Reads `bos_token_id` and `eos_token_id` from `generation_config.json`, else from
    /// `config.json`, else takes the defaults of the reference library.
    ///
    /// # Errors
    /// A file that is damaged, or an id beyond the vocabulary.
    pub fn of_model(source: &ModelSource, transformer: &TransformerConfig) -> Result<Self> {
        let ids = |key: &str, otherwise: u32| -> Result<Vec<TokenId>> {
            for name in FILES.into_iter().filter(|name| source.contains(name)) {
                let place = |e: Error| e.at(key).at(source.describe(name));
                let config: Value =
                    from_json("a config", &source.read(name)?).map_err(|e| e.at(source.describe(name)))?;
                if let Some(value) = config.get(key) {
                    return ids_of(value, transformer.text().end).map_err(place);
                }
            }
            Ok(Some(otherwise)
                .filter(|id| transformer.text().contains(&(*id as usize)))
                .map(TokenId)
                .into_iter()
                .collect())
        };
        Ok(Self { bos: ids("bos_token_id", BOS)?.first().copied(), eos: ids("eos_token_id", EOS)? })
    }
}

/// An id, a list of ids, or none.
fn ids_of(value: &Value, vocabulary: usize) -> Result<Vec<TokenId>> {
    let id = |value: &Value| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|id| (*id as usize) < vocabulary);
        id.map(TokenId).ok_or_else(|| {
            Error::input("no id of the vocabulary")
                .expected(format!("a number below {vocabulary}, a list, or null"))
                .got(value)
        })
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => values.iter().map(id).collect(),
        value => Ok(vec![id(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value, generation: Option<Value>) -> Result<TextConfig> {
        let dir = tempfile::tempdir().unwrap();
        let base = json!({
            "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
            "num_attention_heads": 4, "vocab_size": 100, "rms_norm_eps": 1e-5,
        });
        let transformer = TransformerConfig::from_json(base.to_string().as_bytes()).unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        if let Some(generation) = generation {
            std::fs::write(dir.path().join("generation_config.json"), generation.to_string()).unwrap();
        }
        TextConfig::of_model(&ModelSource::Dir(dir.path().to_owned()), &transformer)
    }

    #[test]
    fn the_nearest_file_that_says_it_counts() {
        let tokens = |bos: Option<u32>, eos: &[u32]| TextConfig {
            bos: bos.map(TokenId),
            eos: eos.iter().copied().map(TokenId).collect(),
        };
        assert_eq!(read(json!({}), None).unwrap(), tokens(Some(1), &[2]));
        assert_eq!(read(json!({ "bos_token_id": 5, "eos_token_id": [6, 7] }), None).unwrap(), tokens(Some(5), &[6, 7]));
        let generation = json!({ "eos_token_id": 9 });
        assert_eq!(
            read(json!({ "bos_token_id": null, "eos_token_id": 6 }), Some(generation)).unwrap(),
            tokens(None, &[9])
        );
        for (config, named) in [
            (json!({ "eos_token_id": 100 }), "eos_token_id"),
            (json!({ "eos_token_id": [1, -1] }), "-1"),
            (json!({ "bos_token_id": "<s>" }), "bos_token_id"),
        ] {
            let error = read(config, None).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("config.json"), "{error}");
        }
    }
}
