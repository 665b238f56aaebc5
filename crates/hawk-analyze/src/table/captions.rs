//! Files of captions: of COCO, Flickr30K, PartiPrompts, of this project's painted pictures, or plain lines. What a
//! file is shows in what it holds, not in its name.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use hawk::{Error, Result};
use hawk_files::from_json;
use serde::Deserialize;

/// A prompt, and the picture that it describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// The text, white space as single blanks.
    pub text: String,
    /// File of the picture, below the folder of all pictures; none where the file names no pictures.
    pub picture: Option<String>,
}

impl From<String> for Caption {
    /// A prompt without a picture.
    fn from(text: String) -> Self {
        Self { text, picture: None }
    }
}

/// What a file of captions is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptionFormat {
    /// `captions_val2014.json` and its like.
    Coco,
    /// Karpathy's `dataset_coco.json` and `dataset_flickr30k.json`.
    Karpathy,
    /// A table with a column of pictures and one of captions, such as `results.csv` of Flickr30K.
    Table,
    /// `results_20130124.token` of Flickr30K.
    FlickrTokens,
    /// `PartiPrompts.tsv`.
    Parti,
    /// `captions.jsonl` of painted pictures.
    Painted,
    /// A prompt in each line.
    Lines,
}

impl fmt::Display for CaptionFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Coco => "COCO captions, the first of each picture",
            Self::Karpathy => "Karpathy's captions, the first of each picture of the split test",
            Self::Table => "a table of captions, the first of each picture",
            Self::FlickrTokens => "Flickr30K tokens, the first of each picture",
            Self::Parti => "PartiPrompts",
            Self::Painted => "captions of painted pictures, the first of each",
            Self::Lines => "a prompt in each line",
        })
    }
}

#[derive(Deserialize)]
struct Document {
    images: Option<Vec<Entry>>,
    annotations: Option<Vec<Annotation>>,
}

/// A picture in a JSON document: of COCO, or of Karpathy.
#[derive(Deserialize)]
struct Entry {
    id: Option<u64>,
    file_name: Option<String>,
    filepath: Option<String>,
    filename: Option<String>,
    split: Option<String>,
    sentences: Option<Vec<Sentence>>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    caption: Option<String>,
}

#[derive(Deserialize)]
struct Sentence {
    raw: String,
}

/// A line of `captions.jsonl`.
#[derive(Deserialize)]
struct Painted {
    file: String,
    captions: Vec<String>,
    /// `train` for pictures that models learn from.
    split: Option<String>,
}

/// Reads a file of captions: one caption of each picture, in the order of the file.
///
/// # Errors
/// The file is no text, a caption lacks its picture, or there are no captions. The error names the place.
pub fn read_captions(bytes: &[u8]) -> Result<(CaptionFormat, Vec<Caption>)> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::input("the captions are not valid text").expected("UTF-8").got(e))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let (format, captions) = match first {
        _ if first.starts_with('[') => {
            return Err(Error::input("the file is a JSON list").expected(
                "COCO's or Karpathy's JSON object, PartiPrompts, a table with pictures and captions, or a prompt per line",
            ));
        }
        _ if serde_json::from_str::<Painted>(first).is_ok() => (CaptionFormat::Painted, painted(text)?),
        _ if first.starts_with('{') => document(text)?,
        _ if first.split('\t').next().is_some_and(|name| name.eq_ignore_ascii_case("prompt"))
            && first.contains('\t') =>
        {
            (CaptionFormat::Parti, parti(text)?)
        }
        _ if token(first).is_some() => (CaptionFormat::FlickrTokens, tokens(text)?),
        _ => match columns(first) {
            Some(columns) => (CaptionFormat::Table, table(text, columns)?),
            None => (CaptionFormat::Lines, text.lines().map(caption).filter(|of| !of.text.is_empty()).collect()),
        },
    };
    match captions.is_empty() {
        true => Err(Error::input("the file has no captions").expected("at least one")),
        false => Ok((format, captions)),
    }
}

fn caption(text: &str) -> Caption {
    tidy(text).into()
}

fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Captions with pictures, the first of each picture.
#[derive(Default)]
struct OfPictures {
    captions: Vec<Caption>,
    seen: HashSet<String>,
}

impl OfPictures {
    fn add(&mut self, picture: &str, text: &str) {
        if self.seen.insert(picture.to_owned()) {
            self.captions.push(Caption { text: tidy(text), picture: Some(picture.to_owned()) });
        }
    }
}

fn document(text: &str) -> Result<(CaptionFormat, Vec<Caption>)> {
    let expected = "the keys `images` and `annotations` as COCO's captions have, or `images` with `sentences`";
    let document: Document = from_json("a file of captions", text.as_bytes()).map_err(|e| e.expected(expected))?;
    match (document.images, document.annotations) {
        (Some(images), Some(annotations)) => Ok((CaptionFormat::Coco, coco(&images, &annotations)?)),
        (Some(images), None) => Ok((CaptionFormat::Karpathy, karpathy(&images)?)),
        (None, _) => Err(Error::input("the file has no captions").at("images").expected(expected)),
    }
}

