//! `hawk analyze heads`: what draft heads are worth by their offset.

use std::path::{Path, PathBuf};

use hawk::{Engine, Error, ModelSource, Result};
use hawk_analyze::{HeadGroup, HeadsRun, heads};
use hawk_nn::Heads;

use super::shared::AnalysisArgs;
#[cfg(feature = "train")]
use crate::{interrupt, output};

#[derive(clap::Args)]
#[cfg_attr(
    feature = "train",
    command(after_help = "Examples:
  hawk analyze heads --out analysis/
  hawk analyze heads --probes H1,H2,H3,V1,V2,V3 --train-images 200 --epochs 8 --out analysis/
  hawk analyze heads --model lumina/ --heads heads/ --no-probes --out analysis/

Probe heads for all offsets are trained alike, in OUT/probes, so that the plane compares offsets and not
training. The model's own heads stand beside them. All are measured on the same images, which none was
trained on: cross-entropy against the target's law, overlap with it, and how often the best draft under
`replay` is the code that plain decoding draws. It is figure 4 of the paper.

Ctrl-C keeps the work so far; the same command goes on. docs/analysis.md says more.")
)]
#[cfg_attr(
    not(feature = "train"),
    command(after_help = "Examples:
  hawk analyze heads --out analysis/
  hawk analyze heads --model lumina/ --heads heads/ --out analysis/

The model's draft heads are measured by offset: cross-entropy against the target's law, overlap with it,
and how often the best draft under `replay` is the code that plain decoding draws. The program that is
built with `--features train` also trains probe heads for the offsets of figure 4 of the paper.")
)]
pub(crate) struct HeadsArgs {
    #[command(flatten)]
    analysis: AnalysisArgs,
    /// Folder of draft heads [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
    #[cfg(feature = "train")]
    #[command(flatten)]
    training: ProbeArgs,
}

/// The training of probe heads.
#[cfg(feature = "train")]
#[derive(clap::Args)]
#[command(next_help_heading = "Probe heads")]
pub(crate) struct ProbeArgs {
    /// Offsets of the probe heads: H2 = two cells ahead, V1 = one row down, D1-1 = one row down, one column left
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "H1,H2,H3,V1,V2,V3,D1-1,D1+1,D1-2,D1+2,D2-1,D2+1"
    )]
    probes: Vec<hawk_train::HeadOffset>,
    /// Train no probe heads: the model's own alone
    #[arg(long, conflicts_with = "probes")]
    no_probes: bool,
    /// Number of images that the model draws for the training of the probes
    #[arg(long, value_name = "N", default_value_t = 120)]
    train_images: usize,
    /// Passes over these images
    #[arg(long, value_name = "E", default_value_t = 3)]
    epochs: usize,
}

pub(crate) fn run(args: &HeadsArgs) -> Result<()> {
    let (prompts, _lock) = args.analysis.begin()?;
    let engine = args.analysis.engine(args.heads.as_deref())?;
    let images = args.analysis.image_set(&engine, prompts.clone())?;
    images.check(&engine)?;
    let (dir, model) = (args.analysis.out.clone(), args.analysis.load.model.name());
    let probes = match probes(args, &engine, &prompts)? {
        Probes::None => None,
        Probes::Trained(folder) => Some((load(&folder, &engine)?, args.probe_words(), folder)),
        Probes::Stopped => return Ok(()),
    };
    let mut groups = Vec::new();
    if let Some(own) = engine.cpu()?.heads() {
        let name = "the model's own".to_owned();
        let words = format!("{} heads, as they are", own.config().heads.len());
        groups.push(HeadGroup {
            name,
            id: "own".to_owned(),
            words,
            heads: own,
            digest: engine.heads_digest()?.to_owned(),
        });
    }
    if let Some((heads, words, folder)) = &probes {
        let digest = ModelSource::Dir(folder.clone()).heads_digest("")?;
        let (name, id, words) = ("probes".to_owned(), "probes".to_owned(), words.clone());
        groups.push(HeadGroup { name, id, words, heads, digest });
    }
    if groups.is_empty() {
        return Err(Error::input("the model has no draft heads to measure")
            .at("--heads")
            .expected("heads/ in the model's folder, or --heads DIR")
            .hint("`hawk train heads` makes them; the program with the cargo feature `train` makes probe heads here"));
    }
    let run = HeadsRun { engine: &engine, model: &model, groups, images, dir };
    args.analysis.finish("images", |watch| heads(&run, watch))
}

