//! The analysis over images.

use std::path::PathBuf;

use hawk::{Engine, ImageIndex, Noise, Result, Seed};
use hawk_spec::Purpose;
use serde::{Deserialize, Serialize};

use super::rules::{rejection_with_replacement, rejection_without_replacement};
use super::transport::Orders;
use crate::figure::{Content, Figure, Line, LinePlot, Part, Spacing, Table};
use crate::images::{Drawn, ImageSet};
use crate::laws::{CellLaws, ImageLaws, Source, law};
use crate::settings::{Identity, model_settings};
use crate::watch::{Ended, Sums, Watch, bits, each_part};

/// Numbers of candidates.
const MOST: usize = 30;
/// Numbers of candidates that the table and the bound show.
const SHOWN: [usize; 9] = [1, 2, 3, 4, 6, 8, 12, 16, 30];
/// Draws of the target's code under replay, for each node: the image's own noise and others.
const NOISES: u32 = 4;
/// Added to the seed of an image for the noises that are not its own.
const OTHER_SEED: u64 = 0x5EED_0000_0000_0000;

/// An analysis of rejection.
pub struct RejectionRun<'a> {
    /// The model, with its draft heads if it has any.
    pub engine: &'a Engine,
    /// Its name, for people.
    pub model: &'a str,
    /// The images.
    pub images: ImageSet,
    /// Folder of the images and of unfinished sums.
    pub dir: PathBuf,
}

/// How candidates are made of some sources: alternately.
#[derive(Clone, Debug)]
struct Pooled {
    name: &'static str,
    sources: Vec<Source>,
}

/// What was summed for one pool of sources.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PoolSums {
    nodes: u64,
    /// By candidates: rejection with and without replacement, under replay, and the bound.
    #[serde(with = "bits")]
    with: Vec<f64>,
    #[serde(with = "bits")]
    without: Vec<f64>,
    #[serde(with = "bits")]
    replay: Vec<f64>,
    /// By [`SHOWN`].
    #[serde(with = "bits")]
    bound: Vec<f64>,
}

impl Default for PoolSums {
    fn default() -> Self {
        let zeros = || vec![0.0; MOST];
        Self { nodes: 0, with: zeros(), without: zeros(), replay: zeros(), bound: vec![0.0; SHOWN.len()] }
    }
}

/// Draws the images, and computes at every cell how often 1 to 30 candidates are all rejected.
///
/// # Errors
/// There is nothing to look at, the model fails or is not on the CPU, or a file cannot be read or written.
pub fn rejection(run: &RejectionRun<'_>, watch: &mut Watch<'_>) -> Result<Ended<Figure>> {
    run.images.check(run.engine)?;
    let laws = ImageLaws::new(run.engine, run.images.sampling)?;
    let pools = pools(&laws.sources(), &best_first(run.engine));
    let identity = Identity::of(run.engine, &run.images)?;
    let sums = Sums::open(&run.dir, "rejection", &identity, vec![PoolSums::default(); pools.len()])?;
    let ended = each_part(sums, run.images.images, watch, &mut |sums, number, watch| {
        let Ended::Finished(image) = run.images.drawn(run.engine, &run.dir, number, watch)? else {
            return Ok(Ended::Stopped);
        };
        laws.of(&image, &run.images.sampling, &mut |cell| {
            pools.iter().zip(sums.iter_mut()).try_for_each(|(pool, sums)| sums.add(cell, pool, &image))
        })?;
        Ok(Ended::Finished(()))
    })?;
    let Ended::Finished(sums) = ended else { return Ok(Ended::Stopped) };
    let mut settings = model_settings(run.engine, run.model)?;
    settings.extend(run.images.settings());
    Ok(Ended::Finished(figure(&pools, &sums, settings)))
}

/// The names of the model's heads, the best in validation first.
fn best_first(engine: &Engine) -> Vec<String> {
    let mut heads: Vec<_> = engine.heads().map_or_else(Vec::new, |heads| heads.heads.iter().collect());
    let overlap = |head: &hawk_nn::HeadConfig| head.validation.as_ref().map_or(0.0, |figures| figures.overlap);
    heads.sort_by(|a, b| overlap(b).total_cmp(&overlap(a)));
    heads.into_iter().map(|head| head.offset.to_string()).collect()
}

