//! How codes are sampled.

use hawk::{Error, Result, Sampling};

#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Scale of classifier-free guidance, 0 to 100; 1 = off [default: the model's]
    #[arg(long, value_name = "F")]
    pub(crate) cfg: Option<f32>,
    /// Temperature; higher = more varied, 0 = always the most likely code [default: the model's]
    #[arg(long, value_name = "F")]
    pub(crate) temperature: Option<f32>,
    /// Sample from the K most likely codes; 0 = all [default: the model's]
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<u32>,
    /// Sample from the most likely codes that together have probability P, above 0, at most 1 [default: the model's]
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f32>,
}

impl SamplingArgs {
    /// The settings that were given, the others from `defaults`.
    pub(crate) fn or(&self, defaults: Sampling) -> Result<Sampling> {
        if self.temperature == Some(0.0) {
            return self.greedy(self.cfg.unwrap_or(defaults.cfg()));
        }
        Sampling::new(
            self.cfg.unwrap_or(defaults.cfg()),
            self.temperature.unwrap_or(defaults.temperature()),
            self.top_k.unwrap_or(defaults.top_k()),
            self.top_p.unwrap_or(defaults.top_p()),
        )
        .map_err(invalid_setting)
    }
}

impl SamplingArgs {
    /// Greedy decoding: of the codes the most likely one alone is kept.
    fn greedy(&self, cfg: f32) -> Result<Sampling> {
        // What is out of range is refused as it would be elsewhere.
        Sampling::new(cfg, 1.0, self.top_k.unwrap_or(0), self.top_p.unwrap_or(1.0)).map_err(invalid_setting)?;
        let given = [("--top-k", self.top_k.is_some_and(|k| k > 1)), ("--top-p", self.top_p.is_some_and(|p| p < 1.0))];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(not_greedy(name, "--temperature 0")),
            None => Sampling::new(cfg, 1.0, 1, 1.0).map_err(invalid_setting),
        }
    }
}

/// The error for an option that greedy decoding has no use for.
pub(crate) fn not_greedy(option: &str, got: &str) -> Error {
    Error::input("greedy decoding does not sample").at(option).expected("a --temperature above 0").got(got)
}

/// The error for a setting that the library refuses.
pub(crate) fn invalid_setting(e: impl std::fmt::Display) -> Error {
    Error::input(format!("invalid setting: {e}"))
}
