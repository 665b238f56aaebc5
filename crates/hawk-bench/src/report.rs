//! What was measured as figures, ready for JSON.

use std::fmt;
use std::time::Duration;

use hawk::{Decoding, Engine, Image, Precision, RecordedSampling, Tree};
use hawk_kernels::Isa;
use hawk_spec::Grid;
use serde::{Serialize, Serializer};

use crate::decoders::{Measured, Plan, Turn, exact, replays};

/// A comparison with what it was made with and on.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// A contender each: precision by precision, plain decoding first, then rule by rule.
    pub rows: Vec<Row>,
    /// What was drawn, and how.
    pub settings: Settings,
    /// Where.
    pub machine: Machine,
}

/// What was drawn, and how.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// The model's name.
    pub model: String,
    /// SHA-256 over the model's files.
    pub model_digest: String,
    /// Rows and columns of the grid of cells.
    pub grid: [u32; 2],
    /// Guidance and warping.
    pub sampling: RecordedSampling,
    /// The images.
    pub turns: Vec<Turn>,
}

impl Settings {
    /// The settings of a comparison on an engine whose model goes by `model`.
    ///
    /// # Errors
    /// The model's files cannot be read for the digest.
    pub fn new(engine: &Engine, model: String, plan: &Plan) -> hawk::Result<Self> {
        let grid = engine.config().layout.grid();
        Ok(Self {
            model,
            model_digest: engine.digest()?.to_owned(),
            grid: [grid.rows(), grid.cols()],
            sampling: plan.sampling.into(),
            turns: plan.turns().collect(),
        })
    }
}

/// The machine and the program.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Version of the program.
    pub version: String,
    /// Threads in use.
    pub threads: usize,
    /// Hardware threads.
    pub cores: usize,
    /// Instruction set of the kernels.
    pub isa: String,
    /// Class of the device that computed the passes: `cpu`, or the interface and the name of a GPU.
    pub device: String,
    /// Processor architecture.
    pub arch: String,
    /// Operating system.
    pub os: String,
}

impl Machine {
    /// This machine, with the engine's threads.
    #[must_use]
    pub fn here(engine: &Engine) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            threads: engine.threads(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            isa: Isa::detect().to_string(),
            device: engine.device().to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            os: std::env::consts::OS.to_owned(),
        }
    }
}

/// Most nodes of a tree, root included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Budget {
    /// Always so many.
    Nodes(usize),
    /// Autotuned.
    Auto,
}

impl Budget {
    pub(crate) fn of(decoding: Decoding) -> Self {
        if decoding.tree() == Tree::Auto { Self::Auto } else { Self::Nodes(decoding.shape().nodes()) }
    }

    /// As captions name it.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Nodes(nodes) => format!("{nodes} nodes"),
            Self::Auto => "autotuned trees".to_owned(),
        }
    }

    /// The number of nodes, where it is fixed.
    #[must_use]
    pub fn nodes(self) -> Option<usize> {
        match self {
            Self::Nodes(nodes) => Some(nodes),
            Self::Auto => None,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(nodes) => nodes.fmt(f),
            Self::Auto => f.pad("auto"),
        }
    }
}

impl Serialize for Budget {
    /// A number, or `"auto"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Nodes(nodes) => nodes.serialize(serializer),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

/// The figures of one contender.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What guessed.
    pub decoder: String,
    /// How guesses were tested.
    pub rule: String,
    /// Whether the rule keeps the target's law.
    pub exact: bool,
    /// Under `replay`: whether every image was equal to that of plain decoding. None under rules
    /// that draw other images.
    pub same_image_as_ar: Option<bool>,
    /// Most nodes of a tree.
    pub budget: Budget,
    /// How weights were stored and multiplied.
    pub precision: String,
    /// Images drawn.
    pub images: usize,
    /// Cells committed per target pass.
    pub acceptance_length: f64,
    /// Target passes over all images, prompts not counted.
    pub passes: u64,
    /// Mean time of a step: draft, target, verify, commit.
    pub ms_per_pass: f64,
    /// Its parts.
    pub pass_parts: PassParts,
    /// Mean time of an image, from prompt to pixels.
    pub ms_per_image: f64,
    /// Its parts.
    pub image_parts: ImageParts,
    /// Images over their time.
    pub images_per_s: f64,
    /// Plain decoding's time over this contender's: median over the images.
    pub speedup: f64,
    /// The same with its spread.
    pub speedup_spread: Spread,
    /// Passes by the number of cells that they committed, from 0.
    pub passes_by_cells: Vec<u64>,
    /// What became of the guesses.
    pub sources: Vec<SourceRow>,
    /// The same by kind of picture, where prompts have kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_kind: Vec<KindRow>,
    /// Cells per target pass in each row of the grid: its cells over those that are no accepted guess. None
    /// where all are.
    pub acceptance_length_by_row: Vec<Option<f64>>,
    /// Share of images in which a cell was an accepted guess, `[row][column]`.
    pub drafted_share: Vec<Vec<f64>>,
    /// Memory of draft heads and Speculation Cache as a share of the memory of the target; none if
    /// unknown.
    pub draft_memory_share: Option<f64>,
    /// The first images.
    #[serde(skip)]
    pub shown: Vec<Image>,
}

