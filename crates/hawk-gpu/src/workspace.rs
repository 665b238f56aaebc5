//! Memory of passes on a device.

use hawk_files::Result;
use hawk_nn::{PassPlan, Rope};

use crate::heads::HeadRuns;
use crate::memory::Buffer;
use crate::ranking::Shortlists;
use crate::weights::Target;
use crate::widths::Widths;

/// Buffers of a pass, `[rows][width]` each, and the keys and values of all streams. Numbers that
/// fill up a row are zero.
pub(crate) struct Workspace {
    pub(crate) widths: Widths,
    /// Hidden states.
    pub(crate) hidden: Buffer,
    /// Inputs of a block, as products read them.
    pub(crate) normed: Buffer,
    /// Output of a block whose norm comes after it.
    pub(crate) block: Buffer,
    pub(crate) qkv: Buffer,
    pub(crate) attended: Buffer,
    pub(crate) gate_up: Buffer,
    pub(crate) gated: Buffer,
    pub(crate) scores: Buffer,
    /// The numbers from 0 on.
    pub(crate) every: Buffer,
    /// The last hidden states of the rows that are read, and as products read them.
    pub(crate) last: Buffer,
    pub(crate) last_rounded: Buffer,
    pub(crate) head: Buffer,
    pub(crate) logits: Buffer,
    /// Cosines, then sines.
    pub(crate) tables: Buffer,
    pub(crate) positions: usize,
    /// Of each layer.
    pub(crate) keys: Vec<Buffer>,
    pub(crate) values: Vec<Buffer>,
    /// Bytes that were planned.
    pub(crate) planned: u64,
}

impl Workspace {
    pub(crate) fn new(target: &Target, plan: &PassPlan) -> Result<Self> {
        let (c, memory, w) = (target.config(), &target.memory, Widths::new(target, plan));
        let product = |factors: &[usize]| factors.iter().fold(1_usize, |all, &factor| all.saturating_mul(factor));
        let (rows, readouts) = (plan.rows, plan.readouts);
        let row = 3 * w.hidden + w.qkv + w.attended + 2 * w.inner + w.inner;
        let scores = product(&[rows, c.heads, plan.tokens]);
        let slots = product(&[plan.streams, c.kv_heads, w.words, plan.tokens]);
        let logits = product(&[readouts, w.codes]);
        let [ranked, lists] = Shortlists::words(plan);
        let [head_logits, heads] = HeadRuns::words(plan, w);
        let in_all = [
            product(&[rows, row]),
            scores,
            product(&[2, c.layers, slots]),
            logits,
            product(&[readouts, 2 * w.hidden + w.head]),
            product(&[c.head_dim, plan.tokens]),
            ranked,
            lists,
            head_logits,
            heads,
        ];
        let bytes = |words: usize| (words as u64).saturating_mul(4);
        let planned = in_all.into_iter().fold(0_u64, |all, words| all.saturating_add(bytes(words)));
        let largest =
            [scores, slots, logits, head_logits, product(&[rows, 2 * w.inner])].into_iter().max().unwrap_or(0);
        memory.plan("keys, values and the rows of a pass", planned, bytes(largest))?;
        let rope = Rope::new(c, plan.tokens)?;
        let (cos, sin) = rope.tables();
        Ok(Self {
            widths: w,
            hidden: memory.zeros(rows * w.hidden),
            normed: memory.zeros(rows * w.hidden),
            block: memory.zeros(rows * w.hidden),
            qkv: memory.zeros(rows * w.qkv),
            attended: memory.zeros(rows * w.attended),
            gate_up: memory.zeros(rows * 2 * target.inner()),
            gated: memory.zeros(rows * w.inner),
            scores: memory.empty(scores),
            every: memory.upload((0..rows.max(readouts).max(1) as u32).collect()),
            last: memory.zeros(readouts * w.hidden),
            last_rounded: memory.zeros(readouts * w.hidden),
            head: memory.zeros(readouts * w.head),
            logits: memory.zeros(logits),
            tables: memory.upload([cos, sin].concat()),
            positions: rope.positions(),
            keys: (0..c.layers).map(|_| memory.empty(slots)).collect(),
            values: (0..c.layers).map(|_| memory.empty(slots)).collect(),
            planned,
        })
    }
}
