//! From the files of a public model to one folder that Hawk reads as it is.

pub(crate) mod llamagen_files;
mod meta_layout;
pub(crate) mod workdir;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawk_kernels::Precision;
use serde_json::{Value, json};

use self::llamagen_files::LlamaGenExtras;
use self::workdir::{WorkFolder, check_new_folder, finish, work_folder};
use crate::atomic;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::writer::{self, Planned};
use crate::config::image::HawkConfig;
use crate::config::transformer::TransformerConfig;
use crate::config::vq::{VqConfig, bare_name};
use crate::error::{Error, Fault, Result};
use crate::json::from_json;
use crate::places::{VqTokenizer, folder_names, taming_config};
use crate::source::ModelSource;

/// What becomes of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvertTo {
    /// Safetensors in the Hugging Face layout with the original's numbers. They load in every
    /// precision, and other programs read them.
    Safetensors,
    /// The layout of the kernels in this precision, bf16, f16 or int8. Loading maps the file and packs
    /// nothing.
    Packed(Precision),
}

/// A conversion to be done.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The folder of a model, in the Hugging Face layout or in Meta's with `params.json`, or a
    /// single file of weights.
    pub source: PathBuf,
    /// Folder of `text_tokenizer.json`, `vqgan.yaml` and `vqgan.ckpt`, if they are not in the usual
    /// places.
    pub tokenizer: Option<PathBuf>,
    /// The new folder; there must be nothing of that name.
    pub out: PathBuf,
    /// What becomes of the weights.
    pub to: ConvertTo,
    /// What the published files of a LlamaGen do not tell; default for everything else.
    pub llamagen: LlamaGenExtras,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Converted {
    /// [`ModelSource::digest`] of the new folder; none where it is no whole model.
    pub digest: Option<String>,
    /// What the source was.
    pub layout: &'static str,
    /// Tensors that were left out, as nothing of Hawk reads them.
    pub left_out: Vec<String>,
}

/// Hears of the bytes of weights that are written, and of how many there will be.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// What a conversion asks of the code that computes with the weights.
pub trait Loader {
    /// Writes the weights of the transformer into a folder, in the layout of the kernels.
    ///
    /// # Errors
    /// Weights that do not fit the config, a file that cannot be written.
    fn pack(&self, transformer: TransformerConfig, weights: &Checkpoint, to: PackTo<'_>) -> Result<()>;

    /// Refuses a VQ tokenizer that cannot be loaded.
    ///
    /// # Errors
    /// A tensor that is missing or does not fit the config.
    fn check_vq(&self, config: &VqConfig, weights: &Checkpoint) -> Result<()>;
}

/// Where packed weights go.
pub struct PackTo<'a> {
    /// The folder of the new file.
    pub dir: &'a Path,
    /// The precision, bf16, f16 or int8.
    pub precision: Precision,
    /// Hears of the bytes that are written.
    pub progress: Box<dyn Fn(u64) + Send + Sync>,
}

/// A conversion under way.
struct Work<'a> {
    /// The folder of unfinished work.
    dir: WorkFolder,
    loader: &'a dyn Loader,
    progress: &'a Progress,
}

/// The transformer's side of a source.
struct Original {
    layout: &'static str,
    config: Value,
    checkpoint: Checkpoint,
    source: ModelSource,
}

/// What is to be converted.
enum Opened {
    Folder(Box<Original>),
    /// The weights of a LlamaGen, and the Llama's config beside them, or null.
    LlamaGen(Checkpoint, Value),
    /// Any weights.
    File(Checkpoint),
}

