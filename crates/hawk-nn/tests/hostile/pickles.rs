//! PyTorch's files in the container of old, and Meta's layout around them. The zip archive has its table in `tests/pickle.rs`.

use std::path::Path;
use std::sync::Arc;

use hawk_nn::{Checkpoint, Conversion, ConvertTo, CpuLoader, Error, LlamaGenExtras};
use serde_json::{Value, json};

use crate::checkpoints::read_all;
use crate::torch::{Saved, legacy, save};
use crate::{lies, refusal};

/// A tensor that counts.
fn counted(name: &str, shape: &[usize]) -> Saved {
    let count = shape.iter().product::<usize>();
    Saved::f32(name, shape, &(0..count).map(|i| i as f32).collect::<Vec<_>>())
}

/// A small file that is right.
pub(crate) fn file() -> Vec<u8> {
    save(&[counted("a", &[2, 3]), counted("b", &[5])], None, &[])
}

/// The same, older.
pub(crate) fn old_file() -> Vec<u8> {
    legacy(&[counted("a", &[2, 3]), counted("b", &[5])])
}

pub(crate) fn read(bytes: &[u8]) -> Result<(), Error> {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("model.pt"), bytes).unwrap();
    read_all(&Checkpoint::open_file(&place.path().join("model.pt"))?)
}

#[test]
fn every_field_of_the_old_container_that_lies_is_refused() {
    let good = old_file();
    read(&good).unwrap();
    let end = good.len();
    let find = |bytes: &[u8]| good.windows(bytes.len()).position(|window| window == bytes).unwrap();
    let (machine, keys) = (find(b"little_endian") + 13, find(b"\x80\x02]("));
    let storages = end - (8 + 24) - (8 + 20);
    for (at, lie, what) in [
        (2, &b"K\x01."[..], "a magic number that is none"),
        (17, b"K\x07.", "another version of the container"),
        (machine, b"\x89", "numbers of a machine with the other end first"),
        (machine, b"N", "a machine that says nothing of its numbers"),
        (keys + 2, b"}", "keys that are no list"),
        (keys + 9, b"7", "a key of no storage"),
        (storages, &7_u64.to_le_bytes(), "a storage longer than the pickle says"),
        (storages, &5_u64.to_le_bytes(), "a storage shorter than the pickle says"),
        (storages, &0_u64.to_le_bytes(), "a storage of nothing"),
        (storages, &u64::MAX.to_le_bytes(), "a storage longer than everything"),
        (storages + 32, &(1_u64 << 61).to_le_bytes(), "a storage whose bytes overflow"),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + lie.len()].copy_from_slice(lie);
        refusal(read(&bytes), "model.pt", what);
    }
    for cut in 0..end {
        refusal(read(&good[..cut]), "model.pt", &format!("cut at {cut}"));
    }
    for (tensor, what) in [
        (Saved { numbers: 12, shape: vec![4, 3], ..counted("a", &[2, 3]) }, "a storage longer than it is"),
        (Saved { offset: 1, ..counted("a", &[2, 3]) }, "an offset behind the storage"),
        (Saved { numbers: usize::MAX / 2, ..counted("a", &[2, 3]) }, "a storage of any size"),
        (Saved { strides: vec![6, 1], ..counted("a", &[2, 3]) }, "strides beyond the storage"),
        (Saved { shape: vec![1 << 20, 1 << 12], strides: vec![0, 0], ..counted("a", &[1]) }, "16 GiB of one number"),
        (Saved { shape: vec![1 << 10, 1 << 12], strides: vec![0, 0], ..counted("a", &[1]) }, "16 MiB of one number"),
    ] {
        for file in [legacy(std::slice::from_ref(&tensor)), save(&[tensor], None, &[])] {
            refusal(read(&file), "model.pt", what);
        }
    }
}

/// The tensors of one layer of a Llama of width 8 with two heads in Meta's layout.
fn meta() -> Vec<Saved> {
    let layers =
        [("attention.wq", [8, 8]), ("attention.wk", [8, 8]), ("attention.wv", [8, 8]), ("attention.wo", [8, 8])];
    let layers = layers.into_iter().chain([
        ("feed_forward.w1", [12, 8]),
        ("feed_forward.w2", [8, 12]),
        ("feed_forward.w3", [12, 8]),
    ]);
    let mut all: Vec<Saved> = layers.map(|(name, shape)| counted(&format!("layers.0.{name}.weight"), &shape)).collect();
    for name in ["layers.0.attention_norm.weight", "layers.0.ffn_norm.weight", "norm.weight"] {
        all.push(counted(name, &[8]));
    }
    all.push(counted("tok_embeddings.weight", &[16, 8]));
    all.push(counted("output.weight", &[16, 8]));
    all
}

