//! What heads are worth by their offset: figure 4 of the paper.

use std::path::PathBuf;

use hawk::{Cell, Engine, Error, Result};
use hawk_nn::{HeadOffset, Heads};
use hawk_spec::{Purpose, probabilities};
use serde::{Deserialize, Serialize};

use crate::figure::{Content, Figure, MapPlot, Part, Spacing, Table};
use crate::images::{Drawn, ImageSet};
use crate::laws::{entropy, law, total_variation};
use crate::settings::{Identity, model_settings, percent};
use crate::watch::{Ended, Sums, Watch, bits, each_part};

/// Rows of a run of the heads.
const ROWS: usize = 32;

/// Heads that were trained alike.
pub struct HeadGroup<'a> {
    /// Their name, for people.
    pub name: String,
    /// Short name, for files.
    pub id: String,
    /// How they were trained, in one sentence.
    pub words: String,
    /// The heads.
    pub heads: &'a Heads,
    /// Digest of their files.
    pub digest: String,
}

/// A measurement of heads.
pub struct HeadsRun<'a> {
    /// The model.
    pub engine: &'a Engine,
    /// Its name, for people.
    pub model: &'a str,
    /// The heads.
    pub groups: Vec<HeadGroup<'a>>,
    /// The images that the heads are measured on: others than they were trained on.
    pub images: ImageSet,
    /// Folder of the images and of unfinished sums.
    pub dir: PathBuf,
}

#[derive(Serialize)]
struct HeadsIdentity<'a> {
    #[serde(flatten)]
    images: Identity<'a>,
    groups: Vec<&'a str>,
}

/// Sums of all heads, group after group.
#[derive(Clone, Default, Serialize, Deserialize)]
struct HeadsSums {
    cells: Vec<u64>,
    #[serde(with = "bits")]
    loss: Vec<f64>,
    #[serde(with = "bits")]
    overlap: Vec<f64>,
    matches: Vec<u64>,
    #[serde(with = "bits")]
    entropy: Vec<f64>,
    predicted: u64,
}

/// What one head was worth.
struct Worth {
    offset: HeadOffset,
    loss: f64,
    overlap: f64,
    matched: f64,
}

/// Draws the images, and measures every head on them.
///
/// # Errors
/// There are no heads, the model fails or is not on the CPU, or a file cannot be read or written.
pub fn heads(run: &HeadsRun<'_>, watch: &mut Watch<'_>) -> Result<Ended<Figure>> {
    run.images.check(run.engine)?;
    let all: usize = run.groups.iter().map(|group| group.heads.config().heads.len()).sum();
    if all == 0 {
        return Err(Error::input("there are no draft heads to measure").at("heads").expected("at least 1"));
    }
    let identity = HeadsIdentity {
        images: Identity::of(run.engine, &run.images)?,
        groups: run.groups.iter().map(|group| group.digest.as_str()).collect(),
    };
    let zeros = || vec![0.0; all];
    let empty = HeadsSums {
        cells: vec![0; all],
        loss: zeros(),
        overlap: zeros(),
        matches: vec![0; all],
        entropy: vec![0.0],
        predicted: 0,
    };
    let sums = Sums::open(&run.dir, "heads", &identity, empty)?;
    let ended = each_part(sums, run.images.images, watch, &mut |sums, number, watch| {
        let Ended::Finished(image) = run.images.drawn(run.engine, &run.dir, number, watch)? else {
            return Ok(Ended::Stopped);
        };
        run.add_image(sums, &image)?;
        Ok(Ended::Finished(()))
    })?;
    let Ended::Finished(sums) = ended else { return Ok(Ended::Stopped) };
    run.figure(&sums).map(Ended::Finished)
}

