//! Spatial heads: guesses of cells that no pass has seen, from the row above.
//!
//! ```text
//! x      = silu(cells[t] + above_0 h(t-C) + above_1 h(t-C+1) + above_2 h(t-C+2) + code_above[a] + code_left[l])
//! logits = codes (out x + out_bias) + code_bias
//! ```
//!
//! h(i) is the target's hidden state that predicts cell i, C the number of columns, a and l the codes above and to
//! the left of cell t. The products with hidden states are made once for a cell of the row above, when it is
//! committed. What is left for a guess is two rows of tables, a small layer, and one product of low rank in whole
//! numbers of 12 bits. All arithmetic is plain Rust in a fixed order: a guess has the same bits on every machine.

use std::fmt;

use hawk_files::{Checkpoint, ModelSource, Result, SpatialConfig, TransformerConfig};
use hawk_kernels::silu;
use hawk_spec::{Cell, Code};

/// Hidden states of the row above that a guess reads.
const ABOVE: usize = 3;
/// Largest whole number that stands for a weight or a state. A sum of 1,024 products fits into 32 bits.
const LARGEST: f32 = 1023.0;

/// Loaded spatial heads of a target.
pub struct SpatialHeads {
    config: SpatialConfig,
    /// `[D, width]`, inputs first.
    above: [Vec<f32>; ABOVE],
    /// `[cells, width]`.
    cells: Vec<f32>,
    /// `[codes, width]`.
    code_above: Vec<f32>,
    code_left: Vec<f32>,
    /// `[rank, width]`.
    out: Vec<f32>,
    out_bias: Vec<f32>,
    /// `[codes, rank]`, in units of `unit`.
    codes: Vec<i16>,
    unit: f32,
    code_bias: Vec<f32>,
}

impl SpatialHeads {
    /// Reads `config.json` and `model.safetensors` in `folder` (`"spatial/"`, or `""` for a folder of their own).
    ///
    /// # Errors
    /// A file that is missing or damaged, heads of another hidden size than the target, a tensor that is missing or
    /// does not fit.
    pub fn load(source: &ModelSource, folder: &str, target: &TransformerConfig) -> Result<Self> {
        Self::from_checkpoint(SpatialConfig::read(source, folder, target)?, &Checkpoint::open(source, folder)?)
    }

    fn from_checkpoint(config: SpatialConfig, checkpoint: &Checkpoint) -> Result<Self> {
        let SpatialConfig { hidden, width, rank, codes, .. } = config;
        let numbers = |name: &str, shape: &[usize]| checkpoint.tensor(name, shape).map(|tensor| tensor.to_f32());
        let inputs_first = |name: &str| -> Result<Vec<f32>> {
            let weights = numbers(name, &[width, hidden])?;
            Ok((0..hidden).flat_map(|input| weights.iter().skip(input).step_by(hidden).copied()).collect())
        };
        let scores: Vec<f32> = numbers("codes", &[codes, rank])?;
        let unit = whole_unit(&scores);
        Ok(Self {
            above: [inputs_first("above.0")?, inputs_first("above.1")?, inputs_first("above.2")?],
            cells: numbers("cells", &[config.grid.cells() as usize, width])?,
            code_above: numbers("code_above", &[codes, width])?,
            code_left: numbers("code_left", &[codes, width])?,
            out: numbers("out", &[rank, width])?,
            out_bias: numbers("out_bias", &[rank])?,
            codes: scores.iter().map(|x| (x / unit).round() as i16).collect(),
            unit,
            code_bias: numbers("code_bias", &[codes])?,
            config,
        })
    }

    /// Sizes, grid, target, measured figures.
    #[must_use]
    pub fn config(&self) -> &SpatialConfig {
        &self.config
    }

    /// Bytes of the weights.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows = self.above.iter().map(Vec::len).sum::<usize>();
        let tables = self.cells.len() + self.code_above.len() + self.code_left.len() + self.code_bias.len();
        size_of::<f32>() * (rows + tables + self.out.len() + self.out_bias.len()) + size_of_val(&*self.codes)
    }

    /// Memory for the guesses of one image.
    #[must_use]
    pub fn memory(&self) -> SpatialMemory {
        let cells = self.config.grid.cells() as usize;
        SpatialMemory {
            rows: vec![0.0; cells * self.config.width],
            seen: vec![0; cells],
            state: vec![0.0; self.config.width],
            whole: vec![0; self.config.rank],
            low: vec![0.0; self.config.rank],
            logits: vec![0.0; self.config.codes],
        }
    }
}

