//! Streams: keys and values of the committed tokens, and the rows of a pass that may or may not join them.

use std::cell::UnsafeCell;
use std::sync::Arc;

use crate::kernels::{Line, PANEL, Precision, bf16_slot};
use crate::{Error, Result, TransformerConfig};
use hawk_spec::TokenId;

/// What a stream reads beside the tokens of the vocabulary: inputs that it alone has, and the position of its first token.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnInputs {
    /// `[count, D]`; the input of id V + i is row i.
    vectors: Arc<[f32]>,
    start: usize,
}

impl Default for OwnInputs {
    /// None, from position 0 on.
    fn default() -> Self {
        Self::new(Arc::from([]), 0)
    }
}

impl OwnInputs {
    pub(crate) fn new(vectors: Arc<[f32]>, start: usize) -> Self {
        Self { vectors, start }
    }

    /// The same positions without the inputs.
    #[must_use]
    pub fn positions_alone(&self) -> Self {
        Self::new(Arc::from([]), self.start)
    }

    /// Position of the first token.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }
}

/// One token sequence under way: the keys and values of its committed tokens, allocated once, and the rows that the next pass runs.
///
/// [`Target::forward`](crate::Target::forward) runs the rows of several streams together; only
/// [`Staged::commit`](crate::Staged::commit) makes rows committed tokens.
pub struct Stream {
    /// The rows of the next pass.
    pub rows: Rows,
    own: OwnInputs,
    kv: Kv,
}

impl Stream {
    /// Room for `tokens` committed and staged tokens, with keys and values in f32. [`Target::stream`](crate::Target::stream) chooses by
    /// the target's precision.
    pub fn new(config: &TransformerConfig, tokens: usize) -> Self {
        Self::with_kv(config, tokens, KvFormat::F32)
    }

    pub(crate) fn with_kv(config: &TransformerConfig, tokens: usize, format: KvFormat) -> Self {
        Self { rows: Rows::default(), own: OwnInputs::default(), kv: Kv::new(config, tokens, format) }
    }

    /// The stream with inputs of its own.
    #[must_use]
    pub fn with_inputs(self, own: OwnInputs) -> Self {
        Self { own, ..self }
    }

    /// The inputs of the ids behind the vocabulary.
    pub(crate) fn inputs(&self) -> &[f32] {
        &self.own.vectors
    }

    /// Position of the first token.
    pub(crate) fn start(&self) -> usize {
        self.own.start
    }

    /// S, committed tokens.
    pub fn committed(&self) -> usize {
        self.kv.committed
    }

    /// Most tokens, committed and staged.
    pub fn capacity(&self) -> usize {
        self.kv.capacity
    }

    /// Forgets all but the first `tokens` committed tokens.
    pub fn truncate(&mut self, tokens: usize) {
        self.kv.committed = self.kv.committed.min(tokens);
    }

    /// Bytes of the keys and values.
    pub fn bytes(&self) -> usize {
        self.kv.keys.iter().chain(&self.kv.values).map(|layer| size_of_val(&**layer)).sum()
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.kv
    }

    /// Makes the path to `row`, ancestors first, the next committed tokens, and forgets the other rows.
    pub(crate) fn commit(&mut self, row: usize) {
        let path = self.rows.path(row);
        for (i, &row) in path.iter().enumerate() {
            if row != i {
                let (from, to) = (self.kv.committed + row, self.kv.committed + i);
                // SAFETY: nobody else has the stream, and both are staged rows inside the capacity.
                self.kv.heads().for_each(|head| unsafe { head.copy(from, to) });
            }
        }
        self.kv.committed += path.len();
        self.rows.clear();
    }

    /// Whether the rows can be run: by a model of so many ids, width D, and positions.
    pub(crate) fn check(&self, vocab: usize, width: usize, positions: usize) -> Result<()> {
        let vocab = vocab + self.own.vectors.len() / width;
        if let Some(token) = self.rows.tokens.iter().find(|token| token.index() >= vocab) {
            return Err(Error::input("a token is not in the vocabulary").expected(format!("below {vocab}")).got(token));
        }
        let needed = self.kv.committed + self.rows.len();
        if needed > self.kv.capacity {
            return Err(Error::input("the sequence is too long")
                .expected(format!("at most {} tokens", self.kv.capacity))
                .got(needed));
        }
        let needed = self.own.start + self.kv.committed + self.rows.deepest();
        if needed > positions {
            return Err(Error::input("the sequence leaves the positions that the model has")
                .expected(format!("at most {positions}"))
                .got(needed));
        }
        Ok(())
    }
}

/// How keys and values are kept: f32, or rounded to bf16 when they are written, which halves what attention reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KvFormat {
    F32,
    Bf16,
}