fn coco(images: &[Entry], annotations: &[Annotation]) -> Result<Vec<Caption>> {
    let mut files = BTreeMap::new();
    for (at, image) in images.iter().enumerate() {
        let (Some(id), Some(file)) = (image.id, &image.file_name) else {
            return Err(Error::input("a picture lacks its id or its file")
                .at(format!("images[{at}]"))
                .expected("`id` and `file_name`"));
        };
        files.insert(id, file.as_str());
    }
    let mut captions = OfPictures::default();
    for (at, annotation) in annotations.iter().enumerate() {
        let place = || format!("annotations[{at}]");
        let Some(text) = &annotation.caption else {
            return Err(Error::input("an annotation has no caption")
                .at(place())
                .expected("`caption`")
                .hint("captions are in captions_*.json, not in instances_*.json"));
        };
        let Some(file) = files.get(&annotation.image_id) else {
            return Err(Error::input("a caption without a picture")
                .at(place())
                .expected("an `image_id` that `images` has")
                .got(annotation.image_id));
        };
        captions.add(file, text);
    }
    Ok(captions.captions)
}

fn karpathy(images: &[Entry]) -> Result<Vec<Caption>> {
    let is_test = |image: &Entry| image.split.as_deref() == Some("test");
    let test = images.iter().any(is_test);
    let mut captions = OfPictures::default();
    for (at, image) in images.iter().enumerate().filter(|(_, image)| !test || is_test(image)) {
        let sentence = image.sentences.as_ref().and_then(|sentences| sentences.first());
        let (Some(sentence), Some(file)) = (sentence, &image.filename) else {
            return Err(Error::input("a picture lacks its captions or its file")
                .at(format!("images[{at}]"))
                .expected("`filename` and `sentences`"));
        };
        let folder = image.filepath.as_ref().map(|folder| format!("{folder}/")).unwrap_or_default();
        captions.add(&format!("{folder}{file}"), &sentence.raw);
    }
    Ok(captions.captions)
}

/// The captions of pictures that no model learned from; of all where there are no such.
fn painted(text: &str) -> Result<Vec<Caption>> {
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let at = |e: Error| e.at(format!("line {number}"));
        let painted: Painted = from_json("a captioned picture", line.as_bytes()).map_err(at)?;
        if painted.captions.is_empty() {
            return Err(at(Error::input("a picture has no caption").at("captions").expected("at least one")));
        }
        all.push(painted);
    }
    let kept = |painted: &Painted| painted.split.as_deref().is_some_and(|split| split != "train");
    let held_out = all.iter().any(kept);
    let mut captions = OfPictures::default();
    all.iter().filter(|of| !held_out || kept(of)).for_each(|of| captions.add(&of.file, &of.captions[0]));
    Ok(captions.captions)
}

fn parti(text: &str) -> Result<Vec<Caption>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').flexible(true).from_reader(text.as_bytes());
    let rows = reader.records().map(|row| row.map(|row| caption(row.get(0).unwrap_or_default())));
    let captions: Vec<Caption> = rows.collect::<std::result::Result<_, _>>().map_err(|e| not_a_table(&e))?;
    Ok(captions.into_iter().filter(|of| !of.text.is_empty()).collect())
}

fn not_a_table(e: &csv::Error) -> Error {
    let line = e.position().map_or(1, csv::Position::line);
    Error::input(format!("not a table of captions: {e}")).at(format!("line {line}"))
}

/// Picture and caption of a line such as `1000092795.jpg#0<tab>Two young guys ...`.
fn token(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.split_once('\t')?;
    let (picture, number) = name.rsplit_once('#')?;
    let counts = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    (counts && !picture.contains(char::is_whitespace)).then_some((picture, text))
}

fn tokens(text: &str) -> Result<Vec<Caption>> {
    let mut captions = OfPictures::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let Some((picture, text)) = token(line) else {
            return Err(Error::input("a line is no caption of a picture")
                .at(format!("line {number}"))
                .expected("PICTURE#NUMBER, a tab, and the caption"));
        };
        captions.add(picture, text);
    }
    Ok(captions.captions)
}

/// Where pictures and captions stand in a table.
struct Columns {
    delimiter: u8,
    picture: usize,
    caption: usize,
}

/// The columns that a first line names, if it does.
fn columns(first: &str) -> Option<Columns> {
    [b'|', b',', b'\t'].into_iter().find_map(|delimiter| {
        let names: Vec<String> =
            first.split(char::from(delimiter)).map(|name| name.trim().trim_matches('"').to_lowercase()).collect();
        let find = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        Some(Columns {
            delimiter,
            picture: find(&["image_name", "image", "filename", "file_name", "filepath"])?,
            caption: find(&["comment", "caption", "captions", "raw", "title"])?,
        })
    })
}

