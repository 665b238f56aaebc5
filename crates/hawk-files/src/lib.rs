//! The files of autoregressive image models: bytes on disk to validated values.
//!
//! ```
//! use hawk_files::TransformerConfig;
//!
//! let config = TransformerConfig::from_json(
//!     br#"{"model_type": "llama", "hidden_size": 64, "intermediate_size": 144, "num_hidden_layers": 2,
//!          "num_attention_heads": 4, "vocab_size": 100, "rms_norm_eps": 1e-5}"#,
//! )?;
//! assert_eq!((config.head_dim, config.readable()), (16, 0..100));
//! assert_eq!(config.tensors()[0].name, "model.embed_tokens.weight");
//! # Ok::<(), hawk_files::Error>(())
//! ```
//!
//! # The nouns
//!
//! | | |
//! |---|---|
//! | [`ModelSource`] | where the files of a model are: a folder, or the program itself |
//! | [`Checkpoint`], [`Tensor`] | its tensors by name |
//! | [`TransformerConfig`], [`HawkConfig`], [`TextConfig`], [`VqConfig`], [`HeadsConfig`] | its configs |
//! | [`Family`], [`FamilyRules`], [`EndTensors`], [`TensorNames`] | what only some transformers have |
//! | [`TextTokenizer`], [`VqTokenizer`], [`CaptionFeatures`] | what stands beside the transformer |
//! | [`Conversion`] | public layouts to one folder that loads as it is |
//! | [`Error`] | what went wrong and where, what was expected and found |
//!
//! # What it does not do
//!
//! It computes nothing with weights. Of `hawk-kernels` it knows the number formats and the version
//! of the packed layout.

pub mod atomic;
mod checkpoint;
mod config;
mod error;
mod family;
mod features;
mod growing;
mod import;
mod json;
mod lock;
mod places;
mod source;
mod tokenizer;

pub use checkpoint::Checkpoint;
pub use checkpoint::inventory::WantedTensor;
pub use checkpoint::packed::PackedMatrix;
pub use checkpoint::packed_writer::PackedWriter;
pub use checkpoint::tensor::Tensor;
pub use checkpoint::writer::{Planned, WriteTensor, write as write_checkpoint};
pub use config::family::{Family, JanusLayout, JanusSizes, LlamaGenCondition, LlamaGenSizes};
pub use config::heads::{Arrangement, HeadConfig, HeadFigures, HeadOffset, HeadsConfig};
pub use config::image::{
    CaptionPrompt, ClassPrompt, Condition, HawkConfig, ImageSize, PromptTemplate, Sizes, TextPrompt, Unconditional,
};
pub use config::spatial::SpatialConfig;
pub use config::text::TextConfig;
pub use config::transformer::{LayerSizes, NormPlacement, Rotary, TransformerConfig};
pub use config::vq::{Codebook, Levels, VQ_PREFIXES, VqConfig, VqLayout};
pub use error::{Error, Fault, Result};
pub use family::chameleon::lumina_sizes;
pub use family::ends::{Activation, CaptionTensors, EndTensors, InputTensors, LinearTensors, LogitTensors, MlpTensors};
pub use family::names::{HeadNormTensors, LayerPart, RotaryPairs, TensorNames};
pub use family::rules::FamilyRules;
pub use features::CaptionFeatures;
pub use growing::GrowingFile;
pub use import::llamagen_files::LlamaGenExtras;
pub use import::workdir::{WorkFolder, check_new_folder, finish, work_folder};
pub use import::{Conversion, ConvertTo, Converted, Loader, PackTo, Progress};
pub use json::{from_json, unsupported};
pub use lock::FolderLock;
pub use places::VqTokenizer;
pub use source::{Blob, EmbeddedFile, ModelSource, hex};
pub use tokenizer::{MAX_PROMPT_BYTES, TextTokenizer};
