//! The autotuner on machines and drafters of which everything is known.

use std::time::Duration;

use hawk_spec::NodeId;

use super::memory::{Place, Settings, TunerMemory};
use super::tuner::{Drafting, GrownTree, Pass, Tuner};

/// A machine, and drafters that propose chains.
struct World<'a> {
    /// Seconds of a pass, by its number and its nodes.
    seconds: &'a dyn Fn(u64, usize) -> f64,
    /// Seconds of the drafters in it.
    draft: f64,
    /// Nodes that are accepted of a chain of 32, by the number of the pass.
    accepted: &'a dyn Fn(u64) -> usize,
    /// Cells after which drafters propose anything.
    silent: usize,
    /// Cells of an image.
    cells: usize,
}

/// The accepted chain of the tests: 2 nodes on average and at most 6. 8 nodes bring all of it, 6
/// nearly all.
fn usual(pass: u64) -> usize {
    [0, 2, 0, 6, 1, 0, 5][(pass % 7) as usize]
}

impl World<'_> {
    const USUAL: World<'static> = World { seconds: &|_, _| 1.0, draft: 0.0, accepted: &usual, silent: 0, cells: 256 };

    /// Runs images in `trees` slots, one after another. Returns the passes by most nodes of their
    /// trees, and all seconds a cell.
    fn run(&self, tuner: &mut Tuner, trees: usize, images: usize) -> (Vec<u64>, f64) {
        let (mut by_nodes, mut pass, mut seconds) = (vec![0; 33], 0, 0.0);
        for _ in 0..images {
            tuner.begin();
            let (mut committed, mut observed) = (0, 0);
            while committed < self.cells {
                let drafting = tuner.drafting(trees);
                let warm = observed >= self.silent;
                let bound = match drafting {
                    Drafting::Off | Drafting::Observe => 1,
                    Drafting::Try(nodes) => {
                        if warm {
                            nodes
                        } else {
                            1
                        }
                    }
                    Drafting::On(nodes) => nodes,
                };
                let nodes = if warm { bound } else { 1 };
                by_nodes[bound] += 1;
                let path: Vec<NodeId> = (1..nodes as u32).take((self.accepted)(pass)).map(NodeId).collect();
                let draft = if drafting == Drafting::Off { 0.0 } else { self.draft };
                let time = (self.seconds)(pass, nodes * trees) + draft;
                (0..trees).for_each(|_| tuner.record_tree(&GrownTree { bound, nodes, path: &path, warm }));
                let times = [time, draft].map(Duration::from_secs_f64);
                let warm = if warm { trees } else { 0 };
                tuner.record(&Pass { time: times[0], draft: times[1], trees, warm, nodes: nodes * trees });
                committed += 1 + path.len();
                observed = if drafting == Drafting::Off { 0 } else { observed + 1 + path.len() };
                (pass, seconds) = (pass + 1, seconds + time);
            }
        }
        (by_nodes, seconds / (images * self.cells) as f64)
    }
}

impl World<'_> {
    /// Cells a second of one tree of a size, when all is known.
    fn rate(&self, nodes: usize) -> f64 {
        let cells: usize = (0..350).map(|pass| 1 + (self.accepted)(pass).min(nodes - 1)).sum();
        let draft = if nodes == 1 { 0.0 } else { self.draft };
        cells as f64 / 350.0 / ((self.seconds)(u64::MAX, nodes) + draft)
    }

    /// Images one at a time. The size in use after them must be nearly the best. Returns it, and
    /// the seconds a cell.
    #[track_caller]
    fn settles(&self, images: usize) -> (usize, f64) {
        let mut tuner = Tuner::default();
        let (_, seconds) = self.run(&mut tuner, 1, images);
        let size = chosen(&tuner, 1);
        let most = (1..=32).map(|nodes| self.rate(nodes)).fold(0.0, f64::max);
        assert!(self.rate(size) > 0.9 * most, "{size} nodes: {} of {most} cells a second", self.rate(size));
        (size, seconds)
    }
}

/// The size in use with so many trees.
fn chosen(tuner: &Tuner, trees: usize) -> usize {
    tuner.chosen().find(|chosen| chosen.trees == trees).unwrap().nodes
}

#[test]
fn where_rows_cost_as_much_as_passes_nothing_is_drafted() {
    let world = World { seconds: &|_, nodes| nodes as f64, ..World::USUAL };
    let mut tuner = Tuner::default();
    let (by_nodes, _) = world.run(&mut tuner, 1, 20);
    assert_eq!(chosen(&tuner, 1), 1);
    assert!(by_nodes[1] > 20 * 256 * 9 / 10, "{by_nodes:?}");
}

