//! Input files: codes for `hawk decode`, tokens for `hawk logits`, prompts.

use std::io::Read;
use std::path::Path;

use hawk::{Error, Result};
use hawk_files::from_json;
use serde::Deserialize;

/// The largest file that is read.
const MAX_INPUT_BYTES: u64 = 1 << 30;

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

/// Reads a whole file; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| Error::io("read the file", path, &e);
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let mut limited = std::io::stdin().take(MAX_INPUT_BYTES + 1);
        limited.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_INPUT_BYTES {
            return Err(Error::input("cannot read the input").at("-").expected("at most 1 GiB"));
        }
        return Ok(bytes);
    }
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() || found.len() > MAX_INPUT_BYTES {
        let got = if found.is_file() { format!("{} bytes", found.len()) } else { "no regular file".to_owned() };
        return Err(Error::input("cannot read the input")
            .at(path.display())
            .expected("a file of at most 1 GiB")
            .got(got));
    }
    std::fs::read(path).map_err(failed)
}

/// Reads the prompts of a file, one per line.
pub(crate) fn read_prompts(path: &Path) -> Result<Vec<String>> {
    prompts(read(path)?).map_err(|e| e.at(path.display()))
}

/// Parses the codes of images: `{"codes": [one per cell]}`, or the file of `--tokens-out`.
pub(crate) fn codes(bytes: &[u8]) -> Result<Vec<Vec<u32>>> {
    let expected = "{\"codes\": [one per cell]}, or a file of --tokens-out";
    let grids: Grids = from_json("a file of codes", bytes).map_err(|e| e.expected(expected))?;
    match (grids.codes, grids.images) {
        (Some(codes), None) => Ok(vec![codes]),
        (None, Some(images)) if !images.is_empty() => Ok(images.into_iter().map(|image| image.codes).collect()),
        (None, Some(_)) => Err(Error::input("the file has no codes").at("images").expected("at least one image")),
        (Some(_), Some(_)) => Err(Error::input("`codes` and `images` are both given: one image and several")
            .at("codes")
            .expected(expected)),
        (None, None) => Err(Error::input("the file has no codes").expected(expected)),
    }
}

/// Parses the tokens of a sequence: `{"tokens": [ids]}`.
pub(crate) fn tokens(bytes: &[u8]) -> Result<Vec<u32>> {
    let tokens: Tokens = from_json("a file of tokens", bytes).map_err(|e| e.expected("{\"tokens\": [ids]}"))?;
    match tokens.tokens.is_empty() {
        true => Err(Error::input("the file has no tokens").at("tokens").expected("at least 1")),
        false => Ok(tokens.tokens),
    }
}

/// Parses prompts, one per line. Empty lines are skipped.
pub(crate) fn prompts(bytes: Vec<u8>) -> Result<Vec<String>> {
    let text = String::from_utf8(bytes)
        .map_err(|e| Error::input("the prompts are not valid text").expected("UTF-8").got(e.utf8_error()))?;
    // Some editors put a byte order mark first.
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
