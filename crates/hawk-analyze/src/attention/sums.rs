//! Sums of attention by offset. Their size depends on the grid and the length of a sequence alone.

use hawk::{Attention, Cell, Grid, SequenceParts};
use serde::{Deserialize, Serialize};

use crate::watch::bits;

/// Where attention goes, for its shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first token of the sequence.
    Sink,
    /// The other tokens of the prompt.
    Text,
    /// Structure tokens: opening, ends of rows.
    Structure,
    /// Two rows up and further.
    FurtherRows,
    /// The row above.
    RowAbove,
    /// The current row, left of the token.
    CurrentRow,
    /// The token itself.
    Own,
}

impl Part {
    /// All parts, in the order of the sums.
    pub const ALL: [Part; 7] =
        [Part::Sink, Part::Text, Part::Structure, Part::FurtherRows, Part::RowAbove, Part::CurrentRow, Part::Own];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Sink => "first token",
            Part::Text => "text",
            Part::Structure => "structure",
            Part::FurtherRows => "further rows",
            Part::RowAbove => "row above",
            Part::CurrentRow => "current row",
            Part::Own => "itself",
        }
    }
}

/// Sums of one kind of offset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Offsets {
    /// Pairs of tokens.
    pub pairs: Vec<u64>,
    /// Sums of the weights.
    #[serde(with = "bits")]
    pub weights: Vec<f64>,
    /// Sums of the logits.
    #[serde(with = "bits")]
    pub logits: Vec<f64>,
}

impl Offsets {
    fn add(&mut self, at: usize, weight: f32, logit: f32) {
        if self.pairs.len() <= at {
            self.pairs.resize(at + 1, 0);
            self.weights.resize(at + 1, 0.0);
            self.logits.resize(at + 1, 0.0);
        }
        self.pairs[at] += 1;
        self.weights[at] += f64::from(weight);
        self.logits[at] += f64::from(logit);
    }

    /// The mean weight at an offset; none where there was no pair.
    #[must_use]
    pub fn weight(&self, at: usize) -> Option<f64> {
        self.mean(at, &self.weights)
    }

    /// The mean logit at an offset.
    #[must_use]
    pub fn logit(&self, at: usize) -> Option<f64> {
        self.mean(at, &self.logits)
    }

    fn mean(&self, at: usize, sums: &[f64]) -> Option<f64> {
        let pairs = *self.pairs.get(at)?;
        (pairs > 0).then(|| sums[at] / pairs as f64)
    }
}

/// Sums by distance and on the plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ByOffset {
    /// By distance in tokens, the sequence's first token left out.
    pub distance: Offsets,
    /// By rows up and columns, `[row up][column + C - 1]`.
    pub plane: Offsets,
}

/// How fine the sums are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// One sum over all layers and heads.
    Mean,
    /// Sums of every layer and head besides.
    EveryHead,
}

/// All sums of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionSums {
    layers: usize,
    heads: usize,
    /// Over layers and heads.
    pub all: ByOffset,
    /// Layer by layer, head by head; empty unless asked for.
    pub each: Vec<ByOffset>,
    /// Sums of the shares, of tokens that have a row above, `[layer * heads + head][part]`.
    #[serde(with = "bits")]
    shares: Vec<f64>,
    /// Tokens of each layer and head in the shares.
    tokens: u64,
}

/// What the tokens of an image's sequence are.
pub struct ImagePlan {
    grid: Grid,
    /// The cell of each token, or what else it is.
    tokens: Vec<Token>,
}

#[derive(Clone, Copy)]
enum Token {
    Other(Part),
    Cell(Cell),
}

impl ImagePlan {
    /// The plan of an image on a grid.
    #[must_use]
    pub fn new(grid: Grid, parts: &SequenceParts) -> Self {
        let length = parts.cells.last().map_or(parts.opening.end, |last| last + 1);
        let mut tokens = vec![Token::Other(Part::Structure); length];
        tokens[parts.prompt.clone()].fill(Token::Other(Part::Text));
        tokens[0] = Token::Other(Part::Sink);
        for (cell, &token) in (0..).map(Cell).zip(&parts.cells) {
            tokens[token] = Token::Cell(cell);
        }
        Self { grid, tokens }
    }
}

impl AttentionSums {
    /// Sums without a token.
    #[must_use]
    pub fn new(layers: usize, heads: usize, detail: Detail) -> Self {
        let each = if detail == Detail::EveryHead { layers * heads } else { 0 };
        Self {
            layers,
            heads,
            all: ByOffset::default(),
            each: vec![ByOffset::default(); each],
            shares: vec![0.0; layers * heads * Part::ALL.len()],
            tokens: 0,
        }
    }

    /// Layers of the model.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Query heads of a layer.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Adds what a token of an image attends to. Tokens that are no cells are passed over.
    pub fn add_image_row(&mut self, plan: &ImagePlan, row: &Attention<'_>) {
        let Some(Token::Cell(cell)) = plan.tokens.get(row.token).copied() else { return };
        let (index, grid) = (row.layer * self.heads + row.head, plan.grid);
        let (own_row, own_column, columns) = (grid.row(cell), grid.col(cell), grid.cols());
        let counts = own_row > 0;
        if counts && index == 0 {
            self.tokens += 1;
        }
        for (token, (&weight, &logit)) in row.weights.iter().zip(row.logits).enumerate() {
            if token > 0 {
                self.add(index, Kind::Distance, row.token - token, weight, logit);
            }
            let part = match plan.tokens[token] {
                Token::Other(part) => part,
                Token::Cell(other) => {
                    let up = own_row - grid.row(other);
                    let column = grid.col(other) + columns - 1 - own_column;
                    self.add(index, Kind::Plane, (up * (2 * columns - 1) + column) as usize, weight, logit);
                    match up {
                        _ if other == cell => Part::Own,
                        0 => Part::CurrentRow,
                        1 => Part::RowAbove,
                        _ => Part::FurtherRows,
                    }
                }
            };
            if counts {
                *self.share_of(index, part) += f64::from(weight);
            }
        }
    }

