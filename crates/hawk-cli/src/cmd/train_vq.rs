//! `hawk train vq`: a VQ tokenizer from captioned pictures.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::{Error, Result};
use hawk_train::{Ended, Likeness, TrainingPrecision, TrainingProgress, VqRun, VqSettings, train_vq};

use crate::cmd::training::{Pace, precision};
use crate::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk train vq --pictures emoji/ --out tokenizer/

The first quarter of the steps trains an autoencoder, then k-means makes the codebook; crops come first, whole pictures last.
OUT/sheet.png shows pictures of validation above what is left of them, OUT/curve.svg the PSNR: look at them while it runs.
Called again with the same settings, a run that was stopped goes on.")]
pub(crate) struct TrainVqArgs {
    /// Folder of captioned pictures, 128 pixels square, as `hawk data emoji` makes it
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: PathBuf,
    /// Folder of the tokenizer: config.json, model.safetensors, figures.json, curve.json, curve.svg, sheet.png
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Size of the codebook
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().codes)]
    pub(crate) codes: usize,
    /// Numbers of a code
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().width)]
    pub(crate) width: usize,
    /// Channels at full resolution
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().channels)]
    pub(crate) channels: usize,
    /// By level, finest first, how many times as many channels; every level but the last halves the resolution
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = VqSettings::default().multipliers)]
    pub(crate) multipliers: Vec<usize>,
    /// Steps in all
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().steps)]
    pub(crate) steps: usize,
    /// Whole pictures of a step; crops are four times as many
    #[arg(long, value_name = "B", default_value_t = VqSettings::default().batch)]
    pub(crate) batch: usize,
    /// Largest step size; it rises over the first fiftieth of the steps and falls along a cosine
    #[arg(long, value_name = "F", default_value_t = VqSettings::default().learning_rate)]
    pub(crate) learning_rate: f64,
    /// What products are computed in; all else is f32. bf16 pays with libtorch on a processor that multiplies it (AVX512-BF16, AMX)
    #[arg(long, default_value = "f32", value_parser = precision())]
    pub(crate) precision: TrainingPrecision,
    /// Key of all that is drawn
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
}

pub(crate) fn run(args: &TrainVqArgs) -> Result<()> {
    let settings = VqSettings {
        channels: args.channels,
        multipliers: args.multipliers.clone(),
        codes: args.codes,
        width: args.width,
        steps: args.steps,
        batch: args.batch,
        learning_rate: args.learning_rate,
        precision: args.precision,
        seed: args.seed,
    };
    let mut pace = Pace::new("pictures", args.batch, settings.operations_a_step()?);
    let run = VqRun { pictures: args.pictures.clone(), settings, out: args.out.clone() };
    let ended = train_vq(&run, &mut |progress| {
        match progress {
            TrainingProgress::Steps { done, of, point } => {
                pace.show(done, of, point.map(|point| format!("validation PSNR {:.2} dB", point.validation[0])));
            }
            TrainingProgress::Measuring => pace.say("measuring"),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    pace.finish();
    let Ended::Finished(trained) = ended else {
        return Err(Error::environment("training was broken off").at(args.out.display()));
    };
    let figures = &trained.figures;
    let line = |name: &str, likeness: &Likeness| {
        say(format_args!("{name:<20} PSNR {:.2} dB, SSIM {:.3}", likeness.psnr_db, likeness.ssim));
    };
    figures.styles.iter().for_each(|(style, likeness)| line(style, likeness));
    line(&format!("all {} pictures", figures.pictures), &figures.all);
    say(format_args!("{} of {} codes in use", figures.used_codes, args.codes));
    say(args.out.display());
    Ok(())
}
