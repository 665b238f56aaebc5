//! The step that `docs/ARCHITECTURE.md` shows: anchor, token tree, verdict and commit, with its numbers.
//!
//! ```sh
//! cargo run --release -p hawk-spec --example step
//! ```

use std::error::Error;

use hawk_spec::{
    Cell, Code, DraftLaw, Drawn, Grid, ImageIndex, LawError, NodeId, Noise, Pipeline, Rule, Sampling, Seed, Source,
    TargetLaws, TokenTree, Verdict, Verifier, Warper,
};

const CODES: usize = 10;

/// A target that is almost certain of one code at every node.
struct Certain<'a> {
    tree: &'a TokenTree,
    /// The code for each cell, given that the cells before it are these codes too.
    wants: [u32; 9],
    warper: Warper,
    scores: [f32; CODES],
}

impl TargetLaws for Certain<'_> {
    fn scores(&mut self, node: NodeId) -> Result<&[f32], LawError> {
        let cell = self.tree.open_cell_below(node);
        let mut logits = [0.0; CODES];
        logits[self.wants[cell.index()] as usize] = 90.0;
        let plain = Sampling::new(1.0, 1.0, 0, 1.0).map_err(|_| LawError::NoLaw { node })?;
        self.warper.warp(&plain, &logits, None, &mut self.scores)?;
        Ok(&self.scores)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Committed: row 0 and half of row 1. The anchor is cell 5, code 2. Cell 6 is the first open one.
    let grid = Grid::new(4, 4)?;
    let committed = [1, 4, 7, 5, 3, 2].map(Code);
    let mut tree = TokenTree::with_capacity(7, CODES);
    tree.reset(Cell(6), grid.cells() - 6);

    // Propose: below each node a copy of the cell to the left and a copy of the cell above, up to 7 nodes.
    let mut at = 0;
    while let Some(node) = tree.nodes().nth(at).filter(|_| !tree.is_full()) {
        let cell = tree.open_cell_below(node);
        let above = grid.above(cell).and_then(|above| committed.get(above.index()).copied());
        let left = tree.code(node).or(committed.last().copied());
        for (code, source) in [(left, Source::LEFT), (above, Source::ABOVE)] {
            if let Some(code) = code {
                tree.propose(node, code, DraftLaw::Deterministic, source)?;
            }
        }
        at += 1;
    }
    let rows: Vec<_> = tree.nodes().map(|node| (tree.parent(node), tree.cell(node), tree.code(node))).collect();
    println!("tree (parent, cell, code): {rows:?}");
    assert_eq!(
        tree.nodes().skip(1).filter_map(|node| tree.code(node)).collect::<Vec<_>>(),
        [2, 7, 2, 5, 7, 5].map(Code)
    );

    // Verify: the target draws 7, 5, 3 for the cells 6, 7, 8.
    let wants = [1, 4, 7, 5, 3, 2, 7, 5, 3];
    let mut target = Certain { tree: &tree, wants, warper: Warper::new(Pipeline::LUMINA, CODES), scores: [0.0; CODES] };
    let mut noise = Noise { seed: Seed(7), image: ImageIndex(0) };
    let mut verdict = Verdict::with_capacity(7);
    Verifier::new(Rule::Replay, CODES).verify(&tree, &mut target, &mut noise, &mut verdict)?;
    println!("path {:?}, next {:?}", verdict.path, verdict.next);
    assert_eq!(verdict.path, [NodeId(2), NodeId(6)]);
    assert_eq!((verdict.next.code, verdict.next.drawn), (Code(3), Drawn::Bonus));

    // Commit: three cells by one pass. The new anchor is cell 8.
    let codes: Vec<Code> = committed.into_iter().chain(verdict.codes(&tree)).collect();
    println!("committed {codes:?}");
    assert_eq!(codes, [1, 4, 7, 5, 3, 2, 7, 5, 3].map(Code));

    // Had the target drawn 9 for cell 7, no candidate would have it: the 9 is recovered, and two cells are committed.
    target.wants[7] = 9;
    Verifier::new(Rule::Replay, CODES).verify(&tree, &mut target, &mut noise, &mut verdict)?;
    assert_eq!(verdict.path, [NodeId(2)]);
    assert_eq!((verdict.next.code, verdict.next.drawn), (Code(9), Drawn::Recovered));
    Ok(())
}
