//! `hawk logits`: the transformer alone, for comparison with other implementations.

use std::path::PathBuf;

use hawk::{Error, Precision, Result};
use hawk_spec::TokenId;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::args::{ModelArgs, precision};
use crate::inputs;
use crate::output::files::Files;
use crate::output::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  echo '{\"tokens\": [1, 2, 3]}' | hawk logits --tokens - --out logits.safetensors
  hawk logits --model Janus-Pro-1B --tokens tokens.json --precision bf16 --out logits.safetensors")]
pub(crate) struct LogitsArgs {
    /// File with {"tokens": [ids]}; - is standard input
    #[arg(long, value_name = "F.json")]
    tokens: PathBuf,
    /// Caption features (safetensors) before the tokens, for models that read them
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// File to write: the tensor `logits` [1, T, V] in f32
    #[arg(long, value_name = "F.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Number format of the weights [default: the format that the model is packed in, else f32]
    #[arg(long, value_parser = precision())]
    precision: Option<Precision>,
}

pub(crate) fn run(args: &LogitsArgs) -> Result<()> {
    let source = args.model.source()?;
    let mut files = Files::default();
    files.reads("--tokens", &args.tokens);
    args.features.iter().for_each(|file| files.reads("--features", file));
    files.reads_model("--model", &source);
    let out = files.writes("--out", &args.out)?;
    let tokens = inputs::tokens(&inputs::read(&args.tokens)?).map_err(|e| e.at(args.tokens.display()))?;
    let ids: Vec<TokenId> = tokens.into_iter().map(TokenId).collect();
    let precision = args.model.precision(args.precision, Precision::F32)?;
    let options = args.model.options(precision);
    let (logits, vocabulary) = match &args.features {
        Some(file) => hawk::logits_after_features(&source, options, inputs::read(file)?, &ids)?,
        None => hawk::logits(&source, options, &ids)?,
    };
    let positions = logits.len() / vocabulary;
    let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
    let failed = |e: safetensors::SafeTensorError| Error::input(format!("cannot write safetensors: {e}"));
    let view = TensorView::new(Dtype::F32, vec![1, positions, vocabulary], &bytes).map_err(failed)?;
    out.write(&safetensors::serialize([("logits", view)], None).map_err(failed)?)?;
    say(format_args!("{}: logits [1, {positions}, {vocabulary}] in {precision}", args.out.display()));
    Ok(())
}
