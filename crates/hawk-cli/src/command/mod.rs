//! The command line: every command by its name. Its arguments are in its own file of `cmd/`.

mod hints;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cmd;
use hints::Options;

/// A command that was typed, and its options.
pub(crate) struct Typed {
    pub(crate) command: Command,
    pub(crate) options: Options,
}

/// Parses the words of a command line.
///
/// # Errors
/// They ask for a text such as the help, or are no command.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Typed, clap::Error> {
    let matches = program().try_get_matches_from(words)?;
    let mut names = Vec::new();
    let mut at: &ArgMatches = &matches;
    while let Some((name, inner)) = at.subcommand() {
        names.push(name);
        at = inner;
    }
    let options = Options::of(&Cli::command(), &names);
    Ok(Typed { command: Cli::from_arg_matches(&matches)?.command, options })
}

/// The program as clap parses it. A number may begin with a minus everywhere, so that the option says
/// what it expects.
fn program() -> clap::Command {
    with_negative_numbers(Cli::command())
}

fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let takes_values = |argument: &clap::Arg| argument.get_action().takes_values();
    command
        .mut_args(|argument| if takes_values(&argument) { argument.allow_negative_numbers(true) } else { argument })
        .mut_subcommands(with_negative_numbers)
}

/// Generate images from text with autoregressive models; speculative decoding keeps every pixel.
#[derive(Parser)]
#[command(
    name = "hawk",
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Examples:
  hawk generate \"a red apple, fluent 3d style\" --out apple.png   # with the built-in model
  hawk again apple.png                                           # regenerate it and compare
  hawk generate --help                                           # all options, with examples

Exit codes: 0 success; 1 `hawk again` found other pixels; 2 invalid input; 3 a failure of the machine, \
such as a full disk or no network."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Generate images from prompts
    Generate(Box<cmd::generate::GenerateArgs>),
    /// Generate the images of a file of prompts into a folder; the same command goes on after a stop
    Batch(Box<cmd::batch::BatchArgs>),
    /// Serve images over HTTP, with a page to watch them grow
    #[cfg(feature = "serve")]
    Serve(Box<cmd::serve::ServeArgs>),
    /// Generate text with a Llama language model
    Text(Box<cmd::text::TextArgs>),
    /// Regenerate an image from the record in its PNG and compare the pixels
    Again(cmd::again::AgainArgs),
    /// Run the transformer over token ids and save its logits
    Logits(cmd::logits::LogitsArgs),
    /// Encode a caption with T5, for LlamaGen's text-to-image models
    #[cfg(feature = "t5")]
    Features(cmd::features::FeaturesArgs),
    /// Decode image codes to pixels
    Decode(cmd::decode::DecodeArgs),
    /// Show what a model's folder or a generated PNG holds
    Inspect(cmd::inspect::InspectArgs),
    /// Download a model from a hub into the shared cache
    Pull(cmd::pull::PullArgs),
    /// Convert a public model into a folder that loads directly
    Convert(cmd::convert::ConvertArgs),
    /// Write a model of a public shape with random weights, for tests and measurements
    Synth(cmd::synth::SynthArgs),
    /// See inside a model: the figures of the paper, on any model
    #[command(subcommand)]
    Analyze(Analyze),
    /// Speed and quality of decoders over prompts: `hawk analyze table` by a short name
    #[command(hide = true)]
    Eval(Box<cmd::analyze::table::TableArgs>),
    /// Measure speed on this machine
    #[command(subcommand)]
    Bench(Bench),
    /// Train a model or a part of one
    #[cfg(feature = "train")]
    #[command(subcommand)]
    Train(Train),
    /// Make training pictures with captions
    #[cfg(feature = "pictures")]
    #[command(subcommand)]
    Data(Data),
    /// Measure how well a model's images match their captions
    #[cfg(feature = "train")]
    Evaluate(Box<cmd::evaluate::EvaluateArgs>),
}

