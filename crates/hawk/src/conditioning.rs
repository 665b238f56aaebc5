//! From a prompt to the tokens that stand before the first cell.

use hawk_nn::{Error, HawkConfig, Result, TextTokenizer, TransformerConfig};
use hawk_spec::TokenId;

/// The tokens of one stream before its first cell; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(Vec<TokenId>);

impl Prefix {
    /// All of them.
    #[must_use]
    pub fn tokens(&self) -> &[TokenId] {
        &self.0
    }

    /// Those that prefill commits: all but the anchor.
    pub(crate) fn before_anchor(&self) -> &[TokenId] {
        &self.0[..self.0.len() - 1]
    }

    /// The last token: the first tree's root.
    pub(crate) fn anchor(&self) -> TokenId {
        self.0[self.0.len() - 1]
    }
}

/// What a prompt becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditioning {
    /// The conditional stream's prefix.
    pub cond: Prefix,
    /// The unconditional stream's prefix.
    pub uncond: Prefix,
}

impl Conditioning {
    pub(crate) fn new(
        prompt: &str,
        config: &HawkConfig,
        tokenizer: &TextTokenizer,
        transformer: &TransformerConfig,
    ) -> Result<Self> {
        let mut text = tokenizer.encode(&config.prompt.fill(prompt, config.image_size))?;
        // Some tokenizers put the begin of the text there themselves.
        if text.first() == Some(&config.bos) {
            text.remove(0);
        }
        let opening = [config.after_text.clone(), config.layout.opening()].concat();
        let most = text_room(transformer.max_positions, opening.len() + config.layout.sequence_len());
        if text.len() + 1 > most {
            return Err(Error::input("the prompt is too long")
                .expected(format!("at most {} tokens of text", most - 1))
                .got(text.len())
                .hint("a token is about four letters"));
        }
        Ok(Self {
            cond: Prefix([vec![config.bos], text, opening].concat()),
            uncond: Prefix(config.unconditional_prefix()),
        })
    }
}

/// Positions that are left for text. Where the image alone takes all that the model was trained for, as Lumina-mGPT's largest does, the text may
/// take as many again: rotary positions have no end.
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
