//! Arguments as typed, and the turning of those that commands share into settings as used.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use hawk::{
    AnyRule, Decoder, Decoding, Engine, Error, ImageSize, LoadOptions, ModelSource, Precision, Result, Rule, Sampling,
    TextEngine, Tree, built_in_model,
};

use hawk_nn::SynthModel;

use crate::hub::find_model;

/// Draws images from text with autoregressive models, faster and without changing a pixel.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Draw images from prompts
    Generate(Box<GenerateArgs>),
    /// Write text with a plain language model of the Llama kind
    Text(Box<TextArgs>),
    /// Make an image again from what its PNG says, and compare the pixels
    Again(AgainArgs),
    /// Run a transformer over token ids and save its logits
    Logits(LogitsArgs),
    /// Turn a caption into the features that LlamaGen's text-to-image models read
    #[cfg(feature = "t5")]
    Features(crate::cmd::features::FeaturesArgs),
    /// Turn the codes of an image into its pixels
    Decode(DecodeArgs),
    /// Say what a model, or an image of ours, is made of
    Inspect(InspectArgs),
    /// Fetch a model from a hub into the cache that other programs share
    Pull(PullArgs),
    /// Bring the files of a public model into one folder that loads as it is
    Convert(ConvertArgs),
    /// Write a model of a public shape with random weights, to measure and to test
    Synth(SynthArgs),
    /// Measure this machine
    #[command(subcommand)]
    Bench(Bench),
    /// Train parts of a model
    #[cfg(feature = "train")]
    #[command(subcommand)]
    Train(TrainCommand),
    /// Make pictures and captions to learn from
    #[cfg(feature = "train")]
    #[command(subcommand)]
    Data(DataCommand),
    /// Measure whether a model draws what captions say: concepts, styles, grounds, orders, numbers
    #[cfg(feature = "train")]
    Evaluate(Box<crate::cmd::evaluate::EvaluateArgs>),
}

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Time whole target passes of 1 to 32 rows beside the roof that bandwidth and peak set
    Step(BenchStepArgs),
    /// What a model of full size needs here: time and memory of loading, passes beside their roof, the first cells by every decoder
    Model(BenchModelArgs),
    /// Let decoders draw the same images in turn: how much each accepts, how fast it is, whether the images are the same
    Decoders(Box<BenchDecodersArgs>),
}

/// What is trained.
#[cfg(feature = "train")]
#[derive(Subcommand)]
pub(crate) enum TrainCommand {
    /// Train draft heads, which guess cells ahead, for a model
    Heads(Box<crate::cmd::train_heads::TrainHeadsArgs>),
    /// Train a VQ tokenizer, which turns pictures into codes and back
    Vq(Box<crate::cmd::train_vq::TrainVqArgs>),
    /// Train a whole model, which draws pictures for captions
    Target(Box<crate::cmd::train_target::TrainTargetArgs>),
}

/// What is made to learn from.
#[cfg(feature = "train")]
#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// Emoji in eight styles and scenes composed of them, 128 pixels square
    Emoji(Box<crate::cmd::data_emoji::DataEmojiArgs>),
}

/// Which model, how loaded.
#[derive(clap::Args)]
pub(crate) struct ModelArgs {
    /// Folder of the model, or ORG/NAME of one that was pulled; without it the model inside the program is used
    #[arg(long, value_name = "DIR|ORG/NAME")]
    pub(crate) model: Option<PathBuf>,
    /// Threads; the images do not depend on it [default: one per core]
    #[arg(long, value_name = "T")]
    pub(crate) threads: Option<NonZero<usize>>,
}

impl ModelArgs {
    pub(crate) fn source(&self) -> Result<ModelSource> {
        let found = self.model.as_deref().map(find_model).transpose()?;
        Ok(found.map_or_else(built_in_model, ModelSource::Dir))
    }

    /// The precision asked for, else the one that the model is packed for, else `otherwise`.
    pub(crate) fn precision(&self, asked: Option<Precision>, otherwise: Precision) -> Result<Precision> {
        match asked {
            Some(precision) => Ok(precision),
            None => Ok(hawk::packed_for(&self.source()?)?.unwrap_or(otherwise)),
        }
    }

    pub(crate) fn options(&self, precision: Precision) -> LoadOptions {
        let threads = self.threads.map_or(LoadOptions::default().threads, NonZero::get);
        LoadOptions { precision, threads }
    }

