//! `hawk analyze sampling`: sheets of pictures over sampling settings.

use std::path::PathBuf;

use hawk::{Decoder, Decoding, PROMPTS, Result, Seed, Tree, TreeShape};
use hawk_analyze::{SamplingRun, sampling_sheets};

use super::shared::{begin, finish};
use crate::args::{DecodingArgs, DeviceArgs, LoadArgs, invalid_setting};
use crate::inputs;

/// Nodes of the trees, where none are given: a tuner would make the figures depend on the machine.
const NODES: usize = 8;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk analyze sampling --out analysis/
  hawk analyze sampling --temperatures 0.5,1 --top-ks 10,100,0 --cfgs 1,3 --out analysis/
  hawk analyze sampling --decoder hawk --tree 4 --prompt \"red apple, fluent 3d style\" --out out/

Every prompt is drawn with the same noise under each setting: once over temperature and top-k, once over
guidance. Beside each picture stand the tokens that a pass of the target committed, by trees of 8 nodes where
--tree gives no others. They are figures 8 and 9 of the paper.

Pictures are kept in OUT/sheets. After Ctrl-C the same command goes on. docs/analysis.md says more.")]
pub(crate) struct SamplingSheetArgs {
    /// Folder to write: the figure as JSON, each plot as SVG and CSV, and report.html of all figures there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What is drawn; may be given several times [default: two captions of the built-in model]
    #[arg(long = "prompt", value_name = "PROMPT")]
    prompts: Vec<String>,
    /// Seed of all pictures
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Temperatures, above 0
    #[arg(long, value_name = "F,...", value_delimiter = ',', default_value = "0.3,0.7,1,1.3")]
    temperatures: Vec<f32>,
    /// Values of top-k; 0 keeps all codes
    #[arg(long, value_name = "K,...", value_delimiter = ',', default_value = "1,10,100,1000,0")]
    top_ks: Vec<u32>,
    /// Scales of guidance
    #[arg(long, value_name = "F,...", value_delimiter = ',', default_value = "1,1.5,3,6,10")]
    cfgs: Vec<f32>,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    load: LoadArgs,
}

pub(crate) fn run(args: &SamplingSheetArgs) -> Result<()> {
    let decoding = args.decoding()?;
    for &temperature in &args.temperatures {
        hawk::Sampling::new(1.0, temperature, 0, 1.0).map_err(|e| invalid_setting(e).at("--temperatures"))?;
    }
    for &cfg in &args.cfgs {
        hawk::Sampling::new(cfg, 1.0, 0, 1.0).map_err(|e| invalid_setting(e).at("--cfgs"))?;
    }
    let prompts = match args.prompts.is_empty() {
        true => PROMPTS.iter().take(2).map(|&text| text.to_owned()).collect(),
        false => inputs::typed_prompts(&args.prompts)?,
    };
    let _lock = begin(&args.out)?;
    let engine = args.load.engine(&DeviceArgs::CPU, None, args.decoding.heads.as_deref())?;
    let model = args.load.model.name();
    let run = SamplingRun {
        engine: &engine,
        model: &model,
        prompts,
        seed: Seed(args.seed),
        base: engine.config().defaults,
        top_k: args.top_ks.clone(),
        temperature: args.temperatures.clone(),
        cfg: args.cfgs.clone(),
        decoding,
        dir: args.out.clone(),
    };
    finish(&args.out, "pictures", |watch| sampling_sheets(&run, watch))
}

impl SamplingSheetArgs {
    fn decoding(&self) -> Result<Decoding> {
        match self.decoding.tree {
            None if self.decoding.decoder != Decoder::AR => {
                Decoding::new(self.decoding.decoder, self.decoding.rule, Tree::Shape(TreeShape::Budget(NODES)))
            }
            _ => self.decoding.decoding(),
        }
    }
}