#[test]
fn where_rows_are_nearly_free_trees_grow_until_they_bring_no_more() {
    let world = World { seconds: &|_, nodes| 1.0 + 0.01 * nodes as f64, ..World::USUAL };
    assert!((6..=8).contains(&world.settles(4).0));
    let long = World { accepted: &|_| 32, ..world };
    assert_eq!(long.settles(12).0, 32);
}

#[test]
fn a_size_in_the_middle_is_found_from_one_trial() {
    // Of the size of the first trial, 8 nodes, drafting does not pay.
    let world = World {
        seconds: &|_, nodes| if nodes <= 4 { 0.95 + 0.05 * nodes as f64 } else { 0.6 * nodes as f64 },
        ..World::USUAL
    };
    assert!((3..=4).contains(&world.settles(4).0));
}

#[test]
fn the_first_image_gains_already() {
    let world = World { seconds: &|_, nodes| 0.9 + 0.1 * nodes as f64, ..World::USUAL };
    let (_, seconds) = world.settles(1);
    assert!(seconds < 0.9, "{seconds}");
}

#[test]
fn an_image_that_accepts_little_loses_little() {
    let world = World { seconds: &|_, nodes| 0.9 + 0.1 * nodes as f64, ..World::USUAL };
    let mut tuner = Tuner::default();
    let (_, usual) = world.run(&mut tuner, 1, 8);
    let size = chosen(&tuner, 1);
    assert!(size >= 4 && usual < 0.8, "{size} {usual}");
    let hard = World { accepted: &|pass| usize::from(pass % 5 == 0), ..world };
    // With trees throughout, each cell would take 1.1 seconds and more.
    let (by_nodes, seconds) = hard.run(&mut tuner, 1, 1);
    assert!(seconds < 1.03 && by_nodes[1] > 180, "{seconds} {by_nodes:?}");
    let (_, again) = world.run(&mut tuner, 1, 1);
    assert!(again < 0.8 && chosen(&tuner, 1) >= 4, "{again}");
}

#[test]
fn gains_that_start_late_are_waited_for() {
    let world = World { seconds: &|_, nodes| 0.95 + 0.05 * nodes as f64, silent: 20, draft: 0.05, ..World::USUAL };
    assert!(world.settles(2).0 > 1);
    // Drafters that say nothing in a whole image are never judged, and no trees are grown.
    let mute = World { silent: 1000, ..world };
    let mut tuner = Tuner::default();
    let (by_nodes, _) = mute.run(&mut tuner, 1, 4);
    assert_eq!(by_nodes[1], 1024);
}

#[test]
fn the_work_of_drafters_is_a_cost() {
    let world = World { seconds: &|_, nodes| 0.95 + 0.05 * nodes as f64, ..World::USUAL };
    assert!(World { draft: 0.5, ..world }.settles(4).0 > 1);
    assert_eq!(World { draft: 2.5, ..world }.settles(4).0, 1);
}

#[test]
fn passes_that_waited_for_the_processor_change_nothing() {
    let cost = |nodes: usize| 0.9 + 0.1 * nodes as f64;
    for (every, seconds) in [(7, 100.0), (10, 100.0), (23, 3.0), (2, 10.0)] {
        let busy = |pass, nodes| if pass % every == 3 % every { seconds * cost(nodes) } else { cost(nodes) };
        assert!(World { seconds: &busy, ..World::USUAL }.settles(8).0 > 1);
    }
}

#[test]
fn a_gain_within_the_margin_is_none() {
    let slight = |pass: u64| usize::from(pass.is_multiple_of(50));
    let world = World { accepted: &slight, ..World::USUAL };
    assert_eq!(world.settles(20).0, 1, "2 % at no cost");
    // 29 % with any number of nodes: more than those of the first trial are not tried.
    let often = |pass: u64| usize::from(pass % 7 < 2);
    assert!((2..=8).contains(&World { accepted: &often, ..world }.settles(20).0));
}

#[test]
fn a_machine_that_changes_is_followed() {
    let (dear, cheap) = (|nodes: usize| nodes as f64, |nodes: usize| 1.0 + 0.01 * nodes as f64);
    let change = |first: &dyn Fn(usize) -> f64, then: &dyn Fn(usize) -> f64| {
        let seconds = |pass, nodes| if pass < 1000 { first(nodes) } else { then(nodes) };
        World { seconds: &seconds, ..World::USUAL }.settles(40).0
    };
    assert!(change(&dear, &cheap) > 1);
    assert_eq!(change(&cheap, &dear), 1);
}

