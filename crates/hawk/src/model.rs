//! A loaded image model and its parts.

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
use crate::decode::target::{Target, idle};
use crate::prompt::{Conditioning, OwnFeatures, PromptOf, Prompter, PromptsOf};
use crate::request::decoding::Decoding;

/// Options of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Number format of the weights.
    pub precision: Precision,
    /// Number of threads, 1 to 1024. Images do not depend on it.
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

/// SHA-256 over the files of a model, computed by the first call.
#[derive(Default)]
pub(crate) struct SourceDigest(OnceLock<String>);

impl SourceDigest {
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn of(&self, source: &ModelSource) -> Result<&str> {
        if let Some(digest) = self.0.get() {
            return Ok(digest);
        }
        let digest = source.digest()?;
        Ok(self.0.get_or_init(|| digest))
    }
}

/// An image model: weights on a device, configuration, tokenizer.
pub struct Model {
    source: ModelSource,
    config: HawkConfig,
    asked_size: Option<ImageSize>,
    prompter: Prompter,
    target: Arc<Target>,
    digest: SourceDigest,
    heads_digest: OnceLock<String>,
}

impl Model {
    /// Loads a model onto a device.
    ///
    /// It reads `config.json`, the other files of the family (`hawk.json`, `tokenizer.json`),
    /// `model.safetensors` or shards with an index, and the VQ tokenizer in `vq/` or among the
    /// model's own tensors. Public models are read as they are published.
    ///
    /// # Errors
    /// A file is missing or damaged, or contradicts another; the device has no room.
    pub fn load(source: ModelSource, device: &dyn Device, precision: Precision) -> Result<Self> {
        let transformer = read_transformer(&source)?;
        let config = HawkConfig::of_model(&source, &transformer)?.ok_or_else(|| no_image_side(&source))?;
        let prompter = read_prompter(&source, &config, &transformer)?;
        let pixels = device.load_vq(&source.vq_tokenizer()?)?;
        config.check_decoder(pixels.config()).map_err(|e| e.at(source.describe("hawk.json")))?;
        let mut target = Target {
            backend: device.load(transformer, &Checkpoint::open(&source, "")?, precision)?,
            heads: None,
            heads_place: None,
            spatial: None,
            medium: Box::new(ImageMedium(config.layout.clone())),
            pixels: Some(pixels),
            ids: config.layout.code_ids(),
            dropped: 0..0,
            pipeline: config.family.rules().pipeline(),
            neighbours: OnceLock::new(),
            tuners: Default::default(),
        };
        target.load_own_heads(&source)?;
        let (target, digest) = (Arc::new(target), SourceDigest::default());
        Ok(Self { config, asked_size: None, prompter, target, digest, heads_digest: OnceLock::new(), source })
    }

    /// Loads on the CPU.
    ///
    /// # Errors
    /// As [`load`](Self::load), the number of threads is out of range, or `HAWK_ISA` names no
    /// instruction set of this machine.
    pub fn load_cpu(source: ModelSource, options: LoadOptions) -> Result<Self> {
        Self::load(source, &Cpu::new(options.threads)?, options.precision)
    }

    /// Replaces the draft heads by those of a folder.
    ///
    /// # Errors
    /// The heads cannot be read, they were trained for another model or for text, or a batch is
    /// open.
    pub fn load_heads(&mut self, folder: &ModelSource) -> Result<()> {
        let digest = self.digest()?.to_owned();
        idle(&mut self.target)?.load_other_heads(folder, &digest)?;
        self.heads_digest = OnceLock::new();
        Ok(())
    }

    /// Sets the size of images, where the model draws several sizes.
    ///
    /// # Errors
    /// The model does not draw that size, or a batch is open.
    pub fn set_image_size(&mut self, size: ImageSize) -> Result<()> {
        let config = self.config.clone().resized(size)?;
        let target = idle(&mut self.target)?;
        // Images of another size have other costs.
        (target.medium, target.tuners) = (Box::new(ImageMedium(config.layout.clone())), Default::default());
        self.config = config;
        Ok(())
    }

