//! Draws captions of painted pictures and measures the images.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hawk::Engine;
use hawk_files::Result;
use hawk_nn::Image;
use hawk_pictures::landscape::Scene;
use hawk_pictures::mixture::Shares;
use hawk_pictures::sample::Kind;
use hawk_pictures::things::Things;

use crate::evaluate::drawing::{NoiseOf, PromptSet, draw_sets};
use crate::evaluate::figures::{EvaluationFigures, Followed};
use crate::evaluate::painted::attribute::{Attribute, OF_LANDSCAPES};
use crate::evaluate::painted::land::{Amounts, LandRules};
use crate::evaluate::painted::objects::{SCENES, THINGS, ThingRules, is_count};
use crate::evaluate::painted::prompts::{Paints, Prompt, landscapes, mixture, of_mixture};
use crate::evaluate::settings::{EvaluationProgress, EvaluationRun};

/// Painted pictures for the rules of landscapes, and for those of things.
const LAND: Amounts = Amounts { learning: 8000, testing: 1000 };
const OBJECTS: Amounts = Amounts { learning: 2000, testing: 200 };
const COMPOSITES: Shares = Shares { landscapes: 0, things: 0, scenes: 0, composites: 1 };

/// Prompts of a set, and its images once they are drawn.
struct Set {
    name: &'static str,
    kind: &'static str,
    noise: NoiseOf,
    prompts: Vec<Prompt>,
    images: Vec<Image>,
}

impl Set {
    fn new(name: &'static str, kind: &'static str, noise: NoiseOf, prompts: Vec<Prompt>) -> Self {
        Self { name, kind, noise, prompts, images: Vec::new() }
    }
}

/// Measures landscapes, and with things also things, scenes and things in landscapes. Returns
/// `None` if the observer stopped the work.
///
/// # Errors
/// The things cannot be painted, the engine fails, or a file cannot be written.
pub(in crate::evaluate) fn evaluate(
    engine: &Engine,
    run: &EvaluationRun,
    things: Option<&Things>,
    observer: &mut dyn FnMut(EvaluationProgress) -> ControlFlow<()>,
) -> Result<Option<EvaluationFigures>> {
    let mut land = land_sets(run.prompts, things)?;
    let mut objects = things.map_or(Ok(Vec::new()), |things| object_sets(run.prompts, things))?;
    let sets: Vec<PromptSet> = land.iter().chain(&objects).map(Set::to_draw).collect();
    let Some(drawn) = draw_sets(engine, run, &sets, observer)? else { return Ok(None) };
    for (set, images) in land.iter_mut().chain(&mut objects).zip(drawn.images) {
        set.images = images;
    }
    if observer(EvaluationProgress::Learning).is_break() {
        return Ok(None);
    }
    let mut following: BTreeMap<String, BTreeMap<String, Followed>> = BTreeMap::new();
    let mut add = |kind: &str, name: &str, followed: Followed| {
        following.entry(kind.to_owned()).or_default().insert(name.to_owned(), followed);
    };
    let rules = LandRules::learn(things, LAND)?;
    for set in &land {
        let (kind, measured): (Kind, &[Attribute]) = match set.name {
            "lights" => (Kind::Landscape, &[Attribute::Light]),
            "auroras" => (Kind::Landscape, &[Attribute::Aurora]),
            "composites" => (Kind::Composite, &OF_LANDSCAPES[..3]),
            _ => (Kind::Landscape, &OF_LANDSCAPES[..3]),
        };
        for of in measured {
            add(set.kind, of.name(), rules.follow(*of, kind, &set.prompts, &set.images)?);
        }
    }
    if let (Some(things), [alone, orders, numbers]) = (things, &objects[..]) {
        let rules = ThingRules::learn(things, OBJECTS)?;
        add(alone.kind, "concept", rules.concepts(&alone.prompts, &alone.images));
        add(alone.kind, "style", rules.styles(&alone.prompts, &alone.images));
        add(alone.kind, "ground", rules.grounds(&alone.prompts, &alone.images)?);
        add(orders.kind, "order", rules.orders(&orders.prompts, &orders.images));
        add(numbers.kind, "number", rules.numbers(&numbers.prompts, &numbers.images)?);
        let prompts = [&orders.prompts[..], &numbers.prompts].concat();
        let images = [&orders.images[..], &numbers.images].concat();
        add(orders.kind, "ground", rules.grounds(&prompts, &images)?);
    }
    Ok(Some(EvaluationFigures { kinds: drawn.kinds, following }))
}

impl Set {
    fn to_draw(&self) -> PromptSet {
        let captions = self.prompts.iter().map(|prompt| prompt.caption.clone()).collect();
        PromptSet { name: self.name, kind: self.kind, captions, noise: self.noise }
    }
}

fn land_sets(count: usize, things: Option<&Things>) -> Result<Vec<Set>> {
    let any = landscapes(count, &[Attribute::Time, Attribute::Rendering], &|_| true)?;
    let lights = landscapes(count, &[Attribute::Light], &|scene| scene.light.is_some())?;
    let auroras = landscapes(count, &[Attribute::Aurora], &Scene::has_aurora)?;
    let mut sets = vec![
        Set::new("landscapes", "landscape", NoiseOf::SeveralImages, any),
        Set::new("lights", "landscape", NoiseOf::OneImage, lights),
        Set::new("auroras", "landscape", NoiseOf::OneImage, auroras),
    ];
    if let Some(things) = things {
        let composites = mixture(Some(things), COMPOSITES, Paints::Prompting)?;
        let prompts = of_mixture(count, &composites, |sample| sample.held_out.is_some())?;
        sets.push(Set::new("composites", "composite", NoiseOf::SeveralImages, prompts));
    }
    Ok(sets)
}

/// Things that training shows; two things, and several of one, that it does not show together.
fn object_sets(count: usize, things: &Things) -> Result<Vec<Set>> {
    let [alone, scenes] = [THINGS, SCENES].map(|shares| mixture(Some(things), shares, Paints::Prompting));
    let (alone, scenes) = (alone?, scenes?);
    let shown = of_mixture(count, &alone, |sample| sample.held_out.is_none())?;
    let orders = of_mixture(count, &scenes, |sample| sample.held_out.is_some() && !is_count(sample))?;
    let numbers = of_mixture(count, &scenes, |sample| sample.held_out.is_some() && is_count(sample))?;
    Ok(vec![
        Set::new("things", "thing", NoiseOf::SeveralImages, shown),
        Set::new("orders", "scene", NoiseOf::SeveralImages, orders),
        Set::new("numbers", "scene", NoiseOf::SeveralImages, numbers),
    ])
}
