//! Layouts, trees and names.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use hawk_spec::{
    Candidate, Cell, Code, DecodeStats, DraftLaw, Drawn, Grid, Layout, LayoutError, NodeId, Replacement, Source,
    Structure, TokenId, TokenTree, TreeError, Verdict,
};
use proptest::prelude::*;

const LUMINA: Structure = Structure::Lumina {
    begin: TokenId(8197),
    end: TokenId(8196),
    row_end: TokenId(8803),
    size_base: TokenId(8804),
    size_unit: 2,
};

fn layout(rows: u32, cols: u32, structure: Structure) -> Layout {
    Layout::new(Grid::new(rows, cols).unwrap(), 4, 8192, structure).unwrap()
}

fn tokens(ids: &[u32]) -> Vec<TokenId> {
    ids.iter().copied().map(TokenId).collect()
}

#[test]
fn lumina_closes_rows_and_image() {
    let layout = layout(2, 4, LUMINA);
    assert_eq!(layout.opening(), tokens(&[8197, 8805, 8806]));
    let codes: Vec<Code> = (10..18).map(Code).collect();
    let image = tokens(&[14, 15, 16, 17, 8803, 18, 19, 20, 21, 8803, 8196]);
    assert_eq!(layout.sequence(&codes), image);
    assert_eq!(layout.sequence(&codes[..4]), image[..5]);
    assert_eq!((layout.max_structure_run(), layout.after(Cell(0)).len()), (2, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cell_stands_where_the_layout_says(rows in 1u32..9, cols in 1u32..9, plain: bool, filled in 0.0f64..1.0) {
        let layout = layout(2 * rows, 2 * cols, if plain { Structure::Plain } else { LUMINA });
        let grid = layout.grid();
        let codes: Vec<Code> = (0..(f64::from(grid.cells()) * filled) as u32).map(Code).collect();
        let sequence = layout.sequence(&codes);
        for (cell, &code) in (0..).map(Cell).zip(&codes) {
            let token = sequence[layout.offset_of(cell)];
            prop_assert_eq!((token, layout.code(token)), (layout.token(code), Some(code)));
            prop_assert_eq!(grid.row(cell) * grid.cols() + grid.col(cell), cell.0);
            prop_assert!(layout.after(cell).iter().all(|&token| layout.code(token).is_none()));
            prop_assert!(layout.after(cell).len() <= layout.max_structure_run());
            prop_assert!(grid.left(cell).is_none_or(|left| left.0 + 1 == cell.0 && grid.row(left) == grid.row(cell)));
            prop_assert!(grid.above(cell).is_none_or(|above| grid.col(above) == grid.col(cell)));
        }
        let structure: usize = (0..codes.len() as u32).map(|cell| layout.after(Cell(cell)).len()).sum();
        prop_assert_eq!(sequence.len(), codes.len() + structure);
    }
}

#[test]
fn impossible_layouts_are_refused() {
    assert_eq!(Grid::new(0, 4).unwrap_err().to_string(), "rows must be 1 to 1024, got 0");
    assert_eq!(Grid::new(4, 1025).unwrap_err(), LayoutError::Side { field: "cols", given: 1025 });
    let refuse = |rows, offset, codes, structure| {
        Layout::new(Grid::new(rows, 4).unwrap(), offset, codes, structure).unwrap_err()
    };
    assert_eq!(refuse(4, 4, 1, LUMINA), LayoutError::Codes { given: 1 });
    assert!(matches!(refuse(4, u32::MAX, 2, Structure::Plain), LayoutError::Overflow { .. }));
    assert_eq!(refuse(3, 4, 8192, LUMINA), LayoutError::NotInUnits { field: "rows", given: 3, size_unit: 2 });
    let among = LayoutError::StructureAmongCodes { token: TokenId(8197), first: 4, last: 8203 };
    assert_eq!(refuse(4, 4, 8200, LUMINA), among);
    let Structure::Lumina { begin, end, row_end, size_base, .. } = LUMINA else { unreachable!() };
    let no_unit = Structure::Lumina { begin, end, row_end, size_base, size_unit: 0 };
    assert_eq!(refuse(4, 4, 8192, no_unit), LayoutError::SizeUnit);
}

const FIXED: DraftLaw = DraftLaw::Deterministic;

#[test]
fn the_same_code_shares_a_node_and_keeps_both_edges() {
    let mut tree = TokenTree::with_capacity(8, 3);
    tree.reset(Cell(5), 4);
    let law = tree.add_law(&[0.5, 0.25, 0.25]).unwrap();
    let drawn = DraftLaw::Drawn { law, replacement: Replacement::With };
    let first = tree.propose(NodeId::ROOT, Code(2), FIXED, Source::LEFT).unwrap();
    let other = tree.propose(NodeId::ROOT, Code(0), FIXED, Source::ABOVE).unwrap();
    let below = tree.propose(first, Code(2), drawn, Source::new("H2")).unwrap();
    assert_eq!(tree.propose(NodeId::ROOT, Code(2), drawn, Source::new("V1")), Ok(first));

    let at_root: Vec<Candidate> = tree.candidates(NodeId::ROOT).copied().collect();
    assert_eq!(at_root.iter().map(|candidate| candidate.child).collect::<Vec<_>>(), [first, other, first]);
    assert_eq!(at_root[2], Candidate { child: first, code: Code(2), draft: drawn, source: Source::new("V1") });
    assert_eq!(tree.source_of(first), Some(Source::LEFT));
    assert_eq!((tree.len(), tree.depth(below), tree.cell(below)), (4, 2, Some(Cell(6))));
    assert_eq!((tree.cell(NodeId::ROOT), tree.open_cell_below(NodeId::ROOT)), (None, Cell(5)));
    assert_eq!((tree.open_cell_below(below), tree.parent(below)), (Cell(7), Some(first)));
    assert_eq!(tree.ancestors(below).collect::<Vec<_>>(), [below, first, NodeId::ROOT]);
    assert_eq!((tree.parent(NodeId::ROOT), tree.code(NodeId::ROOT)), (None, None));
    assert_eq!(tree.law(law), [0.5, 0.25, 0.25]);

    let stats = stats_of_accepting(&tree, &[first]);
    assert_eq!((stats.nodes, stats.acceptance_length()), (3, 2.0));
    let tallies: Vec<String> = stats.tallies().map(|(source, depth, _)| format!("{source}@{depth}")).collect();
    assert_eq!(tallies, ["H2@2", "V1@1", "above@1", "left@1"]);
}

/// Counts a step that accepted a path by the first candidate each time and then drew a token.
fn stats_of_accepting(tree: &TokenTree, path: &[NodeId]) -> DecodeStats {
    let mut verdict = Verdict::with_capacity(4);
    verdict.path.extend_from_slice(path);
    verdict.next.drawn = Drawn::Recovered;
    let (mut stats, mut twice) = (DecodeStats::default(), DecodeStats::default());
    stats.record(tree, &verdict);
    stats.record_prefill();
    twice.merge(&stats);
    twice.merge(&stats);
    assert_eq!((twice.target_passes, twice.prefill_passes, twice.nodes), (2, 2, 2 * stats.nodes));
    assert_eq!(twice.tokens_per_pass[path.len() + 1], 2);
    stats
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut tree = TokenTree::with_capacity(2, 3);
    let propose = |tree: &mut TokenTree, parent, code| tree.propose(NodeId(parent), Code(code), FIXED, Source::LEFT);
    assert_eq!(propose(&mut tree, 0, 0), Err(TreeError::TooDeep { depth: 1, cells_left: 1 }));
    tree.reset(Cell(0), 2);
    assert_eq!(propose(&mut tree, 1, 0), Err(TreeError::NoSuchNode { node: NodeId(1), nodes: 1 }));
    assert_eq!(propose(&mut tree, 0, 3), Err(TreeError::NoSuchCode { code: Code(3), codes: 3 }));
    let law = tree.add_law(&[1.0, 0.0, 0.0]).unwrap();
    tree.reset(Cell(0), 2);
    let stale = DraftLaw::Drawn { law, replacement: Replacement::With };
    let refused = tree.propose(NodeId::ROOT, Code(0), stale, Source::LEFT);
    assert_eq!(refused, Err(TreeError::NoSuchLaw { law: 0, laws: 0 }));
    assert_eq!((tree.len(), tree.candidates(NodeId::ROOT).count()), (1, 0));
    assert_eq!(propose(&mut tree, 0, 1), Ok(NodeId(1)));
    assert_eq!(propose(&mut tree, 1, 1), Err(TreeError::TooDeep { depth: 2, cells_left: 2 }));
    // Full is full for a repeated code too.
    assert_eq!(propose(&mut tree, 0, 1), Err(TreeError::Full { what: "nodes", capacity: 2 }));
    assert_eq!(tree.candidates(NodeId::ROOT).count(), 1);
}

#[test]
fn what_is_no_draft_law_is_refused() {
    let mut tree = TokenTree::with_capacity(1, 2);
    assert_eq!(tree.add_law(&[1.0]), Err(TreeError::LawLength { expected: 2, got: 1 }));
    for bad in [[0.5, 0.4], [1.5, -0.5], [f64::NAN, 1.0], [f64::INFINITY, 0.0]] {
        assert!(matches!(tree.add_law(&bad), Err(TreeError::NotALaw { .. })), "{bad:?}");
    }
    assert!(tree.add_law(&[0.5, 0.5]).is_ok() && tree.add_law(&[0.0, 1.0]).is_ok());
    assert_eq!(tree.add_law(&[0.5, 0.5]), Err(TreeError::Full { what: "laws", capacity: 2 }));
}

#[test]
fn labels_of_sources_are_read_and_written() {
    let sources = [Source::LEFT, Source::ABOVE, Source::numbered('H', 1), Source::numbered('V', 10)];
    assert_eq!(sources.map(|source| source.to_string()), ["left", "above", "H1", "V10"]);
    assert_eq!(sources.map(|source| source.to_string().parse()), sources.map(Ok));
    assert_eq!(sources.map(|source| source.family().to_owned()), ["left", "above", "H", "V"]);
    assert_eq!(Source::numbered('D', u32::MAX), Source::numbered('D', 9_999_999));
    for bad in ["", "V 1", "V*1", "überall", "ninechars"] {
        assert!(bad.parse::<Source>().is_err(), "{bad}");
    }
}
