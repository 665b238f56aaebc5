//! The files of autoregressive image models: bytes on disk to validated values. Nothing here computes with weights.

pub mod atomic;
mod checkpoint;
mod config;
mod error;
mod family;
mod features;
mod import;
mod json;
mod places;
mod source;
mod tokenizer;

pub use checkpoint::Checkpoint;
pub use checkpoint::inventory::WantedTensor;
pub use checkpoint::packed::PackedMatrix;
pub use checkpoint::packed_writer::PackedWriter;
pub use checkpoint::tensor::Tensor;
pub use checkpoint::writer::{Planned, WriteTensor, put, write as write_checkpoint};
pub use config::family::{Family, JanusLayout, JanusSizes, LlamaGenCondition, LlamaGenSizes};
pub use config::heads::{Arrangement, HeadConfig, HeadFigures, HeadOffset, HeadsConfig};
pub use config::image::{
    CaptionPrompt, ClassPrompt, Condition, HawkConfig, ImageSize, PromptTemplate, Sizes, TextPrompt, Unconditional,
};
pub use config::text::TextConfig;
pub use config::transformer::{NormPlacement, Rotary, TransformerConfig};
pub use config::vq::{Codebook, Levels, VQ_PREFIXES, VqConfig, VqLayout};
pub use error::{Error, Fault, Result};
pub use family::chameleon::{HeadNormTensors, lumina_sizes};
pub use family::ends::{Activation, CaptionTensors, EndTensors, InputTensors, LinearTensors, LogitTensors, MlpTensors};
pub use family::names::{LayerPart, RotaryPairs, TensorNames};
pub use features::CaptionFeatures;
pub use import::llamagen_files::LlamaGenExtras;
pub use import::workdir::{check_new_folder, finish, work_folder};
pub use import::{Conversion, ConvertTo, Converted, Loader, PackTo, Progress};
pub use json::{from_json, unsupported};
pub use places::VqTokenizer;
pub use source::{Blob, EmbeddedFile, ModelSource, hex};
pub use tokenizer::{MAX_PROMPT_BYTES, TextTokenizer};
