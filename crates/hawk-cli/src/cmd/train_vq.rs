//! `hawk train vq`: a VQ tokenizer from captioned pictures.

use std::path::PathBuf;

use hawk::Result;
use hawk_train::{Ended, Likeness, RunProgress, TrainingPrecision, VqRun, VqSettings, train_vq};

use super::train_precision;
use crate::interrupt;
use crate::output::training::TrainingProgress;
use crate::output::{note, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk train vq --pictures emoji/ --out tokenizer/
  hawk train vq --pictures emoji/ --codes 4096 --channels 8 --multipliers 1,2,6,16 --out small/
  hawk train vq --pictures emoji/ --from model/vq/ --learning-rate 3e-4 --out sharper/

The first quarter of the steps trains an autoencoder, then k-means makes the codebook. Training uses \
crops first and whole pictures last. Look at OUT/sheet.png (validation pictures above their \
reconstructions) and OUT/curve.svg (PSNR) while it runs. Ctrl-C saves the run's \
state. The same command resumes an interrupted run.

--from trains the decoder of a tokenizer alone, on whole pictures. All codes keep their meaning, so a \
target that was trained on them draws with the new decoder.

docs/training-models.md says more.")]
pub(crate) struct TrainVqArgs {
    /// Folder of captioned pictures, 128 x 128 pixels each, as written by `hawk data emoji`
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// Folder to write: config.json, model.safetensors, figures.json, curve.json, curve.svg, sheet.png
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Tokenizer whose decoder alone is trained further; encoder, codebook and shape stay [default: a new tokenizer]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["codes", "width", "channels", "multipliers"])]
    from: Option<PathBuf>,
    /// Number of codes in the codebook
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().codes)]
    codes: usize,
    /// Size of a code vector
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().width)]
    width: usize,
    /// Channels at full resolution
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().channels)]
    channels: usize,
    /// Factors of the channels at each level, such as 1,2,4; each level but the last halves the resolution
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = VqSettings::default().multipliers)]
    multipliers: Vec<usize>,
    /// Training steps
    #[arg(long, value_name = "N", default_value_t = VqSettings::default().steps)]
    steps: usize,
    /// Whole pictures per step; a step of crops has four times as many
    #[arg(long, value_name = "B", default_value_t = VqSettings::default().batch)]
    batch: usize,
    /// Peak learning rate, after a warm-up of 2 % of the steps; a cosine decay follows
    #[arg(long, value_name = "F", default_value_t = VqSettings::default().learning_rate)]
    learning_rate: f64,
    /// Number format of matrix products; bf16 is faster with libtorch on CPUs with AVX512-BF16 or AMX
    #[arg(long, default_value = "f32", value_parser = train_precision())]
    precision: TrainingPrecision,
    /// Random seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
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
    let run = VqRun { pictures: args.pictures.clone(), settings, from: args.from.clone(), out: args.out.clone() };
    let mut bar = TrainingProgress::new(args.batch, run.operations_a_step()?);
    interrupt::watch()?;
    let ended = train_vq(&run, &mut |progress| {
        match progress {
            RunProgress::Steps { done, of, point } => {
                bar.show(done, of, point.map(|point| format!("validation PSNR {:.2} dB", point.validation[0])));
            }
            RunProgress::Measuring => bar.message("validation"),
            _ => {}
        }
        interrupt::flow()
    })?;
    bar.finish();
    let Ended::Finished(trained) = ended else {
        note(format_args!("the work so far is in {}; the same command goes on from there", args.out.display()));
        return Ok(());
    };
    let figures = &trained.figures;
    let line = |name: &str, likeness: &Likeness| {
        say(format_args!("{name:<20} PSNR {:.2} dB, SSIM {:.3}", likeness.psnr_db, likeness.ssim));
    };
    figures.styles.iter().for_each(|(style, likeness)| line(style, likeness));
    line(&format!("all {} pictures", figures.pictures), &figures.all);
    say(format_args!("{} codes in use", figures.used_codes));
    say(args.out.display());
    Ok(())
}