#[test]
fn images_that_change_are_followed() {
    let world = World { seconds: &|_, nodes| 0.9 + 0.1 * nodes as f64, ..World::USUAL };
    let mut tuner = Tuner::default();
    world.run(&mut tuner, 1, 8);
    assert!([6, 8].contains(&chosen(&tuner, 1)));
    World { accepted: &|_| 0, ..world }.run(&mut tuner, 1, 20);
    assert_eq!(chosen(&tuner, 1), 1);
}

#[test]
fn a_batch_that_shrinks_is_another_class() {
    // Up to 8 nodes in a pass are free, above them a pass costs as much as its nodes.
    let world = World { seconds: &|_, nodes| (nodes as f64 / 8.0).max(1.0), ..World::USUAL };
    let mut tuner = Tuner::default();
    world.run(&mut tuner, 8, 8);
    assert_eq!(chosen(&tuner, 8), 1);
    // Some passes of a tail begin no trial.
    let mut tail = tuner.clone();
    let (by_nodes, _) = World { cells: 20, ..world }.run(&mut tail, 1, 1);
    assert_eq!(by_nodes[1], 20);
    world.run(&mut tuner, 1, 20);
    assert_eq!(chosen(&tuner, 8), 1);
    assert!([6, 8].contains(&chosen(&tuner, 1)));
    // Both are known from then on.
    let (by_nodes, _) = World { cells: 20, ..world }.run(&mut tuner, 8, 1);
    assert_eq!(by_nodes[1], 20);
}

#[test]
fn a_trial_that_a_shrinking_batch_breaks_begins_again() {
    let world = World { seconds: &|_, nodes| 1.0 + 0.01 * nodes as f64, cells: 12, ..World::USUAL };
    let mut tuner = Tuner::default();
    for _ in 0..40 {
        world.run(&mut tuner, 4, 1);
        world.run(&mut tuner, 3, 1);
    }
    World { cells: 256, ..world }.run(&mut tuner, 4, 4);
    assert!(chosen(&tuner, 4) >= 6, "{tuner:?}");
}

#[test]
fn a_second_run_goes_on_from_the_first() {
    let world = World { seconds: &|_, nodes| 0.9 + 0.1 * nodes as f64, ..World::USUAL };
    let mut first = Tuner::default();
    let (_, learning) = world.run(&mut first, 1, 4);
    let place = Place {
        version: String::new(),
        machine: String::new(),
        threads: 1,
        precision: String::new(),
        model: String::new(),
        medium: String::new(),
    };
    let [decoder, rule, sampling, heads] = ["", "", "", ""].map(str::to_owned);
    let mut memory = TunerMemory::new("", 0);
    memory.put(&place, Settings { decoder, rule, sampling, heads, streams: 1 }, first.saved());
    let memory = TunerMemory::new("", 0).from_json(&memory.to_json());
    let (_, saved) = memory.at(&place).next().unwrap();
    let mut second = Tuner::restored(saved);
    let size = chosen(&second, 1);
    assert!([6, 8].contains(&size));
    let (by_nodes, seconds) = world.run(&mut second, 1, 4);
    assert!(by_nodes[size] > by_nodes.iter().sum::<u64>() * 8 / 10, "{by_nodes:?}");
    assert!(seconds < 1.1 * learning, "{seconds}, {learning} in the first run");
    // It may be broken off in a trial, too.
    let mut broken = Tuner::default();
    World { cells: 20, ..world }.run(&mut broken, 1, 1);
    assert_eq!(Tuner::restored(&broken.saved()).chosen().count(), 0);
}

#[test]
fn trees_in_company_are_no_trial() {
    let world = World { seconds: &|_, nodes| 1.0 + 0.01 * nodes as f64, ..World::USUAL };
    let mut tuner = Tuner::default();
    assert_eq!(tuner.drafting_in_company(2), Drafting::Off);
    assert_eq!(tuner.drafting(1), Drafting::Observe);
    assert_eq!(tuner.drafting_in_company(2), Drafting::Off);
    world.run(&mut tuner, 1, 4);
    // The trees shrink as the pass has more of them.
    let sizes = [1, 2, 3, 4, 8].map(|trees| tuner.drafting_in_company(trees));
    assert_eq!(sizes, [Drafting::On(8), Drafting::On(4), Drafting::On(2), Drafting::On(2), Drafting::Off]);
    world.run(&mut tuner, 4, 8);
    assert_eq!([4, 5].map(|trees| tuner.drafting_in_company(trees)), [Drafting::On(8), Drafting::On(6)]);
}
