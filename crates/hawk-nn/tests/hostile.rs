//! Files that somebody else wrote: shards, number formats, and random damage.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hawk_nn::{
    CaptionFeatures, Checkpoint, EmbeddedFile, Fault, HawkConfig, ModelSource, TextTokenizer, TransformerConfig,
    VqConfig, VqDecoder,
};
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chameleon")
}

fn emoji() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/emoji-v0")
}

fn one_tensor(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
    safetensors::serialize([(name, TensorView::new(dtype, shape.to_vec(), data).unwrap())], None).unwrap()
}

/// Reads everything that the file has.
fn read_all(bytes: Vec<u8>) {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes) else { return };
    for name in checkpoint.names() {
        let shape = checkpoint.shape(name).unwrap();
        let _ = checkpoint.tensor(name, shape).map(|tensor| tensor.to_f32());
    }
}

fn read_as_any_config(bytes: &[u8]) {
    let transformer = TransformerConfig::from_json(bytes);
    let hawk = HawkConfig::from_json(bytes);
    if let (Ok(hawk), Ok(transformer)) = (hawk, transformer) {
        let _ = hawk.check(&transformer);
    }
    let _ = VqConfig::from_json(bytes);
    let _ = VqConfig::from_model_json(bytes);
    let _ = CaptionFeatures::from_bytes(bytes.to_vec());
    let _ = TextTokenizer::from_bytes(bytes);
}

#[test]
fn number_formats_convert_exactly_and_others_are_named() {
    for (dtype, data) in [
        (Dtype::F32, [1.5_f32, -2.0, 0.0].map(f32::to_le_bytes).concat()),
        (Dtype::BF16, [1.5_f32, -2.0, 0.0].map(|x| half::bf16::from_f32(x).to_le_bytes()).concat()),
        (Dtype::F16, [1.5_f32, -2.0, 0.0].map(|x| half::f16::from_f32(x).to_le_bytes()).concat()),
    ] {
        let checkpoint = Checkpoint::from_bytes(one_tensor("w", dtype, &[3, 1], &data)).unwrap();
        let tensor = checkpoint.tensor("w", &[3, 1]).unwrap();
        assert_eq!(tensor.to_f32(), [1.5, -2.0, 0.0]);
        let mut row = [0.0];
        tensor.row_into(1, &mut row);
        assert_eq!(row, [-2.0]);
    }
    let checkpoint = Checkpoint::from_bytes(one_tensor("w", Dtype::I64, &[1], &[0; 8])).unwrap();
    let error = checkpoint.tensor("w", &[1]).err().unwrap();
    assert_eq!(error.fault(), Fault::Input);
    assert!(error.to_string().contains("I64") && error.to_string().contains('w'), "{error}");
}

#[test]
fn data_at_odd_addresses_reads_the_same() {
    let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    for padding in 0..4 {
        let header = format!("{header}{}", " ".repeat(padding));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0.25_f32, 8.0].map(f32::to_le_bytes).concat());
        assert_eq!(Checkpoint::from_bytes(bytes).unwrap().tensor("w", &[2]).unwrap().to_f32(), [0.25, 8.0]);
    }
}