/// What is looked at.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  hawk analyze attention --out analysis/
  hawk analyze rejection --model lumina/ --heads heads/ --out analysis/
  hawk analyze table --prompts captions_val2014.json --pictures val2014/ --out analysis/
  hawk analyze report analysis/ --html report.html

Each command writes its figure into the folder as JSON, its plots as SVG and CSV, and report.html, one
page of all figures in the folder. docs/paper.md shows them beside those of the paper.")]
pub(crate) enum Analyze {
    /// Attention by distance and on the plane: figures 1 and 7
    Attention(Box<cmd::analyze::attention::AttentionArgs>),
    /// Draft heads by offset: figure 4
    Heads(Box<cmd::analyze::heads::HeadsArgs>),
    /// Draft laws against each other and against the target's: figure 5
    Divergence(Box<cmd::analyze::divergence::DivergenceArgs>),
    /// Rejection of a node by the number of its candidates: figure 6
    Rejection(Box<cmd::analyze::rejection::RejectionArgs>),
    /// Pictures over temperature, top-k and guidance: figures 8 and 9
    Sampling(Box<cmd::analyze::sampling::SamplingSheetArgs>),
    /// Speed and quality of decoders over prompts, beside real pictures: table 1
    Table(Box<cmd::analyze::table::TableArgs>),
    /// One page of the figures of several folders
    Report(cmd::analyze::report::ReportArgs),
}

/// What is measured.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  hawk bench step
  hawk bench decoders --images 8 --html bench.html
  hawk bench model --model Janus-Pro-1B --precision int8
  hawk bench project bench.json --device h100")]
pub(crate) enum Bench {
    /// Time target passes of 1 to 32 rows against the roofline
    Step(cmd::bench_step::BenchStepArgs),
    /// Measure a full-size model: load time, memory, passes against the roofline, agreement of all decoders
    Model(cmd::bench_model::BenchModelArgs),
    /// Compare decoders on the same images: equality, acceptance, speed
    Decoders(Box<cmd::bench_decoders::BenchDecodersArgs>),
    /// Project a recorded comparison of decoders onto other devices
    Project(cmd::bench_project::BenchProjectArgs),
}

/// What is trained.
#[cfg(feature = "train")]
#[derive(Subcommand)]
#[command(after_help = "Examples:
  hawk train heads --out heads/
  hawk train vq --pictures emoji/ --out tokenizer/
  hawk train target --pictures emoji/ --tokenizer tokenizer/ --out model/")]
pub(crate) enum Train {
    /// Train draft heads, which propose cells ahead, for a model
    Heads(Box<cmd::train_heads::TrainHeadsArgs>),
    /// Train a VQ tokenizer, which encodes pictures to codes and decodes them
    Vq(Box<cmd::train_vq::TrainVqArgs>),
    /// Train a text-to-image model
    Target(Box<cmd::train_target::TrainTargetArgs>),
}

/// What is made to learn from.
#[cfg(feature = "pictures")]
#[derive(Subcommand)]
#[cfg_attr(
    not(feature = "train"),
    command(after_help = "Examples:
  hawk data landscapes --out landscapes/ --pictures 1000
  hawk data landscapes --out mixture/ --pictures 20000 --things things.pack

`hawk data emoji` is in the program that is built with `--features train`.")
)]
#[cfg_attr(
    feature = "train",
    command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk data emoji --out quick/ --limit 400 --scenes 100
  hawk data landscapes --out landscapes/ --pictures 1000
  hawk data landscapes --out mixture/ --pictures 20000 --things emoji/")
)]
pub(crate) enum Data {
    /// Paint captioned landscapes, and mixtures of landscapes and things, 128 x 128 pixels each
    Landscapes(Box<cmd::data_landscapes::DataLandscapesArgs>),
    /// Make captioned emoji in eight styles, and scenes of them, 128 x 128 pixels each
    #[cfg(feature = "train")]
    Emoji(Box<cmd::data_emoji::DataEmojiArgs>),
}
