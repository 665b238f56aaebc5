//! Trials of tree sizes, and the choice among them.

use std::array::from_fn;
use std::time::Duration;

use hawk_spec::NodeId;

use super::cost::{Curve, Times};
use super::gain::{ENOUGH_TREES, Gain};
use super::memory::{SavedClass, SavedTuner};
use super::pause::Pause;
use super::sizes::{COUNT, FIRST, PLAIN, SIZES, index};

/// Passes with trees in a round of a trial. Before them comes a plain pass.
const ROUND: u32 = 3;
/// Fewest passes with trees of a trial.
const PASSES: usize = 15;
/// First passes of a trial that are not counted: a drafter that refines its guesses has to begin.
const SETTLE: u32 = 4;
/// Most trees of a trial that are counted. It goes on so long where its size is about as fast as
/// plain decoding: more trees are needed to tell, and they cost nothing.
const MOST_TREES: f64 = 64.0;
/// The factor by which a size is clearly faster or slower than plain decoding.
const CLEAR: f64 = 1.25;
/// Passes between two trials: at first, and at most. The number doubles where a trial changes
/// nothing.
const REST: u32 = 512;
const LONGEST_REST: u32 = 4096;
/// Passes with an inherited size before the first trial of another number of trees.
const INHERITED_REST: u32 = 32;
/// Passes between two reviews of the choice. They cost no trial: the gain is learnt all the time.
const REVIEW: u32 = 64;
/// A size must be better than the one in use by this factor.
const MARGIN: f64 = 1.03;
/// A size that was not tried must promise so much more than the best that was. The promise is
/// optimistic: see [`super::gain`] and [`super::cost`].
const PROMISE: f64 = 1.1;
/// Of sizes within this factor of the best the smallest is taken.
const TIE: f64 = 1.01;

/// The use of drafters in the next pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drafting {
    /// None: plain decoding.
    Off,
    /// Drafters observe the pass. They propose nothing.
    Observe,
    /// Drafters that are warm grow trees of up to so many nodes. The others observe.
    Try(usize),
    /// Drafters grow trees of up to so many nodes.
    On(usize),
}

/// A pass over trees of one tuner alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// Time of the whole step.
    pub(crate) time: Duration,
    /// The part of it in drafters.
    pub(crate) draft: Duration,
    /// Trees.
    pub(crate) trees: usize,
    /// Trees whose drafter was warm.
    pub(crate) warm: usize,
    /// Nodes of all trees, roots included.
    pub(crate) nodes: usize,
}

impl Pass {
    /// Whether half of the drafters or more were warm.
    fn is_warm(&self) -> bool {
        2 * self.warm >= self.trees
    }
}

/// A trial of a size.
#[derive(Clone, Debug)]
struct Trial {
    size: usize,
    /// Trials since the last rest, this one included.
    number: u32,
    /// Times of its plain passes without the work of drafters, and with it.
    plain: Times,
    observing: Times,
    /// Times of its passes with trees.
    times: Times,
    /// Trees that were counted, and their cells.
    trees: f64,
    cells: f64,
}

impl Trial {
    fn new(size: usize, number: u32) -> Self {
        Self {
            size,
            number,
            plain: Times::default(),
            observing: Times::default(),
            times: Times::default(),
            trees: 0.0,
            cells: 0.0,
        }
    }

    /// Whether it was long enough.
    fn is_clear(&self) -> bool {
        let Some(cost) = self.times.over(&self.plain).filter(|_| self.times.count() >= PASSES) else { return false };
        let rate = self.cells / self.trees / cost.ratio;
        self.trees >= MOST_TREES || (self.trees >= ENOUGH_TREES && !(1.0 / CLEAR..CLEAR).contains(&rate))
    }
}

/// The part of a trial, or the time between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Drafters observe.
    WarmUp,
    /// Trees are not counted yet.
    Settle {
        left: u32,
    },
    /// The plain pass of a round.
    Plain,
    /// The passes with trees of a round.
    Trees {
        left: u32,
    },
    Rest {
        left: u32,
    },
}

/// What is learnt for one number of trees in a pass: a batch that shrinks has other costs.
#[derive(Clone, Debug)]
struct Class {
    trees: usize,
    /// The size in use between trials.
    size: usize,
    /// Whether it has changed since the last rest.
    changed: bool,
    phase: Phase,
    trial: Trial,
    curve: Curve,
    pause: Pause,
    /// Passes of the last rest.
    rest: u32,
    /// Trials that began after a rest.
    looks: usize,
    passes: u64,
    trial_passes: u64,
}

