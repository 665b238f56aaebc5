//! Safetensors checkpoints, one file or shards with an index, mapped into memory and converted row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::source::{Blob, ModelSource};
use crate::{Error, Result};

/// Bytes of the length that a safetensors file starts with.
const LENGTH_BYTES: usize = 8;

struct Shard {
    blob: Blob,
    data_start: usize,
    place: String,
}

struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    range: std::ops::Range<usize>,
}

/// The tensors of a model by name.
pub struct Checkpoint {
    shards: Vec<Shard>,
    entries: BTreeMap<String, Entry>,
    taken: Mutex<BTreeSet<String>>,
}

/// One tensor, still in the file's number format.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    dtype: Dtype,
    row_len: usize,
    bytes: &'a [u8],
}

#[derive(Deserialize)]
struct Index {
    /// Tensor to shard.
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// The index in `folder` with its place, if there is one; every shard is a plain file name.
    fn read(source: &ModelSource, folder: &str) -> Result<Option<(String, Self)>> {
        let name = index_name(folder);
        if !source.contains(&name) {
            return Ok(None);
        }
        let place = source.describe(&name);
        let index: Self = serde_json::from_slice(&source.read(&name)?)
            .map_err(|e| Error::input(format!("not an index of shards: {e}")).at(&place))?;
        let leaves = |file: &&String| file.contains(['/', '\\', ':', '\0']) || file.starts_with('.');
        if let Some(file) = index.weight_map.values().find(leaves) {
            return Err(Error::input("a shard must lie beside its index")
                .at(&place)
                .expected("a file name")
                .got(format!("{file:?}")));
        }
        Ok(Some((place, index)))
    }

    fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }
}

fn index_name(folder: &str) -> String {
    format!("{folder}model.safetensors.index.json")
}

fn single(folder: &str) -> String {
    format!("{folder}model.safetensors")
}

/// The files of the checkpoint in `folder`: the only one, or the index and its shards.
pub(crate) fn checkpoint_files(source: &ModelSource, folder: &str) -> Result<Vec<String>> {
    Ok(match Index::read(source, folder)? {
        None => vec![single(folder)],
        Some((_, index)) => {
            let shards = index.files().into_iter().map(|file| format!("{folder}{file}"));
            shards.chain([index_name(folder)]).collect()
        }
    })
}

impl Checkpoint {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names, in `folder` of the model (`""` or `"vq/"`).
    ///
    /// # Errors
    /// A missing, truncated or contradictory file, a shard outside the folder, a tensor that is named twice or not there.
    pub fn open(source: &ModelSource, folder: &str) -> Result<Self> {
        let Some((place, index)) = Index::read(source, folder)? else {
            let name = single(folder);
            return Self::from_shards(vec![(source.describe(&name), source.read(&name)?)]);
        };
        let files: Vec<&str> = index.files().into_iter().collect();
        let mut shards = Vec::new();
        for file in &files {
            let name = format!("{folder}{file}");
            shards.push((source.describe(&name), source.read(&name).map_err(|e| e.at(&place))?));
        }
        let checkpoint = Self::from_shards(shards)?;
        for (name, file) in &index.weight_map {
            if checkpoint.entries.get(name).is_none_or(|entry| files[entry.shard] != file) {
                return Err(Error::input("a tensor is not in the shard that the index names")
                    .at(place)
                    .expected(format!("{name} in {file}")));
            }
        }
        Ok(checkpoint)
    }

