//! The target's laws of open cells, as earlier passes left them: the best codes of each, and the codes
//! that the pass had before the cell.

use hawk_spec::{Cell, Code};

/// Best codes of a law that are kept.
pub(super) const RANKS: usize = 4;
/// Most laws of a cell that are kept. More did not help (see `docs/performance.md`).
pub(super) const MOST_KEPT: usize = 3;

/// A law of an earlier pass.
#[derive(Clone, Copy, Debug)]
struct Law {
    cell: Cell,
    /// The first cell of its context, which ends before `cell`.
    first: Cell,
    /// Passes since the one that gave it.
    age: u32,
    best: [(f64, Code); RANKS],
    ranks: usize,
}

/// How well the context of a law agrees with the codes that now stand before its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Disagreement {
    /// Codes that differ, one more where the code just before the cell does.
    weight: usize,
    /// Passes since the law's.
    age: u32,
    before: Before,
}

/// The code just before a cell, where a law of the cell was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Before {
    /// It is the one that now stands there.
    Kept,
    /// It was another one. The law is a poor guess then, whatever stands further away.
    Changed,
}

/// A law that was found, by its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    place: usize,
    /// The code just before the cell.
    pub(super) before: Before,
}

/// The laws of up to N cells that follow each other.
pub(super) struct Laws {
    /// `[N, kept]`; cell i has row i mod N.
    laws: Vec<Option<Law>>,
    /// `[N, kept, N]`.
    contexts: Vec<Code>,
    /// `[N, kept, codes]` where the rule reads draft laws, else empty.
    probabilities: Vec<f64>,
    cells: usize,
    /// Laws of a cell.
    kept: usize,
    codes: usize,
}

impl Laws {
    /// Room for `kept` laws of each of `cells` cells, with the probabilities of `codes` codes, which may be 0.
    pub(super) fn new(cells: usize, kept: usize, codes: usize) -> Self {
        let laws = cells * kept;
        Self {
            laws: vec![None; laws],
            contexts: vec![Code(0); laws * cells],
            probabilities: vec![0.0; laws * codes],
            cells,
            kept,
            codes,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.laws) + size_of_val(&*self.contexts) + size_of_val(&*self.probabilities)
    }

    pub(super) fn clear(&mut self) {
        self.laws.fill(None);
    }

    /// A pass is over: every law is a pass older.
    pub(super) fn age(&mut self) {
        self.laws.iter_mut().flatten().for_each(|law| law.age += 1);
    }

    /// Keeps the law of a cell, given the codes from `first` on, in place of the oldest one. The law
    /// is dropped where those of this pass take all places.
    pub(super) fn put(&mut self, cell: Cell, first: Cell, context: impl Iterator<Item = Code>) -> Option<Kept<'_>> {
        let row = self.row(cell);
        let age = |law: &Option<Law>| law.filter(|law| law.cell == cell).map_or(u32::MAX, |law| law.age);
        let place = row.max_by_key(|&place| (age(&self.laws[place]), usize::MAX - place))?;
        if age(&self.laws[place]) == 0 {
            return None;
        }
        let law = Law { cell, first, age: 0, best: [(0.0, Code(0)); RANKS], ranks: 0 };
        self.contexts[place * self.cells..][..self.cells].iter_mut().zip(context).for_each(|(to, code)| *to = code);
        let probabilities = &mut self.probabilities[place * self.codes..][..self.codes];
        Some(Kept { law: self.laws[place].insert(law), probabilities })
    }

    /// The law of a cell whose context agrees best with the codes before the cell, the newest of equals.
    pub(super) fn find(&self, cell: Cell, code_of: impl Fn(Cell) -> Option<Code>) -> Option<Found> {
        let disagreement = |place: usize| {
            let law = self.laws[place].filter(|law| law.cell == cell)?;
            let context = &self.contexts[place * self.cells..][..cell.index() - law.first.index()];
            let wrong = |(at, code): (u32, &Code)| code_of(Cell(at)) != Some(*code);
            let count = (law.first.0..).zip(context).filter(|pair| wrong(*pair)).count();
            let changed = context.last().is_some_and(|code| wrong((cell.0 - 1, code)));
            let before = if changed { Before::Changed } else { Before::Kept };
            Some(Disagreement { weight: count + usize::from(changed), age: law.age, before })
        };
        let known = self.row(cell).filter_map(|place| Some((disagreement(place)?, place)));
        known.min().map(|(Disagreement { before, .. }, place)| Found { place, before })
    }

    /// The best codes of a law, each with its score plus noise.
    pub(super) fn best(&self, found: Found) -> &[(f64, Code)] {
        self.laws[found.place].as_ref().map_or(&[], |law| &law.best[..law.ranks])
    }

    /// The probabilities of a law, `[codes]`, where they are kept.
    pub(super) fn probabilities(&self, found: Found) -> &[f64] {
        &self.probabilities[found.place * self.codes..][..self.codes]
    }

    fn row(&self, cell: Cell) -> impl Iterator<Item = usize> + use<> {
        let row = cell.index() % self.cells * self.kept;
        row..row + self.kept
    }
}