impl HeadsRun<'_> {
    fn add_image(&self, sums: &mut HeadsSums, image: &Drawn) -> Result<()> {
        let codes = self.engine.config().layout.codes() as usize;
        let width = self.engine.backend().config().hidden;
        let (mut hidden, mut laws) = (Vec::new(), Vec::new());
        let mut target = vec![0.0; codes];
        self.engine.observe(&image.prompt, &image.codes, &self.images.sampling, &mut |seen| {
            hidden.extend_from_slice(seen.hidden);
            probabilities(seen.scores, &mut target).map_err(|e| Error::input(e.to_string()))?;
            sums.entropy[0] += entropy(&target);
            sums.predicted += 1;
            laws.extend(target.iter().map(|&p| p as f32));
            Ok(())
        })?;
        let mut first = 0;
        for group in &self.groups {
            self.add_group(sums, first, group.heads, &Truth { image, hidden: &hidden, laws: &laws, width, codes })?;
            first += group.heads.config().heads.len();
        }
        Ok(())
    }

    fn add_group(&self, sums: &mut HeadsSums, first: usize, heads: &Heads, truth: &Truth<'_>) -> Result<()> {
        let (cpu, grid) = (self.engine.cpu()?, self.engine.config().layout.grid());
        let ids = self.engine.config().layout.code_ids();
        let mut workspace = heads.workspace(cpu.target(), ROWS, truth.codes)?;
        let mut asked = Vec::new();
        for (head, config) in heads.config().heads.iter().enumerate() {
            let cells = (0..grid.cells()).map(Cell);
            asked.extend(cells.filter_map(|from| Some((head, from, config.offset.target(grid, from)?))));
        }
        for part in asked.chunks(ROWS) {
            workspace.clear();
            for &(head, from, _) in part {
                workspace.push(head, &truth.hidden[from.index() * truth.width..][..truth.width]);
            }
            heads.run(cpu.target(), cpu.threads(), &mut workspace, ids.clone())?;
            for (row, &(head, _, to)) in part.iter().enumerate() {
                sums.add(first + head, workspace.logits(row), to, truth)?;
            }
        }
        Ok(())
    }

    fn figure(&self, sums: &HeadsSums) -> Result<Figure> {
        let bound = sums.entropy[0] / sums.predicted.max(1) as f64;
        let (mut parts, mut rows, mut findings, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for group in &self.groups {
            let worth: Vec<Worth> = group
                .heads
                .config()
                .heads
                .iter()
                .enumerate()
                .map(|(at, head)| sums.worth(first + at, head.offset))
                .collect();
            first += worth.len();
            let plane = |measure: &Measure| plane(group, measure, &worth);
            parts.extend(MEASURES.iter().map(plane));
            findings.extend(finding(group, &worth));
            rows.extend(worth.iter().map(|worth| {
                let name = format!("{}: {}", group.name, worth.offset);
                (name, vec![Some(worth.loss), Some(worth.loss - bound), Some(worth.overlap), Some(worth.matched)])
            }));
        }
        findings
            .insert(0, format!("The target’s own law has an entropy of {bound:.3} nats: no head can have less loss."));
        let columns =
            ["head", "loss, nats", "above the target", "overlap (1 - TV)", "match"].map(str::to_owned).to_vec();
        parts.push(Part {
            id: "table".to_owned(),
            title: "Heads by offset".to_owned(),
            caption: "Loss: cross-entropy of the head’s law against the target’s. Match: under replay the head’s best \
                      draft is the code that plain decoding draws."
                .to_owned(),
            content: Content::Table(Table { columns, rows, decimals: 3 }),
        });
        let mut settings = model_settings(self.engine, self.model)?;
        settings.extend(self.groups.iter().map(|group| [group.name.clone(), group.words.clone()]));
        settings.extend(self.images.settings());
        Ok(Figure {
            name: "heads".to_owned(),
            title: "Heads by offset".to_owned(),
            paper: "figure 4".to_owned(),
            findings,
            settings,
            parts,
        })
    }
}

/// An image as the target sees it.
struct Truth<'a> {
    image: &'a Drawn,
    /// `[cells, D]`.
    hidden: &'a [f32],
    /// `[cells, codes]`.
    laws: &'a [f32],
    width: usize,
    codes: usize,
}

