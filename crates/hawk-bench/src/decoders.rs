//! Compares decoders: they draw the same images in turn, the images are compared, then times are
//! taken in pairs with plain decoding.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use hawk::{
    AnyRule, CellSource, DecodeStats, Decoder, Decoding, Engine, Error, Generated, Image, Outcome, Request, Result,
    Rule, Sampling, Seed, Timings, Tree,
};

/// Images of each contender that are kept to be shown.
const KEPT_IMAGES: usize = 6;
/// Images that an autotuned contender draws before the comparison, so that it is measured as in a
/// user's second run.
const TUNING_IMAGES: usize = 4;

/// What is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// The kind of picture, where figures are wanted by kind.
    pub kind: Option<String>,
}

impl From<String> for Prompt {
    /// A prompt of no kind.
    fn from(text: String) -> Self {
        Self { text, kind: None }
    }
}

/// Who is compared, on which images.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is drawn, one after another and from the start again.
    pub prompts: Vec<Prompt>,
    /// Seed of the first image; each further image has the next one.
    pub seed: Seed,
    /// Images that every contender draws.
    pub images: usize,
    /// Guidance and warping.
    pub sampling: Sampling,
    /// Who draws. Plain decoding under each of their rules is added.
    pub contenders: Vec<Decoding>,
}

/// An image that all contenders draw.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Turn {
    /// The text.
    pub prompt: String,
    /// The kind of picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Key of the noise.
    pub seed: u64,
}

impl Plan {
    /// The images.
    pub fn turns(&self) -> impl Iterator<Item = Turn> {
        let seeds = (0..self.images).map(|turn| self.seed.0.wrapping_add(turn as u64));
        let turn = |(Prompt { text, kind }, seed)| Turn { prompt: text, kind, seed };
        self.prompts.iter().cycle().cloned().zip(seeds).map(turn)
    }

    /// Images that autotuned contenders draw before: other seeds than those that are measured.
    fn tuning_turns(&self) -> impl Iterator<Item = Turn> {
        let after = Plan { images: self.images + TUNING_IMAGES, ..self.clone() };
        after.turns().skip(self.images).collect::<Vec<_>>().into_iter()
    }

    /// Drawings that [`compare`] makes: the first image twice, since its first time is a rehearsal,
    /// and those that come before where trees are autotuned.
    pub fn drawings(&self) -> usize {
        let entries = entries(&self.contenders);
        let tuned = entries.iter().filter(|entry| entry.tree() == Tree::Auto).count();
        entries.len() * (self.images + 1) + tuned * TUNING_IMAGES
    }

    fn request(&self, turn: &Turn, decoding: Decoding) -> Request {
        Request {
            prompt: turn.prompt.clone(),
            seed: Seed(turn.seed),
            images: 0..1,
            sampling: self.sampling,
            decoding,
            batch: 1,
        }
    }
}

/// What one contender did over all images.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The contender.
    pub decoding: Decoding,
    /// Counts over all images.
    pub stats: DecodeStats,
    /// Where the time of all images went.
    pub timings: Timings,
    /// From prompt to pixels, an image each.
    pub times: Vec<Duration>,
    /// Time of plain decoding over the time of this contender, for the same image under the same
    /// rule in the same turn.
    pub speedups: Vec<f64>,
    /// Target passes and committed cells, an image each.
    pub steps: Vec<[u64; 2]>,
    /// Per cell in raster order, the images in which it was an accepted guess.
    pub drafted: Vec<u32>,
    /// The first images.
    pub images: Vec<Image>,
}

impl Measured {
    fn new(decoding: Decoding) -> Self {
        Self {
            decoding,
            stats: DecodeStats::default(),
            timings: Timings::default(),
            times: Vec::new(),
            speedups: Vec::new(),
            steps: Vec::new(),
            drafted: Vec::new(),
            images: Vec::new(),
        }
    }