impl Conversion {
    /// Converts. Unfinished work stays in a hidden folder beside the new one; the same call resumes
    /// it.
    ///
    /// # Errors
    /// The source is no model or is damaged, the output exists, or the disk is full.
    pub fn run(&self, loader: &dyn Loader, progress: &Progress) -> Result<Converted> {
        check_new_folder(&self.out)?;
        if let ConvertTo::Packed(Precision::F32) = self.to {
            let error = Error::input("weights in f32 are not packed").expected("bf16, f16 or int8").got("f32");
            return Err(error.hint("without --precision the numbers stay as they are"));
        }
        let opened = self.look()?;
        if !matches!(opened, Opened::LlamaGen(..)) && self.llamagen != LlamaGenExtras::default() {
            return Err(Error::input("not the weights of a LlamaGen, which alone come without a config")
                .at(self.source.display())
                .expected("no --vq, --size or --n-head"));
        }
        let work = Work { dir: self.begin()?, loader, progress };
        let written = match opened {
            Opened::File(file) => self.single_file(&file, &work).map(|left_out| ("a single file", left_out)),
            Opened::LlamaGen(checkpoint, told) => {
                let left_out = self.llamagen(checkpoint, &told, &work);
                left_out.map(|left_out| ("the published files of a LlamaGen", left_out))
            }
            Opened::Folder(original) => {
                let layout = original.layout;
                self.folder(*original, &work).map(|left_out| (layout, left_out))
            }
        };
        let (layout, left_out) = written.inspect_err(|e| {
            // Another attempt at wrong input has nothing to go on with.
            if e.fault() == Fault::Input {
                let _ = fs::remove_dir_all(&*work.dir);
            }
        })?;
        finish(work.dir, &self.out)?;
        let digest =
            ModelSource::Dir(self.out.clone()).digest().ok().filter(|_| self.out.join("config.json").is_file());
        Ok(Converted { digest, layout, left_out })
    }

    /// The folder of unfinished work.
    fn begin(&self) -> Result<WorkFolder> {
        let plan = json!({
            "version": env!("CARGO_PKG_VERSION"), "to": format!("{:?}", self.to), "source": fingerprint(&self.source)?,
            "tokenizer": self.tokenizer.as_deref().map(fingerprint).transpose()?,
            "vq": self.llamagen.vq.as_deref().map(fingerprint).transpose()?,
            "size": self.llamagen.size.map(|size| [size.width, size.height]), "heads": self.llamagen.heads,
        });
        work_folder(&self.out, "converting", &plan)
    }

    fn look(&self) -> Result<Opened> {
        let place = self.source.display().to_string();
        if self.source.is_file() {
            let checkpoint = llamagen_files::under_own_names(Checkpoint::open_file(&self.source)?, &place)?;
            let llamagen = llamagen_files::is_transformer(&checkpoint);
            return Ok(if llamagen { Opened::LlamaGen(checkpoint, Value::Null) } else { Opened::File(checkpoint) });
        }
        let original = self.open()?;
        // A Llama's config says nothing of an image's; the tensors of its conditions do.
        if original.checkpoint.names().any(|name| name.starts_with("model.cls_embedding.")) {
            let checkpoint = llamagen_files::under_own_names(original.checkpoint, &place)?;
            return Ok(Opened::LlamaGen(checkpoint, original.config));
        }
        Ok(Opened::Folder(Box::new(original)))
    }

    fn open(&self) -> Result<Original> {
        let source = ModelSource::Dir(self.source.clone());
        if source.contains("config.json") {
            let config = from_json("a model's config", &source.read("config.json")?)
                .map_err(|e| e.at(source.describe("config.json")))?;
            let checkpoint = Checkpoint::open(&source, "")?;
            return Ok(Original { layout: "the Hugging Face layout", config, checkpoint, source });
        }
        let Some(dir) = meta_layout::folder(&self.source) else {
            let got = if self.source.is_dir() { "a folder without these" } else { "nothing" };
            return Err(Error::input("there is no model to convert")
                .at(self.source.display())
                .expected("config.json with model.safetensors or pytorch_model.bin, params.json with consolidated.pth, or a file of weights")
                .got(got));
        };
        let (config, checkpoint) = meta_layout::open(&dir)?;
        // The tokenizers lie around the weights, not around the whole download.
        let source = ModelSource::Dir(dir);
        Ok(Original { layout: "Meta's original layout", config, checkpoint, source })
    }

