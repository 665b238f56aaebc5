//! The JSON files of `hawk text`: tokens and statistics.

use std::time::Duration;

use hawk::{GeneratedText, Result, TextEngine, TextRequest, TextSampling};
use hawk_spec::TokenId;
use serde::Serialize;

use super::report::{SourceStats, passes_by_tokens};

/// The settings that were used.
#[derive(Clone, Serialize)]
struct Settings {
    /// 0: greedy; the next three are then missing.
    temperature: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    max_tokens: usize,
    precision: String,
    decoder: String,
    rule: String,
    tree: String,
    threads: usize,
}

impl Settings {
    fn new(engine: &TextEngine, request: &TextRequest) -> Self {
        let drawn = match request.sampling {
            TextSampling::Greedy => None,
            TextSampling::Drawn { sampling, seed } => Some((sampling, seed)),
        };
        Self {
            temperature: drawn.map_or(0.0, |(sampling, _)| sampling.temperature()),
            top_k: drawn.map(|(sampling, _)| sampling.top_k()),
            top_p: drawn.map(|(sampling, _)| sampling.top_p()),
            seed: drawn.map(|(_, seed)| seed.0),
            max_tokens: request.max_tokens,
            precision: engine.precision().to_string(),
            decoder: request.decoding.decoder().to_string(),
            rule: request.decoding.rule().to_string(),
            tree: request.decoding.tree().to_string(),
            threads: engine.threads(),
        }
    }
}

/// The file of `--tokens-out`.
#[derive(Serialize)]
pub(crate) struct TextTokens {
    settings: Settings,
    prompt: String,
    prompt_tokens: Vec<u32>,
    tokens: Vec<u32>,
    text: String,
    stop: String,
}

impl TextTokens {
    pub(crate) fn new(engine: &TextEngine, request: &TextRequest, text: &GeneratedText, stop: String) -> Result<Self> {
        let ids = |tokens: &[TokenId]| tokens.iter().map(|token| token.0).collect();
        Ok(Self {
            settings: Settings::new(engine, request),
            prompt: request.prompt.clone(),
            prompt_tokens: ids(&text.prompt),
            tokens: ids(&text.tokens),
            text: engine.text(&text.prompt, &text.tokens)?,
            stop,
        })
    }
}

/// The file of `--stats`.
#[derive(Serialize)]
pub(crate) struct TextStats {
    settings: Settings,
    prompt_tokens: usize,
    tokens: usize,
    stop: String,
    prefill_passes: u64,
    target_passes: u64,
    /// Tokens per pass.
    acceptance_length: f64,
    accepted: u64,
    recovered: u64,
    bonus: u64,
    nodes: u64,
    passes_by_tokens: Vec<u64>,
    sources: Vec<SourceStats>,
    load_s: f64,
    /// Seconds without prefill.
    generate_s: f64,
    parts_s: Parts,
    tokens_per_s: f64,
}

/// Seconds of each part.
#[derive(Serialize)]
struct Parts {
    prefill: f64,
    draft: f64,
    target: f64,
    verify: f64,
    commit: f64,
}

/// What the program knows of a run beside the text.
pub(crate) struct TextRun {
    /// How long the model took to load.
    pub(crate) load: Duration,
    /// What ended the text, in words.
    pub(crate) stop: String,
}

impl TextStats {
    pub(crate) fn new(engine: &TextEngine, request: &TextRequest, text: &GeneratedText, run: TextRun) -> Self {
        let (stats, timings) = (&text.stats, text.timings);
        Self {
            settings: Settings::new(engine, request),
            prompt_tokens: text.prompt.len(),
            tokens: text.tokens.len(),
            stop: run.stop,
            prefill_passes: stats.prefill_passes,
            target_passes: stats.target_passes,
            acceptance_length: stats.acceptance_length(),
            accepted: stats.accepted,
            recovered: stats.recovered,
            bonus: stats.bonus,
            nodes: stats.nodes,
            passes_by_tokens: passes_by_tokens(stats),
            sources: SourceStats::of(stats),
            load_s: run.load.as_secs_f64(),
            generate_s: text.elapsed.as_secs_f64(),
            parts_s: Parts {
                prefill: timings.prefill.as_secs_f64(),
                draft: timings.draft.as_secs_f64(),
                target: timings.target.as_secs_f64(),
                verify: timings.verify.as_secs_f64(),
                commit: timings.commit.as_secs_f64(),
            },
            tokens_per_s: tokens_per_s(text),
        }
    }
}

/// Tokens per second, without prefill.
pub(crate) fn tokens_per_s(text: &GeneratedText) -> f64 {
    text.tokens.len() as f64 / text.elapsed.as_secs_f64().max(1e-9)
}