    /// The model's name in records.
    pub(crate) fn name(&self) -> String {
        self.model.as_ref().map_or_else(|| hawk::BUILT_IN.to_owned(), |dir| dir.display().to_string())
    }
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk generate \"a red apple, fluent 3d style\" --out apple.png
  hawk generate \"octopus, fluent flat style\" --n 8 --seed 1 --out octopuses/
  hawk generate --prompts captions.txt --decoder ar --precision f32 --stats stats.json --out sheet/
  hawk generate \"a lighthouse at night\" --model Janus-Pro-1B --out lighthouse.png
  hawk generate --class 207 --class 360 --model llamagen-c2i-L --out dogs-and-otters/

Under the rule `replay` one seed gives one image, byte for byte, whatever decoder, tree, batch and number of threads.")]
pub(crate) struct GenerateArgs {
    /// What to draw; several prompts give several images
    #[arg(value_name = "PROMPT")]
    pub(crate) prompts: Vec<String>,
    /// File with a prompt a line (`-`: standard input)
    #[arg(long = "prompts", value_name = "FILE")]
    pub(crate) prompts_file: Option<PathBuf>,
    /// Number of a class to draw, for a model of classes; may be given several times
    #[arg(long = "class", value_name = "N")]
    pub(crate) classes: Vec<u32>,
    /// Features of a caption (safetensors), for a model that reads those; the prompt is then but a name
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
    #[cfg(feature = "t5")]
    #[command(flatten)]
    pub(crate) t5: crate::cmd::features::T5Args,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// A .png file (numbered where there are several images), else a folder, made if need be [default: this folder]
    #[arg(long, value_name = "FILE_OR_DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Images of each prompt
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) n: u32,
    /// Key of the noise [default: a new one each time, printed and kept in the PNG]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) decoding: DecodingArgs,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Number format of the weights [default: what the model is packed for, else bf16]
    #[arg(long, value_parser = precision())]
    pub(crate) precision: Option<Precision>,
    /// Width and height of the images in pixels, where the model draws several sizes [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = image_size)]
    pub(crate) size: Option<ImageSize>,
    /// Let the model draw the size, as Lumina-mGPT's own program does: --size is then only what the prompt names. One size for all images
    /// of the prompt
    #[arg(long)]
    pub(crate) draw_size: bool,
    /// How many images of a prompt ride in one pass
    #[arg(long, value_name = "B", default_value_t = 4)]
    pub(crate) batch: usize,
    /// Write token ids, prefixes and codes of all images
    #[arg(long, value_name = "F.json")]
    pub(crate) tokens_out: Option<PathBuf>,
    /// Write what the decodes did: passes, acceptance, times
    #[arg(long, value_name = "F.json")]
    pub(crate) stats: Option<PathBuf>,
    /// Show the images in the terminal
    #[arg(long, value_enum, default_value_t = Preview::Auto)]
    pub(crate) preview: Preview,
}

/// How codes are drawn.
#[derive(clap::Args)]
pub(crate) struct SamplingArgs {
    /// Scale of guidance by the prompt, 0 to 100; 1 = none [default: the model's]
    #[arg(long, value_name = "F")]
    pub(crate) cfg: Option<f32>,
    /// Divisor of the logits, above 0; higher is wilder [default: the model's]
    #[arg(long, value_name = "F")]
    pub(crate) temperature: Option<f32>,
    /// Draw among the K likeliest codes only; 0 = all [default: the model's]
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<u32>,
    /// Draw among the likeliest codes that hold this much probability, above 0 to 1 [default: the model's]
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f32>,
}

impl SamplingArgs {
    /// The settings given, the others from `defaults`.
    pub(crate) fn or(&self, defaults: Sampling) -> Result<Sampling> {
        Sampling::new(
            self.cfg.unwrap_or(defaults.cfg()),
            self.temperature.unwrap_or(defaults.temperature()),
            self.top_k.unwrap_or(defaults.top_k()),
            self.top_p.unwrap_or(defaults.top_p()),
        )
        .map_err(refused)
    }
}

/// Of a setting that the library refuses.
pub(crate) fn refused(e: impl std::fmt::Display) -> Error {
    Error::input(format!("a setting cannot be: {e}"))
}

