//! Proof by enumeration: whole decodes of a small grid, every draw of the drafter and every choice of the verifier
//! taken with its weight, give the target's joint law to 1e-12.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

mod common;

use std::collections::HashMap;

use common::{Toy, ToyLaws, path_to, random_law};
use hawk_spec::{
    Cell, Chooser, Code, DraftLaw, Enumerator, LawError, NodeId, Replacement, Rule, Source, TokenTree, TreeError,
    TreeLimits, Verdict, Verifier,
};
use proptest::prelude::*;

const TOLERANCE: f64 = 1e-12;

/// What proposes below a node: draws from one law, or fixed codes.
#[derive(Clone, Copy, Debug)]
enum Group {
    With(u32),
    Without(u32),
    Fixed(u32),
    /// Draws from the target's own law.
    Target(u32),
    /// A second draw, made only if the first was code 0.
    Adaptive,
    /// Lies, which must be caught: two draws of which only the larger is proposed, ...
    KeepsLarger,
    /// ... repeated draws left out, ...
    DropsRepeats,
    /// ... draws without replacement that are called independent.
    CallsWithoutWith,
}

/// A drafter: groups at the root, groups at deeper nodes, and how deep it goes.
#[derive(Clone, Debug)]
struct Drafter {
    salt: u64,
    codes: u32,
    root: Vec<Group>,
    deeper: Vec<Group>,
    depth: u32,
    nodes: usize,
}

impl Drafter {
    fn tree(&self) -> TokenTree {
        TokenTree::with_limits(TreeLimits { nodes: self.nodes, candidates: 64, laws: 64, codes: self.codes as usize })
    }

    fn propose(&self, toy: Toy, committed: &[Code], tree: &mut TokenTree, e: &mut Enumerator) {
        let mut node = NodeId::ROOT;
        while node.index() < tree.len() {
            let groups = if node == NodeId::ROOT { &self.root } else { &self.deeper };
            // Draws for nodes that the tree would refuse change nothing, but multiply the branches.
            if tree.depth(node) < self.depth.min(tree.cells_left() - 1) {
                let path = path_to(committed, tree, node);
                for (number, &group) in (0..).zip(groups) {
                    self.propose_group(group, number, &path, toy, Below { tree, node, e });
                }
            }
            node = NodeId(node.0 + 1);
        }
    }

    fn propose_group(&self, group: Group, number: u32, path: &[Code], toy: Toy, mut below: Below<'_>) {
        let mut parts: Vec<u32> = path.iter().map(|code| code.0).collect();
        parts.push(100 + number);
        let law = match group {
            Group::Target(_) => toy.law(path),
            _ => random_law(self.salt, &parts, self.codes),
        };
        match group {
            Group::Fixed(code) => {
                below.add(code % self.codes, DraftLaw::Deterministic);
            }
            Group::With(draws) | Group::Target(draws) => below.draw(&law, draws, Replacement::With, Replacement::With),
            Group::Without(draws) => below.draw(&law, draws, Replacement::Without, Replacement::Without),
            Group::CallsWithoutWith => below.draw(&law, 2, Replacement::Without, Replacement::With),
            Group::Adaptive => {
                let draft = below.law(&law);
                let first = below.e.pick(&law) as u32;
                below.add(first, draft);
                if first == 0 {
                    let second = below.e.pick(&law) as u32;
                    below.add(second, draft);
                }
            }
            Group::KeepsLarger | Group::DropsRepeats => {
                let draft = below.law(&law);
                let (first, second) = (below.e.pick(&law) as u32, below.e.pick(&law) as u32);
                match group {
                    Group::KeepsLarger => below.add(first.max(second), draft),
                    _ if first == second => below.add(first, draft),
                    _ => {
                        below.add(first, draft);
                        below.add(second, draft);
                    }
                }
            }
        }
    }
}

/// Where a group proposes.
struct Below<'a> {
    tree: &'a mut TokenTree,
    node: NodeId,
    e: &'a mut Enumerator,
}

