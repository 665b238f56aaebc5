//! `hawk train target`: a text-to-image model from captioned pictures and a VQ tokenizer.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hawk::{ModelSource, Result};
use hawk_nn::VqEncoder;
use hawk_train::{Ended, Optimizer, RunProgress, TargetRun, TargetSettings, TrainingPrecision, train_target};

use super::train_precision;
use crate::interrupt;
use crate::output::training::TrainingProgress;
use crate::output::{note, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk train vq --pictures emoji/ --out tokenizer/
  hawk train target --pictures emoji/ --tokenizer tokenizer/ --out model/
  hawk generate --model model/ \"a red apple, fluent 3d style\" --out apple.png

At every point of the curve, a sixtieth of the steps, OUT is a complete model that every command \
loads. At every tenth point OUT/sheet.png shows what it draws: three rows of emoji and a row of \
scenes. Ctrl-C saves the run's state. The same command resumes an interrupted run.

docs/training-models.md says more.")]
pub(crate) struct TrainTargetArgs {
    /// Folder of captioned pictures, 128 x 128 pixels each, as written by `hawk data emoji`
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// Folder of a VQ tokenizer, as written by `hawk train vq`
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// Folder of a model with the same tokenizer and sizes to start from [default: random weights]
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Folder of the model to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of layers
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().layers)]
    layers: usize,
    /// Hidden size
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().width)]
    width: usize,
    /// Attention heads per layer
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().heads)]
    heads: usize,
    /// Inner size of the SwiGLU
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().inner)]
    inner: usize,
    /// Vocabulary size of the text tokenizer
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().words)]
    words: usize,
    /// Passes over the emoji
    #[arg(long, value_name = "F", default_value_t = TargetSettings::default().passes)]
    passes: f64,
    /// Scenes per emoji in a pass
    #[arg(long = "scenes", value_name = "F", default_value_t = TargetSettings::default().scenes_an_emoji)]
    scenes_an_emoji: f64,
    /// Largest share of a picture's input codes that is replaced by random ones, 0 to 1
    ///
    /// It makes the model attend to the caption and not only to the codes before. Three quarters of the pictures get a
    /// random share up to this one; the others stay as they are.
    #[arg(long = "corrupt", value_name = "F", default_value_t = TargetSettings::default().corrupted)]
    corrupted: f64,
    /// Pictures per step
    #[arg(long, value_name = "B", default_value_t = TargetSettings::default().batch)]
    batch: usize,
    /// Peak learning rate, after a warm-up of 2 % of the steps; a cosine decay follows
    #[arg(long, value_name = "F", default_value_t = TargetSettings::default().learning_rate)]
    learning_rate: f64,
    /// Optimizer
    #[arg(long, default_value = "adamw", value_parser = optimizer())]
    optimizer: Optimizer,
    /// Number format of matrix products; bf16 is faster with libtorch on CPUs with AVX512-BF16 or AMX
    #[arg(long, default_value = "f32", value_parser = train_precision())]
    precision: TrainingPrecision,
    /// Random seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

fn optimizer() -> impl TypedValueParser<Value = Optimizer> {
    PossibleValuesParser::new([
        PossibleValue::new("adamw").help("AdamW for all parameters"),
        PossibleValue::new("muon").help("Muon for the weight matrices of the layers, AdamW for the rest"),
    ])
    .map(|name| match name.as_str() {
        "muon" => Optimizer::Muon,
        _ => Optimizer::AdamW,
    })
}

pub(crate) fn run(args: &TrainTargetArgs) -> Result<()> {
    let settings = TargetSettings {
        layers: args.layers,
        width: args.width,
        heads: args.heads,
        inner: args.inner,
        words: args.words,
        passes: args.passes,
        scenes_an_emoji: args.scenes_an_emoji,
        corrupted: args.corrupted,
        batch: args.batch,
        learning_rate: args.learning_rate,
        precision: args.precision,
        optimizer: args.optimizer,
        seed: args.seed,
    };
    let codes = VqEncoder::load(&ModelSource::Dir(args.tokenizer.clone()), "")?.config().codes;
    let mut bar = TrainingProgress::new(args.batch, settings.operations_a_step(codes));
    let run = TargetRun {
        pictures: args.pictures.clone(),
        tokenizer: args.tokenizer.clone(),
        settings,
        from: args.from.clone(),
        out: args.out.clone(),
    };
    interrupt::watch()?;
    let ended = train_target(&run, &mut |progress| {
        match progress {
            RunProgress::Images { done, of } => bar.show_encoding(done, of),
            RunProgress::Steps { done, of, point } => {
                let losses = point.map(|point| {
                    let losses = point.validation.iter().map(|loss| format!("{loss:.3}")).collect::<Vec<_>>();
                    format!("loss {:.3}, validation {}", point.train[0], losses.join(" "))
                });
                bar.show(done, of, losses);
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
    say(format_args!("{:.1} million parameters", trained.parameters as f64 / 1e6));
    for (name, loss) in &trained.losses {
        say(format_args!("{name:<24} cross-entropy {loss:.3} nats per code"));
    }
    say(args.out.display());
    Ok(())
}
