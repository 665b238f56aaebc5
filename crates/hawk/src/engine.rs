//! A loaded model: load once, generate many.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, OnceLock};

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{
    CaptionFeatures, Checkpoint, Condition, Error, Family, HawkConfig, Heads, Image, ImageSize, ModelSource, Result,
    Staged, Stream, Target, TextTokenizer, TransformerConfig, VqDecoder, Workspace, hex,
};
use hawk_spec::{Code, Neighbours, Pipeline, Verifier};
use sha2::{Digest, Sha256};

use crate::conditioning::{Conditioning, OwnFeatures, Prompter, PromptsOf};
use crate::drafter;
use crate::equip::{Medium, other_heads, own_heads};
use crate::pace::Paces;
use crate::request::{AnyRule, Decoding, Event, LossyRule, Outcome, Request};
use crate::session::Session;

/// Neighbours that lend mass under LANTERN++, and how much, as in its paper's main results.
const LANTERN_NEIGHBOURS: usize = 10;
const LANTERN_LAMBDA: f64 = 2.0;

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

/// Memory of what drafts, beside the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftMemory {
    /// Weights of the draft heads; the output projection is the target's and not counted.
    pub heads_bytes: usize,
    /// The Speculation Cache of one image.
    pub cache_bytes: usize,
    /// Weights of the target.
    pub target_bytes: usize,
}

impl DraftMemory {
    /// Heads and cache as a share of the target.
    #[must_use]
    pub fn share(&self) -> f64 {
        (self.heads_bytes + self.cache_bytes) as f64 / self.target_bytes as f64
    }
}

/// A model that generates images. Calls may come from several threads; each has memory of its own, and the threads are shared.
pub struct Engine {
    source: ModelSource,
    config: HawkConfig,
    asked_size: Option<ImageSize>,
    prompter: Prompter,
    target: Target,
    vq: VqDecoder,
    pool: Pool,
    precision: Precision,
    heads: Option<Heads>,
    neighbours: OnceLock<Arc<Neighbours>>,
    digest: OnceLock<String>,
    /// What sizes of trees have brought, by what else the time of a pass depends on.
    paces: Paces,
}

impl Engine {
    /// Reads and packs a model: `config.json`, what its family asks for beside it (`hawk.json`, `tokenizer.json`), `model.safetensors` (or
    /// shards with an index), and the VQ tokenizer in `vq/` or among the model's own tensors; public models as they are published.
    ///
    /// # Errors
    /// A file that is missing, damaged, or in contradiction to another.
    pub fn load(source: ModelSource, options: LoadOptions) -> Result<Self> {
        let transformer = read_transformer(&source)?;
        let config = HawkConfig::of_model(&source, &transformer)?.ok_or_else(|| no_image_side(&source))?;
        let prompter = read_prompter(&source, &config, &transformer)?;
        let vq = VqDecoder::of_model(&source)?;
        config.check_decoder(vq.config()).map_err(|e| e.at(source.describe("hawk.json")))?;
        let target = Target::load(transformer, &Checkpoint::open(&source, "")?, options.precision)?;
        let heads = own_heads(&source, &target, Medium::Images)?;
        Ok(Self {
            config,
            asked_size: None,
            prompter,
            target,
            vq,
            pool: Pool::new(options.threads),
            precision: options.precision,
            heads,
            neighbours: OnceLock::new(),
            digest: OnceLock::new(),
            paces: Paces::default(),
            source,
        })
    }

    /// The engine with other draft heads than the model's own.
    ///
    /// # Errors
    /// The heads cannot be read, or were trained for another model or for text.
    pub fn with_heads(mut self, folder: &ModelSource) -> Result<Self> {
        self.heads = Some(other_heads(folder, &self.target, Medium::Images, self.digest()?)?);
        Ok(self)
    }

    /// The engine for images of another size, where the model draws several.
    ///
    /// # Errors
    /// The model does not draw that size.
    pub fn with_image_size(mut self, size: ImageSize) -> Result<Self> {
        self.config = self.config.resized(size)?;
        Ok(self)
    }

    /// As [`with_image_size`](Self::with_image_size), for a size that was drawn ([`draw_size`](Self::draw_size)): the prompt goes on naming
    /// the size that was asked for.
    ///
    /// # Errors
    /// The model does not draw that size.
    pub fn with_drawn_size(mut self, size: ImageSize) -> Result<Self> {
        self.asked_size = Some(self.config.image_size);
        self.with_image_size(size)
    }

    /// The size that the prompt names where the image's own was drawn.
    #[must_use]
    pub fn asked_size(&self) -> Option<ImageSize> {
        self.asked_size
    }

    /// The engine with the features of a caption, for a model that reads captions as features; a request's prompt is then but a name.
    ///
    /// # Errors
    /// No file of features, features that do not fit the model, or a model that reads none.
    pub fn with_features(self, file: Vec<u8>) -> Result<Self> {
        self.put_features(PromptsOf::All, file)
    }

