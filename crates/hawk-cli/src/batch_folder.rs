//! The folder of `hawk batch`: its settings, its images and their list.
//!
//! An image is written whole before its line is added to the list. So what is in the list exists, and an
//! image without a line is found by its name and its record: nothing is lost, and nothing is drawn twice.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use hawk::{Error, Record, RecordedSampling, Result, read_png};
use hawk_files::atomic::{self, Durability};
use hawk_files::{FolderLock, from_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The file of the settings.
const SETTINGS: &str = "batch.json";
/// The list of the images, one JSON object a line.
const LIST: &str = "images.jsonl";

/// What a batch draws. Another batch does not go on in its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BatchSettings {
    pub(crate) version: String,
    /// SHA-256 of the file of prompts.
    pub(crate) prompts_digest: String,
    pub(crate) images_per_prompt: u32,
    pub(crate) seed: u64,
    pub(crate) model_digest: String,
    pub(crate) heads_digest: String,
    pub(crate) precision: String,
    pub(crate) decoder: String,
    pub(crate) rule: String,
    pub(crate) tree: String,
    pub(crate) sampling: RecordedSampling,
    /// Width and height.
    pub(crate) size: [u32; 2],
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) file: String,
    /// The line of the prompt in its file, from 1.
    pub(crate) line: u64,
    pub(crate) prompt: String,
    pub(crate) seed: u64,
    /// The number of the image among those of its seed.
    pub(crate) index: u32,
    pub(crate) cells: u64,
    pub(crate) passes: u64,
    pub(crate) acceptance_length: f64,
}

impl Line {
    /// The line of an image with this record.
    pub(crate) fn of(file: &str, line: u64, record: &Record) -> Self {
        Self {
            file: file.to_owned(),
            line,
            prompt: record.prompt.clone(),
            seed: record.seed,
            index: record.index,
            cells: record.stats.cells,
            passes: record.stats.target_passes,
            acceptance_length: record.stats.acceptance_length,
        }
    }
}

/// An image that a batch is to have.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) prompt: String,
    pub(crate) seed: u64,
    pub(crate) index: u32,
    pub(crate) sampling: RecordedSampling,
}

/// A folder that no other process works on.
pub(crate) struct BatchFolder {
    dir: PathBuf,
    _lock: FolderLock,
    list: File,
    lines: Vec<Line>,
}

impl BatchFolder {
    /// The settings of the batch whose folder this is; none where it is new or empty. The caller has its
    /// lock.
    ///
    /// # Errors
    /// The folder has other files, or its settings cannot be read.
    pub(crate) fn settings(dir: &Path) -> Result<Option<BatchSettings>> {
        let file = dir.join(SETTINGS);
        match fs::read(&file) {
            Ok(bytes) => from_json("the settings of a batch", &bytes).map(Some).map_err(|e| e.at(file.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
                match entries.find(|entry| entry.file_name() != ".lock") {
                    None => Ok(None),
                    Some(other) => Err(Error::input("the folder has other files than those of a batch")
                        .at(dir.display())
                        .expected("a new or empty folder, or one of `hawk batch`")
                        .got(other.file_name().display())),
                }
            }
            Err(error) => Err(Error::io("read the file", &file, &error)),
        }
    }

    /// Opens the folder, which is locked, and finds the images that it has. Those that are wanted and
    /// missing are returned.
    ///
    /// # Errors
    /// The folder belongs to another batch, or cannot be read or written.
    pub(crate) fn open(
        dir: &Path,
        lock: FolderLock,
        settings: &BatchSettings,
        wanted: Vec<Wanted>,
    ) -> Result<(Self, Vec<Wanted>)> {
        if let Some(before) = Self::settings(dir)? {
            same(&before, settings).map_err(|e| e.at(dir.join(SETTINGS).display()))?;
        } else {
            atomic::write_json(&dir.join(SETTINGS), settings)?;
        }
        let listed: HashMap<String, Line> = read_list(dir)?.into_iter().map(|line| (line.file.clone(), line)).collect();
        let (mut lines, mut missing) = (Vec::new(), Vec::new());
        for image in wanted {
            match found(dir, listed.get(&image.file), &image, settings)? {
                Some(line) => lines.push(line),
                None => missing.push(image),
            }
        }
        let text = text_of(&lines)?;
        let path = dir.join(LIST);
        atomic::write_with(&path, &text, Durability::Synced)?;
        let list = OpenOptions::new().append(true).open(&path).map_err(|e| Error::io("write the file", &path, &e))?;
        Ok((Self { dir: dir.to_owned(), _lock: lock, list, lines }, missing))
    }

    /// Adds an image: its file, then its line.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn add(&mut self, png: &[u8], line: Line) -> Result<()> {
        atomic::write(&self.dir.join(&line.file), png)?;
        let text = text_of(std::slice::from_ref(&line))?;
        let path = self.dir.join(LIST);
        self.list.write_all(&text).map_err(|e| Error::io("write the file", &path, &e))?;
        self.lines.push(line);
        Ok(())
    }

    /// Number of images that the folder has.
    pub(crate) fn images(&self) -> usize {
        self.lines.len()
    }

    /// Puts the list in the order of the prompts.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.lines.sort_by_key(|line| (line.line, line.index));
        atomic::write(&self.dir.join(LIST), &text_of(&self.lines)?)
    }
}

/// The line of an image that exists; none where it does not, or is another one.
fn found(dir: &Path, listed: Option<&Line>, image: &Wanted, settings: &BatchSettings) -> Result<Option<Line>> {
    let path = dir.join(&image.file);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read the file", &path, &error)),
    };
    let Ok((_, record)) = read_png(&bytes) else { return Ok(None) };
    let is_it = (record.prompt.as_str(), record.seed, record.index) == (image.prompt.as_str(), image.seed, image.index)
        && record.sampling == image.sampling
        && record.model_digest == settings.model_digest;
    Ok(is_it.then(|| listed.cloned().unwrap_or_else(|| Line::of(&image.file, image.line, &record))))
}

/// The lines of a list. The last one may be cut off.
fn read_list(dir: &Path) -> Result<Vec<Line>> {
    let path = dir.join(LIST);
    match fs::read(&path) {
        Ok(bytes) => {
            Ok(bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("read the file", &path, &error)),
    }
}

fn text_of(lines: &[Line]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Compares the settings of a folder with those of a command.
fn same(before: &BatchSettings, now: &BatchSettings) -> Result<()> {
    if before == now {
        return Ok(());
    }
    let json = |settings| serde_json::to_value(settings).unwrap_or(Value::Null);
    let (before, now) = (json(before), json(now));
    let fields = before.as_object().into_iter().flatten();
    let (field, value) = fields.into_iter().find(|(field, value)| now[field.as_str()] != **value).unzip();
    let field = field.map_or("", String::as_str);
    Err(Error::input("the folder belongs to a batch with other settings")
        .at(field)
        .expected(value.unwrap_or(&Value::Null))
        .got(&now[field])
        .hint("the same command goes on with it; another batch needs another --out"))
}
