//! Draws the prompts, measures the images, and writes sheets and figures.

use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::{Engine, Sampling, Seed};
use hawk_files::{Error, FolderLock, Result};
use hawk_nn::Image;
use serde::Serialize;

use crate::evaluate::counts::CountClassifier;
use crate::evaluate::measures::{
    Accuracy, DrawnImage, NearestConcepts, has_its_background, is_in_order, nearest_concepts, styles,
};
use crate::pictures::canvas::{Canvas, SIDE};
use crate::pictures::corpus::Corpus;
use crate::pictures::entry::{Entry, Kind};
use crate::pictures::sheet::{COLUMNS, contact_sheet};
use crate::run::draw::draw;
use crate::run::files;
use hawk_pictures::Split;

/// An evaluation of a model.
#[derive(Clone, Debug)]
pub struct EvaluationRun {
    /// Folder of captioned pictures, as [`make_emoji`](crate::make_emoji) makes it.
    pub pictures: PathBuf,
    /// Prompts for each measure, at least 1. A measure has fewer if the corpus has fewer.
    pub prompts: usize,
    /// Guidance, temperature, top-k and top-p.
    pub sampling: Sampling,
    /// Seed of the noise.
    pub seed: Seed,
    /// Folder of the sheets and figures.
    pub out: PathBuf,
}

/// The result of an evaluation. See the [crate] for the rules.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EvaluationFigures {
    /// Emoji of the training set: the nearest picture of the style shows the concept.
    pub nearest: Accuracy,
    /// The same emoji: one of the five nearest pictures of the style shows the concept.
    pub nearest_five: Accuracy,
    /// The same emoji: the nearest picture of the concept has the style of the caption.
    pub style: Accuracy,
    /// Scenes whose combination training does not have: the background has the colour of the
    /// caption.
    pub ground: Accuracy,
    /// Such scenes: the thing that the caption names first is on the left, or above.
    pub order: Accuracy,
    /// Such scenes: the image has as many things as the caption says.
    pub number: Accuracy,
    /// Accuracy of the rule for numbers on the scenes of the corpus itself.
    pub number_of_pictures: Accuracy,
}

/// Draws prompts and measures the images. Writes `figures.json`, and for each measure a PNG sheet
/// and its captions.
///
/// `observer` gets the number of images that are drawn, and of all images. Returns `None` if it
/// stopped the work.
///
/// # Errors
/// The folder has nothing to measure, a picture cannot be read, the model draws images of another size,
/// another process writes into the folder, or a file cannot be written.
pub fn evaluate(
    engine: &Engine,
    run: &EvaluationRun,
    observer: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<EvaluationFigures>> {
    let corpus = Corpus::open(&run.pictures)?;
    let chosen = |of: &dyn Fn(&Entry) -> bool| Corpus::spread(&corpus.select(of), run.prompts);
    let scenes =
        |layouts: &[&str]| chosen(&|entry| entry.split == Split::NewScene && layouts.contains(&entry.family.as_str()));
    let measures = [
        ("concepts", chosen(&|entry| entry.kind == Kind::Emoji && entry.split == Split::Train)),
        ("grounds", scenes(&["ground"])),
        ("orders", scenes(&["beside", "above"])),
        ("numbers", scenes(&["count"])),
    ];
    let of: usize = measures.iter().map(|(_, chosen)| chosen.len()).sum();
    if of == 0 {
        return Err(Error::input("there is nothing to measure")
            .at(run.pictures.display())
            .expected("pictures of emoji, or scenes that are kept for validation")
            .hint("`hawk data emoji` makes such a folder"));
    }
    let _lock = FolderLock::take(&run.out)?;
    let (mut done, mut sets) = (0, Vec::new());
    for (name, chosen) in &measures {
        let mut drawn = Vec::with_capacity(chosen.len());
        for &index in chosen {
            drawn.push(DrawnImage { index, image: run.draw(engine, &corpus.entries[index].captions[0])? });
            done += 1;
            if observer(done, of).is_break() {
                return Ok(None);
            }
        }
        run.write_sheet(name, &corpus, &drawn)?;
        sets.push(drawn);
    }
    let [concepts, grounds, orders, numbers] = &sets[..] else { return Ok(None) };
    let counts = CountClassifier::new(&corpus)?;
    let NearestConcepts { one, five } = nearest_concepts(&corpus, concepts)?;
    let has_its_number = |drawn: &DrawnImage| Ok(counts.is_right(&corpus.entries[drawn.index].concept, &drawn.image));
    let figures = EvaluationFigures {
        nearest: one,
        nearest_five: five,
        style: styles(&corpus, concepts)?,
        ground: Accuracy::of(grounds, |drawn| has_its_background(&corpus, drawn))?,
        order: Accuracy::of(orders, |drawn| is_in_order(&corpus, drawn))?,
        number: Accuracy::of(numbers, has_its_number)?,
        number_of_pictures: counts.on_pictures(&corpus)?,
    };
    files::write_json(&run.out.join("figures.json"), &figures)?;
    Ok(Some(figures))
}

impl EvaluationRun {
    fn draw(&self, engine: &Engine, prompt: &str) -> Result<Image> {
        let image = draw(engine, prompt, self.sampling, self.seed)?;
        if (image.width as usize, image.height as usize) != (SIDE, SIDE) {
            return Err(Error::input("the model draws images of another size than the corpus has")
                .expected(format!("{SIDE} x {SIDE}"))
                .got(format!("{} x {}", image.width, image.height)));
        }
        Ok(image)
    }

    /// Writes the images of a measure as a sheet, and their captions in the order of the sheet.
    fn write_sheet(&self, name: &str, corpus: &Corpus, drawn: &[DrawnImage]) -> Result<()> {
        let rows = drawn.chunks(COLUMNS);
        let pictures = rows.clone().map(|row| row.iter().map(|one| Canvas(one.image.pixels.clone())).collect());
        files::write(&self.out.join(format!("{name}.png")), &contact_sheet(&pictures.collect::<Vec<_>>())?)?;
        let mut captions = String::new();
        for (row, drawn) in rows.enumerate() {
            for (column, one) in drawn.iter().enumerate() {
                let caption = &corpus.entries[one.index].captions[0];
                captions.push_str(&format!("row {}, column {}: {caption}\n", row + 1, column + 1));
            }
        }
        files::write(&self.out.join(format!("{name}.txt")), captions.as_bytes())
    }
}