/// The figures of a contender over the pictures of a kind.
#[derive(Clone, Debug, Serialize)]
pub struct KindRow {
    /// The kind.
    pub kind: String,
    /// Images drawn.
    pub images: usize,
    /// Cells committed per target pass.
    pub acceptance_length: f64,
    /// Plain decoding's time over this contender's.
    pub speedup_spread: Spread,
}

/// Mean milliseconds of a step.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PassParts {
    /// Drafters, and laying out the rows.
    pub draft_ms: f64,
    /// The target pass.
    pub target_ms: f64,
    /// Guidance, warping, noise, the rule.
    pub verify_ms: f64,
    /// Moving keys and values.
    pub commit_ms: f64,
}

/// Mean milliseconds of an image.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ImageParts {
    /// Drafters, and laying out the rows.
    pub draft_ms: f64,
    /// Target passes.
    pub target_ms: f64,
    /// Guidance, warping, noise, the rule.
    pub verify_ms: f64,
    /// Moving keys and values.
    pub commit_ms: f64,
    /// Reading the prompt, turning codes into pixels, memory.
    pub rest_ms: f64,
}

/// Guesses of one source at one depth.
#[derive(Clone, Debug, Serialize)]
pub struct SourceRow {
    /// The source.
    pub source: String,
    /// Cells after the anchor, from 1.
    pub depth: usize,
    /// Guesses in the trees.
    pub proposed: u64,
    /// Guesses that verification came to.
    pub tested: u64,
    /// Guesses that were kept.
    pub accepted: u64,
}

/// How samples lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Least.
    pub min: f64,
    /// First quartile.
    pub q1: f64,
    /// Second quartile.
    pub median: f64,
    /// Third quartile.
    pub q3: f64,
    /// Greatest.
    pub max: f64,
}

impl Spread {
    /// Quartiles between samples are interpolated; without samples all is NaN.
    #[must_use]
    pub fn new(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * sorted.len().saturating_sub(1) as f64;
            let (below, above) = (sorted.get(place.floor() as usize), sorted.get(place.ceil() as usize));
            below.zip(above).map_or(f64::NAN, |(below, above)| below + (above - below) * place.fract())
        };
        Self { min: quantile(0.0), q1: quantile(0.25), median: quantile(0.5), q3: quantile(0.75), max: quantile(1.0) }
    }
}

impl Row {
    /// The figures of a contender on an engine.
    #[must_use]
    pub fn new(measured: &Measured, plan: &Plan, engine: &Engine) -> Self {
        let draft_memory_share = engine.draft_memory(measured.decoding).ok().map(|memory| memory.share());
        let row = Self::from_parts(measured, plan, engine.precision(), engine.config().layout.grid());
        Self { draft_memory_share, ..row }
    }

