//! Proof by enumeration: Jacobi drafts with fixed noise keep the target's joint law under rejection. The laws of the
//! last pass are draft laws, and one random number per cell serves the guesses of all passes.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

mod common;

use std::collections::HashMap;

use common::{Toy, ToyLaws, path_to};
use hawk_spec::{
    Candidate, Cell, Chooser, Code, Draft, DraftLaw, Enumerator, LawError, NodeId, Replacement, Rule, Source,
    TokenTree, Verdict, Verifier, recouple,
};

const TOLERANCE: f64 = 1e-12;
const CELLS: u32 = 5;
const CODES: u32 = 2;
/// Atoms of the random number of a cell.
const ATOMS: u32 = 3;

/// How guesses are made, and what is said of them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// One random number per cell, q is the law of the last pass.
    Fixed,
    /// The same, but q is that law of all passes whose context agrees best with the codes before the cell.
    BestFitting,
    /// The same, but a guess that stays the same keeps the q that it was first drawn from.
    KeepsOldLaw,
    /// The random number of a cell also decides its acceptance test.
    SharesNoise,
    /// A guess is redrawn in every pass by maximal coupling; q is the law of the last pass.
    Maximal,
    /// The same, but a guess that is kept keeps the q that it had.
    MaximalKeepsOldLaw,
}

/// The draft law of a cell: the target's law rounded to thirds, so that atoms draw from it exactly.
/// Any law that does not depend on the cell's own noise will do.
fn coarse(law: &[f64]) -> [f64; CODES as usize] {
    let first = (law[0] * f64::from(ATOMS)).round() / f64::from(ATOMS);
    [first, 1.0 - first]
}

/// The code that an atom draws from a coarse law: the same code for both laws wherever it can be.
fn drawn(law: [f64; CODES as usize], atom: usize) -> Code {
    Code(u32::from((atom as f64 + 0.5) / f64::from(ATOMS) > law[0]))
}

/// The random choices of verification, and the noise of the cells.
struct Choices<'a> {
    e: &'a mut Enumerator,
    atoms: [usize; CELLS as usize],
    kind: Kind,
}

impl Chooser for Choices<'_> {
    fn replay(&mut self, cell: Cell, scores: &[f32]) -> Result<Code, LawError> {
        self.e.replay(cell, scores)
    }
    fn accept(&mut self, cell: Cell, candidate: u32, probability: f64) -> bool {
        match self.kind {
            Kind::SharesNoise => (self.atoms[cell.index()] as f64 + 0.5) / f64::from(ATOMS) < probability,
            _ => self.e.accept(cell, candidate, probability),
        }
    }
    fn draw(&mut self, cell: Cell, law: &[f64]) -> Code {
        self.e.draw(cell, law)
    }
}

/// A law of a cell, and the codes that stood before the cell.
#[derive(Clone)]
struct Known {
    context: Vec<Code>,
    law: [f64; CODES as usize],
    /// What was drawn from the law.
    guess: Code,
}

/// The law that the next guess of a cell is drawn from. `known` are those of all passes, in order.
fn chosen<'a>(known: &'a [Known], before: &[Code], kind: Kind) -> Option<&'a Known> {
    let wrong = |known: &Known| known.context.iter().zip(before).filter(|(a, b)| a != b).count();
    match kind {
        Kind::BestFitting => known.iter().rev().min_by_key(|known| wrong(known)),
        _ => known.last(),
    }
}

/// The law of a cell, and the guess that the cell's own noise draws from it.
fn with_fixed_noise(toy: Toy, context: Vec<Code>, last: Option<&Known>, choices: &Choices<'_>) -> Known {
    let law = coarse(&toy.law(&context));
    let guess = drawn(law, choices.atoms[context.len()]);
    let old = last.filter(|old| choices.kind == Kind::KeepsOldLaw && old.guess == guess).cloned();
    old.unwrap_or(Known { context, law, guess })
}

/// The law of the cell below a node, and the guess that the tree has there, coupled with that law.
fn recoupled(toy: Toy, committed: &[Code], tree: &TokenTree, node: NodeId, choices: &mut Choices<'_>) -> Known {
    let (cell, context) = (tree.open_cell_below(node), path_to(committed, tree, node));
    let law: [f64; CODES as usize] = toy.law(&context).try_into().unwrap();
    let Some(&Candidate { code, draft, .. }) = tree.candidates(node).next() else {
        return Known { context, law, guess: choices.draw(cell, &law) };
    };
    let old = match draft {
        DraftLaw::Drawn { law, .. } => tree.law(law).try_into().unwrap(),
        DraftLaw::Deterministic => std::array::from_fn(|other| f64::from(u8::from(other == code.index()))),
    };
    let mut residual = [0.0; CODES as usize];
    let guess = recouple(Draft { cell, code, law: &old }, &law, &mut residual, choices).unwrap();
    let keeps = choices.kind == Kind::MaximalKeepsOldLaw && guess == code;
    Known { context, law: if keeps { old } else { law }, guess }
}

/// Counts of guesses.
#[derive(Default)]
struct Counts {
    /// Laws of a cell that had one before.
    again: u32,
    /// Guesses by a law that is not the last one.
    older: u32,
}

