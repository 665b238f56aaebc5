//! The tensors of a grown model.
//!
//! `D` is the source's hidden size. What is new stays zero on its way to the logits: the hidden
//! state behind its first `D` numbers, the outputs of new heads and of new units of the SwiGLU, and
//! what new layers add. Weights that read it may therefore have any value, and are drawn. These
//! numbers alone are zero:
//!
//! - in new rows of values and `up`, and in all their rows in new layers, the first `D` columns;
//! - in new rows of `o`, `down` and the draft heads the source's columns;
//! - in the tables of inputs the columns behind the first `D`; new numbers of biases.

use hawk_files::{
    Checkpoint, Error, HeadNormTensors, HeadsConfig, InputTensors, LayerPart, LinearTensors, LogitTensors, MlpTensors,
    Planned, Result, TransformerConfig, VQ_PREFIXES, WantedTensor,
};
use safetensors::Dtype;

use super::recipe::{Beyond, Columns, Recipe, Rows};

/// Lists the tensors of a grown model or of its draft heads.
pub(super) struct Tensors<'a> {
    /// The source's tensors.
    source: &'a Checkpoint,
    from: &'a TransformerConfig,
    to: &'a TransformerConfig,
    recipes: Vec<Recipe>,
}

/// The name of a tensor in the source and in the new model.
struct Names {
    from: String,
    to: String,
}

impl Names {
    fn same(name: &str) -> Self {
        Self { from: name.to_owned(), to: name.to_owned() }
    }
}

impl<'a> Tensors<'a> {
    pub(super) fn new(source: &'a Checkpoint, from: &'a TransformerConfig, to: &'a TransformerConfig) -> Self {
        Self { source, from, to, recipes: Vec::new() }
    }

    /// All tensors of the model's own checkpoint. New layers stand behind those of the source.
    pub(super) fn of_model(mut self) -> Result<Vec<Recipe>> {
        if let Some(fault) = self.from.tensors().iter().find_map(|tensor| tensor.fault(self.source)) {
            return Err(Error::input(format!("the weights do not fit the config: {fault}")).at(self.source.place()));
        }
        self.inputs_and_logits()?;
        for layer in 0..self.to.layers {
            self.layer(layer)?;
        }
        let name = self.from.family.rules().tensor_names().norm();
        self.norm(Names::same(&name), 1)?;
        self.vq_among_weights()?;
        Ok(self.recipes)
    }

    /// Draft heads: `h + silu(W h + b)` keeps zeros.
    pub(super) fn of_heads(mut self, heads: &HeadsConfig) -> Result<Vec<Recipe>> {
        let d = self.hidden();
        for head in 0..heads.heads.len() {
            let name = |kind: &str| Names::same(&format!("heads.{head}.{kind}"));
            self.matrix(name("weight"), vec![Rows::grown(d.source, d.grown, Beyond::Zero)], d)?;
            self.bias(name("bias"), d.source, d.grown)?;
        }
        Ok(self.recipes)
    }

    /// Columns that read the hidden state.
    fn hidden(&self) -> Columns {
        Columns { source: self.from.hidden, grown: self.to.hidden, beyond: Beyond::Drawn }
    }

    fn inputs_and_logits(&mut self) -> Result<()> {
        let (from, to) = (self.from.ends(), self.to.ends());
        for (from, to) in from.inputs.iter().zip(&to.inputs) {
            match (from, to) {
                (InputTensors::Computed { name, rows, width, mlp }, InputTensors::Computed { mlp: grown, .. }) => {
                    let columns = Columns { source: *width, grown: *width, beyond: Beyond::Zero };
                    self.matrix(Names::same(name), vec![Rows::grown(*rows, *rows, Beyond::Zero)], columns)?;
                    self.mlp(mlp, grown)?;
                }
                (InputTensors::Stored { name, rows }, _) | (InputTensors::Computed { name, rows, .. }, _) => {
                    let columns = Columns { beyond: Beyond::Zero, ..self.hidden() };
                    self.matrix(Names::same(name), vec![Rows::grown(*rows, *rows, Beyond::Zero)], columns)?;
                }
            }
        }
        match (&from.logits, &to.logits) {
            (LogitTensors::Linear(from), LogitTensors::Linear(to)) => self.linear(from, to),
            (LogitTensors::Mlp { inner, outputs }, LogitTensors::Mlp { inner: to_inner, outputs: to_outputs }) => {
                self.linear(inner, to_inner)?;
                self.linear(outputs, to_outputs)
            }
            _ => Err(Error::input("the grown config is of another kind").got(self.to.family.name())),
        }
    }

