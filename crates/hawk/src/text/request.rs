//! What is asked of a text engine, and what it tells and gives back.

use std::fmt;
use std::time::Duration;

use hawk_nn::{Error, Result};
use hawk_spec::{DecodeStats, Rule, Sampling, Seed, TokenId};

use crate::request::decoding::Decoding;
use crate::request::event::{CellSource, Timings};
use crate::request::rule::AnyRule;

/// What stands around the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PromptStyle {
    /// Nothing: the model goes on with the text.
    #[default]
    Plain,
    /// LLaMA 2's chat, one turn without a system prompt: `[INST] {prompt} [/INST]`, white space
    /// around the prompt left out.
    Chat,
}

impl PromptStyle {
    /// The text that is encoded.
    #[must_use]
    pub fn fill(self, prompt: &str) -> String {
        match self {
            Self::Plain => prompt.to_owned(),
            Self::Chat => format!("[INST] {} [/INST]", prompt.trim()),
        }
    }
}

/// How tokens are taken from the target's law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TextSampling {
    /// Always the likeliest, ties to the lower id. No random number is read, and both exact rules
    /// are one.
    Greedy,
    /// Drawn.
    Drawn {
        /// Temperature, then top-k, then top-p. Text has no guidance: cfg is 1.
        sampling: Sampling,
        /// Key of the noise.
        seed: Seed,
    },
}

/// A text to be written. Under [`Rule::Replay`] it depends on the model, the prompt, `sampling` and
/// `max_tokens` alone.
#[derive(Clone, Debug, PartialEq)]
pub struct TextRequest {
    /// What the text goes on from, or what is asked.
    pub prompt: String,
    /// What stands around it.
    pub style: PromptStyle,
    /// How tokens are taken.
    pub sampling: TextSampling,
    /// Drafter, rule, tree. The drafter must draft text ([`Decoder::AR`](crate::Decoder::AR),
    /// [`Decoder::MEDUSA`](crate::Decoder::MEDUSA)), and the rule must be exact.
    pub decoding: Decoding,
    /// Most tokens after the prompt, at least 1; the model's positions may leave fewer.
    pub max_tokens: usize,
}

impl TextRequest {
    /// The way of decoding as it is carried out: greedy decoding tests drafts by equality whatever
    /// the rule.
    pub(super) fn checked_decoding(&self) -> Result<Decoding> {
        if let AnyRule::Lossy(_) = self.decoding.rule() {
            return Err(Error::input("text is written by exact rules alone")
                .at("rule")
                .expected("replay or rejection")
                .got(self.decoding.rule()));
        }
        if self.max_tokens == 0 {
            return Err(Error::input("no token asked for").at("max_tokens").expected("at least 1").got(0));
        }
        match self.sampling {
            TextSampling::Greedy => Decoding::new(self.decoding.decoder(), Rule::Replay, self.decoding.tree()),
            TextSampling::Drawn { sampling, .. } if sampling.guided() => {
                Err(Error::input("text has no guidance").at("cfg").expected("1").got(sampling.cfg()))
            }
            TextSampling::Drawn { .. } => Ok(self.decoding),
        }
    }
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The model wrote a token that ends texts; it is the last one.
    Eos,
    /// As many tokens as were asked for.
    MaxTokens,
    /// The model has no further positions.
    Positions,
    /// The observer broke off.
    Observer,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Stop::Eos => "end of text",
            Stop::MaxTokens => "max tokens",
            Stop::Positions => "end of positions",
            Stop::Observer => "broken off",
        })
    }
}

/// What happens while a text is written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TextEvent<'a> {
    /// The prompt has been read.
    PrefillDone {
        /// Its tokens.
        prompt: &'a [TokenId],
    },
    /// A pass has committed tokens.
    TokensCommitted {
        /// The tokens.
        tokens: &'a [TokenId],
        /// Where each came from.
        sources: &'a [CellSource],
    },
}

/// A finished text.
#[derive(Clone, Debug)]
pub struct GeneratedText {
    /// The prompt's tokens, with what stands around it.
    pub prompt: Vec<TokenId>,
    /// The tokens after the prompt, the one that ends the text included.
    pub tokens: Vec<TokenId>,
    /// Where each came from.
    pub sources: Vec<CellSource>,
    /// Why there are no more.
    pub stop: Stop,
    /// What the decode did.
    pub stats: DecodeStats,
    /// Where the time went; a text has no pixels.
    pub timings: Timings,
    /// From the end of prefill to the last token.
    pub elapsed: Duration,
}
