//! The time of a target pass beside what the machine could do at best.
//!
//! No pass over R rows can be faster than its roof: the weights must be read once and multiplied with R rows. [`Ceilings`] measures what
//! the pool's threads can read and multiply, [`check_bits`] asserts that a pass computes what it promises, [`time_passes`] times it.

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use hawk_spec::TokenId;
use safetensors::tensor::{Dtype, TensorView};

use hawk_files::{Checkpoint, Error, Result, TransformerConfig, WantedTensor};
use hawk_kernels::{Isa, Kernel, LANES, PANEL, Simd, Threads, dispatch_on};

use crate::cpu::rows::{Readout, Rows};
use crate::cpu::staged::Staged;
use crate::cpu::stream::Stream;
use crate::cpu::target::Target;
use crate::pass::PassCost;
use crate::cpu::weights::MATRICES;
use crate::cpu::workspace::{PassLimits, Workspace};
use crate::random::SplitMix64;

/// Committed tokens of every stream of a timed pass.
pub const COMMITTED: usize = 256;
/// Most sums that are added to independently: enough to hide the latency of a multiply-add on any instruction set.
const CHAINS: usize = 12;
/// Multiply-adds of every chain in a chunk.
const CHAIN_STEPS: usize = 20_000;
/// Numbers that one chunk of a read covers.
const READ_CHUNK: usize = 1 << 16;
/// Places of a chunk that are read at once, and vectors that are read there in a row.
const PLACES: usize = 4;
const VECTORS: usize = 2;
/// A buffer of more says nothing new: it fits into no cache as it is.
const MOST_READ: usize = 1 << 29;
/// How long each ceiling is measured.
const CEILING_TIME: Duration = Duration::from_millis(150);
/// Row counts take turns this often, so that a slow moment of the machine does not meet one alone.
const ROUNDS: u32 = 8;

/// A decoder of usual proportions: width 512, 8 layers of 8 heads, SwiGLU 1408, vocabulary 8192; 29.9 M weights in its products.
const SYNTHETIC: &str = r#"{"model_type":"chameleon","hidden_size":512,"intermediate_size":1408,"num_hidden_layers":8,
    "num_attention_heads":8,"vocab_size":8192,"max_position_embeddings":512,"rms_norm_eps":1e-5}"#;

/// What the threads of a pool can do at best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Threads that it was measured on.
    pub threads: usize,
    /// Size of the buffer that was read over and over.
    pub buffer_bytes: usize,
    /// Read bandwidth.
    pub bytes_per_s: f64,
    /// f32 multiply-adds, each two operations.
    pub flops: f64,
}

impl Ceilings {
    /// Reads a buffer of `bytes`, but at most half a gigabyte, and runs independent multiply-adds; the best of many passes each.
    pub fn measure(pool: &Threads, bytes: usize) -> Self {
        let bytes = bytes.min(MOST_READ);
        let (isa, numbers) = (Isa::detect(), vec![1.0_f32; bytes / size_of::<f32>()]);
        let read = best_s(CEILING_TIME, || {
            pool.run(numbers.len().div_ceil(READ_CHUNK), &|chunk| {
                let end = numbers.len().min((chunk + 1) * READ_CHUNK);
                // SAFETY: the instruction set was detected.
                black_box(unsafe { dispatch_on(isa, Read(&numbers[chunk * READ_CHUNK..end])) });
            });
        });
        let chunks = 4 * pool.threads();
        let multiply = best_s(CEILING_TIME, || {
            pool.run(chunks, &|_| {
                // SAFETY: the instruction set was detected.
                black_box(unsafe { dispatch_on(isa, MultiplyAdd) });
            });
        });
        // SAFETY: as above.
        let chains = unsafe { dispatch_on(isa, Chains) };
        Self {
            threads: pool.threads(),
            buffer_bytes: bytes,
            bytes_per_s: bytes as f64 / read,
            flops: (2 * chunks * CHAIN_STEPS * chains * PANEL) as f64 / multiply,
        }
    }

    /// The better of two measurements, each ceiling for itself.
    #[must_use]
    pub fn or_better(self, other: Self) -> Self {
        let (bytes_per_s, flops) = (self.bytes_per_s.max(other.bytes_per_s), self.flops.max(other.flops));
        Self { bytes_per_s, flops, ..self }
    }

