//! The tensors that a family has before and behind its layers, and how they become inputs and
//! logits.

use hawk_kernels::MatrixSize;

use crate::checkpoint::inventory::WantedTensor;

/// The tensors of a product with an optional bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearTensors {
    /// Name of the weights, `[outputs, inputs]`.
    pub weight: String,
    /// Name of the bias, `[outputs]`.
    pub bias: Option<String>,
    /// Sizes of the weights.
    pub size: MatrixSize,
}

impl LinearTensors {
    /// `{name}.weight` alone.
    pub(super) fn unbiased(name: &str, outputs: usize, inputs: usize) -> Self {
        Self { weight: format!("{name}.weight"), bias: None, size: MatrixSize { outputs, inputs } }
    }

    /// `{name}.weight` and `{name}.bias`.
    pub(super) fn biased(name: &str, outputs: usize, inputs: usize) -> Self {
        Self { bias: Some(format!("{name}.bias")), ..Self::unbiased(name, outputs, inputs) }
    }

    /// Shape of the weights.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.size.outputs, self.size.inputs]
    }
}

/// An elementwise function between two products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / 2 (1 + erf(x / sqrt 2))`.
    Gelu,
    /// GELU in its approximation by a hyperbolic tangent.
    GeluTanh,
}

/// Products with an activation between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlpTensors {
    /// At least one.
    pub layers: Vec<LinearTensors>,
    /// Stands between two layers.
    pub activation: Activation,
}

/// Inputs of consecutive ids, `[rows, D]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputTensors {
    /// The rows of a tensor.
    Stored {
        /// Its name.
        name: String,
        /// Number of ids.
        rows: usize,
    },
    /// A network's outputs for the rows of a tensor. They depend on nothing else, so that they are
    /// computed once.
    Computed {
        /// Name of the tensor, `[rows, width]`.
        name: String,
        /// Number of ids.
        rows: usize,
        /// Columns of the tensor.
        width: usize,
        /// The network.
        mlp: MlpTensors,
    },
}

/// What turns the last hidden state into logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogitTensors {
    /// One product.
    Linear(LinearTensors),
    /// Two products with a GELU between them.
    Mlp {
        /// The first.
        inner: LinearTensors,
        /// The second.
        outputs: LinearTensors,
    },
}

/// What turns the features of a caption into inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionTensors {
    /// The network, from `width` to D.
    pub mlp: MlpTensors,
    /// Numbers of a feature.
    pub width: usize,
    /// Most features.
    pub most: usize,
}

/// Everything beside the layers and the final norm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndTensors {
    /// Inputs of the ids from 0 on.
    pub inputs: Vec<InputTensors>,
    /// Logits of the readable ids.
    pub logits: LogitTensors,
    /// Of families that read captions; its tensors are among those of `inputs`.
    pub captions: Option<CaptionTensors>,
}

impl EndTensors {
    /// Their names and shapes, for a model of `hidden` numbers a token.
    pub(super) fn wanted(&self, hidden: usize) -> Vec<WantedTensor> {
        let mut wanted = Vec::new();
        for table in &self.inputs {
            match table {
                InputTensors::Stored { name, rows } => {
                    wanted.push(WantedTensor::exact(name.clone(), vec![*rows, hidden]));
                }
                InputTensors::Computed { name, rows, width, mlp } => {
                    wanted.push(WantedTensor::exact(name.clone(), vec![*rows, *width]));
                    mlp.layers.iter().for_each(|layer| push(&mut wanted, layer));
                }
            }
        }
        match &self.logits {
            LogitTensors::Linear(linear) => push(&mut wanted, linear),
            LogitTensors::Mlp { inner, outputs } => {
                [inner, outputs].into_iter().for_each(|layer| push(&mut wanted, layer))
            }
        }
        wanted
    }
}

/// Adds the tensors of a product, unless they are a table of inputs as well.
fn push(wanted: &mut Vec<WantedTensor>, linear: &LinearTensors) {
    if wanted.iter().any(|tensor| tensor.name == linear.weight) {
        return;
    }
    wanted.push(WantedTensor::exact(linear.weight.clone(), linear.shape().to_vec()));
    if let Some(bias) = &linear.bias {
        wanted.push(WantedTensor::exact(bias.clone(), vec![linear.size.outputs]));
    }
}