    fn record(&mut self, drawing: Drawing) {
        let Drawing { generated, timings, time, plain } = drawing;
        self.stats.merge(&generated.stats);
        self.steps.push([generated.stats.target_passes, generated.stats.committed]);
        self.times.push(time);
        self.speedups.push(plain.as_secs_f64() / time.as_secs_f64());
        self.drafted.resize(generated.sources.len(), 0);
        for (count, source) in self.drafted.iter_mut().zip(&generated.sources) {
            *count += u32::from(matches!(source, CellSource::Drafted(_)));
        }
        let sum = &mut self.timings;
        for (sum, part) in [
            (&mut sum.prefill, timings.prefill),
            (&mut sum.draft, timings.draft),
            (&mut sum.target, timings.target),
            (&mut sum.verify, timings.verify),
            (&mut sum.commit, timings.commit),
            (&mut sum.pixels, timings.pixels),
        ] {
            *sum += part;
        }
        if self.images.len() < KEPT_IMAGES {
            self.images.push(generated.image);
        }
    }
}

/// An image that one contender drew, and its time.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// The image and its counts.
    pub generated: Generated,
    /// Where the time went.
    pub timings: Timings,
    /// From prompt to pixels.
    pub time: Duration,
    /// Time of plain decoding under the same rule, for the same image in the same turn.
    pub plain: Duration,
}

/// A comparison turn by turn: all contenders draw an image in each.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    plan: &'a Plan,
    entries: Vec<Decoding>,
    turns: Vec<Turn>,
}

/// Makes the one image of a request.
pub type Draw<'a> = dyn FnMut(&Request) -> Result<Outcome> + 'a;

/// Draws every image with every contender and with plain decoding under each of their rules. `draw`
/// makes the one image of a request; `heard` is called for each drawing.
///
/// The contenders take turns image by image. Their order rotates, so that a drift in the speed of
/// the machine affects all alike. The first turn warms up and is not timed; autotuned contenders
/// draw four other images before it. In every turn the codes are compared before a time counts.
///
/// Returns plain decoding first, rule by rule, then the contenders as given.
///
/// # Errors
/// The plan has no prompts, images or contenders, `draw` fails, or a contender under
/// [`Rule::Replay`] draws another image than plain decoding.
pub fn compare(plan: &Plan, draw: &mut Draw<'_>, heard: &mut dyn FnMut(Decoding)) -> Result<Vec<Measured>> {
    let comparison = Comparison::new(plan)?;
    let mut measured: Vec<Measured> = comparison.entries.iter().copied().map(Measured::new).collect();
    comparison.warm_up(draw, heard)?;
    for number in 0..comparison.turns.len() {
        for (measured, drawing) in measured.iter_mut().zip(comparison.draw_turn(number, draw, heard)?) {
            measured.record(drawing);
        }
    }
    Ok(measured)
}

impl<'a> Comparison<'a> {
    /// A comparison of a plan.
    ///
    /// # Errors
    /// The plan has no prompts, images or contenders.
    pub fn new(plan: &'a Plan) -> Result<Self> {
        if plan.prompts.is_empty() || plan.images == 0 || plan.contenders.is_empty() {
            return Err(
                Error::input("there is nothing to compare").expected("a prompt, an image and a decoder at least")
            );
        }
        Ok(Self { plan, entries: entries(&plan.contenders), turns: plan.turns().collect() })
    }

    /// Who draws: plain decoding under each rule, then the contenders as given.
    #[must_use]
    pub fn entries(&self) -> &[Decoding] {
        &self.entries
    }

    /// What comes before the first turn that is timed: autotuned contenders draw other images, then all draw the first
    /// one.
    ///
    /// # Errors
    /// As [`compare`].
    pub fn warm_up(&self, draw: &mut Draw<'_>, heard: &mut dyn FnMut(Decoding)) -> Result<()> {
        for &entry in self.entries.iter().filter(|entry| entry.tree() == Tree::Auto) {
            for turn in self.plan.tuning_turns() {
                heard(entry);
                draw(&self.plan.request(&turn, entry))?;
            }
        }
        self.draw_in_turn(&self.turns[0], 0, draw, heard).map(drop)
    }