/// One image of a branch, by chains of up to `nodes` nodes.
fn decode(
    toy: Toy,
    nodes: usize,
    choices: &mut Choices<'_>,
    verifier: &mut Verifier,
    counts: &mut Counts,
) -> Vec<Code> {
    let mut tree = TokenTree::with_capacity(nodes, CODES as usize);
    let mut verdict = Verdict::with_capacity(nodes);
    let mut known: [Vec<Known>; CELLS as usize] = Default::default();
    let mut committed: Vec<Code> = Vec::new();
    while committed.len() < CELLS as usize {
        let done = committed.len() as u32;
        tree.reset(Cell(done), CELLS - done);
        let mut node = NodeId::ROOT;
        while !tree.is_full() && tree.depth(node) + 1 < tree.cells_left() {
            let cell = tree.open_cell_below(node).index();
            let (code, draft) = match chosen(&known[cell], &path_to(&committed, &tree, node), choices.kind) {
                Some(found) => {
                    counts.older += u32::from(!known[cell].last().is_some_and(|last| std::ptr::eq(last, found)));
                    let law = tree.add_law(&found.law).unwrap();
                    (found.guess, DraftLaw::Drawn { law, replacement: Replacement::With })
                }
                None => (tree.code(node).unwrap_or(Code(1)), DraftLaw::Deterministic),
            };
            node = tree.propose(node, code, draft, Source::LEFT).unwrap();
        }
        verifier.verify(&tree, &mut ToyLaws::new(toy, &committed, &tree), choices, &mut verdict).unwrap();
        for node in tree.nodes().skip(verdict.committed()) {
            let cell = tree.open_cell_below(node).index();
            counts.again += u32::from(!known[cell].is_empty());
            let new = match choices.kind {
                Kind::Maximal | Kind::MaximalKeepsOldLaw => recoupled(toy, &committed, &tree, node, choices),
                _ => with_fixed_noise(toy, path_to(&committed, &tree, node), known[cell].last(), choices),
            };
            known[cell].push(new);
        }
        committed.extend(verdict.codes(&tree));
    }
    committed
}

/// The largest error of the joint law, and the counts of all branches.
fn error_of(kind: Kind, toy: Toy, nodes: usize) -> (f64, Counts) {
    let mut verifier = Verifier::new(Rule::Rejection, CODES as usize);
    let mut laws: HashMap<Vec<Code>, f64> = HashMap::new();
    let (mut e, mut counts) = (Enumerator::new(), Counts::default());
    while e.next_branch() {
        let atoms = match kind {
            Kind::Maximal | Kind::MaximalKeepsOldLaw => Default::default(),
            _ => std::array::from_fn(|_| e.pick(&[1.0 / f64::from(ATOMS); ATOMS as usize])),
        };
        let image = decode(toy, nodes, &mut Choices { e: &mut e, atoms, kind }, &mut verifier, &mut counts);
        *laws.entry(image).or_default() += e.weight();
    }
    let error = (0..CODES.pow(CELLS)).fold(0.0_f64, |error, number| {
        let image: Vec<Code> = (0..CELLS).map(|cell| Code(number / CODES.pow(cell) % CODES)).collect();
        let wanted: f64 = (0..image.len()).map(|cell| toy.law(&image[..cell])[image[cell].index()]).product();
        error.max((laws.get(&image).copied().unwrap_or(0.0) - wanted).abs())
    });
    (error, counts)
}

/// The largest error over a few targets.
fn worst_error(kind: Kind, nodes: usize) -> f64 {
    (1..=8).map(|salt| error_of(kind, Toy { salt, codes: CODES }, nodes).0).fold(0.0, f64::max)
}

#[test]
fn guesses_with_fixed_noise_keep_the_law() {
    for nodes in 1..=4 {
        let mut guessed_again = 0;
        for salt in 1..=8 {
            let (error, counts) = error_of(Kind::Fixed, Toy { salt, codes: CODES }, nodes);
            assert!(error < TOLERANCE, "error {error:e} of target {salt} at {nodes} nodes");
            guessed_again += counts.again;
        }
        assert!(nodes < 3 || guessed_again > 0, "no cell was guessed twice at {nodes} nodes");
    }
}

#[test]
fn guesses_that_are_recoupled_in_every_pass_keep_the_law() {
    for nodes in 1..=4 {
        let mut guessed_again = 0;
        for salt in 1..=8 {
            let (error, counts) = error_of(Kind::Maximal, Toy { salt, codes: CODES }, nodes);
            assert!(error < TOLERANCE, "error {error:e} of target {salt} at {nodes} nodes");
            guessed_again += counts.again;
        }
        assert!(nodes < 3 || guessed_again > 0, "no guess was redrawn at {nodes} nodes");
    }
}

#[test]
fn guesses_by_the_best_fitting_law_of_all_passes_keep_the_law() {
    let mut older = 0;
    for nodes in 1..=4 {
        for salt in 1..=8 {
            let (error, counts) = error_of(Kind::BestFitting, Toy { salt, codes: CODES }, nodes);
            assert!(error < TOLERANCE, "error {error:e} of target {salt} at {nodes} nodes");
            older += counts.older;
        }
    }
    assert!(older > 0, "no guess was drawn from an older law");
}

#[test]
fn the_proof_sees_noise_that_serves_the_test_as_well() {
    assert!(worst_error(Kind::SharesNoise, 3) > 1e-3);
}

#[test]
fn the_proof_sees_guesses_that_name_an_older_law() {
    assert!(worst_error(Kind::KeepsOldLaw, 4) > 1e-3);
}

#[test]
fn the_proof_sees_recoupled_guesses_that_keep_their_old_law() {
    assert!(worst_error(Kind::MaximalKeepsOldLaw, 4) > 1e-3);
}