    pub(crate) fn from_parts(measured: &Measured, plan: &Plan, precision: Precision, grid: Grid) -> Self {
        let Measured { decoding, stats, timings, .. } = measured;
        let (images, passes) = (measured.times.len(), stats.target_passes);
        let time: Duration = measured.times.iter().sum();
        let per = |part: Duration, count: f64| part.as_secs_f64() * 1e3 / count.max(1.0);
        let steps = timings.draft + timings.target + timings.verify + timings.commit;
        let per_image = |part| per(part, images as f64);
        let per_pass = |part| per(part, passes as f64);
        let longest = stats.tokens_per_pass.iter().rposition(|&passes| passes > 0).unwrap_or(0);
        let spread = Spread::new(&measured.speedups);
        Self {
            decoder: decoding.decoder().to_string(),
            rule: decoding.rule().to_string(),
            exact: exact(*decoding),
            same_image_as_ar: replays(*decoding).then_some(true),
            budget: Budget::of(*decoding),
            precision: precision.to_string(),
            images,
            acceptance_length: stats.acceptance_length(),
            passes,
            ms_per_pass: per_pass(steps),
            pass_parts: PassParts {
                draft_ms: per_pass(timings.draft),
                target_ms: per_pass(timings.target),
                verify_ms: per_pass(timings.verify),
                commit_ms: per_pass(timings.commit),
            },
            ms_per_image: per_image(time),
            image_parts: ImageParts {
                draft_ms: per_image(timings.draft),
                target_ms: per_image(timings.target),
                verify_ms: per_image(timings.verify),
                commit_ms: per_image(timings.commit),
                rest_ms: per_image(time.saturating_sub(steps)),
            },
            images_per_s: images as f64 / time.as_secs_f64(),
            speedup: spread.median,
            speedup_spread: spread,
            passes_by_cells: stats.tokens_per_pass[..=longest].to_vec(),
            sources: sources(measured),
            by_kind: by_kind(measured, plan),
            acceptance_length_by_row: acceptance_length_by_row(measured, grid),
            drafted_share: drafted_share(measured, grid),
            draft_memory_share: (!decoding.decoder().needs_heads()).then_some(0.0),
            shown: measured.images.clone(),
        }
    }
}

fn sources(measured: &Measured) -> Vec<SourceRow> {
    let row = |(source, depth, tally): (hawk_spec::Source, usize, hawk_spec::SourceTally)| SourceRow {
        source: source.to_string(),
        depth,
        proposed: tally.proposed,
        tested: tally.tested,
        accepted: tally.accepted,
    };
    measured.stats.tallies().map(row).collect()
}

fn by_kind(measured: &Measured, plan: &Plan) -> Vec<KindRow> {
    let kinds: Vec<Option<String>> = plan.turns().map(|turn| turn.kind).collect();
    let mut names: Vec<&String> = Vec::new();
    for kind in kinds.iter().flatten() {
        if !names.contains(&kind) {
            names.push(kind);
        }
    }
    let row = |name: &String| {
        let of_kind = || kinds.iter().enumerate().filter(|(_, kind)| kind.as_ref() == Some(name)).map(|(at, _)| at);
        let speedups: Vec<f64> = of_kind().filter_map(|at| measured.speedups.get(at).copied()).collect();
        let steps = of_kind().filter_map(|at| measured.steps.get(at));
        let [passes, cells] = steps.fold([0, 0], |sum, image| [sum[0] + image[0], sum[1] + image[1]]);
        KindRow {
            kind: name.clone(),
            images: speedups.len(),
            acceptance_length: cells as f64 / passes.max(1) as f64,
            speedup_spread: Spread::new(&speedups),
        }
    };
    names.into_iter().map(row).collect()
}

fn acceptance_length_by_row(measured: &Measured, grid: Grid) -> Vec<Option<f64>> {
    let length = |row: &[u32]| {
        let cells = (row.len() * measured.times.len()) as f64;
        let rest = cells - row.iter().copied().map(f64::from).sum::<f64>();
        (rest > 0.0).then(|| cells / rest)
    };
    measured.drafted.chunks(grid.cols() as usize).map(length).collect()
}

fn drafted_share(measured: &Measured, grid: Grid) -> Vec<Vec<f64>> {
    let share = |&images: &u32| f64::from(images) / measured.times.len().max(1) as f64;
    measured.drafted.chunks(grid.cols() as usize).map(|row| row.iter().map(share).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_samples() {
        let check = |samples: &[f64], want: [f64; 5]| {
            let got = Spread::new(samples);
            assert_eq!([got.min, got.q1, got.median, got.q3, got.max], want);
        };
        check(&[3.0, 1.0, 2.0], [1.0, 1.5, 2.0, 2.5, 3.0]);
        check(&[4.0], [4.0; 5]);
        check(&[1.0, 2.0], [1.0, 1.25, 1.5, 1.75, 2.0]);
        assert!(Spread::new(&[]).median.is_nan());
    }
}