    /// All contenders draw an image of the plan, by its number. The order of the results is that of
    /// [`entries`](Self::entries).
    ///
    /// # Errors
    /// As [`compare`].
    pub fn draw_turn(
        &self,
        number: usize,
        draw: &mut Draw<'_>,
        heard: &mut dyn FnMut(Decoding),
    ) -> Result<Vec<Drawing>> {
        let first = (number + 1) * self.entries.len() / (self.turns.len() + 1);
        self.draw_in_turn(&self.turns[number], first, draw, heard)
    }

    fn draw_in_turn(
        &self,
        turn: &Turn,
        first: usize,
        draw: &mut Draw<'_>,
        heard: &mut dyn FnMut(Decoding),
    ) -> Result<Vec<Drawing>> {
        let entries = &self.entries;
        let mut drawings: Vec<Option<Drawing>> = entries.iter().map(|_| None).collect();
        for at in (first..entries.len()).chain(0..first) {
            heard(entries[at]);
            drawings[at] = Some(timed(draw, &self.plan.request(turn, entries[at]))?);
        }
        let mut drawings: Vec<Drawing> = drawings.into_iter().flatten().collect();
        let plain: Vec<Duration> =
            entries.iter().map(|&entry| check(entries, &drawings, entry, turn)).collect::<Result<_>>()?;
        drawings.iter_mut().zip(plain).for_each(|(drawing, plain)| drawing.plain = plain);
        Ok(drawings)
    }
}

/// The one image of a request, by an engine.
///
/// # Errors
/// Those of [`Engine::generate`].
pub fn draw(engine: &Engine, request: &Request) -> Result<Outcome> {
    engine.generate(request, &mut |_| ControlFlow::Continue(()))
}

/// Plain decoding under each rule, then the others, none twice.
fn entries(contenders: &[Decoding]) -> Vec<Decoding> {
    let plain = contenders.iter().map(|&contender| plain(contender));
    let mut entries = Vec::new();
    for entry in plain.chain(contenders.iter().copied()) {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries
}

/// Plain decoding under the contender's rule.
fn plain(contender: Decoding) -> Decoding {
    Decoding::with_defaults(Decoder::AR, contender.rule())
}

fn timed(draw: &mut Draw<'_>, request: &Request) -> Result<Drawing> {
    let clock = Instant::now();
    let Outcome { images, timings, .. } = draw(request)?;
    let time = clock.elapsed();
    let generated = images.into_iter().next();
    let generated = generated.ok_or_else(|| Error::input("no image was drawn").at(named(request.decoding)))?;
    Ok(Drawing { generated, timings, time, plain: time })
}

/// Plain decoding's time beside an entry's, once the entry's codes have been found right.
fn check(entries: &[Decoding], drawings: &[Drawing], entry: Decoding, turn: &Turn) -> Result<Duration> {
    let of = |wanted: Decoding| {
        let found = entries.iter().zip(drawings).find(|(entry, _)| **entry == wanted);
        found.map(|(_, drawing)| drawing).ok_or_else(|| Error::input("nothing was drawn").at(named(wanted)))
    };
    let (base, own) = (of(plain(entry))?, of(entry)?);
    let (want, got) = (&base.generated.codes, &own.generated.codes);
    if replays(entry) && want != got {
        let differing = want.iter().zip(got).filter(|(want, got)| want != got).count() + want.len().abs_diff(got.len());
        return Err(Error::input("a decoder does not draw plain decoding's image; nothing is timed")
            .at(format!("{}, prompt {:?}, seed {}", named(entry), turn.prompt, turn.seed))
            .expected(format!("the codes of {}", named(plain(entry))))
            .got(format!("{differing} of {} cells otherwise", want.len())));
    }
    Ok(base.time)
}

/// Whether the rule gives plain decoding's very image.
pub(crate) fn replays(decoding: Decoding) -> bool {
    decoding.rule() == AnyRule::Exact(Rule::Replay)
}

/// Whether the rule keeps the target's law.
pub(crate) fn exact(decoding: Decoding) -> bool {
    matches!(decoding.rule(), AnyRule::Exact(_))
}

/// A contender in words.
fn named(decoding: Decoding) -> String {
    format!("decoder {}, rule {}, tree {}", decoding.decoder(), decoding.rule(), decoding.tree())
}