#[test]
fn a_checkpoint_in_shards_equals_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(golden().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let mut weight_map = serde_json::Map::new();
    for (shard, part) in names.chunks(7).enumerate() {
        let shard = format!("model-{shard}.safetensors");
        let views = part.iter().map(|name| (*name, file.tensor(name).unwrap()));
        std::fs::write(dir.path().join(&shard), safetensors::serialize(views, None).unwrap()).unwrap();
        weight_map.extend(part.iter().map(|name| ((*name).to_owned(), shard.clone().into())));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": weight_map });
    std::fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let whole = Checkpoint::open(&ModelSource::Dir(golden()), "").unwrap();
    let shards = Checkpoint::open(&ModelSource::Dir(dir.path().to_owned()), "").unwrap();
    assert_eq!(whole.names().collect::<Vec<_>>(), shards.names().collect::<Vec<_>>());
    for name in whole.names() {
        let shape = whole.shape(name).unwrap();
        assert_eq!(whole.tensor(name, shape).unwrap().to_f32(), shards.tensor(name, shape).unwrap().to_f32());
    }
    assert!(shards.left_over().is_empty());
}

#[test]
fn contradictory_shards_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let source = ModelSource::Dir(dir.path().to_owned());
    let a = one_tensor("a", Dtype::F32, &[1], &[0; 4]);
    write("1.safetensors", &a);
    write("2.safetensors", &a);
    write("3.safetensors", &one_tensor("b", Dtype::F32, &[1], &[0; 4]));
    write("cut.safetensors", &a[..a.len() - 1]);
    for (index, named) in [
        (r#"{"weight_map":{"a":"1.safetensors","c":"2.safetensors"}}"#, "two shards"),
        (r#"{"weight_map":{"a":"3.safetensors","b":"1.safetensors"}}"#, "a in 3.safetensors"),
        (r#"{"weight_map":{"a":"cut.safetensors"}}"#, "cut.safetensors"),
        (r#"{"weight_map":{"a":"sub/1.safetensors"}}"#, "sub/1.safetensors"),
        (r#"{"weight_map":{"a":"sub\\1.safetensors"}}"#, "beside"),
        (r#"{"weight_map":{"a":".."}}"#, ".."),
        (r#"{"weight_map":{"a":""}}"#, "no file"),
        (r#"{"weight_map":{"a":"x\u0000"}}"#, "beside"),
        (r#"{"weight_map":{"a":1}}"#, "index"),
        (r#"{"weight_map":"a"}"#, "index"),
        (r#"{}"#, "weight_map"),
        ("", "index"),
    ] {
        write("model.safetensors.index.json", index.as_bytes());
        let error = Checkpoint::open(&source, "").err().unwrap();
        assert_eq!(error.fault(), Fault::Input, "{index}: {error}");
        assert!(error.to_string().contains(named), "{index}: {error}");
    }
}

#[test]
fn models_that_are_not_there_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    std::fs::create_dir(dir.path().join("config.json")).unwrap();
    let file = golden().join("config.json");
    for (source, name, named) in [
        (ModelSource::Dir(missing.clone()), "config.json", "missing"),
        (ModelSource::Dir(file), "config.json", "folder"),
        (ModelSource::Dir(dir.path().to_owned()), "hawk.json", "hawk.json"),
        (ModelSource::Dir(dir.path().to_owned()), "config.json", "no file"),
        (ModelSource::Embedded(&[]), "config.json", "config.json"),
    ] {
        let error = source.read(name).unwrap_err();
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains(named), "{error}");
        assert!(source.digest().is_err());
        assert!(VqDecoder::load(&source, "vq/").is_err());
    }
}

#[test]
fn the_digest_is_of_names_and_content() {
    static WHOLE: &[EmbeddedFile] = &[
        EmbeddedFile { name: "model.safetensors", bytes: b"weights" },
        EmbeddedFile { name: "config.json", bytes: b"config" },
        EmbeddedFile { name: "golden.png", bytes: b"not read" },
    ];
    static OTHER: &[EmbeddedFile] = &[
        EmbeddedFile { name: "model.safetensors", bytes: b"weightsconfig" },
        EmbeddedFile { name: "config.json", bytes: b"" },
    ];
    let digest = ModelSource::Embedded(WHOLE).digest().unwrap();
    assert_eq!(digest.len(), 64);
    assert_ne!(digest, ModelSource::Embedded(OTHER).digest().unwrap());
    let dir = tempfile::tempdir().unwrap();
    for file in &WHOLE[..2] {
        std::fs::write(dir.path().join(file.name), file.bytes).unwrap();
    }
    assert_eq!(digest, ModelSource::Dir(dir.path().to_owned()).digest().unwrap());
    std::fs::write(dir.path().join("hawk.json"), "").unwrap();
    assert_ne!(digest, ModelSource::Dir(dir.path().to_owned()).digest().unwrap());
}

/// Every number and name of a config by its pointer.
fn leaves(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(keys) => {
            keys.iter().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found))
        }
        _ => found.push(at.to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), length in 0_u64..400) {
        read_as_any_config(&bytes);
        let mut framed = length.to_le_bytes().to_vec();
        framed.extend(&bytes);
        read_all(bytes);
        read_all(framed);
    }

    #[test]
    fn damaged_headers_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = std::fs::read(emoji().join("vq/model.safetensors")).unwrap();
        let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        for (at, byte) in &edits {
            bytes[at.index(header)] = *byte;
        }
        read_all(bytes[..cut.index(bytes.len())].to_vec());
        read_all(bytes);
    }

    #[test]
    fn damaged_configs_never_panic(
        file in prop::sample::select(vec!["config.json", "hawk.json", "vq/config.json"]),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0x20_u8..0x7f), 1..4),
    ) {
        let mut bytes = std::fs::read(emoji().join(file)).unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_as_any_config(&bytes);
    }

    #[test]
    fn random_numbers_in_configs_never_panic(key in any::<prop::sample::Index>(), value in any::<i64>()) {
        for file in ["config.json", "hawk.json", "vq/config.json"] {
            let mut json: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(&std::fs::read(emoji().join(file)).unwrap()).unwrap();
            json.remove("vocabulary_map");
            let key = json.keys().nth(key.index(json.len())).unwrap().clone();
            for value in [value.into(), (value as f64).into(), vec![value; 2].into(), (value >> 40).into()] {
                let _: Option<serde_json::Value> = json.insert(key.clone(), value);
                read_as_any_config(&serde_json::to_vec(&json).unwrap());
            }
        }
    }

    #[test]
    fn random_values_in_the_configs_of_families_never_panic(
        name in prop::sample::select(vec!["janus", "llamagen-c2i", "llamagen-t2i", "llamagen-c2i/vq"]),
        key in any::<prop::sample::Index>(),
        value in any::<i64>(),
    ) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).join("config.json");
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let mut pointers = Vec::new();
        leaves(&json, "", &mut pointers);
        let pointer = &pointers[key.index(pointers.len())];
        for value in [value.into(), (value as f64).into(), (value >> 50).into(), "x".into(), serde_json::Value::Null] {
            let mut json = json.clone();
            *json.pointer_mut(pointer).unwrap() = value;
            read_as_any_config(&serde_json::to_vec(&json).unwrap());
        }
    }
}
