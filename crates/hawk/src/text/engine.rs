//! A language model that answers requests.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use hawk_nn::kernels::Precision;
use hawk_nn::{
    Backend, Checkpoint, Cpu, Device, Error, HawkConfig, HeadsConfig, ModelSource, Result, Shaping, TextConfig,
    TextTokenizer,
};
use hawk_spec::{Greedy, ImageIndex, Noise, Pipeline, Purpose, TokenId};

use super::request::{GeneratedText, PromptStyle, Stop, TextEvent, TextRequest, TextSampling};
use super::stream::TextStream;
use crate::decode::batch::Batch;
use crate::decode::draws::Draws;
use crate::decode::job::{BatchLimits, Finished, Happened, Job, JobId};
use crate::decode::medium::TextMedium;
use crate::decode::target::{Target, idle};
use crate::model::{LoadOptions, SourceDigest, read_tokenizer, read_transformer};
use crate::prompt::Prefix;
use crate::request::tree::MAX_NODES;

/// Temperature, then top-k, then top-p: the order of the transformers library.
const PIPELINE: Pipeline = Pipeline::TEMPERATURE_FIRST;

/// A model that writes text.
///
/// Several threads may call it at once. Each call has memory of its own; all calls share the
/// device.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use hawk::{Decoder, Decoding, LoadOptions, ModelSource, PromptStyle, Rule};
/// use hawk::{TextEngine, TextRequest, TextSampling};
///
/// let source = ModelSource::Dir("Llama-2-7b-hf".into());
/// let engine = TextEngine::load(source, LoadOptions::default())?;
/// let request = TextRequest {
///     prompt: "The hawk is a bird that".to_owned(),
///     style: PromptStyle::Plain,
///     sampling: TextSampling::Greedy,
///     decoding: Decoding::with_defaults(Decoder::AR, Rule::Replay),
///     max_tokens: 64,
/// };
/// let text = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
/// println!("{}", engine.text(&text.prompt, &text.tokens)?);
/// # Ok::<(), hawk::Error>(())
/// ```
pub struct TextEngine {
    source: ModelSource,
    tokenizer: TextTokenizer,
    config: TextConfig,
    target: Arc<Target>,
    threads: usize,
    digest: SourceDigest,
}

impl TextEngine {
    /// Loads a model of the Llama or Chameleon family onto the CPU.
    ///
    /// It reads `config.json`, `tokenizer.json`, the weights, and the draft heads of text in
    /// `heads/` where they exist. A model that also draws images (Lumina-mGPT, Anole, or a folder
    /// with `hawk.json`) writes text without the codes of images.
    ///
    /// # Errors
    /// The family is another, a file is missing or damaged or contradicts another, or the number of
    /// threads is out of range.
    pub fn load(source: ModelSource, options: LoadOptions) -> Result<Self> {
        Self::load_on(source, &Cpu::new(options.threads)?, options.precision)
    }

    /// Loads a model onto a device; see [`load`](Self::load).
    ///
    /// # Errors
    /// As [`load`](Self::load), or the device has no room.
    pub fn load_on(source: ModelSource, device: &dyn Device, precision: Precision) -> Result<Self> {
        let transformer = read_transformer(&source)?;
        if !transformer.family.rules().writes_text() {
            return Err(Error::input("this family writes no text here")
                .at(source.describe("config.json"))
                .expected("model_type llama or chameleon")
                .got(transformer.family.name()));
        }
        if source.tokenizer_file().is_none() {
            return Err(Error::input("the model has no tokenizer to turn text into tokens")
                .at(source.describe("tokenizer.json"))
                .expected("tokenizer.json of the tokenizers library")
                .hint("a tokenizer.model of SentencePiece alone is not read: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) of transformers writes tokenizer.json beside it"));
        }
        let tokenizer = read_tokenizer(&source, &transformer)?;
        let config = TextConfig::of_model(&source, &transformer)?;
        let images = HawkConfig::of_model(&source, &transformer)?.map(|config| config.layout);
        let ids = transformer.readable();
        let mut target = Target {
            backend: device.load(transformer, &Checkpoint::open(&source, "")?, precision)?,
            heads: None,
            heads_place: None,
            spatial: None,
            medium: Box::new(TextMedium { ends: config.eos.clone() }),
            pixels: None,
            ids,
            // Text never has an image's codes.
            dropped: images.map_or(0..0, |layout| layout.code_ids()),
            pipeline: PIPELINE,
            neighbours: OnceLock::new(),
            tuners: Default::default(),
        };
        target.load_own_heads(&source)?;
        let (target, digest) = (Arc::new(target), SourceDigest::default());
        Ok(Self { tokenizer, config, target, threads: device.threads(), digest, source })
    }

    /// Replaces the draft heads by those of a folder.
    ///
    /// # Errors
    /// The heads cannot be read, or were trained for another model or for images.
    pub fn with_heads(mut self, folder: &ModelSource) -> Result<Self> {
        let digest = self.digest()?.to_owned();
        idle(&mut self.target)?.load_other_heads(folder, &digest)?;
        Ok(self)
    }

