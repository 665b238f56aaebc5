//! `hawk synth`: models of the public shapes with random weights.

use std::sync::Arc;

use hawk::{Error, ModelSource, Result};
use hawk_nn::Progress;
use hawk_synth::{synthesize, synthesize_heads};

use crate::args::{Synth, SynthArgs};
use crate::cmd::convert::bytes_bar;
use crate::hub::find_model;
use crate::{files, say};

pub(crate) fn run(args: &SynthArgs) -> Result<()> {
    files::check_folder_can_be_made(&args.out)?;
    let bar = bytes_bar();
    let hear = bar.clone();
    let progress: Progress = Arc::new(move |done, total| {
        hear.set_length(total);
        hear.set_position(done);
    });
    match (args.what, &args.model) {
        (Synth::Model(_), Some(model)) => {
            return Err(Error::input("--model is for heads alone").got(model.display()));
        }
        (Synth::Model(model), None) => synthesize(model, args.seed, &args.out, &progress)?,
        (Synth::Heads, Some(model)) => {
            let source = ModelSource::Dir(find_model(model)?);
            synthesize_heads(&source, &model.display().to_string(), args.seed, &args.out, &progress)?;
        }
        (Synth::Heads, None) => return Err(Error::input("heads need a model").expected("--model DIR")),
    }
    bar.finish_and_clear();
    say(args.out.display());
    Ok(())
}
