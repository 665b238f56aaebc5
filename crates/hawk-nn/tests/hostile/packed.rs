//! `packed.safetensors`: every field of its metadata and of its tensors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawk_files::{Loader, PackTo};
use hawk_nn::kernels::Precision;
use hawk_nn::{
    Checkpoint, Conversion, ConvertTo, CpuLoader, Error, LlamaGenExtras, ModelSource, Target, TransformerConfig,
};
use serde_json::{Value, json};

use crate::{goldens, refusal, set};

/// A packed model in `dir`, and the path of its file.
pub(crate) fn pack(dir: &Path) -> PathBuf {
    let to = ConvertTo::Packed(Precision::Int8);
    let conversion = Conversion {
        source: goldens("llama-gqa"),
        tokenizer: None,
        out: dir.join("packed"),
        to,
        llamagen: LlamaGenExtras::default(),
    };
    conversion.run(&CpuLoader, &(Arc::new(|_, _| ()) as hawk_nn::Progress)).unwrap();
    dir.join("packed/packed.safetensors")
}

/// Loads the model that the file belongs to.
pub(crate) fn load(file: &Path) -> Result<(), Error> {
    let source = ModelSource::Dir(file.parent().unwrap().to_owned());
    let config = TransformerConfig::from_json(&source.read("config.json")?)?;
    Target::load(config, &Checkpoint::open(&source, "")?, Precision::Int8).map(drop)
}

/// Stands for a field that is left out.
fn missing() -> Value {
    json!("missing")
}

fn change(json: &Value, pointer: &str, lie: &Value) -> Value {
    let mut json = json.clone();
    set(&mut json, pointer, (*lie != missing()).then(|| lie.clone()));
    json
}

fn lies_of_the_header(header: &Value, with: &dyn Fn(&Value) -> Result<(), Error>) {
    for (pointer, lie, words) in [
        ("/__metadata__", missing(), "format"),
        ("/__metadata__/format", missing(), "format"),
        ("/__metadata__/format", json!("pt"), "format pt"),
        ("/__metadata__/layout", missing(), "layout"),
        ("/__metadata__/layout", json!("999"), "layout 999"),
        ("/__metadata__/description", missing(), "description"),
        ("/__metadata__/description", json!("{"), "description"),
        ("/__metadata__/description", json!("7"), "description"),
        ("/head/dtype", json!("I8"), "head & U8 & I8"),
        ("/head/dtype", json!("F32"), "head"),
        ("/head/shape", json!([1]), "head & shape"),
        ("/head/data_offsets", json!([0, 64]), "head & data_offsets"),
        ("/head", missing(), "safetensors"),
        ("/model.norm.weight/dtype", json!("I32"), "model.norm.weight & I32"),
        ("/model.norm.weight/shape", json!([8, 8]), "model.norm.weight & [8, 8]"),
    ] {
        refusal(with(&change(header, pointer, &lie)), words, &format!("{pointer} = {lie}"));
    }
}

fn lies_of_the_description(header: &Value, description: &Value, with: &dyn Fn(&Value) -> Result<(), Error>) {
    for (pointer, lie, words) in [
        ("/precision", missing(), "description & precision"),
        ("/precision", json!(8), "description & precision"),
        ("/precision", json!("int4"), "precision & int4"),
        ("/precision", json!("bf16"), "another precision & bf16"),
        ("/matrices", missing(), "description & matrices"),
        ("/matrices", json!([]), "description & matrices"),
        ("/matrices/head", missing(), "head & wrong size"),
        ("/matrices/head", json!([200]), "description & matrices.head"),
        ("/matrices/head", json!([-1, 64]), "description & matrices.head"),
        ("/matrices/head", json!([201, 64]), "head & [200, 64] & [201, 64]"),
        ("/matrices/head", json!([u64::MAX, u64::MAX]), "head & [200, 64]"),
        ("/holds", missing(), "description & holds"),
        ("/holds/lm_head.weight", missing(), "lm_head.weight"),
        ("/holds/lm_head.weight", json!("x"), "description & holds.lm_head.weight"),
        ("/holds/lm_head.weight", json!([1, 1]), "lm_head.weight"),
        ("/sha256", missing(), "description & sha256"),
        ("/sha256", json!(7), "description & sha256"),
    ] {
        let text = change(description, pointer, &lie).to_string();
        refusal(with(&change(header, "/__metadata__/description", &json!(text))), words, &format!("{pointer} = {lie}"));
    }
}

#[test]
fn every_field_of_a_packed_file_that_lies_is_named() {
    let place = tempfile::tempdir().unwrap();
    let path = pack(place.path());
    load(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(*good.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&good[8..8 + length]).unwrap();
    let description: Value = serde_json::from_str(header["__metadata__"]["description"].as_str().unwrap()).unwrap();
    let with = |header: &Value| {
        let mut text = header.to_string().into_bytes();
        text.resize(length, b' ');
        std::fs::write(&path, [&good[..8], &text, &good[8 + length..]].concat()).unwrap();
        load(&path)
    };
    lies_of_the_header(&header, &with);
    lies_of_the_description(&header, &description, &with);
    // Scales that are no numbers, and a digest that is another.
    let at = |end: usize| 8 + length + header["head"]["data_offsets"][end].as_u64().unwrap() as usize;
    let mut bytes = good.clone();
    // The scales are in the last line of a matrix.
    bytes[at(1) - 64..at(1)].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    refusal(load(&path), "head & not finite", "a scale that is none");
    let mut bytes = good;
    bytes[at(0)] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let source = ModelSource::Dir(path.parent().unwrap().to_owned());
    refusal(Checkpoint::open(&source, "").unwrap().verify(), "damaged & digest", "a number that was changed");
}

#[test]
fn the_journal_of_a_stopped_conversion_that_lies_is_begun_anew() {
    for line in [
        r#"{"name":"head","dtype":"U8","shape":[1],"matrix":[200,64],"start":0,"length":1}"#,
        r#"{"name":"head","dtype":"U8","shape":[1],"matrix":[200,64],"start":1048576,"length":18446744073709551615}"#,
        r#"{"name":"head","dtype":"U8","shape":[1],"matrix":[200,64],"start":18446744073709551615,"length":64}"#,
        "{",
    ] {
        let place = tempfile::tempdir().unwrap();
        let work = place.path().join("w");
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("packed.safetensors"), [0; 100]).unwrap();
        std::fs::write(work.join("packed.journal"), format!("{line}\n")).unwrap();
        let source = ModelSource::Dir(goldens("llama-gqa"));
        let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
        let checkpoint = Checkpoint::open(&source, "").unwrap();
        let to = PackTo { dir: &work, precision: Precision::Int8, progress: Box::new(|_| ()) };
        CpuLoader.pack(config, &checkpoint, to).unwrap();
    }
}