/// The pools of the figure, as far as the model has their sources.
fn pools(sources: &[(String, Source)], heads: &[String]) -> Vec<Pooled> {
    let named = |name: &str| sources.iter().find(|(known, _)| known == name).map(|(_, source)| source.clone());
    let heads: Vec<Source> = heads.iter().map(|name| named(name)).collect::<Option<_>>().unwrap_or_default();
    let (across, down) = (named("H1"), named("V1"));
    let mut pools = Vec::new();
    let mut add = |name, sources: Vec<Source>| pools.push(Pooled { name, sources });
    if let Some(across) = &across {
        add("H1 alone", vec![across.clone()]);
    }
    if let (Some(across), Some(down)) = (across, down) {
        add("V1 alone", vec![down.clone()]);
        add("H1 and V1", vec![across, down]);
    }
    if heads.len() > 2 {
        add("all heads", heads);
    }
    for (name, source) in [("joint law", Source::Joint), ("Jacobi law", Source::Jacobi)] {
        if named(name).is_some() {
            add(name, vec![source]);
        }
    }
    pools
}

impl PoolSums {
    fn add(&mut self, cell: &CellLaws<'_>, pool: &Pooled, image: &Drawn) -> Result<()> {
        // Where a source of the pool has no law, as in the first row, the node counts for no pool of it. So all pools
        // of heads see the same nodes.
        if cell.grid().row(cell.cell) == 0 || pool.sources.iter().any(|source| !cell.has(source)) {
            return Ok(());
        }
        let scores: Vec<Vec<f32>> = pool
            .sources
            .iter()
            .map(|source| cell.scores_of(source))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect();
        let laws: Vec<Vec<f64>> = scores.iter().map(|scores| law(scores)).collect::<Result<_>>()?;
        let laws: Vec<&[f64]> = laws.iter().map(Vec::as_slice).collect();
        self.nodes += 1;
        let add = |sums: &mut [f64], values: &[f64]| sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        add(&mut self.with, &rejection_with_replacement(cell.target, &laws, MOST));
        let draft = image.noise.at(cell.cell, Purpose::Draft);
        let mut uniform = |candidate: usize| draft.uniform(candidate as u32);
        add(&mut self.without, &rejection_without_replacement(cell.target, &laws, MOST, &mut uniform));
        let orders = Orders::new(cell.target, &laws);
        for (sum, &candidates) in self.bound.iter_mut().zip(&SHOWN) {
            let counts: Vec<usize> =
                (0..laws.len()).map(|at| (candidates + laws.len() - 1 - at) / laws.len()).collect();
            *sum += orders.least_rejection(&counts);
        }
        for index in 0..NOISES {
            let noise = match index {
                0 => image.noise,
                _ => Noise { seed: Seed(image.noise.seed.0 ^ OTHER_SEED), image: ImageIndex(index) },
            };
            let place = place_under_replay(cell, &scores, noise)?;
            let rejected = self.replay.iter_mut().take(place.unwrap_or(MOST));
            rejected.for_each(|sum| *sum += 1.0 / f64::from(NOISES));
        }
        Ok(())
    }
}

/// The place of the code that the target draws among the candidates: the sources' best codes under the cell's noise
/// in turn, no code twice. None where it is not among the first 30.
fn place_under_replay(cell: &CellLaws<'_>, scores: &[Vec<f32>], noise: Noise) -> Result<Option<usize>> {
    let noise = noise.at(cell.cell, Purpose::Replay);
    let drawn = noise.argmax(cell.scores).map_err(|e| hawk::Error::input(e.to_string()))?;
    let ranked: Vec<Vec<hawk::Code>> = scores
        .iter()
        .map(|scores| {
            let mut ranked = Vec::new();
            noise.rank(scores, MOST, &mut ranked);
            ranked.into_iter().map(|(_, code)| code).collect()
        })
        .collect();
    let mut pool: Vec<hawk::Code> = Vec::with_capacity(MOST);
    for rank in 0..MOST {
        for code in ranked.iter().filter_map(|ranked| ranked.get(rank)) {
            if !pool.contains(code) {
                pool.push(*code);
            }
        }
    }
    Ok(pool.iter().take(MOST).position(|code| *code == drawn))
}

