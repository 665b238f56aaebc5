//! How far draft laws are from each other and from the target's: figure 5 of the paper.

use std::path::PathBuf;

use hawk::{Engine, Image, Result};
use serde::{Deserialize, Serialize};

use crate::figure::{Content, Figure, MapPlot, Part, Picture, Pictures, Spacing, Table};
use crate::images::ImageSet;
use crate::laws::{CellLaws, ImageLaws, Source, divergence, entropy, law, total_variation};
use crate::settings::{Identity, model_settings, percent};
use crate::watch::{Ended, Sums, Watch, bits, each_part};

/// Images that are shown.
const SHOWN: usize = 3;

/// An analysis of divergence.
pub struct DivergenceRun<'a> {
    /// The model, with its draft heads.
    pub engine: &'a Engine,
    /// Its name, for people.
    pub model: &'a str,
    /// The images.
    pub images: ImageSet,
    /// Folder of the images and of unfinished sums.
    pub dir: PathBuf,
}

/// Sums over cells, and the maps of the first images.
#[derive(Default, Serialize, Deserialize)]
struct DivergenceSums {
    /// By source: total variation to the target.
    #[serde(with = "bits")]
    variation: Vec<f64>,
    cells: Vec<u64>,
    /// Of every cell with both laws: divergence of the vertical from the horizontal law.
    #[serde(with = "bits")]
    pairs: Vec<f64>,
    /// Sum of the target's entropy over all cells.
    #[serde(with = "bits")]
    entropy: Vec<f64>,
    predicted: u64,
    /// Contrast of the picture at these cells.
    #[serde(with = "bits")]
    contrasts: Vec<f64>,
    shown: Vec<Shown>,
}

#[derive(Serialize, Deserialize)]
struct Shown {
    prompt: String,
    codes: Vec<u32>,
    #[serde(with = "bits")]
    divergence: Vec<f64>,
    #[serde(with = "bits")]
    entropy: Vec<f64>,
    #[serde(with = "bits")]
    variation: Vec<f64>,
}

/// Draws the images, and sets the laws of all sources beside the target's at every cell.
///
/// # Errors
/// There is nothing to look at, the model fails or is not on the CPU, or a file cannot be read or written.
pub fn divergence_of_laws(run: &DivergenceRun<'_>, watch: &mut Watch<'_>) -> Result<Ended<Figure>> {
    run.images.check(run.engine)?;
    let laws = ImageLaws::new(run.engine, run.images.sampling)?;
    let sources = laws.sources();
    let pair = pair(run.engine);
    let identity = Identity::of(run.engine, &run.images)?;
    let empty = DivergenceSums {
        variation: vec![0.0; sources.len()],
        cells: vec![0; sources.len()],
        entropy: vec![0.0],
        ..DivergenceSums::default()
    };
    let sums = Sums::open(&run.dir, "divergence", &identity, empty)?;
    let ended = each_part(sums, run.images.images, watch, &mut |sums, number, watch| {
        let Ended::Finished(image) = run.images.drawn(run.engine, &run.dir, number, watch)? else {
            return Ok(Ended::Stopped);
        };
        let picture = run.engine.decode(&image.codes)?;
        let contrast = contrasts(&picture, image.codes.len(), laws_grid(run.engine));
        let mut shown = Shown {
            prompt: image.prompt.clone(),
            codes: image.codes.iter().map(|code| code.0).collect(),
            divergence: Vec::new(),
            entropy: Vec::new(),
            variation: Vec::new(),
        };
        laws.of(&image, &run.images.sampling, &mut |cell| sums.add(cell, &sources, pair, &contrast, &mut shown))?;
        if sums.shown.len() < SHOWN {
            sums.shown.push(shown);
        }
        Ok(Ended::Finished(()))
    })?;
    let Ended::Finished(sums) = ended else { return Ok(Ended::Stopped) };
    let names: Vec<String> = sources.into_iter().map(|(name, _)| name).collect();
    figure(run, &sums, &names, pair).map(Ended::Finished)
}

fn laws_grid(engine: &Engine) -> hawk::Grid {
    engine.config().layout.grid()
}

/// The indices of the first horizontal and the first vertical head.
fn pair(engine: &Engine) -> Option<[usize; 2]> {
    let heads = &engine.heads()?.heads;
    let find = |down, right| heads.iter().position(|head| (head.offset.down(), head.offset.right()) == (down, right));
    Some([find(0, 1)?, find(1, 0)?])
}

