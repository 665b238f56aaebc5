//! Writes `packed.safetensors`: see [`packed`](super::packed).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hawk_kernels::{LAYOUT, MatrixSize, Precision};
use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::packed::{Description, FILE, FORMAT, PADDING, PackedMatrix};
use crate::error::{Error, Result};
use crate::source::{hex, map};

/// Where the data begin: room for the header of any model that is known, filled up with spaces.
const DATA_START: u64 = 1 << 20;
const LENGTH_BYTES: u64 = 8;
/// Bytes of a line, on whose border matrices lie.
const LINE: u64 = 64;

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

/// A tensor to be written.
struct Entry<'a> {
    name: &'a str,
    dtype: &'a str,
    shape: &'a [usize],
    /// Outputs and inputs, where it is a matrix.
    matrix: Option<[usize; 2]>,
}

impl Written {
    /// Whether it lies behind the header of a file of so many bytes.
    fn lies_in(&self, bytes: u64) -> bool {
        self.start >= DATA_START && self.start.checked_add(self.length).is_some_and(|end| end <= bytes)
    }
}

/// A packed file that is being written, matrix by matrix while a target is loaded. A journal beside
/// it records what is done, so that an interrupted conversion resumes.
pub struct PackedWriter {
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

impl State {
    fn find(&self, name: &str) -> Option<&Written> {
        self.written.iter().find(|tensor| tensor.name == name)
    }

    fn has_matrix(&self, name: &str, size: MatrixSize) -> bool {
        self.find(name).is_some_and(|tensor| tensor.matrix == Some([size.outputs, size.inputs]))
    }
}

impl PackedWriter {
    /// Starts `packed.safetensors` in `dir`, or resumes an interrupted one. `progress` is called
    /// with the bytes that are written.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(dir: &Path, precision: Precision, progress: Box<dyn Fn(u64) + Send + Sync>) -> Result<Self> {
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
    pub fn hold(&self, name: &str, shape: &[usize]) {
        self.state().held.insert(name.to_owned(), shape.to_vec());
    }

    /// Whether a matrix of this name and size lies in the file already.
    pub fn has(&self, name: &str, size: MatrixSize) -> bool {
        self.state().has_matrix(name, size)
    }

    /// Writes a packed matrix, unless it lies in the file already.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn matrix(&self, name: &str, size: MatrixSize, packed: &[u8]) -> Result<()> {
        let mut state = self.state();
        if state.has_matrix(name, size) {
            return Ok(());
        }
        let lines = packed.len() / LINE as usize;
        let matrix = Some([size.outputs, size.inputs]);
        self.write(&mut state, Entry { name, dtype: "U8", shape: &[lines, LINE as usize], matrix }, packed)
    }

    /// A matrix that was written, as it lies in the file.
    ///
    /// # Errors
    /// It was not written, or the file cannot be read.
    pub fn written(&self, name: &str) -> Result<PackedMatrix> {
        let state = self.state();
        let file = Arc::new(map(&self.path)?);
        let tensor = state.find(name).ok_or_else(|| Error::input("a packed matrix was not written").at(name))?;
        Ok(PackedMatrix { file, start: tensor.start as usize, length: tensor.length as usize })
    }

    /// Writes a tensor that is not packed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn raw(&self, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        if state.written.iter().any(|tensor| tensor.name == name) {
            return Ok(());
        }
        self.write(&mut state, Entry { name, dtype: &format!("{dtype:?}"), shape, matrix: None }, bytes)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut State, entry: Entry<'_>, bytes: &[u8]) -> Result<()> {
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
        let (name, dtype, shape) = (entry.name.to_owned(), entry.dtype.to_owned(), entry.shape.to_vec());
        let tensor = Written { name, dtype, shape, matrix: entry.matrix, start, length: bytes.len() as u64 };
        writeln!(state.journal, "{}", line_of(&tensor)?).map_err(failed)?;
        state.journal.sync_data().map_err(failed)?;
        state.written.push(tensor);
        (self.progress)(state.end - DATA_START);
        Ok(())
    }

    /// Writes the header. Before that the file is none that anything reads.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<()> {
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
