//! How well a model draws what captions say, measured against the pictures of its corpus.
//!
//! No network judges: the corpus says what a caption looks like. A style is right where the drawing is nearer to the concept's picture in that
//! style than to its pictures in other styles; an order where it is nearer to the scene than to the scene with its halves exchanged; a ground
//! where the colour along the edge is nearest to that ground's; a number where what differs from the ground lies most as in scenes of that number.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use hawk::{Engine, Sampling, Seed};
use hawk_nn::{Error, Image, Result};
use rayon::prelude::*;
use serde::Serialize;

use crate::emoji::scenes::backgrounds;
use crate::pictures::canvas::{Canvas, SIDE};
use crate::pictures::corpus::Corpus;
use crate::pictures::entry::{Entry, Kind, Split};
use crate::pictures::sheet::{COLUMNS, contact_sheet};
use crate::run::draw::draw;
use crate::run::files;

/// Side of the small pictures that are compared.
const SMALL: usize = 32;
/// Pixels along the edge that show the ground alone.
const EDGE: usize = 4;
/// A pixel of a sum of differences above this, of 765, is not ground.
const STANDS_OUT: f32 = 60.0;
/// Styles that must draw a concept for its style to be told from others.
const LEAST_STYLES: usize = 2;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Folder of captioned pictures, as [`make_emoji`](crate::make_emoji) makes it.
    pub pictures: PathBuf,
    /// Prompts of each measure, at least 1; fewer where the corpus has fewer.
    pub prompts: usize,
    /// Guidance and warping.
    pub sampling: Sampling,
    /// Key of the noise.
    pub seed: Seed,
    /// Folder of the sheets and figures.
    pub out: PathBuf,
}

/// So many right, of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Right ones.
    pub right: usize,
    /// All.
    pub of: usize,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Evaluated {
    /// Of emoji that training showed: the nearest picture of the named style shows the concept named.
    pub nearest: Share,
    /// The concept named is among the five nearest.
    pub nearest_five: Share,
    /// The same drawings: the named style is the nearest of the styles that draw the concept.
    pub style: Share,
    /// Scenes whose combination training did not show, from here on: the ground has the colour named.
    pub ground: Share,
    /// What is named first stands left, or above.
    pub order: Share,
    /// There are as many things as named.
    pub number: Share,
    /// How often the rule for numbers is right on the corpus' own scenes.
    pub number_of_pictures: Share,
}

/// What is drawn for one measure.
struct Drawn {
    /// Index of the entry whose first caption was the prompt.
    index: usize,
    image: Image,
}

