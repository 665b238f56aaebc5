//! A loaded transformer behind the seam.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use hawk_files::{CaptionFeatures, Checkpoint, Error, HeadsConfig, Result, TransformerConfig};
use hawk_kernels::{Precision, Threads};
use hawk_nn::{Backend, OwnInputs, PassCost, PassPlan, Passes};

use crate::heads::Heads;
use crate::passes::GpuPasses;
use crate::weights::Target;

pub(crate) struct GpuBackend {
    pub(crate) target: Arc<Target>,
    pub(crate) heads: Option<Arc<Heads>>,
    pub(crate) threads: Arc<Threads>,
    /// The class of the device: two of one kind, with one driver, give the same bits.
    pub(crate) class: String,
}

impl Backend for GpuBackend {
    fn config(&self) -> &TransformerConfig {
        self.target.config()
    }

    fn precision(&self) -> Precision {
        self.target.precision
    }

    fn device(&self) -> &str {
        &self.class
    }

    fn cost(&self, ids: Range<usize>) -> PassCost {
        self.target.cost(ids)
    }

    fn caption(&self, features: &CaptionFeatures) -> Result<OwnInputs> {
        match &self.target.weights.captions {
            Some(captions) => captions.inputs(&self.threads, features),
            None => Err(Error::input("the model reads no features of captions")
                .expected("a LlamaGen of the kind t2i")
                .got(self.target.config().family.name())),
        }
    }

    fn load_heads(&mut self, config: &HeadsConfig, checkpoint: &Checkpoint) -> Result<()> {
        self.heads = Some(Arc::new(Heads::load(&self.target, config, checkpoint)?));
        Ok(())
    }

    fn heads_bytes(&self) -> usize {
        self.heads.as_ref().map_or(0, |heads| heads.bytes())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn passes(&self, plan: PassPlan) -> Result<Box<dyn Passes>> {
        let (target, heads, threads) = (Arc::clone(&self.target), self.heads.clone(), Arc::clone(&self.threads));
        Ok(Box::new(GpuPasses::new(target, heads, threads, plan)?))
    }
}
