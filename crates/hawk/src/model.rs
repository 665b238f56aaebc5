//! A loaded image model: its parts, without anything that is under way.

use std::sync::{Arc, OnceLock};

use hawk_nn::kernels::Precision;
use hawk_nn::{
    CaptionFeatures, Checkpoint, Condition, Cpu, Device, Error, HawkConfig, Image, ImageSize, ModelSource, Result,
    Shaping, TextTokenizer, TransformerConfig, hex,
};
use hawk_spec::{Code, Noise, Sampling};
use sha2::{Digest, Sha256};

use crate::decode::draws::Draws;
use crate::decode::job::Job;
use crate::decode::medium::ImageMedium;
use crate::decode::target::Target;
use crate::prompt::{Conditioning, OwnFeatures, PromptOf, Prompter, PromptsOf};
use crate::request::decoding::Decoding;

/// How a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// How weights are stored and multiplied.
    pub precision: Precision,
    /// Threads in all, at least 1. The images do not depend on it.
    pub threads: usize,
}

impl Default for LoadOptions {
    /// bf16, the format of the public checkpoints, on every core.
    fn default() -> Self {
        Self {
            precision: Precision::Bf16,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

/// An image model: weights on a device, configuration, tokenizer.
pub struct Model {
    source: ModelSource,
    config: HawkConfig,
    asked_size: Option<ImageSize>,
    prompter: Prompter,
    target: Arc<Target>,
    digest: OnceLock<String>,
}

impl Model {
    /// Reads a model onto a device: `config.json`, what its family asks for beside it (`hawk.json`, `tokenizer.json`), `model.safetensors`
    /// (or shards with an index), and the VQ tokenizer in `vq/` or among the model's own tensors; public models as they are published.
    ///
    /// # Errors
    /// A file that is missing, damaged, or in contradiction to another.
    pub fn load(source: ModelSource, device: &dyn Device, precision: Precision) -> Result<Self> {
        let transformer = read_transformer(&source)?;
        let config = HawkConfig::of_model(&source, &transformer)?.ok_or_else(|| no_image_side(&source))?;
        let prompter = read_prompter(&source, &config, &transformer)?;
        let pixels = device.load_vq(&source.vq_tokenizer()?)?;
        config.check_decoder(pixels.config()).map_err(|e| e.at(source.describe("hawk.json")))?;
        let mut target = Target {
            backend: device.load(transformer, &Checkpoint::open(&source, "")?, precision)?,
            heads: None,
            medium: Box::new(ImageMedium(config.layout.clone())),
            pixels: Some(pixels),
            ids: config.layout.code_ids(),
            dropped: 0..0,
            pipeline: config.family.rules().pipeline(),
            neighbours: OnceLock::new(),
            tree_sizes: Default::default(),
        };
        target.load_own_heads(&source)?;
        let (target, digest) = (Arc::new(target), OnceLock::new());
        Ok(Self { config, asked_size: None, prompter, target, digest, source })
    }

    /// Loads on the CPU.
    ///
    /// # Errors
    /// See [`load`](Self::load).
    pub fn load_cpu(source: ModelSource, options: LoadOptions) -> Result<Self> {
        Self::load(source, &Cpu::new(options.threads), options.precision)
    }

    /// Takes other draft heads than the model's own.
    ///
    /// # Errors
    /// The heads cannot be read, or were trained for another model or for text; a batch is under way.
    pub fn load_heads(&mut self, folder: &ModelSource) -> Result<()> {
        let digest = self.digest()?.to_owned();
        self.idle_target()?.load_other_heads(folder, &digest)
    }

    /// Draws images of another size from now on, where the model draws several.
    ///
    /// # Errors
    /// The model does not draw that size; a batch is under way.
    pub fn set_image_size(&mut self, size: ImageSize) -> Result<()> {
        let config = self.config.clone().resized(size)?;
        self.idle_target()?.medium = Box::new(ImageMedium(config.layout.clone()));
        self.config = config;
        Ok(())
    }

    /// As [`set_image_size`](Self::set_image_size), for a size that the model drew: prompts go on naming the size that was asked for.
    ///
    /// # Errors
    /// As [`set_image_size`](Self::set_image_size).
    pub fn set_drawn_size(&mut self, size: ImageSize) -> Result<()> {
        let asked = self.config.image_size;
        self.set_image_size(size)?;
        self.asked_size = Some(asked);
        Ok(())
    }

    /// Takes the features of a caption, for a model that reads captions as features.
    ///
    /// # Errors
    /// Not a file of features, features that do not fit the model, or a model that reads none.
    pub(crate) fn put_features(&mut self, of: PromptsOf<'_>, file: Vec<u8>) -> Result<()> {
        let digest = hex(&Sha256::digest(&file));
        let features = CaptionFeatures::from_bytes(file)?;
        let inputs = self.target.backend.caption(&features)?;
        if let Prompter::Caption(_, captions) = &mut self.prompter {
            captions.put(of, OwnFeatures { inputs, count: features.count() as u32, digest });
        }
        Ok(())
    }

    fn idle_target(&mut self) -> Result<&mut Target> {
        Arc::get_mut(&mut self.target).ok_or_else(|| Error::input("the model cannot change while a batch is under way"))
    }

    /// The tokens before the first cell of a prompt.
    ///
    /// # Errors
    /// A prompt that is too long for the model.
    pub fn conditioning(&self, prompt: &str) -> Result<Conditioning> {
        let named_size = self.asked_size.unwrap_or(self.config.image_size);
        self.prompter.condition(PromptOf { prompt, named_size }, &self.config, self.target.backend.config())
    }

    /// One image to be decoded: image `noise.image` of the seed `noise.seed`.
    ///
    /// # Errors
    /// Sampling that the family does not have, a decoder without its heads.
    pub fn job(
        &self,
        conditioning: &Conditioning,
        noise: Noise,
        sampling: Sampling,
        decoding: Decoding,
    ) -> Result<Job> {
        self.target.pipeline.check(&sampling).map_err(|e| Error::input(e.to_string()))?;
        let shaping = Shaping::Sampling(sampling);
        Ok(Job {
            prefixes: conditioning.prefixes(&sampling),
            shaping,
            draws: Draws::noise(noise, self.target.medium.purpose()),
            decoding,
            most: self.config.layout.grid().cells(),
            drafter: self.target.drafter(decoding, shaping)?,
        })
    }

    /// The pixels of a whole grid of codes.
    ///
    /// # Errors
    /// Codes that do not fill the grid or are not in the codebook.
    pub fn decode(&self, codes: &[Code]) -> Result<Image> {
        match &self.target.pixels {
            Some(pixels) => pixels.decode(codes, self.config.layout.grid()),
            None => Err(no_image_side(&self.source)),
        }
    }

    /// Where the model was read from.
    #[must_use]
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// Layout, sampling defaults, prompt template.
    #[must_use]
    pub fn config(&self) -> &HawkConfig {
        &self.config
    }

    /// The size that prompts name where the image's own was drawn by the model.
    #[must_use]
    pub fn asked_size(&self) -> Option<ImageSize> {
        self.asked_size
    }

    /// SHA-256 of the features that a prompt stands for; empty without any.
    #[must_use]
    pub fn features_digest(&self, prompt: &str) -> &str {
        match &self.prompter {
            Prompter::Caption(_, captions) => captions.get(prompt).map_or("", |features| &features.digest),
            _ => "",
        }
    }

    /// SHA-256 over the model's files, computed when it is first asked for.
    ///
    /// # Errors
    /// A file cannot be read any more.
    pub fn digest(&self) -> Result<&str> {
        if let Some(digest) = self.digest.get() {
            return Ok(digest);
        }
        let digest = self.source.digest()?;
        Ok(self.digest.get_or_init(|| digest))
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }
}

pub(crate) fn no_image_side(source: &ModelSource) -> Error {
    Error::input("the model does not say what its images look like")
        .at(source.describe("hawk.json"))
        .expected("hawk.json, or a public model of the Chameleon family with its text tokenizer")
        .hint("Lumina-mGPT and Anole need Chameleon's text_tokenizer.json beside their weights or in tokenizer/")
}

pub(crate) fn read_transformer(source: &ModelSource) -> Result<TransformerConfig> {
    TransformerConfig::from_json(&source.read("config.json")?).map_err(|e| e.at(source.describe("config.json")))
}

/// What turns prompts into tokens.
fn read_prompter(source: &ModelSource, config: &HawkConfig, transformer: &TransformerConfig) -> Result<Prompter> {
    let tokenizer = match config.condition {
        Condition::Text(_) => Some(read_tokenizer(source, transformer)?),
        Condition::Class(_) | Condition::Caption(_) => None,
    };
    Prompter::new(&config.condition, tokenizer)
}

pub(crate) fn read_tokenizer(source: &ModelSource, transformer: &TransformerConfig) -> Result<TextTokenizer> {
    let (place, bytes) = source.read_tokenizer()?;
    TextTokenizer::from_bytes(&bytes)
        .and_then(|tokenizer| tokenizer.check(transformer).map(|()| tokenizer))
        .map_err(|e| e.at(place))
}
