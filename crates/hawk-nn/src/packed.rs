//! Weights in the layout of the kernels, in a file that is mapped and not packed again.
//!
//! `packed.safetensors` is a safetensors file whose data begin on a border of 64 bytes. Each matrix of the target is one tensor of bytes
//! `[lines, 64]`, exactly as [`Matrix`] holds it in memory, under int8 followed by its scales; then come the tensors that are not packed
//! (embedding, norms) in the number format of the original. The metadata name the format, the number of the layout, the precision, the sizes
//! of the matrices, the tensors that went into them, and the SHA-256 of the data.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::Use;
use crate::kernels::{LAYOUT, Matrix, Precision};
use crate::source::{Blob, hex, map};
use crate::validate::from_json;
use crate::{Checkpoint, Error, Result, Tensor};

/// Name of the file.
pub(crate) const FILE: &str = "packed.safetensors";
const FORMAT: &str = "hawk-packed";
/// Where the data begin: room for the header of any model that is known, filled up with spaces.
const DATA_START: u64 = 1 << 20;
const LENGTH_BYTES: u64 = 8;
/// Bytes of a line, on whose border matrices lie.
const LINE: u64 = 64;

/// Finds a tensor of a number format by its name: where its bytes begin in the file, and how many they are.
type Find<'a> = dyn Fn(&str, Dtype) -> Result<(usize, usize)> + 'a;

/// What the file says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    precision: String,
    /// Outputs and inputs of the matrices.
    matrices: BTreeMap<String, [usize; 2]>,
    /// Shapes of the tensors that are in the matrices.
    holds: BTreeMap<String, Vec<usize>>,
    /// SHA-256 of the data, in hex.
    sha256: String,
}

impl Description {
    /// From the metadata of a safetensors file.
    pub(crate) fn read(metadata: &std::collections::HashMap<String, String>) -> Result<Self> {
        let get = |key: &str| {
            metadata.get(key).ok_or_else(|| {
                Error::input("not a packed model").expected(format!("{key:?} in the metadata")).hint("convert it again")
            })
        };
        let (format, layout) = (get("format")?, get("layout")?);
        if format != FORMAT || *layout != LAYOUT.to_string() {
            return Err(Error::input("a packed model of another version of hawk")
                .expected(format!("format {FORMAT}, layout {LAYOUT}"))
                .got(format!("format {format}, layout {layout}"))
                .hint("hawk convert the original again"));
        }
        let description: Self = from_json("the description of a packed model", get("description")?.as_bytes())
            .map_err(|e| e.at("description"))?;
        description.precision().map_err(|e| e.at("precision"))?;
        Ok(description)
    }

    pub(crate) fn precision(&self) -> Result<Precision> {
        self.precision.parse()
    }

    /// The shape of a tensor that went into a matrix.
    pub(crate) fn held(&self, name: &str) -> Option<&[usize]> {
        self.holds.get(name).map(Vec::as_slice)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.holds.keys().map(String::as_str)
    }

