//! The CPU as a device: one pool of threads, weights packed for its kernels.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use hawk_files::{CaptionFeatures, Checkpoint, Error, HeadsConfig, Result, TransformerConfig, VqConfig, VqTokenizer};
use hawk_kernels::{Isa, Precision, Threads};
use hawk_spec::{Code, Grid, TokenId};

use super::observe::Attention;
use super::passes::CpuPasses;
use super::target::Target;
use crate::backend::{Backend, CPU, Device, Passes, PixelDecoder};
use crate::heads::Heads;
use crate::pass::{OwnInputs, PassCost, PassPlan};
use crate::vq::decoder::VqDecoder;
use crate::vq::image::Image;

/// The CPU. All models that are loaded on it share its threads.
pub struct Cpu {
    threads: Arc<Threads>,
}

impl Cpu {
    /// A CPU with so many threads in all, 1 to [`Threads::MOST`]. No result depends on their number.
    /// Where the system refuses a thread, there are fewer.
    ///
    /// # Errors
    /// Another number of threads, or an environment variable `HAWK_ISA` that names no instruction set
    /// of this machine.
    pub fn new(threads: usize) -> Result<Self> {
        Isa::asked()?;
        if !(1..=Threads::MOST).contains(&threads) {
            let expected = format!("1 to {}", Threads::MOST);
            return Err(Error::input("invalid number of threads").at("threads").expected(expected).got(threads));
        }
        Ok(Self { threads: Arc::new(Threads::new(threads)) })
    }

    /// The threads that all models on it share.
    #[must_use]
    pub fn pool(&self) -> &Arc<Threads> {
        &self.threads
    }
}

impl Device for Cpu {
    fn load(&self, config: TransformerConfig, from: &Checkpoint, precision: Precision) -> Result<Box<dyn Backend>> {
        let target = Arc::new(Target::load(config, from, precision)?);
        Ok(Box::new(CpuBackend { target, heads: None, threads: Arc::clone(&self.threads) }))
    }

    fn load_vq(&self, vq: &VqTokenizer) -> Result<Box<dyn PixelDecoder>> {
        let decoder = VqDecoder::from_checkpoint(vq.config.clone(), &vq.checkpoint)?;
        Ok(Box::new(CpuPixels { decoder, threads: Arc::clone(&self.threads) }))
    }

    fn threads(&self) -> usize {
        self.threads.threads()
    }
}

struct CpuPixels {
    decoder: VqDecoder,
    threads: Arc<Threads>,
}

impl PixelDecoder for CpuPixels {
    fn config(&self) -> &VqConfig {
        self.decoder.config()
    }

    fn codebook(&self) -> &[f32] {
        self.decoder.codebook().0
    }

    fn decode(&self, codes: &[Code], grid: Grid) -> Result<Image> {
        self.decoder.decode(&self.threads, codes, grid)
    }
}

/// A transformer and its draft heads, packed for the CPU's kernels.
pub struct CpuBackend {
    target: Arc<Target>,
    heads: Option<Arc<Heads>>,
    threads: Arc<Threads>,
}

impl CpuBackend {
    /// The transformer.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The threads that it computes with.
    #[must_use]
    pub fn threads(&self) -> &Threads {
        &self.threads
    }

    /// The draft heads, if there are any.
    #[must_use]
    pub fn heads(&self) -> Option<&Heads> {
        self.heads.as_deref()
    }

    /// See [`Target::attention`].
    ///
    /// # Errors
    /// As [`Target::attention`].
    pub fn attention(&self, own: OwnInputs, tokens: &[TokenId], observer: &mut dyn FnMut(Attention<'_>)) -> Result<()> {
        self.target.attention(&self.threads, own, tokens, observer)
    }
}

impl Backend for CpuBackend {
    fn config(&self) -> &TransformerConfig {
        self.target.config()
    }

    fn precision(&self) -> Precision {
        self.target.precision()
    }

    fn device(&self) -> &str {
        CPU
    }

    fn cost(&self, ids: Range<usize>) -> PassCost {
        self.target.pass_cost(ids)
    }

    fn caption(&self, features: &CaptionFeatures) -> Result<OwnInputs> {
        self.target.caption(&self.threads, features)
    }

    fn load_heads(&mut self, config: &HeadsConfig, checkpoint: &Checkpoint) -> Result<()> {
        self.heads = Some(Arc::new(Heads::from_checkpoint(config.clone(), checkpoint, self.target.precision())?));
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
        Ok(Box::new(CpuPasses::new(target, heads, threads, plan)?))
    }
}
