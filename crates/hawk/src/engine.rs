//! A loaded model: load once, generate many.

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{
    CaptionFeatures, Checkpoint, Error, Family, HawkConfig, HeadWorkspace, Heads, Image, ModelSource, Result, Staged,
    Stream, Target, TextTokenizer, TransformerConfig, VqConfig, VqDecoder, Workspace, hex,
};
use hawk_spec::{Code, Grid, Neighbours, Pipeline, Verifier};
use sha2::{Digest, Sha256};

use crate::conditioning::{Conditioning, OwnFeatures, Prompter};
use crate::drafter;
use crate::pace::Pace;
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
    prompter: Prompter,
    target: Target,
    vq: VqDecoder,
    pool: Pool,
    precision: Precision,
    heads: Option<Heads>,
    neighbours: OnceLock<Arc<Neighbours>>,
    digest: OnceLock<String>,
    /// What sizes of trees have brought, by what else the time of a pass depends on.
    paces: Mutex<Vec<(Decoding, usize, Pace)>>,
}

impl Engine {
    /// Reads and packs a model: `config.json`, what its family asks for beside it (`hawk.json`, `tokenizer.json`), `model.safetensors` (or
    /// shards with an index), and the VQ tokenizer in `vq/` or among the model's own tensors.
    ///
    /// # Errors
    /// A file that is missing, damaged, or in contradiction to another.
    pub fn load(source: ModelSource, options: LoadOptions) -> Result<Self> {
        let transformer = read_transformer(&source)?;
        let (config, prompter, vq) = read_image_side(&source, &transformer)?;
        let target = Target::load(transformer, &Checkpoint::open(&source, "")?, options.precision)?;
        let heads = match source.contains("heads/config.json") {
            true => Some(Heads::load(&source, "heads/", &target)?),
            false => None,
        };
        Ok(Self {
            config,
            prompter,
            target,
            vq,
            pool: Pool::new(options.threads),
            precision: options.precision,
            heads,
            neighbours: OnceLock::new(),
            digest: OnceLock::new(),
            paces: Mutex::default(),
            source,
        })
    }

    /// The engine with other draft heads than the model's own.
    ///
    /// # Errors
    /// The heads cannot be read, or were trained for another model.
    pub fn with_heads(mut self, folder: &ModelSource) -> Result<Self> {
        let heads = Heads::load(folder, "", &self.target)?;
        let trained_for = &heads.config().target_digest;
        if self.digest()? != trained_for {
            return Err(Error::input("the heads were trained for another model")
                .at(folder.describe("config.json"))
                .expected(format!("target digest {}", self.digest()?))
                .got(trained_for));
        }
        self.heads = Some(heads);
        Ok(self)
    }

    /// The engine with the features of a caption, for a model that reads captions as features; a request's prompt is then but a name.
    ///
    /// # Errors
    /// No file of features, features that do not fit the model, or a model that reads none.
    pub fn with_features(mut self, file: Vec<u8>) -> Result<Self> {
        let digest = hex(&Sha256::digest(&file));
        let features = CaptionFeatures::from_bytes(file)?;
        let inputs = self.target.caption(&self.pool, &features)?;
        if let Prompter::Caption(_, own) = &mut self.prompter {
            *own = Some(OwnFeatures { inputs, count: features.count() as u32, digest });
        }
        Ok(self)
    }

