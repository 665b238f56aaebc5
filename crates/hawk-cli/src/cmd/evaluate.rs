//! `hawk evaluate`: how well a model's images match their captions, and how much they differ.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::{Engine, Result, Seed};
use hawk_train::{
    Accuracy, CaptionSource, EvaluationFigures, EvaluationProgress, EvaluationRun, Followed, KindFigures, evaluate,
};

use crate::args::{LoadArgs, SamplingArgs};
use crate::output::{progress, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk evaluate --out evaluation/ --prompts 20           # landscapes
  hawk evaluate --things things.pack --out evaluation/   # and things, alone and in landscapes
  hawk evaluate --model model/ --things emoji/ --cfg 4 --out evaluation/
  hawk evaluate --model model/ --pictures emoji/ --out evaluation/    # a model of `hawk data emoji`

The command draws captions that training does not show (and things that it does), and prints

- the entropy of the law in nats a cell, after guidance, temperature, top-k and top-p;
- the share of equal codes in two images of a caption;
- how many images show what the caption names, and beside it how many real pictures do so by the same \
rule. A rule is worth as much as it finds in real pictures.

OUT/figures.json holds all of it. For every measure, and for the images of one caption (seeds-*), there \
is a sheet to look at; its captions lie beside it, in order.

`hawk analyze table`, also `hawk eval`, is another command: it compares the speed and the images of decoders.

docs/training-models.md says more.")]
pub(crate) struct EvaluateArgs {
    /// Draw captions of this folder, which `hawk data emoji` wrote [default: captions of painted pictures]
    #[arg(long, value_name = "DIR", conflicts_with = "things")]
    pictures: Option<PathBuf>,
    /// Things to paint: a pack of cut-outs, or the folder that `hawk data emoji` made [default: landscapes alone]
    #[arg(long, value_name = "PACK|DIR")]
    things: Option<PathBuf>,
    /// Folder to write: figures.json, and a sheet of images with its captions for each measure
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of prompts for each measure
    #[arg(long, value_name = "N", default_value = "100")]
    prompts: NonZero<usize>,
    /// Random seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
}

pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let engine = Engine::load(args.load.model.source()?, args.load.options()?)?;
    let captions = match (&args.pictures, &args.things) {
        (Some(pictures), _) => CaptionSource::Emoji(pictures.clone()),
        (None, Some(things)) => CaptionSource::Mixture(things.clone()),
        (None, None) => CaptionSource::Landscapes,
    };
    let evaluation = EvaluationRun {
        captions,
        prompts: args.prompts.get(),
        sampling: args.sampling.or(engine.config().defaults)?,
        seed: Seed(args.seed),
        out: args.out.clone(),
    };
    let bar = progress::bar(0, "{bar:30} {pos}/{len} images {msg}  {per_sec}  eta {eta}");
    let evaluated = evaluate(&engine, &evaluation, &mut |progress| {
        match progress {
            EvaluationProgress::Images { done, of } => {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
            }
            _ => bar.set_message("drawn; learning the rules from painted pictures"),
        }
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    if let Some(figures) = &evaluated {
        report(figures);
    }
    say(args.out.display());
    Ok(())
}

fn report(figures: &EvaluationFigures) {
    say(format_args!("{:<12}{:>8}{:>15}{:>18}", "", "images", "nats a cell", "equal codes"));
    for (kind, KindFigures { images, nats_a_cell, repeated_prompts, equal_codes, .. }) in &figures.kinds {
        let equal = format!("{:.1} %", 100.0 * equal_codes);
        let equal = if *repeated_prompts > 0 { equal } else { "-".to_owned() };
        say(format_args!("{kind:<12}{images:>8}{nats_a_cell:>15.3}{equal:>18}"));
    }
    say("");
    say(format_args!("{:<12}{:<15}{:>14}{:>18}{:>18}", "", "named", "images right", "real pictures", "where absent"));
    for (kind, measures) in &figures.following {
        for (name, Followed { images, pictures, pictures_without, .. }) in measures {
            let name = name.replace('_', " ");
            let [pictures, without] = [pictures, pictures_without].map(|of| of.map_or("-".to_owned(), percent));
            let Accuracy { right, of, .. } = images;
            let images = format!("{right} of {of}");
            say(format_args!("{kind:<12}{name:<15}{images:>14}{pictures:>18}{without:>18}"));
        }
    }
}

fn percent(Accuracy { right, of, .. }: Accuracy) -> String {
    match of {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", 100.0 * right as f64 / of as f64),
    }
}