/// What guesses, and how guesses are tested.
#[derive(clap::Args)]
pub(crate) struct DecodingArgs {
    /// What guesses cells ahead: `ar` nothing (plain decoding), `neighbour` copies of the cells left and above, `medusa` horizontal draft
    /// heads, `hawk-vertical` vertical heads and their cache, `hawk` all heads together, `hawk-paper` all heads with a law each [default:
    /// hawk, or ar where the model has no heads]
    #[arg(long, value_parser = decoder())]
    pub(crate) decoder: Option<Decoder>,
    /// How guesses are tested: `replay` gives the very image of plain decoding, `rejection` one of the same law; `typical` and `lantern`
    /// CHANGE THE LAW and are there for comparison
    #[arg(long, default_value_t = AnyRule::Exact(Rule::Replay), value_parser = rule())]
    pub(crate) rule: AnyRule,
    /// The token tree: a number of nodes, the last committed token included (7), candidates per level (4x2x1),
    /// or `auto`: as large as is quickest here, which may be no guess at all (only under the rule `replay`) [default: auto; under other
    /// rules 4]
    #[arg(long, value_name = "NODES|SHAPE|auto", value_parser = str::parse::<Tree>)]
    pub(crate) tree: Option<Tree>,
    /// Folder of draft heads, in place of the model's own
    #[arg(long, value_name = "DIR")]
    pub(crate) heads: Option<PathBuf>,
}

/// The engine with the heads that were asked for.
pub(crate) fn equip(engine: Engine, heads: Option<&Path>) -> Result<Engine> {
    match heads {
        Some(dir) => engine.with_heads(&ModelSource::Dir(dir.to_owned())),
        None => Ok(engine),
    }
}

/// The engine with the features of a caption that were asked for.
pub(crate) fn caption(engine: Engine, features: Option<&Path>) -> Result<Engine> {
    match features {
        Some(file) => engine.with_features(crate::files::read(file)?).map_err(|e| e.at(file.display())),
        None => Ok(engine),
    }
}

impl DecodingArgs {
    pub(crate) fn decoding(&self, engine: &Engine) -> Result<Decoding> {
        let decoder = self.decoder.unwrap_or(if engine.heads().is_some() { Decoder::Hawk } else { Decoder::Ar });
        Decoding::new(decoder, self.rule, self.tree.unwrap_or(decoder.default_tree(self.rule)))
    }
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk text \"The hawk is a bird of prey that\" --model meta-llama/Llama-2-7b-hf
  hawk text \"Why is the sky blue?\" --model Llama-2-7b-chat-hf --chat --max-tokens 400 --precision int8
  hawk text \"Once upon a time\" --model llama --heads llama-heads --decoder medusa --temperature 0.8 --top-p 0.95 --seed 7
  hawk synth tiny-llama --out tiny && hawk synth heads --model tiny --out tiny-heads   # to try the options: the text is noise

The text goes to standard output as it is committed, a line of statistics to the standard error. Greedy decoding (--temperature 0, the
default) reads no random number. Under the rule `replay` one seed gives one text, token for token, whatever decoder, tree and number of
threads; so does greedy decoding under both rules. More: docs/text.md")]
pub(crate) struct TextArgs {
    /// The text to go on from; with --chat the question
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: String,
    /// Folder of a Llama in the Hugging Face layout, or ORG/NAME of one that was pulled
    #[arg(long, value_name = "DIR|ORG/NAME")]
    pub(crate) model: PathBuf,
    /// Threads; the text does not depend on it [default: one per core]
    #[arg(long, value_name = "T")]
    pub(crate) threads: Option<NonZero<usize>>,
    /// Number format of the weights [default: what the model is packed for, else bf16]
    #[arg(long, value_parser = precision())]
    pub(crate) precision: Option<Precision>,
    /// Put LLaMA 2's chat around the prompt: [INST] PROMPT [/INST]
    #[arg(long)]
    pub(crate) chat: bool,
    /// Most tokens after the prompt; the model's end of text, or its positions, may end it before
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: u32,
    /// Divisor of the logits; 0 = greedy: always the likeliest token
    #[arg(long, value_name = "F", default_value_t = 0.0)]
    pub(crate) temperature: f32,
    /// Draw among the K likeliest tokens only; 0 = all
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) top_k: u32,
    /// Draw among the likeliest tokens that hold this much probability, above 0 to 1
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) top_p: f32,
    /// Key of the noise, for a temperature above 0 [default: a new one each time, printed]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// What guesses tokens ahead: `ar` nothing (plain decoding), `medusa` horizontal draft heads [default: medusa, or ar where there are no
    /// heads]
    #[arg(long, value_parser = text_decoder())]
    pub(crate) decoder: Option<Decoder>,
    /// How guesses are tested: `replay` gives the very text of plain decoding, `rejection` one of the same law
    #[arg(long, default_value_t = AnyRule::Exact(Rule::Replay), value_parser = exact_rule())]
    pub(crate) rule: AnyRule,
    /// The token tree: a number of nodes, the last committed token included (7), candidates per level (4x2x1), or `auto`: as large as is
    /// quickest here, which may be no guess at all (only under the rule `replay`) [default: auto; under `rejection` 4]
    #[arg(long, visible_alias = "budget", value_name = "NODES|SHAPE|auto", value_parser = str::parse::<Tree>)]
    pub(crate) tree: Option<Tree>,
    /// Folder of draft heads of text (H1, H2, ...), in place of the model's own
    #[arg(long, value_name = "DIR")]
    pub(crate) heads: Option<PathBuf>,
    /// Write the prompt's token ids and the text's
    #[arg(long, value_name = "F.json")]
    pub(crate) tokens_out: Option<PathBuf>,
    /// Write what the decode did: passes, acceptance, times
    #[arg(long, value_name = "F.json")]
    pub(crate) stats: Option<PathBuf>,
}