    /// A matrix of the file.
    pub(crate) fn matrix(
        &self,
        (file, name): (&Arc<Blob>, &str),
        precision: Precision,
        size: [usize; 2],
        tensor: &Find<'_>,
    ) -> Result<Matrix> {
        if precision.to_string() != self.precision {
            return Err(Error::input("the model is packed for another precision")
                .expected(&self.precision)
                .got(precision)
                .hint(format!(
                    "--precision {}, or hawk convert the original with --precision {precision}",
                    self.precision
                )));
        }
        if self.matrices.get(name) != Some(&size) {
            return Err(Error::input("a packed matrix is missing or has the wrong size")
                .at(name)
                .expected(format!("{size:?}"))
                .got(format!("{:?}", self.matrices.get(name))));
        }
        let (start, length) = tensor(name, Dtype::U8)?;
        if length != Matrix::packed_bytes(precision, size) {
            return Err(Error::input("a packed matrix has the wrong length")
                .at(name)
                .expected(Matrix::packed_bytes(precision, size))
                .got(length));
        }
        let scales = match precision {
            Precision::Int8 => {
                let (start, length) = tensor(&scales_name(name), Dtype::F32)?;
                let bytes = file.get(start..).and_then(|rest| rest.get(..length)).unwrap_or_default();
                bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            _ => Vec::new(),
        };
        if scales.iter().any(|scale| !scale.is_finite()) {
            return Err(Error::input("a packed matrix has scales that are no numbers").at(name));
        }
        Matrix::mapped(precision, size, (Arc::clone(file), start), scales).map_err(|e| e.at(name))
    }

    /// Compares the digest of the data with what the file says.
    ///
    /// # Errors
    /// It is another.
    pub(crate) fn verify(&self, data: &[u8]) -> Result<()> {
        let got = hex(&Sha256::digest(data));
        if got == self.sha256 {
            return Ok(());
        }
        let error = Error::input("a packed model is damaged: its data have another digest");
        Err(error.expected(&self.sha256).got(got).hint("hawk convert the original again"))
    }
}

fn scales_name(matrix: &str) -> String {
    format!("{matrix}.scales")
}

/// A tensor of the file under way, as the journal keeps it.
#[derive(Clone, Serialize, Deserialize)]
struct Written {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// Outputs and inputs, where it is a matrix.
    matrix: Option<[usize; 2]>,
    /// From the start of the file.
    start: u64,
    length: u64,
}

impl Written {
    /// Whether it lies behind the header of a file of so many bytes.
    fn lies_in(&self, bytes: u64) -> bool {
        self.start >= DATA_START && self.start.checked_add(self.length).is_some_and(|end| end <= bytes)
    }
}

/// Writes a packed file while a target is loaded from the original, matrix by matrix, and remembers in a journal beside it what is done.
pub(crate) struct Packer {
    path: PathBuf,
    precision: Precision,
    state: Mutex<State>,
    progress: Box<dyn Fn(u64) + Send + Sync>,
}

struct State {
    file: File,
    journal: File,
    written: Vec<Written>,
    /// Tensors that matrices were made of.
    held: BTreeMap<String, Vec<usize>>,
    end: u64,
}

impl Packer {
    /// Begins `packed.safetensors` in `dir`, or goes on where an earlier one broke off.
    pub(crate) fn new(dir: &Path, precision: Precision, progress: Box<dyn Fn(u64) + Send + Sync>) -> Result<Self> {
        let (path, journal_path) = (dir.join(FILE), dir.join("packed.journal"));
        let mut written = Vec::new();
        if let (Ok(journal), Ok(found)) = (File::open(&journal_path), std::fs::metadata(&path)) {
            // The last line may be cut; what is not in the file any more is done again.
            for line in BufReader::new(journal).lines().map_while(|line| line.ok()) {
                match serde_json::from_str::<Written>(&line) {
                    Ok(tensor) if tensor.lies_in(found.len()) => written.push(tensor),
                    _ => break,
                }
            }
        }
        let end = written.last().map_or(DATA_START, |tensor| (tensor.start + tensor.length).next_multiple_of(LINE));
        let open = |path: &Path| {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(|e| Error::io("write the packed model", path, &e))
        };
        let (file, mut journal) = (open(&path)?, open(&journal_path)?);
        let failed = |e: std::io::Error| Error::io("write the packed model", &path, &e);
        file.set_len(end).map_err(failed)?;
        journal.set_len(0).map_err(failed)?;
        for tensor in &written {
            writeln!(journal, "{}", line_of(tensor)?).map_err(failed)?;
        }
        let state = State { file, journal, written, held: BTreeMap::new(), end };
        progress(end - DATA_START);
        Ok(Self { path, precision, state: Mutex::new(state), progress })
    }

    /// Notes that a tensor goes into a matrix.
    pub(crate) fn hold(&self, name: &str, shape: &[usize]) {
        self.state().held.insert(name.to_owned(), shape.to_vec());
    }