impl Class {
    fn new(trees: usize, size: usize, phase: Phase) -> Self {
        let (curve, trial, pause) = (Curve::default(), Trial::new(FIRST, 1), Pause::default());
        let (rest, changed) = (REST / 2, false);
        Self { trees, size, changed, phase, trial, curve, pause, rest, looks: 0, passes: 0, trial_passes: 0 }
    }

    fn between_trials(&self) -> Drafting {
        if self.size == PLAIN || self.pause.is_on() { Drafting::Off } else { Drafting::On(SIZES[self.size]) }
    }

    fn drafting(&self) -> Drafting {
        match self.phase {
            Phase::WarmUp | Phase::Plain => Drafting::Observe,
            Phase::Settle { .. } | Phase::Trees { .. } => Drafting::Try(SIZES[self.trial.size]),
            Phase::Rest { .. } => self.between_trials(),
        }
    }

    fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Rest { .. })
    }

    /// Learns, in a pass of one image, how much of a tree was accepted there.
    fn watch(&mut self, tree: &GrownTree<'_>) {
        let cost = self.curve.ratio(self.size, tree.nodes as f64);
        if let Some(cost) = cost.filter(|_| self.trees == 1 && self.is_resting()) {
            self.pause.record(1.0 + tree.path.len() as f64, cost);
        }
    }

    /// Whether trees of this bound are to be counted in the gain.
    fn counts(&self, size: usize, warm: bool) -> bool {
        match self.phase {
            Phase::Trees { .. } => warm && size == self.trial.size,
            Phase::Rest { .. } => size == self.size && size != PLAIN,
            _ => false,
        }
    }

    fn record(&mut self, pass: &Pass, gain: &Gain) {
        self.passes += 1;
        self.trial_passes += u64::from(!self.is_resting());
        self.pause.pass();
        if !self.is_resting() && !pass.is_warm() {
            return;
        }
        match self.phase {
            Phase::WarmUp => self.phase = Phase::Settle { left: SETTLE },
            Phase::Settle { left: 1 } => self.phase = Phase::Plain,
            Phase::Settle { left } => self.phase = Phase::Settle { left: left - 1 },
            Phase::Plain => {
                self.trial.plain.push(pass.time.saturating_sub(pass.draft).as_secs_f64(), 1.0);
                self.trial.observing.push(pass.time.as_secs_f64(), 1.0);
                self.phase = Phase::Trees { left: ROUND };
            }
            Phase::Trees { left } => {
                self.trial.times.push(pass.time.as_secs_f64(), pass.nodes as f64 / pass.trees as f64);
                self.phase = if left > 1 { Phase::Trees { left: left - 1 } } else { Phase::Plain };
                if left == 1 && self.trial.is_clear() {
                    self.conclude(gain);
                }
            }
            Phase::Rest { left } => self.rest(left, gain),
        }
    }

    /// Ends a trial: learns the costs and begins the next trial or a rest.
    fn conclude(&mut self, gain: &Gain) {
        let Trial { size, number, plain, observing, times, .. } = &self.trial;
        let (size, number) = (*size, *number);
        if let Some(cost) = observing.over(plain) {
            self.curve.learn(PLAIN, cost);
        }
        let contradicts = times.over(plain).is_some_and(|cost| self.curve.learn(size, cost));
        if contradicts && self.best(gain) != self.size {
            // The machine has changed, perhaps for all sizes.
            self.curve.forget_others(size);
        }
        let best = self.best(gain);
        let next = self.next_trial(best, gain);
        self.changed |= best != self.size;
        self.size = best;
        match next {
            Some(size) => {
                self.trial = Trial::new(size, number + 1);
                self.phase = Phase::Settle { left: SETTLE };
            }
            None => {
                self.rest = if self.changed { REST } else { (2 * self.rest).min(LONGEST_REST) };
                (self.changed, self.phase) = (false, Phase::Rest { left: self.rest });
            }
        }
    }

    /// A pass between two trials.
    fn rest(&mut self, left: u32, gain: &Gain) {
        if left == 0 {
            self.begin(self.look(gain));
            self.looks += 1;
            return;
        }
        self.phase = Phase::Rest { left: left - 1 };
        if self.size == PLAIN || !left.is_multiple_of(REVIEW) || self.curve.is_empty() {
            return;
        }
        self.size = self.best(gain);
        if let Some(size) = self.promising(self.size, gain) {
            self.begin(size);
        }
    }

    fn begin(&mut self, size: usize) {
        (self.trial, self.phase) = (Trial::new(size, 1), Phase::WarmUp);
    }

    /// The size that is tried after a trial, where one is left to try.
    fn next_trial(&self, best: usize, gain: &Gain) -> Option<usize> {
        let largest = self.curve.points().map(|(size, _)| size).max().unwrap_or(PLAIN);
        if let Some(size) = self.promising(best, gain) {
            Some(size)
        } else if best == PLAIN {
            None
        } else if best == largest && best + 1 < COUNT && gain.grows(best) {
            // Twice as many nodes may be better still.
            Some((best + 2).min(COUNT - 1))
        } else if self.trial.number == 1 && best == self.size {
            // After a rest a neighbour is tried beside the size in use, in turn.
            let up = self.looks.is_multiple_of(2) && gain.grows(best);
            let neighbour = if up { best + 1 } else { best - 1 };
            Some(neighbour).filter(|neighbour| (PLAIN + 1..COUNT).contains(neighbour))
        } else {
            None
        }
    }

    /// The size that is tried first after a rest: the one in use, which is then compared with plain
    /// passes. Beside plain decoding it is the best size that drafts.
    fn look(&self, gain: &Gain) -> usize {
        if self.size != PLAIN {
            return self.size;
        }
        let rates = self.rates(gain);
        let tried = (PLAIN + 1..COUNT).filter(|&size| self.curve.knows(size));
        tried.max_by(|&a, &b| rates[a].total_cmp(&rates[b])).unwrap_or(FIRST)
    }

    /// Cells per time of a plain pass by size; 0 where it is not known.
    fn rates(&self, gain: &Gain) -> [f64; COUNT] {
        from_fn(|size| {
            let rate = gain.of(size).and_then(|mean| Some(mean.cells / self.curve.ratio(size, mean.nodes)?));
            rate.unwrap_or(0.0)
        })
    }

    /// The best of the sizes that were tried: the one in use, unless another is better by a margin.
    fn best(&self, gain: &Gain) -> usize {
        let mut rates = self.rates(gain);
        (PLAIN + 1..COUNT).filter(|&size| !self.curve.knows(size)).for_each(|size| rates[size] = 0.0);
        let most = rates.iter().copied().fold(0.0, f64::max);
        let best = rates.iter().position(|&rate| TIE * rate >= most).unwrap_or(PLAIN);
        if rates[best] > MARGIN * rates[self.size] { best } else { self.size }
    }

    /// A size that was not tried and promises more than the best of the others.
    fn promising(&self, best: usize, gain: &Gain) -> Option<usize> {
        let rates = self.rates(gain);
        let untried = (PLAIN + 1..COUNT).filter(|&size| !self.curve.knows(size));
        let promising = untried.filter(|&size| rates[size] > PROMISE * rates[best]);
        promising.max_by(|&a, &b| rates[a].total_cmp(&rates[b]))
    }
}