impl TextArgs {
    pub(crate) fn model(&self) -> ModelArgs {
        ModelArgs { model: Some(self.model.clone()), threads: self.threads }
    }

    pub(crate) fn decoding(&self, engine: &TextEngine) -> Result<Decoding> {
        let decoder = self.decoder.unwrap_or(if engine.heads().is_some() { Decoder::Medusa } else { Decoder::Ar });
        Decoding::new(decoder, self.rule, self.tree.unwrap_or(decoder.default_tree(self.rule)))
    }
}

/// When images are shown in the terminal.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Preview {
    /// In terminals that say they have 24-bit colour
    Auto,
    Always,
    Never,
}

#[derive(clap::Args)]
pub(crate) struct AgainArgs {
    /// A PNG of `hawk generate`
    #[arg(value_name = "FILE.png")]
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Use this decoder instead of the image's; under the rule `replay` the pixels must not change
    #[arg(long, value_parser = decoder())]
    pub(crate) decoder: Option<Decoder>,
    /// The features of the caption, where the image was made from some
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
    #[cfg(feature = "t5")]
    #[command(flatten)]
    pub(crate) t5: crate::cmd::features::T5Args,
    /// Write the image made again
    #[arg(long, value_name = "FILE.png")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct LogitsArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// `{"tokens": [ids]}`
    #[arg(long, value_name = "F.json")]
    pub(crate) tokens: PathBuf,
    /// Features of a caption, which stand before the tokens, for a model that reads those
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Option<PathBuf>,
    /// Where the tensor `logits` [1, T, V] goes, in f32
    #[arg(long, value_name = "F.safetensors")]
    pub(crate) out: PathBuf,
    /// Number format of the weights [default: what the model is packed for, else f32]
    #[arg(long, value_parser = precision())]
    pub(crate) precision: Option<Precision>,
}

