//! `hawk train heads`: draft heads for a model, by default from images that it draws itself.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hawk::{Engine, Precision, Result, Seed};
use hawk_train::{
    Ended, HeadOffset, HeadsKind, HeadsRun, HeadsSettings, Labels, Point, RunProgress, TrainingImages,
    captioned_pictures, default_prompts, train_heads,
};
use indicatif::ProgressBar;

use crate::args::ModelArgs;
use crate::output::{note, progress, say};
use crate::{inputs, interrupt};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk train heads --out heads/
  hawk train heads --model janus/ --self 2000 --prompts captions.txt --out heads/
  hawk train heads --kind spatial --self 900 --prompts captions.txt --out spatial/
  hawk train heads --images pictures/ --heads H1,H2,V1,V2,D1-1,D1+1 --epochs 8 --out heads/

Ctrl-C saves the run's state. The same command resumes an interrupted run, and gives the same bytes \
as an uninterrupted one.

docs/training-heads.md says more.")]
pub(crate) struct TrainHeadsArgs {
    /// Folder to write: config.json, model.safetensors, curve.json, curve.svg
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of training images that the model draws itself; every tenth is for validation
    #[arg(long = "self", value_name = "N", default_value_t = 600)]
    images: usize,
    /// Train on the PNG and JPEG files of this folder instead; a .txt file of the same name, else the name, is the caption
    #[arg(long = "images", value_name = "DIR", conflicts_with_all = ["images", "prompts_file"])]
    pictures: Option<PathBuf>,
    /// File with one prompt per line, used in turn [default: 480 captions of the built-in model, of all kinds]
    #[arg(long = "prompts", value_name = "FILE")]
    prompts_file: Option<PathBuf>,
    /// Folder of the hidden states (3.3 KB per cell of the built-in model), which other runs reuse [default: OUT/data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Kind of heads
    #[arg(long, value_enum, default_value_t = Kind::Offsets)]
    kind: Kind,
    /// Offsets of the heads: H2 = two cells ahead, V1 = one row down, D1-1 = one row down and one column left
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "H1,H2,V1,V2")]
    heads: Vec<HeadOffset>,
    /// Training labels
    #[arg(long, default_value_t = Labels::Law, value_parser = labels())]
    labels: Labels,
    /// Passes over the training images
    #[arg(long, value_name = "E", default_value_t = HeadsSettings::default().epochs)]
    epochs: usize,
    /// Images per step
    #[arg(long, value_name = "B", default_value_t = HeadsSettings::default().batch)]
    batch: usize,
    /// Peak learning rate, after a warm-up of 5 % of the steps; a cosine decay follows
    #[arg(long, value_name = "F", default_value_t = HeadsSettings::default().learning_rate)]
    learning_rate: f64,
    /// Random seed of the images and of their order
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    model: ModelArgs,
}

/// The kinds of heads that are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// The paper's: each predicts the cell at an offset (--heads)
    Offsets,
    /// One that reads the row above and the codes above and to the left, for the decoder soar
    Spatial,
}

fn labels() -> impl TypedValueParser<Value = Labels> {
    PossibleValuesParser::new([
        PossibleValue::new("law").help("The model's distribution at the cell (distillation)"),
        PossibleValue::new("code").help("The one code of the image at the cell"),
    ])
    .try_map(|name| name.parse::<Labels>())
}

pub(crate) fn run(args: &TrainHeadsArgs) -> Result<()> {
    let run = HeadsRun {
        target_name: args.model.name(),
        images: images(args)?,
        settings: HeadsSettings {
            kind: match args.kind {
                Kind::Offsets => HeadsKind::Offsets(args.heads.clone()),
                Kind::Spatial => HeadsKind::Spatial,
            },
            labels: args.labels,
            epochs: args.epochs,
            batch: args.batch,
            learning_rate: args.learning_rate,
            seed: Seed(args.seed),
        },
        out: args.out.clone(),
        data: args.data.clone().unwrap_or_else(|| args.out.join("data")),
    };
    let engine = Engine::load(args.model.source()?, args.model.options(Precision::Bf16))?;
    let bar = progress::steady_bar(0, "{bar:30} {pos}/{len} {msg}  eta {eta}");
    interrupt::watch()?;
    let ended = train_heads(&engine, &run, &mut |progress| {
        show(&bar, &run, progress);
        interrupt::flow()
    })?;
    bar.finish_and_clear();
    let Ended::Finished(trained) = ended else {
        note(format_args!("the work so far is in {}; the same command goes on from there", args.out.display()));
        return Ok(());
    };
    if let Some((_, bound)) = &trained.curve.bound {
        say(format_args!("loss of the target itself {bound:.3} nats"));
    }
    for (name, figures) in &trained.figures {
        say(format_args!(
            "{name:<5} cross-entropy {:.3}, overlap (1 - TV) {:.3}, accepted under replay: top 1 {:.3}, top 4 {:.3}",
            figures.cross_entropy,
            figures.overlap,
            figures.replay_match_by_rank.iter().take(1).sum::<f64>(),
            figures.replay_match_by_rank.iter().take(4).sum::<f64>()
        ));
    }
    say(args.out.display());
    Ok(())
}

fn images(args: &TrainHeadsArgs) -> Result<TrainingImages> {
    let seed = Seed(args.seed);
    if let Some(dir) = &args.pictures {
        return Ok(TrainingImages::Pictures { pictures: captioned_pictures(dir)?, seed });
    }
    let prompts = match &args.prompts_file {
        Some(path) => inputs::read_prompts(path)?,
        None => default_prompts(),
    };
    Ok(TrainingImages::Sampled { images: args.images, prompts, seed })
}

fn show(bar: &ProgressBar, run: &HeadsRun, progress: RunProgress<'_>) {
    match progress {
        RunProgress::Images { done, of } => {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message("images");
        }
        RunProgress::Steps { done, of, point } => {
            if bar.length() != Some(of as u64) || done == 1 {
                bar.set_length(of as u64);
                bar.reset_eta();
            }
            bar.set_position(done as u64);
            bar.set_message(point.map_or_else(|| "steps".to_owned(), |point| losses(run, point)));
        }
        RunProgress::Measuring => bar.set_message("validation"),
        _ => {}
    }
}

fn losses(run: &HeadsRun, point: &Point) -> String {
    let names = run.settings.kind.names();
    let loss = names.iter().zip(&point.validation).map(|(head, loss)| format!("{head} {loss:.3}"));
    format!("steps, validation loss {}", loss.collect::<Vec<_>>().join(" "))
}
