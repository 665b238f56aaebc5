//! The progress of an analysis, and how it is stopped and goes on.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hawk::{Error, Result};
use hawk_files::atomic;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is heard of an analysis while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Work goes on inside a part. It can be stopped here.
    Within,
    /// So many parts of so many are done.
    Done {
        /// Parts that are done.
        done: usize,
        /// All parts.
        of: usize,
    },
}

/// Hears the progress, and stops the analysis with `Break`.
pub type Watch<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// How an analysis ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended<T> {
    /// It is done.
    Finished(T),
    /// The watch stopped it. The same call goes on from what is on disk.
    Stopped,
}

/// Least time between two states on disk.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sums over the parts that are done, and their file. It lets a stopped analysis go on.
pub(crate) struct Sums<T> {
    pub(crate) sums: T,
    /// Parts that are in the sums.
    pub(crate) done: usize,
    path: PathBuf,
    identity: String,
    written: Instant,
}

#[derive(serde::Serialize)]
struct Kept<'a, T> {
    identity: &'a str,
    done: usize,
    sums: &'a T,
}

#[derive(serde::Deserialize)]
struct Found<T> {
    identity: String,
    done: usize,
    sums: T,
}

impl<T: Serialize + DeserializeOwned> Sums<T> {
    /// The sums of the analysis `name` with these settings, from their file if it is there. A file of other settings
    /// is passed over and replaced.
    ///
    /// # Errors
    /// The folder cannot be made, or the file cannot be read.
    pub(crate) fn open(dir: &Path, name: &str, identity: &impl Serialize, empty: T) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))?;
        let path = dir.join(format!("{name}.part.json"));
        let identity = serde_json::to_string(identity).map_err(|e| Error::input(format!("cannot write JSON: {e}")))?;
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("read the unfinished analysis", &path, &e)),
        };
        // What is damaged or of another version is as good as nothing.
        let found: Option<Found<T>> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let found = found.filter(|found| found.identity == identity);
        let (sums, done) = found.map_or((empty, 0), |found| (found.sums, found.done));
        Ok(Self { sums, done, path, identity, written: Instant::now() })
    }

    /// Notes that one more part is in the sums, and writes them from time to time.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn part_done(&mut self) -> Result<()> {
        self.done += 1;
        if self.written.elapsed() < INTERVAL {
            return Ok(());
        }
        self.keep()
    }

    /// Writes the sums, for a run that goes on from them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&mut self) -> Result<()> {
        self.written = Instant::now();
        atomic::write_json(&self.path, &Kept { identity: &self.identity, done: self.done, sums: &self.sums })
    }

    /// Removes the file: the analysis is done.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn finish(self) -> Result<T> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove the file", &self.path, &e)),
            _ => Ok(self.sums),
        }
    }
}

/// Numbers as their bits: what was written and read again is the same number.
pub(crate) mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        numbers.iter().map(|number| number.to_bits()).collect::<Vec<u64>>().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<u64>::deserialize(deserializer)?.into_iter().map(f64::from_bits).collect())
    }
}

/// Adds a part, by its number, to sums.
pub(crate) type PartOf<'a, T> = dyn FnMut(&mut T, usize, &mut Watch<'_>) -> Result<Ended<()>> + 'a;

/// Takes an analysis image by image: `part` adds an image to the sums.
///
/// # Errors
/// A part fails, or a file cannot be read or written.
pub(crate) fn each_part<T: Serialize + DeserializeOwned>(
    mut sums: Sums<T>,
    parts: usize,
    watch: &mut Watch<'_>,
    part: &mut PartOf<'_, T>,
) -> Result<Ended<T>> {
    while sums.done < parts {
        let stopped = watch(Progress::Done { done: sums.done, of: parts }).is_break();
        if stopped || part(&mut sums.sums, sums.done, watch)? == Ended::Stopped {
            sums.keep()?;
            return Ok(Ended::Stopped);
        }
        sums.part_done()?;
    }
    let _ = watch(Progress::Done { done: parts, of: parts });
    sums.finish().map(Ended::Finished)
}