    fn folder(&self, original: Original, work: &Work<'_>) -> Result<Vec<String>> {
        let Original { mut config, checkpoint, source, .. } = original;
        let beside = self.tokenizer.clone().map(ModelSource::Dir);
        let places: Vec<&ModelSource> = beside.iter().chain([&source]).collect();
        let vq = first(&places, |place| place.vq())?;
        let mut left_out = Vec::new();
        let apart = vq.as_ref().and_then(|vq| Some((vq, vq.json.as_ref()?)));
        match (&vq, apart, self.to) {
            (_, Some((vq, json)), _) => left_out.extend(write_vq(vq, json, &work.dir)?),
            // A Janus keeps its VQ tokenizer among its own tensors, where other programs expect it.
            (Some(vq), None, ConvertTo::Packed(_)) => {
                left_out.extend(write_vq(vq, &vq.config.janus_json(), &work.dir)?)
            }
            (_, None, _) => {}
        }
        if let Some(place) = places.iter().find(|place| place.tokenizer_file().is_some()) {
            atomic::write(&work.dir.join("tokenizer.json"), &place.read_tokenizer()?.1)?;
        }
        // The tokenizer has a folder and a config of its own now.
        let moved = apart.is_some_and(|(vq, _)| vq.files.is_empty());
        if moved && let Some(config) = config.as_object_mut() {
            config.remove("vq_config");
        }
        atomic::write(&work.dir.join("config.json"), config.to_string().as_bytes())?;
        let transformer = TransformerConfig::from_json(config.to_string().as_bytes())
            .map_err(|e| e.at(source.describe("config.json")))?;
        // It may say where texts end.
        if source.contains("generation_config.json") {
            atomic::write(&work.dir.join("generation_config.json"), &source.read("generation_config.json")?)?;
        }
        self.write_hawk_json(&source, &transformer, &work.dir)?;
        copy_heads(&source, &work.dir)?;
        if let Some(packed) = checkpoint.packed_for() {
            let error =
                Error::input("the model is packed already").at(source.describe("")).got(format!("packed for {packed}"));
            return Err(error.expected("the original").hint("copy the folder as it is, or convert the original"));
        }
        let among = vq.as_ref().is_some_and(|vq| vq.files.is_empty());
        let elsewhere = moved || (among && self.to != ConvertTo::Safetensors);
        let wanted = |name: &&str| !(elsewhere && bare_name(name).is_some());
        let transformer = transformer.for_weights(&checkpoint)?;
        if let ConvertTo::Packed(_) = self.to {
            let used = transformer.tensors();
            let unused = checkpoint.names().filter(wanted).filter(|name| !used.iter().any(|t| t.name == *name));
            left_out.extend(unused.map(str::to_owned));
        }
        self.weights(transformer, &checkpoint, &wanted, work)?;
        Ok(left_out)
    }

    /// The transformer's weights: the wanted ones as they are, or those that it reads, packed.
    fn weights(
        &self,
        transformer: TransformerConfig,
        checkpoint: &Checkpoint,
        wanted: &Wanted<'_>,
        work: &Work<'_>,
    ) -> Result<()> {
        let ConvertTo::Packed(precision) = self.to else { return write_all(checkpoint, wanted, work) };
        let total = transformer.tensors().iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum::<usize>();
        let (total, progress) = ((total * precision.weight_bytes()) as u64, Arc::clone(work.progress));
        let hear = Box::new(move |done: u64| progress(done.min(total), total));
        work.loader.pack(transformer, checkpoint, PackTo { dir: &work.dir, precision, progress: hear })
    }

    /// The published files of a LlamaGen; `told` is the Llama's config beside them, or null.
    fn llamagen(&self, checkpoint: Checkpoint, told: &Value, work: &Work<'_>) -> Result<Vec<String>> {
        let file = match &self.llamagen.vq {
            Some(file) => file.clone(),
            None => llamagen_files::vq_beside(&self.source, &checkpoint)?,
        };
        let (vq, json) = open_vq(&file, work.loader)?;
        let config = llamagen_files::config(&checkpoint, &self.source, &self.llamagen, told, &vq.config)
            .map_err(|e| e.at(self.source.display()))?;
        let transformer = TransformerConfig::from_json(config.to_string().as_bytes())?;
        let used = transformer.tensors();
        if let Some(fault) = used.iter().find_map(|tensor| tensor.fault(&checkpoint)) {
            return Err(Error::input(format!("the tensors contradict each other: {fault}")).at(self.source.display()));
        }
        atomic::write(&work.dir.join("config.json"), config.to_string().as_bytes())?;
        let mut left_out = write_vq(&vq, &json, &work.dir)?;
        if let Some(derived) = HawkConfig::of_named_model(&ModelSource::Dir(work.dir.to_path_buf()), &transformer, &[])?
        {
            derived.check_decoder(&vq.config).map_err(|e| e.at(file.display()))?;
        }
        let wanted = |name: &&str| used.iter().any(|tensor| tensor.name == *name);
        left_out.extend(checkpoint.names().filter(|name| !wanted(name)).map(str::to_owned));
        self.weights(transformer, &checkpoint, &wanted, work)?;
        Ok(left_out)
    }

