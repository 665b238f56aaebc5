//! A spatial head as a burn module. `hawk_nn::SpatialHeads` says what it computes; names and layout are those that
//! it reads.
//!
//! While it learns, codes are known by their rows of the target's output projection, so that what is learnt of one
//! code serves its neighbours. The file has the products: a table for each code.

use burn::module::{Module, Param};
use burn::tensor::activation::{log_softmax, silu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use hawk_files::Result;
use hawk_spec::{Cell, Grid, philox4x32_10};

use crate::heads::module::{HeadsBatch, LearnsCells};
use crate::run::params::{self, NamedTensor, read};

/// Numbers of the hidden layer, and numbers that the codes are scored from.
pub(crate) const WIDTH: usize = 128;
pub(crate) const RANK: usize = 64;
/// Hidden states of the row above.
const ABOVE: usize = 3;

/// A spatial head.
#[derive(Module, Debug)]
pub(crate) struct SpatialHead {
    /// `[WIDTH, D]` each.
    above: Vec<Param<Tensor<2>>>,
    /// `[cells, WIDTH]`.
    cells: Param<Tensor<2>>,
    /// `[WIDTH, D]`, for the code above and the code to the left.
    code_above: Param<Tensor<2>>,
    code_left: Param<Tensor<2>>,
    /// `[RANK, WIDTH]`.
    out: Param<Tensor<2>>,
    /// `[RANK]`.
    out_bias: Param<Tensor<1>>,
    /// `[RANK, D]`.
    codes: Param<Tensor<2>>,
    /// `[codes]`.
    code_bias: Param<Tensor<1>>,
}

/// The numbers of the target that a head depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpatialSizes {
    pub(crate) hidden: usize,
    pub(crate) grid: Grid,
    pub(crate) codes: usize,
}

impl SpatialHead {
    /// A head whose law is uniform: what its hidden layer says counts nothing yet.
    ///
    /// # Errors
    /// None that occur in practice.
    pub(crate) fn new(sizes: SpatialSizes, device: &Device) -> Result<Self> {
        let SpatialSizes { hidden, grid, codes } = sizes;
        let matrix = |rows, columns| Param::from_tensor(Tensor::<2>::zeros([rows, columns], device));
        let vector = |length| Param::from_tensor(Tensor::<1>::zeros([length], device));
        let head = Self {
            above: (0..ABOVE).map(|_| matrix(WIDTH, hidden)).collect(),
            cells: matrix(grid.cells() as usize, WIDTH),
            code_above: matrix(WIDTH, hidden),
            code_left: matrix(WIDTH, hidden),
            out: matrix(RANK, WIDTH),
            out_bias: vector(RANK),
            codes: matrix(RANK, hidden),
            code_bias: vector(codes),
        };
        let mut salt = 0;
        params::fill(head, &mut |name, shape| {
            salt += 1;
            let count = shape.iter().product();
            let starts = name.starts_with("above") || name == "code_above" || name == "code_left" || name == "codes";
            Ok(if starts { random(count, salt, 1.0 / (hidden as f32).sqrt()) } else { vec![0.0; count] })
        })
    }

    /// The logits `[rows, codes]` of all cells of a batch. `projection` is scaled as
    /// [`scaled_projection`] does.
    pub(crate) fn logits(&self, batch: &HeadsBatch, projection: &Tensor<2>) -> Tensor<2> {
        let (rows, [width, codes], device) = (batch.codes.len(), projection.dims(), projection.device());
        let (grid, cells) = (batch.grid, batch.grid.cells() as usize);
        let none = || Tensor::<2>::zeros([1, width], &device);
        // The last row stands for what is not there.
        let hidden = Tensor::cat(vec![batch.hidden.clone(), none()], 0);
        let known = Tensor::cat(vec![projection.clone().transpose(), none()], 0);
        let of_rows = |place: &dyn Fn(usize, usize) -> i64| {
            let all: Vec<i64> = (0..rows).map(|row| place(row / cells * cells, row % cells)).collect();
            Tensor::<1, Int>::from_data(TensorData::new(all, [rows]), &device)
        };
        let mut state = self.cells.val().select(0, of_rows(&|_, cell| cell as i64));
        for (right, weights) in self.above.iter().enumerate() {
            let place = |first: usize, cell: usize| match (cell + right).checked_sub(grid.cols() as usize) {
                Some(above) => (first + above) as i64,
                None => rows as i64,
            };
            state = state + hidden.clone().select(0, of_rows(&place)).matmul(weights.val().transpose());
        }
        let (above, left) = (|cell| grid.above(cell), |cell| grid.left(cell));
        let above: &dyn Fn(Cell) -> Option<Cell> = &above;
        for (neighbour, weights) in [(above, &self.code_above), (&left, &self.code_left)] {
            let code = |first: usize, cell: usize| {
                neighbour(Cell(cell as u32)).map_or(codes as i64, |cell| batch.codes[first + cell.index()])
            };
            state = state + known.clone().select(0, of_rows(&code)).matmul(weights.val().transpose());
        }
        let low = silu(state).matmul(self.out.val().transpose()) + self.out_bias.val().unsqueeze();
        low.matmul(self.codes.val().matmul(projection.clone())) + self.code_bias.val().unsqueeze()
    }

    /// The tensors of the file.
    ///
    /// # Errors
    /// They cannot be read from the device.
    pub(crate) fn tensors(&self, projection: &Tensor<2>) -> Result<Vec<NamedTensor>> {
        let mut tensors = params::collect(self)?;
        let known = projection.clone().transpose();
        for (name, weights) in
            [("code_above", &self.code_above), ("code_left", &self.code_left), ("codes", &self.codes)]
        {
            let table = known.clone().matmul(weights.val().transpose());
            let (shape, values) = (table.dims().to_vec(), read(table.into_data())?);
            if let Some(tensor) = tensors.iter_mut().find(|tensor| tensor.name == name) {
                (tensor.shape, tensor.values) = (shape, values);
            }
        }
        Ok(tensors)
    }
}

impl LearnsCells for SpatialHead {
    fn losses(&self, batch: &HeadsBatch, projection: &Tensor<2>) -> Vec<Tensor<1>> {
        let law = log_softmax(self.logits(batch, projection), 1);
        vec![(law * batch.labels.clone()).sum_dim(1).mean().neg()]
    }
}

/// The target's output projection, scaled so that its numbers have a mean square of 1.
pub(crate) fn scaled_projection(mut projection: Vec<f32>) -> Vec<f32> {
    let squares: f64 = projection.iter().map(|x| f64::from(x * x)).sum();
    let scale = (squares / projection.len().max(1) as f64).sqrt() as f32;
    if scale > 0.0 {
        projection.iter_mut().for_each(|x| *x /= scale);
    }
    projection
}

/// Numbers of a uniform distribution with a mean square of `scale` squared.
fn random(count: usize, salt: u32, scale: f32) -> Vec<f32> {
    let of = |i: usize| philox4x32_10([0x5350, salt], [i as u32, 0, 0, 0])[0] as f32 / u32::MAX as f32 - 0.5;
    (0..count).map(|i| of(i) * scale * 12.0_f32.sqrt()).collect()
}
