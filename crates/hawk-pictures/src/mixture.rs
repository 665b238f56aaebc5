//! The mixture of all kinds of pictures: picture number `index` is a function of seed, index, shares, shift and things alone.

use crate::composites::{attributes, composite, held_out_landscape};
use crate::error::{Error, Result};
use crate::landscape::Scene;
use crate::random::Random;
use crate::sample::{Kind, Sample, distinct};
use crate::things::{Shift, Things, alone, arranged};

/// How often another draw is made where things vanish in every ground or suit no landscape.
const TRIES: usize = 100;
/// Wordings of a landscape's caption.
const WORDINGS: usize = 4;

/// How many of a hundred pictures are of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Default for Shares {
    fn default() -> Self {
        Self { landscapes: 50, things: 25, scenes: 5, composites: 20 }
    }
}

/// An endless set of captioned pictures.
#[derive(Clone, Debug)]
pub struct Mixture {
    things: Things,
    shares: Shares,
    shift: Shift,
    seed: u64,
}

impl Mixture {
    /// # Errors
    /// No share is above 0, or no style has two things that training shows and that can be counted.
    pub fn new(things: Things, shares: Shares, shift: Shift, seed: u64) -> Result<Self> {
        let mixture = Self { things, shares, shift, seed };
        if mixture.weights().iter().all(|(_, weight)| *weight == 0) {
            return Err(Error::Mixture("no kind of pictures has a share above 0".to_owned()));
        }
        Ok(mixture)
    }

    fn weights(&self) -> [(Kind, usize); 4] {
        let Shares { landscapes, things, scenes, composites } = self.shares;
        [(Kind::Landscape, landscapes), (Kind::Thing, things), (Kind::Scene, scenes), (Kind::Composite, composites)]
    }

    /// The kind of picture number `index`.
    #[must_use]
    pub fn kind(&self, index: u64) -> Kind {
        self.choose(&mut Random::new(self.seed, index))
    }

    fn choose(&self, random: &mut Random) -> Kind {
        let weights = self.weights();
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
        let sample = (0..TRIES).find_map(|_| match kind {
            Kind::Landscape => Some(landscape(&mut random)),
            Kind::Thing => alone(self.things.any(&mut random), self.shift, &mut random),
            Kind::Scene => arranged(&self.things, self.shift, &mut random),
            Kind::Composite => composite(&self.things, self.shift, &mut random),
        });
        sample.ok_or_else(|| Error::Mixture(format!("these things do not make a picture of kind {kind:?}")))
    }
}

fn landscape(random: &mut Random) -> Sample {
    let scene = Scene::random(random);
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
        attributes: attributes(&scene),
        held_out: held_out_landscape(&scene).then_some(crate::sample::HeldOut::Landscape),
        mirror: !has_sides,
    }
}
