//! `objects.jsonl`: what each cut-out shows and how captions may call it, for programs that compose their own pictures.

use std::path::Path;

use hawk_nn::{Error, Result};
use serde::Serialize;

use super::catalogue::Item;
use super::recipe::Lists;
use super::split::Split;
use super::words;
use crate::files;

/// A line of `objects.jsonl`.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    /// Below the folder of the set.
    file: String,
    style: &'a str,
    /// As captions say it: `red apple`.
    phrase: String,
    /// With its article, and in the plural: only of things that scenes are composed of.
    #[serde(skip_serializing_if = "Option::is_none")]
    one: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    several: Option<String>,
    /// The colour of most of its pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    colour: Option<&'static str>,
    group: &'a str,
    mirror: bool,
    split: Split,
}

impl<'a> Line<'a> {
    /// The line of a cut-out; `counted` is whether scenes show it.
    pub(crate) fn new(
        file: String,
        style: &'a str,
        item: &'a Item,
        colour: Option<&'static str>,
        counted: Option<&Lists>,
    ) -> Self {
        let phrase = words::phrase(&item.concept);
        Self {
            file,
            style,
            one: counted.map(|_| words::one(&phrase)),
            several: counted.map(|lists| words::several(&phrase, &lists.irregular_plurals)),
            colour: colour.filter(|_| words::may_name_colour(&item.concept)),
            group: &item.concept.group,
            mirror: item.concept.may_be_mirrored(),
            split: item.split,
            phrase,
        }
    }
}

/// Writes the file whole.
pub(crate) fn write(path: &Path, lines: &[Line<'_>]) -> Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
        text.push(b'\n');
    }
    files::write(path, &text)
}
