//! Writes files as `torch.save` does: a pickle of protocol 2 and the storages, stored in a zip archive.
#![allow(dead_code)]

/// A tensor of a file under test.
#[derive(Clone)]
pub(crate) struct Saved {
    pub(crate) name: String,
    /// PyTorch's storage class without `Storage`: `Float`, `BFloat16`, `Half`, `Long`.
    pub(crate) storage: &'static str,
    /// What the pickle says of the storage's length, in numbers.
    pub(crate) numbers: usize,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
    /// The storage.
    pub(crate) bytes: Vec<u8>,
}

impl Saved {
    /// A contiguous tensor.
    pub(crate) fn new(name: &str, storage: &'static str, shape: &[usize], bytes: Vec<u8>) -> Self {
        let numbers = shape.iter().product();
        let strides = (0..shape.len()).map(|i| shape[i + 1..].iter().product()).collect();
        Self { name: name.to_owned(), storage, numbers, offset: 0, shape: shape.to_vec(), strides, bytes }
    }

    pub(crate) fn f32(name: &str, shape: &[usize], numbers: &[f32]) -> Self {
        Self::new(name, "Float", shape, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// The calls that rebuild it from storage `key`.
    fn pickle(&self, key: usize, out: &mut Vec<u8>) {
        global("torch._utils", "_rebuild_tensor_v2", out);
        out.push(b'(');
        out.push(b'(');
        text("storage", out);
        global("torch", &format!("{}Storage", self.storage), out);
        text(&key.to_string(), out);
        text("cpu", out);
        integer(self.numbers, out);
        out.extend(b"tQ");
        integer(self.offset, out);
        for sizes in [&self.shape, &self.strides] {
            out.push(b'(');
            sizes.iter().for_each(|size| integer(*size, out));
            out.push(b't');
        }
        out.push(0x89);
        global("collections", "OrderedDict", out);
        out.extend(b")RtR");
    }
}

pub(crate) fn global(module: &str, name: &str, out: &mut Vec<u8>) {
    out.extend(format!("c{module}\n{name}\n").bytes());
}

pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

fn integer(value: usize, out: &mut Vec<u8>) {
    out.push(0x8a);
    out.push(8);
    out.extend((value as i64).to_le_bytes());
}

/// The pickle of a state dict; below `key` of a dict where one is given, beside what `beside` pickles (keys and values).
pub(crate) fn pickle(tensors: &[Saved], key: Option<&str>, beside: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 2];
    if let Some(key) = key {
        out.extend(b"}(");
        out.extend(beside);
        text(key, &mut out);
    }
    global("collections", "OrderedDict", &mut out);
    out.extend(b")R(");
    for (number, tensor) in tensors.iter().enumerate() {
        text(&tensor.name, &mut out);
        tensor.pickle(number, &mut out);
    }
    out.push(b'u');
    if key.is_some() {
        out.push(b'u');
    }
    out.push(b'.');
    out
}

/// A whole file.
pub(crate) fn save(tensors: &[Saved], key: Option<&str>, beside: &[u8]) -> Vec<u8> {
    archive(&pickle(tensors, key, beside), tensors)
}

/// A whole file as PyTorch before 1.6 wrote it: pickles of a magic number, a version, the machine, the content and the storages' keys, and
/// behind them each storage with its length in numbers.
pub(crate) fn legacy(tensors: &[Saved]) -> Vec<u8> {
    let mut machine = b"\x80\x02}(".to_vec();
    text("protocol_version", &mut machine);
    machine.extend(b"M\xe9\x03");
    text("little_endian", &mut machine);
    machine.extend(b"\x88u.");
    let mut keys = b"\x80\x02](".to_vec();
    (0..tensors.len()).for_each(|key| text(&key.to_string(), &mut keys));
    keys.extend(b"e.");
    let magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    let mut out = [magic, machine, pickle(tensors, None, &[]), keys].concat();
    for tensor in tensors {
        out.extend((tensor.numbers as u64).to_le_bytes());
        out.extend(&tensor.bytes);
    }
    out
}

/// The archive around a pickle.
pub(crate) fn archive(pickle: &[u8], tensors: &[Saved]) -> Vec<u8> {
    let mut files = vec![("model/data.pkl".to_owned(), pickle.to_vec())];
    files.push(("model/byteorder".to_owned(), b"little".to_vec()));
    files.extend(tensors.iter().enumerate().map(|(i, tensor)| (format!("model/data/{i}"), tensor.bytes.clone())));
    files.push(("model/version".to_owned(), b"3\n".to_vec()));
    zip(&files)
}

/// An archive of stored files.
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let start = out.len() as u32;
        // Version, flags, method 0 (stored), time and date, checksum, sizes, lengths of the name and of what is extra.
        let mut common = vec![0, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(crc32(content).to_le_bytes());
        common.extend([(content.len() as u32).to_le_bytes(), (content.len() as u32).to_le_bytes()].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.bytes());
        out.extend(content);
        directory.extend(b"PK\x01\x02\0\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.bytes());
    }
    let (start, count) = (out.len() as u32, files.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend([(directory.len() as u32).to_le_bytes(), start.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
