//! Writes checkpoints of any size as safetensors: sharded, tensor by tensor, each file complete or
//! absent.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::atomic::{self, Durability};
use crate::error::{Error, Result};
use crate::growing::GrowingFile;

/// Most bytes of a shard of several tensors, as the public models have them.
const SHARD_BYTES: u64 = 4_000_000_000;
/// Bytes that the header is filled up to a multiple of, so that numbers lie on their borders.
const BORDER: usize = 8;

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its number format.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Planned {
    /// Bytes of its numbers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8) as u64
    }
}

/// Writes all bytes of a tensor.
pub type WriteTensor<'a> = dyn FnMut(&Planned, &mut dyn Write) -> Result<()> + 'a;

/// Writes `model.safetensors` into `dir`, or shards and their index. Existing shards are kept, so
/// that the same call resumes an earlier one. `progress` is called with the bytes that are done.
///
/// # Errors
/// A file cannot be written, or `source` fails.
pub fn write(dir: &Path, plan: &[Planned], source: &mut WriteTensor<'_>, progress: &dyn Fn(u64)) -> Result<()> {
    let shards = shards(plan);
    let (mut done, mut map) = (0, BTreeMap::new());
    for (number, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            all => format!("model-{:05}-of-{all:05}.safetensors", number + 1),
        };
        let (path, bytes) = (dir.join(&name), shard.iter().map(Planned::bytes).sum::<u64>());
        if !path.is_file() {
            write_shard(&path, shard, source, &|written| progress(done + written))?;
        }
        done += bytes;
        progress(done);
        map.extend(shard.iter().map(|tensor| (tensor.name.clone(), name.clone())));
    }
    if shards.len() > 1 {
        let index = json!({ "metadata": { "total_size": done }, "weight_map": map });
        atomic::write(&dir.join("model.safetensors.index.json"), index.to_string().as_bytes())?;
    }
    Ok(())
}

/// Tensors in order, as many to a shard as fit.
fn shards(plan: &[Planned]) -> Vec<&[Planned]> {
    let (mut shards, mut rest) = (Vec::new(), plan);
    loop {
        let (mut bytes, mut count) = (0, 0);
        for tensor in rest {
            bytes += tensor.bytes();
            if count > 0 && bytes > SHARD_BYTES {
                break;
            }
            count += 1;
        }
        let (shard, after) = rest.split_at(count);
        shards.push(shard);
        if after.is_empty() {
            return shards;
        }
        rest = after;
    }
}

fn write_shard(path: &Path, tensors: &[Planned], source: &mut WriteTensor<'_>, progress: &dyn Fn(u64)) -> Result<()> {
    let mut out = GrowingFile::begin(path)?;
    out.write_all(&header(tensors)).map_err(|e| Error::io("write the weights", path, &e))?;
    let mut done = 0;
    for tensor in tensors {
        let mut counted = Counted { out: &mut out, bytes: 0 };
        source(tensor, &mut counted)?;
        if counted.bytes != tensor.bytes() {
            let error = Error::input("a tensor has another length than its shape").at(&tensor.name);
            return Err(error.expected(format!("{} bytes", tensor.bytes())).got(counted.bytes));
        }
        done += tensor.bytes();
        progress(done);
    }
    out.finish(Durability::Synced)
}

fn header(tensors: &[Planned]) -> Vec<u8> {
    let (mut header, mut at) = (Map::new(), 0);
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    for tensor in tensors {
        let end = at + tensor.bytes();
        let entry = json!({ "dtype": format!("{:?}", tensor.dtype), "shape": tensor.shape, "data_offsets": [at, end] });
        header.insert(tensor.name.clone(), entry);
        at = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(BORDER), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_full_and_a_large_tensor_has_one_of_its_own() {
        let tensor = |mb: usize| Planned { name: mb.to_string(), dtype: Dtype::BF16, shape: vec![mb * 500, 1000] };
        let plan: Vec<Planned> = [3000, 900, 200, 5000, 10, 3990, 1].into_iter().map(tensor).collect();
        let counts: Vec<usize> = shards(&plan).into_iter().map(<[Planned]>::len).collect();
        assert_eq!(counts, [2, 1, 1, 2, 1]);
        assert_eq!(shards(&[]).len(), 1);
    }
}
