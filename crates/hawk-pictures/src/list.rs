//! The list of a folder's pictures, which grows as `NAME.part` and gets its name when it is complete.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use hawk_files::atomic::Durability;
use hawk_files::{Error, GrowingFile, Result};
use serde::Deserialize;

use crate::record::{Tally, Told};

/// A picture for the list.
pub(crate) struct Listed {
    /// With its line break.
    pub(crate) line: Vec<u8>,
    /// Digest of the picture's pixels.
    pub(crate) pixels: String,
    pub(crate) told: Told,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Known {
    file: String,
    pixels: String,
    #[serde(flatten)]
    told: Told,
}

/// The list in the making.
pub(crate) struct List {
    path: PathBuf,
    /// Digest of the pixels of each listed picture.
    pixels: Vec<String>,
    tally: Tally,
    /// Lines that are not on disk yet.
    waiting: Vec<u8>,
    /// The part that grows, from the first new line on.
    part: Option<GrowingFile>,
    /// Bytes of the lines that an earlier run completed.
    bytes: u64,
}

impl List {
    /// Takes up what an earlier run listed, up to the first line that was not written wholly. `file` names the files in their order.
    pub(crate) fn open(path: &Path, file: impl Fn(u64) -> String) -> Result<Self> {
        let part = GrowingFile::part_of(path)?;
        let from = if part.exists() { &part } else { path };
        let (path, pixels, tally) = (path.to_owned(), Vec::new(), Tally::default());
        let mut list = Self { path, pixels, tally, waiting: Vec::new(), part: None, bytes: 0 };
        if !from.exists() {
            return Ok(list);
        }
        let failed = |e: std::io::Error| Error::io("read the list", from, &e);
        let mut reader = BufReader::new(File::open(from).map_err(failed)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
            let known = line.strip_suffix(b"\n").and_then(|line| serde_json::from_slice::<Known>(line).ok());
            let Some(known) = known.filter(|known| known.file == file(list.pixels.len() as u64)) else { break };
            list.tally.add(&known.told);
            list.pixels.push(known.pixels);
            list.bytes += read as u64;
        }
        if from == part || list.bytes < from.metadata().map_err(failed)?.len() {
            list.begin_part()?;
        }
        Ok(list)
    }

    /// Digest of the pixels of each listed picture.
    pub(crate) fn pixels(&self) -> &[String] {
        &self.pixels
    }

    /// Lists one more picture.
    pub(crate) fn add(&mut self, listed: Listed) {
        self.tally.add(&listed.told);
        self.pixels.push(listed.pixels);
        self.waiting.extend(listed.line);
    }

    /// Brings what was added to disk.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if self.part.is_none() {
            self.begin_part()?;
        }
        if let Some(part) = &mut self.part {
            let put = part.write_all(&self.waiting).and_then(|()| part.flush());
            put.map_err(|e| Error::io("write the list", &self.path, &e))?;
        }
        self.waiting.clear();
        Ok(())
    }

    /// Opens the part behind the lines that are whole.
    fn begin_part(&mut self) -> Result<()> {
        self.part = Some(GrowingFile::resume(&self.path, self.bytes)?);
        Ok(())
    }

    /// Gives the list its name and says what it holds.
    pub(crate) fn complete(mut self) -> Result<Tally> {
        self.flush()?;
        if let Some(part) = self.part.take() {
            part.finish(Durability::Synced)?;
        }
        Ok(self.tally)
    }
}
