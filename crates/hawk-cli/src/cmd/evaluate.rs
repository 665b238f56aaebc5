//! `hawk evaluate`: whether a model draws what captions say.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::{Engine, Precision, Result, Seed};
use hawk_train::{Accuracy, EvaluationRun, evaluate};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{ModelArgs, SamplingArgs, precision};
use crate::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk evaluate --pictures emoji/ --out evaluation/
  hawk evaluate --model model/ --pictures emoji/ --cfg 4 --out evaluation/

Draws captions of emoji that training showed, and of scenes whose combination it did not show, and compares the images with the pictures.
OUT/concepts.png is for the eye: beside it are its captions in order.")]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Folder of the captioned pictures that the model learnt from, as `hawk data emoji` makes it
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: PathBuf,
    /// Folder of the result: figures.json, and a sheet and its captions for each measure
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Prompts of each measure
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) prompts: usize,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Number format of the weights
    #[arg(long, default_value = "bf16", value_parser = precision())]
    pub(crate) precision: Precision,
    /// Key of the noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
}

pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let engine = Engine::load(args.model.source()?, args.model.options(args.precision))?;
    let evaluation = EvaluationRun {
        pictures: args.pictures.clone(),
        prompts: args.prompts,
        sampling: args.sampling.or(engine.config().defaults)?,
        seed: Seed(args.seed),
        out: args.out.clone(),
    };
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} images  {per_sec}  eta {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let evaluated = evaluate(&engine, &evaluation, &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let Some(evaluated) = evaluated else { return Ok(()) };
    for (name, share) in [
        ("the nearest picture of the style shows the concept", evaluated.nearest),
        ("one of the five nearest does", evaluated.nearest_five),
        ("style named, by the nearest of the concept's pictures", evaluated.style),
        ("ground of new scenes", evaluated.ground),
        ("order of new scenes", evaluated.order),
        ("number in new scenes", evaluated.number),
        ("the rule for numbers on the pictures themselves", evaluated.number_of_pictures),
    ] {
        let Accuracy { right, of, .. } = share;
        say(format_args!("{name:<55} {right:>4} of {of:>3}"));
    }
    say(args.out.display());
    Ok(())
}