    /// Sets the size of images to one that the model drew. Prompts still name the size that was
    /// asked for.
    ///
    /// # Errors
    /// As [`set_image_size`](Self::set_image_size).
    pub fn set_drawn_size(&mut self, size: ImageSize) -> Result<()> {
        let asked = self.config.image_size;
        self.set_image_size(size)?;
        self.asked_size = Some(asked);
        Ok(())
    }

    /// Sets the features of a caption, for a model that reads captions as features.
    ///
    /// # Errors
    /// The file holds no features, they do not fit the model, or the model reads none.
    pub(crate) fn put_features(&mut self, of: PromptsOf<'_>, file: Vec<u8>) -> Result<()> {
        let digest = hex(&Sha256::digest(&file));
        let features = CaptionFeatures::from_bytes(file)?;
        let inputs = self.target.backend.caption(&features)?;
        if let Prompter::Caption(_, captions) = &mut self.prompter {
            captions.put(of, OwnFeatures { inputs, count: features.count() as u32, digest });
        }
        Ok(())
    }

    /// The tokens of a prompt before the first cell.
    ///
    /// # Errors
    /// The prompt is too long for the model.
    pub fn conditioning(&self, prompt: &str) -> Result<Conditioning> {
        let named_size = self.asked_size.unwrap_or(self.config.image_size);
        self.prompter.condition(PromptOf { prompt, named_size }, &self.config, self.target.backend.config())
    }

    /// A job for a [`Batch`](crate::Batch): image `noise.image` of the seed `noise.seed`.
    ///
    /// # Errors
    /// The family has no stage for a sampling setting, or the decoder lacks its draft heads.
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
            sequence_tokens: self.config.layout.sequence_len(),
            drafter: self.target.drafter(decoding, shaping)?,
        })
    }

    /// The pixels of a whole grid of codes.
    ///
    /// # Errors
    /// The codes do not fill the grid, or a code is not in the codebook.
    pub fn decode(&self, codes: &[Code]) -> Result<Image> {
        match &self.target.pixels {
            Some(pixels) => pixels.decode(codes, self.config.layout.grid()),
            None => Err(no_image_side(&self.source)),
        }
    }

    /// The source of the model's files.
    #[must_use]
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// Layout, sampling defaults, prompt template.
    #[must_use]
    pub fn config(&self) -> &HawkConfig {
        &self.config
    }

    /// The size that prompts name, where the model drew the size of the image itself.
    #[must_use]
    pub fn asked_size(&self) -> Option<ImageSize> {
        self.asked_size
    }

    /// SHA-256 of the file of a prompt's features; empty without features.
    #[must_use]
    pub fn features_digest(&self, prompt: &str) -> &str {
        match &self.prompter {
            Prompter::Caption(_, captions) => captions.get(prompt).map_or("", |features| &features.digest),
            _ => "",
        }
    }

    /// SHA-256 over the model's files, computed by the first call.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn digest(&self) -> Result<&str> {
        self.digest.of(&self.source)
    }

    /// SHA-256 over the files of the draft heads, computed by the first call; empty without heads.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn heads_digest(&self) -> Result<&str> {
        if let Some(digest) = self.heads_digest.get() {
            return Ok(digest);
        }
        let digest = match &self.target.heads_place {
            Some((source, folder)) => source.heads_digest(folder)?,
            None => String::new(),
        };
        Ok(self.heads_digest.get_or_init(|| digest))
    }

    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }
}

pub(crate) fn no_image_side(source: &ModelSource) -> Error {
    let language = read_transformer(source).is_ok_and(|transformer| transformer.family.rules().is_language_model());
    if language {
        return Error::input("the model draws no images: it is a language model")
            .at(source.describe("config.json"))
            .expected("an image model")
            .hint("`hawk text` generates text with it");
    }
    Error::input("the model's files do not define what its images look like")
        .at(source.describe("hawk.json"))
        .expected("hawk.json, or a public model of the Chameleon family with its text tokenizer")
        .hint("Lumina-mGPT and Anole need Chameleon's text_tokenizer.json beside their weights or in tokenizer/")
}

pub(crate) fn read_transformer(source: &ModelSource) -> Result<TransformerConfig> {
    TransformerConfig::from_json(&source.read("config.json")?).map_err(|e| e.at(source.describe("config.json")))
}

/// The prompter of a model.
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
