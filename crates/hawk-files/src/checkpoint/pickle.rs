//! Checkpoints of PyTorch's `torch.save` (`.pt`, `.pth`, `.bin`, `.ckpt`), read without running any
//! code of the pickle.
//!
//! The crate `pytorch-reader` reads the containers and rebuilds tensors; every other object of a
//! pickle is only a name. This file adds an allowlist of names. A file that calls anything else is
//! refused, because loading it in Python would run that call.

use std::io;
use std::path::Path;

use pytorch_reader::{DType, PickleValue, PytorchError, PytorchReader};
use safetensors::Dtype;

use super::tensor::LazyTensor;
use crate::error::{Error, Result};
use crate::source::no_pointer_at;

/// Keys under which training programs keep the weights, in the order of search.
const KEYS: [&str; 4] = ["state_dict", "model", "module", "model_state_dict"];

/// Modules whose objects are saved beside the weights in public checkpoints: settings, counters,
/// optimizer state.
const HARMLESS: [&str; 10] = [
    "torch",
    "numpy",
    "collections",
    "argparse",
    "pathlib",
    "omegaconf",
    "pytorch_lightning",
    "lightning",
    "typing",
    "datetime",
];

/// Types of Python itself that hold data.
const HARMLESS_BUILTINS: [&str; 16] = [
    "int",
    "float",
    "str",
    "bool",
    "bytes",
    "bytearray",
    "complex",
    "list",
    "tuple",
    "dict",
    "set",
    "frozenset",
    "slice",
    "range",
    "object",
    "long",
];

/// Deepest nesting of a pickle that is walked; the reader's own limit is below it.
const MAX_DEPTH: usize = 2000;

/// The tensors of a file by name. If the file holds a state dict among other things, those of the
/// state dict.
///
/// # Errors
/// Not a file of `torch.save`, a file that would run code in Python, no tensors, or a file that
/// cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<(String, LazyTensor)>> {
    let refused = |e: PytorchError| refusal(path, e);
    let found = std::fs::metadata(path).map_err(|e| Error::io("open a file of the model", path, &e))?;
    if !found.is_file() {
        return Err(Error::input("a part of the model is no file").at(path.display()));
    }
    no_pointer_at(path)?;
    let root = PytorchReader::read_pickle_data(path, None).map_err(refused)?;
    harmless(&root, 0).map_err(|e| e.at(path.display()))?;
    let reader = match weights_key(&root) {
        Some(key) => PytorchReader::with_top_level_key(path, key),
        None => PytorchReader::new(path),
    };
    let tensors: Vec<_> = reader.map_err(refused)?.into_tensors().into_iter().collect();
    if tensors.is_empty() {
        return Err(Error::input("the file holds no tensors").at(path.display()).expected("a state dict of PyTorch"));
    }
    Ok(tensors.into_iter().map(|(name, tensor)| (name, lazy(tensor, found.len()))).collect())
}

/// A tensor of a file of `file_bytes` bytes. A view may repeat the same number any number of times,
/// so a tensor that is larger than its file is refused.
fn lazy(tensor: pytorch_reader::Tensor, file_bytes: u64) -> LazyTensor {
    let (_, dtype, shape, bytes) = tensor.into_parts();
    let wanted = shape.iter().try_fold(dtype.size() as u64, |bytes, size| bytes.checked_mul(*size as u64));
    let read = move || {
        if wanted.is_none_or(|wanted| wanted > file_bytes) {
            let error = Error::input("a tensor is larger than its file");
            return Err(error.expected(format!("at most {file_bytes} bytes")).got(format!("{wanted:?}")));
        }
        bytes().map_err(|e| match content_is_wrong(&e) {
            true => Error::input(format!("a tensor cannot be read: {e}")).hint("was the download or the copy cut off?"),
            false => Error::environment(format!("a tensor cannot be read: {e}")),
        })
    };
    LazyTensor { dtype: number_format(dtype), shape, read: Box::new(read) }
}

fn number_format(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// The key of the state dict, where the file is no state dict itself.
fn weights_key(root: &PickleValue) -> Option<&'static str> {
    let PickleValue::Dict(entries) = root else { return None };
    KEYS.into_iter().find(|key| matches!(entries.get(*key), Some(PickleValue::Dict(inner)) if !inner.is_empty()))
}

/// Refuses objects that Python would make by calling what is not on the list.
fn harmless(value: &PickleValue, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::input("a pickle is nested too deep").expected(format!("at most {MAX_DEPTH} levels")));
    }
    match value {
        PickleValue::List(items) => items.iter().try_for_each(|item| harmless(item, depth + 1)),
        PickleValue::Dict(entries) => entries.values().try_for_each(|item| harmless(item, depth + 1)),
        PickleValue::Unsupported(name) if !is_harmless(name) => Err(Error::input(
            "the file asks Python to call what a checkpoint has no use for",
        )
        .expected("tensors and plain settings")
        .got(name)
        .hint("nothing of it was run, and it is refused; get the model as safetensors, or save its state_dict alone")),
        _ => Ok(()),
    }
}

fn is_harmless(name: &str) -> bool {
    let Some((module, last)) = name.rsplit_once('.') else {
        // No call: one of the reader's own words for a value, such as a number of too many digits.
        return true;
    };
    match module {
        "builtins" | "__builtin__" => HARMLESS_BUILTINS.contains(&last),
        "_codecs" => last == "encode",
        _ => HARMLESS.contains(&module.split('.').next().unwrap_or(module)),
    }
}

fn refusal(path: &Path, error: PytorchError) -> Error {
    match error {
        PytorchError::Io(e) if !content_is_wrong(&e) => Error::io("read a checkpoint of PyTorch", path, &e),
        error => Error::input(format!("not a checkpoint of PyTorch that can be read: {error}"))
            .at(path.display())
            .expected("a whole file of torch.save")
            .hint("was the download or the copy cut off?"),
    }
}

/// Whether the file is to blame, and not the machine.
fn content_is_wrong(e: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof, Unsupported};
    matches!(e.kind(), InvalidData | InvalidInput | Other | UnexpectedEof | Unsupported)
}