impl KvFormat {
    /// Weights of this format, as the tiles see keys and values.
    pub(crate) fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Bf16 => Precision::Bf16,
        }
    }

    /// Bytes of 16 numbers that lie together.
    fn step_bytes(self) -> usize {
        PANEL * self.precision().weight_bytes()
    }
}

/// Keys and values of one stream for all layers.
pub(crate) struct Kv {
    committed: usize,
    capacity: usize,
    head_dim: usize,
    kv_heads: usize,
    format: KvFormat,
    /// Cells, because the threads of a pass write their heads' rows through shared references.
    keys: Vec<Box<[UnsafeCell<Line>]>>,
    values: Vec<Box<[UnsafeCell<Line>]>>,
}

impl Kv {
    fn new(config: &TransformerConfig, tokens: usize, format: KvFormat) -> Self {
        let capacity = tokens.next_multiple_of(PANEL);
        let (head_dim, kv_heads) = (config.head_dim, config.kv_heads);
        let mut kv = Self { committed: 0, capacity, head_dim, kv_heads, format, keys: Vec::new(), values: Vec::new() };
        let lines = kv_heads * kv.head_bytes() / size_of::<Line>();
        let layers = || (0..config.layers).map(|_| (0..lines).map(|_| UnsafeCell::new(Line::ZERO)).collect()).collect();
        (kv.keys, kv.values) = (layers(), layers());
        kv
    }

    /// Bytes of the keys, and of the values, of one kv head in a layer: a number of lines.
    fn head_bytes(&self) -> usize {
        self.capacity * self.head_dim.next_multiple_of(PANEL) / PANEL * self.format.step_bytes()
    }

    /// The keys and values of the committed tokens of a layer, in pieces that lie together.
    pub(crate) fn committed_bytes(&self, layer: usize) -> Vec<&[u8]> {
        let (keys, values) = (self.committed.div_ceil(PANEL), self.head_dim.div_ceil(PANEL));
        let mut pieces = Vec::new();
        for head in (0..self.kv_heads).map(|head| self.head(layer, head)) {
            let step = self.format.step_bytes();
            // SAFETY: both lie in the head's part, and what writes there (passes, commits) needs the stream for itself.
            unsafe {
                pieces.push(std::slice::from_raw_parts(head.key_panel(0), keys * head.key_pitch()));
                let value = |panel| std::slice::from_raw_parts(head.value_panel(panel, 0), self.committed * step);
                pieces.extend((0..values).map(value));
            }
        }
        pieces
    }

    /// The keys and values of a layer's kv head; whoever writes them keeps others away from the head.
    pub(crate) fn head(&self, layer: usize, head: usize) -> KvHead {
        let lines = self.head_bytes() / size_of::<Line>();
        let first = |cells: &[UnsafeCell<Line>]| UnsafeCell::raw_get(cells[head * lines..(head + 1) * lines].as_ptr());
        KvHead {
            format: self.format,
            capacity: self.capacity,
            head_dim: self.head_dim,
            keys: first(&self.keys[layer]).cast(),
            values: first(&self.values[layer]).cast(),
        }
    }

    fn heads(&self) -> impl Iterator<Item = KvHead> {
        (0..self.keys.len()).flat_map(move |layer| (0..self.kv_heads).map(move |head| self.head(layer, head)))
    }
}

/// Keys and values of one kv head: keys in panels of 16 positions `[panel][E][16]`, values in panels of 16 channels `[E/16][capacity][16]`, so
/// that scores and sums are products with packed weights. The 16 stand in the order of packed weights.
#[derive(Clone, Copy)]
pub(crate) struct KvHead {
    format: KvFormat,
    capacity: usize,
    head_dim: usize,
    keys: *mut u8,
    values: *mut u8,
}

impl KvHead {
    pub(crate) fn precision(&self) -> Precision {
        self.format.precision()
    }

    /// The first byte of a panel of keys.
    pub(crate) fn key_panel(&self, panel: usize) -> *const u8 {
        self.keys.wrapping_add(panel * self.key_pitch())
    }

    /// Bytes from one panel of keys to the next.
    pub(crate) fn key_pitch(&self) -> usize {
        self.head_dim * self.format.step_bytes()
    }

    /// The first byte of a position in a panel of values.
    pub(crate) fn value_panel(&self, panel: usize, position: usize) -> *const u8 {
        self.values.wrapping_add(panel * self.value_pitch() + position * self.format.step_bytes())
    }

    /// Bytes from one panel of values to the next.
    pub(crate) fn value_pitch(&self) -> usize {
        self.capacity * self.format.step_bytes()
    }