fn table(text: &str, columns: Columns) -> Result<Vec<Caption>> {
    // Captions between bars have quotes of their own.
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(columns.delimiter)
        .quoting(columns.delimiter != b'|')
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut captions = OfPictures::default();
    for row in reader.records() {
        let row = row.map_err(|e| not_a_table(&e))?;
        match (row.get(columns.picture), row.get(columns.caption)) {
            (Some(picture), Some(text)) if !picture.is_empty() && !text.is_empty() => captions.add(picture, text),
            // results.csv of Flickr30K has a row without its last bar.
            (Some(picture), _) if captions.seen.contains(picture) => {}
            _ => {
                let line = row.position().map_or(0, csv::Position::line);
                return Err(Error::input("a row lacks its picture or its caption").at(format!("line {line}")));
            }
        }
    }
    Ok(captions.captions)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(text: &str) -> (CaptionFormat, Vec<(String, Option<String>)>) {
        let (format, captions) = read_captions(text.as_bytes()).unwrap();
        (format, captions.into_iter().map(|of| (of.text, of.picture)).collect())
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let pair = |(text, picture): &(&str, &str)| {
            ((*text).to_owned(), Some((*picture).to_owned()).filter(|picture| !picture.is_empty()))
        };
        of.iter().map(pair).collect()
    }

    #[test]
    fn every_format_is_told_by_what_it_holds() {
        use CaptionFormat::{Coco, FlickrTokens, Karpathy, Lines, Painted, Parti, Table};
        let two = pairs(&[("A dog runs.", "2.jpg"), ("Two men", "1.jpg")]);
        for (format, text, want) in [
            (
                Coco,
                r#"{"info": {}, "images": [{"id": 1, "file_name": "1.jpg", "license": 3}, {"id": 2, "file_name": "2.jpg"}],
                    "annotations": [{"image_id": 2, "id": 7, "caption": "A dog\nruns. "}, {"image_id": 1, "id": 8, "caption": "Two men"},
                                    {"image_id": 2, "id": 9, "caption": "Other"}]}"#,
                two.clone(),
            ),
            (
                Karpathy,
                r#"{"images": [{"filepath": "val2014", "filename": "a.jpg", "split": "test", "sentences": [{"raw": "A"}, {"raw": "B"}]},
                               {"filepath": "val2014", "filename": "b.jpg", "split": "val", "sentences": [{"raw": "C"}]}], "dataset": "coco"}"#,
                pairs(&[("A", "val2014/a.jpg")]),
            ),
            (
                Table,
                "image_name| comment_number| comment\n2.jpg| 0| A dog runs.\n2.jpg| 4   No bar .\n1.jpg| 0| Two men\n",
                two.clone(),
            ),
            (Table, "image,caption\n2.jpg,A dog runs.\n1.jpg,\"Two men\"\n", two.clone()),
            (FlickrTokens, "2.jpg#0\tA dog runs.\n2.jpg#1\tIt\n1.jpg#0\tTwo  men\n", two),
            (
                Parti,
                "Prompt\tCategory\tChallenge\tNote\na \"red\" apple\tFood\tBasic\t\n\"say \"\"hi\"\"\"\tArts\tBasic\tx\n",
                pairs(&[("a \"red\" apple", ""), ("say \"hi\"", "")]),
            ),
            (
                Painted,
                "{\"file\": \"images/0.png\", \"captions\": [\"a hill\", \"b\"], \"split\": \"train\", \"kind\": \"landscape\"}\n\
                 {\"file\": \"images/1.png\", \"captions\": [\"a lake\"], \"split\": \"new_concept\"}\n",
                pairs(&[("a lake", "images/1.png")]),
            ),
            (Lines, "\u{feff}red apple, fluent\n\n  prompt\n", pairs(&[("red apple, fluent", ""), ("prompt", "")])),
        ] {
            assert_eq!(of(text), (format, want), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        for (text, words) in [
            (" \n", "no captions"),
            ("{}", "images"),
            ("[1]", "JSON list"),
            (r#"{"images": [], "annotations": []}"#, "no captions"),
            (r#"{"images": [], "annotations": [{"image_id": 4, "caption": "a"}]}"#, "annotations[0]"),
            (r#"{"images": [{"id": 4}], "annotations": []}"#, "images[0]"),
            (r#"{"images": [{"id": 4, "file_name": "a"}], "annotations": [{"image_id": 4}]}"#, "captions_*.json"),
            (r#"{"images": [{"filename": "a"}]}"#, "images[0]"),
            (r#"{"images": [{"id": 4, "file_name": "a"}"#, "ends too early"),
            ("{\"file\": \"a\", \"captions\": [\"b\"]}\n{\"file\": 3}", "line 2"),
            ("{\"file\": \"a\", \"captions\": []}", "line 1"),
            ("a.jpg#0\tb\nc\n", "line 2"),
            ("image_name|comment\na.jpg\n", "line 2"),
        ] {
            let error = read_captions(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(read_captions(&[0xff, 0xfe]).is_err());
    }
}