fn figure(pools: &[Pooled], sums: &[PoolSums], settings: Vec<[String; 2]>) -> Figure {
    let known: Vec<(&Pooled, &PoolSums)> = pools.iter().zip(sums).filter(|(_, sums)| sums.nodes > 0).collect();
    let mean = |values: &[f64], sums: &PoolSums, at: usize| values[at] / sums.nodes as f64;
    let plot = |id: &str, title: &str, caption: &str, values: fn(&PoolSums) -> &[f64]| Part {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        content: Content::Lines(LinePlot {
            x: "candidates of the node".to_owned(),
            y: "probability that all are rejected".to_owned(),
            spacing: Spacing::Linear,
            lines: known
                .iter()
                .map(|(pool, sums)| Line {
                    name: pool.name.to_owned(),
                    points: match values(sums).len() {
                        MOST => (0..MOST).map(|at| [(at + 1) as f64, mean(values(sums), sums, at)]).collect(),
                        _ => (0..SHOWN.len()).map(|at| [SHOWN[at] as f64, mean(values(sums), sums, at)]).collect(),
                    },
                })
                .collect(),
            reference: None,
        }),
    };
    let parts = vec![
        plot(
            "with",
            "Rule rejection, drawn with replacement",
            "Exact at every node, as in the paper: candidates are tested one after another against the residual law. Several sources take turns.",
            |sums| &sums.with,
        ),
        plot(
            "without",
            "Rule rejection, drawn without replacement",
            "As the decoders draw: a law brings no code twice.",
            |sums| &sums.without,
        ),
        plot(
            "replay",
            "Rule replay",
            "A node is rejected where the code that plain decoding draws is not among the candidates, which are the best of law and noise.",
            |sums| &sums.replay,
        ),
        plot(
            "bound",
            "The least that any exact rule can reject",
            "Optimal transport between the candidates’ law, drawn with replacement, and the target’s. With several sources it is a lower bound.",
            |sums| &sums.bound,
        ),
        table(&known),
    ];
    Figure {
        name: "rejection".to_owned(),
        title: "Rejection of a node".to_owned(),
        paper: "figure 6".to_owned(),
        findings: findings(&known),
        settings,
        parts,
    }
}

fn table(known: &[(&Pooled, &PoolSums)]) -> Part {
    let columns = std::iter::once("sources, rule".to_owned()).chain(SHOWN.map(|count| count.to_string())).collect();
    let mut rows = Vec::new();
    for (pool, sums) in known {
        let nodes = sums.nodes as f64;
        for (rule, values) in [
            ("rejection, with replacement", &sums.with),
            ("rejection, without", &sums.without),
            ("replay", &sums.replay),
        ] {
            rows.push((format!("{}: {rule}", pool.name), SHOWN.map(|count| Some(values[count - 1] / nodes)).to_vec()));
        }
        rows.push((format!("{}: bound", pool.name), sums.bound.iter().map(|sum| Some(sum / nodes)).collect()));
    }
    Part {
        id: "table".to_owned(),
        title: "Probability that all candidates are rejected".to_owned(),
        caption: "By the number of candidates; mean over the cells from the second row on for which all sources of the pool have a law.".to_owned(),
        content: Content::Table(Table { columns, rows, decimals: 3 }),
    }
}

fn findings(known: &[(&Pooled, &PoolSums)]) -> Vec<String> {
    let of = |name: &str| known.iter().find(|(pool, _)| pool.name == name).map(|(_, sums)| *sums);
    let mut all = Vec::new();
    if let (Some(one), Some(two)) = (of("H1 alone"), of("H1 and V1")) {
        let at = |sums: &PoolSums, count: usize| sums.with[count - 1] / sums.nodes as f64;
        let pairs: Vec<String> = [2, 8, 30]
            .map(|count| format!("{count} candidates {:.3} and {:.3}", at(one, count), at(two, count)))
            .to_vec();
        all.push(format!("Rejected with H1 alone and with H1 and V1 (with replacement): {}.", pairs.join(", ")));
    }
    let least = known.iter().map(|(pool, sums)| (pool.name, sums.replay[3] / sums.nodes as f64));
    if let Some((name, rejected)) = least.min_by(|a, b| a.1.total_cmp(&b.1)) {
        all.push(format!("Under replay four candidates of the {name} are rejected least: {rejected:.3}."));
    }
    let excess = known.iter().filter_map(|(pool, sums)| {
        let at = SHOWN.iter().position(|&count| count == 8)?;
        Some((pool.name, (sums.with[7] - sums.bound[at]) / sums.nodes as f64))
    });
    if let Some((name, excess)) = excess.max_by(|a, b| a.1.total_cmp(&b.1)) {
        all.push(format!("With eight candidates the rule rejection is at most {excess:.3} above the bound ({name})."));
    }
    all
}
