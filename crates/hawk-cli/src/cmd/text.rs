//! `hawk text`: a prompt to text, printed as it is committed.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hawk::{
    AnyRule, Decoder, Decoding, GeneratedText, ModelSource, Precision, PromptStyle, Result, Rule, Sampling, Seed, Stop,
    TextEngine, TextEvent, TextRequest, TextSampling, TextStream, Tree,
};

use super::generate::fresh_seed;
use crate::args::{ModelArgs, invalid_setting, not_greedy, precision, rule_help, tree_forms};
use crate::inputs;
use crate::interrupt;
use crate::output::files::Files;
use crate::output::text_report::{TextRun, TextStats, TextTokens, tokens_per_s};
use crate::output::{StreamEnded, note, stream};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk text \"The hawk is a bird of prey that\" --model meta-llama/Llama-2-7b-hf
  hawk text \"Why is the sky blue?\" --model Llama-2-7b-chat-hf --chat --precision int8
  hawk text \"Once upon a time\" --model llama/ --heads heads/ --temperature 0.8 --top-p 0.95
  hawk synth tiny-llama --out tiny/ && hawk text \"Hello\" --model tiny/   # no download; writes noise

The text goes to standard output, one line of statistics to standard error.
Greedy decoding and the rule `replay` give one text per seed, token for token, with every decoder, \
tree and number of threads.

docs/text.md says more.")]
pub(crate) struct TextArgs {
    /// Text to continue, with --chat the question; - is standard input
    #[arg(value_name = "PROMPT")]
    prompt: String,
    /// Put LLaMA 2's chat format around the prompt: [INST] PROMPT [/INST]
    #[arg(long)]
    chat: bool,
    /// Maximum tokens after the prompt; an end-of-text token or the last position of the model ends the text earlier
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    #[command(flatten)]
    model: TextModelArgs,
    #[command(flatten)]
    decoding: TextDecodingArgs,
    #[command(flatten)]
    sampling: TextSamplingArgs,
    /// Write the token ids of prompt and text as JSON
    #[arg(long, help_heading = "Output", value_name = "F.json")]
    tokens_out: Option<PathBuf>,
    /// Write passes, acceptance and times as JSON
    #[arg(long, help_heading = "Output", value_name = "F.json")]
    stats: Option<PathBuf>,
}

/// As [`ModelArgs`], without a built-in model.
#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
struct TextModelArgs {
    /// Folder of a Llama in the Hugging Face layout, or name of a pulled one
    #[arg(long, value_name = "DIR|ORG/NAME")]
    model: PathBuf,
    /// Number of threads, at most 1024; the text does not depend on it [default: one per core]
    #[arg(long, value_name = "T", value_parser = crate::args::threads)]
    threads: Option<NonZero<usize>>,
    /// Number format of the weights [default: the format that the model is packed in, else bf16]
    #[arg(long, value_parser = precision())]
    precision: Option<Precision>,
}

/// As [`DecodingArgs`](crate::args::DecodingArgs), with the decoders and rules of text.
#[derive(clap::Args)]
#[command(next_help_heading = "Decoding")]
struct TextDecodingArgs {
    /// Drafter that proposes tokens [default: medusa; ar for a model without draft heads]
    #[arg(long, value_parser = decoder())]
    decoder: Option<Decoder>,
    /// How proposals are verified
    #[arg(long, default_value_t = AnyRule::Exact(Rule::Replay), value_parser = exact_rule())]
    rule: AnyRule,
    /// Tree of proposals: nodes (7), a shape (4x2x1) or auto
    /// [default: ar 1; others auto, or 4 under the rule rejection]
    #[arg(long, visible_alias = "budget", value_name = "NODES|SHAPE|auto", value_parser = str::parse::<Tree>,
        long_help = concat!(
            "Tree of proposals [default: ar 1; others auto, or 4 under the rule rejection]\n",
            tree_forms!()
        ))]
    tree: Option<Tree>,
    /// Folder of draft heads of text (H1, H2, ...) [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