    /// SHA-256 of the features that were given; empty without any.
    #[must_use]
    pub fn features_digest(&self) -> &str {
        match &self.prompter {
            Prompter::Caption(_, Some(features)) => &features.digest,
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
        self.prompter.condition(prompt, &self.config, self.target.config())
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

    /// The laws of draft heads over the codes, for all rows of a workspace.
    pub(crate) fn speak(&self, heads: &Heads, workspace: &mut HeadWorkspace) -> Result<()> {
        heads.run(&self.target, &self.pool, workspace, self.codes())
    }

    /// What was learned of the sizes of trees for `streams` streams in a pass.
    pub(crate) fn pace(&self, decoding: Decoding, streams: usize) -> Pace {
        let paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let known = paces.iter().find(|pace| (pace.0, pace.1) == (decoding, streams));
        known.map_or_else(Pace::default, |(.., pace)| pace.clone())
    }

    /// Keeps it for the next request.
    pub(crate) fn keep_pace(&self, decoding: Decoding, streams: usize, pace: Pace) {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.retain(|pace| (pace.0, pace.1) != (decoding, streams));
        paces.push((decoding, streams, pace));
    }

    /// The codes' ids.
    fn codes(&self) -> Range<usize> {
        let first = self.config.layout.code_offset() as usize;
        first..first + self.config.layout.codes() as usize
    }

    /// A pass that reads the laws over the codes.
    pub(crate) fn forward<'p>(&self, workspace: &'p mut Workspace, streams: &'p mut [Stream]) -> Result<Staged<'p>> {
        self.target.forward(&self.pool, workspace, streams, self.codes())
    }
}

pub(crate) fn read_transformer(source: &ModelSource) -> Result<TransformerConfig> {
    TransformerConfig::from_json(&source.read("config.json")?).map_err(|e| e.at(source.describe("config.json")))
}

/// The files beside the transformer's.
fn read_image_side(source: &ModelSource, transformer: &TransformerConfig) -> Result<(HawkConfig, Prompter, VqDecoder)> {
    let at = |name: &'static str| move |e: Error| e.at(source.describe(name));
    let tokenizer = || {
        TextTokenizer::from_bytes(&source.read("tokenizer.json")?)
            .and_then(|tokenizer| tokenizer.check(transformer).map(|()| tokenizer))
            .map_err(at("tokenizer.json"))
    };
    let (config, tokenizer, vq) = match transformer.family {
        Family::Chameleon | Family::Llama => {
            let config = HawkConfig::from_json(&source.read("hawk.json")?)
                .and_then(|config| config.check(transformer).map(|()| config))
                .map_err(at("hawk.json"))?;
            (config, Some(tokenizer()?), VqDecoder::of_model(source)?)
        }
        Family::Janus(sizes) => {
            let (tokenizer, vq) = (tokenizer()?, VqDecoder::of_model(source)?);
            let config = HawkConfig::janus(transformer, sizes, &tokenizer, vq.config());
            (config.map_err(at("tokenizer.json"))?, Some(tokenizer), vq)
        }
        Family::LlamaGen(sizes) => {
            let vq = VqDecoder::of_model(source)?;
            (HawkConfig::llamagen(transformer, sizes, vq.config()).map_err(at("config.json"))?, None, vq)
        }
    };
    config.check(transformer).map_err(at("config.json"))?;
    config.check_decoder(vq.config()).map_err(|e| match transformer.family {
        Family::Chameleon | Family::Llama => at("hawk.json")(e),
        Family::Janus(_) | Family::LlamaGen(_) => at("config.json")(e),
    })?;
    Ok((config.clone(), Prompter::new(&config.condition, tokenizer)?, vq))
}

/// The layout of a model, without what only a tokenizer knows.
pub(crate) fn read_grid(source: &ModelSource) -> Result<Grid> {
    let square = |side: usize| {
        Grid::new(side as u32, side as u32).map_err(|e| Error::input(e.to_string()).at(source.describe("config.json")))
    };
    // A folder for decoding alone needs no transformer.
    let family = match source.contains("hawk.json") {
        true => Family::Llama,
        false => read_transformer(source)?.family,
    };
    match family {
        Family::Janus(sizes) => square(sizes.side),
        Family::LlamaGen(sizes) => square(sizes.side),
        Family::Chameleon | Family::Llama => HawkConfig::from_json(&source.read("hawk.json")?)
            .map(|config| config.layout.grid())
            .map_err(|e| e.at(source.describe("hawk.json"))),
    }
}

/// What is known of a model's images, where the folder holds what tells of it.
pub(crate) fn inspect_image_side(
    source: &ModelSource,
    transformer: &TransformerConfig,
    vq: Option<&VqConfig>,
) -> Result<Option<HawkConfig>> {
    match (transformer.family, vq) {
        (Family::Janus(sizes), Some(vq)) if source.contains("tokenizer.json") => {
            let at = |e: Error| e.at(source.describe("tokenizer.json"));
            let tokenizer = TextTokenizer::from_bytes(&source.read("tokenizer.json")?).map_err(at)?;
            HawkConfig::janus(transformer, sizes, &tokenizer, vq).map(Some).map_err(at)
        }
        (Family::LlamaGen(sizes), Some(vq)) => HawkConfig::llamagen(transformer, sizes, vq).map(Some),
        (Family::Chameleon | Family::Llama, _) if source.contains("hawk.json") => {
            HawkConfig::from_json(&source.read("hawk.json")?).map(Some).map_err(|e| e.at(source.describe("hawk.json")))
        }
        _ => Ok(None),
    }
}