#[derive(clap::Args)]
pub(crate) struct DecodeArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// `{"codes": [one per cell, row after row]}`, or what `hawk generate --tokens-out` wrote
    #[arg(long, value_name = "F.json")]
    pub(crate) codes: PathBuf,
    /// Where the image goes (numbered where there are several)
    #[arg(long, value_name = "F.png")]
    pub(crate) out: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct InspectArgs {
    /// Folder of a model, ORG/NAME of one that was pulled, or a PNG of `hawk generate` [default: the model inside the program]
    #[arg(value_name = "MODEL")]
    pub(crate) subject: Option<PathBuf>,
    /// Write the image beside a copy that is tinted by the source of each cell: drawn by the target, or guessed by whom
    #[arg(long, value_name = "FILE.png", requires = "subject")]
    pub(crate) overlay: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk pull Alpha-VLLM/Lumina-mGPT-7B-768
  hawk generate \"a red apple on a table\" --model Alpha-VLLM/Lumina-mGPT-7B-768

Files go to the cache of the Hugging Face ecosystem (HF_HUB_CACHE, or hub/ in HF_HOME, or ~/.cache/huggingface/hub). A pull that was broken
off goes on. HF_ENDPOINT names another hub, HF_TOKEN a token for gated repositories, HF_HUB_OFFLINE=1 forbids the network.")]
pub(crate) struct PullArgs {
    /// The repository, or ORG/NAME@REVISION
    #[arg(value_name = "ORG/NAME")]
    pub(crate) repository: String,
    /// A branch, a tag or a commit [default: main]
    #[arg(long, value_name = "R")]
    pub(crate) revision: Option<String>,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk convert Lumina-mGPT-7B-768/ --tokenizer chameleon/tokenizer/ --out lumina/ --precision int8
  hawk convert Anole-7b-v0.1/ --out anole/
  hawk convert chameleon/tokenizer/vqgan.ckpt --out lumina/vq/
  hawk convert c2i_B_256.pt --vq vq_ds16_c2i.pt --out llamagen-c2i-B/
  hawk convert LlamaGen-T2I/ --vq vq_ds16_t2i.pt --size 256x256 --out llamagen-t2i-XL/

Reads safetensors and PyTorch's pickles (of which nothing is ever run), in the layouts of Hugging Face and of Meta. Without --precision the
numbers stay as they are and other programs can read them; with it the weights are packed for this program's kernels, and loading takes no
time but the disk's. The same command again goes on where one was broken off. More: docs/public-models.md")]
pub(crate) struct ConvertArgs {
    /// Folder of a model, ORG/NAME of one that was pulled, or a file of weights (.safetensors, .pt, .pth, .bin, .ckpt)
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Pack the weights in this number format
    #[arg(long, value_parser = packed_precision())]
    pub(crate) precision: Option<Precision>,
    /// Folder with text_tokenizer.json, vqgan.yaml and vqgan.ckpt [default: the usual places around SRC]
    #[arg(long, value_name = "DIR")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// LlamaGen: the file of its VQ tokenizer [default: vq_ds16_c2i.pt or vq_ds16_t2i.pt beside SRC]
    #[arg(long, value_name = "FILE")]
    pub(crate) vq: Option<PathBuf>,
    /// LlamaGen: the size of the images that it was trained on, in pixels [default: 256, 384 or 512 in the name of SRC]
    #[arg(long, value_name = "WxH", value_parser = image_size)]
    pub(crate) size: Option<ImageSize>,
    /// LlamaGen: attention heads of a layer, for a model of no published size
    #[arg(long, value_name = "N")]
    pub(crate) n_head: Option<NonZero<usize>>,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk synth lumina-mgpt-7b --out lumina-synth/
  hawk synth heads --model lumina-synth/ --out lumina-heads/
  hawk synth llama-2-7b --out llama-synth/
  hawk generate \"anything\" --model lumina-synth/ --heads lumina-heads/ --size 512x512

The shapes, names and files are the public model's, what they draw and write is noise. 7B take 14 GB of disk and little memory; the same command again
goes on where one was broken off.")]
pub(crate) struct SynthArgs {
    /// The model, or `heads` for draft heads of a model that is there
    #[arg(value_name = "FAMILY-SIZE|heads", value_parser = synth())]
    pub(crate) what: Synth,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Key of the random numbers
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The model that the heads are for: a folder, or ORG/NAME of one that was pulled
    #[arg(long, value_name = "DIR|ORG/NAME", required_if_eq("what", "heads"))]
    pub(crate) model: Option<PathBuf>,
}

/// What `hawk synth` writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synth {
    Model(SynthModel),
    Heads,
}

fn synth() -> impl TypedValueParser<Value = Synth> {
    let names = SynthModel::ALL.map(SynthModel::name).into_iter().chain(["heads"]);
    PossibleValuesParser::new(names.collect::<Vec<_>>()).try_map(|name| match name.as_str() {
        "heads" => Ok(Synth::Heads),
        name => name.parse().map(Synth::Model),
    })
}

#[derive(clap::Args)]
pub(crate) struct BenchStepArgs {
    /// The model that is measured after a synthetic one of dim 512 and 8 layers
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Only this number format
    #[arg(long, value_parser = precision())]
    pub(crate) precision: Option<Precision>,
    /// Milliseconds of passes for each number of rows
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    pub(crate) effort_ms: u64,
    /// Write the figures
    #[arg(long, value_name = "F.json")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  hawk synth lumina-mgpt-7b --out lumina/
  hawk synth heads --model lumina/ --out lumina-heads/
  hawk bench model --model lumina/ --heads lumina-heads/ --precision int8

Fails if a decoder's cells are not plain decoding's.")]
pub(crate) struct BenchModelArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Number format of the weights [default: what the model is packed for, else bf16]
    #[arg(long, value_parser = precision())]
    pub(crate) precision: Option<Precision>,
    /// Folder of draft heads, in place of the model's own
    #[arg(long, value_name = "DIR")]
    pub(crate) heads: Option<PathBuf>,
    /// Rows of the passes that are timed, two streams together
    #[arg(long, value_name = "ROWS", value_delimiter = ',', default_value = "2,4,8,16")]
    pub(crate) rows: Vec<usize>,
    /// Seconds of passes for each number of rows
    #[arg(long, value_name = "S", default_value_t = 6.0)]
    pub(crate) effort: f64,
    /// Cells that every decoder draws of the same image
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) cells: usize,
    /// Trees of the decoders that guess: nodes, a shape, or auto
    #[arg(long, value_name = "TREE", default_value = "4")]
    pub(crate) tree: Tree,
    /// What is drawn
    #[arg(long, value_name = "PROMPT", default_value = "a red apple on a wooden table")]
    pub(crate) prompt: String,
    /// Seed of the image
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write the figures
    #[arg(long, value_name = "F.json")]
    pub(crate) json: Option<PathBuf>,
}

impl BenchModelArgs {
    pub(crate) fn effort(&self) -> std::time::Duration {
        std::time::Duration::try_from_secs_f64(self.effort).unwrap_or_default()
    }
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk bench decoders --images 8 --json bench.json --html bench.html
  hawk bench decoders --decoder hawk --rule replay --budget 4,8,16 --precision bf16 --precision int8 --html bench.html

Every decoder's images are compared with plain decoding's before a time counts. What each column means: docs/benchmarks.md")]
pub(crate) struct BenchDecodersArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// File with a prompt a line (`-`: standard input) [default: a dozen captions of emoji]
    #[arg(long, value_name = "FILE")]
    pub(crate) prompts: Option<PathBuf>,
    /// Images that every decoder draws
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) images: u32,
    /// Seed of the first image; each further image has the next one
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Number formats of the weights; may be given several times
    #[arg(long = "precision", default_value = "bf16", value_delimiter = ',', value_parser = precision())]
    pub(crate) precisions: Vec<Precision>,
    /// Decoders beside plain decoding; may be given several times [default: all]
    #[arg(long = "decoder", value_delimiter = ',', value_parser = decoder())]
    pub(crate) decoders: Vec<Decoder>,
    /// Rules; may be given several times
    #[arg(long = "rule", default_values = ["replay", "rejection"], value_delimiter = ',', value_parser = rule())]
    pub(crate) rules: Vec<AnyRule>,
    /// Folder of draft heads, in place of the model's own
    #[arg(long, value_name = "DIR")]
    pub(crate) heads: Option<PathBuf>,
    /// Node budgets of the token trees [default: 2,4,8,16,32, and 2,4,8 where copies are the only guesses]
    #[arg(long = "budget", value_name = "NODES", value_delimiter = ',')]
    pub(crate) budgets: Vec<usize>,
    /// Write the figures
    #[arg(long, value_name = "F.json")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page of tables, plots and images
    #[arg(long, value_name = "F.html")]
    pub(crate) html: Option<PathBuf>,
}

