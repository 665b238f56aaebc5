//! Which file of a model has which role, in the layout of this project and in those of public
//! models.

use std::path::Path;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::checkpoint::parts::checkpoint_files;
use crate::config::vq::VqConfig;
use crate::error::{Error, Result};
use crate::json::from_json;
use crate::source::{Blob, ModelSource, hex, not_a_pointer};

/// Bytes of a file that are in memory while its digest is taken.
const DIGESTED: usize = 1 << 26;

/// Places of the text tokenizer, in the order of search. All but the first are the name and the
/// places of Chameleon's download and of Lumina-mGPT's guide.
const TOKENIZERS: [&str; 6] = [
    "tokenizer.json",
    "text_tokenizer.json",
    "tokenizer/text_tokenizer.json",
    "../tokenizer/text_tokenizer.json",
    "../../tokenizer/text_tokenizer.json",
    "ckpts/chameleon/tokenizer/text_tokenizer.json",
];

/// Where `vqgan.yaml` and `vqgan.ckpt` are looked for, in this order.
const TAMING: [&str; 6] = ["", "vq/", "tokenizer/", "../tokenizer/", "../../tokenizer/", "ckpts/chameleon/tokenizer/"];

/// The VQ tokenizer of a model.
pub struct VqTokenizer {
    /// Its sizes.
    pub config: VqConfig,
    /// Its tensors, maybe among others.
    pub checkpoint: Checkpoint,
    /// Its `config.json`; none where the model's own says it.
    pub(crate) json: Option<Value>,
    /// Its files in the model's folder.
    pub(crate) files: Vec<String>,
}

impl VqTokenizer {
    /// Its files in the model's folder; none where its tensors lie among the transformer's.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Whether its tensors lie among the transformer's.
    pub fn is_among_weights(&self) -> bool {
        self.files.is_empty()
    }
}

/// Where a VQ tokenizer is.
enum VqPlace {
    /// `config.json` and a checkpoint in a folder of their own.
    Folder(String),
    /// `vqgan.yaml` and `vqgan.ckpt` of taming-transformers.
    Taming(String),
    /// Among the model's own tensors, with `vq_config` in its `config.json`.
    Inside,
    /// Among the tensors of a Janus.
    Janus(VqConfig),
}

