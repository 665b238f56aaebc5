//! Keys and values of one stream, and the rows of a pass that may or may not become part of it.

use crate::kernels::PANEL;
use crate::{Error, Result, TransformerConfig};
use hawk_spec::TokenId;

/// Keys and values of one stream for all layers; allocated once.
///
/// Per kv head, keys lie in panels of 16 positions `[panel][E][16]` and values in panels of 16 channels `[E/16][capacity][16]`, so that scores and
/// sums are products with packed weights.
pub struct KvStream {
    committed: usize,
    capacity: usize,
    head_dim: usize,
    kv_heads: usize,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl KvStream {
    /// Room for `tokens` committed and staged tokens.
    pub fn new(config: &TransformerConfig, tokens: usize) -> Self {
        let capacity = tokens.next_multiple_of(PANEL);
        let head = capacity * config.head_dim.next_multiple_of(PANEL);
        let layers = || (0..config.layers).map(|_| vec![0.0; config.kv_heads * head]).collect();
        let (head_dim, kv_heads) = (config.head_dim, config.kv_heads);
        Self { committed: 0, capacity, head_dim, kv_heads, keys: layers(), values: layers() }
    }

    /// S, committed tokens.
    pub fn committed(&self) -> usize {
        self.committed
    }

    /// Most tokens, committed and staged.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all but the first `tokens` committed tokens.
    pub fn truncate(&mut self, tokens: usize) {
        self.committed = self.committed.min(tokens);
    }

    /// First elements of the keys and values of a layer's kv head.
    ///
    /// # Safety
    /// `stream` is valid; the caller keeps others away from this head.
    pub(crate) unsafe fn head(stream: *mut Self, layer: usize, head: usize) -> (*mut f32, *mut f32) {
        // SAFETY: the vectors themselves are only read, so that threads with different heads do not meet.
        unsafe {
            let start = head * (*stream).capacity * (*stream).head_dim.next_multiple_of(PANEL);
            let (keys, values) = (&(&(*stream).keys)[layer], &(&(*stream).values)[layer]);
            (keys.as_ptr().cast_mut().add(start), values.as_ptr().cast_mut().add(start))
        }
    }

    /// Makes the staged rows of `path`, in this order, the next committed tokens.
    pub(crate) fn commit(&mut self, path: &[usize]) {
        for (i, &row) in path.iter().enumerate() {
            debug_assert!(row >= i);
            if row != i {
                self.copy(self.committed + row, self.committed + i);
            }
        }
        self.committed += path.len();
    }

    fn copy(&mut self, from: usize, to: usize) {
        let head = self.capacity * self.head_dim.next_multiple_of(PANEL);
        for (keys, values) in self.keys.iter_mut().zip(&mut self.values) {
            for start in (0..self.kv_heads).map(|i| i * head) {
                let keys = &mut keys[start..start + head];
                for e in 0..self.head_dim {
                    keys[key_at(to, e, self.head_dim)] = keys[key_at(from, e, self.head_dim)];
                }
                for panel in values[start..start + head].chunks_mut(self.capacity * PANEL) {
                    panel.copy_within(from * PANEL..(from + 1) * PANEL, to * PANEL);
                }
            }
        }
    }
}

/// Where element `e` of the key at a position lies inside its head.
pub(crate) fn key_at(position: usize, e: usize, head_dim: usize) -> usize {
    (position / PANEL * head_dim + e) * PANEL + position % PANEL
}

/// The rows of one pass of one stream: tokens after the committed ones, each after its parent row.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    tokens: Vec<TokenId>,
    /// The path of every row, oldest ancestor first and the row itself last, one after another.
    paths: Vec<usize>,
    /// Where each row's path ends.
    path_ends: Vec<usize>,
}

impl Rows {
    /// Each token after the one before.
    pub fn chain(tokens: &[TokenId]) -> Self {
        let mut rows = Self::default();
        for (i, &token) in tokens.iter().enumerate() {
            rows.push(token, i.checked_sub(1));
        }
        rows
    }

    /// Adds a row after row `parent`, or directly after the committed tokens; returns its number.
    ///
    /// # Panics
    /// `parent` is not a row.
    pub fn push(&mut self, token: TokenId, parent: Option<usize>) -> usize {
        let row = self.tokens.len();
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

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
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

    /// The row's ancestors, oldest first, and the row itself.
    pub(crate) fn path(&self, row: usize) -> &[usize] {
        &self.paths[self.path_range(row)]
    }

    pub(crate) fn check(&self, vocab: usize, kv: &KvStream) -> Result<()> {
        if let Some(token) = self.tokens.iter().find(|token| token.index() >= vocab) {
            return Err(Error::input("a token is not in the vocabulary").expected(format!("below {vocab}")).got(token));
        }
        let needed = kv.committed + self.len();
        if needed > kv.capacity {
            return Err(Error::input("the sequence is too long")
                .expected(format!("at most {} tokens", kv.capacity))
                .got(needed));
        }
        Ok(())
    }
}