    /// The engine with the features of one prompt; others keep theirs.
    ///
    /// # Errors
    /// As [`with_features`](Self::with_features).
    pub fn with_features_of(self, prompt: &str, file: Vec<u8>) -> Result<Self> {
        self.put_features(PromptsOf::One(prompt), file)
    }

    fn put_features(mut self, of: PromptsOf<'_>, file: Vec<u8>) -> Result<Self> {
        let digest = hex(&Sha256::digest(&file));
        let features = CaptionFeatures::from_bytes(file)?;
        let inputs = self.target.caption(&self.pool, &features)?;
        if let Prompter::Caption(_, captions) = &mut self.prompter {
            captions.put(of, OwnFeatures { inputs, count: features.count() as u32, digest });
        }
        Ok(self)
    }

    /// SHA-256 of the features that a prompt stands for; empty without any.
    #[must_use]
    pub fn features_digest(&self, prompt: &str) -> &str {
        match &self.prompter {
            Prompter::Caption(_, captions) => captions.get(prompt).map_or("", |features| &features.digest),
            _ => "",
        }
    }

    /// Makes the images of a request. The observer hears of every step and may break off; the images finished by then are returned.
    ///
    /// # Errors
    /// A request out of range, a prompt that is too long, logits that are no numbers.
    pub fn generate(
        &self,
        request: &Request,
        observer: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        request.check()?;
        self.pipeline().check(&request.sampling).map_err(|e| Error::input(e.to_string()))?;
        Session::new(self, request, self.conditioning(&request.prompt)?)?.run(observer)
    }

    /// The tokens before the first cell, as a prompt makes them.
    ///
    /// # Errors
    /// A prompt that is too long for the model.
    pub fn conditioning(&self, prompt: &str) -> Result<Conditioning> {
        let named = self.asked_size.unwrap_or(self.config.image_size);
        self.prompter.condition((prompt, named), &self.config, self.target.config())
    }

    /// The pixels of a whole grid of codes.
    ///
    /// # Errors
    /// Codes that do not fill the grid or are not in the codebook.
    pub fn decode(&self, codes: &[Code]) -> Result<Image> {
        self.vq.decode(&self.pool, codes, self.config.layout.grid())
    }

    /// Where the model was read from.
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// Layout, sampling defaults, prompt template.
    pub fn config(&self) -> &HawkConfig {
        &self.config
    }

    /// The transformer.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The draft heads, if there are any.
    pub fn heads(&self) -> Option<&Heads> {
        self.heads.as_ref()
    }

    /// What the heads and the cache of a decoder take, beside the target.
    pub fn draft_memory(&self, decoding: Decoding) -> DraftMemory {
        let heads = self.heads.as_ref().filter(|_| decoding.decoder().needs_heads());
        DraftMemory {
            heads_bytes: heads.map_or(0, Heads::bytes),
            cache_bytes: heads.map_or(0, |heads| drafter::cache_bytes(heads, decoding, &self.config.layout)),
            target_bytes: self.target.weight_bytes(),
        }
    }

    /// How weights are stored and multiplied.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Threads in all.
    pub fn threads(&self) -> usize {
        self.pool.threads()
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

    /// The family's order of guidance and warping.
    pub(crate) fn pipeline(&self) -> Pipeline {
        match self.config.family {
            Family::Chameleon | Family::Llama => Pipeline::LUMINA,
            Family::Janus(_) | Family::LlamaGen(_) => Pipeline::TEMPERATURE_FIRST,
        }
    }

    pub(crate) fn verifier(&self, rule: AnyRule) -> Verifier {
        let codes = self.config.layout.codes() as usize;
        match rule {
            AnyRule::Exact(rule) => Verifier::new(rule, codes),
            AnyRule::Lossy(LossyRule::Typical) => Verifier::lossy(hawk_spec::LossyRule::TYPICAL, codes),
            AnyRule::Lossy(LossyRule::Lantern) => {
                let neighbours = self.neighbours.get_or_init(|| {
                    let (codebook, width) = self.vq.codebook();
                    Arc::new(Neighbours::of_codebook(&codebook[..codes * width], width, LANTERN_NEIGHBOURS))
                });
                let neighbours = Arc::clone(neighbours);
                Verifier::lossy(hawk_spec::LossyRule::Lantern { lambda: LANTERN_LAMBDA, neighbours }, codes)
            }
        }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn paces(&self) -> &Paces {
        &self.paces
    }

    /// The codes' ids.
    pub(crate) fn codes(&self) -> Range<usize> {
        self.config.layout.code_ids()
    }

    /// A pass that reads the laws over the codes.
    pub(crate) fn forward<'p>(&self, workspace: &'p mut Workspace, streams: &'p mut [Stream]) -> Result<Staged<'p>> {
        self.target.forward(&self.pool, workspace, streams, self.codes())
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