    /// The grammar is written down, so that the new folder may have any name.
    fn write_hawk_json(&self, source: &ModelSource, transformer: &TransformerConfig, work: &Path) -> Result<()> {
        if source.contains("hawk.json") {
            return atomic::write(&work.join("hawk.json"), &source.read("hawk.json")?);
        }
        let new = ModelSource::Dir(work.to_owned());
        if !new.contains("tokenizer.json") {
            return Ok(());
        }
        let config = HawkConfig::of_named_model(&new, transformer, &folder_names(source))?;
        match config.and_then(|config| config.to_json()) {
            Some(json) => {
                let text = serde_json::to_vec_pretty(&json);
                atomic::write(
                    &work.join("hawk.json"),
                    &text.map_err(|e| Error::input(format!("cannot write hawk.json: {e}")))?,
                )
            }
            None => Ok(()),
        }
    }

    /// A single file of weights: a VQ tokenizer if its sizes are known, else any tensors under
    /// their own names.
    fn single_file(&self, checkpoint: &Checkpoint, work: &Work<'_>) -> Result<Vec<String>> {
        if let ConvertTo::Packed(_) = self.to {
            return Err(Error::input("weights without a config are not packed")
                .at(self.source.display())
                .hint("without --precision the file becomes model.safetensors; or convert the whole folder"));
        }
        let yaml = self.source.with_file_name("vqgan.yaml");
        let is_vq = checkpoint.contains("quantize.embedding.weight");
        if is_vq && yaml.is_file() {
            let bytes = fs::read(&yaml).map_err(|e| Error::io("read the sizes of the tokenizer", &yaml, &e))?;
            let config = taming_config(&bytes).map_err(|e| e.at(yaml.display()))?;
            VqConfig::from_json(config.to_string().as_bytes()).map_err(|e| e.at(yaml.display()))?;
            atomic::write(&work.dir.join("config.json"), config.to_string().as_bytes())?;
        } else if llamagen_files::is_vq(checkpoint) {
            let config = llamagen_files::vq_config(checkpoint).map_err(|e| e.at(self.source.display()))?;
            atomic::write(&work.dir.join("config.json"), config.to_string().as_bytes())?;
        }
        let wanted = |name: &&str| !(is_vq && (name.starts_with(LOSS) || *name == USED));
        write_all(checkpoint, &wanted, work)?;
        Ok(checkpoint.names().filter(|name| !wanted(name)).map(str::to_owned).collect())
    }
}

/// The VQ tokenizer of a LlamaGen in a file of its own, with its config; whole, as it decodes.
fn open_vq(file: &Path, loader: &dyn Loader) -> Result<(VqTokenizer, Value)> {
    let place = |e: Error| e.at(file.display());
    let checkpoint = Checkpoint::open_file(file)?;
    if !llamagen_files::is_vq(&checkpoint) {
        return Err(place(Error::input("not the VQ tokenizer of a LlamaGen"))
            .expected("quantize.embedding.weight and decoder.conv_blocks.N")
            .got(checkpoint.names().next().unwrap_or("no tensors")));
    }
    let json = llamagen_files::vq_config(&checkpoint).map_err(place)?;
    let config = VqConfig::from_json(json.to_string().as_bytes()).map_err(place)?;
    loader.check_vq(&config, &checkpoint)?;
    let files = vec![file.display().to_string()];
    Ok((VqTokenizer { config, checkpoint, json: Some(json.clone()), files }, json))
}

/// Which tensors are taken along.
type Wanted<'a> = dyn Fn(&&str) -> bool + 'a;

/// Tensors of the VQ tokenizer's training: its losses, and LlamaGen's count of the codes in use.
const LOSS: &str = "loss.";
const USED: &str = "quantize.codebook_used";

/// How deep a source's folders are looked at.
const MAX_DEPTH: usize = 4;

