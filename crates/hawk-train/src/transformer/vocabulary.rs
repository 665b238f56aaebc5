//! The vocabulary: special tokens, codes, structure tokens, and byte pairs learnt from the
//! captions, in this order.

use hawk_files::{Error, Result, TextTokenizer};
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::{Lowercase, NFKC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};

use crate::transformer::settings::BOS;

/// Id of the first code. The ids below are `<pad>`, `<s>`, `</s>` and `<unk>`.
pub(crate) const CODE_OFFSET: u32 = 4;

/// The ids that the size of the codebook and of the grid determine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenLayout {
    /// Size of the codebook.
    pub(crate) codes: u32,
    /// Number of rows, and of columns, of the grid.
    pub(crate) side: u32,
}

/// The text tokens of all captions.
pub(crate) struct Captions {
    pub(crate) layout: TokenLayout,
    /// For each picture, the ids of each of its captions.
    pub(crate) tokens: Vec<Vec<Vec<u32>>>,
    /// Number of ids.
    pub(crate) vocabulary: usize,
}

impl TokenLayout {
    pub(crate) fn begin(self) -> u32 {
        CODE_OFFSET + self.codes
    }

    pub(crate) fn end(self) -> u32 {
        self.begin() + 1
    }

    pub(crate) fn row_end(self) -> u32 {
        self.begin() + 2
    }

    /// Id of size 0. Sizes are counted in cells.
    pub(crate) fn size_base(self) -> u32 {
        self.begin() + 3
    }

    /// The first id of the text.
    fn first_text(self) -> u32 {
        self.size_base() + self.side + 1
    }

    fn names(self) -> Vec<String> {
        let mut names: Vec<String> = ["<pad>", "<s>", "</s>", "<unk>"].map(str::to_owned).into();
        names.extend((0..self.codes).map(|code| format!("<img{code}>")));
        names.extend(["<boi>", "<eoi>", "<row>"].map(str::to_owned));
        names.extend((0..=self.side).map(|size| format!("<size{size}>")));
        names
    }

    /// The tokens of a picture, which follow the prompt: begin, size, rows of codes, end.
    pub(crate) fn picture_tokens(self, codes: &[u16]) -> Vec<u32> {
        let mut tokens = vec![self.begin(), self.size_base() + self.side, self.size_base() + self.side];
        for row in codes.chunks(self.side as usize) {
            tokens.extend(row.iter().map(|&code| CODE_OFFSET + u32::from(code)));
            tokens.push(self.row_end());
        }
        tokens.push(self.end());
        tokens
    }

    /// The positions in [`picture_tokens`](Self::picture_tokens) whose next token is a code.
    pub(crate) fn positions_before_codes(self) -> impl Iterator<Item = usize> {
        let side = self.side as usize;
        (0..side * side).map(move |cell| 2 + cell / side * (side + 1) + cell % side)
    }

    /// The model's `hawk.json`. Pictures are `pixels` wide and high.
    pub(crate) fn hawk_json(self, pixels: usize) -> Value {
        json!({
            "family": "chameleon",
            "layout": "lumina",
            "grid": [self.side, self.side],
            "image_size": [pixels, pixels],
            "code_offset": CODE_OFFSET,
            "codes": self.codes,
            "begin": self.begin(),
            "end": self.end(),
            "row_end": self.row_end(),
            "size_base": self.size_base(),
            "size_unit": 1,
            "bos": BOS,
            "prompt": "{prompt}",
            "uncond": "begin",
            "defaults": { "cfg": 1.5, "temperature": 0.5, "top_k": 0, "top_p": 0.8 },
        })
    }
}

/// Learns byte pairs from lower-cased captions and returns `tokenizer.json`. Text has `words` ids,
/// after all other ids.
///
/// # Errors
/// The library fails, or its ids are not at the expected place.
pub(crate) fn tokenizer_json(layout: TokenLayout, captions: &[&str], words: usize) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| Error::environment(format!("cannot make the text tokenizer: {e}"));
    let special: Vec<AddedToken> = layout.names().into_iter().map(|name| AddedToken::from(name, true)).collect();
    let mut trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(special.len() + words)
        .min_frequency(2)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let normalizer = Sequence::new(vec![NFKC.into(), Lowercase.into()]);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(Some(normalizer))
        .with_pre_tokenizer(Some(ByteLevel::default()))
        .with_post_processor(None::<ByteLevel>)
        .with_decoder(Some(ByteLevel::default()))
        .build()
        .map_err(|e| failed(&e))?;
    tokenizer.train(&mut trainer, captions.iter().copied()).map_err(|e| failed(&e))?;
    let text = tokenizer.to_string(false).map_err(|e| failed(&e))?;
    let least = TextTokenizer::from_bytes(text.as_bytes())?.encode("a red apple")?.iter().map(|id| id.0).min();
    match least {
        Some(least) if least >= layout.first_text() => Ok(text),
        other => Err(failed(&format!("the first text id is {other:?} instead of {}", layout.first_text()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_stands_in_its_order() {
        let layout = TokenLayout { codes: 8, side: 2 };
        let captions = ["a red apple", "a green apple", "two red apples"];
        let text = tokenizer_json(layout, &captions, 300).unwrap();
        assert_eq!(text, tokenizer_json(layout, &captions, 300).unwrap(), "not reproducible");
        let words = TextTokenizer::from_bytes(text.as_bytes()).unwrap();
        let apple = words.encode("A Red APPLE").unwrap();
        assert_eq!(apple, words.encode("a red apple").unwrap());
        assert!(apple.iter().all(|id| id.0 >= layout.first_text()), "{apple:?}");
        assert_eq!(words.decode(&apple).unwrap().trim(), "a red apple");
        assert_eq!(words.encode("<row>").unwrap()[0].0, layout.row_end());
    }

    #[test]
    fn a_picture_is_rows_of_codes_between_structure_tokens() {
        let layout = TokenLayout { codes: 8, side: 2 };
        assert_eq!(layout.picture_tokens(&[0, 7, 3, 1]), [12, 17, 17, 4, 11, 14, 7, 5, 14, 13]);
        let tokens = layout.picture_tokens(&[0, 7, 3, 1]);
        let next: Vec<u32> = layout.positions_before_codes().map(|position| tokens[position + 1]).collect();
        assert_eq!(next, [4, 11, 7, 5]);
    }
}
