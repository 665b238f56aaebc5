//! A loaded model: load once, generate many.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{
    Checkpoint, HawkConfig, Image, ModelSource, Result, Staged, Stream, Target, TextTokenizer, TransformerConfig,
    VqDecoder, Workspace,
};
use hawk_spec::{Code, Pipeline};

use crate::conditioning::Conditioning;
use crate::request::{Event, Outcome, Request};
use crate::session::Session;

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

/// A model that generates images. Calls may come from several threads; each has memory of its own, and the threads are shared.
pub struct Engine {
    source: ModelSource,
    config: HawkConfig,
    tokenizer: TextTokenizer,
    target: Target,
    vq: VqDecoder,
    pool: Pool,
    precision: Precision,
    digest: OnceLock<String>,
}

impl Engine {
    /// Reads and packs a model: `config.json`, `hawk.json`, `tokenizer.json`, `model.safetensors` (or shards with an index), and the VQ tokenizer
    /// in `vq/`.
    ///
    /// # Errors
    /// A file that is missing, damaged, or in contradiction to another.
    pub fn load(source: ModelSource, options: LoadOptions) -> Result<Self> {
        let transformer = read_transformer(&source)?;
        let named = |name: &'static str| move |e: hawk_nn::Error, source: &ModelSource| e.at(source.describe(name));
        let config = HawkConfig::from_json(&source.read("hawk.json")?)
            .and_then(|config| config.check(&transformer).map(|()| config))
            .map_err(|e| named("hawk.json")(e, &source))?;
        let tokenizer = TextTokenizer::from_bytes(&source.read("tokenizer.json")?)
            .and_then(|tokenizer| tokenizer.check(&transformer).map(|()| tokenizer))
            .map_err(|e| named("tokenizer.json")(e, &source))?;
        let vq = VqDecoder::load(&source, "vq/")?;
        config.check_decoder(vq.config()).map_err(|e| named("hawk.json")(e, &source))?;
        let target = Target::load(transformer, &Checkpoint::open(&source, "")?, options.precision)?;
        let (pool, precision) = (Pool::new(options.threads), options.precision);
        Ok(Self { source, config, tokenizer, target, vq, pool, precision, digest: OnceLock::new() })
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
        Pipeline::LUMINA.check(&request.sampling).map_err(|e| hawk_nn::Error::input(e.to_string()))?;
        Session::new(self, request, self.conditioning(&request.prompt)?).run(observer)
    }

    /// The tokens before the first cell, as a prompt makes them.
    ///
    /// # Errors
    /// A prompt that is too long for the model.
    pub fn conditioning(&self, prompt: &str) -> Result<Conditioning> {
        Conditioning::new(prompt, &self.config, &self.tokenizer, self.target.config())
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

    /// A pass that reads the laws over the codes.
    pub(crate) fn forward<'p>(&self, workspace: &'p mut Workspace, streams: &'p mut [Stream]) -> Result<Staged<'p>> {
        let first = self.config.layout.code_offset() as usize;
        self.target.forward(&self.pool, workspace, streams, first..first + self.config.layout.codes() as usize)
    }
}

pub(crate) fn read_transformer(source: &ModelSource) -> Result<TransformerConfig> {
    TransformerConfig::from_json(&source.read("config.json")?).map_err(|e| e.at(source.describe("config.json")))
}
