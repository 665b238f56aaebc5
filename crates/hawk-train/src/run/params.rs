//! The numbers of a burn module by name, and their way to safetensors and back.
//!
//! The fields of our modules have the names that `hawk_nn` reads, so that a tensor's path in the module is its name in the file.
//! A vector of heads `heads: Vec<Block>` with a field `weight` gives `heads.0.weight`.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use half::bf16;
use hawk_nn::{Error, Result};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Vec<f32>,
}

/// How numbers are stored.
#[derive(Clone, Copy)]
pub(crate) enum Stored {
    F32,
    Bf16,
}

/// All parameters, in the module's order.
///
/// # Errors
/// The numbers cannot be read back from the device.
pub(crate) fn collect(module: &impl Module) -> Result<Vec<Named>> {
    let mut visitor = Collector { path: Vec::new(), found: Ok(Vec::new()) };
    module.visit(&mut visitor);
    visitor.found
}

struct Collector {
    path: Vec<String>,
    found: Result<Vec<Named>>,
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
            Ok(numbers) => found.push(Named { name: self.path.join("."), shape, numbers }),
            Err(error) => self.found = Err(error),
        }
    }
}

/// Gives the numbers of a name and shape.
pub(crate) type NumbersOf<'a> = dyn FnMut(&str, &[usize]) -> Result<Vec<f32>> + 'a;

/// Puts numbers into a module from `of`. Parameters are numbered in the module's order, since the
/// optimizer's saved state names them by number.
///
/// # Errors
/// Those of `of`.
pub(crate) fn fill<M: Module>(module: M, of: &mut NumbersOf<'_>) -> Result<M> {
    let mut mapper = Filler { path: Vec::new(), next: 1, of, failed: None };
    let module = module.map(&mut mapper);
    mapper.failed.map_or(Ok(module), Err)
}

struct Filler<'a> {
    path: Vec<String>,
    next: u64,
    of: &'a mut NumbersOf<'a>,
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
        let value = match (self.of)(&self.path.join("."), &shape) {
            Ok(numbers) => {
                let value = Tensor::from_data(TensorData::new(numbers, shape), &device);
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

/// As [`fill`], from a list.
///
/// # Errors
/// The list is another module's.
pub(crate) fn restore<M: Module>(module: M, numbers: &[Named]) -> Result<M> {
    let by_name: HashMap<&str, &Named> = numbers.iter().map(|named| (&*named.name, named)).collect();
    fill(module, &mut |name, shape| match by_name.get(name) {
        Some(named) if named.shape == shape => Ok(named.numbers.clone()),
        other => Err(Error::input("the saved numbers belong to another module")
            .at(name)
            .expected(format!("{shape:?}"))
            .got(other.map_or_else(|| "nothing".to_owned(), |named| format!("{:?}", named.shape)))),
    })
}

/// Numbers of a tensor.
pub(crate) fn read(data: TensorData) -> Result<Vec<f32>> {
    data.try_into_vec().map_err(|e| Error::environment(format!("cannot read numbers back: {e:?}")))
}

/// The mean takes in every so many steps.
const AVERAGE_EVERY: usize = 5;

/// Takes a module's numbers after a step into the mean over the last `steps` that evaluation uses instead of them.
///
/// # Errors
/// Those of [`collect`].
pub(crate) fn average(mean: &mut [Named], module: &impl Module, step: usize, steps: f64) -> Result<()> {
    if !step.is_multiple_of(AVERAGE_EVERY) {
        return Ok(());
    }
    // Young runs forget sooner.
    let steps = steps.min(step as f64 / 4.0).max(1.0);
    let decay = (-(AVERAGE_EVERY as f64) / steps).exp() as f32;
    for (mean, newest) in mean.iter_mut().zip(&collect(module)?) {
        for (mean, newest) in mean.numbers.iter_mut().zip(&newest.numbers) {
            *mean += (1.0 - decay) * (newest - *mean);
        }
    }
    Ok(())
}

/// A safetensors file of parameters and whole byte strings.
///
/// # Errors
/// A name that stands twice.
pub(crate) fn serialize(
    tensors: &[Named],
    stored: Stored,
    bytes: &[(&str, &[u8])],
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>> {
    let failed = |e| Error::input(format!("cannot write safetensors: {e}"));
    let encoded: Vec<Vec<u8>> = tensors.iter().map(|named| stored.encode(&named.numbers)).collect();
    let mut views = Vec::with_capacity(tensors.len() + bytes.len());
    for (named, encoded) in tensors.iter().zip(&encoded) {
        views.push((&*named.name, TensorView::new(stored.dtype(), named.shape.clone(), encoded).map_err(failed)?));
    }
    for (name, bytes) in bytes {
        views.push((*name, TensorView::new(Dtype::U8, vec![bytes.len()], bytes).map_err(failed)?));
    }
    safetensors::serialize(views, metadata).map_err(failed)
}

impl Stored {
    fn encode(self, numbers: &[f32]) -> Vec<u8> {
        match self {
            Stored::F32 => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Stored::Bf16 => numbers.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Stored::F32 => Dtype::F32,
            Stored::Bf16 => Dtype::BF16,
        }
    }
}