/// The autotuner of one decoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuner {
    gain: Gain,
    classes: Vec<Class>,
    /// Index of the class in use.
    at: usize,
}

impl Tuner {
    /// Makes room for `trees` numbers of trees, so that no pass allocates.
    pub(crate) fn reserve(&mut self, trees: usize) {
        self.classes.reserve(trees);
    }

    /// An image or a text begins: what was learnt of others by themselves is no guide to it.
    pub(crate) fn begin(&mut self) {
        self.classes.iter_mut().for_each(|class| class.pause = Pause::default());
    }

    /// The use of drafters in a pass over `trees` trees, all of this tuner.
    pub(crate) fn drafting(&mut self, trees: usize) -> Drafting {
        self.enter(trees);
        self.classes[self.at].drafting()
    }

    /// The use of drafters in a pass over `trees` trees, some of them of other tuners. It is no part of a
    /// trial. Where this number of trees is not known, the trees of a smaller pass shrink, so that the
    /// pass has as many rows.
    pub(crate) fn drafting_in_company(&self, trees: usize) -> Drafting {
        let smaller = self.classes.iter().filter(|class| class.trees <= trees).max_by_key(|class| class.trees);
        let nearest = smaller.or_else(|| self.classes.iter().min_by_key(|class| class.trees));
        let Some(class) = nearest else { return Drafting::Off };
        let bound = SIZES[class.size] * class.trees.min(trees) / trees;
        match SIZES.iter().rposition(|&nodes| nodes <= bound) {
            None | Some(PLAIN) => Drafting::Off,
            Some(size) => Drafting::On(SIZES[size]),
        }
    }

