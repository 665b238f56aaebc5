//! The heads as burn sees them: the same block, with the same names and layout, as `hawk_nn::Heads` reads.

use burn::module::{Module, Param, ParamId};
use burn::tensor::activation::{log_softmax, silu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use hawk_nn::{Error, Result};

/// `h + silu(W h + b)`.
#[derive(Module, Debug)]
pub(crate) struct Block {
    /// `[D, D]`, outputs first, as it is stored.
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

/// The blocks of all heads.
#[derive(Module, Debug)]
pub(crate) struct Blocks {
    heads: Vec<Block>,
}

/// Numbers of a head, as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BlockNumbers {
    /// `[D, D]`, outputs first.
    pub(crate) weight: Vec<f32>,
    /// `[D]`.
    pub(crate) bias: Vec<f32>,
}

/// Rows of a batch that a head learns from.
pub(crate) struct Pairs {
    /// Where each hidden state stands in the batch.
    pub(crate) from: Vec<i64>,
    /// Where the label of each stands.
    pub(crate) to: Vec<i64>,
}

impl Block {
    fn forward(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden.clone() + silu(hidden.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze())
    }
}

impl Blocks {
    /// Heads that change nothing yet: with zeros a head is the target's own next-cell law, as Medusa begins.
    pub(crate) fn zeros(heads: usize, width: usize, device: &Device) -> Self {
        let zeros = BlockNumbers { weight: vec![0.0; width * width], bias: vec![0.0; width] };
        Self::from_numbers(vec![zeros; heads], device)
    }

    pub(crate) fn from_numbers(heads: Vec<BlockNumbers>, device: &Device) -> Self {
        // The optimizer's saved state names parameters by these ids.
        let block = |(id, numbers): (u64, BlockNumbers)| {
            let width = numbers.bias.len();
            let weight = Tensor::from_data(TensorData::new(numbers.weight, [width, width]), device);
            let bias = Tensor::from_data(TensorData::new(numbers.bias, [width]), device);
            Block {
                weight: Param::initialized(ParamId::from(2 * id + 1), weight.require_grad()),
                bias: Param::initialized(ParamId::from(2 * id + 2), bias.require_grad()),
            }
        };
        Self { heads: (0..).zip(heads).map(block).collect() }
    }

    /// # Errors
    /// The numbers cannot be read back from the device.
    pub(crate) fn numbers(&self) -> Result<Vec<BlockNumbers>> {
        let block = |block: &Block| {
            Ok(BlockNumbers {
                weight: read(block.weight.val().into_data())?,
                bias: read(block.bias.val().into_data())?,
            })
        };
        self.heads.iter().map(block).collect()
    }

    /// The logits `[rows, codes]` of a head on hidden states `[rows, D]`; `projection` is the target's, `[D, codes]`.
    pub(crate) fn logits(&self, head: usize, hidden: Tensor<2>, projection: Tensor<2>) -> Tensor<2> {
        self.heads[head].forward(hidden).matmul(projection)
    }

    /// The mean cross-entropy `[1]` of a head against labels `[rows, codes]` that sum to one.
    pub(crate) fn loss(&self, head: usize, batch: &Batch, projection: &Tensor<2>) -> Tensor<1> {
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

/// Cells of several images.
pub(crate) struct Batch {
    /// `[rows, D]`.
    pub(crate) hidden: Tensor<2>,
    /// `[rows, codes]`.
    pub(crate) labels: Tensor<2>,
    /// Per head, which hidden state predicts which label.
    pub(crate) pairs: Vec<Pairs>,
}

/// Numbers of a tensor.
pub(crate) fn read(data: TensorData) -> Result<Vec<f32>> {
    data.try_into_vec().map_err(|e| Error::environment(format!("cannot read numbers back: {e:?}")))
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use hawk::{Engine, LoadOptions, Precision};
    use hawk_nn::kernels::Pool;
    use hawk_nn::{HeadConfig, Heads, HeadsConfig, ModelSource};

    use super::*;
    use crate::run::projection;
    use crate::state::heads_file;

    /// Numbers that bf16 keeps.
    fn numbers(count: usize, salt: usize, scale: f32) -> Vec<f32> {
        let of = |i: usize| ((i * 7919 + salt * 31) % 1009) as f32 / 1009.0 - 0.5;
        (0..count).map(|i| bf16::from_f32(of(i) * scale).to_f32()).collect()
    }

    #[test]
    fn the_trained_module_and_the_inference_head_give_equal_logits_on_one_file() {
        let options = LoadOptions { precision: Precision::F32, ..LoadOptions::default() };
        let engine = Engine::load(hawk::built_in_model(), options).unwrap();
        let (layout, d) = (&engine.config().layout, engine.target().config().hidden);
        let (offset, codes, rows) = (layout.code_offset() as usize, layout.codes() as usize, 24);
        let offsets = ["H1", "V1", "D1-1"].map(|name| HeadConfig { offset: name.parse().unwrap(), validation: None });
        let config = HeadsConfig {
            hidden: d,
            target_name: "emoji-v0".to_owned(),
            target_digest: "0".repeat(64),
            grid: layout.grid(),
            heads: offsets.to_vec(),
        };
        let block = |head| BlockNumbers { weight: numbers(d * d, head, 0.2), bias: numbers(d, head + 7, 2.0) };
        let blocks: Vec<_> = (0..offsets.len()).map(block).collect();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_json().to_string()).unwrap();
        std::fs::write(dir.path().join("model.safetensors"), heads_file(&blocks).unwrap()).unwrap();
        let heads = Heads::load(&ModelSource::Dir(dir.path().to_owned()), "", engine.target()).unwrap();

        let hidden = numbers(rows * d, 99, 4.0);
        let mut workspace = heads.workspace(engine.target(), offsets.len() * rows, codes);
        for row in 0..offsets.len() * rows {
            workspace.push(row / rows, &hidden[row % rows * d..][..d]);
        }
        heads.run(engine.target(), &Pool::new(2), &mut workspace, offset..offset + codes).unwrap();
        let device = Device::flex().autodiff();
        let projection = projection(&engine, layout.codes() as usize).unwrap();
        let projection = Tensor::<2>::from_data(TensorData::new(projection, [d, codes]), &device);
        let module = Blocks::from_numbers(blocks.clone(), &device);
        assert_eq!(module.numbers().unwrap(), blocks);
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
