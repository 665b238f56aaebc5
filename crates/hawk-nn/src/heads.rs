//! Draft heads: what the target's last hidden state says about cells further on.
//!
//! A head is a residual block `h + silu(W h + b)` on the target's last hidden state, then the
//! target's own output projection (the block of Medusa, arXiv 2401.10774, with the offsets of Hawk,
//! arXiv 2510.25739, section 3).

use std::ops::Range;

use hawk_files::{Checkpoint, Error, HeadsConfig, ModelSource, Result};
use hawk_kernels::{Activations, Isa, Matrix, Precision, Product, Threads, silu};

use crate::cpu::id::TargetId;
use crate::cpu::output::Projection;
use crate::cpu::target::Target;
use crate::memory::zeros;
use crate::weights::packer::pack_in_range;

/// The trained part of a head.
struct Block {
    weights: Matrix,
    bias: Vec<f32>,
}

/// Loaded draft heads of a target.
pub struct Heads {
    config: HeadsConfig,
    blocks: Vec<Block>,
}

/// Hidden states that wait for their heads, and the logits that came of them. Allocated once.
pub struct HeadWorkspace {
    target: TargetId,
    /// Most rows.
    rows: usize,
    /// Most logits of a row.
    vocabulary: usize,
    /// D.
    width: usize,
    /// The head of each row, as pushed.
    heads: Vec<usize>,
    /// The rows as pushed, `[rows, D]`.
    hidden: Vec<f32>,
    /// Where each row stands below, where rows of one head stand together.
    places: Vec<usize>,
    grouped: Vec<f32>,
    /// Behind the blocks.
    states: Vec<f32>,
    /// Between the layers of the target's output head, where it has two.
    inner: Vec<f32>,
    logits: Vec<f32>,
    /// Logits of a row in the last run.
    columns: usize,
    activations: Activations,
}

impl Heads {
    /// Reads `config.json` and `model.safetensors` in `folder` (`"heads/"`, or `""` for a folder of
    /// their own); the weights take the target's precision. Whether [`HeadsConfig::target_digest`]
    /// is the target's is for the caller to compare.
    ///
    /// # Errors
    /// A file that is missing or damaged, heads of another width than the target, a tensor that is
    /// missing or does not fit.
    pub fn load(source: &ModelSource, folder: &str, target: &Target) -> Result<Self> {
        let config = HeadsConfig::read(source, folder, target.config())?;
        Self::from_checkpoint(config, &Checkpoint::open(source, folder)?, target.precision())
    }

    /// Takes the weights of heads from a checkpoint.
    ///
    /// # Errors
    /// A tensor that is missing or does not fit, a weight that the precision cannot hold.
    pub fn from_checkpoint(config: HeadsConfig, checkpoint: &Checkpoint, precision: Precision) -> Result<Self> {
        let d = config.hidden;
        let block = |head: usize| -> Result<Block> {
            let name = format!("heads.{head}.weight");
            let weights = checkpoint.tensor(&name, &[d, d])?;
            let fill = &mut |row, out: &mut [f32]| weights.row_into(row, out);
            Ok(Block {
                weights: pack_in_range(&name, precision, fill, |fill| Matrix::pack(precision, d, d, fill))?,
                bias: checkpoint.tensor(&format!("heads.{head}.bias"), &[d])?.to_f32(),
            })
        };
        Ok(Self { blocks: (0..config.heads.len()).map(block).collect::<Result<_>>()?, config })
    }

    /// Offsets, grid or text, target, measured figures.
    pub fn config(&self) -> &HeadsConfig {
        &self.config
    }