pub(crate) fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["f32", "bf16", "int8"]).try_map(|name| name.parse())
}

fn packed_precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["bf16", "int8"]).try_map(|name| name.parse())
}

fn image_size(typed: &str) -> std::result::Result<ImageSize, String> {
    let side = |side: &str| side.parse().ok().filter(|side| (1..=1 << 16).contains(side));
    let sides = typed.split_once(['x', 'X']).map(|(width, height)| (side(width), side(height)));
    match sides {
        Some((Some(width), Some(height))) => Ok(ImageSize { height, width }),
        _ => Err("expected width and height in pixels, such as 768x768".to_owned()),
    }
}

fn decoder() -> impl TypedValueParser<Value = Decoder> {
    PossibleValuesParser::new(Decoder::ALL.map(|decoder| decoder.name())).try_map(|name| name.parse())
}

fn text_decoder() -> impl TypedValueParser<Value = Decoder> {
    PossibleValuesParser::new([Decoder::Ar, Decoder::Medusa].map(Decoder::name)).try_map(|name| name.parse())
}

fn exact_rule() -> impl TypedValueParser<Value = AnyRule> {
    let exact = [Rule::Replay, Rule::Rejection].map(|rule| AnyRule::from(rule).name());
    PossibleValuesParser::new(exact).try_map(|name| name.parse())
}

fn rule() -> impl TypedValueParser<Value = AnyRule> {
    PossibleValuesParser::new(AnyRule::ALL.map(AnyRule::name)).try_map(|name| name.parse())
}
