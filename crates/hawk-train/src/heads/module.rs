//! The heads as burn sees them: the same block, with the same names and layout, as `hawk_nn::Heads` reads.

use burn::module::{Module, Param};
use burn::tensor::activation::{log_softmax, silu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use hawk_nn::Result;

use crate::params;

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

#[cfg(test)]
mod tests {
    use half::bf16;
    use hawk::{Engine, LoadOptions, Precision};
    use hawk_nn::kernels::Pool;
    use hawk_nn::{HeadConfig, Heads, HeadsConfig, ModelSource};

    use super::*;
    use crate::params::{Stored, read};
    use crate::run::projection;

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
            target_name: "emoji-v1".to_owned(),
            target_digest: "0".repeat(64),
            arrangement: layout.grid().into(),
            heads: offsets.to_vec(),
        };
        let device = Device::flex().autodiff();
        let mut salt = 0;
        let blocks = Blocks::zeros(offsets.len(), d, &device).unwrap();
        let module = params::fill(blocks, &mut |name, shape| {
            salt += 1;
            Ok(numbers(shape.iter().product(), salt, if name.ends_with("bias") { 2.0 } else { 0.2 }))
        });
        let module = module.unwrap();
        let file = params::serialize(&params::collect(&module).unwrap(), Stored::Bf16, &[], None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_json().to_string()).unwrap();
        std::fs::write(dir.path().join("model.safetensors"), file).unwrap();
        let heads = Heads::load(&ModelSource::Dir(dir.path().to_owned()), "", engine.target()).unwrap();

        let hidden = numbers(rows * d, 99, 4.0);
        let mut workspace = heads.workspace(engine.target(), offsets.len() * rows, codes);
        for row in 0..offsets.len() * rows {
            workspace.push(row / rows, &hidden[row % rows * d..][..d]);
        }
        heads.run(engine.target(), &Pool::new(2), &mut workspace, offset..offset + codes).unwrap();
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