impl ModelSource {
    /// The file of the text tokenizer, in the format of the `tokenizers` library.
    pub fn tokenizer_file(&self) -> Option<&'static str> {
        TOKENIZERS.into_iter().find(|name| self.contains(name))
    }

    /// The text tokenizer's file, read.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read_tokenizer(&self) -> Result<(String, Blob)> {
        let name = self.tokenizer_file().unwrap_or(TOKENIZERS[0]);
        let hint = "Lumina-mGPT and Anole need Chameleon's text_tokenizer.json beside their weights or in tokenizer/";
        let blob = self.read(name).map_err(|e| if self.contains(name) { e } else { e.hint(hint) })?;
        Ok((self.describe(name), blob))
    }

    /// Opens the VQ tokenizer, if there is one: in `vq/`, as `vqgan.yaml` and `vqgan.ckpt` in the
    /// usual places, or among the tensors of the model.
    ///
    /// # Errors
    /// A file that is there and is damaged, or contradicts another.
    pub fn vq(&self) -> Result<Option<VqTokenizer>> {
        let Some(place) = self.vq_place()? else { return Ok(None) };
        let (json, name, checkpoint, files) = match &place {
            VqPlace::Folder(folder) => {
                let name = format!("{folder}config.json");
                let json = parse(&self.read(&name)?).map_err(|e| e.at(self.describe(&name)))?;
                let mut files = checkpoint_files(self, folder)?;
                files.push(name.clone());
                (json, name, Checkpoint::open(self, folder)?, files)
            }
            VqPlace::Taming(folder) => {
                let (name, weights) = (format!("{folder}vqgan.yaml"), format!("{folder}vqgan.ckpt"));
                let json = taming_config(&self.read(&name)?).map_err(|e| e.at(self.describe(&name)))?;
                let Self::Dir(dir) = self else { return Ok(None) };
                let checkpoint = Checkpoint::open_file(&dir.join(&weights))?;
                (json, name.clone(), checkpoint, vec![name, weights])
            }
            VqPlace::Janus(config) => {
                let checkpoint = Checkpoint::open(self, "")?;
                return Ok(Some(VqTokenizer { config: config.clone(), checkpoint, json: None, files: Vec::new() }));
            }
            VqPlace::Inside => {
                let name = "config.json".to_owned();
                let json = parse(&self.read(&name)?).map_err(|e| e.at(self.describe(&name)))?["vq_config"].take();
                (json, name, Checkpoint::open(self, "")?, Vec::new())
            }
        };
        let config = VqConfig::from_json(json.to_string().as_bytes()).map_err(|e| e.at(self.describe(&name)))?;
        Ok(Some(VqTokenizer { config, checkpoint, json: Some(json), files }))
    }

    /// The VQ tokenizer, which an image model must have.
    ///
    /// # Errors
    /// There is none, or a file of it is damaged.
    pub fn vq_tokenizer(&self) -> Result<VqTokenizer> {
        self.vq()?.ok_or_else(|| {
            Error::input("the model has no VQ tokenizer to turn codes into pixels")
                .at(self.describe("vq/"))
                .expected("vq/config.json and vq/model.safetensors, or vqgan.yaml and vqgan.ckpt beside the weights or in tokenizer/")
                .hint("Lumina-mGPT and Anole need Chameleon's; see docs/public-models.md")
        })
    }

    /// SHA-256, in hex, over the files that determine an image: configs, text tokenizer, weights of
    /// the transformer and of the VQ tokenizer. Each file enters with its name and length, in the
    /// order of names, so that a folder and the same files inside the program have the same digest.
    /// Reads every byte: seconds for many gigabytes.
    ///
    /// # Errors
    /// A file cannot be read, or there are no weights.
    pub fn digest(&self) -> Result<String> {
        self.digest_of(&self.files()?)
    }

    /// The files that an image depends on, sorted by name: configs, tokenizers, weights.
    ///
    /// # Errors
    /// A config is damaged.
    pub fn files(&self) -> Result<Vec<String>> {
        let mut names = self.settings_files()?;
        names.extend(checkpoint_files(self, "")?);
        names.sort();
        Ok(names)
    }

    /// SHA-256 over the draft heads in `folder`, which is empty or ends in `/`.
    ///
    /// # Errors
    /// A file cannot be read, or there are no heads.
    pub fn heads_digest(&self, folder: &str) -> Result<String> {
        let mut names = checkpoint_files(self, folder)?;
        names.push(format!("{folder}config.json"));
        names.sort();
        self.digest_of(&names)
    }

    fn digest_of(&self, names: &[String]) -> Result<String> {
        let mut sha = Sha256::new();
        for name in names {
            let content = self.read(name)?;
            sha.update((name.len() as u64).to_le_bytes());
            sha.update(name);
            sha.update((content.len() as u64).to_le_bytes());
            for part in content.chunks(DIGESTED) {
                sha.update(part);
                content.release();
            }
        }
        Ok(hex(&sha.finalize()))
    }

    fn vq_place(&self) -> Result<Option<VqPlace>> {
        if self.contains("vq/config.json") {
            return Ok(Some(VqPlace::Folder("vq/".to_owned())));
        }
        if self.contains("vq/model.safetensors") {
            return Err(Error::input("the VQ tokenizer has weights and no config")
                .at(self.describe("vq/config.json"))
                .expected("vq/config.json beside vq/model.safetensors")
                .hint("was the download or the copy cut off?"));
        }
        let both = |folder: &&str| {
            self.contains(&format!("{folder}vqgan.yaml")) && self.contains(&format!("{folder}vqgan.ckpt"))
        };
        if let Some(folder) = TAMING.into_iter().find(both) {
            return Ok(Some(VqPlace::Taming(folder.to_owned())));
        }
        if !self.contains("config.json") {
            return Ok(None);
        }
        // Whoever reads the transformer says what is wrong with it.
        let Ok(config) = parse(&self.read("config.json")?) else { return Ok(None) };
        let janus = VqConfig::from_model_json(&self.read("config.json")?);
        if let Some(config) = janus.map_err(|e| e.at(self.describe("config.json")))? {
            return Ok(Some(VqPlace::Janus(config)));
        }
        if !config.get("vq_config").is_some_and(Value::is_object) {
            return Ok(None);
        }
        // Hugging Face's conversion of Chameleon has the encoder alone.
        let decoder = Checkpoint::open(self, "")?.contains("model.vqmodel.decoder.conv_in.weight");
        Ok(decoder.then_some(VqPlace::Inside))
    }

    /// Files beside the weights that an image depends on, in order.
    pub(crate) fn settings_files(&self) -> Result<Vec<String>> {
        let own = ["config.json", "hawk.json"].into_iter().chain(self.tokenizer_file());
        let mut names: Vec<String> = own.filter(|name| self.contains(name)).map(str::to_owned).collect();
        match self.vq_place()? {
            None | Some(VqPlace::Inside | VqPlace::Janus(_)) => {}
            Some(VqPlace::Folder(folder)) => {
                names.extend(checkpoint_files(self, &folder)?);
                names.push(format!("{folder}config.json"));
            }
            Some(VqPlace::Taming(folder)) => {
                names.extend(["vqgan.yaml", "vqgan.ckpt"].map(|name| format!("{folder}{name}")))
            }
        }
        Ok(names)
    }
}

