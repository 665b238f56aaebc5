//! Cut-outs with their names, read from what `hawk data emoji` wrote or from one file: a gzipped
//! tar archive of `objects.jsonl` and PNG files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hawk_files::{Error, Result, atomic};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, Header};

use super::collection::Things;
use super::cutout::Cutout;
use super::thing::{Names, Thing};

/// The list of cut-outs, in a folder and in a pack.
const LIST: &str = "objects.jsonl";
/// The authors and licences, in a folder and in a pack.
const ATTRIBUTION: &str = "ATTRIBUTION";
/// Largest pack that is read, unpacked.
const MAX_BYTES: u64 = 256 << 20;

/// A line of the list.
#[derive(Serialize, Deserialize)]
struct Line {
    file: String,
    #[serde(flatten)]
    names: Names,
}

impl Things {
    /// Reads a pack, or the folder that `hawk data emoji` made.
    ///
    /// # Errors
    /// A file is missing or no cut-out, the list names something twice, or the pack is larger than
    /// 256 MiB when unpacked.
    pub fn open(path: &Path) -> Result<Self> {
        let things = if path.is_dir() {
            read_folder(path)
        } else {
            let files = read_pack(path)?;
            let missing = |name: &str| Error::input("the pack lacks this file").at(name);
            things(|name| files.get(name).cloned().ok_or_else(|| missing(name)))
        };
        things.map_err(|e| e.at(path.display()))
    }

    /// Writes all of them as one file, their longest side at most `side` pixels.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_pack(&self, path: &Path, side: u32) -> Result<()> {
        let pngs: Vec<Vec<u8>> = self.all().par_iter().map(|thing| small(thing, side)).collect::<Result<_>>()?;
        let mut list = Vec::new();
        for (index, thing) in self.all().iter().enumerate() {
            let line = Line { file: name(index), names: thing.names.clone() };
            serde_json::to_writer(&mut list, &line).map_err(|e| Error::input(e.to_string()).at(LIST))?;
            list.push(b'\n');
        }
        let pack = || -> io::Result<Vec<u8>> {
            let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
            append(&mut builder, ATTRIBUTION, self.attribution().as_bytes())?;
            append(&mut builder, LIST, &list)?;
            for (index, png) in pngs.iter().enumerate() {
                append(&mut builder, &name(index), png)?;
            }
            builder.into_inner()?.finish()
        };
        atomic::write(path, &pack().map_err(|e| Error::io("make the pack", path, &e))?)
    }
}

fn name(index: usize) -> String {
    format!("{index:04}.png")
}

fn small(thing: &Thing, side: u32) -> Result<Vec<u8>> {
    let (width, height) = thing.cutout.size();
    if width.max(height) > side { thing.cutout.fitted(side).to_png() } else { thing.cutout.to_png() }
}

fn append(builder: &mut Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, bytes)
}

fn read_folder(dir: &Path) -> Result<Things> {
    let read = |name: &str| fs::read(dir.join(name)).map_err(|e| Error::io("read the file", Path::new(name), &e));
    things(read)
}

fn read_pack(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let failed = |e: io::Error| match e.raw_os_error() {
        Some(_) => Error::io("read the pack", path, &e),
        // What the file holds is wrong.
        None => Error::input(format!("not a pack of cut-outs: {e}")).at(path.display()),
    };
    let file = File::open(path).map_err(failed)?;
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)).take(MAX_BYTES));
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(failed)?;
        files.insert(name, bytes);
    }
    Ok(files)
}

fn things(read: impl Fn(&str) -> Result<Vec<u8>> + Sync) -> Result<Things> {
    let text = |name: &str| String::from_utf8(read(name)?).map_err(|e| Error::input(e.to_string()).at(name));
    let (list, attribution) = (text(LIST)?, text(ATTRIBUTION)?);
    let lines: Vec<&str> = list.lines().collect();
    let thing = |(index, line): (usize, &&str)| {
        let line: Line = serde_json::from_str(line)
            .map_err(|e| Error::input(e.to_string()).at(format!("{LIST}: line {}", index + 1)))?;
        let cutout = Cutout::of_png(&read(&line.file)?).map_err(|e| e.at(&line.file))?;
        Ok(Thing { names: line.names, cutout })
    };
    Things::new(lines.par_iter().enumerate().map(thing).collect::<Result<_>>()?, attribution)
}