/// Draws the prompts and measures. Writes `figures.json`, a sheet PNG a measure and beside it its captions into the folder.
///
/// # Errors
/// Pictures that cannot be read, pictures of another size than the model's, a folder that cannot be written.
pub fn evaluate(
    engine: &Engine,
    evaluation: &Evaluation,
    observer: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<Evaluated>> {
    let corpus = Corpus::open(&evaluation.pictures)?;
    files::make_dir(&evaluation.out)?;
    let chosen = |of: &dyn Fn(&Entry) -> bool| Corpus::spread(&corpus.select(of), evaluation.prompts);
    let scenes =
        |layouts: &[&str]| chosen(&|entry| entry.split == Split::NewScene && layouts.contains(&entry.family.as_str()));
    let measures = [
        ("concepts", chosen(&|entry| entry.kind == Kind::Emoji && entry.split == Split::Train)),
        ("grounds", scenes(&["ground"])),
        ("orders", scenes(&["beside", "above"])),
        ("numbers", scenes(&["count"])),
    ];
    let of = measures.iter().map(|(_, chosen)| chosen.len()).sum();
    let (mut done, mut sets) = (0, Vec::new());
    for (name, chosen) in &measures {
        let mut drawn = Vec::with_capacity(chosen.len());
        for &index in chosen {
            drawn.push(Drawn { index, image: evaluation.draw(engine, &corpus.entries[index].captions[0])? });
            done += 1;
            if observer(done, of).is_break() {
                return Ok(None);
            }
        }
        evaluation.keep(name, &corpus, &drawn)?;
        sets.push(drawn);
    }
    let [concepts, grounds, orders, numbers] = &sets[..] else { return Ok(None) };
    let counter = Counter::new(&corpus)?;
    let (nearest, nearest_five) = nearest(&corpus, concepts)?;
    let evaluated = Evaluated {
        nearest,
        nearest_five,
        style: styles(&corpus, concepts)?,
        ground: Share::of(grounds, |drawn| is_on_its_ground(&corpus, drawn))?,
        order: Share::of(orders, |drawn| is_in_order(&corpus, drawn))?,
        number: Share::of(numbers, |drawn| Ok(counter.is_right(&corpus.entries[drawn.index].concept, &drawn.image)))?,
        number_of_pictures: counter.on_pictures(&corpus)?,
    };
    files::write_json(&evaluation.out.join("figures.json"), &evaluated)?;
    Ok(Some(evaluated))
}

impl Evaluation {
    fn draw(&self, engine: &Engine, prompt: &str) -> Result<Image> {
        let image = draw(engine, prompt, self.sampling, self.seed)?;
        if (image.width as usize, image.height as usize) != (SIDE, SIDE) {
            return Err(Error::input("the model draws pictures of another size than the corpus has")
                .expected(format!("{SIDE} x {SIDE}"))
                .got(format!("{} x {}", image.width, image.height)));
        }
        Ok(image)
    }

    /// Writes the sheet of a measure, and its captions in the order of the sheet.
    fn keep(&self, name: &str, corpus: &Corpus, drawn: &[Drawn]) -> Result<()> {
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

impl Share {
    fn of<T>(all: &[T], mut is_right: impl FnMut(&T) -> Result<bool>) -> Result<Self> {
        let mut right = 0;
        for one in all {
            right += usize::from(is_right(one)?);
        }
        Ok(Self { right, of: all.len() })
    }
}

/// Of each drawing, whether the nearest of its style's pictures, and one of the five nearest, shows its concept.
fn nearest(corpus: &Corpus, drawn: &[Drawn]) -> Result<(Share, Share)> {
    let mut styles: BTreeMap<&str, Vec<(usize, Vec<f32>)>> = BTreeMap::new();
    for one in drawn {
        let style = corpus.entries[one.index].style.as_str();
        if !styles.contains_key(style) {
            let of_style = |entry: &Entry| entry.kind == Kind::Emoji && entry.style == style;
            let pictures = corpus.select(of_style).into_par_iter();
            styles.insert(style, pictures.map(|i| Ok((i, small(&corpus.picture(i, SIDE)?)))).collect::<Result<_>>()?);
        }
    }
    let place = |one: &Drawn| {
        let entry = &corpus.entries[one.index];
        let image = small(&one.image);
        let mut distances: Vec<(f32, usize)> =
            styles[entry.style.as_str()].iter().map(|(i, picture)| (distance(&image, picture), *i)).collect();
        distances.sort_by(|a, b| a.0.total_cmp(&b.0));
        distances.iter().position(|(_, i)| corpus.entries[*i].concept == entry.concept).unwrap_or(usize::MAX)
    };
    let places: Vec<usize> = drawn.iter().map(place).collect();
    Ok((Share::of(&places, |place| Ok(*place == 0))?, Share::of(&places, |place| Ok(*place < 5))?))
}

/// Of the drawings whose concept several styles show, whether the named one is the nearest.
fn styles(corpus: &Corpus, drawn: &[Drawn]) -> Result<Share> {
    let mut share = Share::default();
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
        share.of += 1;
        share.right += usize::from(best.is_some_and(|(_, style)| style == entry.style));
    }
    Ok(share)
}

/// Whether the colour along the edge is nearer to the scene's ground than to any other.
fn is_on_its_ground(corpus: &Corpus, one: &Drawn) -> Result<bool> {
    let grounds: Vec<[f32; 3]> = backgrounds()?.into_iter().map(|colour| colour.map(f32::from)).collect();
    let nearest = |colour: [f32; 3]| {
        let far = |ground: &[f32; 3]| distance(ground, &colour);
        (0..grounds.len()).min_by(|&a, &b| far(&grounds[a]).total_cmp(&far(&grounds[b])))
    };
    Ok(nearest(edge(&one.image)) == nearest(edge(&corpus.picture(one.index, SIDE)?)))
}

/// Whether the drawing is nearer to its scene than to the scene with its halves exchanged.
fn is_in_order(corpus: &Corpus, one: &Drawn) -> Result<bool> {
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

/// Tells two, three and four things apart by where they lie: on average over the scenes of training.
struct Counter {
    /// By number, where scenes differ from their ground; of length one.
    masks: BTreeMap<usize, Vec<f32>>,
}

impl Counter {
    fn new(corpus: &Corpus) -> Result<Self> {
        let mut masks: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        for index in corpus.select(|entry| entry.split == Split::Train && entry.family == "count") {
            let Some(number) = number(&corpus.entries[index].concept) else { continue };
            let mask = masks.entry(number).or_insert_with(|| vec![0.0; SMALL * SMALL]);
            mask.iter_mut().zip(mask_of(&corpus.picture(index, SIDE)?)).for_each(|(sum, x)| *sum += x);
        }
        masks.values_mut().for_each(|mask| to_length_one(mask));
        Ok(Self { masks })
    }

    fn is_right(&self, concept: &str, image: &Image) -> bool {
        let mask = mask_of(image);
        let likeness = |known: &[f32]| known.iter().zip(&mask).map(|(a, b)| a * b).sum::<f32>();
        let best = self.masks.iter().max_by(|a, b| likeness(a.1).total_cmp(&likeness(b.1)));
        best.map(|(number, _)| *number) == number(concept)
    }

    fn on_pictures(&self, corpus: &Corpus) -> Result<Share> {
        let scenes = corpus.select(|entry| entry.split == Split::NewScene && entry.family == "count");
        Share::of(&scenes, |&index| Ok(self.is_right(&corpus.entries[index].concept, &corpus.picture(index, SIDE)?)))
    }
}

/// The number in `3 giraffe`.
fn number(concept: &str) -> Option<usize> {
    concept.split(' ').next()?.parse().ok()
}

/// Where a picture differs from its ground, `[SMALL * SMALL]`, at length one.
fn mask_of(image: &Image) -> Vec<f32> {
    let ground = edge(image);
    let small = small(image);
    let differs = |pixel: &[f32]| pixel.iter().zip(ground).map(|(a, b)| (a - b).abs()).sum::<f32>() > STANDS_OUT;
    let mut mask: Vec<f32> = small.chunks(3).map(|pixel| f32::from(u8::from(differs(pixel)))).collect();
    to_length_one(&mut mask);
    mask
}

fn to_length_one(numbers: &mut [f32]) {
    let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-9);
    numbers.iter_mut().for_each(|x| *x /= length);
}

/// The median colour along the edge.
fn edge(image: &Image) -> [f32; 3] {
    let inner = EDGE..SIDE - EDGE;
    let on_edge = |at: usize| !(inner.contains(&(at % SIDE)) && inner.contains(&(at / SIDE)));
    std::array::from_fn(|channel| {
        let mut levels: Vec<u8> =
            (0..SIDE * SIDE).filter(|&at| on_edge(at)).map(|at| image.pixels[3 * at + channel]).collect();
        let middle = levels.len() / 2;
        f32::from(*levels.select_nth_unstable(middle).1)
    })
}

/// Means over squares, `[SMALL, SMALL, 3]` in 0..=255.
fn small(image: &Image) -> Vec<f32> {
    let square = SIDE / SMALL;
    let mut sums = vec![0.0; SMALL * SMALL * 3];
    for (at, pixel) in image.pixels.chunks_exact(3).enumerate() {
        let to = at / SIDE / square * SMALL + at % SIDE / square;
        sums[3 * to..].iter_mut().zip(pixel).for_each(|(sum, level)| *sum += f32::from(*level));
    }
    sums.iter_mut().for_each(|sum| *sum /= (square * square) as f32);
    sums
}

/// Of squares.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Squares of one colour at these places on a ground.
    fn scene(places: &[(usize, usize)], half: usize, ground: [u8; 3], colour: [u8; 3]) -> Image {
        let inside =
            |at: usize| places.iter().any(|p| p.0.abs_diff(at % SIDE) < half && p.1.abs_diff(at / SIDE) < half);
        let pixels = (0..SIDE * SIDE).flat_map(|at| if inside(at) { colour } else { ground }).collect();
        Image { width: SIDE as u32, height: SIDE as u32, pixels }
    }

    #[test]
    fn the_edge_tells_the_ground_even_where_things_touch_it() {
        let image = scene(&[(64, 64), (10, 64)], 20, [170, 215, 245], [200, 30, 30]);
        assert_eq!(edge(&image), [170.0, 215.0, 245.0]);
    }

    #[test]
    fn numbers_are_told_by_places() {
        let [two, three, four] =
            [&[(33, 64), (95, 64)][..], &[(64, 34), (33, 94), (95, 94)], &[(34, 34), (94, 34), (34, 94), (94, 94)]];
        let mask = |places| mask_of(&scene(places, 25, [255; 3], [90, 40, 10]));
        let counter = Counter { masks: [(2, mask(two)), (3, mask(three)), (4, mask(four))].into() };
        for (concept, places) in [("2 fox", two), ("3 fox", three), ("4 fox", four)] {
            let smaller = scene(places, 14, [110, 190, 110], [255, 255, 0]);
            assert!(counter.is_right(concept, &smaller), "{concept}");
            assert!(!counter.is_right("5 fox", &smaller));
        }
        assert!(!counter.is_right("4 fox", &scene(two, 25, [255; 3], [90, 40, 10])));
    }

    #[test]
    fn small_pictures_are_means() {
        let image = scene(&[(2, 2)], 3, [0; 3], [160; 3]);
        let small = small(&image);
        // Squares of 4 x 4: the first is covered, of the second one column of 4, of the one across one pixel.
        assert_eq!((small[0], small[3], small[3 * (SMALL + 1)]), (160.0, 40.0, 10.0));
        assert_eq!(distance(&[1.0, 2.0], &[4.0, 6.0]), 25.0);
    }
}
