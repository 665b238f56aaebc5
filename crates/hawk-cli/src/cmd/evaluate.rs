//! `hawk evaluate`: how well a model's images match their captions.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::{Engine, Precision, Result, Seed};
use hawk_train::{Accuracy, EvaluationRun, evaluate};

use crate::args::{ModelArgs, SamplingArgs, precision};
use crate::output::{progress, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk evaluate --pictures emoji/ --out evaluation/
  hawk evaluate --model model/ --pictures emoji/ --cfg 4 --out evaluation/

The command draws captions of emoji from training and captions of scenes that are new combinations, \
and compares the images with those of --pictures. Look at OUT/concepts.png too; its captions lie \
beside it, in order.")]
pub(crate) struct EvaluateArgs {
    /// Folder of the model's training pictures, as written by `hawk data emoji`
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// Folder to write: figures.json, and a sheet of images with its captions for each measure
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of prompts for each measure
    #[arg(long, value_name = "N", default_value_t = 100)]
    prompts: usize,
    /// Random seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
    /// Number format of the weights [default: the format that the model is packed in, else bf16]
    #[arg(long, value_parser = precision())]
    precision: Option<Precision>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let precision = args.model.precision(args.precision, Precision::Bf16)?;
    let engine = Engine::load(args.model.source()?, args.model.options(precision))?;
    let evaluation = EvaluationRun {
        pictures: args.pictures.clone(),
        prompts: args.prompts,
        sampling: args.sampling.or(engine.config().defaults)?,
        seed: Seed(args.seed),
        out: args.out.clone(),
    };
    let bar = progress::bar(0, "{bar:30} {pos}/{len} images  {per_sec}  eta {eta}");
    let evaluated = evaluate(&engine, &evaluation, &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let Some(evaluated) = evaluated else { return Ok(()) };
    for (name, share) in [
        ("nearest picture of the style shows the concept", evaluated.nearest),
        ("one of the five nearest pictures shows it", evaluated.nearest_five),
        ("nearest picture of the concept has the style", evaluated.style),
        ("new scenes: colour of the ground", evaluated.ground),
        ("new scenes: order of the two things", evaluated.order),
        ("new scenes: number of things", evaluated.number),
        ("training pictures: number of things, as counted", evaluated.number_of_pictures),
    ] {
        let Accuracy { right, of, .. } = share;
        say(format_args!("{name:<55} {right:>4} of {of:>3}"));
    }
    say(args.out.display());
    Ok(())
}
