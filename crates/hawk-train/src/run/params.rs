//! The parameters of a burn module by name, to and from safetensors.
//!
//! Our modules use the field names that `hawk_nn` reads, so a parameter's path in the module is its
//! name in the file: `heads: Vec<Block>` with a field `weight` gives `heads.0.weight`.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use half::bf16;
use hawk_files::{Error, Result};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) values: Vec<f32>,
}

/// The number format in the file.
#[derive(Clone, Copy)]
pub(crate) enum Storage {
    F32,
    Bf16,
}

/// Returns all parameters in the module's order.
///
/// # Errors
/// The values cannot be read from the device.
pub(crate) fn collect(module: &impl Module) -> Result<Vec<NamedTensor>> {
    let mut visitor = Collector { path: Vec::new(), found: Ok(Vec::new()) };
    module.visit(&mut visitor);
    visitor.found
}

struct Collector {
    path: Vec<String>,
    found: Result<Vec<NamedTensor>>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(found) = &mut self.found else { return };
        let tensor = param.val();
        let shape = tensor.dims().to_vec();
        match read(tensor.into_data()) {
            Ok(values) => found.push(NamedTensor { name: self.path.join("."), shape, values }),
            Err(error) => self.found = Err(error),
        }
    }
}

/// Returns the values of a parameter by its name and shape.
pub(crate) type ValuesOf<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>> + 'a;

/// Sets every parameter of a module to the values from `values_of`.
///
/// Parameter ids are numbered in the module's order, because the optimizer's saved state refers to
/// them.
///
/// # Errors
/// `values_of` fails.
pub(crate) fn fill<M: Module>(module: M, values_of: &mut ValuesOf<'_>) -> Result<M> {
    let mut mapper = Filler { path: Vec::new(), next: 1, values_of, failed: None };
    let module = module.map(&mut mapper);
    mapper.failed.map_or(Ok(module), Err)
}

struct Filler<'a> {
    path: Vec<String>,
    next: u64,
    values_of: &'a mut ValuesOf<'a>,
    failed: Option<Error>,
}

impl ModuleMapper for Filler<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (_, old, _) = param.consume();
        let (shape, device) = (old.dims(), old.device());
        let value = match (self.values_of)(&self.path.join("."), &shape) {
            Ok(values) => {
                let value = Tensor::from_data(TensorData::new(values, shape), &device);
                if device.is_autodiff() { value.require_grad() } else { value }
            }
            Err(error) => {
                self.failed.get_or_insert(error);
                old
            }
        };
        self.next += 1;
        Param::initialized(ParamId::from(self.next - 1), value)
    }
}

/// Sets every parameter of a module to its values in `tensors`.
///
/// # Errors
/// A parameter is missing from `tensors` or has another shape.
pub(crate) fn restore<M: Module>(module: M, tensors: &[NamedTensor]) -> Result<M> {
    let by_name: HashMap<&str, &NamedTensor> = tensors.iter().map(|tensor| (&*tensor.name, tensor)).collect();
    fill(module, &mut |name, shape| match by_name.get(name) {
        Some(tensor) if tensor.shape == shape => Ok(tensor.values.clone()),
        other => Err(Error::input("the saved parameters belong to another model")
            .at(name)
            .expected(format!("{shape:?}"))
            .got(other.map_or_else(|| "nothing".to_owned(), |tensor| format!("{:?}", tensor.shape)))),
    })
}

/// Copies a tensor's values from the device.
///
/// # Errors
/// The device fails.
pub(crate) fn read(data: TensorData) -> Result<Vec<f32>> {
    data.try_into_vec().map_err(|e| Error::environment(format!("cannot read a tensor from the device: {e:?}")))
}

/// The average is updated once in so many steps.
const AVERAGE_EVERY: usize = 5;

/// Updates the moving average of the parameters after a step.
///
/// The average covers about the last `window` steps, or a quarter of the run so far if that is
/// less. Evaluation uses the averaged parameters.
///
/// # Errors
/// As [`collect`].
pub(crate) fn average(mean: &mut [NamedTensor], module: &impl Module, step: usize, window: f64) -> Result<()> {
    if !step.is_multiple_of(AVERAGE_EVERY) {
        return Ok(());
    }
    let window = window.min(step as f64 / 4.0).max(1.0);
    let decay = (-(AVERAGE_EVERY as f64) / window).exp() as f32;
    for (mean, newest) in mean.iter_mut().zip(&collect(module)?) {
        for (mean, newest) in mean.values.iter_mut().zip(&newest.values) {
            *mean += (1.0 - decay) * (newest - *mean);
        }
    }
    Ok(())
}

/// Writes a safetensors file of parameters.
///
/// # Errors
/// A name occurs twice.
pub(crate) fn serialize(tensors: &[NamedTensor], storage: Storage) -> Result<Vec<u8>> {
    serialize_with_bytes(tensors, storage, &[], None)
}

/// Writes a safetensors file of parameters, named byte strings and metadata.
///
/// # Errors
/// A name occurs twice.
pub(crate) fn serialize_with_bytes(
    tensors: &[NamedTensor],
    storage: Storage,
    bytes: &[(&str, &[u8])],
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>> {
    let failed = |e| Error::input(format!("cannot write safetensors: {e}"));
    let encoded: Vec<Vec<u8>> = tensors.iter().map(|tensor| storage.encode(&tensor.values)).collect();
    let mut views = Vec::with_capacity(tensors.len() + bytes.len());
    for (tensor, encoded) in tensors.iter().zip(&encoded) {
        let view = TensorView::new(storage.dtype(), tensor.shape.clone(), encoded).map_err(failed)?;
        views.push((&*tensor.name, view));
    }
    for (name, bytes) in bytes {
        views.push((*name, TensorView::new(Dtype::U8, vec![bytes.len()], bytes).map_err(failed)?));
    }
    safetensors::serialize(views, metadata).map_err(failed)
}

impl Storage {
    fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Bf16 => Dtype::BF16,
        }
    }
}
