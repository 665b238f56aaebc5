//! `hawk synth`: models of the public shapes with random weights.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{Error, ModelSource, Result};
use hawk_hub::find_model;
use hawk_synth::{SynthModel, synthesize, synthesize_heads};

use crate::output::{files, progress, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk synth lumina-mgpt-7b --out lumina/
  hawk synth heads --model lumina/ --out lumina-heads/
  hawk generate \"anything\" --model lumina/ --heads lumina-heads/ --size 512x512

The shapes, tensor names and files are those of the public model; what it generates is noise. A 7B \
model takes 14 GB of disk and little memory. The same command resumes an interrupted run.")]
pub(crate) struct SynthArgs {
    /// Model to write, or `heads`: draft heads for the model of --model
    #[arg(value_name = "FAMILY-SIZE|heads", value_parser = kind())]
    kind: Kind,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Random seed of the weights
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Model that the heads are for: its folder, or name of a pulled one
    #[arg(long, value_name = "DIR|ORG/NAME", required_if_eq("kind", "heads"))]
    model: Option<PathBuf>,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model(SynthModel),
    Heads,
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    let names = SynthModel::ALL.map(SynthModel::name).into_iter().chain(["heads"]);
    PossibleValuesParser::new(names.collect::<Vec<_>>()).try_map(|name| match name.as_str() {
        "heads" => Ok(Kind::Heads),
        name => name.parse().map(Kind::Model),
    })
}

pub(crate) fn run(args: &SynthArgs) -> Result<()> {
    files::check_folder_can_be_made(&args.out)?;
    let (bar, progress) = progress::bytes_bar();
    match (args.kind, &args.model) {
        (Kind::Model(_), Some(model)) => {
            return Err(Error::input("--model is only for `hawk synth heads`").got(model.display()));
        }
        (Kind::Model(model), None) => synthesize(model, args.seed, &args.out, &progress)?,
        (Kind::Heads, Some(model)) => {
            let source = ModelSource::Dir(find_model(model)?);
            synthesize_heads(&source, &model.display().to_string(), args.seed, &args.out, &progress)?;
        }
        (Kind::Heads, None) => return Err(Error::input("heads need a model").expected("--model DIR")),
    }
    bar.finish_and_clear();
    say(args.out.display());
    Ok(())
}
