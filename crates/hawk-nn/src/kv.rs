//! Streams: keys and values of the committed tokens, and the rows of a pass that may or may not join them.

use std::cell::UnsafeCell;

use crate::kernels::PANEL;
use crate::{Error, Result, TransformerConfig};
use hawk_spec::TokenId;

/// One token sequence under way: the keys and values of its committed tokens, allocated once, and the rows that the next pass runs.
///
/// [`Target::forward`](crate::Target::forward) runs the rows of several streams together; only
/// [`Staged::commit`](crate::Staged::commit) makes rows committed tokens.
pub struct Stream {
    /// The rows of the next pass.
    pub rows: Rows,
    kv: Kv,
}

impl Stream {
    /// Room for `tokens` committed and staged tokens.
    pub fn new(config: &TransformerConfig, tokens: usize) -> Self {
        Self { rows: Rows::default(), kv: Kv::new(config, tokens) }
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
                self.kv.copy(self.kv.committed + row, self.kv.committed + i);
            }
        }
        self.kv.committed += path.len();
        self.rows.clear();
    }

    pub(crate) fn check(&self, vocab: usize) -> Result<()> {
        if let Some(token) = self.rows.tokens.iter().find(|token| token.index() >= vocab) {
            return Err(Error::input("a token is not in the vocabulary").expected(format!("below {vocab}")).got(token));
        }
        let needed = self.kv.committed + self.rows.len();
        if needed > self.kv.capacity {
            return Err(Error::input("the sequence is too long")
                .expected(format!("at most {} tokens", self.kv.capacity))
                .got(needed));
        }
        Ok(())
    }
}

/// Keys and values of one stream for all layers.
///
/// Per kv head, keys lie in panels of 16 positions `[panel][E][16]` and values in panels of 16 channels `[E/16][capacity][16]`, so that scores and
/// sums are products with packed weights.
pub(crate) struct Kv {
    committed: usize,
    capacity: usize,
    head_dim: usize,
    kv_heads: usize,
    /// Cells, because the threads of a pass write their heads' rows through shared references.
    keys: Vec<Box<[UnsafeCell<f32>]>>,
    values: Vec<Box<[UnsafeCell<f32>]>>,
}

impl Kv {
    fn new(config: &TransformerConfig, tokens: usize) -> Self {
        let capacity = tokens.next_multiple_of(PANEL);
        let layer = config.kv_heads * capacity * config.head_dim.next_multiple_of(PANEL);
        let zeros = || (0..layer).map(|_| UnsafeCell::new(0.0)).collect();
        let layers = || (0..config.layers).map(|_| zeros()).collect();
        let (head_dim, kv_heads) = (config.head_dim, config.kv_heads);
        Self { committed: 0, capacity, head_dim, kv_heads, keys: layers(), values: layers() }
    }

    /// Elements of one kv head in a layer.
    fn head_len(&self) -> usize {
        self.capacity * self.head_dim.next_multiple_of(PANEL)
    }

    /// First elements of the keys and values of a layer's kv head; whoever writes through them keeps others away from the head.
    pub(crate) fn head(&self, layer: usize, head: usize) -> (*mut f32, *mut f32) {
        let range = head * self.head_len()..(head + 1) * self.head_len();
        let first = |cells: &[UnsafeCell<f32>]| UnsafeCell::raw_get(cells[range.clone()].as_ptr());
        (first(&self.keys[layer]), first(&self.values[layer]))
    }

    fn copy(&mut self, from: usize, to: usize) {
        let head = self.head_len();
        for (keys, values) in self.keys.iter_mut().zip(&mut self.values) {
            for start in (0..self.kv_heads).map(|i| i * head) {
                for e in 0..self.head_dim {
                    let key = *keys[start + key_at(from, e, self.head_dim)].get_mut();
                    *keys[start + key_at(to, e, self.head_dim)].get_mut() = key;
                }
                for panel in values[start..start + head].chunks_mut(self.capacity * PANEL) {
                    for lane in 0..PANEL {
                        let value = *panel[from * PANEL + lane].get_mut();
                        *panel[to * PANEL + lane].get_mut() = value;
                    }
                }
            }
        }
    }
}

/// Where element `e` of the key at a position lies inside its head.
pub(crate) fn key_at(position: usize, e: usize, head_dim: usize) -> usize {
    (position / PANEL * head_dim + e) * PANEL + position % PANEL
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
