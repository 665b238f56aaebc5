//! Keys and values of the tokens of a stream.

use std::cell::UnsafeCell;
use std::ops::Range;

use hawk_files::{Result, TransformerConfig};
use hawk_kernels::{Isa, Line, Numbers, PANEL, bf16_bits};

use crate::memory::zeros;

/// Number format of keys and values. bf16 is rounded when it is written and halves what attention
/// reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KvFormat {
    F32,
    Bf16,
}

impl KvFormat {
    /// Bytes of a number.
    fn width(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 => size_of::<half::bf16>(),
        }
    }

    /// Steps along k that lie together in a product: channels of keys, positions of values.
    pub(crate) fn together(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
        }
    }

    /// Bytes of 16 numbers of one step.
    fn step_bytes(self) -> usize {
        PANEL * self.width()
    }

    /// Bytes from the start of a panel to a step of a lane.
    fn at(self, step: usize, lane: usize) -> usize {
        let together = self.together();
        (step / together * together * PANEL + lane * together + step % together) * self.width()
    }
}

/// Channels of a key or value that are rounded at once.
const ROUNDED: usize = 64;

/// A part of a [`Line`]. The system gives zeroed memory page by page, as it is used, for what needs no
/// larger alignment than this.
type Part = u64;

const PARTS: usize = size_of::<Line>() / size_of::<Part>();

/// Zeroed cache lines that take memory when they are written. Cells, because the threads of a pass
/// write their heads' rows through shared references.
pub(super) struct LazyLines {
    parts: Vec<UnsafeCell<Part>>,
    /// The first part that begins a line in memory.
    start: usize,
}

impl LazyLines {
    /// As many lines as the product of the factors.
    fn new(factors: [usize; 4]) -> Result<Self> {
        let lines = factors.iter().fold(1_usize, |lines, &factor| lines.saturating_mul(factor));
        // One line more, for the place where the first one begins.
        let parts: Vec<UnsafeCell<Part>> = zeros("keys and values", &[lines.saturating_add(1), PARTS])?;
        let start = parts.as_ptr().align_offset(align_of::<Line>());
        Ok(Self { parts, start })
    }

    /// The first byte of some lines.
    fn pointer(&self, lines: Range<usize>) -> *mut u8 {
        let parts = &self.parts[self.start + lines.start * PARTS..self.start + lines.end * PARTS];
        UnsafeCell::raw_get(parts.as_ptr()).cast()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.parts)
    }
}

/// Keys and values of one stream for all layers.
pub(crate) struct Kv {
    committed: usize,
    /// Most tokens that were committed at once: their pages are taken.
    taken: usize,
    pub(super) capacity: usize,
    head_dim: usize,
    kv_heads: usize,
    format: KvFormat,
    pub(super) keys: Vec<LazyLines>,
    pub(super) values: Vec<LazyLines>,
}

impl Kv {
    /// Room for `tokens` tokens. Its pages take memory when tokens are written.
    ///
    /// # Errors
    /// The system has no room.
    pub(super) fn new(config: &TransformerConfig, tokens: usize, format: KvFormat) -> Result<Self> {
        let panels = tokens.div_ceil(PANEL);
        let (head_dim, kv_heads) = (config.head_dim, config.kv_heads);
        let lines = PANEL * format.step_bytes() / size_of::<Line>();
        let size = [panels, head_dim.div_ceil(PANEL), lines, kv_heads];
        let layers = || (0..config.layers).map(|_| LazyLines::new(size)).collect::<Result<_>>();
        let (keys, values) = (layers()?, layers()?);
        Ok(Self { committed: 0, taken: 0, capacity: panels * PANEL, head_dim, kv_heads, format, keys, values })
    }

    /// S, committed tokens.
    pub(super) fn committed(&self) -> usize {
        self.committed
    }

    /// Sets the number of committed tokens, whose keys and values are there.
    pub(super) fn set_committed(&mut self, tokens: usize) {
        self.committed = tokens;
        self.taken = self.taken.max(tokens);
    }

    /// Tokens that have taken no memory yet.
    pub(super) fn untaken(&self) -> usize {
        self.capacity - self.taken
    }

