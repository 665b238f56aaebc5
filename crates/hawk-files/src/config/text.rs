//! Where the texts of a model begin and end, as its configs say.

use hawk_spec::TokenId;
use serde_json::{Map, Value, json};

use super::transformer::TransformerConfig;
use crate::error::{Error, Result};
use crate::json::{from_json, same};
use crate::source::ModelSource;

/// The files that say it, the first that does.
const FILES: [&str; 2] = ["generation_config.json", "config.json"];
/// What the reference library takes where neither does (`LlamaConfig`, transformers 5.23.0).
const BOS: u32 = 1;
const EOS: u32 = 2;

/// Settings under which `generate` of the reference library (transformers 5.23.0) changes the logits or
/// ends a text earlier, whether it samples or not, each with the value under which it does not. `null`
/// is always that value. What chooses among unchanged laws (`temperature`, `do_sample`, `num_beams`) is
/// for the caller to say here.
fn without_effect() -> [(&'static str, Option<Value>); 17] {
    let (zero, one, none) = (Some(json!(0)), Some(json!(1)), Some(json!([])));
    [
        ("guidance_scale", one.clone()),
        ("repetition_penalty", one.clone()),
        ("encoder_repetition_penalty", one),
        ("no_repeat_ngram_size", zero.clone()),
        ("encoder_no_repeat_ngram_size", zero.clone()),
        ("min_length", zero.clone()),
        ("min_new_tokens", zero),
        ("bad_words_ids", none.clone()),
        ("sequence_bias", none.clone()),
        ("suppress_tokens", none.clone()),
        ("begin_suppress_tokens", none.clone()),
        ("forced_decoder_ids", none.clone()),
        ("stop_strings", none),
        ("forced_bos_token_id", None),
        ("forced_eos_token_id", None),
        ("exponential_decay_length_penalty", None),
        ("watermarking_config", None),
    ]
}

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
    /// A file that is damaged, an id beyond the vocabulary, or a setting that changes the texts of the
    /// reference library and is not supported here, such as `repetition_penalty`.
    pub fn of_model(source: &ModelSource, transformer: &TransformerConfig) -> Result<Self> {
        supported(source)?;
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

/// Refuses settings that the reference library follows. It takes them from `config.json` only where
/// there is no `generation_config.json`.
fn supported(source: &ModelSource) -> Result<()> {
    let Some(name) = FILES.into_iter().find(|name| source.contains(name)) else { return Ok(()) };
    let config: Map<String, Value> =
        from_json("a config", &source.read(name)?).map_err(|e| e.at(source.describe(name)))?;
    for (key, harmless) in without_effect() {
        let given = config.get(key).filter(|given| !given.is_null());
        if let Some(given) = given.filter(|given| !harmless.as_ref().is_some_and(|known| same(given, known))) {
            let expected = harmless.map_or("null".to_owned(), |known| format!("{known} or null"));
            return Err(Error::input("a setting of the text's law that is not supported")
                .at(key)
                .at(source.describe(name))
                .expected(expected)
                .got(given)
                .hint("a copy of the model whose file does not have it writes texts without it"));
        }
    }
    Ok(())
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

    #[test]
    fn settings_of_the_law_are_refused_by_name() {
        let wrong = [
            ("repetition_penalty", json!(1.1)),
            ("encoder_repetition_penalty", json!(0.9)),
            ("guidance_scale", json!(3)),
            ("no_repeat_ngram_size", json!(2)),
            ("encoder_no_repeat_ngram_size", json!(1)),
            ("min_length", json!(10)),
            ("min_new_tokens", json!(1)),
            ("bad_words_ids", json!([[3]])),
            ("sequence_bias", json!([[[3], -1.0]])),
            ("suppress_tokens", json!([3])),
            ("begin_suppress_tokens", json!([3, 4])),
            ("forced_decoder_ids", json!([[1, 5]])),
            ("stop_strings", json!(["end"])),
            ("forced_bos_token_id", json!(0)),
            ("forced_eos_token_id", json!([2])),
            ("exponential_decay_length_penalty", json!([5, 1.1])),
            ("watermarking_config", json!({ "greenlist_ratio": 0.25 })),
        ];
        let known = without_effect().map(|(key, _)| key);
        assert!(known.iter().all(|key| wrong.iter().any(|(wrong, _)| wrong == key)), "a setting without a row");
        for (key, value) in wrong {
            let config = json!({ key: value });
            let error = read(json!({}), Some(config.clone())).unwrap_err().to_string();
            assert!(error.contains(&format!("generation_config.json: {key}: ")), "{error}");
            assert!(error.contains(&value.to_string()) && error.contains("null"), "{error}");
            // Without the file of their own they stand in the model's config.
            let error = read(config.clone(), None).unwrap_err().to_string();
            assert!(error.contains(&format!("/config.json: {key}: ")), "{error}");
            read(config, Some(json!({}))).unwrap();
        }
        assert!(read(json!({}), Some(json!([]))).unwrap_err().to_string().contains("generation_config.json"));
    }

    #[test]
    fn what_public_models_ship_is_read() {
        let neutral = without_effect().map(|(key, known)| (key.to_owned(), known.unwrap_or_default()));
        read(json!({}), Some(neutral.into_iter().collect())).unwrap();
        read(json!({}), Some(without_effect().map(|(key, _)| (key.to_owned(), Value::Null)).into_iter().collect()))
            .unwrap();
        for shipped in [
            json!({ "_from_model_config": true, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
                "do_sample": true, "temperature": 0.6, "max_length": 4096, "top_p": 0.9,
                "transformers_version": "4.31.0.dev0" }),
            json!({ "bos_token_id": 0, "eos_token_id": [2, 7], "num_beams": 1, "repetition_penalty": 1.0,
                "min_length": 0, "use_cache": true, "typical_p": 1.0, "top_k": 50 }),
        ] {
            read(json!({}), Some(shipped)).unwrap();
        }
    }
}
