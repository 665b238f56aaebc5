//! `hawk train target`: a whole model from captioned pictures and a VQ tokenizer.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{Error, ModelSource, Result};
use hawk_nn::VqEncoder;
use hawk_train::{Ended, Optimizer, TargetRun, TargetSettings, TrainingPrecision, TrainingProgress, train_target};

use crate::cmd::training::{Pace, precision};
use crate::say;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk data emoji --out emoji/
  hawk train vq --pictures emoji/ --out tokenizer/
  hawk train target --pictures emoji/ --tokenizer tokenizer/ --out model/
  hawk generate --model model/ \"a red apple, fluent 3d style\" --out apple.png

At every point of the curve (a sixtieth of the steps) OUT is a whole model that every command loads; at every tenth OUT/sheet.png shows
what it draws: three rows of emoji, a row of scenes. Called again with the same settings, a run that was stopped goes on.")]
pub(crate) struct TrainTargetArgs {
    /// Folder of captioned pictures, 128 pixels square, as `hawk data emoji` makes it
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: PathBuf,
    /// Folder of a VQ tokenizer, as `hawk train vq` makes it
    #[arg(long, value_name = "DIR")]
    pub(crate) tokenizer: PathBuf,
    /// Folder of a model of the same tokenizer and shape: training begins with its weights and words, instead of random weights
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Folder of the model
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Layers
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().layers)]
    pub(crate) layers: usize,
    /// Numbers of a hidden state
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().width)]
    pub(crate) width: usize,
    /// Attention heads
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().heads)]
    pub(crate) heads: usize,
    /// Width inside a SwiGLU
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().inner)]
    pub(crate) inner: usize,
    /// Tokens that are learnt for text
    #[arg(long, value_name = "N", default_value_t = TargetSettings::default().words)]
    pub(crate) words: usize,
    /// How often every emoji is seen
    #[arg(long, value_name = "F", default_value_t = TargetSettings::default().passes)]
    pub(crate) passes: f64,
    /// Scenes of a pass, for each emoji of it
    #[arg(long = "scenes", value_name = "F", default_value_t = TargetSettings::default().scenes_an_emoji)]
    pub(crate) scenes_an_emoji: f64,
    /// The largest share of a picture's codes that training reads as random ones (a quarter of the pictures has none, every
    /// other draws its own share), so that pictures are told from their captions and not from the codes before alone
    #[arg(long = "corrupt", value_name = "F", default_value_t = TargetSettings::default().corrupted)]
    pub(crate) corrupted: f64,
    /// Pictures of a step
    #[arg(long, value_name = "B", default_value_t = TargetSettings::default().batch)]
    pub(crate) batch: usize,
    /// Largest step size; it rises over the first fiftieth of the steps and falls along a cosine
    #[arg(long, value_name = "F", default_value_t = TargetSettings::default().learning_rate)]
    pub(crate) learning_rate: f64,
    /// What trains the products; AdamW trains the rest
    #[arg(long, default_value = "adamw", value_parser = optimizer())]
    pub(crate) optimizer: Optimizer,
    /// What products are computed in; all else is f32. bf16 pays with libtorch on a processor that multiplies it (AVX512-BF16, AMX)
    #[arg(long, default_value = "f32", value_parser = precision())]
    pub(crate) precision: TrainingPrecision,
    /// Key of all that is drawn
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
}

fn optimizer() -> impl TypedValueParser<Value = Optimizer> {
    PossibleValuesParser::new(["adamw", "muon"]).map(|name| match name.as_str() {
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
    let mut pace = Pace::new("pictures", args.batch, settings.operations_a_step(codes));
    let run = TargetRun {
        pictures: args.pictures.clone(),
        tokenizer: args.tokenizer.clone(),
        settings,
        from: args.from.clone(),
        out: args.out.clone(),
    };
    let ended = train_target(&run, &mut |progress| {
        match progress {
            TrainingProgress::Images { done, of } => pace.encode(done, of),
            TrainingProgress::Steps { done, of, point } => {
                let losses = point.map(|point| {
                    let losses = point.validation.iter().map(|loss| format!("{loss:.3}")).collect::<Vec<_>>();
                    format!("loss {:.3}, validation {}", point.train[0], losses.join(" "))
                });
                pace.show(done, of, losses);
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
    say(format_args!("{:.1} million parameters", trained.parameters as f64 / 1e6));
    for (name, loss) in &trained.losses {
        say(format_args!("{name:<24} cross-entropy of a code {loss:.3} nats"));
    }
    say(args.out.display());
    Ok(())
}