impl fmt::Debug for SpatialHeads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpatialHeads").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The unit in which the largest of some numbers is [`LARGEST`].
fn whole_unit(numbers: &[f32]) -> f32 {
    let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    if largest > 0.0 { largest / LARGEST } else { 1.0 }
}

/// What an image has shown to spatial heads, and memory for a guess. Allocated once.
#[derive(Clone, Debug)]
pub struct SpatialMemory {
    /// What the row above says of each cell, `[cells, width]`.
    rows: Vec<f32>,
    /// Hidden states that are in it.
    seen: Vec<usize>,
    state: Vec<f32>,
    low: Vec<f32>,
    whole: Vec<i16>,
    logits: Vec<f32>,
}

impl SpatialMemory {
    /// Bytes of the memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let numbers = self.rows.len() + self.state.len() + self.low.len() + self.logits.len();
        numbers * size_of::<f32>() + size_of_val(&*self.seen) + size_of_val(&*self.whole)
    }

    /// Begins an image.
    pub fn start(&mut self, heads: &SpatialHeads) {
        self.rows.copy_from_slice(&heads.cells);
        self.seen.fill(0);
    }

    /// Takes the hidden state `[D]` that has predicted a committed cell. Each cell is taken once, in raster order.
    ///
    /// # Panics
    /// `hidden` has another width than the heads.
    pub fn see(&mut self, heads: &SpatialHeads, cell: Cell, hidden: &[f32]) {
        let SpatialConfig { hidden: inputs, width, grid, .. } = heads.config;
        assert_eq!(hidden.len(), inputs);
        for (back, weights) in heads.above.iter().enumerate() {
            let below = cell.index() + grid.cols() as usize - back;
            let Some(row) = self.rows.chunks_exact_mut(width).nth(below) else { continue };
            for (x, weights) in hidden.iter().zip(weights.chunks_exact(width)) {
                row.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
            }
            self.seen[below] += 1;
        }
    }

    /// The logits of a cell, `[codes]`, given the codes above and to the left; none where a part of the row above
    /// was not seen.
    pub fn logits(
        &mut self,
        heads: &SpatialHeads,
        cell: Cell,
        above: Option<Code>,
        left: Option<Code>,
    ) -> Option<&[f32]> {
        let SpatialConfig { width, rank, grid, .. } = heads.config;
        let expected = (cell.index() + ABOVE).saturating_sub(grid.cols() as usize).min(ABOVE);
        if self.seen[cell.index()] != expected {
            return None;
        }
        self.state.copy_from_slice(&self.rows[cell.index() * width..][..width]);
        for (table, code) in [(&heads.code_above, above), (&heads.code_left, left)] {
            let Some(code) = code else { continue };
            let row = &table[code.index() * width..][..width];
            self.state.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        silu(&mut self.state);
        for ((low, weights), bias) in self.low.iter_mut().zip(heads.out.chunks_exact(width)).zip(&heads.out_bias) {
            *low = bias + dot(weights, &self.state);
        }
        let unit = whole_unit(&self.low);
        self.whole.iter_mut().zip(&self.low).for_each(|(whole, x)| *whole = (x / unit).round() as i16);
        let unit = unit * heads.unit;
        let rows = heads.codes.chunks_exact(rank).zip(&heads.code_bias);
        for (logit, (weights, bias)) in self.logits.iter_mut().zip(rows) {
            let sum: i32 = weights.iter().zip(&self.whole).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
            *logit = unit * sum as f32 + bias;
        }
        Some(&self.logits)
    }
}

