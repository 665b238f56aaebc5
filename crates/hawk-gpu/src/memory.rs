//! Memory of a device: what was planned, and buffers.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use cubecl::bytes::Bytes;
use cubecl::client::Client;
use cubecl::prelude::BufferArg;
use cubecl::server::Handle;
use hawk_files::{Error, Result};
use hawk_nn::Demand;

/// A device with the memory that is left on it.
pub(crate) struct Memory {
    pub(crate) client: Client,
    /// Its name, for messages.
    pub(crate) name: String,
    limit: Limit,
    /// Bytes that were planned.
    planned: AtomicU64,
}

/// How much memory a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// So many bytes.
    Bytes(u64),
    /// The free memory of this machine: the device is a driver on its processor.
    Host,
    /// The driver does not say.
    Unknown,
}

impl Memory {
    pub(crate) fn new(client: Client, name: String, limit: Limit) -> Self {
        Self { client, name, limit, planned: AtomicU64::new(0) }
    }

    /// Plans memory for `what` before any of it is allocated. `largest` is the largest buffer.
    ///
    /// # Errors
    /// The device has less, or no buffer may be so large.
    pub(crate) fn plan(&self, what: &'static str, bytes: u64, largest: u64) -> Result<()> {
        let most = self.largest();
        if largest > most {
            return Err(self.too_little(what, largest, "in one buffer", most));
        }
        let planned = self.planned.load(Ordering::Relaxed);
        match self.limit {
            Limit::Bytes(limit) if planned.saturating_add(bytes) > limit => {
                return Err(self.too_little(what, bytes, "in all", limit.saturating_sub(planned)));
            }
            Limit::Host => Demand::default().with(what, &[bytes as usize]).check()?,
            Limit::Bytes(_) | Limit::Unknown => {}
        }
        self.planned.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes of the largest buffer.
    pub(crate) fn largest(&self) -> u64 {
        self.client.properties().memory.max_page_size
    }

    /// Gives planned memory back.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.planned.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn too_little(&self, what: &str, bytes: u64, extent: &str, left: u64) -> Error {
        let mb = |bytes: u64| format!("{} MB", bytes.div_ceil(1_000_000));
        Error::environment(format!("not enough memory on {} for {what}", self.name))
            .expected(format!("at most {} {extent}", mb(left)))
            .got(mb(bytes))
            .hint("a smaller model, --precision bf16, fewer images at once, or --device cpu")
    }

    /// A buffer of zeros, `words` numbers or words of four bytes.
    pub(crate) fn zeros(&self, words: usize) -> Buffer {
        self.upload(vec![0_u32; words.max(1)])
    }

    /// A buffer whose contents are not given.
    pub(crate) fn empty(&self, words: usize) -> Buffer {
        let words = words.max(1);
        Buffer { handle: self.client.empty(words * WORD), words }
    }

    /// A buffer with these numbers or words.
    pub(crate) fn upload<T: bytemuck::Pod + Send + Sync>(&self, words: Vec<T>) -> Buffer {
        let count = words.len();
        Buffer { handle: self.client.create(Bytes::from_elems(words)), words: count }
    }

    /// The first `words` words of a buffer.
    ///
    /// # Errors
    /// The device is lost, or a kernel before failed.
    pub(crate) fn read(&self, buffer: &Buffer, words: usize) -> Result<Bytes> {
        self.read_part(buffer, 0..words)
    }

    /// A part of a buffer, by its words.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_part(&self, buffer: &Buffer, words: Range<usize>) -> Result<Bytes> {
        Ok(self.read_parts(buffer, std::iter::once(words))?.remove(0))
    }

    /// What is to be read, all of it in one wait.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_all<const N: usize>(&self, unread: [Option<Unread>; N]) -> Result<[Option<Bytes>; N]> {
        let handles = unread.iter().flatten().map(|Unread { buffer, words }| buffer.part(0..*words));
        let mut read = self.read_handles(handles.collect())?.into_iter();
        Ok(unread.map(|unread| unread.and_then(|_| read.next())))
    }

    /// Parts of a buffer, by their words.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_parts(
        &self,
        buffer: &Buffer,
        parts: impl IntoIterator<Item = Range<usize>>,
    ) -> Result<Vec<Bytes>> {
        self.read_handles(parts.into_iter().map(|part| buffer.part(part)).collect())
    }

    fn read_handles(&self, handles: Vec<Handle>) -> Result<Vec<Bytes>> {
        self.client.read(handles).map_err(|e| {
            Error::environment(format!("{} failed", self.name)).got(e).hint("--device cpu computes without it")
        })
    }
}

/// Bytes of a word.
const WORD: usize = 4;

/// Numbers or words of four bytes on a device.
#[derive(Clone)]
pub(crate) struct Buffer {
    handle: Handle,
    pub(crate) words: usize,
}

/// The first words of a buffer, which kernels have been told to write.
#[must_use]
pub(crate) struct Unread {
    pub(crate) buffer: Buffer,
    pub(crate) words: usize,
}

impl Buffer {
    fn part(&self, words: Range<usize>) -> Handle {
        let bytes = |words: usize| (words * WORD) as u64;
        self.handle.clone().offset_start(bytes(words.start)).offset_end(bytes(self.words - words.end))
    }

    /// The buffer as an argument of a kernel.
    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: the buffer has that many words.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.words) }
    }

    /// The buffer as an argument of a kernel that reads vectors of four words.
    pub(crate) fn vectors(&self) -> BufferArg {
        // SAFETY: the buffer has that many vectors.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.words / 4) }
    }
}
