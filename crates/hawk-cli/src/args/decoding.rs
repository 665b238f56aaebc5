//! Which drafter proposes cells, how proposals are verified, and how large their trees are.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hawk::{AnyRule, Decoder, Decoding, LossyRule, Result, Rule, Tree, TreeShape};

/// The help of `--tree`, less its first line.
macro_rules! tree_forms {
    () => {
        "
  7      up to 7 nodes, the last committed token included
  4x2x1  up to 4 candidates at depth 1, 2 below each, then 1 below each; 4x has one level
  auto   1 to 32 nodes, autotuned for tokens per second on this machine;
         only with the rule replay, where the tree does not change the result"
    };
}
pub(crate) use tree_forms;

#[derive(clap::Args)]
#[command(next_help_heading = "Decoding")]
pub(crate) struct DecodingArgs {
    /// Drafter that proposes cells
    #[arg(long, default_value = Decoder::SCD.name(), value_parser = decoder())]
    pub(crate) decoder: Decoder,
    /// How proposals are verified
    #[arg(long, default_value_t = AnyRule::Exact(Rule::Replay), value_parser = rule())]
    pub(crate) rule: AnyRule,
    /// Tree of proposals: nodes (7), a shape (4x2x1) or auto
    /// [default: ar 1, neighbour 3; others auto, or 4 if the rule is not replay]
    #[arg(long, value_name = "NODES|SHAPE|auto", value_parser = str::parse::<Tree>, long_help = concat!(
        "Tree of proposals [default: ar 1, neighbour 3; others auto, or 4 if the rule is not replay]\n",
        tree_forms!()
    ))]
    pub(crate) tree: Option<Tree>,
    /// Folder of draft heads [default: the model's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) heads: Option<PathBuf>,
}

impl DecodingArgs {
    pub(crate) fn decoding(&self) -> Result<Decoding> {
        Decoding::new(self.decoder, self.rule, self.tree.unwrap_or(self.decoder.default_tree(self.rule)))
    }
}

/// A decoder by its name, each with its help.
pub(crate) fn decoder() -> impl TypedValueParser<Value = Decoder> {
    let value = |decoder: Decoder| PossibleValue::new(decoder.name()).help(decoder.help());
    PossibleValuesParser::new(Decoder::all().map(value)).try_map(|name| name.parse())
}

/// A number of nodes, or `auto`.
pub(crate) fn budget(text: &str) -> std::result::Result<Tree, String> {
    match text.parse() {
        Ok(tree @ (Tree::Auto | Tree::Shape(TreeShape::Budget(_)))) => Ok(tree),
        _ => Err("a tree needs a number of nodes such as 8, or auto".to_owned()),
    }
}

/// A rule by its name, each with its help.
pub(crate) fn rule() -> impl TypedValueParser<Value = AnyRule> {
    let value = |rule: AnyRule| PossibleValue::new(rule.name()).help(rule_help(rule));
    PossibleValuesParser::new(AnyRule::ALL.map(value)).try_map(|name| name.parse())
}

pub(crate) fn rule_help(rule: AnyRule) -> &'static str {
    match rule {
        AnyRule::Exact(Rule::Replay) => "Lossless: exactly the result of plain decoding with the same seed",
        AnyRule::Exact(Rule::Rejection) => "Lossless: another sample of the same distribution (the paper's rule)",
        AnyRule::Lossy(LossyRule::Typical) => {
            "LOSSY, for comparison: typical acceptance, which changes the distribution"
        }
        AnyRule::Lossy(LossyRule::Lantern) => "LOSSY, for comparison: LANTERN++, which changes the distribution",
    }
}
