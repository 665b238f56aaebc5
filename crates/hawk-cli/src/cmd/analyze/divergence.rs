//! `hawk analyze divergence`: draft laws against each other and against the target's.

use std::path::PathBuf;

use hawk::Result;
use hawk_analyze::{DivergenceRun, divergence_of_laws};

use super::shared::AnalysisArgs;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk analyze divergence --out analysis/
  hawk analyze divergence --images 4 --seed 7 --out analysis/
  hawk analyze divergence --model lumina/ --heads heads/ --prompts captions.txt --out analysis/

The model draws images. At every cell the laws of its draft heads, their joint law, the law of the last
pass (Jacobi) and copies of neighbours are set beside the target's own law. The maps on the first three
images show where the horizontal head H1 and the vertical head V1 expect different things, as figure 5
of the paper does, where the target is undecided, and how near the nearest source is. The table has the
total variation of every source to the target.

Ctrl-C keeps the work so far; the same command goes on. docs/analysis.md says more.")]
pub(crate) struct DivergenceArgs {
    #[command(flatten)]
    analysis: AnalysisArgs,
    /// Folder of draft heads [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
}

pub(crate) fn run(args: &DivergenceArgs) -> Result<()> {
    let (prompts, _lock) = args.analysis.begin()?;
    let engine = args.analysis.engine(args.heads.as_deref())?;
    let model = args.analysis.load.model.name();
    let images = args.analysis.image_set(&engine, prompts)?;
    let run = DivergenceRun { engine: &engine, model: &model, images, dir: args.analysis.out.clone() };
    args.analysis.finish("images", |watch| divergence_of_laws(&run, watch))
}
