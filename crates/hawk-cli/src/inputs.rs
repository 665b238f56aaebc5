//! Files of arguments: codes for `hawk decode`, tokens for `hawk logits`, prompts a line.

use hawk::{Error, Result};
use hawk_nn::from_json;
use serde::Deserialize;

/// One image, or what `--tokens-out` wrote.
#[derive(Deserialize)]
struct Grids {
    codes: Option<Vec<u32>>,
    images: Option<Vec<Codes>>,
}

#[derive(Deserialize)]
struct Codes {
    codes: Vec<u32>,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<u32>,
}

/// The codes of images: `{"codes": [one per cell]}`, or the file of `--tokens-out`.
pub(crate) fn codes(bytes: &[u8]) -> Result<Vec<Vec<u32>>> {
    let expected = "{\"codes\": [one per cell]}, or the file of --tokens-out";
    let grids: Grids = from_json("a file of codes", bytes).map_err(|e| e.expected(expected))?;
    match (grids.codes, grids.images) {
        (Some(codes), None) => Ok(vec![codes]),
        (None, Some(images)) if !images.is_empty() => Ok(images.into_iter().map(|image| image.codes).collect()),
        (None, Some(_)) => Err(Error::input("there are no codes").at("images").expected("at least one image")),
        (Some(_), Some(_)) => Err(Error::input("a file of one image and of several").at("codes").expected(expected)),
        (None, None) => Err(Error::input("there are no codes").expected(expected)),
    }
}

/// The tokens of a sequence: `{"tokens": [ids]}`.
pub(crate) fn tokens(bytes: &[u8]) -> Result<Vec<u32>> {
    let tokens: Tokens = from_json("a file of tokens", bytes).map_err(|e| e.expected("{\"tokens\": [ids]}"))?;
    match tokens.tokens.is_empty() {
        true => Err(Error::input("there are no tokens").at("tokens").expected("at least 1")),
        false => Ok(tokens.tokens),
    }
}

/// The prompts of a file, one a line.
pub(crate) fn prompts(bytes: Vec<u8>) -> Result<Vec<String>> {
    let text = String::from_utf8(bytes)
        .map_err(|e| Error::input("the prompts are no text").expected("UTF-8").got(e.utf8_error()))?;
    // Some editors begin a file with a mark that belongs to no prompt.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_read_or_refused() {
        let images = br#"{"settings": {"n": 2}, "images": [{"codes": [1, 20, 300]}, {"codes": [4]}]}"#;
        let seeds = [&images[..], br#"{"codes": [1, 2, 3]}"#, br#"{"tokens": [1, 2, 3]}"#, "Äpfel 🍎\nb".as_bytes()];
        assert!(codes(seeds[0]).is_ok() && codes(seeds[1]).is_ok() && tokens(seeds[2]).is_ok());
        for seed in seeds {
            for at in 0..seed.len() {
                for change in 0..=u8::MAX {
                    let mut bytes = seed.to_vec();
                    match change {
                        0 => bytes.truncate(at),
                        1 => drop(bytes.splice(at..at, *b"18446744073709551615")),
                        2 => drop(bytes.splice(at..at, vec![b'['; 1000])),
                        _ => bytes[at] = bytes[at].wrapping_add(change),
                    }
                    let _ = (codes(&bytes), tokens(&bytes), prompts(bytes));
                }
            }
        }
        assert_eq!(prompts("\u{feff}red\r\n\n apple ".into()).unwrap(), ["red", "apple"]);
    }
}