    /// Turns to the class of so many trees. A new class inherits the size in use.
    fn enter(&mut self, trees: usize) {
        if self.classes.get(self.at).is_some_and(|class| class.trees == trees) {
            return;
        }
        let before = self.classes.get_mut(self.at).map(|class| {
            if !class.is_resting() {
                class.begin(class.trial.size);
            }
            class.size
        });
        self.at = self.classes.iter().position(|class| class.trees == trees).unwrap_or_else(|| {
            self.classes.push(match before {
                Some(size) => Class::new(trees, size, Phase::Rest { left: INHERITED_REST }),
                None => Class::new(trees, PLAIN, Phase::WarmUp),
            });
            self.classes.len() - 1
        });
    }

    /// Learns from a tree of a pass, before the pass is recorded: the bound that it was grown up
    /// to, its nodes, the accepted path, and whether its drafter was warm.
    pub(crate) fn record_tree(&mut self, tree: &GrownTree<'_>) {
        let Some((class, size)) = self.classes.get_mut(self.at).zip(index(tree.bound)) else { return };
        if class.counts(size, tree.warm) {
            self.gain.record(size, tree.nodes, tree.path);
            class.trial.trees += 1.0;
            class.trial.cells += 1.0 + tree.path.len() as f64;
            class.watch(tree);
        }
    }

    /// Learns from a pass.
    pub(crate) fn record(&mut self, pass: &Pass) {
        if let Some(class) = self.classes.get_mut(self.at).filter(|class| class.trees == pass.trees) {
            class.record(pass, &self.gain);
        }
    }

    /// The choices, a number of trees each.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = Chosen> + '_ {
        self.classes.iter().map(|class| Chosen {
            trees: class.trees,
            nodes: SIZES[class.size],
            passes: class.passes,
            trial_passes: class.trial_passes,
        })
    }

    /// What is kept between runs.
    pub(crate) fn saved(&self) -> SavedTuner {
        let class = |class: &Class| SavedClass {
            trees: class.trees,
            size: class.size,
            left: if let Phase::Rest { left } = class.phase { left } else { REVIEW },
            rest: class.rest,
            looks: class.looks,
            points: class.curve.points().collect(),
        };
        // A class that has concluded no trial knows nothing.
        let classes = self.classes.iter().filter(|class| !class.curve.is_empty()).map(class).collect();
        SavedTuner { classes, bound: self.gain.bound(), tallies: self.gain.tallies().collect() }
    }

    /// A tuner that goes on from an earlier run.
    pub(crate) fn restored(saved: &SavedTuner) -> Self {
        let mut tuner = Self::default();
        for saved in &saved.classes {
            let phase = Phase::Rest { left: saved.left };
            let mut class =
                Class { rest: saved.rest, looks: saved.looks, ..Class::new(saved.trees, saved.size, phase) };
            saved.points.iter().for_each(|&(size, point)| class.curve.put(size, point));
            tuner.classes.push(class);
        }
        saved.tallies.iter().for_each(|&(bound, size, tally)| tuner.gain.put(bound, size, tally));
        tuner.gain.put_bound(saved.bound);
        tuner
    }
}

/// A tree as it was in a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrownTree<'a> {
    /// Most nodes.
    pub(crate) bound: usize,
    /// Nodes, root included.
    pub(crate) nodes: usize,
    /// The accepted nodes, root excluded.
    pub(crate) path: &'a [NodeId],
    /// Whether its drafter had observed enough.
    pub(crate) warm: bool,
}

/// A choice of the autotuner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Trees in a pass.
    pub(crate) trees: usize,
    /// Nodes of a tree.
    pub(crate) nodes: usize,
    /// Passes of this process.
    pub(crate) passes: u64,
    /// Those of trials among them.
    pub(crate) trial_passes: u64,
}
