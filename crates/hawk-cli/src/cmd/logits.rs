//! `hawk logits`: the transformer alone, for comparison with other implementations.

use hawk::{Error, Precision, Result};
use hawk_spec::TokenId;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::args::LogitsArgs;
use crate::{files, inputs, say};

pub(crate) fn run(args: &LogitsArgs) -> Result<()> {
    files::check_writable(&args.out)?;
    let tokens = inputs::tokens(&files::read(&args.tokens)?).map_err(|e| e.at(args.tokens.display()))?;
    let ids: Vec<TokenId> = tokens.into_iter().map(TokenId).collect();
    let precision = args.model.precision(args.precision, Precision::F32)?;
    let (source, options) = (args.model.source()?, args.model.options(precision));
    let (logits, vocabulary) = match &args.features {
        Some(file) => hawk::logits_after_features(&source, options, files::read(file)?, &ids)?,
        None => hawk::logits(&source, options, &ids)?,
    };
    let positions = logits.len() / vocabulary;
    let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
    let failed = |e: safetensors::SafeTensorError| Error::input(format!("cannot write safetensors: {e}"));
    let view = TensorView::new(Dtype::F32, vec![1, positions, vocabulary], &bytes).map_err(failed)?;
    files::write(&args.out, &safetensors::serialize([("logits", view)], None).map_err(failed)?)?;
    say(format_args!("{}: logits [1, {positions}, {vocabulary}] in {precision}", args.out.display()));
    Ok(())
}
