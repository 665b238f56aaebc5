//! Measures of things, alone and together.

use hawk_files::Result;
use hawk_nn::Image;
use hawk_pictures::mixture::{Mixture, Shares};
use hawk_pictures::sample::Sample;
use hawk_pictures::things::Things;

use crate::evaluate::figures::{Accuracy, Confusion, Followed};
use crate::evaluate::painted::attribute::Attribute;
use crate::evaluate::painted::fit::Cutouts;
use crate::evaluate::painted::land::Amounts;
use crate::evaluate::painted::prompts::{Paints, Prompt, gather, image, mixture};
use crate::evaluate::painted::rules::{Example, Rules};

/// Whether a picture is one that is wanted.
type Wanted<'a> = &'a (dyn Fn(&Sample) -> bool + Sync);

pub(super) const THINGS: Shares = Shares { landscapes: 0, things: 1, scenes: 0, composites: 0 };
pub(super) const SCENES: Shares = Shares { landscapes: 0, things: 0, scenes: 1, composites: 0 };
/// Least number of styles that must have a thing before its style is measured.
const LEAST_STYLES: usize = 2;

/// Rules for things, and real pictures to measure them with.
pub(super) struct ThingRules<'a> {
    cutouts: Cutouts<'a>,
    grounds: Rules,
    numbers: Rules,
    /// Real pictures: things, two things together, several of a thing.
    real: [Vec<(Prompt, Image)>; 3],
}

impl<'a> ThingRules<'a> {
    /// # Errors
    /// The pictures cannot be painted, or the device fails.
    pub(super) fn learn(things: &'a Things, amounts: Amounts) -> Result<Self> {
        let of = |shares: Shares, paints: Paints| mixture(Some(things), shares, paints);
        let half = Shares { things: 1, scenes: 1, ..THINGS };
        let grounds = examples(amounts.learning, &of(half, Paints::Learning)?, Attribute::Ground, &|_| true)?;
        let numbers = examples(amounts.learning, &of(SCENES, Paints::Learning)?, Attribute::Number, &is_count)?;
        let testing = [of(THINGS, Paints::Testing)?, of(SCENES, Paints::Testing)?];
        let wanted: [(&Mixture, Wanted<'_>); 3] =
            [(&testing[0], &|_| true), (&testing[1], &|sample| !is_count(sample)), (&testing[1], &is_count)];
        let mut real = [const { Vec::new() }; 3];
        for (real, (mixture, wanted)) in real.iter_mut().zip(wanted) {
            *real = gather(amounts.testing, |index| {
                let sample = mixture.sample(index)?;
                let image = image(&sample, index);
                Ok(wanted(&sample).then(|| Prompt::first(sample)).flatten().map(|prompt| (prompt, image)))
            })?;
        }
        Ok(Self {
            cutouts: Cutouts::new(things),
            grounds: Rules::learn(&grounds)?,
            numbers: Rules::learn(&numbers)?,
            real,
        })
    }

    /// Whether the thing whose cut-out fits best is the one of the caption.
    pub(super) fn concepts(&self, prompts: &[Prompt], images: &[Image]) -> Followed {
        let is_right =
            |prompt: &Prompt, image: &Image| self.cutouts.concept(&prompt.style, image) == prompt.word("thing");
        self.judged(0, prompts, images, |prompt, image| Some(is_right(prompt, image)))
    }

    /// Whether the named style's drawing of the thing fits better than those of other styles.
    pub(super) fn styles(&self, prompts: &[Prompt], images: &[Image]) -> Followed {
        self.judged(0, prompts, images, |prompt, image| {
            let thing = prompt.word("thing");
            let is_known = self.cutouts.styles_of(thing) >= LEAST_STYLES;
            is_known.then(|| self.cutouts.style(thing, image) == prompt.style)
        })
    }

    /// Whether the thing that is named first stands left, or above.
    pub(super) fn orders(&self, prompts: &[Prompt], images: &[Image]) -> Followed {
        self.judged(1, prompts, images, |prompt, image| {
            let things = [prompt.word("first"), prompt.word("second")];
            self.cutouts.is_in_order(&prompt.style, things, prompt.word("layout"), image)
        })
    }

    /// What the rule for grounds finds.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn grounds(&self, prompts: &[Prompt], images: &[Image]) -> Result<Followed> {
        let real = self.real.iter().flatten();
        follow(
            &self.grounds,
            Attribute::Ground,
            prompts.iter().zip(images),
            real.map(|(prompt, image)| (prompt, image)),
        )
    }

    /// What the rule for numbers finds.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn numbers(&self, prompts: &[Prompt], images: &[Image]) -> Result<Followed> {
        let real = self.real[2].iter().map(|(prompt, image)| (prompt, image));
        follow(&self.numbers, Attribute::Number, prompts.iter().zip(images), real)
    }