    /// Milliseconds that a pass over `rows` rows takes at least: `max(bytes / bandwidth, 2 weights rows / peak)`.
    pub fn roof_ms(&self, cost: PassCost, rows: usize) -> f64 {
        let multiply = 2.0 * cost.weights as f64 * rows as f64 / self.flops;
        1e3 * multiply.max(cost.bytes as f64 / self.bytes_per_s)
    }
}

/// The fastest of the passes that `effort` has room for, in seconds.
fn best_s(effort: Duration, mut pass: impl FnMut()) -> f64 {
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    while begin.elapsed() < effort {
        let start = Instant::now();
        pass();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// Adds up numbers, in several places at once: one place alone leaves the memory idle at every page's end.
struct Read<'a>(&'a [f32]);

impl Kernel for Read<'_> {
    type Output = [f32; LANES];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Output {
        let (mut out, place) = ([0.0; LANES], self.0.len() / PLACES);
        // SAFETY: `PLACES` times `place` numbers are in the slice; a slice's end that fills no vectors is left out.
        unsafe {
            let mut sums = [[S::splat(0.0); VECTORS]; PLACES];
            for at in (0..place / (VECTORS * LANES)).map(|i| i * VECTORS * LANES) {
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = S::add(*sum, S::load(self.0.as_ptr().add(i * place + at + j * LANES)));
                    }
                }
            }
            for sum in sums.as_flattened() {
                S::store(out.as_mut_ptr(), S::add(*sum, S::load(out.as_ptr())));
            }
        }
        out
    }
}

/// How many sums [`MultiplyAdd`] adds to: as many as a tile has.
struct Chains;

impl Kernel for Chains {
    type Output = usize;
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> usize {
        S::TILE_ROWS.min(CHAINS)
    }
}

struct MultiplyAdd;

impl Kernel for MultiplyAdd {
    type Output = [f32; PANEL];
    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Output {
        let mut out = [0.0; PANEL];
        // SAFETY: stores go to an array of one panel's outputs.
        unsafe {
            let (factor, term) = (S::splat16(black_box(0.999)), S::splat16(black_box(0.001)));
            let mut sums = [S::splat16(black_box(1.5)); CHAINS];
            for _ in 0..CHAIN_STEPS {
                for sum in sums.iter_mut().take(S::TILE_ROWS) {
                    *sum = S::fma16(*sum, factor, term);
                }
            }
            for sum in sums {
                S::store16(out.as_mut_ptr(), S::add16(sum, S::load16(out.as_ptr())));
            }
        }
        out
    }
}

/// The synthetic decoder that passes are compared on: its sizes, and random weights (bf16, a function of `seed`) made in memory.
///
/// # Errors
/// None but a failure of this function itself.
pub fn synthetic(seed: u64) -> Result<(TransformerConfig, Checkpoint)> {
    let config = TransformerConfig::from_json(SYNTHETIC.as_bytes())?;
    let checkpoint = random_checkpoint(&config, seed)?;
    Ok((config, checkpoint))
}

fn random_checkpoint(config: &TransformerConfig, seed: u64) -> Result<Checkpoint> {
    let mut random = Random(SplitMix64(seed));
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = config
        .tensors()
        .into_iter()
        .map(|WantedTensor { name, shape, .. }| {
            let matrix = shape.len() == 2 && !name.contains("_norm");
            // Products keep the size of their input; norms are near the identity.
            let (centre, spread) = if matrix { (0.0, (3.0 / shape[1] as f32).sqrt()) } else { (1.0, 0.1) };
            let numbers = (0..shape.iter().product()).map(|_| half::bf16::from_f32(centre + spread * random.next()));
            let bytes = numbers.flat_map(half::bf16::to_le_bytes).collect();
            (name, shape, bytes)
        })
        .collect();
    let failed = |e: safetensors::SafeTensorError| Error::input(format!("not a checkpoint: {e}"));
    let views = tensors.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::BF16, shape.clone(), bytes).map(|view| (name, view)).map_err(failed)
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    Checkpoint::from_bytes(safetensors::serialize(views, None).map_err(failed)?)
}

struct Random(SplitMix64);

