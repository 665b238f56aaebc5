//! The seam between decoding and arithmetic: what a device must offer, and no more.
//!
//! A [`Device`] loads weights, a [`Backend`] is a loaded transformer, [`Passes`] are its streams and the memory of its passes. Nothing above
//! this file names a kernel or a thread pool, and nothing here knows drafters or rules.
//!
//! One pass runs the token trees of several streams; then it is read, and committed or rolled back ([`Staged`]). What is read back is small
//! by contract: the law at asked nodes, the best few codes of a node under noise, logits of draft heads. A backend with memory of its own
//! keeps the rest there. Invariant: a row has the same bits whatever rows ride along.

use std::any::Any;
use std::ops::Range;
use std::result::Result as StdResult;

use hawk_files::{CaptionFeatures, Checkpoint, HeadsConfig, Result, TransformerConfig, VqConfig, VqTokenizer};
use hawk_kernels::Precision;
use hawk_spec::{Code, Grid, LawError};

use crate::cpu::rows::Rows;
use crate::cpu::stream::OwnInputs;
use crate::pass::{HeadRow, Laws, NodeOf, PassCost, PassPlan, StreamId};
use crate::vq::image::Image;

/// Where models are loaded to.
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

    /// Threads on this machine that compute.
    fn threads(&self) -> usize;
}

/// From codes to pixels.
pub trait PixelDecoder: Send + Sync {
    /// Its sizes.
    fn config(&self) -> &VqConfig;

    /// The vectors of the codes, `[codes, embed_dim]`.
    fn codebook(&self) -> &[f32];

    /// The image of a whole grid of codes in raster order.
    ///
    /// # Errors
    /// Codes that do not fill the grid or are not in the codebook, a grid of too many pixels, non-finite colours.
    fn decode(&self, codes: &[Code], grid: Grid) -> Result<Image>;
}

/// A loaded transformer and its draft heads. Calls may come from several threads.
pub trait Backend: Send + Sync {
    /// Sizes and choices.
    fn config(&self) -> &TransformerConfig;

    /// How weights are stored and multiplied.
    fn precision(&self) -> Precision;

    /// What a pass over these ids reads and multiplies at least.
    fn cost(&self, ids: Range<usize>) -> PassCost;

    /// The inputs that the features of a caption become.
    ///
    /// # Errors
    /// A family that reads no captions, or features that do not fit it.
    fn caption(&self, features: &CaptionFeatures) -> Result<OwnInputs>;

    /// Loads draft heads in place of those before; passes that are open keep theirs.
    ///
    /// # Errors
    /// A tensor is missing or does not fit.
    fn load_heads(&mut self, config: &HeadsConfig, checkpoint: &Checkpoint) -> Result<()>;

    /// Bytes of the draft heads' own weights; 0 without heads.
    fn heads_bytes(&self) -> usize;

    /// The backend itself, for tools that measure one kind of backend.
    fn as_any(&self) -> &dyn Any;

    /// Memory for passes; streams are opened in it.
    ///
    /// # Errors
    /// Ids beyond the vocabulary, or no room.
    fn passes(&self, plan: PassPlan) -> Result<Box<dyn Passes>>;
}

/// Streams and the passes over them. Use it through [`Staged`].
pub trait Passes: Send {
    /// Opens a stream with room for [`PassPlan::tokens`].
    ///
    /// # Errors
    /// No room.
    fn open(&mut self, own: OwnInputs) -> Result<StreamId>;

    /// Closes a stream; its number may be given again.
    fn close(&mut self, stream: StreamId);

    /// S, committed tokens of a stream.
    fn committed(&self, stream: StreamId) -> usize;

    /// Forgets all but the first `tokens` committed tokens.
    fn truncate(&mut self, stream: StreamId, tokens: usize);

    /// Gives `to` the first `tokens` committed tokens of `from` in place of its own.
    fn copy(&mut self, from: StreamId, to: StreamId, tokens: usize);

    /// The rows of the next pass of a stream.
    fn rows(&mut self, stream: StreamId) -> &mut Rows;

    /// Runs the rows of all streams; `trees` says what will be read.
    ///
    /// # Errors
    /// A token outside the vocabulary, more rows or tokens than there is room for, a lost device.
    fn forward(&mut self, trees: &[Laws]) -> Result<()>;

    /// The scores at a node, one per code, -inf where dropped.
    ///
    /// # Errors
    /// Logits that make no law, or no such node.
    fn scores(&mut self, at: NodeOf) -> StdResult<&[f32], LawError>;

    /// The best codes at a node with their values, best first, ties to the lower code.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    fn best(&mut self, at: NodeOf, count: usize) -> StdResult<&[(f64, Code)], LawError>;

    /// The last hidden state (behind the final norm) at a node, `[D]`, of the conditional stream.
    fn hidden(&mut self, at: NodeOf) -> Option<&[f32]>;

    /// Runs draft heads, all rows in one product.
    ///
    /// # Errors
    /// No heads, more rows than there is room for, no such node or head.
    fn run_heads(&mut self, rows: &[HeadRow]) -> Result<()>;

    /// The same on a hidden state `[D]` for each head, wherever it comes from.
    ///
    /// # Errors
    /// As [`run_heads`](Self::run_heads).
    fn run_heads_on(&mut self, rows: &[(&[f32], usize)]) -> Result<()>;

    /// The logits of a row of the last run of the heads, one per code.
    fn head_logits(&self, row: usize) -> &[f32];

    /// Makes the path to a row of the last pass committed tokens.
    fn commit(&mut self, stream: StreamId, row: usize);

    /// Forgets all rows that are not committed.
    fn roll_back(&mut self);
}

/// A pass that has run and is not committed. Dropping it is the rollback; only [`commit`](Self::commit) grows a stream.
pub struct Staged<'p>(&'p mut dyn Passes);

impl<'p> Staged<'p> {
    /// Runs the rows that were laid out; they are gone where that fails.
    ///
    /// # Errors
    /// See [`Passes::forward`].
    pub fn run(passes: &'p mut dyn Passes, trees: &[Laws]) -> Result<Self> {
        let staged = Self(passes);
        staged.0.forward(trees)?;
        Ok(staged)
    }

    /// What the pass has read.
    pub fn read(&mut self) -> &mut dyn Passes {
        &mut *self.0
    }

    /// Commits the paths to these rows, at most one per stream, and rolls the others back.
    pub fn commit(self, rows: impl IntoIterator<Item = (StreamId, usize)>) {
        rows.into_iter().for_each(|(stream, row)| self.0.commit(stream, row));
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        self.0.roll_back();
    }
}
