//! A toy target: its law at a cell is a pseudo-random function of the codes before it.

#![allow(dead_code, unreachable_pub, reason = "a module of several test binaries, each of which uses its part")]

use hawk_spec::{Code, LawError, NodeId, TargetLaws, TokenTree, philox4x32_10, probabilities};

/// A pseudo-random number in [0, 1) for a list of numbers.
pub fn hash(salt: u64, parts: &[u32]) -> f64 {
    let key = [salt as u32, (salt >> 32) as u32];
    let start = [parts.len() as u32, 0, 0, 1];
    let state = parts.iter().fold(start, |state, &part| philox4x32_10(key, [state[0] ^ part, state[1], state[2], 2]));
    f64::from(philox4x32_10(key, state)[0]) / (1u64 << 32) as f64
}

/// A pseudo-random law over `codes` codes, about one in six of them impossible.
pub fn random_law(salt: u64, parts: &[u32], codes: u32) -> Vec<f64> {
    let weight = |code: u32| {
        let u = hash(salt, &[parts, &[code]].concat());
        if code > 0 && u < 1.0 / 6.0 { 0.0 } else { u * u + 0.01 }
    };
    let weights: Vec<f64> = (0..codes).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[derive(Clone, Copy, Debug)]
pub struct Toy {
    pub salt: u64,
    pub codes: u32,
}

impl Toy {
    /// Warped scores of the cell after `path`; about one in six codes is dropped.
    pub fn scores(&self, path: &[Code]) -> Vec<f32> {
        let parts: Vec<u32> = path.iter().map(|code| code.0).collect();
        let score = |&probability: &f64| if probability > 0.0 { probability.ln() as f32 } else { f32::NEG_INFINITY };
        random_law(self.salt, &parts, self.codes).iter().map(score).collect()
    }

    pub fn law(&self, path: &[Code]) -> Vec<f64> {
        let mut law = vec![0.0; self.codes as usize];
        probabilities(&self.scores(path), &mut law).unwrap();
        law
    }
}

/// The codes from the image's start to a node.
pub fn path_to(committed: &[Code], tree: &TokenTree, node: NodeId) -> Vec<Code> {
    let mut guessed: Vec<Code> = tree.ancestors(node).filter_map(|node| tree.code(node)).collect();
    guessed.reverse();
    [committed, &guessed].concat()
}

/// The toy's laws over a tree whose anchor is the last of `committed`.
pub struct ToyLaws<'a> {
    pub toy: Toy,
    pub committed: &'a [Code],
    pub tree: &'a TokenTree,
    pub scores: Vec<f32>,
}

impl<'a> ToyLaws<'a> {
    pub fn new(toy: Toy, committed: &'a [Code], tree: &'a TokenTree) -> Self {
        Self { toy, committed, tree, scores: Vec::new() }
    }
}

impl TargetLaws for ToyLaws<'_> {
    fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError> {
        self.scores = self.toy.scores(&path_to(self.committed, self.tree, node));
        Ok(&self.scores)
    }
}
