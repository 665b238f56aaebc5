//! Whole folders: a model, or draft heads for one.

use std::fs;
use std::path::{Path, PathBuf};

use hawk_files::{
    Arrangement, Error, HawkConfig, HeadConfig, HeadOffset, HeadsConfig, ModelSource, Planned, Progress, Result,
    TransformerConfig, atomic, check_new_folder, finish, work_folder,
};
use safetensors::Dtype;

use crate::config::files;
use crate::model::SynthModel;
use crate::shapes::parts;
use crate::weights::{Part, write_random};

/// Writes a model into the new folder `out`: configs, a text tokenizer of bytes, and sharded bf16
/// weights in the public layout. The same call resumes an interrupted one.
///
/// # Errors
/// There is something at `out`, or it cannot be written.
pub fn synthesize(model: SynthModel, seed: u64, out: &Path, progress: &Progress) -> Result<()> {
    check_new_folder(out)?;
    let work = work_folder(out, "synth", &serde_json::json!({ "model": model.name(), "seed": seed }))?;
    for (name, content) in files(model) {
        put_below(&work, name, content.to_string().as_bytes())?;
    }
    let parts = parts(model)?;
    let plans: Vec<(PathBuf, Vec<Planned>)> =
        parts.into_iter().map(|part| (work.join(part.folder), part.plan())).collect();
    let total = plans.iter().flat_map(|(_, plan)| plan).map(Planned::bytes).sum();
    let mut before = 0;
    for (folder, plan) in &plans {
        write_random(folder, plan, seed, &|done| progress(before + done, total))?;
        before += plan.iter().map(Planned::bytes).sum::<u64>();
    }
    finish(work, out)
}

/// Offsets of the heads of an image model, as in the built-in model: two to the right, two down,
/// one diagonal.
const IMAGE_HEADS: [(u32, i32); 5] = [(0, 1), (0, 2), (1, 0), (2, 0), (1, -1)];
/// Offsets of a model of text.
const TEXT_HEADS: [(u32, i32); 4] = [(0, 1), (0, 2), (0, 3), (0, 4)];

/// Writes random draft heads for a model into the new folder `out`: for an image model two to the
/// right, two down, one diagonal, for a Llama without images four to the right.
///
/// # Errors
/// The model cannot be read or does not say what its images look like; `out` cannot be written.
pub fn synthesize_heads(model: &ModelSource, name: &str, seed: u64, out: &Path, progress: &Progress) -> Result<()> {
    check_new_folder(out)?;
    let config =
        TransformerConfig::from_json(&model.read("config.json")?).map_err(|e| e.at(model.describe("config.json")))?;
    let (arrangement, offsets): (Arrangement, &[(u32, i32)]) = match HawkConfig::of_model(model, &config)? {
        Some(image_side) => (image_side.layout.grid().into(), &IMAGE_HEADS),
        None if config.family.rules().is_language_model() => (Arrangement::Line, &TEXT_HEADS),
        None => {
            let error = Error::input("the model does not say what its images look like");
            let error = error.expected("hawk.json, or a public model with its text tokenizer");
            return Err(error.at(model.describe("hawk.json")));
        }
    };
    let head = |&(down, right): &(u32, i32)| Ok(HeadConfig { offset: HeadOffset::new(down, right)?, validation: None });
    let heads = HeadsConfig {
        hidden: config.hidden,
        target_name: name.to_owned(),
        target_digest: model.digest()?,
        arrangement,
        heads: offsets.iter().map(head).collect::<Result<_>>()?,
    };
    let work = work_folder(out, "synth", &serde_json::json!({ "heads": heads.to_json(), "seed": seed }))?;
    atomic::write(&work.join("config.json"), heads.to_json().to_string().as_bytes())?;
    let d = config.hidden;
    let part = Part {
        folder: "",
        dtype: Dtype::BF16,
        tensors: (0..heads.heads.len())
            .flat_map(|head| [(format!("heads.{head}.weight"), vec![d, d]), (format!("heads.{head}.bias"), vec![d])])
            .collect(),
    };
    let plan = part.plan();
    let total = plan.iter().map(Planned::bytes).sum();
    write_random(&work, &plan, seed, &|done| progress(done, total))?;
    finish(work, out)
}

pub(crate) fn put_below(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io("make the folder", parent, &e))?;
    }
    atomic::write(&path, bytes)
}
