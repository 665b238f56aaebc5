//! The mixture of all kinds of pictures: picture number `index` is a function of seed, index, shares, shift, auroras and
//! things alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::composites::{attributes, composite};
use crate::landscape::Scene;
use crate::random::Random;
use crate::sample::{Kind, Sample, distinct};
use crate::things::{Shift, Things, alone, arranged};
use hawk_files::{Error, Result};

/// How often another draw is made where things vanish in every ground or suit no landscape.
const TRIES: usize = 100;
/// Scenes that are drawn until one is as it was wanted.
const SCENES: usize = 1_000_000;
/// Wordings of a landscape's caption.
const WORDINGS: usize = 4;
/// Largest share.
const MOST: usize = 1_000_000;

/// How many of a hundred pictures are of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Landscapes.
    pub landscapes: usize,
    /// Things alone.
    pub things: usize,
    /// Things that stand together.
    pub scenes: usize,
    /// Things in landscapes.
    pub composites: usize,
}

/// So many of a hundred, `0..=100`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percent(u8);

impl Percent {
    /// None of more than a hundred.
    #[must_use]
    pub fn new(percent: u8) -> Option<Self> {
        (percent <= 100).then_some(Self(percent))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self { landscapes: 50, things: 25, scenes: 5, composites: 20 }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { landscapes, things, scenes, composites } = self;
        write!(f, "{landscapes},{things},{scenes},{composites}")
    }
}

impl Shares {
    /// Only landscapes.
    pub const LANDSCAPES: Self = Self { landscapes: 100, things: 0, scenes: 0, composites: 0 };

    /// Each kind with its share.
    fn of_kinds(&self) -> [(Kind, usize); 4] {
        let Self { landscapes, things, scenes, composites } = *self;
        [(Kind::Landscape, landscapes), (Kind::Thing, things), (Kind::Scene, scenes), (Kind::Composite, composites)]
    }
}

/// An endless set of captioned pictures.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// None where no picture shows one.
    things: Option<Things>,
    shares: Shares,
    shift: Shift,
    auroras: Percent,
    seed: u64,
}

impl Mixture {
    /// # Errors
    /// No share is above 0, or one is above a million.
    pub fn new(things: Things, shares: Shares, shift: Shift, seed: u64) -> Result<Self> {
        let all = shares.of_kinds().map(|(_, share)| share);
        if all.iter().all(|share| *share == 0) {
            return Err(Error::input("no kind of pictures has a share above 0"));
        }
        if let Some(share) = all.into_iter().find(|share| *share > MOST) {
            return Err(Error::input("a share is too large").expected(format!("at most {MOST}")).got(share));
        }
        Ok(Self { things: Some(things), shares, shift, auroras: Percent::default(), seed })
    }

    /// Landscapes alone.
    #[must_use]
    pub fn landscapes(seed: u64) -> Self {
        Self { things: None, shares: Shares::LANDSCAPES, shift: Shift::default(), auroras: Percent::default(), seed }
    }

    /// So many of a hundred landscapes show an aurora, besides those that show one by chance: 17 of a thousand.
    #[must_use]
    pub fn with_auroras(self, auroras: Percent) -> Self {
        Self { auroras, ..self }
    }

    /// The things that its pictures may show.
    #[must_use]
    pub fn things(&self) -> Option<&Things> {
        self.things.as_ref()
    }

    /// How many of a hundred pictures are of a kind.
    #[must_use]
    pub fn shares(&self) -> Shares {
        self.shares
    }

    /// Where things may be put.
    #[must_use]
    pub fn shift(&self) -> Shift {
        self.shift
    }

    /// How many of a hundred landscapes are chosen to show an aurora.
    #[must_use]
    pub fn auroras(&self) -> Percent {
        self.auroras
    }

    /// Other seeds give other pictures.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The kind of picture number `index`.
    #[must_use]
    pub fn kind(&self, index: u64) -> Kind {
        self.choose(&mut Random::new(self.seed, index))
    }

    fn choose(&self, random: &mut Random) -> Kind {
        let weights = self.shares.of_kinds();
        let mut left = random.below(weights.iter().map(|(_, weight)| weight).sum());
        for (kind, weight) in weights {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Kind::Landscape
    }

    /// Picture number `index`.
    ///
    /// # Errors
    /// The things cannot make such a picture: too few, or none that suits a landscape.
    pub fn sample(&self, index: u64) -> Result<Sample> {
        let mut random = Random::new(self.seed, index);
        let kind = self.choose(&mut random);
        let things = self.things.as_ref();
        // No number is drawn without need: the pictures stay what they were.
        let shows_aurora =
            kind == Kind::Landscape && self.auroras.0 > 0 && random.below(100) < usize::from(self.auroras.0);
        let sample = (0..TRIES).find_map(|_| match kind {
            Kind::Landscape => landscape(&mut random, &|scene| !shows_aurora || scene.has_aurora()),
            Kind::Thing => alone(things?.any(&mut random), self.shift, &mut random),
            Kind::Scene => arranged(things?, self.shift, &mut random),
            Kind::Composite => composite(things?, self.shift, &mut random),
        });
        sample.ok_or_else(|| Error::input(format!("these things do not make a picture of kind {kind:?}")))
    }
}

/// A landscape whose scene is as `wanted` says; nothing where no scene of a million is.
#[must_use]
pub fn landscape(random: &mut Random, wanted: &dyn Fn(&Scene) -> bool) -> Option<Sample> {
    (0..SCENES).map(|_| Scene::random(random)).find(wanted).map(|scene| painted(&scene, random))
}

fn painted(scene: &Scene, random: &mut Random) -> Sample {
    let (picture, _) = scene.paint(&mut random.fork());
    let mut captions: Vec<String> = (0..WORDINGS).map(|_| scene.caption(random)).collect();
    captions.sort_by_key(|caption| std::cmp::Reverse(caption.len()));
    // What stands left does not stand left in the mirror.
    let has_sides = captions.iter().any(|caption| ["left", "right"].iter().any(|side| caption.contains(side)));
    Sample {
        picture,
        captions: distinct(captions),
        kind: Kind::Landscape,
        style: scene.style.word().to_owned(),
        attributes: attributes(scene),
        held_out: scene.is_held_out().then_some(crate::sample::HeldOut::Landscape),
        mirror: !has_sides,
    }
}
