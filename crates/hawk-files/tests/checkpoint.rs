//! The checkpoint reader on real, sharded and hostile files.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hawk_files::{Checkpoint, Fault, ModelSource};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hawk-nn/tests/golden/chameleon")
}

fn real() -> Vec<u8> {
    std::fs::read(golden().join("model.safetensors")).unwrap()
}

fn hostile(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n(0, data));
    bytes
}

#[track_caller]
fn refused(bytes: Vec<u8>) {
    let error = Checkpoint::from_bytes(bytes).err().expect("the file must be refused");
    assert_eq!(error.fault(), Fault::Input);
    assert!(error.to_string().contains("safetensors"), "{error}");
}

#[test]
fn a_real_file_opens_and_gives_its_tensors() {
    let checkpoint = Checkpoint::open(&ModelSource::Dir(golden()), "").unwrap();
    let norm = checkpoint.tensor("model.norm.weight", &[64]).unwrap().to_f32();
    assert!(norm.len() == 64 && norm.iter().all(|x| x.is_finite()));
    assert!(!checkpoint.left_over().contains(&"model.norm.weight"));
    let error = checkpoint.tensor("model.norm.weight", &[65]).err().unwrap().to_string();
    assert!(error.contains("[65]") && error.contains("[64]"), "{error}");
    let error = checkpoint.tensor("model.no.weight", &[1]).err().unwrap().to_string();
    assert!(error.contains("model.no.weight"), "{error}");
}

#[test]
fn truncated_and_hostile_files_are_refused() {
    let whole = real();
    for cut in [0, 3, 8, 100, whole.len() / 2, whole.len() - 1] {
        refused(whole[..cut].to_vec());
    }
    refused(u64::MAX.to_le_bytes().to_vec());
    refused(hostile("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 8));
    refused(hostile("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,16],\"data_offsets\":[0,16]}}", 16));
    refused(hostile("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16));
    let overlap = "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,24]}}";
    refused(hostile(overlap, 24));
}

#[test]
fn shards_give_the_same_tensors_and_missing_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let one = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    std::fs::write(dir.path().join("1.safetensors"), hostile(one, 4)).unwrap();
    std::fs::write(dir.path().join("2.safetensors"), hostile(&one.replace("\"a\"", "\"b\""), 4)).unwrap();
    let source = ModelSource::Dir(dir.path().to_owned());
    let open = |map: &str| {
        std::fs::write(dir.path().join("model.safetensors.index.json"), format!("{{\"weight_map\":{map}}}")).unwrap();
        Checkpoint::open(&source, "").map_err(|error| error.to_string())
    };
    let both = open("{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}").unwrap();
    assert_eq!(both.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(both.tensor("b", &[1]).unwrap().to_f32(), [0.0]);
    for (map, named) in [
        ("{\"a\":\"3.safetensors\"}", "3.safetensors"),
        ("{\"c\":\"1.safetensors\"}", "c"),
        ("{\"a\":\"../1.safetensors\"}", "../1.safetensors"),
    ] {
        let error = open(map).err().unwrap();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn no_mutation_of_a_real_header_panics() {
    let whole = real();
    for at in 0..1500 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        if let Ok(checkpoint) = Checkpoint::from_bytes(bytes) {
            for name in checkpoint.names() {
                let shape = checkpoint.shape(name).unwrap();
                let _ = checkpoint.tensor(name, shape).map(|tensor| tensor.to_f32());
            }
        }
    }
}