    /// Writes the key and value of a position.
    ///
    /// # Safety
    /// The position is inside the capacity, and nobody else uses the head meanwhile.
    pub(crate) unsafe fn put(&self, position: usize, key: &[f32], value: &[f32]) {
        for (e, (key, value)) in key.iter().zip(value).enumerate() {
            // SAFETY: the caller's promise; keys have E steps a panel, values `capacity`.
            unsafe {
                self.write(self.keys, position / PANEL * self.head_dim + e, position % PANEL, *key);
                self.write(self.values, e / PANEL * self.capacity + position, e % PANEL, *value);
            }
        }
    }

    unsafe fn write(&self, base: *mut u8, step: usize, lane: usize, x: f32) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.format {
                KvFormat::F32 => *base.cast::<f32>().add(step * PANEL + lane) = x,
                KvFormat::Bf16 => {
                    *base.cast::<half::bf16>().add(step * PANEL + bf16_slot(lane)) = half::bf16::from_f32(x);
                }
            }
        }
    }

    /// Copies the key and value of a position to another.
    ///
    /// # Safety
    /// As [`KvHead::put`].
    unsafe fn copy(&self, from: usize, to: usize) {
        let (bytes, width) = (self.format.step_bytes(), self.precision().weight_bytes());
        let lane = |position: usize| match self.format {
            KvFormat::F32 => position % PANEL,
            KvFormat::Bf16 => bf16_slot(position % PANEL),
        };
        let key =
            |position: usize| self.keys.wrapping_add(position / PANEL * self.key_pitch() + lane(position) * width);
        // SAFETY: the caller's promise.
        unsafe {
            for e in 0..self.head_dim {
                std::ptr::copy_nonoverlapping(key(from).add(e * bytes), key(to).add(e * bytes), width);
            }
            for panel in 0..self.head_dim.div_ceil(PANEL) {
                let to = self.values.add(panel * self.value_pitch() + to * bytes);
                std::ptr::copy_nonoverlapping(self.value_panel(panel, from), to, bytes);
            }
        }
    }
}

/// Whether a pass computes the logits of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// The law behind the row is wanted.
    Logits,
    /// Only its keys and values are.
    Nothing,
}

/// The rows of one pass of one stream: tokens after the committed ones, each after its parent row.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    tokens: Vec<TokenId>,
    /// The rows whose logits are wanted, in rising order.
    read: Vec<usize>,
    /// The path of every row, oldest ancestor first and the row itself last, one after another.
    paths: Vec<usize>,
    /// Where each row's path ends.
    path_ends: Vec<usize>,
}

impl Rows {
    /// Rows without need of further memory up to `rows` rows in paths of up to `depth`.
    pub fn with_capacity(rows: usize, depth: usize) -> Self {
        Self {
            tokens: Vec::with_capacity(rows),
            read: Vec::with_capacity(rows),
            paths: Vec::with_capacity(rows * depth),
            path_ends: Vec::with_capacity(rows),
        }
    }

    /// Adds a row after row `parent`, or directly after the committed tokens; returns its number.
    ///
    /// # Panics
    /// `parent` is not a row.
    pub fn push(&mut self, token: TokenId, parent: Option<usize>, readout: Readout) -> usize {
        let row = self.tokens.len();
        if readout == Readout::Logits {
            self.read.push(row);
        }
        if let Some(parent) = parent {
            self.paths.extend_from_within(self.path_range(parent));
        }
        self.paths.push(row);
        self.path_ends.push(self.paths.len());
        self.tokens.push(token);
        row
    }

    fn path_range(&self, row: usize) -> std::ops::Range<usize> {
        row.checked_sub(1).map_or(0, |before| self.path_ends[before])..self.path_ends[row]
    }

    /// Length of the longest path.
    fn deepest(&self) -> usize {
        (0..self.len()).map(|row| self.path_range(row).len()).max().unwrap_or(0)
    }

    /// Adds a chain of tokens after row `parent`; the last one's logits are read as `readout` says. Returns the last row, `parent` for no tokens.
    pub fn push_chain(
        &mut self,
        tokens: impl IntoIterator<Item = TokenId>,
        parent: Option<usize>,
        readout: Readout,
    ) -> Option<usize> {
        let mut tokens = tokens.into_iter().peekable();
        let mut last = parent;
        while let Some(token) = tokens.next() {
            let readout = if tokens.peek().is_none() { readout } else { Readout::Nothing };
            last = Some(self.push(token, last, readout));
        }
        last
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.read.clear();
        self.paths.clear();
        self.path_ends.clear();
    }

    /// N, the number of rows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens of the rows.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// The rows whose logits are wanted, in rising order.
    pub fn read(&self) -> &[usize] {
        &self.read
    }

    /// The row's ancestors, oldest first, and the row itself.
    pub(crate) fn path(&self, row: usize) -> &[usize] {
        &self.paths[self.path_range(row)]
    }
}