    /// Adds what a token of a text attends to.
    pub fn add_text_row(&mut self, row: &Attention<'_>) {
        let index = row.layer * self.heads + row.head;
        for (token, (&weight, &logit)) in row.weights.iter().zip(row.logits).enumerate().skip(1) {
            self.add(index, Kind::Distance, row.token - token, weight, logit);
        }
        if row.token > 0 {
            self.tokens += u64::from(index == 0);
            *self.share_of(index, Part::Sink) += f64::from(row.weights[0]);
            *self.share_of(index, Part::Own) += f64::from(row.weights[row.token]);
            let between: f64 = row.weights[1..row.token].iter().copied().map(f64::from).sum();
            *self.share_of(index, Part::Text) += between;
        }
    }

    fn share_of(&mut self, index: usize, part: Part) -> &mut f64 {
        &mut self.shares[index * Part::ALL.len() + part as usize]
    }

    fn add(&mut self, index: usize, kind: Kind, at: usize, weight: f32, logit: f32) {
        let of = |sums: &mut ByOffset| match kind {
            Kind::Distance => sums.distance.add(at, weight, logit),
            Kind::Plane => sums.plane.add(at, weight, logit),
        };
        of(&mut self.all);
        self.each.get_mut(index).into_iter().for_each(of);
    }

    /// The share of the mass that goes to a part in one head, mean over the tokens that have a row above (in text: all
    /// but the first).
    #[must_use]
    pub fn share(&self, layer: usize, head: usize, part: Part) -> f64 {
        self.shares[(layer * self.heads + head) * Part::ALL.len() + part as usize] / self.tokens.max(1) as f64
    }

    /// As [`share`](Self::share), mean over heads.
    #[must_use]
    pub fn layer_share(&self, layer: usize, part: Part) -> f64 {
        (0..self.heads).map(|head| self.share(layer, head, part)).sum::<f64>() / self.heads as f64
    }

    /// As [`share`](Self::share), mean over layers and heads.
    #[must_use]
    pub fn mean_share(&self, part: Part) -> f64 {
        (0..self.layers).map(|layer| self.layer_share(layer, part)).sum::<f64>() / self.layers as f64
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Distance,
    Plane,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prompt of two tokens, one opening token, then rows of two cells that end with a token.
    fn plan() -> ImagePlan {
        let parts = SequenceParts { prompt: 0..2, opening: 2..3, cells: vec![3, 4, 6, 7] };
        ImagePlan::new(Grid::new(2, 2).unwrap(), &parts)
    }

    fn row<'a>(token: usize, weights: &'a [f32], logits: &'a [f32]) -> Attention<'a> {
        Attention { layer: 0, head: 0, token, weights, logits }
    }

    #[test]
    fn every_weight_comes_to_its_offset_and_part() {
        let mut sums = AttentionSums::new(1, 1, Detail::EveryHead);
        let weights = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.17, 0.2];
        let logits = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        sums.add_image_row(&plan(), &row(5, &weights[..6], &logits[..6]));
        assert_eq!(sums.all, ByOffset::default(), "the end of a row is no cell");
        sums.add_image_row(&plan(), &row(7, &weights, &logits));
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        for (part, want) in Part::ALL.into_iter().zip([0.01, 0.02, 0.04 + 0.32, 0.0, 0.08 + 0.16, 0.17, 0.2]) {
            close(sums.mean_share(part), want);
        }
        // Straight above is one row up in the same column.
        close(sums.all.plane.weight(3 + 1).unwrap(), 0.16);
        close(sums.all.plane.weight(3).unwrap(), 0.08);
        close(sums.all.plane.weight(1).unwrap(), 0.2);
        close(sums.all.plane.logit(0).unwrap(), 6.0);
        assert_eq!(sums.all.plane.weight(2), None);
        close(sums.all.distance.weight(3).unwrap(), 0.16);
        assert_eq!(sums.all.distance.weight(7), None, "the first token stands apart");
        assert_eq!(sums.each[0], sums.all);
    }

    #[test]
    fn shares_are_of_cells_with_a_row_above_and_sum_to_one() {
        let mut sums = AttentionSums::new(1, 1, Detail::Mean);
        let flat = |count: usize| vec![1.0 / count as f32; count];
        for token in [3, 4, 6, 7] {
            let weights = flat(token + 1);
            sums.add_image_row(&plan(), &row(token, &weights, &weights));
        }
        let all: f64 = Part::ALL.into_iter().map(|part| sums.mean_share(part)).sum();
        assert!((all - 1.0).abs() < 1e-6 && sums.tokens == 2, "{all}");
        assert_eq!(sums.all.distance.pairs[1], 4);
    }

    #[test]
    fn a_text_has_distances_and_a_sink() {
        let mut sums = AttentionSums::new(1, 1, Detail::Mean);
        sums.add_text_row(&row(0, &[1.0], &[0.0]));
        sums.add_text_row(&row(2, &[0.5, 0.3, 0.2], &[1.0, 2.0, 3.0]));
        assert!((sums.mean_share(Part::Sink) - 0.5).abs() < 1e-6);
        assert!((sums.all.distance.weight(1).unwrap() - 0.3).abs() < 1e-6);
        assert_eq!(sums.all.distance.logit(0), Some(3.0));
        assert_eq!(sums.all.distance.weight(2), None);
    }
}
