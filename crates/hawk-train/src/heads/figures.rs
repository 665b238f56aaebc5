//! Measures trained heads on the validation images, with the heads that decoding loads.

use hawk::Engine;
use hawk_files::{HeadFigures, Result};
use hawk_nn::{CpuBackend, HeadWorkspace, Heads, SpatialHeads};
use hawk_spec::{Cell, Code, Noise, Purpose};

use crate::heads::dataset::{Dataset, Subset};
use crate::heads::observation::ObservationShape;
use crate::heads::settings::Labels;

/// Candidate ranks that are counted separately.
const RANKS: usize = 8;
/// Rows in one run of the heads.
const ROWS: usize = 64;

/// HeadSums over the cells that one head predicted.
#[derive(Clone, Default)]
struct HeadSums {
    cells: f64,
    cross_entropy: f64,
    overlap: f64,
    matches: [f64; RANKS],
}

/// Measures every head, in order.
///
/// # Errors
/// An image cannot be read, or the heads do not fit the target.
pub(crate) fn measure(engine: &Engine, heads: &Heads, dataset: &Dataset, labels: Labels) -> Result<Vec<HeadFigures>> {
    let (shape, count, cpu) = (dataset.shape(), heads.config().heads.len(), engine.cpu()?);
    let mut measurement = Measurement {
        engine,
        heads,
        shape,
        labels,
        cpu,
        workspace: heads.workspace(cpu.target(), ROWS.max(count), shape.codes)?,
        sums: vec![HeadSums::default(); count],
    };
    for image in dataset.subset(Subset::Validation) {
        let (observation, mut laws) = (dataset.load(image)?, Vec::new());
        observation.append_laws(&mut laws);
        let drawn = dataset.drawn_codes(image, &observation, &laws)?;
        let noise = dataset.noise(image);
        measurement.add_image(&ImageTruth { hidden: &observation.hidden, laws: &laws, drawn: &drawn, noise })?;
    }
    Ok(measurement.sums.into_iter().map(HeadFigures::from).collect())
}

/// Measures a spatial head with the true codes above and to the left of every cell.
///
/// # Errors
/// An image cannot be read.
pub(crate) fn measure_spatial(heads: &SpatialHeads, dataset: &Dataset, labels: Labels) -> Result<HeadFigures> {
    let (ObservationShape { grid, hidden_size, codes }, mut sums) = (dataset.shape(), HeadSums::default());
    let (mut memory, mut noisy) = (heads.memory(), vec![0.0; codes]);
    for image in dataset.subset(Subset::Validation) {
        let (observation, mut laws) = (dataset.load(image)?, Vec::new());
        observation.append_laws(&mut laws);
        let drawn = dataset.drawn_codes(image, &observation, &laws)?;
        memory.start(heads);
        for (cell, (law, hidden)) in (0..).map(Cell).zip(laws.chunks(codes).zip(observation.hidden.chunks(hidden_size)))
        {
            let [above, left] =
                [grid.above(cell), grid.left(cell)].map(|other| other.map(|other| observation.codes[other.index()]));
            if let Some(logits) = memory.logits(heads, cell, above, left) {
                let noise = dataset.noise(image).at(cell, Purpose::Replay);
                noisy.iter_mut().zip(0..).for_each(|(noisy, code)| *noisy = noise.gumbel(Code(code)));
                sums.add(logits, &CellTruth { law, code: drawn[cell.index()], noise: &noisy }, labels);
            }
            memory.see(heads, cell, hidden);
        }
    }
    Ok(sums.into())
}

struct Measurement<'a> {
    engine: &'a Engine,
    heads: &'a Heads,
    shape: ObservationShape,
    labels: Labels,
    cpu: &'a CpuBackend,
    workspace: HeadWorkspace,
    sums: Vec<HeadSums>,
}

/// What the heads should have predicted in an image.
struct ImageTruth<'a> {
    /// `[cells, D]`.
    hidden: &'a [f32],
    /// `[cells, codes]`.
    laws: &'a [f32],
    /// What plain decoding draws at each cell.
    drawn: &'a [Code],
    noise: Noise,
}

/// What a head should have predicted at a cell.
struct CellTruth<'a> {
    /// `[codes]`.
    law: &'a [f32],
    /// What plain decoding draws.
    code: Code,
    /// The cell's replay noise, `[codes]`.
    noise: &'a [f64],
}