    /// The factors of the bytes of [`new`](Self::new).
    pub(super) fn bytes_of(config: &TransformerConfig, tokens: usize, format: KvFormat) -> [usize; 5] {
        let width = config.head_dim.next_multiple_of(PANEL) * format.width();
        [2, config.layers, config.kv_heads, width, tokens.div_ceil(PANEL).saturating_mul(PANEL)]
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
            // SAFETY: both lie in the head's part, and what writes there (passes, commits) needs
            // the stream for itself.
            unsafe {
                pieces.push(std::slice::from_raw_parts(head.key_panel(0), keys * head.key_pitch()));
                let positions = self.committed.next_multiple_of(self.format.together());
                let value = |panel| std::slice::from_raw_parts(head.value_panel(panel, 0), positions * step);
                pieces.extend((0..values).map(value));
            }
        }
        pieces
    }

    /// The keys and values of one kv head of a layer. The caller makes sure that nobody else uses a
    /// head that it writes.
    pub(crate) fn head(&self, layer: usize, head: usize) -> KvHead {
        let lines = self.head_bytes() / size_of::<Line>();
        let first = |layer: &LazyLines| layer.pointer(head * lines..(head + 1) * lines);
        KvHead {
            format: self.format,
            capacity: self.capacity,
            head_dim: self.head_dim,
            keys: first(&self.keys[layer]),
            values: first(&self.values[layer]),
        }
    }

    /// Takes the first `tokens` tokens of another stream of the same target in place of its own.
    ///
    /// # Panics
    /// The shapes differ, or `other` has committed fewer.
    pub(super) fn copy_from(&mut self, other: &Kv, tokens: usize) {
        let shape = |kv: &Kv| (kv.keys.len(), kv.kv_heads, kv.head_dim, kv.capacity, kv.format);
        assert!(shape(self) == shape(other) && tokens <= other.committed, "streams of different shapes");
        let (key_panels, value_panels) = (tokens.div_ceil(PANEL), self.head_dim.div_ceil(PANEL));
        for (from, to) in other.heads().zip(self.heads()) {
            // SAFETY: both heads have the same shape, the ranges lie inside the capacity, and
            // `self` is borrowed for writing.
            unsafe {
                std::ptr::copy_nonoverlapping(from.keys, to.keys, key_panels * from.key_pitch());
                for panel in 0..value_panels {
                    let at = panel * from.value_pitch();
                    std::ptr::copy_nonoverlapping(
                        from.values.add(at),
                        to.values.add(at),
                        tokens.next_multiple_of(from.format.together()) * from.format.step_bytes(),
                    );
                }
            }
        }
        self.set_committed(tokens);
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = KvHead> {
        (0..self.keys.len()).flat_map(move |layer| (0..self.kv_heads).map(move |head| self.head(layer, head)))
    }
}

/// Keys and values of one kv head, in the order of packed weights, so that scores and sums are
/// products with packed weights: keys in panels of 16 positions, along the channels inside a panel;
/// values in panels of 16 channels, along the positions inside a panel.
#[derive(Clone, Copy)]
pub(crate) struct KvHead {
    format: KvFormat,
    capacity: usize,
    head_dim: usize,
    keys: *mut u8,
    values: *mut u8,
}

impl KvHead {
    /// How the numbers are stored.
    pub(crate) fn format(&self) -> KvFormat {
        self.format
    }

    /// The number format of products with keys and values.
    pub(crate) fn numbers(&self) -> Numbers {
        match self.format {
            KvFormat::F32 => Numbers::F32,
            KvFormat::Bf16 => Numbers::Bf16,
        }
    }

    /// The first byte of a panel of keys.
    pub(crate) fn key_panel(&self, panel: usize) -> *const u8 {
        self.keys.wrapping_add(panel * self.key_pitch())
    }

    /// Bytes from one panel of keys to the next.
    pub(crate) fn key_pitch(&self) -> usize {
        self.head_dim * self.format.step_bytes()
    }

    /// The first byte of a position, and of those that lie together with it, in a panel of values.
    pub(crate) fn value_panel(&self, panel: usize, position: usize) -> *const u8 {
        let first = position / self.format.together() * self.format.together();
        self.values.wrapping_add(panel * self.value_pitch() + self.format.at(first, 0))
    }

    /// Bytes from one panel of values to the next.
    pub(crate) fn value_pitch(&self) -> usize {
        self.capacity * self.format.step_bytes()
    }

    /// Writes the key and value of a position.
    ///
    /// # Safety
    /// The position is inside the capacity, and nobody else uses the head meanwhile.
    pub(crate) unsafe fn put(&self, isa: Isa, position: usize, key: &[f32], value: &[f32]) {
        // A copy, so that the format is known inside each loop.
        let head = *self;
        // SAFETY: the caller's promise.
        unsafe {
            match head.format {
                KvFormat::F32 => {
                    for (channel, (key, value)) in key.iter().zip(value).enumerate() {
                        *head.key(position, channel).cast() = *key;
                        *head.value(position, channel).cast() = *value;
                    }
                }
                KvFormat::Bf16 => {
                    let mut bits = [[0_u16; ROUNDED]; 2];
                    for (first, (key, value)) in key.chunks(ROUNDED).zip(value.chunks(ROUNDED)).enumerate() {
                        let [keys, values] = bits.each_mut().map(|bits| &mut bits[..key.len()]);
                        bf16_bits(isa, key, keys);
                        bf16_bits(isa, value, values);
                        let first = first * ROUNDED;
                        // Two channels of a key lie together.
                        for (channel, pair) in (first..).step_by(2).zip(keys.as_chunks::<2>().0) {
                            *head.key(position, channel).cast() = *pair;
                        }
                        for (channel, value) in (first..).zip(values) {
                            *head.value(position, channel).cast() = *value;
                        }
                    }
                }
            }
        }
    }

    /// A channel of a position's key.
    fn key(&self, position: usize, channel: usize) -> *mut u8 {
        self.keys.wrapping_add(position / PANEL * self.key_pitch() + self.format.at(channel, position % PANEL))
    }

    /// A channel of a position's value.
    fn value(&self, position: usize, channel: usize) -> *mut u8 {
        self.values.wrapping_add(channel / PANEL * self.value_pitch() + self.format.at(position, channel % PANEL))
    }

    /// Copies the key and value of a position to another.
    ///
    /// # Safety
    /// As [`KvHead::put`].
    pub(super) unsafe fn copy(&self, from: usize, to: usize) {
        let width = self.format.width();
        for channel in 0..self.head_dim {
            // SAFETY: the caller's promise.
            unsafe {
                std::ptr::copy_nonoverlapping(self.key(from, channel), self.key(to, channel), width);
                std::ptr::copy_nonoverlapping(self.value(from, channel), self.value(to, channel), width);
            }
        }
    }
}
