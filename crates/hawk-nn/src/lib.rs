//! Inference of autoregressive image models on CPUs: the transformer's passes over token trees,
//! draft heads, and the VQ tokenizer.

pub mod backend;
mod cpu;
mod heads;
mod laws;
mod loader;
mod memory;
mod pass;
mod rows;
mod spatial;
mod staged;
mod vq;
mod weights;

pub use backend::{Backend, CPU, Device, Passes, PixelDecoder};
pub use cpu::backend::{Cpu, CpuBackend};
pub use cpu::observe::Attention;
pub use cpu::parts::{Part, PartTimes};
pub use cpu::ranking::{Question, Ranker};
pub use cpu::staged::Staged as CpuStaged;
pub use cpu::stream::Stream;
pub use cpu::target::Target;
pub use cpu::workspace::{PassLimits, Workspace};
pub use hawk_files::{
    Arrangement, Blob, CaptionFeatures, CaptionPrompt, Checkpoint, ClassPrompt, Codebook, Condition, Conversion,
    ConvertTo, Converted, EmbeddedFile, Error, Family, Fault, HawkConfig, HeadConfig, HeadFigures, HeadOffset,
    HeadsConfig, ImageSize, JanusLayout, JanusSizes, Levels, LlamaGenCondition, LlamaGenExtras, LlamaGenSizes,
    MAX_PROMPT_BYTES, ModelSource, NormPlacement, Progress, PromptTemplate, Result, Rotary, Sizes, SpatialConfig,
    Tensor, TextConfig, TextPrompt, TextTokenizer, TransformerConfig, Unconditional, VqConfig, VqLayout, VqTokenizer,
    WantedTensor, from_json, hex, lumina_sizes,
};
pub use hawk_kernels as kernels;
pub use heads::{HeadWorkspace, Heads};
pub use laws::{NodeLaw, NodeLaws};
pub use loader::CpuLoader;
pub use memory::Demand;
pub use pass::{HeadRow, Laws, NodeOf, OwnInputs, PassCost, PassPlan, Ranking, ReadBack, Shaping, StreamId, Walked};
pub use rows::{Readout, Rows};
pub use spatial::{SpatialHeads, SpatialMemory};
pub use staged::Staged;
pub use vq::decoder::{DecoderNet, VqDecoder};
pub use vq::encoder::VqEncoder;
pub use vq::image::Image;
pub use vq::maps::{Then, VqLayers, VqMaps, Window, Zoom};
pub use weights::captions::Captions;
pub use weights::dense::Dense;
pub use weights::embedding::{Embedding, Table};
pub use weights::ends::OutputHead;
pub use weights::layer::{HeadNorm, Layer, MATRICES};
pub use weights::packer::{Packer, pack_in_range};
pub use weights::rotary::Rope;
pub use weights::whole::Weights;