    /// Writes a text.
    ///
    /// The observer is called with every [`TextEvent`]. When it breaks, the run ends and the tokens
    /// so far are returned.
    ///
    /// # Errors
    /// The request is out of range, the prompt is empty or too long, or the logits make no law.
    pub fn generate(
        &self,
        request: &TextRequest,
        observer: &mut dyn FnMut(TextEvent<'_>) -> ControlFlow<()>,
    ) -> Result<GeneratedText> {
        let decoding = request.checked_decoding()?;
        let prompt = self.prompt(&request.prompt, request.style)?;
        let room = self.backend().config().max_positions - prompt.len();
        let (most, end) = match request.max_tokens {
            asked if asked <= room => (asked, Stop::MaxTokens),
            _ => (room, Stop::Positions),
        };
        let (shaping, draws) = match request.sampling {
            TextSampling::Greedy => (Shaping::Logits, Draws::Greedy(Greedy)),
            TextSampling::Drawn { sampling, seed } => {
                let noise = Noise { seed, image: ImageIndex(0) };
                (Shaping::Sampling(sampling), Draws::noise(noise, Purpose::Text))
            }
        };
        let job = Job {
            prefixes: Arc::new([Prefix::new(prompt.clone())]),
            shaping,
            draws,
            decoding,
            most: most as u32,
            sequence_tokens: most,
            drafter: self.target.drafter(decoding, shaping)?,
        };
        let mut batch = Batch::new(Arc::clone(&self.target), BatchLimits::of(&job))?;
        let job = batch.admit(job)?;
        let stopped = run(&mut batch, job, &prompt, observer)?;
        let timings = batch.timings();
        let Finished { codes, sources, stats, elapsed } =
            batch.take(job).ok_or_else(|| Error::input("the text was not decoded"))?;
        let tokens: Vec<TokenId> = codes.iter().map(|code| TokenId(code.0)).collect();
        let stop = match tokens.last() {
            _ if stopped.is_break() => Stop::Observer,
            Some(last) if self.config.eos.contains(last) => Stop::Eos,
            _ => end,
        };
        Ok(GeneratedText { prompt, tokens, sources, stop, stats, timings, elapsed })
    }

    /// The tokens of a prompt in its template, after the model's begin of text.
    ///
    /// # Errors
    /// The prompt is empty, or leaves no position for a token after it.
    pub fn prompt(&self, prompt: &str, style: PromptStyle) -> Result<Vec<TokenId>> {
        if prompt.trim().is_empty() {
            return Err(Error::input("the prompt is empty").at("prompt").expected("a text to go on from"));
        }
        let mut tokens = self.tokenizer.encode(&style.fill(prompt))?;
        // Most tokenizers put it there themselves.
        if let Some(bos) = self.config.bos.filter(|bos| tokens.first() != Some(bos)) {
            tokens.insert(0, bos);
        }
        let most = self.backend().config().max_positions - 1;
        if tokens.len() > most {
            return Err(Error::input("the prompt is too long")
                .expected(format!("at most {most} tokens, begin of text included"))
                .got(tokens.len()));
        }
        if tokens.is_empty() {
            return Err(Error::input("the tokenizer has no token for the prompt")
                .at("prompt")
                .got(format!("{prompt:?}")));
        }
        Ok(tokens)
    }

    /// The text of the tokens after a prompt.
    ///
    /// # Errors
    /// The tokenizer cannot decode an id.
    pub fn text(&self, prompt: &[TokenId], tokens: &[TokenId]) -> Result<String> {
        let mut stream = self.stream(prompt);
        let mut text = tokens.iter().map(|&token| stream.push(token)).collect::<Result<String>>()?;
        text += &stream.finish()?;
        Ok(text)
    }

    /// The text of the tokens after a prompt, token by token.
    #[must_use]
    pub fn stream(&self, prompt: &[TokenId]) -> TextStream<'_> {
        TextStream::new(&self.tokenizer, prompt)
    }

    /// The transformer, loaded on its device.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        &*self.target.backend
    }

    /// The tokens that begin and end a text.
    #[must_use]
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// The configuration of the draft heads, if there are any.
    #[must_use]
    pub fn heads(&self) -> Option<&HeadsConfig> {
        self.target.heads.as_ref()
    }

    /// Number format of the weights.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.backend().precision()
    }

    /// Number of threads of the device on this machine.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// SHA-256 over the model's files, computed by the first call.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn digest(&self) -> Result<&str> {
        self.digest.of(&self.source)
    }
}

/// Runs a batch of one text to its end, or until the observer breaks.
fn run(
    batch: &mut Batch,
    job: JobId,
    prompt: &[TokenId],
    observer: &mut dyn FnMut(TextEvent<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let (mut tokens, mut events) = (Vec::with_capacity(MAX_NODES), Vec::new());
    loop {
        events.extend(batch.step()?);
        for event in events.drain(..) {
            let flow = match event.happened {
                Happened::PrefillDone => observer(TextEvent::PrefillDone { prompt }),
                Happened::CellsCommitted => match batch.new_cells(job) {
                    Some((_, codes, sources)) => {
                        tokens.clear();
                        tokens.extend(codes.iter().map(|code| TokenId(code.0)));
                        observer(TextEvent::TokensCommitted { tokens: &tokens, sources })
                    }
                    None => ControlFlow::Continue(()),
                },
                Happened::Finished => return Ok(ControlFlow::Continue(())),
                Happened::Failed(error) => return Err(error),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }
}
