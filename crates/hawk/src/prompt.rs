//! From a prompt to the tokens before the first cell.

use std::collections::HashMap;
use std::sync::Arc;

use hawk_nn::{
    CaptionPrompt, ClassPrompt, Condition, Error, HawkConfig, ImageSize, OwnInputs, Result, TextPrompt, TextTokenizer,
    TransformerConfig,
};
use hawk_spec::{Sampling, TokenId};

/// The tokens of one stream before its first cell, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Prefix {
    tokens: Vec<TokenId>,
    own: OwnInputs,
}

impl Prefix {
    pub(crate) fn new(tokens: Vec<TokenId>) -> Self {
        Self { tokens, own: OwnInputs::default() }
    }

    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// The inputs of tokens beyond the vocabulary, and the position of the first token.
    pub(crate) fn own(&self) -> &OwnInputs {
        &self.own
    }

    /// The tokens that prefill commits: all but the anchor.
    pub(crate) fn before_anchor(&self) -> &[TokenId] {
        &self.tokens[..self.tokens.len() - 1]
    }

    /// The last token, the root of the first tree.
    pub(crate) fn anchor(&self) -> TokenId {
        self.tokens[self.tokens.len() - 1]
    }
}

/// The prefixes of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditioning {
    /// The conditional stream's prefix.
    pub cond: Prefix,
    /// The unconditional stream's prefix.
    pub uncond: Prefix,
}

impl Conditioning {
    /// The prefixes of an image's streams: cond, and uncond where the sampling is guided.
    pub(crate) fn prefixes(&self, sampling: &Sampling) -> Arc<[Prefix]> {
        if sampling.guided() {
            Arc::new([self.cond.clone(), self.uncond.clone()])
        } else {
            Arc::new([self.cond.clone()])
        }
    }
}

/// A prompt, and the size that the template names.
#[derive(Clone, Copy)]
pub(crate) struct PromptOf<'a> {
    pub(crate) prompt: &'a str,
    pub(crate) named_size: ImageSize,
}

/// Turns prompts into tokens, by the kind of condition.
pub(crate) enum Prompter {
    /// Prompts are texts.
    Text(TextPrompt, Box<TextTokenizer>),
    /// Prompts are numbers of classes.
    Class(ClassPrompt),
    /// Prompts stand for features of captions.
    Caption(CaptionPrompt, Captions),
}

/// Features of captions, by prompt.
#[derive(Default)]
pub(crate) struct Captions {
    /// Features of one prompt.
    of: HashMap<String, OwnFeatures>,
    /// Features of every other prompt.
    any: Option<OwnFeatures>,
}

impl Captions {
    pub(crate) fn put(&mut self, of: PromptsOf<'_>, features: OwnFeatures) {
        match of {
            PromptsOf::One(prompt) => drop(self.of.insert(prompt.to_owned(), features)),
            PromptsOf::All => self.any = Some(features),
        }
    }

    pub(crate) fn get(&self, prompt: &str) -> Option<&OwnFeatures> {
        self.of.get(prompt).or(self.any.as_ref())
    }
}

/// The prompts that features belong to.
#[derive(Clone, Copy)]
pub(crate) enum PromptsOf<'a> {
    One(&'a str),
    All,
}

/// The features of a caption as inputs.
pub(crate) struct OwnFeatures {
    pub(crate) inputs: OwnInputs,
    pub(crate) count: u32,
    /// SHA-256 of their file.
    pub(crate) digest: String,
}

impl Prompter {
    pub(crate) fn new(condition: &Condition, tokenizer: Option<TextTokenizer>) -> Result<Self> {
        match (condition, tokenizer) {
            (Condition::Text(text), Some(tokenizer)) => Ok(Self::Text(text.clone(), Box::new(tokenizer))),
            (Condition::Text(_), None) => Err(Error::input("prompts need a tokenizer").at("tokenizer.json")),
            (Condition::Class(class), _) => Ok(Self::Class(*class)),
            (Condition::Caption(caption), _) => Ok(Self::Caption(*caption, Captions::default())),
        }
    }

    pub(crate) fn condition(
        &self,
        of: PromptOf<'_>,
        config: &HawkConfig,
        transformer: &TransformerConfig,
    ) -> Result<Conditioning> {
        match self {
            Self::Text(text, tokenizer) => {
                let words = tokenizer.encode(&text.template.fill(of.prompt, of.named_size))?;
                of_text(words, text, config, transformer)
            }
            Self::Class(class) => of_class(of.prompt, *class),
            Self::Caption(caption, captions) => {
                let features = captions.get(of.prompt).ok_or_else(|| {
                    Error::input("the model reads the features of a caption, not its text")
                        .expected("features")
                        .got("a prompt")
                        .hint("--t5 DIR computes them with a text encoder (cargo feature t5), --features FILE.safetensors reads them; see docs/models.md")
                })?;
                Ok(of_caption(*caption, features))
            }
        }
    }
}

/// `words` are the tokens of the text, template included.
fn of_text(
    mut words: Vec<TokenId>,
    text: &TextPrompt,
    config: &HawkConfig,
    transformer: &TransformerConfig,
) -> Result<Conditioning> {
    // Some tokenizers add the begin of text themselves.
    if words.first() == Some(&text.bos) {
        words.remove(0);
    }
    let opening = [text.after_text.clone(), config.layout.opening()].concat();
    let most = text_room(transformer.max_positions, opening.len() + config.layout.sequence_len());
    if words.len() + 1 > most {
        return Err(Error::input("the prompt is too long")
            .expected(format!("at most {} tokens of text", most - 1))
            .got(words.len())
            .hint("a token is about four letters"));
    }
    let uncond = text.unconditional_prefix(&config.layout, words.len());
    Ok(Conditioning { cond: Prefix::new([vec![text.bos], words, opening].concat()), uncond: Prefix::new(uncond) })
}

fn of_class(prompt: &str, ClassPrompt { first, classes }: ClassPrompt) -> Result<Conditioning> {
    let class = prompt.trim().parse().ok().filter(|class| *class < classes).ok_or_else(|| {
        Error::input("there is no such class")
            .expected(format!("a number from 0 to {}", classes - 1))
            .got(format!("{prompt:?}"))
            .hint("the model draws classes, not words")
    })?;
    let prefix = |class: u32| Prefix::new(vec![TokenId(first.0 + class)]);
    Ok(Conditioning { cond: prefix(class), uncond: prefix(classes) })
}

fn of_caption(caption: CaptionPrompt, features: &OwnFeatures) -> Conditioning {
    let (inputs, count) = (&features.inputs, features.count);
    let ids = |first: u32| (first..first + count).map(TokenId).collect();
    Conditioning {
        cond: Prefix { tokens: ids(caption.own.0), own: inputs.clone() },
        uncond: Prefix { tokens: ids(caption.none.0 + caption.most - count), own: inputs.positions_alone() },
    }
}

/// Number of positions for text. Where the image alone takes all positions of the model, as the
/// largest image of Lumina-mGPT does, the text may take as many again: rotary positions are
/// unbounded.
fn text_room(max_positions: usize, image_tokens: usize) -> usize {
    match max_positions.checked_sub(image_tokens) {
        Some(room) if room > 1 => room,
        _ => max_positions,
    }
}

#[cfg(test)]
mod tests {
    use super::text_room;

    #[test]
    fn the_image_comes_first() {
        assert_eq!(text_room(512, 275), 237);
        assert_eq!(text_room(4096, 4162), 4096);
    }
}
