//! Draws prompts, and measures entropy and diversity on the way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hawk::{Decoder, Decoding, Engine, Generated, Request, Rule};
use hawk_files::{Error, Result};
use hawk_nn::Image;
use hawk_spec::Code;
use serde::Serialize;

use crate::evaluate::law::{entropy, equal_codes_of_pairs};
use crate::evaluate::settings::{EvaluationProgress, EvaluationRun};
use crate::pictures::canvas::{Canvas, SIDE};
use crate::pictures::sheet::{COLUMNS, sheet_of};
use crate::run::files;

/// Prompts of a set that are drawn twice, to measure diversity.
const TWICE: usize = 40;
/// Prompts of a set that are drawn four times, to be looked at.
const FOUR_TIMES: usize = 10;
/// Images of each row of a sheet of one prompt's images.
const IN_A_ROW: usize = 4;

/// Captions that are drawn for one measure.
pub(super) struct PromptSet {
    /// Name of the sheet.
    pub(super) name: &'static str,
    /// Kind of the pictures, for entropy and diversity.
    pub(super) kind: &'static str,
    pub(super) captions: Vec<String>,
    pub(super) noise: NoiseOf,
}

/// How often the prompts of a set are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NoiseOf {
    /// Once.
    OneImage,
    /// The first ones several times, each time with other noise.
    SeveralImages,
}

/// Entropy and diversity of the images of a kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KindFigures {
    /// Images of which the entropy was taken, one for each prompt.
    pub images: usize,
    /// Mean entropy in nats of the law after guidance, temperature, top-k and top-p, at the cells
    /// of these images.
    pub nats_a_cell: f64,
    /// Prompts that were drawn more than once, with other noise each time.
    pub repeated_prompts: usize,
    /// Mean share of the cells in which two images of a prompt have the same code, `0..=1`.
    pub equal_codes: f64,
}

/// What was drawn.
pub(super) struct Drawn {
    /// For each set the first image of each prompt.
    pub(super) images: Vec<Vec<Image>>,
    pub(super) kinds: BTreeMap<String, KindFigures>,
}

/// Sums over the prompts of a kind.
#[derive(Default)]
struct Sums {
    images: usize,
    nats: f64,
    pairs: Vec<f64>,
    /// Captions and images of the prompts that were drawn four times.
    shown: Vec<(String, Vec<Canvas>)>,
}

impl PromptSet {
    fn repeats(&self, prompt: usize) -> usize {
        match (self.noise, prompt) {
            (NoiseOf::SeveralImages, ..FOUR_TIMES) => 4,
            (NoiseOf::SeveralImages, FOUR_TIMES..TWICE) => 2,
            _ => 1,
        }
    }
}

/// Draws all prompts and writes the sheets. Returns `None` if the observer stopped the work.
///
/// # Errors
/// The engine fails, the images have another size than the pictures, or a file cannot be written.
pub(super) fn draw_sets(
    engine: &Engine,
    run: &EvaluationRun,
    sets: &[PromptSet],
    observer: &mut dyn FnMut(EvaluationProgress) -> ControlFlow<()>,
) -> Result<Option<Drawn>> {
    let of = sets.iter().flat_map(|set| (0..set.captions.len()).map(|prompt| set.repeats(prompt))).sum();
    let (mut done, mut images, mut kinds) = (0, Vec::new(), BTreeMap::<&str, Sums>::new());
    for set in sets {
        let mut firsts = Vec::with_capacity(set.captions.len());
        for (prompt, caption) in set.captions.iter().enumerate() {
            let drawn = draw(engine, run, caption, set.repeats(prompt))?;
            let codes: Vec<&[Code]> = drawn.iter().map(|one| one.codes.as_slice()).collect();
            let sums = kinds.entry(set.kind).or_default();
            sums.images += 1;
            sums.nats += mean_entropy(engine, run, caption, codes[0])?;
            sums.pairs.extend(equal_codes_of_pairs(&codes));
            if drawn.len() == IN_A_ROW {
                sums.shown.push((caption.clone(), drawn.iter().map(|one| Canvas(one.image.pixels.clone())).collect()));
            }
            done += drawn.len();
            firsts.extend(drawn.into_iter().map(|one| one.image).take(1));
            if observer(EvaluationProgress::Images { done, of }).is_break() {
                return Ok(None);
            }
        }
        write_sheet(run, set, &firsts)?;
        images.push(firsts);
    }
    let kinds: Result<_> =
        kinds.into_iter().map(|(kind, sums)| Ok((kind.to_owned(), sums.figures(run, kind)?))).collect();
    Ok(Some(Drawn { images, kinds: kinds? }))
}