impl Measurement<'_> {
    fn add_image(&mut self, truth: &ImageTruth<'_>) -> Result<()> {
        let (shape, offset) = (self.shape, self.engine.config().layout.code_offset() as usize);
        // Sorted by predicted cell, so that the noise of a cell is computed once for all heads.
        let mut predictions = Vec::new();
        for (head, config) in self.heads.config().heads.iter().enumerate() {
            let pairs = (0..shape.cells() as u32)
                .map(Cell)
                .filter_map(|from| Some((config.offset.target(shape.grid, from)?, from)));
            predictions.extend(pairs.map(|(to, from)| (to, from, head)));
        }
        predictions.sort();
        let mut noisy = (None, vec![0.0; shape.codes]);
        for part in predictions.chunks(ROWS) {
            self.workspace.clear();
            for &(_, from, head) in part {
                self.workspace.push(head, &truth.hidden[from.index() * shape.hidden_size..][..shape.hidden_size]);
            }
            let (target, threads) = (self.cpu.target(), self.cpu.threads());
            self.heads.run(target, threads, &mut self.workspace, offset..offset + shape.codes)?;
            for (row, &(to, _, head)) in part.iter().enumerate() {
                if noisy.0 != Some(to) {
                    noisy.0 = Some(to);
                    let of = |code| truth.noise.at(to, Purpose::Replay).gumbel(Code(code));
                    noisy.1.iter_mut().zip(0..).for_each(|(noise, code)| *noise = of(code));
                }
                let law = &truth.laws[to.index() * shape.codes..][..shape.codes];
                let cell = CellTruth { law, code: truth.drawn[to.index()], noise: &noisy.1 };
                self.sums[head].add(self.workspace.logits(row), &cell, self.labels);
            }
        }
        Ok(())
    }
}

impl HeadSums {
    fn add(&mut self, logits: &[f32], truth: &CellTruth<'_>, labels: Labels) {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shifted = |logit: f32| f64::from(logit) - f64::from(highest);
        let log_sum = logits.iter().map(|&logit| shifted(logit).exp()).sum::<f64>().ln();
        let log_q = |code: usize| shifted(logits[code]) - log_sum;
        self.cells += 1.0;
        self.cross_entropy -= match labels {
            Labels::Law => truth.law.iter().enumerate().map(|(code, &p)| f64::from(p) * log_q(code)).sum(),
            Labels::Code => log_q(truth.code.index()),
        };
        self.overlap += truth.law.iter().enumerate().map(|(code, &p)| f64::from(p).min(log_q(code).exp())).sum::<f64>();
        // The rank of the drawn code is the number of codes with a higher score.
        let score = |code: usize| f64::from(logits[code]) + truth.noise[code];
        let drawn = score(truth.code.index());
        let better = (0..logits.len()).filter(|&code| score(code) > drawn).count();
        if let Some(matches) = self.matches.get_mut(better) {
            *matches += 1.0;
        }
    }
}

impl From<HeadSums> for HeadFigures {
    fn from(sums: HeadSums) -> Self {
        Self {
            cross_entropy: sums.cross_entropy / sums.cells,
            // Rounded laws can sum to slightly more than one.
            overlap: (sums.overlap / sums.cells).min(1.0),
            replay_match_by_rank: sums.matches.iter().map(|matches| matches / sums.cells).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_knows_the_law_matches_at_rank_one() {
        let law = [0.5_f32, 0.25, 0.125, 0.125];
        let logits = law.map(f32::ln);
        let mut sums = HeadSums::default();
        for (code, noise) in [(2, [0.0, 0.0, 9.0, 0.0]), (0, [1.0, 0.0, 0.0, 0.0])] {
            sums.add(&logits, &CellTruth { law: &law, code: Code(code), noise: &noise }, Labels::Law);
        }
        // A cell whose code is the head's third candidate.
        sums.add(&logits, &CellTruth { law: &law, code: Code(2), noise: &[0.0, 0.0, 0.1, 0.0] }, Labels::Law);
        let figures = HeadFigures::from(sums);
        let entropy = law.iter().map(|p| -f64::from(*p) * f64::from(*p).ln()).sum::<f64>();
        assert!((figures.cross_entropy - entropy).abs() < 1e-6 && (figures.overlap - 1.0).abs() < 1e-6);
        assert_eq!(figures.replay_match_by_rank[..3], [2.0 / 3.0, 0.0, 1.0 / 3.0]);
    }
}
