//! Checkpoints of PyTorch: what is read, and what is refused without being run.
#![allow(clippy::unwrap_used)]

#[path = "common/torch.rs"]
mod torch;

use std::path::Path;

use hawk_files::{Checkpoint, Error, Fault, ModelSource};
use proptest::prelude::*;
use torch::{Saved, archive, global, pickle, save, text};

fn open(bytes: &[u8]) -> Result<Checkpoint, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.pt");
    std::fs::write(&path, bytes).unwrap();
    let checkpoint = Checkpoint::open_file(&path)?;
    // What is unlinked stays readable: the reader keeps its file open.
    Ok(checkpoint)
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let error = open(bytes).and_then(|checkpoint| read_all(&checkpoint)).expect_err("the file must be refused");
    assert_eq!(error.fault(), Fault::Input, "{error}");
    error.to_string()
}

/// Every tensor's numbers, or the first complaint.
fn read_all(checkpoint: &Checkpoint) -> Result<Vec<(String, Vec<f32>)>, Error> {
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let shape = checkpoint.shape(&name).unwrap();
            let numbers = checkpoint.tensor(&name, shape)?.to_f32();
            assert_eq!(numbers.len(), shape.iter().product::<usize>());
            Ok((name, numbers))
        })
        .collect()
}

fn counted(name: &str, shape: &[usize]) -> Saved {
    let count = shape.iter().product::<usize>();
    Saved::f32(name, shape, &(0..count).map(|i| i as f32).collect::<Vec<_>>())
}

