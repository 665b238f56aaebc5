//! `hawk train heads`: draft heads for a model, by default from images that the model draws itself.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{Engine, Error, Precision, Result, Seed};
use hawk_train::{
    Ended, HeadOffset, HeadsRun, HeadsSettings, Labels, Point, TrainingImages, TrainingProgress, captioned_pictures,
    default_prompts, train_heads,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::ModelArgs;
use crate::{files, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk train heads --out heads/
  hawk train heads --model DIR --self 2000 --prompts captions.txt --heads H1,H2,H3,V1,V2,V3,D1-1,D1+1 --out heads/

Called again with the same settings, a run that was stopped goes on, and ends with the same bytes.")]
pub(crate) struct TrainHeadsArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Folder of the heads: config.json, model.safetensors, curve.json, curve.svg
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Learn from this many images that the model draws itself; every tenth is kept for validation
    #[arg(long = "self", value_name = "N", default_value_t = 600)]
    pub(crate) images: usize,
    /// Learn from the PNG and JPEG files of this folder instead; captions in .txt files of the same names, else the names
    #[arg(long = "images", value_name = "DIR", conflicts_with_all = ["images", "prompts_file"])]
    pub(crate) pictures: Option<PathBuf>,
    /// File with a prompt a line, used in turn [default: 150 captions in the built-in model's styles]
    #[arg(long = "prompts", value_name = "FILE")]
    pub(crate) prompts_file: Option<PathBuf>,
    /// Folder of the images as the model sees them (3.3 KB a cell of the built-in model); kept for other runs [default: OUT/data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where heads look: H2 two cells on, V1 one row down, D1-1 one row down and one column to the left
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "H1,H2,V1,V2")]
    pub(crate) heads: Vec<HeadOffset>,
    /// What heads learn to tell: the model's whole law at a cell, or the one code that the image has there
    #[arg(long, default_value_t = Labels::Law, value_parser = labels())]
    pub(crate) labels: Labels,
    /// How often every image is seen
    #[arg(long, value_name = "E", default_value_t = HeadsSettings::default().epochs)]
    pub(crate) epochs: usize,
    /// Images of a step
    #[arg(long, value_name = "B", default_value_t = HeadsSettings::default().batch)]
    pub(crate) batch: usize,
    /// Largest step size; it rises over the first twentieth of the steps and falls along a cosine
    #[arg(long, value_name = "F", default_value_t = HeadsSettings::default().learning_rate)]
    pub(crate) learning_rate: f64,
    /// Key of the images' noise and of their order
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
}

fn labels() -> impl TypedValueParser<Value = Labels> {
    PossibleValuesParser::new(["law", "code"]).try_map(|name| name.parse::<Labels>())
}

pub(crate) fn run(args: &TrainHeadsArgs) -> Result<()> {
    let run = HeadsRun {
        target_name: args.model.name(),
        images: images(args)?,
        settings: HeadsSettings {
            offsets: args.heads.clone(),
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
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}  eta {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    let ended = train_heads(&engine, &run, &mut |progress| {
        show(&bar, &run, progress);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let Ended::Finished(trained) = ended else {
        return Err(Error::environment("training was broken off").at(args.out.display()));
    };
    if let Some((_, bound)) = &trained.curve.bound {
        say(format_args!("target's own loss {bound:.3} nats"));
    }
    for head in &trained.config.heads {
        if let Some(figures) = &head.validation {
            say(format_args!(
                "{:<5} cross-entropy {:.3}, 1-TV {:.3}, replay match of the best {:.3}, of the best 4 {:.3}",
                head.offset,
                figures.cross_entropy,
                figures.overlap,
                figures.replay_match_by_rank.iter().take(1).sum::<f64>(),
                figures.replay_match_by_rank.iter().take(4).sum::<f64>()
            ));
        }
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
        Some(path) => files::read_prompts(path)?,
        None => default_prompts(),
    };
    Ok(TrainingImages::Sampled { images: args.images, prompts, seed })
}

fn show(bar: &ProgressBar, run: &HeadsRun, progress: TrainingProgress<'_>) {
    match progress {
        TrainingProgress::Images { done, of } => {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message("images");
        }
        TrainingProgress::Steps { done, of, point } => {
            if bar.length() != Some(of as u64) || done == 1 {
                bar.set_length(of as u64);
                bar.reset_eta();
            }
            bar.set_position(done as u64);
            bar.set_message(point.map_or_else(|| "steps".to_owned(), |point| losses(run, point)));
        }
        TrainingProgress::Measuring => bar.set_message("measuring the heads"),
        _ => {}
    }
}

fn losses(run: &HeadsRun, point: &Point) -> String {
    let loss = run.settings.offsets.iter().zip(&point.validation).map(|(head, loss)| format!("{head} {loss:.3}"));
    format!("steps, validation loss {}", loss.collect::<Vec<_>>().join(" "))
}