    fn mlp(&mut self, from: &MlpTensors, to: &MlpTensors) -> Result<()> {
        from.layers.iter().zip(&to.layers).try_for_each(|(from, to)| self.linear(from, to))
    }

    /// A product whose new outputs are zero. GELU keeps zeros.
    fn linear(&mut self, from: &LinearTensors, to: &LinearTensors) -> Result<()> {
        let ([outputs, inputs], [grown, columns]) = (from.shape(), to.shape());
        let names = Names { from: from.weight.clone(), to: to.weight.clone() };
        let columns = Columns { source: inputs, grown: columns, beyond: Beyond::Drawn };
        self.matrix(names, vec![Rows::grown(outputs, grown, Beyond::Zero)], columns)?;
        match (&from.bias, &to.bias) {
            (Some(from), Some(to)) => self.bias(Names { from: from.clone(), to: to.clone() }, outputs, grown),
            _ => Ok(()),
        }
    }

    fn layer(&mut self, layer: usize) -> Result<()> {
        let (from, to, names) = (self.from, self.to, self.from.family.rules().tensor_names());
        // A new layer takes its numbers from one of the source.
        let (twin, is_new) = (layer % from.layers, layer >= from.layers);
        let name = |part| Names { from: names.layer(twin, part), to: names.layer(layer, part) };
        let kept = |rows: Rows| if is_new { Rows { kept: 0, ..rows } } else { rows };
        let (e, d) = (from.head_dim, self.hidden());
        let heads = Columns { source: from.heads * e, grown: to.heads * e, beyond: Beyond::Drawn };
        let keys = Columns { source: from.kv_heads * e, grown: to.kv_heads * e, beyond: Beyond::Drawn };
        let units = Columns { source: from.intermediate, grown: to.intermediate, beyond: Beyond::Drawn };
        let rows = |size: Columns, beyond| kept(Rows::grown(size.source, size.grown, beyond));
        let (drawn, silent) = (Beyond::Drawn, Beyond::Zero);
        // Everything that `o` and `down` of a new layer read is zero.
        let back = rows(d, if is_new { drawn } else { silent });
        for &part in names.query_key_value() {
            let parts = match part {
                LayerPart::Query => vec![rows(heads, drawn)],
                LayerPart::Key => vec![rows(keys, drawn)],
                LayerPart::Value => vec![rows(keys, silent)],
                _ => {
                    let key = Rows { first: heads.source, ..rows(keys, drawn) };
                    let value = Rows { first: heads.source + keys.source, ..rows(keys, silent) };
                    vec![rows(heads, drawn), key, value]
                }
            };
            self.matrix(name(part), parts, d)?;
        }
        self.matrix(name(LayerPart::Output), vec![back], heads)?;
        self.matrix(name(LayerPart::Gate), vec![rows(units, drawn)], d)?;
        self.matrix(name(LayerPart::Up), vec![rows(units, silent)], d)?;
        self.matrix(name(LayerPart::Down), vec![back], units)?;
        for part in [LayerPart::AttentionNorm, LayerPart::MlpNorm] {
            self.norm(name(part), usize::from(!is_new))?;
        }
        let norms = (from.head_norms(twin), to.head_norms(layer));
        let (Some(from_norms), Some(to_norms)) = norms else { return Ok(()) };
        for (from, to) in from_norms.iter().zip(&to_norms) {
            self.head_norm(from, to, is_new)?;
        }
        Ok(())
    }