#[test]
fn tensors_come_with_their_strides_and_number_formats() {
    let numbers = [1.5_f32, -2.0, 0.25, 8.0];
    let halves = |write: fn(f32) -> [u8; 2]| numbers.iter().flat_map(|x| write(*x)).collect::<Vec<u8>>();
    let turned = Saved { strides: vec![1, 3], shape: vec![3, 2], ..counted("turned", &[2, 3]) };
    let inner = Saved { offset: 2, shape: vec![3], strides: vec![1], ..counted("inner", &[6]) };
    let file = save(
        &[
            Saved::f32("f32", &[4], &numbers),
            Saved::new("bf16", "BFloat16", &[2, 2], halves(|x| half::bf16::from_f32(x).to_le_bytes())),
            Saved::new("f16", "Half", &[4], halves(|x| half::f16::from_f32(x).to_le_bytes())),
            turned,
            inner,
        ],
        None,
        &[],
    );
    let checkpoint = open(&file).unwrap();
    for name in ["f32", "bf16", "f16"] {
        let shape = checkpoint.shape(name).unwrap();
        assert_eq!(checkpoint.tensor(name, shape).unwrap().to_f32(), numbers, "{name}");
    }
    assert_eq!(checkpoint.tensor("turned", &[3, 2]).unwrap().to_f32(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(checkpoint.tensor("inner", &[3]).unwrap().to_f32(), [2.0, 3.0, 4.0]);
    let mut row = [0.0; 2];
    checkpoint.tensor("turned", &[3, 2]).unwrap().row_into(1, &mut row);
    assert_eq!(row, [1.0, 4.0]);
    assert!(checkpoint.left_over().is_empty());
    let error = checkpoint.tensor("f32", &[5]).err().unwrap().to_string();
    assert!(error.contains("[5]") && error.contains("model.pt"), "{error}");
}

#[test]
fn integers_are_there_but_no_weights() {
    let checkpoint = open(&save(&[Saved::new("steps", "Long", &[1], vec![7; 8])], None, &[])).unwrap();
    let error = checkpoint.tensor("steps", &[1]).err().unwrap().to_string();
    assert!(error.contains("I64"), "{error}");
}

#[test]
fn weights_below_a_key_are_found_beside_settings() {
    let mut beside = Vec::new();
    text("epoch", &mut beside);
    beside.extend([b'K', 3]);
    text("args", &mut beside);
    global("argparse", "Namespace", &mut beside);
    beside.extend(b")R");
    for key in ["state_dict", "model", "module"] {
        let checkpoint = open(&save(&[counted("w", &[2])], Some(key), &beside)).unwrap();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["w"]);
    }
}

#[test]
fn bin_files_and_their_shards_open_as_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let source = ModelSource::Dir(dir.path().to_owned());
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("pytorch_model.bin", &save(&[counted("a", &[2])], None, &[]));
    assert_eq!(Checkpoint::open(&source, "").unwrap().names().collect::<Vec<_>>(), ["a"]);
    write("1.bin", &save(&[counted("a", &[2])], None, &[]));
    write("2.bin", &save(&[counted("b", &[2])], None, &[]));
    write("pytorch_model.bin.index.json", br#"{"weight_map":{"a":"1.bin","b":"2.bin"}}"#);
    assert_eq!(Checkpoint::open(&source, "").unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
    let digest = source.digest().unwrap();
    write("2.bin", &save(&[counted("b", &[3])], None, &[]));
    assert_ne!(source.digest().unwrap(), digest);
    write("pytorch_model.bin.index.json", br#"{"weight_map":{"a":"2.bin"}}"#);
    assert!(Checkpoint::open(&source, "").err().unwrap().to_string().contains("a in 2.bin"));
}

#[test]
fn files_that_would_run_code_are_refused() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("builtins", "getattr"),
        ("importlib", "import_module"),
        ("torchx", "anything"),
    ] {
        let mut beside = Vec::new();
        text("config", &mut beside);
        global(module, name, &mut beside);
        beside.push(b'(');
        text("touch owned", &mut beside);
        beside.extend(b"tR");
        let message = refused(&save(&[counted("w", &[2])], Some("state_dict"), &beside));
        assert!(message.contains(&format!("{module}.{name}")), "{message}");
        // The same as the whole of the file.
        let mut whole = vec![0x80, 2];
        global(module, name, &mut whole);
        whole.push(b'(');
        text("touch owned", &mut whole);
        whole.extend(b"tR.");
        refused(&archive(&whole, &[]));
        refused(&whole);
    }
    assert!(!Path::new("owned").exists());
}

#[test]
fn lies_of_the_pickle_are_refused() {
    let good = counted("w", &[2, 3]);
    open(&save(std::slice::from_ref(&good), None, &[])).and_then(|checkpoint| read_all(&checkpoint)).unwrap();
    for (lie, tensor) in [
        ("a storage longer than it is", Saved { numbers: 12, shape: vec![4, 3], ..good.clone() }),
        ("a storage too short for the shape", Saved { numbers: 3, ..good.clone() }),
        ("an offset behind the storage", Saved { offset: 1, ..good.clone() }),
        ("an offset that overflows", Saved { offset: usize::MAX / 2, ..good.clone() }),
        ("a shape that overflows", Saved { shape: vec![usize::MAX / 2, 8], ..good.clone() }),
        ("a negative size", Saved { shape: vec![usize::MAX, 3], ..good.clone() }),
        ("strides beyond the storage", Saved { strides: vec![6, 1], ..good.clone() }),
        ("a negative stride", Saved { strides: vec![usize::MAX, 1], ..good.clone() }),
        ("more strides than sizes", Saved { strides: vec![3, 1, 1], ..good.clone() }),
        ("an unknown storage", Saved { storage: "Quantum", ..good.clone() }),
        ("a wider number format", Saved { storage: "Double", ..good.clone() }),
        ("a tensor of 2^40 numbers from one", Saved { shape: vec![1 << 20, 1 << 20], strides: vec![0, 0], ..good }),
    ] {
        let message = refused(&save(&[tensor], None, &[]));
        assert!(message.contains("model.pt"), "{lie}: {message}");
    }
    let file = save(&[counted("w", &[2, 3])], None, &[]);
    let pickled = pickle(&[counted("w", &[2, 3])], None, &[]);
    for cut in [0, 1, 2, 10, pickled.len() / 2, pickled.len() - 1] {
        refused(&archive(&pickled[..cut], &[counted("w", &[2, 3])]));
    }
    refused(&archive(&pickled, &[]));
    for cut in [0, 4, 30, file.len() / 2, file.len() - 1] {
        refused(&file[..cut]);
    }
    refused(b"PK\x03\x04");
    refused(&vec![0; 1000]);
    // Nested lists without end, and a memo that doubles.
    refused(&archive(&[vec![0x80, 2], vec![b']'; 100_000], vec![b'.']].concat(), &[]));
    refused(&archive(&[vec![0x80, 2, b'(', b']'], b"2l".repeat(60), vec![b'.']].concat(), &[]));
}

/// Each field of the archive's own headers by its place from the header's signature, in turn set to all ones, to zero and to one more.
#[test]
fn lies_of_the_container_are_refused_or_harmless() {
    let tensors = [counted("a", &[2, 3]), counted("b", &[5])];
    let file = save(&tensors, None, &[]);
    let whole = read_all(&open(&file).unwrap()).unwrap();
    let local = [("signature", 0, 4), ("version", 4, 2), ("flags", 6, 2), ("method", 8, 2), ("time", 10, 4)];
    let local = local.into_iter().chain([("checksum", 14, 4), ("packed", 18, 4), ("size", 22, 4), ("name", 26, 2)]);
    let local: Vec<_> = local.chain([("extra", 28, 2)]).map(|field| (&b"PK\x03\x04"[..], field)).collect();
    let central = [("signature", 0, 4), ("made", 4, 2), ("version", 6, 2), ("flags", 8, 2), ("method", 10, 2)];
    let central = central.into_iter().chain([("checksum", 16, 4), ("packed", 20, 4), ("size", 24, 4), ("name", 28, 2)]);
    let central = central.chain([("extra", 30, 2), ("comment", 32, 2), ("disk", 34, 2), ("offset", 42, 4)]);
    let central: Vec<_> = central.map(|field| (&b"PK\x01\x02"[..], field)).collect();
    let end = [("signature", 0, 4), ("disk", 4, 2), ("first disk", 6, 2), ("here", 8, 2), ("entries", 10, 2)];
    let end = end.into_iter().chain([("length", 12, 4), ("offset", 16, 4), ("comment", 20, 2)]);
    let end: Vec<_> = end.map(|field| (&b"PK\x05\x06"[..], field)).collect();
    let mut refusals = 0;
    for (signature, (field, at, width)) in local.into_iter().chain(central).chain(end) {
        let places = (0..file.len() - 3).filter(|start| &file[*start..*start + 4] == signature);
        for start in places {
            for lie in 0..3 {
                let mut bytes = file.clone();
                let bytes_of = &mut bytes[start + at..start + at + width];
                match lie {
                    0 => bytes_of.fill(0xff),
                    1 => bytes_of.fill(0),
                    _ => bytes_of[0] = bytes_of[0].wrapping_add(1),
                }
                match open(&bytes).and_then(|checkpoint| read_all(&checkpoint)) {
                    Ok(read) => assert!(read == whole, "{field} of the header at {start}: other numbers"),
                    Err(error) => {
                        assert_eq!(error.fault(), Fault::Input, "{field}: {error}");
                        refusals += 1;
                    }
                }
            }
        }
    }
    assert!(refusals > 100, "{refusals}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn damaged_files_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = save(&[counted("a", &[2, 3])], Some("model"), &[]);
        for (at, byte) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let _ = open(&bytes[..cut.index(bytes.len())]).and_then(|checkpoint| read_all(&checkpoint));
        let _ = open(&bytes).and_then(|checkpoint| read_all(&checkpoint));
    }
}