/// The probe heads of the folder of an analysis.
enum Probes {
    /// None are wanted.
    None,
    /// They are there.
    #[cfg_attr(not(feature = "train"), allow(dead_code))]
    Trained(PathBuf),
    /// Their training was stopped.
    #[cfg_attr(not(feature = "train"), allow(dead_code))]
    Stopped,
}

fn load(folder: &Path, engine: &Engine) -> Result<Heads> {
    Heads::load(&ModelSource::Dir(folder.to_owned()), "", engine.cpu()?.target())
}

#[cfg(not(feature = "train"))]
fn probes(_: &HeadsArgs, _: &Engine, _: &[String]) -> Result<Probes> {
    Ok(Probes::None)
}

#[cfg(not(feature = "train"))]
impl HeadsArgs {
    fn probe_words(&self) -> String {
        String::new()
    }
}

#[cfg(feature = "train")]
impl HeadsArgs {
    fn probe_words(&self) -> String {
        let ProbeArgs { probes, train_images, epochs, .. } = &self.training;
        format!("{} heads, trained alike on {train_images} images in {epochs} epochs", probes.len())
    }
}

/// Trains the probe heads in the folder of the analysis, or goes on with it.
#[cfg(feature = "train")]
fn probes(args: &HeadsArgs, engine: &Engine, prompts: &[String]) -> Result<Probes> {
    use hawk_train::{
        Ended, HeadsKind, HeadsRun, HeadsSettings, RunProgress, TrainingImages, default_prompts, train_heads,
    };

    if args.training.no_probes {
        return Ok(Probes::None);
    }
    let folder = args.analysis.out.join("probes");
    let prompts = if args.analysis.prompts.is_some() { prompts.to_vec() } else { default_prompts() };
    let run = HeadsRun {
        target_name: args.analysis.load.model.name(),
        // Another seed than that of the images which are measured.
        images: TrainingImages::Sampled {
            images: args.training.train_images,
            prompts,
            seed: hawk::Seed(args.analysis.seed ^ (1 << 63)),
        },
        settings: HeadsSettings {
            kind: HeadsKind::Offsets(args.training.probes.clone()),
            epochs: args.training.epochs,
            ..HeadsSettings::default()
        },
        out: folder.clone(),
        data: folder.join("data"),
    };
    let bar = output::progress::steady_bar(0, "{bar:30} {pos}/{len} {msg}  eta {eta}");
    let ended = train_heads(engine, &run, &mut |progress| {
        let (done, of, message) = match progress {
            RunProgress::Images { done, of } => (done, of, "images for the probe heads"),
            RunProgress::Steps { done, of, .. } => (done, of, "steps of the probe heads"),
            _ => (1, 1, "validation of the probe heads"),
        };
        if bar.length() != Some(of as u64) {
            bar.set_length(of as u64);
            bar.reset_eta();
        }
        bar.set_position(done as u64);
        bar.set_message(message);
        interrupt::flow()
    });
    bar.finish_and_clear();
    match ended? {
        Ended::Finished(_) => Ok(Probes::Trained(folder)),
        Ended::Stopped => {
            output::note(format_args!(
                "the work so far is in {}; the same command goes on from there",
                args.analysis.out.display()
            ));
            Ok(Probes::Stopped)
        }
    }
}