impl Sums {
    /// The means. Writes the sheet of the prompts that were drawn four times.
    fn figures(self, run: &EvaluationRun, kind: &str) -> Result<KindFigures> {
        let name = |ending: &str| run.out.join(format!("seeds-{kind}.{ending}"));
        if !self.shown.is_empty() {
            let (captions, rows): (Vec<String>, Vec<Vec<Canvas>>) = self.shown.into_iter().unzip();
            files::write(&name("png"), &sheet_of(&rows, IN_A_ROW)?)?;
            let lines = captions.iter().enumerate().map(|(row, caption)| format!("row {}: {caption}\n", row + 1));
            files::write(&name("txt"), lines.collect::<String>().as_bytes())?;
        }
        let repeated = self.pairs.len();
        Ok(KindFigures {
            images: self.images,
            nats_a_cell: self.nats / self.images.max(1) as f64,
            repeated_prompts: repeated,
            equal_codes: self.pairs.iter().sum::<f64>() / repeated.max(1) as f64,
        })
    }
}

/// Draws images `0..images` of the run's seed by plain decoding. Each has noise of its own.
fn draw(engine: &Engine, run: &EvaluationRun, prompt: &str, images: usize) -> Result<Vec<Generated>> {
    let request = Request {
        prompt: prompt.to_owned(),
        seed: run.seed,
        images: 0..images as u32,
        sampling: run.sampling,
        decoding: Decoding::with_defaults(Decoder::AR, Rule::Replay),
        batch: images,
    };
    let drawn = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?.images;
    let wrong = |one: &&Generated| (one.image.width as usize, one.image.height as usize) != (SIDE, SIDE);
    match drawn.iter().find(wrong) {
        Some(Generated { image, .. }) => Err(Error::input("the model draws images of another size than the pictures")
            .expected(format!("{SIDE} x {SIDE}"))
            .got(format!("{} x {}", image.width, image.height))),
        None if drawn.len() < images => Err(Error::input("the engine drew too few images").at(prompt)),
        None => Ok(drawn),
    }
}

/// In nats, over the cells of an image.
fn mean_entropy(engine: &Engine, run: &EvaluationRun, prompt: &str, codes: &[Code]) -> Result<f64> {
    let mut sum = 0.0;
    engine.observe(prompt, codes, &run.sampling, &mut |cell| {
        sum += entropy(cell.scores);
        Ok(())
    })?;
    Ok(sum / codes.len().max(1) as f64)
}

/// Writes the images of a set as a sheet, and their captions in the order of the sheet.
fn write_sheet(run: &EvaluationRun, set: &PromptSet, images: &[Image]) -> Result<()> {
    let rows: Vec<Vec<Canvas>> =
        images.chunks(COLUMNS).map(|row| row.iter().map(|image| Canvas(image.pixels.clone())).collect()).collect();
    files::write(&run.out.join(format!("{}.png", set.name)), &sheet_of(&rows, COLUMNS)?)?;
    let line =
        |(at, caption): (usize, &String)| format!("row {}, column {}: {caption}\n", at / COLUMNS + 1, at % COLUMNS + 1);
    let captions: String = set.captions.iter().enumerate().map(line).collect();
    files::write(&run.out.join(format!("{}.txt", set.name)), captions.as_bytes())
}