/// A sum of products in eight lanes, so that it fits vector instructions in one order everywhere.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use hawk_spec::Grid;

    use super::*;

    const HIDDEN: usize = 5;

    fn number(salt: usize, i: usize) -> f32 {
        ((i * 7919 + salt * 104_729) % 1009) as f32 / 1009.0 - 0.5
    }

    fn numbers(salt: usize, count: usize) -> Vec<f32> {
        (0..count).map(|i| number(salt, i)).collect()
    }

    fn heads(codes: &[f32]) -> SpatialHeads {
        let (width, rank, count) = (11, 4, codes.len() / 4);
        let unit = whole_unit(codes);
        SpatialHeads {
            config: SpatialConfig {
                hidden: HIDDEN,
                width,
                rank,
                codes: count,
                grid: Grid::new(3, 4).unwrap(),
                target_name: String::new(),
                target_digest: String::new(),
                validation: None,
            },
            above: [1, 2, 3].map(|salt| numbers(salt, HIDDEN * width)),
            cells: numbers(4, 12 * width),
            code_above: numbers(5, count * width),
            code_left: numbers(6, count * width),
            out: numbers(7, rank * width),
            out_bias: numbers(8, rank),
            codes: codes.iter().map(|x| (x / unit).round() as i16).collect(),
            unit,
            code_bias: numbers(9, count),
        }
    }

    /// The formula as it stands.
    fn formula(heads: &SpatialHeads, codes: &[f32], cell: usize, [above, left]: [Option<usize>; 2]) -> Vec<f32> {
        let SpatialConfig { width, rank, .. } = heads.config;
        let state: Vec<f64> = (0..width)
            .map(|i| {
                let mut sum = f64::from(heads.cells[cell * width + i]);
                for back in 0..ABOVE {
                    let Some(from) = (cell + back).checked_sub(4) else { continue };
                    for (j, x) in numbers(100 + from, HIDDEN).iter().enumerate() {
                        sum += f64::from(*x) * f64::from(heads.above[back][j * width + i]);
                    }
                }
                sum += above.map_or(0.0, |code| f64::from(heads.code_above[code * width + i]));
                sum += left.map_or(0.0, |code| f64::from(heads.code_left[code * width + i]));
                sum / (1.0 + (-sum).exp())
            })
            .collect();
        let low = |k: usize| {
            let sum: f64 = (0..width).map(|i| f64::from(heads.out[k * width + i]) * state[i]).sum();
            sum + f64::from(heads.out_bias[k])
        };
        let low: Vec<f64> = (0..rank).map(low).collect();
        let score = |(rows, bias): (&[f32], &f32)| {
            let sum: f64 = rows.iter().zip(&low).map(|(a, b)| f64::from(*a) * b).sum();
            (sum + f64::from(*bias)) as f32
        };
        codes.chunks(rank).zip(&heads.code_bias).map(score).collect()
    }

    #[test]
    fn guesses_follow_the_formula_and_wait_for_the_row_above() {
        let codes = numbers(10, 7 * 4);
        let heads = heads(&codes);
        let mut memory = heads.memory();
        for image in 0..2 {
            memory.start(&heads);
            for cell in 0..12 {
                let neighbours = [(cell >= 4).then_some(cell % 7), (cell % 4 > 0).then_some((cell + image) % 7)];
                let [above, left] = neighbours.map(|code| code.map(|code| Code(code as u32)));
                let logits = memory.logits(&heads, Cell(cell as u32), above, left).unwrap().to_vec();
                let wanted = formula(&heads, &codes, cell, neighbours);
                let near = |(a, b): (&f32, &f32)| (a - b).abs() < 5e-3;
                assert!(logits.iter().zip(&wanted).all(near), "cell {cell}: {logits:?} {wanted:?}");
                // Nothing above the next cell but one to the right is known yet.
                if (2..10).contains(&cell) {
                    assert!(memory.logits(&heads, Cell(cell as u32 + 2), above, left).is_none(), "cell {cell}");
                }
                memory.see(&heads, Cell(cell as u32), &numbers(100 + cell, HIDDEN));
            }
        }
    }

    #[test]
    fn heads_of_zeros_have_a_law_too() {
        let heads = heads(&[0.0; 8]);
        let mut memory = heads.memory();
        memory.start(&heads);
        assert_eq!(memory.logits(&heads, Cell(0), None, None).unwrap(), heads.code_bias);
    }
}