    /// Packs and writes a matrix, unless that was done already; the result lies in the file.
    pub(crate) fn matrix(
        &self,
        name: &str,
        size: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Matrix> {
        let mut state = self.state();
        let done = |state: &State, name: &str| state.written.iter().find(|tensor| tensor.name == name).cloned();
        let scaled = self.precision == Precision::Int8;
        let there = done(&state, name).is_some_and(|tensor| tensor.matrix == Some(size));
        let scales_there = !scaled || done(&state, &scales_name(name)).is_some();
        if !there || !scales_there {
            let matrix = Matrix::pack(self.precision, size[0], size[1], fill);
            let (data, scales) = matrix.packed();
            if !there {
                let lines = data.len() / LINE as usize;
                self.write(&mut state, (name, "U8", &[lines, LINE as usize], Some(size)), data)?;
            }
            if !scales_there {
                let scales: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
                self.write(&mut state, (&scales_name(name), "F32", &[scales.len() / 4], None), &scales)?;
            }
        }
        let file = Arc::new(map(&self.path)?);
        let place = |name: &str| {
            let tensor = done(&state, name).ok_or_else(|| Error::input("a packed matrix was not written").at(name))?;
            Ok((tensor.start as usize, tensor.length as usize))
        };
        let (start, _) = place(name)?;
        let (scales_start, length) = if scaled { place(&scales_name(name))? } else { (0, 0) };
        let scales = file[scales_start..scales_start + length].as_chunks().0.iter().map(|x| f32::from_le_bytes(*x));
        let matrix = Matrix::mapped(self.precision, size, (Arc::clone(&file), start), scales.collect())?;
        file.release();
        Ok(matrix)
    }

    /// Writes a tensor that is not packed.
    pub(crate) fn raw(&self, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        if state.written.iter().any(|tensor| tensor.name == name) {
            return Ok(());
        }
        self.write(&mut state, (name, &format!("{dtype:?}"), shape, None), bytes)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        state: &mut State,
        (name, dtype, shape, matrix): (&str, &str, &[usize], Option<[usize; 2]>),
        bytes: &[u8],
    ) -> Result<()> {
        let failed = |e: std::io::Error| Error::io("write the packed model", &self.path, &e);
        let start = state.end;
        state.file.seek(SeekFrom::Start(start)).map_err(failed)?;
        state.file.write_all(bytes).map_err(failed)?;
        state.end = start + bytes.len() as u64;
        // A line's rest is part of the file, so that the next tensor begins on a border.
        let padding = (state.end.next_multiple_of(LINE) - state.end) as usize;
        state.file.write_all(&[0; LINE as usize][..padding]).map_err(failed)?;
        state.file.sync_data().map_err(failed)?;
        state.end += padding as u64;
        let (name, dtype, shape) = (name.to_owned(), dtype.to_owned(), shape.to_vec());
        let tensor = Written { name, dtype, shape, matrix, start, length: bytes.len() as u64 };
        writeln!(state.journal, "{}", line_of(&tensor)?).map_err(failed)?;
        state.journal.sync_data().map_err(failed)?;
        state.written.push(tensor);
        (self.progress)(state.end - DATA_START);
        Ok(())
    }

    /// Writes the header. Before that the file is none that anything reads.
    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        let failed = |e: std::io::Error| Error::io("write the packed model", &path, &e);
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sha256 = digest_from(&mut state.file, DATA_START).map_err(failed)?;
        let header = header(&state, self.precision, sha256)?;
        let room = DATA_START - LENGTH_BYTES;
        if header.len() as u64 > room {
            return Err(Error::input("a model of too many tensors to be packed").expected(room).got(header.len()));
        }
        let mut start = room.to_le_bytes().to_vec();
        start.extend(&header);
        start.resize(DATA_START as usize, b' ');
        state.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        state.file.write_all(&start).map_err(failed)?;
        state.file.sync_all().map_err(failed)?;
        drop(state.journal);
        std::fs::remove_file(path.with_file_name("packed.journal")).map_err(failed)
    }
}

fn line_of(tensor: &Written) -> Result<String> {
    serde_json::to_string(tensor).map_err(|e| Error::input(format!("cannot write the journal: {e}")))
}

fn digest_from(file: &mut File, start: u64) -> std::io::Result<String> {
    let mut sha = Sha256::new();
    file.seek(SeekFrom::Start(start))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&sha.finalize())),
            read => sha.update(&buffer[..read]),
        }
    }
}

/// The safetensors header. Safetensors knows no gaps: what fills up a line is a tensor of its own.
fn header(state: &State, precision: Precision, sha256: String) -> Result<Vec<u8>> {
    let matrices = state.written.iter().filter_map(|tensor| Some((tensor.name.clone(), tensor.matrix?)));
    let description = Description {
        precision: precision.to_string(),
        matrices: matrices.collect(),
        holds: state.held.clone(),
        sha256,
    };
    let failed = |e: serde_json::Error| Error::input(format!("cannot write the header: {e}"));
    let mut header = serde_json::Map::new();
    header.insert(
        "__metadata__".to_owned(),
        serde_json::json!({
            "format": FORMAT,
            "layout": LAYOUT.to_string(),
            "description": serde_json::to_string(&description).map_err(failed)?,
        }),
    );
    let mut at = DATA_START;
    let mut put = |name: String, dtype: &str, shape: serde_json::Value, start: u64, end: u64| {
        let offsets = [start - DATA_START, end - DATA_START];
        header.insert(name, serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets }));
    };
    for tensor in &state.written {
        let end = tensor.start + tensor.length;
        put(tensor.name.clone(), &tensor.dtype, tensor.shape.clone().into(), tensor.start, end);
        let border = end.next_multiple_of(LINE);
        if border > end {
            put(format!("{PADDING}{}", tensor.name), "U8", vec![border - end].into(), end, border);
        }
        at = border;
    }
    debug_assert_eq!(at, state.end);
    serde_json::to_vec(&header).map_err(failed)
}

