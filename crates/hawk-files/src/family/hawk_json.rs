//! `hawk.json` of a model of any family: read, derived where a public model has none, written.

use hawk_spec::Structure;
use serde_json::{Value, json};

use super::table::READERS;
use crate::config::family::Family;
use crate::config::image::{Condition, HawkConfig, Sizes, Unconditional};
use crate::config::transformer::TransformerConfig;
use crate::error::{Error, Result};
use crate::json::unsupported;
use crate::places::folder_names;
use crate::source::ModelSource;

/// The words of `hawk.json` for families.
fn words() -> impl Iterator<Item = (&'static str, Family)> {
    READERS.iter().filter_map(|reader| reader.hawk_json)
}

fn of_word(word: &str) -> Result<Family> {
    let known = || words().map(|(known, _)| known).collect::<Vec<_>>().join(" or ");
    let found = words().find(|(known, _)| *known == word).map(|(_, family)| family);
    found.ok_or_else(|| unsupported("family", &known(), word))
}

impl HawkConfig {
    /// Reads `hawk.json`; keys that it does not know are left alone.
    ///
    /// # Errors
    /// Not JSON, a key that is missing or out of range, or a choice that is not supported.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        Self::of_families(bytes, of_word)
    }

    /// Checks it against the transformer's `config.json`.
    ///
    /// # Errors
    /// Another family, or ids beyond the vocabulary.
    pub fn check(&self, transformer: &TransformerConfig) -> Result<()> {
        if self.family != transformer.family {
            return Err(Error::input("hawk.json and config.json name different families")
                .at("family")
                .expected(format!("{}, as config.json says", transformer.family.name()))
                .got(self.family.name()));
        }
        self.check_ids(transformer)
    }

    /// The content of `hawk.json`, or what it would be for a public model without one. None if the
    /// folder lacks the text tokenizer or VQ tokenizer that it is derived from.
    ///
    /// # Errors
    /// A file that is damaged, or a tokenizer that is not the family's.
    pub fn of_model(source: &ModelSource, transformer: &TransformerConfig) -> Result<Option<Self>> {
        Self::of_named_model(source, transformer, &folder_names(source))
    }

    /// As [`HawkConfig::of_model`], for a model of these names, the likeliest first.
    pub(crate) fn of_named_model(
        source: &ModelSource,
        transformer: &TransformerConfig,
        names: &[String],
    ) -> Result<Option<Self>> {
        if source.contains("hawk.json") {
            let config = Self::from_json(&source.read("hawk.json")?).and_then(|config| {
                config.check(transformer)?;
                Ok(config)
            });
            return config.map(Some).map_err(|e| e.at(source.describe("hawk.json")));
        }
        let derived = transformer.family.rules().hawk_config(transformer, source, names)?;
        let checked = derived.map(|config| config.check(transformer).map(|()| config)).transpose();
        checked.map_err(|e| e.at(source.describe("config.json")))
    }

    /// The `hawk.json` that reads as this config; none for families that need none.
    pub fn to_json(&self) -> Option<Value> {
        let (layout, s) = (&self.layout, self.defaults);
        let (family, _) = words().find(|(_, family)| *family == self.family)?;
        let Condition::Text(prompt) = &self.condition else { return None };
        let mut json = json!({
            "family": family,
            "grid": [layout.grid().rows(), layout.grid().cols()],
            "image_size": [self.image_size.height, self.image_size.width],
            "code_offset": layout.code_offset(), "codes": layout.codes(),
            "bos": prompt.bos.0, "prompt": prompt.template.text(),
            "after_text": prompt.after_text.iter().map(|token| token.0).collect::<Vec<_>>(),
            "sizes": match self.sizes { Sizes::Fixed => "fixed", Sizes::Lumina => "lumina" },
            "uncond": match prompt.unconditional {
                Unconditional::Begin => "begin",
                Unconditional::BosBegin => "bos_begin",
                Unconditional::Padded(_) => return None,
            },
            "defaults": {
                "cfg": s.cfg(), "temperature": s.temperature(), "top_k": s.top_k(), "top_p": s.top_p(),
            },
        });
        match layout.structure() {
            Structure::Lumina { begin, end, row_end, size_base, size_unit } => {
                json["layout"] = json!("lumina");
                let tokens = [("begin", begin), ("end", end), ("row_end", row_end), ("size_base", size_base)];
                tokens.into_iter().for_each(|(key, token)| json[key] = json!(token.0));
                json["size_unit"] = json!(size_unit);
            }
            _ => json["layout"] = json!("plain"),
        }
        Some(json)
    }
}
