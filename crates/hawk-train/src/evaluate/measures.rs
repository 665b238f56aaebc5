//! Measures of images against the pictures of the corpus.

use std::collections::BTreeMap;

use hawk_files::Result;
use hawk_nn::Image;
use rayon::prelude::*;

use crate::emoji::scenes::backgrounds;
use crate::evaluate::features::{SMALL, border_colour, distance, small};
use crate::evaluate::figures::Accuracy;
use crate::pictures::canvas::SIDE;
use crate::pictures::corpus::Corpus;
use crate::pictures::entry::{Entry, Kind};

/// Number of styles that must have a concept before its style is measured.
const LEAST_STYLES: usize = 2;
/// Number of neighbours for [`NearestConcepts::five`].
const NEIGHBOURS: usize = 5;

/// An image that the model drew.
pub(super) struct DrawnImage {
    /// Index of the entry whose first caption was the prompt.
    pub(super) index: usize,
    pub(super) image: Image,
}

/// How often an image is near to pictures of its concept.
pub(super) struct NearestConcepts {
    /// The nearest picture of the style shows the concept.
    pub(super) one: Accuracy,
    /// One of the five nearest pictures of the style shows the concept.
    pub(super) five: Accuracy,
}

/// Compares each image with the pictures of its style.
///
/// # Errors
/// A picture cannot be read.
pub(super) fn nearest_concepts(corpus: &Corpus, drawn: &[DrawnImage]) -> Result<NearestConcepts> {
    let mut styles: BTreeMap<&str, Vec<(usize, Vec<f32>)>> = BTreeMap::new();
    for one in drawn {
        let style = corpus.entries[one.index].style.as_str();
        if !styles.contains_key(style) {
            let of_style = |entry: &Entry| entry.kind == Kind::Emoji && entry.style == style;
            let pictures = corpus.select(of_style).into_par_iter();
            styles.insert(style, pictures.map(|i| Ok((i, small(&corpus.picture(i, SIDE)?)))).collect::<Result<_>>()?);
        }
    }
    let rank = |one: &DrawnImage| {
        let entry = &corpus.entries[one.index];
        let image = small(&one.image);
        let mut distances: Vec<(f32, usize)> =
            styles[entry.style.as_str()].iter().map(|(i, picture)| (distance(&image, picture), *i)).collect();
        distances.sort_by(|a, b| a.0.total_cmp(&b.0));
        distances.iter().position(|(_, i)| corpus.entries[*i].concept == entry.concept).unwrap_or(usize::MAX)
    };
    let ranks: Vec<usize> = drawn.iter().map(rank).collect();
    let below = |most: usize| Accuracy::of(&ranks, |rank| Ok(*rank < most));
    Ok(NearestConcepts { one: below(1)?, five: below(NEIGHBOURS)? })
}

/// Whether the nearest picture of the concept has the style of the caption. Concepts with one style
/// are left out.
///
/// # Errors
/// A picture cannot be read.
pub(super) fn styles(corpus: &Corpus, drawn: &[DrawnImage]) -> Result<Accuracy> {
    let mut accuracy = Accuracy::default();
    for one in drawn {
        let entry = &corpus.entries[one.index];
        let same = corpus.select(|other| other.kind == Kind::Emoji && other.concept == entry.concept);
        if same.len() < LEAST_STYLES {
            continue;
        }
        let image = small(&one.image);
        let mut best: Option<(f32, &str)> = None;
        for i in same {
            let far = distance(&image, &small(&corpus.picture(i, SIDE)?));
            if best.is_none_or(|(least, _)| far < least) {
                best = Some((far, &corpus.entries[i].style));
            }
        }
        accuracy.of += 1;
        accuracy.right += usize::from(best.is_some_and(|(_, style)| style == entry.style));
    }
    Ok(accuracy)
}

/// Whether the colour along the border is nearer to the scene's background than to any other
/// background.
///
/// # Errors
/// The scene cannot be read.
pub(super) fn has_its_background(corpus: &Corpus, one: &DrawnImage) -> Result<bool> {
    let backgrounds: Vec<[f32; 3]> = backgrounds()?.into_iter().map(|colour| colour.map(f32::from)).collect();
    let nearest = |colour: [f32; 3]| {
        let far = |background: &[f32; 3]| distance(background, &colour);
        (0..backgrounds.len()).min_by(|&a, &b| far(&backgrounds[a]).total_cmp(&far(&backgrounds[b])))
    };
    Ok(nearest(border_colour(&one.image)) == nearest(border_colour(&corpus.picture(one.index, SIDE)?)))
}

/// Whether the image is nearer to its scene than to the scene with its halves exchanged.
///
/// # Errors
/// The scene cannot be read.
pub(super) fn is_in_order(corpus: &Corpus, one: &DrawnImage) -> Result<bool> {
    let (image, scene) = (small(&one.image), small(&corpus.picture(one.index, SIDE)?));
    let row = SMALL * 3;
    let other: Vec<f32> = if corpus.entries[one.index].family == "above" {
        let (top, bottom) = scene.split_at(SMALL / 2 * row);
        [bottom, top].concat()
    } else {
        scene.chunks(row).flat_map(|line| [&line[row / 2..], &line[..row / 2]].concat()).collect()
    };
    Ok(distance(&image, &scene) < distance(&image, &other))
}
