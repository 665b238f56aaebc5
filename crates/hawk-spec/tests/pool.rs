//! Trees of two sources, one of them with laws cached from the row above: the joint law of whole images by enumeration, and the growth
//! itself.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

mod common;

use std::collections::HashMap;

use common::{Toy, ToyLaws, random_law};
use hawk_spec::{
    Cell, Code, DraftLaw, Enumerator, NodeId, Pool, Pooled, Replacement, Rule, Source, TokenTree, TreeError,
    TreeLimits, TreeShape, Verdict, Verifier, push_or_raise,
};

const COLS: usize = 2;

/// Hawk in small: a horizontal head that reads the anchor's past, a vertical head whose law for a cell was made when the cell above was
/// committed, and is drawn from anew in every step until the cell's turn comes.
struct Hawk {
    salt: u64,
    codes: u32,
    draws: usize,
    shape: TreeShape,
    chances: Chances,
}

/// What orders the candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chances {
    /// Source and rank alone.
    Fixed,
    /// Later draws are said to be likelier; they must come later all the same.
    Rising,
    /// The drawn code, which biases rejection: the proof must see it.
    ByCode,
}

impl Hawk {
    fn propose(&self, committed: &[Code], pool: &mut Pool, tree: &mut TokenTree, e: &mut Enumerator) {
        let levels = tree.cells_left().saturating_sub(1).min(2) as usize;
        let mut guess = |level: usize, pooled: &mut Vec<Pooled>, tree: &mut TokenTree| {
            let cell = committed.len() + level;
            if level < levels {
                let anchor: Vec<u32> = committed.iter().map(|code| code.0).chain([70 + level as u32]).collect();
                let source = Source::numbered('H', level as u32 + 1);
                self.draw(&random_law(self.salt, &anchor, self.codes), source, pooled, tree, e);
            }
            if let Some(above) = cell.checked_sub(COLS).filter(|&above| level < levels && above < committed.len()) {
                let seen: Vec<u32> = committed[..=above].iter().map(|code| code.0).chain([90]).collect();
                self.draw(&random_law(self.salt, &seen, self.codes), Source::new("V1"), pooled, tree, e);
            }
            Ok(())
        };
        pool.grow(self.shape, tree, &mut guess).unwrap();
    }

    fn draw(&self, law: &[f64], source: Source, level: &mut Vec<Pooled>, tree: &mut TokenTree, e: &mut Enumerator) {
        let id = tree.add_law(law).unwrap();
        let mut rest = law.to_vec();
        for rank in 0..self.draws {
            let sum: f64 = rest.iter().sum();
            if sum <= 0.0 {
                return;
            }
            rest.iter_mut().for_each(|probability| *probability /= sum);
            let code = Code(e.pick(&rest) as u32);
            rest[code.index()] = 0.0;
            let chance = match (self.chances, source) {
                (Chances::ByCode, _) => 0.9 - 0.2 * f64::from(code.0),
                (Chances::Rising, _) => 0.2 + 0.3 * rank as f64,
                (Chances::Fixed, source) if source.family() == "H" => 0.5 / (rank + 1) as f64,
                (Chances::Fixed, _) => 0.4 / (rank + 1) as f64,
            };
            let draft = DraftLaw::Drawn { law: id, replacement: Replacement::Without };
            level.push(Pooled { code, draft, source, chance });
        }
    }
}

/// The largest error of the joint law of `cells` cells.
fn error_of(rule: Rule, hawk: &Hawk, toy: Toy, cells: u32) -> f64 {
    let nodes = hawk.shape.nodes().min(32);
    let limits = TreeLimits { nodes, candidates: 4 * nodes, laws: 8, codes: toy.codes as usize };
    let (mut tree, mut pool) = (TokenTree::with_limits(limits), Pool::default());
    let mut verifier = Verifier::new(rule, toy.codes as usize);
    let (mut verdict, mut e) = (Verdict::with_capacity(cells as usize), Enumerator::new());
    let mut laws: HashMap<Vec<Code>, f64> = HashMap::new();
    while e.next_branch() {
        let mut committed = Vec::new();
        while committed.len() < cells as usize {
            tree.reset(Cell(committed.len() as u32), cells - committed.len() as u32);
            hawk.propose(&committed, &mut pool, &mut tree, &mut e);
            verifier.verify(&tree, &mut ToyLaws::new(toy, &committed, &tree), &mut e, &mut verdict).unwrap();
            committed.extend(verdict.codes(&tree));
        }
        *laws.entry(committed).or_default() += e.weight();
    }
    (0..toy.codes.pow(cells)).fold((laws.values().sum::<f64>() - 1.0).abs(), |error, number| {
        let image: Vec<Code> = (0..cells).map(|cell| Code(number / toy.codes.pow(cell) % toy.codes)).collect();
        let wanted: f64 = (0..image.len()).map(|cell| toy.law(&image[..cell])[image[cell].index()]).product();
        error.max((laws.get(&image).copied().unwrap_or(0.0) - wanted).abs())
    })
}

fn worst(rule: Rule, chances: Chances, draws: usize, shape: &str, (codes, cells): (u32, u32)) -> f64 {
    let hawk = |salt| Hawk { salt: salt ^ 0xCAFE, codes, draws, shape: shape.parse().unwrap(), chances };
    (1..=4).map(|salt| error_of(rule, &hawk(salt), Toy { salt, codes }, cells)).fold(0.0, f64::max)
}