    fn judged(
        &self,
        real: usize,
        prompts: &[Prompt],
        images: &[Image],
        is_right: impl Fn(&Prompt, &Image) -> Option<bool>,
    ) -> Followed {
        let (mut drawn, mut pictures) = (Accuracy::default(), Accuracy::default());
        for (prompt, image) in prompts.iter().zip(images) {
            is_right(prompt, image).into_iter().for_each(|is_right| drawn.add(is_right));
        }
        for (prompt, image) in &self.real[real] {
            is_right(prompt, image).into_iter().for_each(|is_right| pictures.add(is_right));
        }
        Followed { images: drawn, pictures: Some(pictures), ..Followed::default() }
    }
}

fn follow<'p>(
    rules: &Rules,
    of: Attribute,
    images: impl Iterator<Item = (&'p Prompt, &'p Image)>,
    pictures: impl Iterator<Item = (&'p Prompt, &'p Image)>,
) -> Result<Followed> {
    let (mut drawn, mut real) = (Confusion::default(), Confusion::default());
    for (prompt, image) in images.filter(|(prompt, _)| of.is_named_by(&prompt.caption)) {
        drawn.add(of.class(&prompt.attributes), rules.classes(image)?[0]);
    }
    for (prompt, image) in pictures {
        real.add(of.class(&prompt.attributes), rules.classes(image)?[0]);
    }
    Ok(Followed::of(drawn, real))
}

fn examples(
    count: usize,
    mixture: &Mixture,
    of: Attribute,
    wanted: &(dyn Fn(&Sample) -> bool + Sync),
) -> Result<Vec<Example>> {
    gather(count, |index| {
        let sample = mixture.sample(index)?;
        let example = || Example::new(&image(&sample, index), vec![of.class(&sample.attributes).to_owned()]);
        Ok((sample.held_out.is_none() && wanted(&sample)).then(example))
    })
}

/// Whether a picture shows several of one thing.
pub(super) fn is_count(sample: &Sample) -> bool {
    sample.attributes.get("layout").is_some_and(|layout| layout == "count")
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    /// Six things of two styles: filled shapes and rings.
    fn things() -> Things {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("objects")).unwrap();
        let mut lines = String::new();
        for (number, (colour, style)) in ["red", "green", "violet"]
            .into_iter()
            .flat_map(|colour| ["filled", "ring"].map(|style| (colour, style)))
            .enumerate()
        {
            let rgb = [[220, 30, 40], [20, 130, 60], [120, 40, 190]][number / 2];
            let picture = RgbaImage::from_fn(104, 104, |x, y| {
                let far = (x as f32 - 51.5).hypot((y as f32 - 51.5) * (1.0 + number as f32 / 10.0));
                let inside = far < 51.0 && (style == "filled" || far > 26.0);
                Rgba([rgb[0], rgb[1], rgb[2], if inside { 255 } else { 0 }])
            });
            picture.save(at(&format!("objects/{number}.png"))).unwrap();
            let line = serde_json::json!({
                "file": format!("objects/{number}.png"), "style": style, "phrase": format!("{colour} disc"),
                "one": format!("a {colour} disc"), "several": format!("{colour} discs"), "group": "shapes",
                "mirror": true, "split": "train"
            });
            lines.push_str(&format!("{line}\n"));
        }
        std::fs::write(at("objects.jsonl"), lines).unwrap();
        std::fs::write(at("ATTRIBUTION"), "none").unwrap();
        Things::open(dir.path()).unwrap()
    }

    fn accuracy(followed: &Followed) -> f64 {
        let Accuracy { right, of } = followed.pictures.unwrap();
        assert!(of >= 40, "{of}");
        right as f64 / of as f64
    }

    #[test]
    fn rules_for_things_recognise_real_pictures() {
        let things = things();
        let rules = ThingRules::learn(&things, Amounts { learning: 300, testing: 40 }).unwrap();
        for followed in [rules.concepts(&[], &[]), rules.styles(&[], &[]), rules.orders(&[], &[])] {
            assert!(accuracy(&followed) >= 0.95, "{followed:?}");
        }
        assert!(accuracy(&rules.numbers(&[], &[]).unwrap()) >= 0.9);
        assert!(accuracy(&rules.grounds(&[], &[]).unwrap()) >= 0.7);
    }

    #[test]
    fn what_an_image_does_not_show_is_wrong() {
        let things = things();
        let rules = ThingRules::learn(&things, Amounts { learning: 60, testing: 40 }).unwrap();
        let (mut prompts, images): (Vec<Prompt>, Vec<Image>) = rules.real[1].iter().cloned().unzip();
        assert_eq!(rules.orders(&prompts, &images).images.right, 40);
        for prompt in &mut prompts {
            let first = prompt.word("first").to_owned();
            let second = prompt.attributes.insert("second".to_owned(), first).unwrap();
            prompt.attributes.insert("first".to_owned(), second);
        }
        assert_eq!(rules.orders(&prompts, &images).images, Accuracy { right: 0, of: 40 });
    }
}
