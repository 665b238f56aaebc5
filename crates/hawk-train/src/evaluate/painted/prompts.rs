//! Captions of freshly painted pictures that training does not show.

use std::collections::BTreeMap;

use hawk_files::Result;
use hawk_nn::Image;
use hawk_pictures::landscape::Scene;
use hawk_pictures::mixture::{Mixture, Shares, landscape};
use hawk_pictures::random::Random;
use hawk_pictures::sample::Sample;
use hawk_pictures::things::{Shift, Things};
use image::{RgbImage, imageops};
use rayon::prelude::*;

use crate::evaluate::painted::attribute::Attribute;
use crate::pictures::canvas::SIDE;

/// Pictures that are painted at once.
const CHUNK: u64 = 128;
/// Pictures that are looked through for each that is wanted.
const LOOKED_THROUGH: u64 = 1000;

/// Standard deviations in pixels of the blur of pictures.
const SOFTNESS: [f32; 3] = [0.0, 1.0, 1.8];

/// Seeds of what is painted here. No training set has them by chance.
#[derive(Clone, Copy)]
#[repr(u64)]
pub(super) enum Paints {
    /// For the rules to learn from.
    Learning = 0x4c65_6172_6e00,
    /// To measure the rules with.
    Testing = 0x5465_7374_0000,
    /// For prompts.
    Prompting = 0x5072_6f6d_7074,
}

/// A caption with what its picture shows.
#[derive(Clone)]
pub(super) struct Prompt {
    pub(super) caption: String,
    pub(super) style: String,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Prompt {
    /// The first caption of a picture that names all of these; nothing where none does.
    fn naming(sample: Sample, named: &[Attribute]) -> Option<Self> {
        let names = |caption: &&String| named.iter().all(|of| of.is_named_by(caption));
        let caption = sample.captions.iter().find(names)?.clone();
        Some(Self { caption, style: sample.style, attributes: sample.attributes })
    }

    /// The fullest caption.
    pub(super) fn first(sample: Sample) -> Option<Self> {
        Self::naming(sample, &[])
    }

    pub(super) fn word(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// The pixels of picture `index`. Two of three are softened, because a VQ tokenizer softens what a
/// model draws: a rule that looks for fine detail would be wrong there.
pub(super) fn image(sample: &Sample, index: u64) -> Image {
    let (width, height) = (SIDE as u32, SIDE as u32);
    let crisp = sample.picture.rgb.clone();
    let pixels = match SOFTNESS[(index % 3) as usize] {
        0.0 => crisp,
        deviation => {
            imageops::blur(&RgbImage::from_raw(width, height, crisp).unwrap_or_default(), deviation).into_raw()
        }
    };
    Image { width, height, pixels }
}

/// Makes `count` of something from pictures that are painted in order, fewer if pictures of that
/// sort are too rare. The result does not depend on the number of threads.
///
/// # Errors
/// As `make`.
pub(super) fn gather<T: Send>(count: usize, make: impl Fn(u64) -> Result<Option<T>> + Sync) -> Result<Vec<T>> {
    let mut found = Vec::with_capacity(count);
    let mut next = 0;
    while found.len() < count && next < LOOKED_THROUGH * count as u64 {
        let made: Vec<Option<T>> = (next..next + CHUNK).into_par_iter().map(&make).collect::<Result<_>>()?;
        found.extend(made.into_iter().flatten().take(count - found.len()));
        next += CHUNK;
    }
    Ok(found)
}

/// A mixture of painted pictures.
///
/// # Errors
/// The shares are wrong.
pub(super) fn mixture(things: Option<&Things>, shares: Shares, paints: Paints) -> Result<Mixture> {
    let Some(things) = things else { return Ok(Mixture::landscapes(paints as u64)) };
    Mixture::new(things.clone(), shares, Shift::Cells, paints as u64)
}

/// Picture `index` of the landscapes that are as `wanted` says, whichever the painter would choose.
pub(super) fn landscape_of(paints: Paints, index: u64, wanted: &dyn Fn(&Scene) -> bool) -> Option<Sample> {
    landscape(&mut Random::new(paints as u64 + 1, index), wanted)
}

/// Captions of landscapes in combinations that training does not show.
///
/// # Errors
/// As [`gather`]; painting itself does not fail.
pub(super) fn landscapes(
    count: usize,
    named: &[Attribute],
    wanted: &(dyn Fn(&Scene) -> bool + Sync),
) -> Result<Vec<Prompt>> {
    let held_out = |scene: &Scene| scene.is_held_out() && wanted(scene);
    gather(count, |index| {
        Ok(landscape_of(Paints::Prompting, index, &held_out).and_then(|sample| Prompt::naming(sample, named)))
    })
}

/// Captions of pictures of a mixture that `wanted` accepts.
///
/// # Errors
/// The things cannot make such pictures.
pub(super) fn of_mixture(
    count: usize,
    mixture: &Mixture,
    wanted: impl Fn(&Sample) -> bool + Sync,
) -> Result<Vec<Prompt>> {
    gather(count, |index| {
        let sample = mixture.sample(index)?;
        Ok(if wanted(&sample) { Prompt::first(sample) } else { None })
    })
}

#[cfg(test)]
mod tests {
    use hawk_files::Error;

    use super::*;

    #[test]
    fn prompts_are_new_combinations_that_name_what_is_asked_for() {
        let prompts = landscapes(6, &[Attribute::Aurora, Attribute::Time], &Scene::has_aurora).unwrap();
        assert_eq!(prompts.len(), 6);
        for Prompt { caption, attributes, style } in &prompts {
            assert!(Attribute::Aurora.is_named_by(caption) && Attribute::Time.is_named_by(caption), "{caption}");
            assert_eq!((attributes["phenomenon"].as_str(), attributes["time"].as_str()), ("aurora", "night"));
            let name = format!("{} & night & {} & {style}", attributes["terrain"], attributes["weather"]);
            assert!(hawk_pictures::split::is_held_out("landscape", &name), "{name}");
        }
    }

    #[test]
    fn what_is_gathered_is_in_order_and_may_be_too_rare() {
        let even = |index: u64| Ok(index.is_multiple_of(2).then_some(index));
        assert_eq!(gather(3, even).unwrap(), [0, 2, 4]);
        assert_eq!(gather(200, even).unwrap()[199], 398);
        assert!(gather::<u64>(2, |_| Ok(None)).unwrap().is_empty());
        assert!(gather::<u64>(2, |_| Err(Error::input("broken"))).is_err());
    }
}
