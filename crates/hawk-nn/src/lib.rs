//! Weights and arithmetic for inference.

mod attention;
mod checkpoint;
mod config;
mod error;
mod hawk_config;
mod heads;
mod inventory;
pub mod kernels;
mod kv;
mod projection;
mod source;
pub mod step_bench;
mod target;
mod text;
mod validate;
mod vq;

pub use checkpoint::{Checkpoint, Tensor};
pub use config::{Family, NormPlacement, Rotary, TransformerConfig};
pub use error::{Error, Fault, Result};
pub use hawk_config::{
    CaptionPrompt, ClassPrompt, Condition, HawkConfig, ImageSize, PromptTemplate, TextPrompt, Unconditional,
};
pub use heads::{HeadConfig, HeadFigures, HeadOffset, HeadWorkspace, Heads, HeadsConfig};
pub use inventory::WantedTensor;
pub use kv::{OwnInputs, Readout, Rows, Stream};
pub use source::{Blob, EmbeddedFile, ModelSource, hex};
pub use target::{
    CaptionFeatures, JanusLayout, JanusSizes, LlamaGenCondition, LlamaGenSizes, PassCost, PassLimits, Staged, Target,
    Workspace,
};
pub use text::{MAX_PROMPT_BYTES, TextTokenizer};
pub use vq::{Codebook, Image, Levels, VqConfig, VqDecoder, VqEncoder, VqLayout};
