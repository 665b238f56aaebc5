//! The contract of a backend: what decoding asks of a device.
//!
//! A [`Device`] loads weights, a [`Backend`] is a loaded transformer, and [`Passes`] are its
//! streams and the memory of its passes. A backend knows no drafter and no rule.
//!
//! One pass runs the token trees of several streams. Its results are read, and then the pass is
//! committed or rolled back ([`Staged`](crate::Staged)). Results are few: laws of single nodes,
//! best codes, hidden states, logits of draft heads. A backend keeps the rest in its own memory.
//! Invariant: a row has the same bits whatever other rows run in the pass.

use std::any::Any;
use std::ops::Range;

use hawk_files::{CaptionFeatures, Checkpoint, HeadsConfig, Result, TransformerConfig, VqConfig, VqTokenizer};
use hawk_kernels::Precision;
use hawk_spec::{Code, Grid, LawError};

use crate::pass::{HeadRow, Laws, NodeOf, OwnInputs, PassCost, PassPlan, ReadBack, StreamId};
use crate::rows::Rows;
use crate::vq::image::Image;

/// The class of all CPUs.
pub const CPU: &str = "cpu";

/// A place to load models to.
pub trait Device: Send + Sync {
    /// Loads a transformer and packs its weights.
    ///
    /// # Errors
    /// A tensor is missing or does not fit, or the device has no room.
    fn load(&self, config: TransformerConfig, from: &Checkpoint, precision: Precision) -> Result<Box<dyn Backend>>;

    /// Loads the decoder of a VQ tokenizer.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn load_vq(&self, vq: &VqTokenizer) -> Result<Box<dyn PixelDecoder>>;

    /// Number of threads of this machine that compute.
    fn threads(&self) -> usize;
}

/// The decoder of a VQ tokenizer: from codes to pixels.
pub trait PixelDecoder: Send + Sync {
    /// Sizes of the tokenizer.
    fn config(&self) -> &VqConfig;

    /// The vectors of the codes, `[codes, embed_dim]`.
    fn codebook(&self) -> &[f32];

    /// The image of a whole grid of codes in raster order.
    ///
    /// # Errors
    /// Codes outside the codebook or too few for the grid, too many pixels, a non-finite colour.
    fn decode(&self, codes: &[Code], grid: Grid) -> Result<Image>;
}

/// A loaded transformer and its draft heads. Several threads may call it at once.
pub trait Backend: Send + Sync {
    /// Sizes and variants of the transformer.
    fn config(&self) -> &TransformerConfig;

    /// Number format of the weights.
    fn precision(&self) -> Precision;

    /// The class of the device: backends of one class give the same bits. [`CPU`] is the class of all CPUs.
    fn device(&self) -> &str;

    /// Least bytes and multiplications of a pass that reads the logits of `ids`.
    fn cost(&self, ids: Range<usize>) -> PassCost;

    /// The inputs of a stream that begins with the features of a caption.
    ///
    /// # Errors
    /// The family reads no captions, or the features do not fit it.
    fn caption(&self, features: &CaptionFeatures) -> Result<OwnInputs>;

    /// Replaces the draft heads. Open passes keep the heads that they were opened with.
    ///
    /// # Errors
    /// A tensor is missing or does not fit.
    fn load_heads(&mut self, config: &HeadsConfig, checkpoint: &Checkpoint) -> Result<()>;

    /// Bytes of the draft heads' own weights; 0 without heads.
    fn heads_bytes(&self) -> usize;

    /// The backend itself, for tools that need one kind of backend.
    fn as_any(&self) -> &dyn Any;

    /// Opens passes, without a stream.
    ///
    /// # Errors
    /// The plan names ids beyond the vocabulary, or the device has no room for it.
    fn passes(&self, plan: PassPlan) -> Result<Box<dyn Passes>>;
}

/// Streams and the passes over them. [`Staged`](crate::Staged) runs and commits them.
pub trait Passes: Send {
    /// Opens a stream with room for [`PassPlan::tokens`].
    ///
    /// # Errors
    /// [`PassPlan::streams`] are open, or the device has no room.
    fn open(&mut self, own: OwnInputs) -> Result<StreamId>;

    /// Closes a stream. Its number may be given again.
    fn close(&mut self, stream: StreamId);

    /// S, the number of committed tokens of a stream.
    fn committed(&self, stream: StreamId) -> usize;

    /// Removes all but the first `tokens` committed tokens.
    fn truncate(&mut self, stream: StreamId, tokens: usize);

    /// Replaces the committed tokens of `to` by the first `tokens` committed tokens of `from`.
    fn copy(&mut self, from: StreamId, to: StreamId, tokens: usize);

    /// The staged rows of a stream: the next pass runs them.
    fn rows(&mut self, stream: StreamId) -> &mut Rows;

    /// Runs the staged rows of all streams. `trees` names the laws that may be read afterwards.
    ///
    /// # Errors
    /// A token is outside the vocabulary, rows or tokens exceed the plan, or the device is lost.
    fn forward(&mut self, trees: &[Laws]) -> Result<()>;

    /// The scores at a node, one per code, -inf for dropped codes.
    ///
    /// # Errors
    /// The logits make no law, or the pass has no such node.
    fn scores(&mut self, at: NodeOf) -> std::result::Result<&[f32], LawError>;

    /// The best codes at a node with their values, best first, ties to the lower code.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    fn best(&mut self, at: NodeOf, count: usize) -> std::result::Result<&[(f64, Code)], LawError>;

    /// The conditional stream's last hidden state (after the final norm) at a node, `[D]`.
    fn hidden(&mut self, at: NodeOf) -> Option<&[f32]>;

    /// Runs draft heads, all rows in one product.
    ///
    /// # Errors
    /// There are no heads, the rows exceed the plan, or a node or head does not exist.
    fn run_heads(&mut self, rows: &[HeadRow]) -> Result<()>;

    /// The logits of a row of the last [`run_heads`](Self::run_heads), one per code. A backend may give all codes but
    /// the best ones one logit, with which they keep their mass: drafts need no exact law.
    fn head_logits(&self, row: usize) -> &[f32];

    /// What was read back from the device since the passes were opened; nothing where the device is
    /// this machine's processor.
    fn read_back(&self) -> ReadBack {
        ReadBack::default()
    }

    /// Makes the path to a row of the last pass committed tokens.
    ///
    /// # Panics
    /// The last pass has not run the row.
    fn commit(&mut self, stream: StreamId, row: usize);

    /// Removes all rows that are not committed.
    fn roll_back(&mut self);
}
