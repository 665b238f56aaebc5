//! `hawk analyze rejection`: rejection of a node by the number of its candidates.

use std::path::PathBuf;

use hawk::Result;
use hawk_analyze::{RejectionRun, rejection};

use super::shared::AnalysisArgs;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk analyze rejection --out analysis/
  hawk analyze rejection --images 16 --temperature 1 --top-p 1 --out analysis/
  hawk analyze rejection --model lumina/ --heads heads/ --prompts captions.txt --out analysis/

At every cell of the model's images (from the second row on) 1 to 30 candidates stand against the
target's law: from one head, from two heads in turn, from all heads, from their joint law, and from the
law of the last pass (Jacobi). The figure has the probability that all are rejected, under the rule
`rejection` (exact, with replacement, as in the paper; and without, as the decoders draw) and under
`replay`. Beside them stands the least rejection that any exact rule can have with the same candidates,
by optimal transport. It is figure 6 of the paper.

Ctrl-C keeps the work so far; the same command goes on. docs/analysis.md says more.")]
pub(crate) struct RejectionArgs {
    #[command(flatten)]
    analysis: AnalysisArgs,
    /// Folder of draft heads [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
}

pub(crate) fn run(args: &RejectionArgs) -> Result<()> {
    let (prompts, _lock) = args.analysis.begin()?;
    let engine = args.analysis.engine(args.heads.as_deref())?;
    let model = args.analysis.load.model.name();
    let images = args.analysis.image_set(&engine, prompts)?;
    let run = RejectionRun { engine: &engine, model: &model, images, dir: args.analysis.out.clone() };
    args.analysis.finish("images", |watch| rejection(&run, watch))
}
