//! Draws captions of a folder of emoji and measures the images.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use hawk::Engine;
use hawk_files::{Error, Result};
use hawk_pictures::Split;

use crate::evaluate::counts::CountClassifier;
use crate::evaluate::drawing::{NoiseOf, PromptSet, draw_sets};
use crate::evaluate::figures::{Accuracy, EvaluationFigures, Followed};
use crate::evaluate::measures::{
    DrawnImage, NearestConcepts, has_its_background, is_in_order, nearest_concepts, styles,
};
use crate::evaluate::settings::{EvaluationProgress, EvaluationRun};
use crate::pictures::corpus::Corpus;
use crate::pictures::entry::{Entry, Kind};

/// Measures emoji of the training set, and scenes whose combinations it does not show. Returns
/// `None` if the observer stopped the work.
///
/// # Errors
/// A picture cannot be read, there are no emoji, the engine fails, or a file cannot be written.
pub(super) fn evaluate(
    engine: &Engine,
    run: &EvaluationRun,
    pictures: &Path,
    observer: &mut dyn FnMut(EvaluationProgress) -> ControlFlow<()>,
) -> Result<Option<EvaluationFigures>> {
    let corpus = Corpus::open(pictures)?;
    let chosen = |of: &dyn Fn(&Entry) -> bool| Corpus::spread(&corpus.select(of), run.prompts);
    let scenes =
        |layouts: &[&str]| chosen(&|entry| entry.split == Split::NewScene && layouts.contains(&entry.family.as_str()));
    let measures = [
        ("concepts", "emoji", chosen(&|entry| entry.kind == Kind::Emoji && entry.split == Split::Train)),
        ("grounds", "scene", scenes(&["ground"])),
        ("orders", "scene", scenes(&["beside", "above"])),
        ("numbers", "scene", scenes(&["count"])),
    ];
    if measures[0].2.is_empty() {
        return Err(Error::input("the folder holds no emoji")
            .at(pictures.display())
            .expected("a folder that `hawk data emoji` made")
            .hint("painted pictures need no folder: leave --pictures out, and name things by --things"));
    }
    let set = |(name, kind, chosen): &(&'static str, &'static str, Vec<usize>)| PromptSet {
        name,
        kind,
        captions: chosen.iter().map(|&index| corpus.entries[index].captions[0].clone()).collect(),
        noise: NoiseOf::SeveralImages,
    };
    let sets: Vec<PromptSet> = measures.iter().map(set).collect();
    let Some(drawn) = draw_sets(engine, run, &sets, observer)? else { return Ok(None) };
    if observer(EvaluationProgress::Learning).is_break() {
        return Ok(None);
    }
    let mut images = measures.into_iter().zip(drawn.images).map(|((_, _, chosen), images)| -> Vec<DrawnImage> {
        chosen.into_iter().zip(images).map(|(index, image)| DrawnImage { index, image }).collect()
    });
    let [concepts, grounds, orders, numbers] = [(); 4].map(|()| images.next().unwrap_or_default());
    let counts = CountClassifier::new(&corpus)?;
    let NearestConcepts { one, five } = nearest_concepts(&corpus, &concepts)?;
    let has_its_number = |drawn: &DrawnImage| Ok(counts.is_right(&corpus.entries[drawn.index].concept, &drawn.image));
    let followed = |name: &str, images: Accuracy| (name.to_owned(), Followed { images, ..Followed::default() });
    let number = Followed {
        images: Accuracy::of(&numbers, has_its_number)?,
        pictures: Some(counts.on_pictures(&corpus)?),
        ..Followed::default()
    };
    let emoji =
        [followed("concept", one), followed("concept_of_five", five), followed("style", styles(&corpus, &concepts)?)];
    let scenes = [
        followed("ground", Accuracy::of(&grounds, |drawn| has_its_background(&corpus, drawn))?),
        followed("order", Accuracy::of(&orders, |drawn| is_in_order(&corpus, drawn))?),
        ("number".to_owned(), number),
    ];
    let following = [("emoji".to_owned(), emoji.into()), ("scene".to_owned(), scenes.into())];
    let following: BTreeMap<String, BTreeMap<String, Followed>> = following.into();
    Ok(Some(EvaluationFigures { kinds: drawn.kinds, following }))
}