/// Names, sizes and times of all files of a source, which identify it when a conversion resumes.
fn fingerprint(path: &Path) -> Result<Value> {
    let failed = |e: std::io::Error| Error::io("look at the source", path, &e);
    let place = fs::canonicalize(path).map_err(failed)?;
    let (mut files, mut left) = (Vec::new(), vec![(place.clone(), 0)]);
    while let Some((at, depth)) = left.pop() {
        let found = fs::metadata(&at).map_err(failed)?;
        if found.is_dir() && depth < MAX_DEPTH {
            let entries = fs::read_dir(&at).map_err(failed)?.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
            left.extend(entries.into_iter().map(|entry| (entry.path(), depth + 1)));
        } else if found.is_file() {
            let time = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            files.push((at.display().to_string(), found.len(), time.map(|time| time.as_nanos().to_string())));
        }
    }
    files.sort();
    Ok(json!({ "path": place.display().to_string(), "files": files }))
}

fn first<T>(places: &[&ModelSource], mut look: impl FnMut(&ModelSource) -> Result<Option<T>>) -> Result<Option<T>> {
    for place in places {
        if let Some(found) = look(place)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Writes the wanted tensors of a checkpoint with the numbers that they have.
fn write_all(checkpoint: &Checkpoint, wanted: &Wanted<'_>, work: &Work<'_>) -> Result<()> {
    let plan: Vec<Planned> = checkpoint
        .names()
        .filter(wanted)
        .filter_map(|name| {
            let (dtype, shape) = (checkpoint.dtype(name)?, checkpoint.shape(name)?.to_vec());
            Some(Planned { name: name.to_owned(), dtype, shape })
        })
        .collect();
    let total = plan.iter().map(Planned::bytes).sum();
    let write = &mut |tensor: &Planned, out: &mut dyn std::io::Write| {
        let raw = checkpoint.raw(&tensor.name)?;
        out.write_all(&raw.bytes).map_err(|e| Error::io("write the weights", &work.dir, &e))?;
        checkpoint.release();
        Ok(())
    };
    writer::write(&work.dir, &plan, write, &|done| (work.progress)(done, total))
}

/// Writes the VQ tokenizer into `vq/` under its own names; returns what was left out.
fn write_vq(vq: &VqTokenizer, json: &Value, work: &Path) -> Result<Vec<String>> {
    let dir = work.join("vq");
    fs::create_dir_all(&dir).map_err(|e| Error::io("make the folder", &dir, &e))?;
    atomic::write(&dir.join("config.json"), json.to_string().as_bytes())?;
    let inside = vq.files.is_empty();
    let own = |name: &str| -> Option<String> {
        let bare = bare_name(name).or((!inside).then_some(name))?;
        (!bare.starts_with(LOSS) && bare != USED).then(|| bare.to_owned())
    };
    let plan: Vec<(Planned, &str)> = vq
        .checkpoint
        .names()
        .filter_map(|name| {
            let (dtype, shape) = (vq.checkpoint.dtype(name)?, vq.checkpoint.shape(name)?.to_vec());
            Some((Planned { name: own(name)?, dtype, shape }, name))
        })
        .collect();
    let tensors: Vec<Planned> = plan.iter().map(|(tensor, _)| tensor.clone()).collect();
    let write = &mut |tensor: &Planned, out: &mut dyn std::io::Write| {
        let Some((_, name)) = plan.iter().find(|(planned, _)| planned.name == tensor.name) else { return Ok(()) };
        out.write_all(&vq.checkpoint.raw(name)?.bytes).map_err(|e| Error::io("write the weights", &dir, &e))
    };
    writer::write(&dir, &tensors, write, &|_| {})?;
    Ok(if inside {
        Vec::new()
    } else {
        vq.checkpoint.names().filter(|name| own(name).is_none()).map(str::to_owned).collect()
    })
}

fn copy_heads(source: &ModelSource, work: &Path) -> Result<()> {
    if !source.contains("heads/config.json") {
        return Ok(());
    }
    let dir = work.join("heads");
    fs::create_dir_all(&dir).map_err(|e| Error::io("make the folder", &dir, &e))?;
    ["config.json", "model.safetensors"]
        .iter()
        .try_for_each(|name| atomic::write(&dir.join(name), &source.read(&format!("heads/{name}"))?))
}
