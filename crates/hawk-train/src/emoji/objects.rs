//! `objects.jsonl`: what each cut-out shows and how captions may name it, for programs that compose
//! their own pictures.

use std::path::Path;

use hawk_files::{Error, Result};
use serde::Serialize;

use crate::emoji::catalogue::Item;
use crate::emoji::recipe::Lists;
use crate::emoji::words;
use crate::run::files;
use hawk_pictures::Split;

/// A line of `objects.jsonl`.
#[derive(Serialize)]
pub(crate) struct ObjectName<'a> {
    /// Relative to the folder of the data set.
    file: String,
    style: &'a str,
    /// The phrase in captions: `red apple`.
    phrase: String,
    /// With the article, and in the plural. Only for things that scenes show.
    #[serde(skip_serializing_if = "Option::is_none")]
    one: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    several: Option<String>,
    /// The colour of the majority of the pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    colour: Option<&'static str>,
    group: &'a str,
    mirror: bool,
    split: Split,
}

impl<'a> ObjectName<'a> {
    /// Describes a cut-out. `counted` has the lists if scenes show it.
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

/// Writes the file.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, lines: &[ObjectName<'_>]) -> Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
        text.push(b'\n');
    }
    files::write(path, &text)
}
