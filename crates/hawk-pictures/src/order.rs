//! What is to be brought to disk.

use std::num::NonZero;
use std::path::PathBuf;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::mixture::Mixture;
use hawk_files::{Error, Result};

/// Pictures `0..pictures` of a mixture, in a folder.
#[derive(Clone, Debug)]
pub struct Order {
    /// Whose pictures.
    pub mixture: Mixture,
    /// How many.
    pub pictures: NonZero<u64>,
    /// Where to. A run that was stopped goes on there; a run of more pictures keeps those that are there.
    pub out: PathBuf,
    /// Number of threads. The files do not depend on it.
    pub threads: NonZero<usize>,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pictures that are on disk.
    pub done: u64,
    /// How many of these this run painted; the others were there.
    pub painted: u64,
}

impl Order {
    pub(crate) fn pool(&self) -> Result<ThreadPool> {
        let pool = ThreadPoolBuilder::new().num_threads(self.threads.get()).build();
        pool.map_err(|e| Error::environment(format!("cannot start {} threads: {e}", self.threads)))
    }

    /// # Errors
    /// There are more pictures than `most`.
    pub(crate) fn limit(&self, most: u64) -> Result<()> {
        if self.pictures.get() <= most {
            return Ok(());
        }
        Err(Error::input("too many pictures").expected(format!("at most {most}")).got(self.pictures))
    }
}