impl Random {
    /// Even in -1..1.
    fn next(&mut self) -> f32 {
        (self.0.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn token(&mut self, ids: &Range<usize>) -> TokenId {
        TokenId((ids.start as u64 + self.0.bits() % ids.len() as u64) as u32)
    }
}

/// A pass that can be run over and over: streams of [`COMMITTED`] tokens, each with a small tree behind them, every row read.
pub struct Step<'a> {
    target: &'a Target,
    vocabulary: Range<usize>,
    workspace: Workspace,
    streams: Vec<Stream>,
    /// Streams that the pass runs.
    used: usize,
}

impl<'a> Step<'a> {
    /// A pass over `rows` rows in all: one stream for a single row, else two (as guidance wants them) of half the rows each.
    /// `vocabulary` are the ids that are read, and of which the random tokens are.
    ///
    /// # Errors
    /// An empty vocabulary, or ids beyond the target's.
    pub fn new(target: &'a Target, pool: &Threads, vocabulary: Range<usize>, rows: usize) -> Result<Self> {
        let ids = target.config().readable();
        if vocabulary.is_empty() || vocabulary.start < ids.start || vocabulary.end > ids.end {
            let expected = format!("a range inside {ids:?}");
            return Err(Error::input("no ids of the vocabulary").expected(expected).got(format!("{vocabulary:?}")));
        }
        let used = if rows == 1 { 1 } else { 2 };
        let tokens = COMMITTED + rows.max(Self::PREFILL);
        let most = rows.max(used * Self::PREFILL);
        let limits = PassLimits { rows: most, readouts: rows, tokens, vocabulary: vocabulary.len() };
        let mut step = Self {
            target,
            vocabulary,
            workspace: target.workspace(limits),
            streams: (0..used).map(|_| target.stream(tokens)).collect(),
            used,
        };
        step.prefill(pool)?;
        for stream in &mut step.streams {
            stream.rows = Rows::with_capacity(rows, rows);
        }
        step.lay_out(rows);
        Ok(step)
    }

    /// Makes it a pass over `rows` rows, at most as many as it was made for.
    fn lay_out(&mut self, rows: usize) {
        self.used = if rows == 1 { 1 } else { self.streams.len() };
        for (i, stream) in self.streams[..self.used].iter_mut().enumerate() {
            let mut random = Random(SplitMix64(i as u64));
            stream.rows.clear();
            for row in 0..(rows + i) / self.used {
                stream.rows.push(random.token(&self.vocabulary), Self::parent(row), Readout::Logits);
            }
        }
    }

    /// Rows of a stream in one pass of a prefill.
    const PREFILL: usize = 32;

    fn prefill(&mut self, pool: &Threads) -> Result<()> {
        let mut random = Random(SplitMix64(1));
        while self.streams[0].committed() < COMMITTED {
            let mut last = Vec::new();
            for stream in &mut self.streams {
                let tokens: Vec<TokenId> = (0..Self::PREFILL).map(|_| random.token(&self.vocabulary)).collect();
                last.push(stream.rows.push_chain(tokens, None, Readout::Nothing));
            }
            self.pass(pool)?.commit(&last);
        }
        Ok(())
    }

    /// A binary tree.
    fn parent(row: usize) -> Option<usize> {
        row.checked_sub(1).map(|above| above / 2)
    }

    /// Runs the pass; whoever drops the result can run it again.
    ///
    /// # Errors
    /// None once it has run.
    pub fn pass(&mut self, pool: &Threads) -> Result<Staged<'_>> {
        let streams = &mut self.streams[..self.used];
        self.target.forward(pool, &mut self.workspace, streams, self.vocabulary.clone())
    }
}

