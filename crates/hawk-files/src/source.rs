//! Where the files of a model come from: a folder, or the program itself.

use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file inside the program.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedFile {
    /// Path inside the model, with `/`: `config.json`, `vq/model.safetensors`.
    pub name: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

/// The files of one model.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// A folder in the Hugging Face layout.
    Dir(PathBuf),
    /// Files inside the program.
    Embedded(&'static [EmbeddedFile]),
}

/// The content of a file; nothing is read before it is looked at.
#[derive(Debug)]
pub enum Blob {
    /// Memory-mapped.
    Mapped(memmap2::Mmap),
    /// Inside the program.
    Embedded(&'static [u8]),
    /// In memory.
    Owned(Vec<u8>),
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Embedded(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Blob {
    /// Gives the memory of a mapped file back; whoever looks again reads the file again.
    pub fn release(&self) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self {
            // SAFETY: the mapping is of a file and read-only, so nothing is lost with its pages.
            // Advice may be refused; then the memory is only given back later.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}

impl ModelSource {
    /// Opens a file of the model.
    ///
    /// # Errors
    /// The model or the file is not there or cannot be read.
    pub fn read(&self, name: &str) -> Result<Blob> {
        match self {
            Self::Dir(dir) => {
                if !dir.is_dir() {
                    let got = if dir.exists() { "a file" } else { "nothing" };
                    return Err(Error::input("there is no such folder")
                        .at(dir.display())
                        .expected("a folder with config.json and model.safetensors")
                        .got(got));
                }
                map(&dir.join(name))
            }
            Self::Embedded(files) => files
                .iter()
                .find(|file| file.name == name)
                .map(|file| Blob::Embedded(file.bytes))
                .ok_or_else(|| Error::input("the built-in model has no such file").at(name)),
        }
    }

    /// Whether a file is there. A link that ends at nothing, or a folder in its place, is there too: the
    /// model is damaged then, and [`read`](Self::read) says how.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Dir(dir) => dir.join(name).symlink_metadata().is_ok(),
            Self::Embedded(files) => files.iter().any(|file| file.name == name),
        }
    }

    /// The files of a folder of the model (`""` or `"vq/"`) by name, in order; none where it cannot be
    /// read.
    pub(crate) fn files_in(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Self::Dir(dir) => {
                let entries = std::fs::read_dir(dir.join(folder)).into_iter().flatten().flatten();
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
            }
            Self::Embedded(files) => {
                files.iter().filter_map(|file| file.name.strip_prefix(folder)).map(str::to_owned).collect()
            }
        };
        names.sort();
        names
    }

    /// A file's name for messages.
    pub fn describe(&self, name: &str) -> String {
        match self {
            Self::Dir(dir) => dir.join(name).display().to_string(),
            Self::Embedded(_) => format!("built-in {name}"),
        }
    }
}

/// Maps a file.
pub(crate) fn map(path: &Path) -> Result<Blob> {
    let failed = |error: std::io::Error| Error::io("open a file of the model", path, &error);
    // Looked at before it is opened: opening a pipe would wait for its writer.
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(Error::input("a part of the model is no file").at(path.display()));
    }
    if found.len() == 0 {
        return Ok(Blob::Owned(Vec::new()));
    }
    let file = File::open(path).map_err(failed)?;
    // SAFETY: like every reader of mapped files we trust that nobody truncates the file while it is
    // open.
    let map = unsafe { memmap2::Mmap::map(&file) };
    let map = map.map_err(|e| Error::io("map a file of the model", path, &e))?;
    not_a_pointer(&map).map_err(|e| e.at(path.display()))?;
    Ok(Blob::Mapped(map))
}

/// What a Git LFS pointer begins with; it stands in a checkout in place of a large file.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Refuses a Git LFS pointer.
pub(crate) fn not_a_pointer(bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(POINTER) {
        return Ok(());
    }
    Err(Error::input("a Git LFS pointer in place of the file")
        .expected("the file itself")
        .got(format!("{} bytes", bytes.len()))
        .hint("`git lfs pull` in the folder, or `hawk pull ORG/NAME`, brings the file"))
}

/// As [`not_a_pointer`], for a file that another library reads.
pub(crate) fn no_pointer_at(path: &Path) -> Result<()> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(POINTER.len() as u64).read_to_end(&mut start));
    read.map_err(|e| Error::io("open a file of the model", path, &e))?;
    not_a_pointer(&start).map_err(|e| e.at(path.display()))
}

/// Bytes in hexadecimal, as digests are written: two lower-case digits each.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