#[test]
fn two_sources_and_cached_laws_keep_the_law() {
    for rule in [Rule::Replay, Rule::Rejection] {
        for shape in ["1", "2", "3", "5", "9", "2x", "1x1", "2x1", "3x2"] {
            for (draws, size) in [(1, (2, 4)), (1, (3, 3)), (2, (2, 3))] {
                for chances in [Chances::Fixed, Chances::Rising] {
                    let error = worst(rule, chances, draws, shape, size);
                    assert!(error < 1e-12, "{rule} {chances:?} {shape} {draws} draws of {size:?}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn the_proof_sees_chances_that_depend_on_drawn_codes() {
    assert!(worst(Rule::Rejection, Chances::ByCode, 1, "2", (2, 4)) > 1e-3);
    assert!(worst(Rule::Replay, Chances::ByCode, 1, "2", (2, 4)) < 1e-12);
}

fn candidate(code: u32, chance: f64) -> Pooled {
    Pooled { code: Code(code), draft: DraftLaw::Deterministic, source: Source::ABOVE, chance }
}

fn grown(levels: &[&[(u32, f64)]], shape: &str, cells_left: u32) -> TokenTree {
    let mut tree = TokenTree::with_capacity(32, 10);
    tree.reset(Cell(0), cells_left);
    let mut pool = Pool::with_capacity(4, 4, 32);
    let mut asked = 0;
    let mut guess = |number: usize, level: &mut Vec<Pooled>, _: &mut TokenTree| {
        assert_eq!(number, asked, "each level once, in order");
        asked += 1;
        let guesses = levels.get(number).copied().unwrap_or_default();
        level.extend(guesses.iter().map(|&(code, chance)| candidate(code, chance)));
        Ok(())
    };
    pool.grow(shape.parse().unwrap(), &mut tree, &mut guess).unwrap();
    tree
}

/// Each node's path of codes, in the order of growth.
fn paths(tree: &TokenTree) -> Vec<Vec<u32>> {
    tree.nodes().skip(1).map(|node| common::path_to(&[], tree, node).iter().map(|code| code.0).collect()).collect()
}

#[test]
fn the_likeliest_nodes_come_first() {
    let levels: [&[(u32, f64)]; 2] = [&[(1, 0.2), (2, 0.6)], &[(3, 0.5), (4, 0.1)]];
    assert_eq!(paths(&grown(&levels, "5", 9)), [vec![2], vec![2, 3], vec![1], vec![1, 3]]);
    assert_eq!(paths(&grown(&levels, "2", 9)), [[2]]);
    assert_eq!(grown(&levels, "32", 9).len(), 7);
}

#[test]
fn shapes_bound_every_level_and_the_grid_the_depth() {
    let levels: [&[(u32, f64)]; 3] = [&[(1, 0.4), (2, 0.3), (3, 0.2)], &[(4, 0.5), (5, 0.1)], &[(6, 0.9)]];
    assert_eq!(paths(&grown(&levels, "2x1", 9)), [vec![1], vec![2], vec![1, 4], vec![2, 4]]);
    assert_eq!(grown(&levels, "9x9x9", 9).len(), 1 + 3 + 6 + 6);
    assert!(paths(&grown(&levels, "32", 2)).iter().all(|path| path.len() == 1));
    assert_eq!(grown(&levels, "32", 1).len(), 1);
}

#[test]
fn equal_codes_share_a_node_or_raise_a_chance() {
    let tree = grown(&[&[(1, 0.5), (1, 0.4)], &[(2, 0.5)]], "9", 9);
    assert_eq!((tree.len(), tree.candidates(NodeId::ROOT).count()), (3, 2));
    let mut level = Vec::new();
    push_or_raise(&mut level, candidate(1, 0.5));
    push_or_raise(&mut level, candidate(1, 0.5));
    assert_eq!((level.len(), level[0].chance), (1, 0.75));
}

#[test]
fn a_candidate_that_cannot_be_is_an_error() {
    let mut tree = TokenTree::with_capacity(4, 10);
    tree.reset(Cell(0), 9);
    let mut guess = |_: usize, level: &mut Vec<Pooled>, _: &mut TokenTree| {
        level.push(candidate(10, 0.5));
        Ok(())
    };
    let grown = Pool::default().grow(TreeShape::Budget(4), &mut tree, &mut guess);
    assert!(matches!(grown, Err(TreeError::NoSuchCode { .. })));
}

#[test]
fn shapes_read_as_they_print() {
    for (text, nodes) in [("1", 1), ("7", 7), ("4x", 5), ("3x2x1", 16), ("255x255x255x255x255x255x255x255", usize::MAX)]
    {
        let shape: TreeShape = text.parse().unwrap();
        assert_eq!(shape.to_string(), text);
        assert!(shape.nodes() == nodes || nodes == usize::MAX);
    }
    for text in ["", "0", "x", "-1", "2x0", "2xx", "256x", "1x1x1x1x1x1x1x1x1", "two"] {
        assert!(text.parse::<TreeShape>().unwrap_err().to_string().contains("4x2x1"), "{text}");
    }
}