/// A law that was just put, to be filled.
pub(super) struct Kept<'a> {
    law: &'a mut Law,
    /// Its probabilities, `[codes]`, where they are kept.
    pub(super) probabilities: &'a mut [f64],
}

impl Kept<'_> {
    /// Sets the best codes, best first; those after [`RANKS`] are left out.
    pub(super) fn set_best(&mut self, best: &[(f64, Code)]) {
        self.law.ranks = best.len().min(RANKS);
        self.law.best[..self.law.ranks].copy_from_slice(&best[..self.law.ranks]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts a law of cell 5 with the codes of cells 2, 3 and 4 before it.
    fn put(laws: &mut Laws, context: [u32; 3], best: u32) -> bool {
        let kept = laws.put(Cell(5), Cell(2), context.into_iter().map(Code));
        kept.map(|mut kept| kept.set_best(&[(1.0, Code(best))])).is_some()
    }

    fn found(laws: &Laws, codes: [u32; 3]) -> Option<(u32, Before)> {
        let found = laws.find(Cell(5), |cell| codes.get(cell.index() - 2).map(|code| Code(*code)))?;
        Some((laws.best(found)[0].1.0, found.before))
    }

    #[test]
    fn the_law_of_the_nearest_context_is_found() {
        let mut laws = Laws::new(4, MOST_KEPT, 0);
        assert_eq!(found(&laws, [1, 2, 3]), None);
        assert!(put(&mut laws, [1, 2, 3], 10) && put(&mut laws, [9, 9, 3], 11) && put(&mut laws, [1, 2, 9], 12));
        assert_eq!(found(&laws, [1, 2, 3]), Some((10, Before::Kept)));
        assert_eq!(found(&laws, [9, 9, 3]), Some((11, Before::Kept)));
        assert_eq!(found(&laws, [1, 2, 9]), Some((12, Before::Kept)));
        // One code differs; then also the one just before the cell, which weighs twice.
        assert_eq!(found(&laws, [7, 2, 3]), Some((10, Before::Kept)));
        assert_eq!(found(&laws, [1, 2, 7]), Some((10, Before::Changed)));
        assert_eq!(laws.find(Cell(9), |_| None).map(|found| found.before), None, "another cell of the same row");
    }

    #[test]
    fn new_laws_take_the_places_of_old_ones_and_of_other_cells() {
        let mut laws = Laws::new(4, MOST_KEPT, 0);
        assert!((10..13).all(|best| put(&mut laws, [best, 2, 3], best)));
        assert!(!put(&mut laws, [13, 2, 3], 13), "laws of this pass have all places");
        laws.age();
        assert!(put(&mut laws, [13, 2, 3], 13));
        assert_eq!(found(&laws, [13, 2, 3]), Some((13, Before::Kept)));
        assert_eq!(found(&laws, [12, 2, 3]), Some((12, Before::Kept)), "the old ones stay");
        assert!(laws.put(Cell(9), Cell(8), [Code(1)].into_iter()).is_some());
        laws.clear();
        assert_eq!(found(&laws, [13, 2, 3]), None);
    }

    #[test]
    fn probabilities_stay_with_their_law() {
        let mut laws = Laws::new(2, MOST_KEPT, 2);
        for (context, law) in [(1, [0.25, 0.75]), (2, [1.0, 0.0])] {
            let mut kept = laws.put(Cell(1), Cell(0), [Code(context)].into_iter()).unwrap();
            kept.probabilities.copy_from_slice(&law);
            kept.set_best(&[]);
        }
        let law = |context| laws.find(Cell(1), |_| Some(Code(context))).map(|found| laws.probabilities(found));
        assert_eq!((law(1), law(2)), (Some(&[0.25, 0.75][..]), Some(&[1.0, 0.0][..])));
    }
}
