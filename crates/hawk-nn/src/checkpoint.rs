//! Checkpoints, one file or shards with an index: safetensors, mapped into memory, or PyTorch's pickles, read tensor by tensor.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::packed::{self, Description, Packing};
use crate::pickle;
use crate::source::{Blob, ModelSource, map};
use crate::validate::{from_json, from_value};
use crate::{Error, Result};

/// Bytes of the length that a safetensors file starts with.
const LENGTH_BYTES: usize = 8;

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

/// A tensor that is read or computed when it is asked for.
pub(crate) struct LazyTensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) read: ReadTensor,
}

pub(crate) type ReadTensor = Box<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;

/// The tensors of a model by name.
pub struct Checkpoint {
    shards: Vec<Shard>,
    entries: BTreeMap<String, Entry>,
    taken: Mutex<BTreeSet<String>>,
    /// The first file, for messages.
    place: Option<String>,
    pub(crate) packing: Packing,
}

/// What a tensor is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Its numbers.
    Numbers,
    /// To fill a matrix that is packed now.
    Packing,
}

/// One tensor, still in the file's number format.
#[derive(Clone)]
pub struct Tensor<'a> {
    dtype: Dtype,
    row_len: usize,
    bytes: Cow<'a, [u8]>,
}

/// A tensor of any number format, as it is stored.
pub(crate) struct RawTensor<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    pub(crate) bytes: Cow<'a, [u8]>,
}

#[derive(Deserialize)]
struct Index {
    /// Tensor to shard.
    weight_map: BTreeMap<String, String>,
}

/// The two families of files that a checkpoint comes in.
#[derive(Clone, Copy)]
enum Format {
    /// Packed by `hawk convert --precision`; never in shards.
    Packed,
    Safetensors,
    Pickle,
}

impl Format {
    /// In the order in which they are looked for.
    const ALL: [Self; 3] = [Self::Packed, Self::Safetensors, Self::Pickle];

    fn single(self, folder: &str) -> String {
        match self {
            Self::Packed => format!("{folder}{}", packed::FILE),
            Self::Safetensors => format!("{folder}model.safetensors"),
            Self::Pickle => format!("{folder}pytorch_model.bin"),
        }
    }

    fn index(self, folder: &str) -> String {
        format!("{}.index.json", self.single(folder))
    }
}

/// The files of a checkpoint that is there.
struct Found {
    format: Format,
    /// Place and content of the index, where there is one.
    index: Option<(String, Index)>,
}

impl Found {
    /// What `folder` holds; a single safetensors file, there or not, where it holds nothing.
    fn look(source: &ModelSource, folder: &str) -> Result<Self> {
        for format in Format::ALL {
            if let Some(index) = Index::read(source, &format.index(folder))? {
                return Ok(Self { format, index: Some(index) });
            }
            if source.contains(&format.single(folder)) {
                return Ok(Self { format, index: None });
            }
        }
        Ok(Self { format: Format::Safetensors, index: None })
    }
}

impl Index {
    /// The index of that name with its place, if there is one; every shard is a plain file name.
    fn read(source: &ModelSource, name: &str) -> Result<Option<(String, Self)>> {
        if !source.contains(name) {
            return Ok(None);
        }
        let place = source.describe(name);
        let index: Self = from_json("an index of shards", &source.read(name)?).map_err(|e| e.at(&place))?;
        if index.weight_map.is_empty() {
            return Err(Error::input("an index of no tensors").at("weight_map").at(place));
        }
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

/// The files of the checkpoint in `folder`: the only one, or the index and its shards.
pub(crate) fn checkpoint_files(source: &ModelSource, folder: &str) -> Result<Vec<String>> {
    let found = Found::look(source, folder)?;
    Ok(match found.index {
        None => vec![found.format.single(folder)],
        Some((_, index)) => {
            let shards = index.files().into_iter().map(|file| format!("{folder}{file}"));
            shards.chain([found.format.index(folder)]).collect()
        }
    })
}

impl Checkpoint {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names, in `folder` of the model (`""` or `"vq/"`); where
    /// there is neither, `pytorch_model.bin` or its shards.
    ///
    /// # Errors
    /// A missing, truncated or contradictory file, a shard outside the folder, a tensor that is named twice or not there.
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

    /// Opens one file: safetensors by its ending, else a pickle of PyTorch (`.pt`, `.pth`, `.bin`, `.ckpt`).
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
        Self {
            shards: Vec::new(),
            entries: BTreeMap::new(),
            taken: Mutex::default(),
            place: None,
            packing: Packing::InMemory,
        }
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
            self.packing = Packing::Packed(description.map_err(|e| e.at(&place))?);
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

    /// Names of the model's tensors in order; of a packed file those that were packed, too, and not the matrices.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.entries.keys().map(String::as_str);
        let packed = match &self.packing {
            Packing::Packed(description) => Some(description),
            _ => None,
        };
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
        match (self.entries.get(name), &self.packing) {
            (Some(entry), _) => Some(&entry.shape),
            (None, Packing::Packed(description)) => description.held(name),
            (None, _) => None,
        }
    }

    /// A tensor of a given shape in f32, bf16 or f16.
    ///
    /// # Errors
    /// It is missing, or has another shape or number format.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        self.tensor_for(name, shape, Use::Numbers)
    }