fn parse(bytes: &[u8]) -> Result<Value> {
    from_json("a config", bytes)
}

/// Largest `vqgan.yaml`. The real one has some hundred bytes; aliases in YAML can expand a small
/// file to gigabytes.
const MAX_YAML_BYTES: usize = 1 << 16;

/// The sizes in a `vqgan.yaml` as a `config.json`.
///
/// # Errors
/// Not YAML, or sizes that are missing.
pub(crate) fn taming_config(yaml: &[u8]) -> Result<Value> {
    let wrong =
        |what: String| Error::input(what).expected("vqgan.yaml of taming-transformers: model: params: ddconfig: ...");
    if yaml.len() > MAX_YAML_BYTES {
        return Err(wrong(format!("too long: {} bytes", yaml.len())));
    }
    not_a_pointer(yaml)?;
    let whole: Value = yaml_serde::from_slice(yaml).map_err(|e| wrong(format!("not YAML: {e}")))?;
    let params = &whole["model"]["params"];
    let Some(sizes) = params["ddconfig"].as_object() else { return Err(wrong("no ddconfig".to_owned())) };
    if sizes.get("double_z").is_some_and(|double| *double != json!(false)) {
        return Err(wrong(format!("a tokenizer without a codebook: double_z: {}", sizes["double_z"])));
    }
    let mut config: Map<String, Value> = [
        "ch",
        "ch_mult",
        "num_res_blocks",
        "attn_resolutions",
        "z_channels",
        "resolution",
        "out_ch",
        "norm_num_groups",
        "attn_type",
    ]
    .into_iter()
    .filter_map(|key| Some((key.to_owned(), sizes.get(key)?.clone())))
    .collect();
    for key in ["embed_dim", "n_embed"] {
        if !params[key].is_null() {
            config.insert(key.to_owned(), params[key].clone());
        }
    }
    config.insert("model_type".to_owned(), json!("vqgan"));
    Ok(Value::Object(config))
}

/// A name for a model from where it lies.
pub(crate) fn folder_names(source: &ModelSource) -> Vec<String> {
    match source {
        ModelSource::Dir(dir) => {
            let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
            dir.ancestors().filter_map(Path::file_name).map(|name| name.to_string_lossy().into_owned()).collect()
        }
        ModelSource::Embedded(_) => Vec::new(),
    }
}
