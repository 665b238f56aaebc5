//! Input files: codes for `hawk decode`, tokens for `hawk logits`, prompts.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use hawk::{Code, CodeGrid, Error, ImageSize, Result};
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
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<u32>,
}

/// Reads a whole file or pipe; `-` is standard input.
///
/// # Errors
/// It cannot be read, is a folder, or has more than 1 GiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| Error::io("read the file", path, &e);
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes)
    } else {
        let file = File::open(path).map_err(failed)?;
        file.take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes)
    }
    .map_err(failed)?;
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        return Err(Error::input("cannot read the file").at(path.display()).expected("at most 1 GiB").got("more"));
    }
    Ok(bytes)
}

/// Reads the prompts of a file, one per line.
pub(crate) fn read_prompts(path: &Path) -> Result<Vec<String>> {
    prompts(read(path)?).map_err(|e| e.at(path.display()))
}

/// Parses the codes of images: `{"codes": [one per cell]}`, or the file of `--tokens-out`, which also
/// has the sizes.
pub(crate) fn codes(bytes: &[u8]) -> Result<Vec<CodeGrid>> {
    let expected = "{\"codes\": [one per cell]}, or a file of --tokens-out";
    let grids: Grids = from_json("a file of codes", bytes).map_err(|e| e.expected(expected))?;
    match (grids.codes, grids.images) {
        (Some(codes), None) => Ok(vec![grid(codes, None)]),
        (None, Some(images)) if !images.is_empty() => images
            .into_iter()
            .enumerate()
            .map(|(at, image)| image.grid().map_err(|e| e.at(format!("images[{at}]"))))
            .collect(),
        (None, Some(_)) => Err(Error::input("the file has no codes").at("images").expected("at least one image")),
        (Some(_), Some(_)) => Err(Error::input("`codes` and `images` are both given: one image and several")
            .at("codes")
            .expected(expected)),
        (None, None) => Err(Error::input("the file has no codes").expected(expected)),
    }
}

fn grid(codes: Vec<u32>, size: Option<ImageSize>) -> CodeGrid {
    CodeGrid { codes: codes.into_iter().map(Code).collect(), size }
}

impl Codes {
    fn grid(self) -> Result<CodeGrid> {
        match (self.width, self.height) {
            (Some(width), Some(height)) => Ok(grid(self.codes, Some(ImageSize { height, width }))),
            (None, None) => Ok(grid(self.codes, None)),
            (None, Some(_)) => Err(Error::input("a height without a width").at("width").expected("pixels")),
            (Some(_), None) => Err(Error::input("a width without a height").at("height").expected("pixels")),
        }
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

/// The prompts of arguments, where `-` stands for the lines of standard input.
///
/// # Errors
/// Standard input cannot be read, or is no text.
pub(crate) fn typed_prompts(typed: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for prompt in typed {
        match prompt.as_str() {
            "-" => all.extend(read_prompts(Path::new("-"))?),
            _ => all.push(prompt.clone()),
        }
    }
    Ok(all)
}

/// The text of an argument, where `-` stands for all of standard input.
///
/// # Errors
/// As [`typed_prompts`].
pub(crate) fn typed_text(typed: &str) -> Result<String> {
    if typed != "-" {
        return Ok(typed.to_owned());
    }
    let text = String::from_utf8(read(Path::new("-"))?)
        .map_err(|e| Error::input("standard input is no text").at("-").expected("UTF-8").got(e.utf8_error()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // `echo` ends the text with a line break that nobody typed.
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned())
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
        let images =
            br#"{"settings": {"n": 2}, "images": [{"codes": [1, 20, 300]}, {"codes": [4], "width": 8, "height": 16}]}"#;
        let seeds = [&images[..], br#"{"codes": [1, 2, 3]}"#, br#"{"tokens": [1, 2, 3]}"#, "Äpfel 🍎\nb".as_bytes()];
        let sizes: Vec<_> = codes(seeds[0]).unwrap().into_iter().map(|grid| grid.size).collect();
        assert_eq!(sizes, [None, Some(ImageSize { height: 16, width: 8 })]);
        assert!(codes(br#"{"images": [{"codes": [4], "width": 8}]}"#).unwrap_err().to_string().contains("height"));
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