    pub(crate) fn tensor_for(&self, name: &str, shape: &[usize], wanted: Use) -> Result<Tensor<'_>> {
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
        Ok(Tensor { dtype: entry.dtype, row_len: shape.last().copied().unwrap_or(1), bytes })
    }

    /// A tensor of any number format, as it is stored; it does not count as asked for.
    ///
    /// # Errors
    /// It is missing or cannot be read.
    pub(crate) fn raw(&self, name: &str) -> Result<RawTensor<'_>> {
        let entry = self.entry(name, &[])?;
        Ok(RawTensor { dtype: entry.dtype, shape: &entry.shape, bytes: self.bytes(name, entry)? })
    }

    /// The number format of a tensor, if it is there.
    pub(crate) fn dtype(&self, name: &str) -> Option<Dtype> {
        self.entries.get(name).map(|entry| entry.dtype)
    }

    /// Its first file, for messages.
    pub(crate) fn place(&self) -> &str {
        self.place.as_deref().unwrap_or("checkpoint")
    }

    fn entry(&self, name: &str, shape: &[usize]) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| {
            let place = self.place();
            if let Packing::Packed(description) = &self.packing
                && description.held(name).is_some()
            {
                let error = Error::input("a tensor is packed into a matrix and has no numbers of its own").at(name);
                return error.at(place).hint("use the model that was converted");
            }
            let shape = if shape.is_empty() { String::new() } else { format!(" {shape:?}") };
            Error::input("a tensor is missing").at(place).expected(format!("{name}{shape}"))
        })
    }

    /// The one file of a packed checkpoint.
    pub(crate) fn only_file(&self) -> Result<&Arc<Blob>> {
        self.shards.first().map(|shard| &shard.blob).ok_or_else(|| Error::input("a packed model without a file"))
    }

    /// Everything behind the header of the only file.
    pub(crate) fn only_data(&self) -> Result<&[u8]> {
        self.only_file()?;
        Ok(&self.shards[0].blob[self.shards[0].data_start..])
    }

    /// First byte and length of a tensor of this number format in its file.
    pub(crate) fn place_in_file(&self, name: &str, dtype: Dtype) -> Result<(usize, usize)> {
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
    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken.lock().map(|taken| taken.iter().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn take(&self, name: &str) {
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

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

/// Length and content of the header, checked against the file's size.
fn header(bytes: &[u8]) -> Result<(usize, Metadata)> {
    let (length, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
        let announced = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
        let got = match announced {
            Some(length) => format!("{} bytes with a header of {length}", bytes.len()),
            None => format!("{} bytes", bytes.len()),
        };
        let error = Error::input(format!("not a whole safetensors file ({e})"));
        let error = lying_entry(bytes).map_or(error, |entry| entry.at("not a whole safetensors file"));
        error.got(got).hint("was the download or the copy cut off?")
    })?;
    Ok((length, metadata))
}

/// The first entry of a refused header that is wrong in itself; the library names none.
fn lying_entry(bytes: &[u8]) -> Option<Error> {
    let (length, rest) = bytes.split_first_chunk()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let entries: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let data_bytes = rest.len() - header.len();
    entries.into_iter().filter(|(name, _)| name != "__metadata__").find_map(|(name, entry)| {
        let info: TensorInfo = match from_value("the entry of a tensor", entry) {
            Ok(info) => info,
            Err(e) => return Some(e.at(name)),
        };
        let count = info.shape.iter().try_fold(info.dtype.bitsize(), |count, size| count.checked_mul(*size));
        let (start, end) = info.data_offsets;
        let expected = count.map_or("more than fits".to_owned(), |bits| format!("{} bytes", bits.div_ceil(8)));
        let what = match end.checked_sub(start) {
            None => "data_offsets end before they start",
            Some(_) if end > data_bytes => "data_offsets lie beyond the file",
            Some(length) if count != length.checked_mul(8) => "data_offsets do not fit dtype and shape",
            Some(_) => return None,
        };
        Some(Error::input(what).at(name).expected(format!("{expected} of {data_bytes}, not {start}..{end}")))
    })
}

impl Tensor<'_> {
    /// Stands for a tensor whose numbers were packed; reading it is a fault of the program.
    pub(crate) fn without_numbers(shape: &[usize]) -> Self {
        Self { dtype: Dtype::F32, row_len: shape.last().copied().unwrap_or(1), bytes: Cow::Borrowed(&[]) }
    }

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
        self.convert(&self.bytes, &mut all);
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
