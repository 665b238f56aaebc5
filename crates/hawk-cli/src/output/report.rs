//! The JSON files of `hawk generate`: tokens and statistics.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hawk::{DecodeStats, Engine, Generated, ReadBack, RecordedSampling, RecordedStats, Request, Timings};
use hawk_spec::TokenId;
use serde::{Serialize, Serializer};

/// The settings that were used, the same for all images of a call.
#[derive(Clone, Serialize)]
struct Settings {
    #[serde(flatten)]
    sampling: RecordedSampling,
    precision: String,
    decoder: String,
    rule: String,
    /// Whether the rule is lossless.
    exact: bool,
    tree: String,
    threads: usize,
    batch: usize,
}

impl Settings {
    fn new(engine: &Engine, request: &Request) -> Self {
        Self {
            sampling: request.sampling.into(),
            precision: engine.precision().to_string(),
            decoder: request.decoding.decoder().to_string(),
            rule: request.decoding.rule().to_string(),
            exact: request.decoding.rule().warning().is_empty(),
            tree: request.decoding.tree().to_string(),
            threads: engine.threads(),
            batch: request.batch,
        }
    }
}

/// The place of an image in the reports, whatever the order in which images are finished.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) prompt_number: usize,
    pub(crate) index: u32,
}

/// The file of `--tokens-out`.
#[derive(Serialize)]
pub(crate) struct TokensReport {
    settings: Settings,
    #[serde(serialize_with = "in_order")]
    images: BTreeMap<Place, ImageTokens>,
}

fn in_order<S: Serializer, T: Serialize>(images: &BTreeMap<Place, T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(images.values())
}

#[derive(Serialize)]
struct ImageTokens {
    prompt: String,
    seed: u64,
    index: u32,
    /// Size of the image in pixels.
    width: u32,
    height: u32,
    cond_prefix: Vec<u32>,
    uncond_prefix: Vec<u32>,
    tokens: Vec<u32>,
    codes: Vec<u32>,
}

impl TokensReport {
    pub(crate) fn new(engine: &Engine, request: &Request) -> Self {
        Self { settings: Settings::new(engine, request), images: BTreeMap::new() }
    }

    pub(crate) fn add(
        &mut self,
        place: Place,
        engine: &Engine,
        request: &Request,
        image: &Generated,
    ) -> hawk::Result<()> {
        let conditioning = engine.conditioning(&request.prompt)?;
        let ids = |tokens: &[TokenId]| tokens.iter().map(|token| token.0).collect();
        let tokens = ImageTokens {
            prompt: request.prompt.clone(),
            seed: request.seed.0,
            index: image.index,
            width: image.image.width,
            height: image.image.height,
            cond_prefix: ids(conditioning.cond.tokens()),
            uncond_prefix: ids(conditioning.uncond.tokens()),
            tokens: ids(&engine.config().layout.sequence(&image.codes)),
            codes: image.codes.iter().map(|code| code.0).collect(),
        };
        self.images.insert(place, tokens);
        Ok(())
    }
}

/// The file of `--stats`.
#[derive(Serialize)]
pub(crate) struct StatsReport {
    settings: Settings,
    #[serde(serialize_with = "in_order")]
    images: BTreeMap<Place, ImageStats>,
    load_s: f64,
    generate_s: f64,
    /// Seconds of each part of `generate_s`.
    parts_s: Parts,
    images_per_s: f64,
    /// What was read back from a GPU.
    read_back: ReadBackStats,
    /// The tree sizes in use at the end, where they are autotuned.
    tuned: Vec<TunedStats>,
}

#[derive(Serialize)]
struct TunedStats {
    /// Images in a pass.
    images: usize,
    /// Most nodes of a tree.
    nodes: usize,
    /// Passes over so many images.
    passes: u64,
    /// Those of trials among them.
    trial_passes: u64,
}

