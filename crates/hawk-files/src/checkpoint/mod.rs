//! Checkpoints: one file, or shards with an index. Safetensors are mapped into memory; pickles of
//! PyTorch are read tensor by tensor.

pub(crate) mod inventory;
pub(crate) mod packed;
pub(crate) mod packed_writer;
pub(crate) mod parts;
mod pickle;
mod safetensors;
pub(crate) mod tensor;
pub(crate) mod writer;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use ::safetensors::Dtype;
use hawk_kernels::{MatrixSize, Precision};

use self::packed::{Description, PackedMatrix};
use self::packed_writer::PackedWriter;
use self::parts::Found;
use self::safetensors::{LENGTH_BYTES, header, is_safetensors};
use self::tensor::{LazyTensor, RawTensor, ReadTensor, Tensor};
use crate::error::{Error, Result};
use crate::source::{Blob, ModelSource, map};

struct Shard {
    blob: Arc<Blob>,
    data_start: usize,
    place: String,
}

struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Data,
}

enum Data {
    /// Bytes of a mapped shard, behind its header.
    Mapped { shard: usize, range: std::ops::Range<usize> },
    /// What a function reads or computes each time.
    Read(ReadTensor),
}

/// The tensors of a model by name.
pub struct Checkpoint {
    shards: Vec<Shard>,
    entries: BTreeMap<String, Entry>,
    taken: Mutex<BTreeSet<String>>,
    /// The first file, for messages.
    place: Option<String>,
    /// What a packed file says of itself.
    packed: Option<Description>,
}

/// What a tensor is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Its numbers.
    Numbers,
    /// To fill a matrix that is packed now.
    Packing,
}

impl Checkpoint {
    /// Opens a checkpoint in `folder` of the model (`""` or `"vq/"`): `packed.safetensors`,
    /// `model.safetensors` or `pytorch_model.bin`, the first that is there, or the shards that its
    /// index names.
    ///
    /// # Errors
    /// A file is missing, truncated or contradictory; a shard lies outside the folder; a tensor is
    /// named twice or missing.
    pub fn open(source: &ModelSource, folder: &str) -> Result<Self> {
        let found = Found::look(source, folder)?;
        let Some((place, index)) = found.index else {
            let mut checkpoint = Self::empty();
            checkpoint.add_file(source, &found.format.single(folder))?;
            return Ok(checkpoint);
        };
        let (mut checkpoint, mut held) = (Self::empty(), BTreeMap::new());
        for file in index.files() {
            let names = checkpoint.add_file(source, &format!("{folder}{file}")).map_err(|e| e.at(&place))?;
            held.extend(names.into_iter().map(|name| (name, file)));
        }
        for (name, file) in &index.weight_map {
            if held.get(name) != Some(&file.as_str()) {
                return Err(Error::input("a tensor is not in the shard that the index names")
                    .at(place)
                    .expected(format!("{name} in {file}")));
            }
        }
        Ok(checkpoint)
    }

    /// Opens one file: safetensors if its extension says so, else a pickle of PyTorch (`.pt`,
    /// `.pth`, `.bin`, `.ckpt`).
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_file(path: &Path) -> Result<Self> {
        let mut checkpoint = Self::empty();
        checkpoint.add_path(path)?;
        Ok(checkpoint)
    }

