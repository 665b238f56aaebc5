//! Weights and arithmetic for inference.

mod attention;
mod checkpoint;
mod config;
mod convert;
mod error;
mod folder;
mod hawk_config;
mod heads;
mod inventory;
pub mod kernels;
mod kv;
mod meta;
mod packed;
mod pickle;
mod projection;
mod public;
mod published;
mod random;
mod source;
pub mod step_bench;
mod synth;
mod target;
mod text;
mod text_config;
mod validate;
mod vq;
mod writer;

pub use checkpoint::{Checkpoint, Tensor};
pub use config::{Family, NormPlacement, Rotary, TransformerConfig};
pub use convert::{Conversion, ConvertTo, Converted, Progress};
pub use error::{Error, Fault, Result};
pub use folder::VqTokenizer;
pub use hawk_config::{
    CaptionPrompt, ClassPrompt, Condition, HawkConfig, ImageSize, PromptTemplate, Sizes, TextPrompt, Unconditional,
};
pub use heads::{Arrangement, HeadConfig, HeadFigures, HeadOffset, HeadWorkspace, Heads, HeadsConfig};
pub use inventory::WantedTensor;
pub use kv::{OwnInputs, Readout, Rows, Stream};
pub use public::lumina_sizes;
pub use published::LlamaGenExtras;
pub use source::{Blob, EmbeddedFile, ModelSource, hex};
pub use synth::{SynthModel, synthesize, synthesize_heads};
pub use target::{
    CaptionFeatures, JanusLayout, JanusSizes, LlamaGenCondition, LlamaGenSizes, PassCost, PassLimits, Staged, Target,
    Workspace,
};
pub use text::{MAX_PROMPT_BYTES, TextTokenizer};
pub use text_config::TextConfig;
pub use validate::from_json;
pub use vq::{Codebook, Image, Levels, VqConfig, VqDecoder, VqEncoder, VqLayout};
