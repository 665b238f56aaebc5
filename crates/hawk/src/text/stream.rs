//! Tokens to text as they come.

use hawk_nn::{Result, TextTokenizer};
use hawk_spec::TokenId;

/// What stands for bytes that are no whole character.
const BROKEN: char = char::REPLACEMENT_CHARACTER;
/// Tokens of the prompt that the first tokens are decoded after.
const CONTEXT: usize = 8;

/// Turns tokens into text one by one. A token alone may be part of a character, and whether a space
/// stands before it may depend on the one before; so tokens are decoded together with those last
/// written, and held back while they end inside a character.
///
/// Bytes that make no characters come out as replacement characters, maybe another number of them
/// than where the whole text is decoded at once.
pub struct TextStream<'a> {
    tokenizer: &'a TextTokenizer,
    /// The last tokens that were written, then those held back.
    tokens: Vec<TokenId>,
    written: usize,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a TextTokenizer, prompt: &[TokenId]) -> Self {
        let tokens = prompt[prompt.len().saturating_sub(CONTEXT)..].to_vec();
        Self { tokenizer, written: tokens.len(), tokens }
    }

    /// The text that is certain with this token; empty where it ends inside a character or is a
    /// special token.
    ///
    /// # Errors
    /// An id that the tokenizer cannot decode.
    pub fn push(&mut self, token: TokenId) -> Result<String> {
        self.tokens.push(token);
        let new = self.new_text()?;
        if new.is_empty() || new.ends_with(BROKEN) {
            return Ok(String::new());
        }
        self.tokens.drain(..self.written);
        self.written = self.tokens.len();
        Ok(new)
    }

    /// What was held back.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(self) -> Result<String> {
        self.new_text()
    }

    fn new_text(&self) -> Result<String> {
        let (before, whole) =
            (self.tokenizer.decode(&self.tokens[..self.written])?, self.tokenizer.decode(&self.tokens)?);
        let same = before.chars().zip(whole.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        Ok(whole.get(same..).unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use hawk_nn::ModelSource;
    use hawk_synth::{SynthModel, synthesize};
    use std::sync::Arc;

    use super::*;

    /// A tokenizer in LLaMA 2's layout, and one of bytes.
    fn tokenizers() -> Vec<TextTokenizer> {
        let dir = tempfile::tempdir().unwrap();
        let read = |model: SynthModel| {
            let out = dir.path().join(model.name());
            synthesize(model, 1, &out, &(Arc::new(|_, _| ()) as hawk_nn::Progress)).unwrap();
            TextTokenizer::from_bytes(&ModelSource::Dir(out).read_tokenizer().unwrap().1).unwrap()
        };
        vec![read(SynthModel::TinyLlama), read(SynthModel::TinyAnole)]
    }

    #[test]
    fn pieces_make_the_text_and_hold_whole_characters() {
        for tokenizer in tokenizers() {
            for text in ["of prey. It", " flies", "é🍎 Äpfel\n  x", "日本語", "a"] {
                let (prompt, whole) = ("The hawk is a bird", format!("The hawk is a bird{text}"));
                let (prompt, all) = (tokenizer.encode(prompt).unwrap(), tokenizer.encode(&whole).unwrap());
                assert!(all.starts_with(&prompt));
                let mut stream = TextStream::new(&tokenizer, &prompt);
                let pieces: Vec<String> =
                    all[prompt.len()..].iter().map(|&token| stream.push(token).unwrap()).collect();
                assert_eq!(pieces.concat(), text);
                assert!(!pieces.concat().contains(BROKEN));
                assert_eq!(stream.finish().unwrap(), "");
            }
        }
    }

    #[test]
    fn what_ends_inside_a_character_comes_at_the_end() {
        for tokenizer in tokenizers() {
            let apple = tokenizer.encode("x🍎").unwrap();
            let mut stream = TextStream::new(&tokenizer, &apple[..apple.len() - 4]);
            for &token in &apple[apple.len() - 4..apple.len() - 1] {
                assert_eq!(stream.push(token).unwrap(), "");
            }
            assert!(stream.finish().unwrap().contains(BROKEN));
        }
    }
}