struct TextSamplingArgs {
    /// Temperature; 0 = greedy decoding, which always takes the most likely token
    #[arg(long, value_name = "F", default_value_t = 0.0)]
    temperature: f32,
    /// Sample from the K most likely tokens; 0 = all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: u32,
    /// Sample from the most likely tokens that together have probability P, above 0, at most 1
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// Random seed, for a temperature above 0 [default: a new one, printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

impl TextModelArgs {
    fn shared(&self) -> ModelArgs {
        ModelArgs { model: Some(self.model.clone()), threads: self.threads }
    }
}

impl TextDecodingArgs {
    fn decoding(&self, engine: &TextEngine) -> Result<Decoding> {
        let decoder = self.decoder.unwrap_or(if engine.heads().is_some() { Decoder::MEDUSA } else { Decoder::AR });
        Decoding::new(decoder, self.rule, self.tree.unwrap_or(decoder.default_tree(self.rule)))
    }
}

fn decoder() -> impl TypedValueParser<Value = Decoder> {
    PossibleValuesParser::new([
        PossibleValue::new(Decoder::AR.name()).help("No drafter: plain decoding, one token per pass"),
        PossibleValue::new(Decoder::SCD.name()).help("The model's own laws of the last pass; needs no draft heads"),
        PossibleValue::new(Decoder::SOAR.name())
            .help("The same from the best fitting of several passes, with branches"),
        PossibleValue::new(Decoder::MEDUSA.name()).help("Draft heads, each for a token further ahead"),
    ])
    .try_map(|name| name.parse())
}

fn exact_rule() -> impl TypedValueParser<Value = AnyRule> {
    let value = |rule: AnyRule| PossibleValue::new(rule.name()).help(rule_help(rule));
    PossibleValuesParser::new([Rule::Replay, Rule::Rejection].map(|rule| value(rule.into())))
        .try_map(|name| name.parse())
}

pub(crate) fn run(args: &TextArgs) -> Result<()> {
    let sampling = sampling(&args.sampling)?;
    let model = args.model.shared();
    let source = model.source()?;
    let mut files = Files::default();
    files.reads_model("--model", &source);
    files.reads_heads("--heads", args.decoding.heads.as_deref());
    let tokens_out = files.writes_report("--tokens-out", args.tokens_out.as_ref())?;
    let stats_out = files.writes_report("--stats", args.stats.as_ref())?;
    let prompt = inputs::typed_text(&args.prompt)?;
    let clock = Instant::now();
    let precision = model.precision(args.model.precision, Precision::Bf16)?;
    let mut engine = TextEngine::load(source, model.options(precision))?;
    if let Some(dir) = &args.decoding.heads {
        engine = engine.with_heads(&ModelSource::Dir(dir.clone()))?;
    }
    let request = TextRequest {
        prompt,
        style: if args.chat { PromptStyle::Chat } else { PromptStyle::Plain },
        sampling,
        decoding: args.decoding.decoding(&engine)?,
        max_tokens: args.max_tokens as usize,
    };
    let load = clock.elapsed();
    interrupt::watch()?;
    let Written { text, stop } = write(&engine, &request)?;
    let (tokens, stats) = (text.tokens.len(), &text.stats);
    let seed = match sampling {
        TextSampling::Greedy => "greedy".to_owned(),
        TextSampling::Drawn { seed, .. } => format!("seed {seed}"),
    };
    note(format_args!(
        "{tokens} tokens in {} passes ({:.2} tokens per pass), {:.1} tokens/s, {seed}, {} in {precision}, stopped by {stop}",
        stats.target_passes,
        stats.acceptance_length(),
        tokens_per_s(&text),
        request.decoding.decoder(),
    ));
    if let Some(file) = tokens_out {
        file.write_json(&TextTokens::new(&engine, &request, &text, stop.clone())?)?;
    }
    if let Some(file) = stats_out {
        file.write_json(&TextStats::new(&engine, &request, &text, TextRun { load, stop }))?;
    }
    Ok(())
}

/// A text that was printed, as far as it came.
struct Written {
    text: GeneratedText,
    /// What ended it, in words.
    stop: String,
}

/// Writes the text to standard output as it is committed.
fn write(engine: &TextEngine, request: &TextRequest) -> Result<Written> {
    let mut tokens: Option<TextStream<'_>> = None;
    let (mut failure, mut output) = (None, Ok(()));
    let text = engine.generate(request, &mut |event| {
        match event {
            TextEvent::PrefillDone { prompt } => tokens = Some(engine.stream(prompt)),
            TextEvent::TokensCommitted { tokens: new, .. } => {
                let pieces = tokens.iter_mut().flat_map(|stream| new.iter().map(|&token| stream.push(token)));
                match pieces.collect::<Result<String>>() {
                    Ok(piece) => {
                        output = stream(&piece);
                        if output.is_err() {
                            return ControlFlow::Break(());
                        }
                    }
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            _ => {}
        }
        interrupt::flow()
    })?;
    if let Some(tokens) = tokens {
        // The end of the program reports what could not be printed.
        let _ = stream(&format!("{}\n", tokens.finish()?));
    }
    let stop = match (text.stop, output) {
        (Stop::Observer, Err(StreamEnded::ReaderGone)) => "the end of who read standard output".to_owned(),
        (Stop::Observer, Err(StreamEnded::Failed)) => "a failed write to standard output".to_owned(),
        (stop, _) => stop.to_string(),
    };
    failure.map_or(Ok(Written { text, stop }), Err)
}

fn sampling(args: &TextSamplingArgs) -> Result<TextSampling> {
    if args.temperature == 0.0 {
        let given = [("--seed", args.seed.is_some()), ("--top-k", args.top_k != 0), ("--top-p", args.top_p != 1.0)];
        return match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(not_greedy(name, "--temperature 0, the default")),
            None => Ok(TextSampling::Greedy),
        };
    }
    let sampling = Sampling::new(1.0, args.temperature, args.top_k, args.top_p).map_err(invalid_setting)?;
    Ok(TextSampling::Drawn { sampling, seed: Seed(args.seed.unwrap_or_else(fresh_seed)) })
}