    /// Bytes of the weights; the output projection is the target's and not counted.
    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.weights.bytes() + size_of_val(&*block.bias)).sum()
    }

    /// Memory for runs of up to `rows` rows with up to `vocabulary` logits each.
    ///
    /// # Errors
    /// The system has no room.
    pub fn workspace(&self, target: &Target, rows: usize, vocabulary: usize) -> Result<HeadWorkspace> {
        let d = self.config.hidden;
        let numbers = |factors: &[usize]| zeros("the rows of draft heads", factors);
        let mut hidden = numbers(&[rows, d])?;
        hidden.clear();
        Ok(HeadWorkspace {
            target: target.id(),
            rows,
            vocabulary,
            width: d,
            heads: Vec::with_capacity(rows),
            hidden,
            places: vec![0; rows],
            grouped: numbers(&[rows, d])?,
            states: numbers(&[rows, d])?,
            inner: numbers(&[rows, target.output().inner_width()])?,
            logits: numbers(&[rows, Projection::room(target.output(), vocabulary)])?,
            columns: 0,
            activations: Activations::new(target.precision(), rows, d.max(target.output().inner_width())),
        })
    }

    /// Computes the logits over the ids `vocabulary` of all rows that were pushed: a product a
    /// head, then one product with the target's output projection for all. A row's bits depend on
    /// nothing but its head and its hidden state.
    ///
    /// # Errors
    /// More ids than the workspace has room for, ids beyond the target's vocabulary, a head that
    /// does not exist, or a workspace or heads of another model.
    pub fn run(
        &self,
        target: &Target,
        pool: &Threads,
        workspace: &mut HeadWorkspace,
        vocabulary: Range<usize>,
    ) -> Result<()> {
        target.id().owns("workspace", workspace.target)?;
        let widths = [self.config.hidden, workspace.width];
        if widths != [target.config().hidden; 2] {
            return Err(Error::input("the draft heads were made for another model")
                .at("hidden")
                .expected(target.config().hidden)
                .got(format!("{widths:?}")));
        }
        if let Some(head) = workspace.heads.iter().find(|head| **head >= self.blocks.len()) {
            let expected = format!("below {}", self.blocks.len());
            return Err(Error::input("there is no such draft head").at("head").expected(expected).got(head));
        }
        let most = workspace.vocabulary;
        if vocabulary.len() > most {
            let expected = format!("at most {most}");
            return Err(Error::input("too many logits of a row").expected(expected).got(vocabulary.len()));
        }
        let projection = Projection::new(target.output(), pool, vocabulary)?;
        self.run_blocks(pool, workspace);
        let w = workspace;
        w.columns = projection.columns();
        projection.run(&mut w.activations, &mut w.inner, &w.states, w.heads.len(), &mut w.logits);
        Ok(())
    }

    /// The states behind the blocks, rows of one head together.
    fn run_blocks(&self, pool: &Threads, w: &mut HeadWorkspace) {
        let (d, isa, mut used) = (w.width, Isa::detect(), 0);
        for (head, block) in self.blocks.iter().enumerate() {
            let first = used;
            for row in (0..w.heads.len()).filter(|&row| w.heads[row] == head) {
                w.grouped[used * d..][..d].copy_from_slice(&w.hidden[row * d..][..d]);
                w.places[row] = used;
                used += 1;
            }
            if used == first {
                continue;
            }
            let rows = first * d..used * d;
            let (grouped, states) = (&w.grouped[rows.clone()], &mut w.states[rows]);
            Product::new(pool, isa, &block.weights).run(&mut w.activations, grouped, used - first, states);
            for state in states.chunks_exact_mut(d) {
                state.iter_mut().zip(&block.bias).for_each(|(x, bias)| *x += bias);
            }
            silu(states);
            states.iter_mut().zip(grouped).for_each(|(x, h)| *x += h);
        }
    }
}

impl HeadWorkspace {
    /// Forgets all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.hidden.clear();
        self.columns = 0;
    }

    /// Adds a row: `head` on the target's last hidden state `[D]`
    /// ([`CpuStaged::hidden`](crate::CpuStaged::hidden)). Returns its number.
    ///
    /// # Panics
    /// There is no room, or `hidden` has another width than the workspace.
    pub fn push(&mut self, head: usize, hidden: &[f32]) -> usize {
        assert_eq!(hidden.len(), self.width);
        assert!(self.heads.len() < self.rows, "a workspace of {} rows is full", self.rows);
        self.heads.push(head);
        self.hidden.extend_from_slice(hidden);
        self.heads.len() - 1
    }

    /// The logits of a row in the last [`Heads::run`].
    ///
    /// # Panics
    /// The row was not there in that run.
    #[must_use]
    pub fn logits(&self, row: usize) -> &[f32] {
        assert!(row < self.heads.len(), "row {row} of {}", self.heads.len());
        &self.logits[self.places[row] * self.columns..][..self.columns]
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes of the memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let floats =
            self.hidden.capacity() + self.grouped.len() + self.states.len() + self.inner.len() + self.logits.len();
        floats * size_of::<f32>() + (self.heads.capacity() + self.places.len()) * size_of::<usize>()
    }
}
