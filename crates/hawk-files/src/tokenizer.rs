//! Text to token ids, with the model's own `tokenizer.json`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hawk_spec::TokenId;
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::config::transformer::TransformerConfig;
use crate::error::{Error, Result};
use crate::json::from_json;

/// Longest text in bytes of UTF-8. It is far above the positions of every model, and encoding it
/// takes well under a second.
pub const MAX_PROMPT_BYTES: usize = 64 * 1024;

/// The tokenizer of a model, in the format of the `tokenizers` library.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`. Truncation and padding that were saved in it are left out, as the
    /// reference library leaves them out of every call that does not ask for them.
    ///
    /// # Errors
    /// Not a tokenizer of that format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let expected = "tokenizer.json of the tokenizers library";
        // The library panics where its reader meets broken JSON half way.
        let json: Value = from_json("a tokenizer", bytes).map_err(|e| e.expected(expected))?;
        let mut tokenizer = guarded(|| Tokenizer::from_bytes(bytes))
            .map_err(|e| Error::input(format!("not a tokenizer: {e}")).expected(expected))?;
        tokenizer.with_padding(None);
        guarded(|| tokenizer.with_truncation(None).map(|_| ()))
            .map_err(|e| Error::input(format!("not a tokenizer: {e}")).at("truncation"))?;
        bounded(&json)?;
        Ok(Self { tokenizer })
    }

    /// Checks that every id the tokenizer can give is in the model's vocabulary.
    ///
    /// # Errors
    /// An id beyond the vocabulary.
    pub fn check(&self, config: &TransformerConfig) -> Result<()> {
        let (ids, known) = (self.ids(), config.text().end);
        if ids <= known {
            return Ok(());
        }
        Err(Error::input("the tokenizer has ids that the model does not know")
            .expected(format!("at most vocab_size = {known} ids"))
            .got(ids)
            .hint("tokenizer.json and config.json must be of the same model"))
    }

    /// How many ids the tokenizer knows: one more than its largest.
    pub fn ids(&self) -> usize {
        self.tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1)
    }

    /// The id of a token that is named as a whole.
    ///
    /// # Errors
    /// The tokenizer has none of this name.
    pub fn id_of(&self, token: &str) -> Result<TokenId> {
        self.tokenizer.token_to_id(token).map(TokenId).ok_or_else(|| {
            Error::input("the tokenizer lacks a token that the model's prompts need").expected(format!("{token:?}"))
        })
    }

    /// The ids of a text with the special tokens of the post-processor, as
    /// `Tokenizer.encode(text).ids` in Python. The text may be empty.
    ///
    /// # Errors
    /// A text of more than [`MAX_PROMPT_BYTES`], or one that the tokenizer has no ids for.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>> {
        if text.len() > MAX_PROMPT_BYTES {
            return Err(Error::input("the prompt is too long")
                .expected(format!("at most {MAX_PROMPT_BYTES} bytes"))
                .got(format!("{} bytes", text.len())));
        }
        let encoding = guarded(|| self.tokenizer.encode_fast(text, true))
            .map_err(|e| Error::input(format!("the tokenizer cannot encode the prompt: {e}")))?;
        Ok(encoding.get_ids().iter().copied().map(TokenId).collect())
    }

    /// The text of ids, special tokens left out; for messages and tests.
    ///
    /// # Errors
    /// Ids that the tokenizer cannot decode.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String> {
        let ids: Vec<u32> = ids.iter().map(|id| id.0).collect();
        guarded(|| self.tokenizer.decode(&ids, true))
            .map_err(|e| Error::input(format!("the tokenizer cannot decode the ids: {e}")))
    }
}

/// How many times longer than a text its ids and its normalized form may be.
const MAX_GROWTH: u64 = 64;

/// Refuses settings with which a short text would need unbounded memory; the library does not limit
/// them.
fn bounded(json: &Value) -> Result<()> {
    let growth = growth(&json["normalizer"]);
    if growth <= MAX_GROWTH {
        return Ok(());
    }
    let error = Error::input("the tokenizer would make any amount of a short prompt").at("normalizer");
    Err(error.expected(format!("at most {MAX_GROWTH} bytes of one")).got(growth))
}

/// Most bytes that the replacements of a normalizer make of one.
fn growth(normalizer: &Value) -> u64 {
    let content = normalizer["content"].as_str().filter(|_| normalizer["type"] == "Replace");
    let own = content.map_or(1, |content| content.len().max(1) as u64);
    let parts = normalizer["normalizers"].as_array().into_iter().flatten();
    parts.fold(own, |all, part| all.saturating_mul(growth(part)))
}

/// Catches panics of the library. It panics on some damaged tokenizers (a broken
/// `precompiled_charsmap`), and a file of a model must not end the program. Nothing that a panic
/// leaves half done is used afterwards.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the tokenizers library panicked".to_owned()),
    }
}
