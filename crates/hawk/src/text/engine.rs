//! A loaded language model.

use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

use hawk_nn::kernels::{Pool, Precision};
use hawk_nn::{
    Checkpoint, Error, Family, HawkConfig, Heads, ModelSource, Result, Staged, Stream, Target, TextConfig,
    TextTokenizer, Workspace,
};
use hawk_spec::{Pipeline, TokenId};

use super::request::{GeneratedText, PromptStyle, TextEvent, TextRequest};
use super::session::Session;
use super::stream::TextStream;
use crate::engine::{LoadOptions, read_tokenizer, read_transformer};
use crate::equip::{Medium, other_heads, own_heads};
use crate::pace::Paces;

/// Temperature, then top-k, then top-p, as the reference library has it for text.
pub(super) const PIPELINE: Pipeline = Pipeline::TEMPERATURE_FIRST;

/// A model that writes text. Calls may come from several threads; each has memory of its own, and the threads are shared.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use hawk::{Decoder, Decoding, LoadOptions, ModelSource, PromptStyle, Rule, TextEngine, TextRequest, TextSampling};
///
/// let engine = TextEngine::load(ModelSource::Dir("Llama-2-7b-hf".into()), LoadOptions::default())?;
/// let request = TextRequest {
///     prompt: "The hawk is a bird that".to_owned(),
///     style: PromptStyle::Plain,
///     sampling: TextSampling::Greedy,
///     decoding: Decoding::with_defaults(Decoder::Ar, Rule::Replay),
///     max_tokens: 64,
/// };
/// let text = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
/// println!("{}", engine.text(&text.prompt, &text.tokens)?);
/// # Ok::<(), hawk::Error>(())
/// ```
pub struct TextEngine {
    source: ModelSource,
    target: Target,
    tokenizer: TextTokenizer,
    config: TextConfig,
    /// Ids of image codes, which text never has; empty for a model of text alone.
    codes: Range<usize>,
    pool: Pool,
    heads: Option<Heads>,
    digest: OnceLock<String>,
    paces: Paces,
}

impl TextEngine {
    /// Reads and packs a model of the Llama or Chameleon family: `config.json`, `tokenizer.json`, the weights, and draft heads of text in
    /// `heads/` if there are any. A model that draws images too (it has a `hawk.json`, or is Lumina-mGPT or Anole) writes text without codes.
    ///
    /// # Errors
    /// Another family, or a file that is missing, damaged, or in contradiction to another.
    pub fn load(source: ModelSource, options: LoadOptions) -> Result<Self> {
        let transformer = read_transformer(&source)?;
        if !matches!(transformer.family, Family::Llama | Family::Chameleon) {
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
        let target = Target::load(transformer, &Checkpoint::open(&source, "")?, options.precision)?;
        Ok(Self {
            heads: own_heads(&source, &target, Medium::Text)?,
            codes: images.map_or(0..0, |layout| layout.code_ids()),
            target,
            tokenizer,
            config,
            pool: Pool::new(options.threads),
            digest: OnceLock::new(),
            paces: Paces::default(),
            source,
        })
    }

    /// The engine with other draft heads than the model's own.
    ///
    /// # Errors
    /// The heads cannot be read, or were trained for another model or for images.
    pub fn with_heads(mut self, folder: &ModelSource) -> Result<Self> {
        self.heads = Some(other_heads(folder, &self.target, Medium::Text, self.digest()?)?);
        Ok(self)
    }

    /// Writes a text. The observer hears of every step and may break off; what was written by then is returned.
    ///
    /// # Errors
    /// A request out of range, a prompt that is empty or too long, logits that are no numbers.
    pub fn generate(
        &self,
        request: &TextRequest,
        observer: &mut dyn FnMut(TextEvent<'_>) -> ControlFlow<()>,
    ) -> Result<GeneratedText> {
        let decoding = request.checked_decoding()?;
        Session::new(self, request, decoding, self.prompt(&request.prompt, request.style)?)?.run(observer)
    }

    /// The tokens of a prompt, opened by the model's begin of text.
    ///
    /// # Errors
    /// A prompt that is empty, or leaves no position for a token after it.
    pub fn prompt(&self, prompt: &str, style: PromptStyle) -> Result<Vec<TokenId>> {
        if prompt.trim().is_empty() {
            return Err(Error::input("the prompt is empty").at("prompt").expected("a text to go on from"));
        }
        let mut tokens = self.tokenizer.encode(&style.fill(prompt))?;
        // Most tokenizers put it there themselves.
        if let Some(bos) = self.config.bos.filter(|bos| tokens.first() != Some(bos)) {
            tokens.insert(0, bos);
        }
        let most = self.target.config().max_positions - 1;
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

    /// The text of tokens that were written after a prompt.
    ///
    /// # Errors
    /// Ids that the tokenizer cannot decode.
    pub fn text(&self, prompt: &[TokenId], tokens: &[TokenId]) -> Result<String> {
        let mut stream = self.stream(prompt);
        let mut text = tokens.iter().map(|&token| stream.push(token)).collect::<Result<String>>()?;
        text += &stream.finish()?;
        Ok(text)
    }

    /// The same, token by token.
    #[must_use]
    pub fn stream(&self, prompt: &[TokenId]) -> TextStream<'_> {
        TextStream::new(&self.tokenizer, prompt)
    }

    /// The transformer.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Where texts begin and end.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// The draft heads, if there are any.
    pub fn heads(&self) -> Option<&Heads> {
        self.heads.as_ref()
    }

    /// How weights are stored and multiplied.
    pub fn precision(&self) -> Precision {
        self.target.precision()
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

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn paces(&self) -> &Paces {
        &self.paces
    }

    /// Ids whose logits are read.
    pub(super) fn ids(&self) -> Range<usize> {
        self.target.config().readable()
    }

    /// Those of them that text never has.
    pub(super) fn codes(&self) -> Range<usize> {
        self.codes.clone()
    }

    pub(super) fn forward<'p>(&self, workspace: &'p mut Workspace, streams: &'p mut [Stream]) -> Result<Staged<'p>> {
        self.target.forward(&self.pool, workspace, streams, self.ids())
    }
}