impl HeadsSums {
    fn add(&mut self, head: usize, logits: &[f32], to: Cell, truth: &Truth<'_>) -> Result<()> {
        let q = law(logits)?;
        let p = &truth.laws[to.index() * truth.codes..][..truth.codes];
        self.cells[head] += 1;
        self.loss[head] -= p.iter().zip(&q).map(|(&p, q)| f64::from(p) * q.max(f64::MIN_POSITIVE).ln()).sum::<f64>();
        let p: Vec<f64> = p.iter().copied().map(f64::from).collect();
        self.overlap[head] += 1.0 - total_variation(&p, &q);
        let best = truth.image.noise.at(to, Purpose::Replay).argmax(logits);
        let best = best.map_err(|e| Error::input(e.to_string()))?;
        self.matches[head] += u64::from(best == truth.image.codes[to.index()]);
        Ok(())
    }

    fn worth(&self, head: usize, offset: HeadOffset) -> Worth {
        let cells = self.cells[head].max(1) as f64;
        let (loss, overlap) = (self.loss[head] / cells, self.overlap[head] / cells);
        Worth { offset, loss, overlap, matched: self.matches[head] as f64 / cells }
    }
}

/// What the heads of a group say about directions.
fn finding(group: &HeadGroup<'_>, worth: &[Worth]) -> Option<String> {
    let of =
        |down: u32, right: i32| worth.iter().find(|worth| (worth.offset.down(), worth.offset.right()) == (down, right));
    let pairs: Vec<String> = (1..=3)
        .filter_map(|far| Some((of(0, far)?, of(far as u32, 0)?)))
        .map(|(across, down)| {
            let better = if down.loss < across.loss { "less" } else { "more" };
            format!(
                "{} has {better} loss than {} ({:.3} and {:.3} nats; match {} and {})",
                down.offset,
                across.offset,
                down.loss,
                across.loss,
                percent(down.matched),
                percent(across.matched)
            )
        })
        .collect();
    (!pairs.is_empty()).then(|| format!("{}: {}.", group.name, pairs.join("; ")))
}

/// What is shown on the plane.
struct Measure {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    value: fn(&Worth) -> f64,
}

const MEASURES: [Measure; 2] = [
    Measure { id: "loss", title: "Loss by offset", unit: "nats, cross-entropy", value: |worth| worth.loss },
    Measure { id: "match", title: "Match by offset", unit: "of cells: best draft right", value: |worth| worth.matched },
];

/// Values by offset on the plane.
fn plane(group: &HeadGroup<'_>, measure: &Measure, worth: &[Worth]) -> Part {
    let rights = || worth.iter().map(|worth| i64::from(worth.offset.right()));
    let (left, right) = (rights().min().unwrap_or(0).min(0), rights().max().unwrap_or(0).max(0));
    let down = worth.iter().map(|worth| worth.offset.down()).max().unwrap_or(0);
    let at = |down: u32, right: i64| {
        let found = worth.iter().find(|worth| (worth.offset.down(), i64::from(worth.offset.right())) == (down, right));
        found.map(measure.value)
    };
    Part {
        id: format!("{}-{}", group.id, measure.id),
        title: format!("{}: {}", measure.title, group.name),
        caption:
            "Seen from the cell that the hidden state predicts: where a head looks, rows down and columns to the right."
                .to_owned(),
        content: Content::Map(MapPlot {
            x: "columns to the right".to_owned(),
            y: "rows down".to_owned(),
            value: measure.unit.to_owned(),
            first_x: left,
            first_y: 0,
            step_y: 1,
            spacing: Spacing::Linear,
            values: (0..=down).map(|down| (left..=right).map(|right| at(down, right)).collect()).collect(),
            marked: vec![(0, 0, "the cell that the hidden state predicts".to_owned())],
            under: None,
        }),
    }
}
