//! What a family has before and behind its layers, from a checkpoint.

use hawk_files::{
    CLASSES, Family, JanusSizes, LlamaGenCondition, LlamaGenSizes, NO_CAPTION, Names, Result, TransformerConfig,
};
use hawk_kernels::Threads;

use super::captions::Captions;
use super::dense::{Dense, gelu, mlp};
use super::output::OutputHead;
use super::packed::MatrixSource;
use super::weights::Table;

/// What a family has before and behind its layers.
pub(crate) struct Ends {
    /// Inputs of the ids from 0 on.
    pub(super) tables: Vec<Table>,
    pub(super) output: OutputHead,
}

impl Ends {
    pub(super) fn load(config: &TransformerConfig, source: &MatrixSource<'_>) -> Result<Self> {
        match config.family {
            Family::Chameleon | Family::Llama => llama(config, source),
            Family::Janus(sizes) => janus(config, sizes, source),
            Family::LlamaGen(sizes) => llamagen(config, sizes, source),
        }
    }
}

/// Llama and Chameleon: text and codes in one table and one output projection.
fn llama(config: &TransformerConfig, source: &MatrixSource<'_>) -> Result<Ends> {
    let checkpoint = source.checkpoint;
    let (d, v) = (config.hidden, config.vocab);
    let table = checkpoint.tensor(&Names::of(config.family).embedding(), &[v, d])?;
    let (name, shape) = config.output_projection_place()?;
    let head = source.packable(name, &shape)?;
    let head = source.matrix("head", [v, d], &mut |row, out| head.row_into(row, out))?;
    Ok(Ends { tables: vec![Table::read(&table)], output: OutputHead::plain(0, head) })
}

/// The tables of text and of codes, and the head. A code's input depends on nothing but the code, so that the aligner is run once for
/// each of them, in f32.
fn janus(config: &TransformerConfig, sizes: JanusSizes, source: &MatrixSource<'_>) -> Result<Ends> {
    let checkpoint = source.checkpoint;
    let (d, names) = (config.hidden, Names::of(config.family));
    let text = checkpoint.tensor(&names.embedding(), &[config.text().len(), d])?;
    let text = Table::read(&text);
    checkpoint.release();
    let aligner = (0..sizes.aligner_layers)
        .map(|i| Dense::load_f32(checkpoint, &sizes.aligner(i), sizes.aligner_shape(i, d)))
        .collect::<Result<Vec<_>>>()?;
    let codes = checkpoint.tensor(sizes.table(), &[sizes.codes, sizes.code_width])?.to_f32();
    let pool = Threads::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let codes = mlp(&pool, &aligner, gelu, &codes);
    let ([inner, outputs], [inner_shape, outputs_shape]) = (sizes.head(), sizes.head_shapes(d));
    Ok(Ends {
        tables: vec![text, Table::F32(codes)],
        output: OutputHead::mlp(
            config.text().len(),
            Dense::load(source, inner, inner_shape)?,
            Dense::load(source, outputs, outputs_shape)?,
        ),
    })
}

/// The tables of codes and conditions, and the output projection.
fn llamagen(config: &TransformerConfig, sizes: LlamaGenSizes, source: &MatrixSource<'_>) -> Result<Ends> {
    let checkpoint = source.checkpoint;
    let d = config.hidden;
    let codes = Table::read(&checkpoint.tensor(&Names::of(config.family).embedding(), &[sizes.codes, d])?);
    let conditions = match sizes.condition {
        LlamaGenCondition::Classes(classes) => Table::read(&checkpoint.tensor(CLASSES, &[classes + 1, d])?),
        LlamaGenCondition::Captions { width, most } => {
            let none = checkpoint.tensor(NO_CAPTION, &[most, width])?.to_f32();
            let captions = Captions::load(config, checkpoint, width, most)?;
            Table::F32(captions.project(&Threads::new(1), &none))
        }
    };
    let (name, shape) = config.output_projection_place()?;
    let head = source.packable(name, &shape)?;
    let head = source.matrix("head", [sizes.codes, d], &mut |row, out| head.row_into(row, out))?;
    Ok(Ends { tables: vec![codes, conditions], output: OutputHead::plain(0, head) })
}
