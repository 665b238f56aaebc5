//! Measures of landscapes, with and without a thing in them.

use hawk_files::Result;
use hawk_nn::Image;
use hawk_pictures::landscape::Scene;
use hawk_pictures::mixture::Shares;
use hawk_pictures::sample::{Kind, Sample};
use hawk_pictures::things::Things;

use crate::evaluate::figures::{Confusion, Followed};
use crate::evaluate::painted::attribute::{Attribute, OF_LANDSCAPES};
use crate::evaluate::painted::prompts::{Paints, Prompt, gather, image, landscape_of, mixture};
use crate::evaluate::painted::rules::{Example, Rules};

/// Seven landscapes for three composites, as long as there are things.
const SHARES: Shares = Shares { landscapes: 70, things: 0, scenes: 0, composites: 30 };

/// Rules for landscapes, and what they find in real pictures.
pub(super) struct LandRules {
    rules: Rules,
    tests: Vec<Tested>,
    /// Few pictures have an aurora, so some are painted on purpose.
    auroras: Vec<Tested>,
}

/// A real picture and what the rules found in it.
struct Tested {
    kind: Kind,
    /// The true class and the one that was found, in the order of [`OF_LANDSCAPES`].
    classes: Vec<(String, String)>,
}

/// Numbers of painted pictures.
#[derive(Clone, Copy)]
pub(super) struct Amounts {
    /// Of which the rules learn.
    pub(super) learning: usize,
    /// With which they are measured.
    pub(super) testing: usize,
}

impl LandRules {
    /// # Errors
    /// The pictures cannot be painted, or the device fails.
    pub(super) fn learn(things: Option<&Things>, amounts: Amounts) -> Result<Self> {
        let learning = mixture(things, SHARES, Paints::Learning)?;
        let examples = gather(amounts.learning, |index| {
            let sample = learning.sample(index)?;
            let example = || Example::new(&image(&sample, index), classes(&sample));
            Ok(sample.held_out.is_none().then(example))
        })?;
        let rules = Rules::learn(&examples)?;
        let testing = mixture(things, SHARES, Paints::Testing)?;
        let test = |sample: &Sample, index: u64| -> Result<Tested> {
            let found = rules.classes(&image(sample, index))?.into_iter().map(str::to_owned);
            Ok(Tested { kind: sample.kind, classes: classes(sample).into_iter().zip(found).collect() })
        };
        let tests = gather(amounts.testing, |index| test(&testing.sample(index)?, index).map(Some))?;
        let auroras = gather(amounts.testing / 5, |index| {
            let sample = landscape_of(Paints::Testing, index, &Scene::has_aurora);
            sample.map(|sample| test(&sample, index)).transpose()
        })?;
        Ok(Self { rules, tests, auroras })
    }

    /// What a rule finds in the images of prompts that name its attribute.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn follow(&self, of: Attribute, kind: Kind, prompts: &[Prompt], images: &[Image]) -> Result<Followed> {
        let rule = OF_LANDSCAPES.iter().position(|other| *other == of).unwrap_or(0);
        let mut by_class = Confusion::default();
        for (prompt, image) in prompts.iter().zip(images).filter(|(prompt, _)| of.is_named_by(&prompt.caption)) {
            by_class.add(of.class(&prompt.attributes), self.rules.classes(image)?[rule]);
        }
        let mut pictures = Confusion::default();
        let more: &[Tested] = if of == Attribute::Aurora { &self.auroras } else { &[] };
        for tested in self.tests.iter().filter(|tested| tested.kind == kind).chain(more) {
            let (class, found) = &tested.classes[rule];
            pictures.add(class, found);
        }
        Ok(Followed::of(by_class, pictures))
    }
}

impl Followed {
    /// The figures of a rule whose classes are known. A class `absent` of real pictures is counted
    /// apart, because no caption names it.
    pub(super) fn of(images: Confusion, pictures: Confusion) -> Self {
        let mut present = pictures.clone();
        let without =
            present.0.remove("absent").map(|found| Confusion([("absent".to_owned(), found)].into()).accuracy());
        Self {
            images: images.accuracy(),
            pictures: Some(present.accuracy()),
            pictures_without: without,
            images_by_class: images,
            pictures_by_class: pictures,
        }
    }
}

fn classes(sample: &Sample) -> Vec<String> {
    OF_LANDSCAPES.iter().map(|of| of.class(&sample.attributes).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ninth of the usual pictures, so that the rules are not as good as usual.
    #[test]
    fn rules_recognise_real_pictures() {
        let rules = LandRules::learn(None, Amounts { learning: 900, testing: 150 }).unwrap();
        let none = |of: Attribute| rules.follow(of, Kind::Landscape, &[], &[]).unwrap();
        for (of, least) in [
            (Attribute::Time, 0.93),
            (Attribute::Terrain, 0.75),
            (Attribute::Rendering, 0.8),
            (Attribute::Light, 0.85),
            (Attribute::Aurora, 0.6),
        ] {
            let Followed { pictures, pictures_without, images, .. } = none(of);
            let share = |of: Option<crate::Accuracy>| of.map_or(1.0, |of| of.right as f64 / of.of as f64);
            assert!(share(pictures) >= least, "{of:?}: {pictures:?}");
            assert!(share(pictures_without) >= 0.7, "{of:?}: {pictures_without:?}");
            assert_eq!(
                (images.of, pictures_without.is_some()),
                (0, matches!(of, Attribute::Light | Attribute::Aurora))
            );
        }
    }
}