#[derive(Serialize)]
struct ImageStats {
    file: String,
    prompt: String,
    seed: u64,
    index: u32,
    elapsed_s: f64,
    #[serde(flatten)]
    stats: RecordedStats,
    recovered: u64,
    bonus: u64,
    /// Passes by the number of cells that they committed.
    passes_by_cells: Vec<u64>,
    sources: Vec<SourceStats>,
}

#[derive(Serialize)]
pub(crate) struct SourceStats {
    source: String,
    depth: usize,
    proposed: u64,
    tested: u64,
    accepted: u64,
}

impl SourceStats {
    pub(crate) fn of(stats: &DecodeStats) -> Vec<Self> {
        let sources = stats.tallies().map(|(source, depth, tally)| Self {
            source: source.to_string(),
            depth,
            proposed: tally.proposed,
            tested: tally.tested,
            accepted: tally.accepted,
        });
        sources.collect()
    }
}

/// Passes by the number of tokens that they committed, from 0 up to the longest.
pub(crate) fn passes_by_tokens(stats: &DecodeStats) -> Vec<u64> {
    let last = stats.tokens_per_pass.iter().rposition(|&passes| passes > 0).unwrap_or(0);
    stats.tokens_per_pass[..=last].to_vec()
}

#[derive(Clone, Copy, Default, Serialize)]
struct Parts {
    prefill: f64,
    draft: f64,
    target: f64,
    verify: f64,
    commit: f64,
    pixels: f64,
}

/// Bytes of laws and best codes, nodes whose best codes a GPU has listed, and nodes that the host has ranked
/// because a list did not decide.
#[derive(Clone, Copy, Default, Serialize)]
struct ReadBackStats {
    bytes: u64,
    listed_nodes: u64,
    nodes_ranked_on_host: u64,
}

impl StatsReport {
    pub(crate) fn new(engine: &Engine, request: &Request, load: Duration) -> Self {
        Self {
            settings: Settings::new(engine, request),
            images: BTreeMap::new(),
            load_s: load.as_secs_f64(),
            generate_s: 0.0,
            parts_s: Parts::default(),
            images_per_s: 0.0,
            read_back: ReadBackStats::default(),
            tuned: Vec::new(),
        }
    }

    /// Adds the choices of the engine's autotuner.
    pub(crate) fn add_tuned(&mut self, engine: &Engine) {
        let sizes = engine.tuned_sizes().into_iter().map(|size| TunedStats {
            images: size.images,
            nodes: size.nodes,
            passes: size.passes,
            trial_passes: size.trial_passes,
        });
        self.tuned = sizes.collect();
    }

    pub(crate) fn add(&mut self, place: Place, request: &Request, image: &Generated, file: &Path) {
        let stats = &image.stats;
        let row = ImageStats {
            file: file.display().to_string(),
            prompt: request.prompt.clone(),
            seed: request.seed.0,
            index: image.index,
            elapsed_s: image.elapsed.as_secs_f64(),
            stats: stats.into(),
            recovered: stats.recovered,
            bonus: stats.bonus,
            passes_by_cells: passes_by_tokens(stats),
            sources: SourceStats::of(stats),
        };
        self.images.insert(place, row);
    }

    pub(crate) fn add_read_back(&mut self, read_back: ReadBack) {
        let sum = &mut self.read_back;
        sum.bytes += read_back.bytes;
        sum.listed_nodes += read_back.listed;
        sum.nodes_ranked_on_host += read_back.ranked_on_host;
    }

    pub(crate) fn add_time(&mut self, timings: &Timings, elapsed: Duration) {
        self.generate_s += elapsed.as_secs_f64();
        self.images_per_s = self.images.len() as f64 / self.generate_s.max(1e-9);
        let parts = &mut self.parts_s;
        for (sum, part) in [
            (&mut parts.prefill, timings.prefill),
            (&mut parts.draft, timings.draft),
            (&mut parts.target, timings.target),
            (&mut parts.verify, timings.verify),
            (&mut parts.commit, timings.commit),
            (&mut parts.pixels, timings.pixels),
        ] {
            *sum += part.as_secs_f64();
        }
    }
}