pub(crate) fn params() -> Value {
    json!({"model": {"dim": 8, "n_layers": 1, "n_heads": 2, "n_kv_heads": 2, "norm_eps": 1e-5, "rope_theta": 10_000.0,
                     "swin_norm": false}})
}

/// Converts a folder of these parts and these params into a new one.
pub(crate) fn convert_meta(params: &[u8], parts: &[Vec<u8>]) -> Result<(), Error> {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("meta")).unwrap();
    std::fs::write(place.path().join("meta/params.json"), params).unwrap();
    for (number, part) in parts.iter().enumerate() {
        std::fs::write(place.path().join(format!("meta/consolidated.{number:02}.pth")), part).unwrap();
    }
    let convert = |from: &Path, to: &Path| {
        let to = Conversion {
            source: from.to_owned(),
            tokenizer: None,
            out: to.to_owned(),
            to: ConvertTo::Safetensors,
            llamagen: LlamaGenExtras::default(),
        };
        to.run(&CpuLoader, &(Arc::new(|_, _| ()) as hawk_nn::Progress)).map(drop)
    };
    convert(&place.path().join("meta"), &place.path().join("out"))
}

pub(crate) fn meta_file() -> Vec<u8> {
    save(&meta(), None, &[])
}

#[test]
fn every_field_of_metas_params_that_lies_is_named() {
    let file = [meta_file()];
    let rows = [
        ("/model/dim", json!(0), "params.json & dim"),
        ("/model/dim", json!(1 << 30), "params.json & dim"),
        ("/model/dim", json!(16), "embed_tokens & [16, 8] & [16, 16]"),
        ("/model/dim", json!(6), "n_heads & dim = 6"),
        ("/model/n_layers", json!(0), "params.json & n_layers"),
        ("/model/n_layers", json!(2), "layers.1"),
        ("/model/n_layers", json!(1_u64 << 40), "params.json & n_layers"),
        ("/model/n_heads", json!(3), "n_heads & dim = 8"),
        ("/model/n_heads", json!(0), "params.json & n_heads"),
        ("/model/n_heads", json!(8), "n_heads & even heads"),
        ("/model/n_kv_heads", json!(0), "params.json & n_kv_heads"),
        ("/model/n_kv_heads", json!(1), "k_proj & [8, 8] & [4, 8]"),
        ("/model/n_kv_heads", json!(3), "num_key_value_heads"),
        ("/model/norm_eps", json!(-1.0), "rms_norm_eps"),
        ("/model/norm_eps", json!(1e-60), "rms_norm_eps"),
        ("/model/rope_theta", json!(0.0), "rope_theta"),
        ("/model/swin_norm", json!("no"), "params.json & swin_norm"),
        ("/model/use_scaled_rope", json!(true), "params.json & use_scaled_rope"),
        ("/model/quantization_args", json!({"scheme": "int4"}), "params.json & quantization_args"),
        ("/model/lora_args", json!({"rank": 16}), "params.json & lora_args"),
    ];
    lies(&params(), &|bytes| convert_meta(bytes, &file), &rows);
    let mut more = meta();
    more.push(counted("layers.1.attention_norm.weight", &[8]));
    let without = |name: &str| meta().into_iter().filter(|tensor| !tensor.name.contains(name)).collect::<Vec<_>>();
    let changed = |name: &str, to: Saved| without(name).into_iter().chain([to]).collect::<Vec<_>>();
    let save = |tensors: &[Saved]| save(tensors, None, &[]);
    for (parts, words) in [
        (vec![save(&more)], "n_layers & layers.1.attention_norm"),
        (vec![save(&without("w2"))], "layers.0.feed_forward.w2.weight & missing"),
        (vec![save(&changed("w2", counted("layers.0.feed_forward.w2.weight", &[8, 11])))], "down_proj & [8, 11]"),
        (vec![save(&changed("wq", counted("layers.0.attention.wq.weight", &[64])))], "wq & dimensions"),
        (vec![save(&changed("wq", counted("layers.0.attention.wq.weight", &[6, 8])))], "wq & whole heads"),
        (vec![save(&changed("wq", counted("layers.0.attention.wq.weight", &[0, 8])))], "wq & no numbers"),
        (vec![save(&changed("wq", Saved::new("layers.0.attention.wq.weight", "Long", &[8, 8], vec![0; 512])))], "I64"),
        (vec![meta_file(), save(&without("w2"))], "w2 & do not fit"),
        (vec![meta_file(), meta_file()], "contradict & [32, 8]"),
        (vec![meta_file(), b"PK".to_vec()], "consolidated.01.pth"),
        (Vec::new(), "consolidated.pth"),
    ] {
        refusal(convert_meta(params().to_string().as_bytes(), &parts), words, words);
    }
}