impl Below<'_> {
    fn law(&mut self, law: &[f64]) -> DraftLaw {
        DraftLaw::Drawn { law: self.tree.add_law(law).unwrap(), replacement: Replacement::With }
    }

    /// Proposes; a drafter goes on as if nothing had happened when the tree is full.
    fn add(&mut self, code: u32, draft: DraftLaw) {
        match self.tree.propose(self.node, Code(code), draft, Source::LEFT) {
            Ok(_) | Err(TreeError::Full { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn draw(&mut self, law: &[f64], draws: u32, actual: Replacement, named: Replacement) {
        let id = self.tree.add_law(law).unwrap();
        let mut rest = law.to_vec();
        for _ in 0..draws {
            let sum: f64 = rest.iter().sum();
            if sum == 0.0 {
                return;
            }
            rest.iter_mut().for_each(|probability| *probability /= sum);
            let code = self.e.pick(&rest);
            self.add(code as u32, DraftLaw::Drawn { law: id, replacement: named });
            if actual == Replacement::Without {
                rest[code] = 0.0;
            }
        }
    }
}

/// A verifier that is too kind: what a biased test does to the law must be seen.
struct Lenient<'a>(&'a mut Enumerator);

impl Chooser for Lenient<'_> {
    fn replay(&mut self, cell: Cell, scores: &[f32]) -> Result<Code, LawError> {
        self.0.replay(cell, scores)
    }
    fn accept(&mut self, cell: Cell, candidate: u32, probability: f64) -> bool {
        self.0.accept(cell, candidate, probability.sqrt())
    }
    fn draw(&mut self, cell: Cell, law: &[f64]) -> Code {
        self.0.draw(cell, law)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Honest,
    Lenient,
}

/// The largest error of the joint law of `cells` cells, and of the total weight.
fn error_of(rule: Rule, kind: Kind, toy: Toy, drafter: &Drafter, cells: u32) -> f64 {
    let mut tree = drafter.tree();
    let mut verifier = Verifier::new(rule, toy.codes as usize);
    let mut verdict = Verdict::with_capacity(cells as usize);
    let mut laws: HashMap<Vec<Code>, f64> = HashMap::new();
    let mut e = Enumerator::new();
    while e.next_branch() {
        let mut committed: Vec<Code> = Vec::new();
        while committed.len() < cells as usize {
            let done = committed.len() as u32;
            tree.reset(Cell(done), cells - done);
            drafter.propose(toy, &committed, &mut tree, &mut e);
            let mut target = ToyLaws::new(toy, &committed, &tree);
            match kind {
                Kind::Honest => verifier.verify(&tree, &mut target, &mut e, &mut verdict).unwrap(),
                Kind::Lenient => verifier.verify(&tree, &mut target, &mut Lenient(&mut e), &mut verdict).unwrap(),
            }
            committed.extend(verdict.codes(&tree));
        }
        *laws.entry(committed).or_default() += e.weight();
    }
    let total: f64 = laws.values().sum();
    (0..toy.codes.pow(cells)).fold((total - 1.0).abs(), |error, number| {
        let image: Vec<Code> = (0..cells).map(|cell| Code(number / toy.codes.pow(cell) % toy.codes)).collect();
        let wanted: f64 = (0..image.len()).map(|cell| toy.law(&image[..cell])[image[cell].index()]).product();
        error.max((laws.get(&image).copied().unwrap_or(0.0) - wanted).abs())
    })
}

fn drafter(salt: u64, codes: u32, root: &[Group], deeper: &[Group]) -> Drafter {
    Drafter { salt: salt ^ 0xD4AF, codes, root: root.to_vec(), deeper: deeper.to_vec(), depth: 2, nodes: 64 }
}

fn check_exact(toy: Toy, drafter: &Drafter, cells: u32) {
    for rule in [Rule::Replay, Rule::Rejection] {
        let error = error_of(rule, Kind::Honest, toy, drafter, cells);
        assert!(error < TOLERANCE, "{rule}: error {error:e} of {toy:?} under {drafter:?}");
    }
}

#[test]
fn every_way_of_drafting_keeps_the_law() {
    use Group::{Adaptive, Fixed, Target, With, Without};
    let recipes: [(&[Group], &[Group]); 12] = [
        (&[], &[]),
        (&[With(2)], &[With(1)]),
        (&[With(3)], &[]),
        (&[Without(2)], &[Without(1)]),
        (&[Without(3)], &[Fixed(1)]),
        (&[Fixed(0), Fixed(2)], &[Fixed(1), Fixed(1)]),
        (&[With(1), Without(2)], &[Fixed(0)]),
        (&[With(1), Fixed(1), With(1)], &[With(1)]),
        (&[Fixed(2), Without(2)], &[Without(1)]),
        (&[Target(1), With(1)], &[Target(1)]),
        (&[Target(2)], &[With(1)]),
        (&[Adaptive], &[Adaptive]),
    ];
    for (salt, (root, deeper)) in (1..).zip(recipes) {
        check_exact(Toy { salt, codes: 3 }, &drafter(salt, 3, root, deeper), 2);
        check_exact(Toy { salt, codes: 2 }, &drafter(salt, 2, root, deeper), 3);
    }
}

#[test]
fn a_chain_four_deep_keeps_the_law() {
    let toy = Toy { salt: 5, codes: 2 };
    let chain = Drafter { depth: 4, ..drafter(5, 2, &[Group::With(1)], &[Group::With(1)]) };
    check_exact(toy, &chain, 4);
}

#[test]
fn a_full_tree_keeps_the_law() {
    for (nodes, salt) in [(1, 1), (2, 1), (2, 5), (2, 8), (3, 1), (3, 5), (4, 7)] {
        let tight = Drafter { nodes, ..drafter(salt, 3, &[Group::With(3)], &[Group::With(1)]) };
        check_exact(Toy { salt, codes: 3 }, &tight, 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_drafters_keep_the_law(
        salt: u64,
        codes in 2u32..=4,
        root in prop::collection::vec(honest_group(), 0..=2),
        deeper in prop::collection::vec(honest_group(), 0..=1),
    ) {
        // A third cell, which a second level of the tree needs, only where the branches stay few.
        let cells = if codes == 2 || (codes == 3 && root.len() <= 1) { 3 } else { 2 };
        check_exact(Toy { salt, codes }, &drafter(salt, codes, &root, &deeper), cells);
    }
}

fn honest_group() -> impl Strategy<Value = Group> {
    prop_oneof![
        (1u32..=2).prop_map(Group::With),
        (1u32..=2).prop_map(Group::Without),
        (0u32..4).prop_map(Group::Fixed),
        Just(Group::Target(1)),
        Just(Group::Adaptive),
    ]
}

/// The largest error over a few targets. At some the residual after the first test is a single code, or every test is
/// certain; what is wrong with later tests then does no harm, so one target would not do.
fn worst_error(rule: Rule, kind: Kind, root: &[Group]) -> f64 {
    let error = |salt| error_of(rule, kind, Toy { salt, codes: 3 }, &drafter(salt, 3, root, &[]), 2);
    (1..=8).map(error).fold(0.0, f64::max)
}

#[test]
fn the_proof_sees_a_biased_verifier() {
    assert!(worst_error(Rule::Rejection, Kind::Lenient, &[Group::With(2)]) > 1e-3);
    assert!(worst_error(Rule::Rejection, Kind::Honest, &[Group::With(2)]) < TOLERANCE);
}

#[test]
fn the_proof_sees_drafters_that_misname_their_law() {
    for lie in [Group::KeepsLarger, Group::DropsRepeats, Group::CallsWithoutWith] {
        assert!(worst_error(Rule::Rejection, Kind::Honest, &[lie]) > 1e-3, "{lie:?}");
        // Replay reads no draft law: there is nothing to lie about.
        assert!(worst_error(Rule::Replay, Kind::Honest, &[lie]) < TOLERANCE, "{lie:?}");
    }
}

#[test]
fn a_drafter_with_the_target_law_is_always_accepted() {
    let toy = Toy { salt: 6, codes: 4 };
    let twin = Drafter { depth: 3, ..drafter(6, 4, &[Group::Target(1)], &[Group::Target(1)]) };
    let mut tree = twin.tree();
    let mut verifier = Verifier::new(Rule::Rejection, 4);
    let mut verdict = Verdict::with_capacity(8);
    let mut e = Enumerator::new();
    while e.next_branch() {
        tree.reset(Cell(0), 4);
        twin.propose(toy, &[], &mut tree, &mut e);
        verifier.verify(&tree, &mut ToyLaws::new(toy, &[], &tree), &mut e, &mut verdict).unwrap();
        assert_eq!(verdict.committed(), 4);
        assert_eq!(verdict.next.drawn, hawk_spec::Drawn::Bonus);
    }
}