    /// A checkpoint of one file that is in memory already.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::from_shards(vec![("bytes".to_owned(), Blob::Owned(bytes))])
    }

    fn from_shards(blobs: Vec<(String, Blob)>) -> Result<Self> {
        let mut checkpoint = Self { shards: Vec::new(), entries: BTreeMap::new(), taken: Mutex::default() };
        for (place, blob) in blobs {
            let (header, metadata) = header(&blob).map_err(|e| e.at(&place))?;
            let shard = checkpoint.shards.len();
            for (name, info) in metadata.tensors() {
                let (start, end) = info.data_offsets;
                let entry = Entry { shard, dtype: info.dtype, shape: info.shape.clone(), range: start..end };
                if checkpoint.entries.insert(name.clone(), entry).is_some() {
                    return Err(Error::input("a tensor is in two shards").at(&place).got(name));
                }
            }
            checkpoint.shards.push(Shard { blob, data_start: LENGTH_BYTES + header, place });
        }
        Ok(checkpoint)
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether a tensor is there.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// A tensor of a given shape in f32, bf16 or f16.
    ///
    /// # Errors
    /// It is missing, or has another shape or number format.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        let Some(entry) = self.entries.get(name) else {
            let place = self.shards.first().map_or("checkpoint", |shard| &shard.place);
            return Err(Error::input("a tensor is missing").at(place).expected(format!("{name} {shape:?}")));
        };
        let shard = &self.shards[entry.shard];
        let wrong = |what: &str| Error::input(what).at(name).at(&shard.place);
        if entry.shape != shape {
            let got = format!("{:?}", entry.shape);
            return Err(wrong("a tensor has the wrong shape").expected(format!("{shape:?}")).got(got));
        }
        if !matches!(entry.dtype, Dtype::F32 | Dtype::BF16 | Dtype::F16) {
            let got = format!("{:?}", entry.dtype);
            return Err(wrong("a tensor has a number format that is not supported")
                .expected("F32, BF16 or F16")
                .got(got));
        }
        if let Ok(mut taken) = self.taken.lock() {
            taken.insert(name.to_owned());
        }
        let bytes = &shard.blob[shard.data_start..][entry.range.clone()];
        Ok(Tensor { dtype: entry.dtype, row_len: shape.last().copied().unwrap_or(1), bytes })
    }

    /// Gives the memory of mapped files back that reading tensors took. Tensors stay valid and are read from the files again.
    pub fn release(&self) {
        self.shards.iter().for_each(|shard| shard.blob.release());
    }

    /// Names that nobody has asked for.
    pub fn left_over(&self) -> Vec<&str> {
        let taken = self.taken.lock().map(|taken| taken.clone()).unwrap_or_default();
        self.names().filter(|name| !taken.contains(*name)).collect()
    }
}

/// Length and content of the header, checked against the file's size.
fn header(bytes: &[u8]) -> Result<(usize, Metadata)> {
    let (length, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
        let announced = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
        let got = match announced {
            Some(length) => format!("{} bytes with a header of {length}", bytes.len()),
            None => format!("{} bytes", bytes.len()),
        };
        Error::input(format!("not a whole safetensors file ({e})"))
            .got(got)
            .hint("was the download or the copy cut off?")
    })?;
    Ok((length, metadata))
}

impl Tensor<'_> {
    /// The numbers as they are stored, if that is in bf16.
    pub(crate) fn bf16_numbers(&self) -> Option<impl Iterator<Item = half::bf16>> {
        let (numbers, _) = self.bytes.as_chunks();
        (self.dtype == Dtype::BF16).then(|| numbers.iter().map(|bytes| half::bf16::from_le_bytes(*bytes)))
    }

    /// Writes row `row` (of the last dimension) as f32.
    ///
    /// # Panics
    /// `row` is not inside the tensor, or `out` is not as long as a row.
    pub fn row_into(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.row_len);
        let width = self.width();
        self.convert(&self.bytes[row * self.row_len * width..][..self.row_len * width], out);
    }

    /// All of it as f32.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.bytes.len() / self.width()];
        self.convert(self.bytes, &mut all);
        all
    }

    /// Bytes of a number.
    fn width(&self) -> usize {
        if self.dtype == Dtype::F32 { 4 } else { 2 }
    }

    fn convert(&self, bytes: &[u8], out: &mut [f32]) {
        match self.dtype {
            Dtype::F32 => convert(bytes, out, f32::from_le_bytes),
            Dtype::BF16 => convert(bytes, out, |b: [u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            _ => convert(bytes, out, |b: [u8; 2]| half::f16::from_le_bytes(b).to_f32()),
        }
    }
}

fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    let (numbers, _) = bytes.as_chunks::<N>();
    out.iter_mut().zip(numbers).for_each(|(out, bytes)| *out = number(*bytes));
}
