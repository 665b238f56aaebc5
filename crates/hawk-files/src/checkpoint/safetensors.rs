//! The header of a safetensors file.

use std::path::Path;

use ::safetensors::SafeTensors;
use ::safetensors::tensor::{Metadata, TensorInfo};

use crate::error::{Error, Result};
use crate::json::from_value;
use crate::source::not_a_pointer;

/// Bytes of the length that a safetensors file starts with.
pub(super) const LENGTH_BYTES: usize = 8;

pub(super) fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

/// Length and content of the header, checked against the file's size.
pub(super) fn header(bytes: &[u8]) -> Result<(usize, Metadata)> {
    not_a_pointer(bytes)?;
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
