//! Files of prompts for `hawk batch`: a line, a row of a table or a JSON object each.

use std::path::Path;

use hawk::{Error, Result};
use hawk_files::from_json;
use serde::Deserialize;

use crate::inputs;

/// A prompt, and what is set for it alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) prompt: String,
    pub(crate) seed: Option<u64>,
    pub(crate) cfg: Option<f32>,
    pub(crate) temperature: Option<f32>,
    pub(crate) top_k: Option<u32>,
    pub(crate) top_p: Option<f32>,
    /// The line of the file, from 1.
    #[serde(skip)]
    pub(crate) line: u64,
}

/// Parses a file of prompts by the ending of its name: `.csv`, `.jsonl`, otherwise one prompt per line.
///
/// # Errors
/// A row is invalid, or there is none. The error names its line.
fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Row>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::input("the prompts are not valid text").expected("UTF-8").got(e).at(path.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let rows = match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("csv") => table(text),
        Some("jsonl" | "ndjson") => objects(text),
        _ => lines(text),
    };
    let rows = rows.map_err(|e| e.at(path.display()))?;
    match rows.is_empty() {
        true => Err(Error::input("the file has no prompts").at(path.display()).expected("at least one")),
        false => Ok(rows),
    }
}

fn lines(text: &str) -> Result<Vec<Row>> {
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    Ok(lines.map(|(line, prompt)| Row { prompt: prompt.to_owned(), line, ..Row::default() }).collect())
}

fn objects(text: &str) -> Result<Vec<Row>> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let row = |(line, text): (u64, &str)| {
        let row: Row = from_json("a row", text.as_bytes()).map_err(|e| at_line(e, line))?;
        checked(Row { line, ..row })
    };
    lines.map(row).collect()
}

fn table(text: &str) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let failed = |e: csv::Error| {
        let line = e.position().map_or(1, csv::Position::line);
        let hint = "the first line names the columns: prompt, and if you like seed, cfg, temperature, top_k, top_p";
        at_line(Error::input(format!("not a table of prompts: {e}")).hint(hint), line)
    };
    let headers = reader.headers().map_err(failed)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let line = record.position().map_or(1, csv::Position::line);
        let row: Row = record.deserialize(Some(&headers)).map_err(failed)?;
        rows.push(checked(Row { line, ..row })?);
    }
    Ok(rows)
}

fn checked(row: Row) -> Result<Row> {
    match row.prompt.trim().is_empty() {
        true => Err(at_line(Error::input("an empty prompt").at("prompt").expected("a text"), row.line)),
        false => Ok(row),
    }
}

pub(crate) fn at_line(error: Error, line: u64) -> Error {
    error.at(format!("line {line}"))
}

/// Reads a file of prompts; `-` is standard input, one prompt per line.
///
/// # Errors
/// As [`parse`], or the file cannot be read.
pub(crate) fn read(path: &Path) -> Result<(Vec<Row>, Vec<u8>)> {
    let bytes = inputs::read(path)?;
    Ok((parse(path, &bytes)?, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Result<Vec<Row>> {
        parse(Path::new(name), text.as_bytes())
    }

    fn row(prompt: &str, line: u64) -> Row {
        Row { prompt: prompt.to_owned(), line, ..Row::default() }
    }

    #[test]
    fn the_ending_names_the_format() {
        let lines = "\u{feff}red apple, flat\r\n\n  frog \n";
        assert_eq!(of("p.txt", lines).unwrap(), [row("red apple, flat", 1), row("frog", 3)]);
        let csv = "seed, prompt, top_p\n7,\"red, \"\"big\"\" apple\", 0.5\n, frog,\n";
        let apple = Row { seed: Some(7), top_p: Some(0.5), ..row("red, \"big\" apple", 2) };
        assert_eq!(of("p.CSV", csv).unwrap(), [apple, row("frog", 3)]);
        let objects = "{\"prompt\": \"frog\", \"cfg\": 2}\n\n{\"prompt\": \"a\\nb\"}\n";
        assert_eq!(of("p.jsonl", objects).unwrap(), [Row { cfg: Some(2.0), ..row("frog", 1) }, row("a\nb", 3)]);
    }

    #[test]
    fn a_wrong_row_is_named_by_its_line() {
        for (name, text, words) in [
            ("p.csv", "text\nfrog\n", "line 2"),
            ("p.csv", "prompt,sed\nfrog,1\n", "sed"),
            ("p.csv", "prompt,seed\nfrog,1\nfrog,x\n", "line 3"),
            ("p.csv", "prompt,seed\nfrog,1\nfrog\n", "line 3"),
            ("p.csv", "prompt,seed\n,1\n", "line 2"),
            ("p.jsonl", "{\"prompt\": \"frog\"}\n{\"prompt\": 7}\n", "line 2"),
            ("p.jsonl", "{\"prompt\": \"frog\", \"sed\": 1}\n", "sed"),
            ("p.jsonl", "{\"prompt\": \" \"}\n", "empty prompt"),
            ("p.txt", "\n \n", "no prompts"),
        ] {
            let error = of(name, text).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(name), "{text:?}: {error}");
        }
        assert!(parse(Path::new("p.txt"), &[0xff]).is_err());
    }
}
