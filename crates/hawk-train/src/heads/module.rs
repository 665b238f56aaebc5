//! The heads as a burn module. Blocks, names and layout are those that `hawk_nn::Heads` reads.

use burn::module::{Module, Param};
use burn::tensor::activation::{log_softmax, silu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use hawk_files::Result;
use hawk_spec::Grid;

use crate::run::params;

/// A residual block: `h + silu(W h + b)`.
#[derive(Module, Debug)]
pub(crate) struct Block {
    /// `[D, D]`, outputs first, as in the file.
    weight: Param<Tensor<2>>,
    /// `[D]`.
    bias: Param<Tensor<1>>,
}

/// The blocks of all heads.
#[derive(Module, Debug)]
pub(crate) struct HeadBlocks {
    heads: Vec<Block>,
}

/// What the trainer asks of heads.
pub(crate) trait LearnsCells: Module {
    /// The mean cross-entropy `[1]` of each head. `projection` is the target's output projection, `[D, codes]`.
    fn losses(&self, batch: &HeadsBatch, projection: &Tensor<2>) -> Vec<Tensor<1>>;
}

/// The cells of several images.
pub(crate) struct HeadsBatch {
    /// Hidden states, `[rows, D]`.
    pub(crate) hidden: Tensor<2>,
    /// Labels, `[rows, codes]`; each row sums to one.
    pub(crate) labels: Tensor<2>,
    /// For each offset, the cells that its head predicts from and to.
    pub(crate) pairs: Vec<CellPairs>,
    /// The codes of all cells.
    pub(crate) codes: Vec<i64>,
    /// Rows and columns of an image.
    pub(crate) grid: Grid,
}

/// The rows of a batch that a head learns from. Hidden state `from[i]` predicts label `to[i]`.
pub(crate) struct CellPairs {
    pub(crate) from: Vec<i64>,
    pub(crate) to: Vec<i64>,
}

impl Block {
    fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden.clone() + silu(hidden.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze())
    }
}

impl HeadBlocks {
    /// All weights are zero. Such a head predicts the target's own law of the next cell, as in
    /// Medusa.
    ///
    /// # Errors
    /// None that occur in practice.
    pub(crate) fn zeros(heads: usize, width: usize, device: &Device) -> Result<Self> {
        let block = |_| Block {
            weight: Param::from_tensor(Tensor::zeros([width, width], device)),
            bias: Param::from_tensor(Tensor::zeros([width], device)),
        };
        let blocks = Self { heads: (0..heads).map(block).collect() };
        params::fill(blocks, &mut |_, shape| Ok(vec![0.0; shape.iter().product()]))
    }

    /// The logits `[rows, codes]` of a head for hidden states `[rows, D]`.
    /// `projection` is the target's output projection, `[D, codes]`.
    pub(crate) fn logits(&self, head: usize, hidden: Tensor<2>, projection: Tensor<2>) -> Tensor<2> {
        self.heads[head].forward(hidden).matmul(projection)
    }

    fn loss(&self, head: usize, batch: &HeadsBatch, projection: &Tensor<2>) -> Tensor<1> {
        let pairs = &batch.pairs[head];
        let [from, to] = [&pairs.from, &pairs.to].map(|rows| {
            let device = batch.hidden.device();
            Tensor::<1, Int>::from_data(TensorData::new(rows.clone(), [rows.len()]), &device)
        });
        let logits = self.logits(head, batch.hidden.clone().select(0, from), projection.clone());
        let labels = batch.labels.clone().select(0, to);
        (log_softmax(logits, 1) * labels).sum_dim(1).mean().neg()
    }
}

impl LearnsCells for HeadBlocks {
    fn losses(&self, batch: &HeadsBatch, projection: &Tensor<2>) -> Vec<Tensor<1>> {
        (0..self.heads.len()).map(|head| self.loss(head, batch, projection)).collect()
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use hawk::{Engine, LoadOptions, Precision};
    use hawk_files::{HeadConfig, HeadsConfig, ModelSource};
    use hawk_kernels::Threads;
    use hawk_nn::Heads;

    use super::*;
    use crate::heads::projection::projection;
    use crate::run::params::{Storage, read};

    /// Values that bf16 represents exactly.
    fn values(count: usize, salt: usize, scale: f32) -> Vec<f32> {
        let of = |i: usize| ((i * 7919 + salt * 31) % 1009) as f32 / 1009.0 - 0.5;
        (0..count).map(|i| bf16::from_f32(of(i) * scale).to_f32()).collect()
    }

    #[test]
    fn the_trained_module_and_the_inference_head_give_equal_logits_on_one_file() {
        let options = LoadOptions { precision: Precision::F32, ..LoadOptions::default() };
        let engine = Engine::load(hawk::built_in_model(), options).unwrap();
        let (layout, d) = (&engine.config().layout, engine.backend().config().hidden);
        let (offset, codes, rows) = (layout.code_offset() as usize, layout.codes() as usize, 24);
        let offsets = ["H1", "V1", "D1-1"].map(|name| HeadConfig { offset: name.parse().unwrap(), validation: None });
        let config = HeadsConfig {
            hidden: d,
            target_name: "emoji-v1".to_owned(),
            target_digest: "0".repeat(64),
            arrangement: layout.grid().into(),
            heads: offsets.to_vec(),
        };
        let device = Device::flex().autodiff();
        let mut salt = 0;
        let blocks = HeadBlocks::zeros(offsets.len(), d, &device).unwrap();
        let module = params::fill(blocks, &mut |name, shape| {
            salt += 1;
            Ok(values(shape.iter().product(), salt, if name.ends_with("bias") { 2.0 } else { 0.2 }))
        });
        let module = module.unwrap();
        let file = params::serialize(&params::collect(&module).unwrap(), Storage::Bf16).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_json().to_string()).unwrap();
        std::fs::write(dir.path().join("model.safetensors"), file).unwrap();
        let heads = Heads::load(&ModelSource::Dir(dir.path().to_owned()), "", engine.cpu().unwrap().target()).unwrap();

        let hidden = values(rows * d, 99, 4.0);
        let mut workspace = heads.workspace(engine.cpu().unwrap().target(), offsets.len() * rows, codes).unwrap();
        for row in 0..offsets.len() * rows {
            workspace.push(row / rows, &hidden[row % rows * d..][..d]);
        }
        heads.run(engine.cpu().unwrap().target(), &Threads::new(2), &mut workspace, offset..offset + codes).unwrap();
        let projection = projection(&engine, layout.codes() as usize).unwrap();
        let projection = Tensor::<2>::from_data(TensorData::new(projection, [d, codes]), &device);
        for head in 0..offsets.len() {
            let input = Tensor::<2>::from_data(TensorData::new(hidden.clone(), [rows, d]), &device);
            let trained = read(module.logits(head, input, projection.clone()).into_data()).unwrap();
            for (row, trained) in trained.chunks(codes).enumerate() {
                for (a, b) in trained.iter().zip(workspace.logits(head * rows + row)) {
                    assert!((a - b).abs() < 1e-4, "head {head}, row {row}: {a} {b}");
                }
            }
        }
    }
}
