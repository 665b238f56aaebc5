//! Requests to a language model, their events and their results.

use std::fmt;
use std::time::Duration;

use hawk_nn::{Error, Result};
use hawk_spec::{DecodeStats, Rule, Sampling, Seed, TokenId};

use crate::request::decoding::Decoding;
use crate::request::event::{CellSource, Timings};
use crate::request::rule::AnyRule;

/// The template around the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PromptStyle {
    /// No template: the model continues the prompt.
    #[default]
    Plain,
    /// LLaMA 2's chat, one turn without a system prompt: `[INST] {prompt} [/INST]`, with the prompt
    /// trimmed.
    Chat,
}

impl PromptStyle {
    /// The prompt in its template.
    #[must_use]
    pub fn fill(self, prompt: &str) -> String {
        match self {
            Self::Plain => prompt.to_owned(),
            Self::Chat => format!("[INST] {} [/INST]", prompt.trim()),
        }
    }
}

/// The way in which tokens are drawn from the target's law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TextSampling {
    /// The likeliest token, ties to the lower id. Both exact rules then give the same text.
    Greedy,
    /// A random draw.
    Drawn {
        /// Temperature, top-k and top-p. Text has no guidance: cfg must be 1.
        sampling: Sampling,
        /// Key of the noise.
        seed: Seed,
    },
}

/// A request for a text.
///
/// Under [`Rule::Replay`] the text depends on the model, the prompt, `sampling` and `max_tokens`
/// alone.
#[derive(Clone, Debug, PartialEq)]
pub struct TextRequest {
    /// The prompt, without its template.
    pub prompt: String,
    /// The template around the prompt.
    pub style: PromptStyle,
    /// The way in which tokens are drawn.
    pub sampling: TextSampling,
    /// Decoder, rule, tree. The decoder must draft text ([`Decoder::AR`](crate::Decoder::AR),
    /// [`Decoder::SCD`](crate::Decoder::SCD), [`Decoder::MEDUSA`](crate::Decoder::MEDUSA)), and the
    /// rule must be exact.
    pub decoding: Decoding,
    /// Most tokens after the prompt, at least 1. The model's positions may allow fewer.
    pub max_tokens: usize,
}

impl TextRequest {
    /// The decoding in effect. Greedy decoding tests drafts by equality, whatever the rule.
    pub(super) fn checked_decoding(&self) -> Result<Decoding> {
        if let AnyRule::Lossy(_) = self.decoding.rule() {
            return Err(Error::input("text needs an exact rule")
                .at("rule")
                .expected("replay or rejection")
                .got(self.decoding.rule()));
        }
        if self.max_tokens == 0 {
            return Err(Error::input("the request has no token").at("max_tokens").expected("at least 1").got(0));
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

/// The reason why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The last token ends texts.
    Eos,
    /// The text has the requested number of tokens.
    MaxTokens,
    /// The model has no further position.
    Positions,
    /// The observer ended the run.
    Observer,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Stop::Eos => "end of text",
            Stop::MaxTokens => "max tokens",
            Stop::Positions => "end of positions",
            Stop::Observer => "interruption",
        })
    }
}

/// An event of a text request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TextEvent<'a> {
    /// The keys and values of the prompt are computed.
    PrefillDone {
        /// The tokens of the prompt.
        prompt: &'a [TokenId],
    },
    /// A pass committed tokens.
    TokensCommitted {
        /// The tokens.
        tokens: &'a [TokenId],
        /// The source of each token.
        sources: &'a [CellSource],
    },
}

/// A finished text.
#[derive(Clone, Debug)]
pub struct GeneratedText {
    /// The tokens of the prompt, template included.
    pub prompt: Vec<TokenId>,
    /// The tokens after the prompt, the end included.
    pub tokens: Vec<TokenId>,
    /// The source of each token.
    pub sources: Vec<CellSource>,
    /// The reason why the text ended.
    pub stop: Stop,
    /// Counts of the decode.
    pub stats: DecodeStats,
    /// Times of the parts. A text has no pixels.
    pub timings: Timings,
    /// Time from the end of prefill to the last token.
    pub elapsed: Duration,
}
