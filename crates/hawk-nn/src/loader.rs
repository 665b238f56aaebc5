//! What a conversion asks of the code that computes.

use hawk_files::{Checkpoint, Loader, PackTo, PackedWriter, Result, TransformerConfig, VqConfig};

use crate::cpu::packed::MatrixSource;
use crate::cpu::target::Target;
use crate::vq::decoder::VqDecoder;

/// Loads the weights of a [`Conversion`](hawk_files::Conversion).
pub struct CpuLoader;

impl Loader for CpuLoader {
    /// Packs the matrices while the target is loaded, then writes the other tensors that were read.
    /// The same call resumes an interrupted one.
    fn pack(&self, transformer: TransformerConfig, weights: &Checkpoint, to: PackTo<'_>) -> Result<()> {
        let writer = PackedWriter::new(to.dir, to.precision, to.progress)?;
        let source = MatrixSource::writing(weights, to.precision, &writer);
        drop(Target::load_from(transformer, &source)?);
        weights.finish_packing(writer)
    }

    fn check_vq(&self, config: &VqConfig, weights: &Checkpoint) -> Result<()> {
        VqDecoder::from_checkpoint(config.clone(), weights).map(drop)
    }
}