    /// A norm over the hidden state. It divides by the root of a mean over more numbers.
    fn norm(&mut self, names: Names, kept: usize) -> Result<()> {
        let ratio = self.from.hidden as f64 / self.to.hidden as f64;
        let rows = Rows { kept, ..Rows::grown(1, 1, Beyond::Drawn) };
        self.vector(names, rows, self.hidden())?;
        let Some(recipe) = self.recipes.last_mut() else { return Ok(()) };
        recipe.factor = ratio.sqrt() as f32;
        // bf16 holds the products with a power of two, and no others.
        let is_power_of_two = recipe.factor.to_bits() << 9 == 0;
        if !(is_power_of_two && recipe.planned.dtype == Dtype::BF16) {
            recipe.planned.dtype = Dtype::F32;
        }
        Ok(())
    }

    /// The norms over the heads of queries or keys. One stored row may stand for several heads.
    fn head_norm(&mut self, from: &HeadNormTensors, to: &HeadNormTensors, is_new: bool) -> Result<()> {
        let e = self.from.head_dim;
        for (from_name, to_name) in [(&from.weight, &to.weight), (&from.bias, &to.bias)] {
            let stored = self.source.shape(from_name).and_then(|shape| shape.first().copied()).unwrap_or(from.heads);
            let rows = Rows::grown(from.heads, to.heads, Beyond::Drawn);
            let kept = if is_new { 0 } else { rows.kept };
            let rows = Rows { stored_for: from.heads / stored, kept, ..rows };
            let columns = Columns { source: e, grown: e, beyond: Beyond::Drawn };
            self.matrix(Names { from: from_name.clone(), to: to_name.clone() }, vec![rows], columns)?;
        }
        Ok(())
    }

    /// The VQ tokenizer, where it lies among the weights: as it is.
    fn vq_among_weights(&mut self) -> Result<()> {
        let is_vq = |name: &&str| VQ_PREFIXES.iter().any(|prefix| !prefix.is_empty() && name.starts_with(prefix));
        let names: Vec<String> = self.source.names().filter(is_vq).map(str::to_owned).collect();
        for name in names {
            let shape = self.source.shape(&name).unwrap_or_default().to_vec();
            let (last, outer) = shape.split_last().map_or((1, &[][..]), |(last, outer)| (*last, outer));
            let columns = Columns { source: last, grown: last, beyond: Beyond::Zero };
            let count = outer.iter().product();
            self.push(Names::same(&name), vec![Rows::grown(count, count, Beyond::Zero)], columns, shape.clone())?;
        }
        Ok(())
    }

    /// Outputs beyond the source's stay zero.
    fn bias(&mut self, names: Names, source: usize, grown: usize) -> Result<()> {
        self.vector(names, Rows::grown(1, 1, Beyond::Zero), Columns { source, grown, beyond: Beyond::Zero })
    }

    fn vector(&mut self, names: Names, rows: Rows, columns: Columns) -> Result<()> {
        self.push(names, vec![rows], columns, vec![columns.grown])
    }

    fn matrix(&mut self, names: Names, rows: Vec<Rows>, columns: Columns) -> Result<()> {
        let outputs = rows.iter().map(|rows| rows.grown).sum();
        self.push(names, rows, columns, vec![outputs, columns.grown])
    }

    fn push(&mut self, names: Names, rows: Vec<Rows>, columns: Columns, shape: Vec<usize>) -> Result<()> {
        let missing = || Error::input("a tensor is missing").at(self.source.place()).expected(&names.from);
        let stored = self.source.shape(&names.from).ok_or_else(missing)?.to_vec();
        let dtype = self.source.dtype(&names.from).ok_or_else(missing)?;
        let planned = Planned { name: names.to, dtype, shape };
        self.recipes.push(Recipe { planned, from: names.from, shape: stored, rows, columns, factor: 1.0 });
        Ok(())
    }
}

/// Refuses tensors that a config does not ask for by name and shape: a fault of this program.
pub(super) fn check(recipes: &[Recipe], wanted: &[WantedTensor]) -> Result<()> {
    let fits = |wanted: &&WantedTensor| {
        recipes.iter().any(|recipe| recipe.planned.name == wanted.name && recipe.planned.shape == wanted.shape)
    };
    match wanted.iter().find(|wanted| !fits(wanted)) {
        None => Ok(()),
        Some(tensor) => {
            Err(Error::input("the model cannot be grown").expected(format!("{} {:?}", tensor.name, tensor.shape)))
        }
    }
}