impl DivergenceSums {
    fn add(
        &mut self,
        cell: &CellLaws<'_>,
        sources: &[(String, Source)],
        pair: Option<[usize; 2]>,
        contrast: &[f64],
        shown: &mut Shown,
    ) -> Result<()> {
        let mut nearest = f64::NAN;
        for (at, (_, source)) in sources.iter().enumerate() {
            let Some(law) = cell.law_of(source)? else { continue };
            let variation = total_variation(cell.target, &law);
            self.variation[at] += variation;
            self.cells[at] += 1;
            nearest = nearest.min(variation);
        }
        let nats = entropy(cell.target);
        self.entropy[0] += nats;
        self.predicted += 1;
        shown.entropy.push(nats);
        shown.variation.push(nearest);
        let laws = pair.and_then(|[across, down]| Some((cell.head_logits(across)?, cell.head_logits(down)?)));
        let Some((across, down)) = laws else {
            shown.divergence.push(f64::NAN);
            return Ok(());
        };
        let divergence = divergence(&law(across)?, &law(down)?);
        shown.divergence.push(divergence);
        self.pairs.push(divergence);
        self.contrasts.push(contrast[cell.cell.index()]);
        Ok(())
    }
}

/// The contrast at every cell: the standard deviation of the grey values of the cell and of those around it.
fn contrasts(picture: &Image, cells: usize, grid: hawk::Grid) -> Vec<f64> {
    let sides = [picture.width / grid.cols(), picture.height / grid.rows()];
    let grey = |x: u32, y: u32| {
        let pixel = &picture.pixels[3 * (y * picture.width + x) as usize..][..3];
        0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2])
    };
    let of = |cell: u32| {
        let cell = hawk::Cell(cell);
        let (column, row) = (grid.col(cell), grid.row(cell));
        let span = |at: u32, side: u32, most: u32| {
            (at * side).saturating_sub(side / 2)..((at + 1) * side + side / 2).min(most)
        };
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        for y in span(row, sides[1], picture.height) {
            for x in span(column, sides[0], picture.width) {
                let grey = grey(x, y);
                (sum, squares, count) = (sum + grey, squares + grey * grey, count + 1.0);
            }
        }
        let mean: f64 = sum / f64::max(count, 1.0);
        (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt()
    };
    (0..cells as u32).map(of).collect()
}

/// The mean divergence of the quarter of cells with the least contrast, and of that with the most.
fn quarters(sums: &DivergenceSums) -> Option<[f64; 2]> {
    let mut order: Vec<usize> = (0..sums.pairs.len()).collect();
    order.sort_by(|&a, &b| sums.contrasts[a].total_cmp(&sums.contrasts[b]));
    let quarter = order.len() / 4;
    let mean = |cells: &[usize]| cells.iter().map(|&cell| sums.pairs[cell]).sum::<f64>() / cells.len() as f64;
    (quarter > 0).then(|| [mean(&order[..quarter]), mean(&order[order.len() - quarter..])])
}