/// Asserts what a timing would be worth nothing without: every row of a pass over `rows` rows has the bits of its path run token by token
/// on one thread.
///
/// # Errors
/// A row has other bits.
pub fn check_bits(target: &Target, pool: &Threads, vocabulary: Range<usize>, rows: usize) -> Result<()> {
    let mut together = Step::new(target, pool, vocabulary.clone(), rows)?;
    let mut alone = Step::new(target, &Threads::new(1), vocabulary, rows)?;
    let single = Threads::new(1);
    let trees: Vec<Vec<TokenId>> = alone.streams.iter().map(|stream| stream.rows.tokens().to_vec()).collect();
    let staged = together.pass(pool)?;
    for (i, tokens) in trees.iter().enumerate() {
        for row in 0..tokens.len() {
            let mut path: Vec<usize> = std::iter::successors(Some(row), |row| Step::parent(*row)).collect();
            path.reverse();
            let mut logits = Vec::new();
            for ancestor in path {
                alone.streams.iter_mut().for_each(|stream| stream.rows.clear());
                alone.streams[i].rows.push(tokens[ancestor], None, Readout::Logits);
                let step = alone.pass(&single)?;
                logits.splice(.., step.all_logits().iter().copied());
                let commits: Vec<Option<usize>> = (0..trees.len()).map(|j| (j == i).then_some(0)).collect();
                step.commit(&commits);
            }
            alone.streams[i].truncate(COMMITTED);
            if staged.logits(i, row) != Some(&logits[..]) {
                return Err(Error::environment("a row has other bits in company than alone")
                    .at(format!("pass over {rows} rows, stream {i}, row {row}")));
            }
        }
    }
    Ok(())
}

/// The least time, in ms, in which the pool reads what a pass over `streams` streams (one or two) reads, and does nothing with it: every matrix
/// in a region of its own, as a pass must, since each needs the result of the one before; keys and values of a layer in one more. A pass
/// cannot be faster, however fast its arithmetic.
///
/// # Errors
/// As [`Step::new`].
pub fn reading_ms(
    target: &Target,
    pool: &Threads,
    vocabulary: &Range<usize>,
    streams: usize,
    effort: Duration,
) -> Result<f64> {
    let step = Step::new(target, pool, vocabulary.clone(), streams)?;
    let mut regions: Vec<Vec<&[f32]>> = Vec::new();
    for (number, (matrix, panels)) in target.matrices(vocabulary.clone()).enumerate() {
        regions.push(pieces(matrix.bytes_in(panels), 4 * pool.threads()).collect());
        let (layer, part) = (number / MATRICES, number % MATRICES);
        if part == 0 && layer < target.config().layers {
            let keys_and_values = step.streams.iter().flat_map(|stream| stream.kv().committed_bytes(layer));
            regions.push(keys_and_values.map(bytemuck::cast_slice).collect());
        }
    }
    let isa = Isa::detect();
    let best = best_s(effort, || {
        for region in &regions {
            pool.run(region.len(), &|piece| {
                // SAFETY: the instruction set was detected.
                black_box(unsafe { dispatch_on(isa, Read(region[piece])) });
            });
        }
    });
    Ok(1e3 * best)
}

/// About so many pieces of a matrix; a panel's bytes are whole vectors of f32.
fn pieces(bytes: &[u8], count: usize) -> std::slice::Chunks<'_, f32> {
    let numbers: &[f32] = bytemuck::cast_slice(bytes);
    numbers.chunks(numbers.len().div_ceil(count).next_multiple_of(PLACES * VECTORS * LANES))
}

/// Times of the passes over one number of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PassTimes {
    /// R.
    pub rows: usize,
    /// Passes that were timed.
    pub passes: usize,
    /// The fastest pass.
    pub min_ms: f64,
    /// The median pass.
    pub median_ms: f64,
}

/// Times passes over each number of rows, for about `effort` each, and in each of several rounds one at least.
///
/// # Errors
/// As [`Step::new`]; no rows.
pub fn time_passes(
    target: &Target,
    pool: &Threads,
    vocabulary: &Range<usize>,
    rows: &[usize],
    effort: Duration,
) -> Result<Vec<PassTimes>> {
    let Some(&most) = rows.iter().max().filter(|_| !rows.contains(&0)) else {
        return Err(Error::input("no rows to time").expected("numbers from 1 on").got(format!("{rows:?}")));
    };
    let mut step = Step::new(target, pool, vocabulary.clone(), most)?;
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (&rows, times) in rows.iter().zip(&mut times) {
            step.lay_out(rows);
            // The passes before it left other data in the caches.
            step.pass(pool)?;
            let begin = Instant::now();
            loop {
                let start = Instant::now();
                step.pass(pool)?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
                if begin.elapsed() >= effort / ROUNDS {
                    break;
                }
            }
        }
    }
    let summary = |(rows, mut times): (&usize, Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        PassTimes { rows: *rows, passes: times.len(), min_ms: times[0], median_ms: times[times.len() / 2] }
    };
    Ok(rows.iter().zip(times).map(summary).collect())
}
