//! Copies of the cells to the left and above: no training, no draft law, and right wherever the
//! picture does not change.

use hawk_nn::{Arrangement, Error};
use hawk_spec::{DraftLaw, Grid, Source, TokenTree, TreeError};

use super::context::View;
use super::contract::{DefaultTree, Drafter, DrafterKind, Heads, Media};
use crate::request::decoder::Decoder;

impl Decoder {
    /// Copies of the cell to the left and of the cell above.
    pub const NEIGHBOUR: Decoder = Decoder::custom(&DrafterKind {
        name: "neighbour",
        help: "copies of the cell to the left and of the cell above",
        tree: DefaultTree::Nodes(3),
        heads: Heads::Unused,
        media: Media::Images,
        make: |setup| match setup.arrangement {
            Arrangement::Grid(grid) => Ok(Box::new(Neighbour { grid })),
            Arrangement::Line => Err(Error::input("text has no rows of cells").at("decoder")),
        },
    });
}

struct Neighbour {
    grid: Grid,
}

impl Drafter for Neighbour {
    /// Level by level, the left neighbour first, until the tree is full. The left neighbour of a
    /// node's cell is the node itself.
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> Result<(), TreeError> {
        let mut next = 0;
        while let Some(parent) = tree.nodes().nth(next) {
            let cell = tree.open_cell_below(parent);
            let here = tree.code(parent).or(view.codes.last().copied());
            let left = self.grid.left(cell).and(here);
            let above = self.grid.above(cell).and_then(|above| view.codes.get(above.index()).copied());
            for (code, source) in [(left, Source::LEFT), (above, Source::ABOVE)] {
                // A second certain candidate of the same code would only be tested in vain.
                if let Some(code) = code.filter(|&code| tree.child(parent, code).is_none()) {
                    tree.propose(parent, code, DraftLaw::Deterministic, source)?;
                }
            }
            next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hawk_spec::{Cell, Code, NodeId, TokenTree};

    use super::*;

    fn tree(codes: &[u32], nodes: usize) -> (TokenTree, Result<(), TreeError>) {
        let grid = Grid::new(3, 4).unwrap();
        let codes: Vec<Code> = codes.iter().copied().map(Code).collect();
        let mut tree = TokenTree::with_capacity(nodes, 10);
        tree.reset(Cell(codes.len() as u32), grid.cells() - codes.len() as u32);
        let end = Neighbour { grid }.propose(&View { codes: &codes }, &mut tree);
        (tree, end)
    }

    fn codes_below(tree: &TokenTree, node: u32) -> Vec<u32> {
        tree.candidates(NodeId(node)).map(|candidate| candidate.code.0).collect()
    }

    #[test]
    fn left_and_above_are_guessed_level_by_level() {
        // Row 0: 1 2 3 4; row 1: 5 ?
        let (tree, end) = tree(&[1, 2, 3, 4, 5], 5);
        assert!(matches!(end, Err(TreeError::Full { .. })));
        assert_eq!(codes_below(&tree, 0), [5, 2]);
        assert_eq!(codes_below(&tree, 1), [5, 3]);
    }

    #[test]
    fn borders_have_one_neighbour_and_equal_neighbours_one_candidate() {
        assert_eq!(codes_below(&tree(&[1], 9).0, 0), [1]);
        assert_eq!(codes_below(&tree(&[7, 2, 3, 4], 9).0, 0), [7]);
        assert_eq!(codes_below(&tree(&[1, 5, 3, 4, 5], 9).0, 0), [5]);
        assert_eq!(tree(&[], 9).0.len(), 1);
    }

    #[test]
    fn the_grid_ends_before_its_last_cell() {
        let (tree, end) = tree(&[1; 10], 9);
        assert!(matches!(end, Err(TreeError::TooDeep { .. })));
        assert_eq!(tree.len(), 2);
    }
}