fn figure(
    run: &DivergenceRun<'_>,
    sums: &DivergenceSums,
    names: &[String],
    pair: Option<[usize; 2]>,
) -> Result<Figure> {
    let variation: Vec<Option<f64>> =
        sums.variation.iter().zip(&sums.cells).map(|(sum, &cells)| (cells > 0).then(|| sum / cells as f64)).collect();
    let nats = sums.entropy[0] / sums.predicted.max(1) as f64;
    let mut findings = vec![format!("The target’s law has an entropy of {nats:.3} nats a cell.")];
    if let Some([flat, sharp]) = quarters(sums) {
        let mean = sums.pairs.iter().sum::<f64>() / sums.pairs.len() as f64;
        findings.push(format!(
            "The vertical law diverges from the horizontal one by {mean:.2} nats a cell: {flat:.2} in the quarter of \
             cells with the least contrast, {sharp:.2} in the quarter with the most."
        ));
    } else if pair.is_none() {
        findings.push("The model has no pair of heads H1 and V1: there is no divergence between them.".to_owned());
    }
    let best = names.iter().zip(&variation).filter_map(|(name, variation)| Some((name, (*variation)?)));
    if let Some((name, variation)) = best.min_by(|a, b| a.1.total_cmp(&b.1)) {
        let kept = percent(1.0 - variation);
        findings.push(format!(
            "Nearest to the target is the {name}: total variation {variation:.3}, so one draft is kept in {kept} of cells."
        ));
    }
    let rows = names
        .iter()
        .zip(variation.iter().zip(&sums.cells))
        .map(|(name, (variation, &cells))| {
            (name.clone(), vec![*variation, variation.map(|v| 1.0 - v), Some(cells as f64)])
        })
        .collect();
    let columns = ["source", "total variation", "overlap (1 - TV)", "cells"].map(str::to_owned).to_vec();
    let mut parts = vec![pictures(run.engine, &sums.shown)?];
    for (number, shown) in sums.shown.iter().enumerate() {
        parts.extend(maps(run.engine, number + 1, shown)?);
    }
    parts.push(Part {
        id: "variation".to_owned(),
        title: "Distance of every source from the target".to_owned(),
        caption: "Total variation between a source’s law and the target’s, mean over the cells that the source has a \
                  law for. One draft under the rule rejection is kept with probability 1 - TV."
            .to_owned(),
        content: Content::Table(Table { columns, rows, decimals: 3 }),
    });
    let mut settings = model_settings(run.engine, run.model)?;
    settings.extend(run.images.settings());
    Ok(Figure {
        name: "divergence".to_owned(),
        title: "Divergence of draft laws".to_owned(),
        paper: "figure 5".to_owned(),
        findings,
        settings,
        parts,
    })
}

/// The pictures in their colours.
fn pictures(engine: &Engine, shown: &[Shown]) -> Result<Part> {
    let picture = |shown: &Shown| {
        let codes: Vec<hawk::Code> = shown.codes.iter().copied().map(hawk::Code).collect();
        let known: Vec<f64> = shown.divergence.iter().copied().filter(|value| value.is_finite()).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let figures =
            vec![("nats, KL(H1 ‖ V1)".to_owned(), mean(&known)), ("nats, entropy".to_owned(), mean(&shown.entropy))];
        Picture::new(&engine.decode(&codes)?, shown.prompt.clone(), figures)
    };
    let row = ("means over the cells".to_owned(), shown.iter().map(picture).collect::<Result<_>>()?);
    Ok(Part {
        id: "pictures".to_owned(),
        title: "The pictures".to_owned(),
        caption: "The first images. The maps below lie on them, in grey.".to_owned(),
        content: Content::Pictures(Pictures { rows: vec![row] }),
    })
}

/// The picture with its maps.
fn maps(engine: &Engine, number: usize, shown: &Shown) -> Result<Vec<Part>> {
    let codes: Vec<hawk::Code> = shown.codes.iter().copied().map(hawk::Code).collect();
    let grid = engine.config().layout.grid();
    let picture = engine.decode(&codes)?;
    let maps = [
        (
            "kl",
            "Horizontal against vertical law",
            "nats, KL(H1 ‖ V1)",
            &shown.divergence,
            "Where the colour is strong, the two heads expect different things.",
        ),
        (
            "entropy",
            "Entropy of the target’s law",
            "nats",
            &shown.entropy,
            "Where the colour is strong, the target itself is undecided.",
        ),
        (
            "tv",
            "Distance of the nearest source",
            "total variation to the target",
            &shown.variation,
            "Where the colour is strong, no source of drafts is near the target.",
        ),
    ];
    let known = maps.into_iter().filter(|(_, _, _, values, _)| values.iter().any(|value| value.is_finite()));
    known
        .map(|(id, title, unit, values, see)| {
            let value = |value: &f64| value.is_finite().then_some(*value);
            let under = Picture::new(&picture, shown.prompt.clone(), Vec::new())?;
            Ok(Part {
                id: format!("image-{number}-{id}"),
                title: title.to_owned(),
                caption: format!("“{}”. {see}", shown.prompt),
                content: Content::Map(MapPlot {
                    x: "column".to_owned(),
                    y: "row".to_owned(),
                    value: unit.to_owned(),
                    first_x: 0,
                    first_y: 0,
                    step_y: 1,
                    spacing: Spacing::Linear,
                    values: values.chunks(grid.cols() as usize).map(|row| row.iter().map(value).collect()).collect(),
                    marked: Vec::new(),
                    under: Some(under),
                }),
            })
        })
        .collect()
}
