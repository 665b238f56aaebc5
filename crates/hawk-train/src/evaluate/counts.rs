//! Recognises the number of things in a scene.

use std::collections::BTreeMap;

use hawk_files::Result;
use hawk_nn::Image;

use crate::evaluate::features::{SMALL, foreground, normalise};
use crate::evaluate::figures::Accuracy;
use crate::pictures::canvas::SIDE;
use crate::pictures::corpus::Corpus;
use hawk_pictures::Split;

/// Distinguishes two, three and four things by the mean foreground of training scenes.
pub(super) struct CountClassifier {
    /// For each number, the mean foreground, scaled to unit length.
    masks: BTreeMap<usize, Vec<f32>>,
}

impl CountClassifier {
    /// # Errors
    /// A picture cannot be read.
    pub(super) fn new(corpus: &Corpus) -> Result<Self> {
        let mut masks: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        for index in corpus.select(|entry| entry.split == Split::Train && entry.family == "count") {
            let Some(number) = number(&corpus.entries[index].concept) else { continue };
            let mask = masks.entry(number).or_insert_with(|| vec![0.0; SMALL * SMALL]);
            mask.iter_mut().zip(foreground(&corpus.picture(index, SIDE)?)).for_each(|(sum, x)| *sum += x);
        }
        masks.values_mut().for_each(|mask| normalise(mask));
        Ok(Self { masks })
    }

    /// Whether an image has as many things as its concept says.
    pub(super) fn is_right(&self, concept: &str, image: &Image) -> bool {
        let mask = foreground(image);
        let likeness = |known: &[f32]| known.iter().zip(&mask).map(|(a, b)| a * b).sum::<f32>();
        let best = self.masks.iter().max_by(|a, b| likeness(a.1).total_cmp(&likeness(b.1)));
        best.map(|(number, _)| *number) == number(concept)
    }

    /// The accuracy on validation scenes of the corpus itself.
    ///
    /// # Errors
    /// A picture cannot be read.
    pub(super) fn on_pictures(&self, corpus: &Corpus) -> Result<Accuracy> {
        let scenes = corpus.select(|entry| entry.split == Split::NewScene && entry.family == "count");
        Accuracy::of(&scenes, |&index| Ok(self.is_right(&corpus.entries[index].concept, &corpus.picture(index, SIDE)?)))
    }
}

/// The number in `3 giraffe`.
fn number(concept: &str) -> Option<usize> {
    concept.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::features::tests::scene;

    #[test]
    fn numbers_are_recognised_by_places() {
        let [two, three, four] =
            [&[(33, 64), (95, 64)][..], &[(64, 34), (33, 94), (95, 94)], &[(34, 34), (94, 34), (34, 94), (94, 94)]];
        let mask = |places| foreground(&scene(places, 25, [255; 3], [90, 40, 10]));
        let counter = CountClassifier { masks: [(2, mask(two)), (3, mask(three)), (4, mask(four))].into() };
        for (concept, places) in [("2 fox", two), ("3 fox", three), ("4 fox", four)] {
            let smaller = scene(places, 14, [110, 190, 110], [255, 255, 0]);
            assert!(counter.is_right(concept, &smaller), "{concept}");
            assert!(!counter.is_right("5 fox", &smaller));
        }
        assert!(!counter.is_right("4 fox", &scene(two, 25, [255; 3], [90, 40, 10])));
    }
}