/// Tensors of this beginning fill up lines.
const PADDING: &str = "padding.";

/// Whether a name of a packed file is of what only serves the packing.
pub(crate) fn serves_packing(name: &str, description: &Description) -> bool {
    let of = name.strip_suffix(".scales").unwrap_or(name);
    name.starts_with(PADDING) || description.matrices.contains_key(of)
}

/// What a checkpoint has to do with packing.
pub(crate) enum Packing {
    /// Nothing: matrices are packed in memory when they are loaded.
    InMemory,
    /// It is a packed file.
    Packed(Description),
    /// It is being packed.
    Writing(Packer),
}

impl Checkpoint {
    /// A matrix of the target for the kernels, under a name of its own: packed now, or mapped where the checkpoint is packed.
    ///
    /// # Errors
    /// A packed checkpoint of another precision, layout or model; a file that cannot be written.
    pub(crate) fn matrix(
        &self,
        name: &str,
        precision: Precision,
        size: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Matrix> {
        let matrix = match &self.packing {
            Packing::InMemory => Matrix::pack(precision, size[0], size[1], fill),
            Packing::Writing(packer) => packer.matrix(name, size, fill)?,
            Packing::Packed(description) => {
                let file = self.only_file()?;
                return description
                    .matrix((file, name), precision, size, &|name, dtype| self.place_in_file(name, dtype));
            }
        };
        // So that a model is never in memory twice.
        self.release();
        Ok(matrix)
    }

    /// As [`Checkpoint::tensor`], for a tensor that is read to fill a [`Checkpoint::matrix`] and for nothing else: where the checkpoint is
    /// packed already it has no numbers.
    pub(crate) fn packable(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>> {
        match &self.packing {
            Packing::InMemory => self.tensor(name, shape),
            Packing::Writing(packer) => {
                packer.hold(name, shape);
                self.tensor_for(name, shape, Use::Packing)
            }
            Packing::Packed(description) => match description.held(name) {
                Some(held) if held == shape => {
                    self.take(name);
                    Ok(Tensor::without_numbers(shape))
                }
                _ => self.tensor(name, shape),
            },
        }
    }

    /// The precision that the checkpoint is packed for, if it is.
    pub fn packed_for(&self) -> Option<Precision> {
        match &self.packing {
            Packing::Packed(description) => description.precision().ok(),
            _ => None,
        }
    }

    /// Reads a packed checkpoint whole and compares its digest; true of any other without a look.
    ///
    /// # Errors
    /// The data are not what was written.
    pub fn verify(&self) -> Result<()> {
        match &self.packing {
            Packing::Packed(description) => description.verify(self.only_data()?),
            _ => Ok(()),
        }
    }

    /// Packs the target's matrices of a checkpoint into `packed.safetensors` in `dir` while `load` loads it, then writes the tensors that
    /// `load` read besides. Goes on where an earlier call of the same kind broke off; `progress` hears of the bytes that are written.
    ///
    /// # Errors
    /// The file cannot be written, or `load` fails.
    pub fn pack_into<T>(
        mut self,
        dir: &Path,
        precision: Precision,
        progress: Box<dyn Fn(u64) + Send + Sync>,
        load: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<()> {
        self.packing = Packing::Writing(Packer::new(dir, precision, progress)?);
        drop(load(&self)?);
        let Packing::Writing(packer) = std::mem::replace(&mut self.packing, Packing::InMemory) else {
            return Err(Error::input("nothing was packed"));
        };
        for name in self.taken() {
            let tensor = self.raw(&name)?;
            packer.raw(&name, tensor.dtype, tensor.shape, &tensor.bytes)?;
            self.release();
        }
        packer.finish()
    }
}