    /// A checkpoint of one safetensors file that is in memory already.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let mut checkpoint = Self::empty();
        checkpoint.add_safetensors("bytes".to_owned(), Blob::Owned(bytes))?;
        Ok(checkpoint)
    }

    /// A checkpoint of tensors that are read or computed when they are asked for.
    pub(crate) fn from_lazy(place: &str, tensors: impl IntoIterator<Item = (String, LazyTensor)>) -> Result<Self> {
        let mut checkpoint = Self::empty();
        checkpoint.add_lazy(place, tensors)?;
        Ok(checkpoint)
    }

    fn empty() -> Self {
        Self { shards: Vec::new(), entries: BTreeMap::new(), taken: Mutex::default(), place: None, packed: None }
    }

    /// Adds a file of the model; returns the names of its tensors.
    fn add_file(&mut self, source: &ModelSource, name: &str) -> Result<Vec<String>> {
        match source {
            ModelSource::Dir(dir) if !is_safetensors(Path::new(name)) => self.add_path(&dir.join(name)),
            _ => self.add_safetensors(source.describe(name), source.read(name)?),
        }
    }

    fn add_path(&mut self, path: &Path) -> Result<Vec<String>> {
        let place = path.display().to_string();
        if is_safetensors(path) {
            self.add_safetensors(place, map(path)?)
        } else {
            self.add_lazy(&place, pickle::read(path)?)
        }
    }

    fn add_safetensors(&mut self, place: String, blob: Blob) -> Result<Vec<String>> {
        let (header, metadata) = header(&blob).map_err(|e| e.at(&place))?;
        let (shard, mut names) = (self.shards.len(), Vec::new());
        let is_packed = Path::new(&place).file_name().is_some_and(|name| name == packed::FILE);
        if is_packed {
            let none = std::collections::HashMap::new();
            let description = Description::read(metadata.metadata().as_ref().unwrap_or(&none));
            self.packed = Some(description.map_err(|e| e.at(&place))?);
        }
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let data = Data::Mapped { shard, range: start..end };
            self.add(&place, name.clone(), Entry { dtype: info.dtype, shape: info.shape.clone(), data })?;
            names.push(name);
        }
        self.place.get_or_insert_with(|| place.clone());
        self.shards.push(Shard { blob: Arc::new(blob), data_start: LENGTH_BYTES + header, place });
        Ok(names)
    }

    fn add_lazy(
        &mut self,
        place: &str,
        tensors: impl IntoIterator<Item = (String, LazyTensor)>,
    ) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for (name, tensor) in tensors {
            let LazyTensor { dtype, shape, read } = tensor;
            self.add(place, name.clone(), Entry { dtype, shape, data: Data::Read(read) })?;
            names.push(name);
        }
        self.place.get_or_insert_with(|| place.to_owned());
        Ok(names)
    }

    fn add(&mut self, place: &str, name: String, entry: Entry) -> Result<()> {
        if self.entries.contains_key(&name) {
            return Err(Error::input("a tensor is in two shards").at(place).got(name));
        }
        self.entries.insert(name, entry);
        Ok(())
    }

    /// Names of the model's tensors in order. In a packed file these include the tensors that were
    /// packed, and not the packed matrices.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.entries.keys().map(String::as_str);
        let packed = self.packed.as_ref();
        let own = own.filter(move |name| packed.is_none_or(|packed| !packed::serves_packing(name, packed)));
        let names: BTreeSet<&str> = own.chain(packed.into_iter().flat_map(Description::names)).collect();
        names.into_iter()
    }

    /// Whether a tensor is there.
    pub fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        match (self.entries.get(name), &self.packed) {
            (Some(entry), _) => Some(&entry.shape),
            (None, Some(description)) => description.held(name),
            (None, None) => None,
        }
    }

    /// A tensor of a given shape in f32, bf16 or f16. All its numbers are looked at.
    ///
    /// # Errors
    /// It is missing, has another shape or number format, or a number that is not finite.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        self.tensor_for(name, shape, Use::Numbers)
    }

    fn tensor_for(&self, name: &str, shape: &[usize], wanted: Use) -> Result<Tensor<'_>> {
        let entry = self.entry(name, shape)?;
        let wrong = |what: &str| Error::input(what).at(name).at(self.place_of(entry));
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
        if wanted == Use::Numbers {
            self.take(name);
        }
        let bytes = self.bytes(name, entry)?;
        let tensor = Tensor { dtype: entry.dtype, row_len: shape.last().copied().unwrap_or(1), bytes };
        tensor.finite().map_err(|e| e.at(name).at(self.place_of(entry)))?;
        Ok(tensor)
    }

    /// A tensor of any number format, as it is stored; it does not count as asked for.
    ///
    /// # Errors
    /// It is missing or cannot be read.
    pub(crate) fn raw(&self, name: &str) -> Result<RawTensor<'_>> {
        let entry = self.entry(name, &[])?;
        Ok(RawTensor { dtype: entry.dtype, shape: &entry.shape, bytes: self.bytes(name, entry)? })
    }

    /// Whether both tensors are there with other numbers. A tensor that went into a packed matrix was
    /// kept because it has numbers of its own.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(crate) fn differ(&self, name: &str, other: &str) -> Result<bool> {
        if self.packed.as_ref().is_some_and(|packed| packed.held(name).is_some()) {
            return Ok(true);
        }
        if !self.entries.contains_key(name) || !self.contains(other) {
            return Ok(false);
        }
        let (a, b) = (self.raw(name)?, self.raw(other)?);
        if a.shape != b.shape || a.dtype == b.dtype {
            return Ok(a.shape != b.shape || a.bytes != b.bytes);
        }
        let numbers = |name: &str| self.tensor_to_pack(name, a.shape).map(|tensor| tensor.to_f32());
        Ok(numbers(name)? != numbers(other)?)
    }

    /// The number format of a tensor, if it is there.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.entries.get(name).map(|entry| entry.dtype)
    }

    /// Whether a tensor is there in bf16.
    pub fn is_bf16(&self, name: &str) -> bool {
        self.dtype(name) == Some(Dtype::BF16)
    }

    /// Its first file, for messages.
    pub fn place(&self) -> &str {
        self.place.as_deref().unwrap_or("checkpoint")
    }

    fn entry(&self, name: &str, shape: &[usize]) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| {
            let place = self.place();
            if let Some(description) = &self.packed
                && description.held(name).is_some()
            {
                let error = Error::input("a tensor is packed into a matrix and has no numbers of its own").at(name);
                return error.at(place).hint("use the model that was converted");
            }
            let shape = if shape.is_empty() { String::new() } else { format!(" {shape:?}") };
            Error::input("a tensor is missing").at(place).expected(format!("{name}{shape}"))
        })
    }

    /// As [`tensor`](Self::tensor), for a tensor that only fills a matrix. In a packed checkpoint
    /// it has no numbers.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn packable(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        match self.packed.as_ref().and_then(|description| description.held(name)) {
            Some(held) if held == shape => {
                self.take(name);
                Ok(Tensor::without_numbers(shape))
            }
            _ => self.tensor(name, shape),
        }
    }

    /// As [`tensor`](Self::tensor), for a tensor that is packed into a file. It does not count as
    /// asked for.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn tensor_to_pack(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        self.tensor_for(name, shape, Use::Packing)
    }

    /// The precision that the checkpoint is packed for, if it is.
    pub fn packed_for(&self) -> Option<Precision> {
        self.packed.as_ref().and_then(|description| description.precision().ok())
    }

    /// A matrix of a packed checkpoint; none where the checkpoint is not packed.
    ///
    /// # Errors
    /// The checkpoint is packed for another precision, layout or model.
    pub fn packed_matrix(&self, name: &str, precision: Precision, size: MatrixSize) -> Result<Option<PackedMatrix>> {
        let Some(description) = &self.packed else { return Ok(None) };
        let file = self.only_file()?;
        description.check(name, precision, size)?;
        let (start, length) = self.place_in_file(name, Dtype::U8)?;
        Ok(Some(PackedMatrix { file: Arc::clone(file), start, length }))
    }

    /// Reads a packed checkpoint whole and compares its digest; true of any other without a look.
    ///
    /// # Errors
    /// The data are not what was written.
    pub fn verify(&self) -> Result<()> {
        match &self.packed {
            Some(description) => description.verify(self.only_data()?),
            None => Ok(()),
        }
    }

    /// Writes the tensors that were asked for into a packed file, and closes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish_packing(&self, writer: PackedWriter) -> Result<()> {
        for name in self.taken() {
            let tensor = self.raw(&name)?;
            writer.raw(&name, tensor.dtype, tensor.shape, &tensor.bytes)?;
            self.release();
        }
        writer.finish()
    }

    /// The one file of a packed checkpoint.
    fn only_file(&self) -> Result<&Arc<Blob>> {
        self.shards.first().map(|shard| &shard.blob).ok_or_else(|| Error::input("a packed model without a file"))
    }

    /// Everything behind the header of the only file.
    fn only_data(&self) -> Result<&[u8]> {
        self.only_file()?;
        Ok(&self.shards[0].blob[self.shards[0].data_start..])
    }

    /// First byte and length of a tensor of this number format in its file.
    fn place_in_file(&self, name: &str, dtype: Dtype) -> Result<(usize, usize)> {
        let entry = self.entry(name, &[])?;
        if entry.dtype != dtype {
            let error = Error::input("a packed tensor has the wrong number format").at(name).at(self.place_of(entry));
            return Err(error.expected(format!("{dtype:?}")).got(format!("{:?}", entry.dtype)));
        }
        match &entry.data {
            Data::Mapped { shard, range } => Ok((self.shards[*shard].data_start + range.start, range.len())),
            Data::Read(_) => Err(Error::input("a packed tensor lies in no mapped file").at(name)),
        }
    }

    /// Names that were asked for, in order.
    fn taken(&self) -> Vec<String> {
        self.taken.lock().map(|taken| taken.iter().cloned().collect()).unwrap_or_default()
    }

    fn take(&self, name: &str) {
        if let Ok(mut taken) = self.taken.lock() {
            taken.insert(name.to_owned());
        }
    }

    fn place_of(&self, entry: &Entry) -> &str {
        match entry.data {
            Data::Mapped { shard, .. } => &self.shards[shard].place,
            Data::Read(_) => self.place(),
        }
    }

    fn bytes(&self, name: &str, entry: &Entry) -> Result<Cow<'_, [u8]>> {
        match &entry.data {
            Data::Mapped { shard, range } => {
                let shard = &self.shards[*shard];
                Ok(Cow::Borrowed(&shard.blob[shard.data_start..][range.clone()]))
            }
            Data::Read(read) => {
                let bytes = read().map_err(|e| e.at(name).at(self.place_of(entry)))?;
                let expected = entry.shape.iter().product::<usize>() * entry.dtype.bitsize() / 8;
                if bytes.len() != expected {
                    let error = Error::input("a tensor's data has the wrong length").at(name).at(self.place_of(entry));
                    return Err(error.expected(format!("{expected} bytes")).got(bytes.len()));
                }
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Releases the memory of mapped files that were read. Tensors stay valid; the next read loads
    /// their pages again.
    pub fn release(&self) {
        self.shards.iter().for_each(|shard| shard.blob.release());
    }

    /// Names that nobody has asked for.
    pub fn left_over(&self) -> Vec<&str> {
        let taken = self.taken.lock().map(|taken| taken.clone()).unwrap_or_default();
        self.names().filter(|name| !taken.contains(*name)).collect()
    }
}
