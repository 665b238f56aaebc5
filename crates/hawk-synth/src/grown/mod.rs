//! Grown models: a model of another shape that computes what a smaller one does.

mod recipe;
mod tensors;

use std::fs;
use std::path::Path;

use hawk_files::{
    Checkpoint, Error, Fault, HawkConfig, HeadsConfig, LayerSizes, LogitTensors, ModelSource, Planned, Progress,
    Result, TransformerConfig, atomic, check_new_folder, finish, from_json, work_folder, write_checkpoint,
};
use serde_json::{Value, json};

use self::recipe::Recipe;
use self::tensors::{Tensors, check};
use crate::write::put_below;

const HEADS: &str = "heads/";

/// Sizes of a grown model. Those that are not given are the source's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrownSizes {
    /// Width of the hidden state: the source's, or a whole number of heads more.
    pub hidden: Option<usize>,
    /// Layers, at least the source's.
    pub layers: Option<usize>,
    /// Units of the SwiGLU, at least the source's.
    pub inner: Option<usize>,
}

impl GrownSizes {
    /// The built-in model at 1.1 billion weights a pass. The hidden size is 4 times the source's.
    pub const ONE_BILLION: Self = Self { hidden: Some(1536), layers: Some(24), inner: Some(7680) };
    /// The built-in model at 7 billion weights a pass. The hidden size is 16 times the source's.
    pub const SEVEN_BILLION: Self = Self { hidden: Some(6144), layers: Some(16), inner: Some(15360) };

    /// Checks them against the source.
    fn resolve(self, from: &TransformerConfig) -> Result<LayerSizes> {
        // New heads share keys as the source's do.
        let group = from.heads / from.kv_heads;
        let step = group * from.head_dim;
        let hidden = self.hidden.unwrap_or(from.hidden);
        if hidden < from.hidden || !(hidden - from.hidden).is_multiple_of(step) {
            let next = from.hidden + hidden.saturating_sub(from.hidden).next_multiple_of(step);
            let expected = format!("{}, or more in steps of {step}", from.hidden);
            let error = Error::input("the model cannot have this hidden size").at("hidden").expected(expected);
            return Err(error.got(hidden).hint(format!("the next that it can have is {next}")));
        }
        let at_least = |field: &str, source: usize, asked: Option<usize>| match asked.unwrap_or(source) {
            size if size >= source => Ok(size),
            size => {
                let error = Error::input("a model does not shrink").at(field);
                Err(error.expected(format!("at least the source's {source}")).got(size))
            }
        };
        let new_heads = (hidden - from.hidden) / from.head_dim;
        Ok(LayerSizes {
            hidden,
            intermediate: at_least("inner", from.intermediate, self.inner)?,
            layers: at_least("layers", from.layers, self.layers)?,
            heads: from.heads + new_heads,
            kv_heads: from.kv_heads + new_heads / group,
            norm_eps: f64::from(from.norm_eps) * from.hidden as f64 / hidden as f64,
        })
    }
}

/// A model that is to be written: it computes what its source does, at the cost of another shape.
///
/// Its hidden state is the source's, followed by zeros. Heads, units of the SwiGLU and layers are
/// added that add zero. The weights that they have are drawn from the source's.
pub struct Grown<'a> {
    source: &'a ModelSource,
    seed: u64,
    config: Value,
    to: TransformerConfig,
    image_side: Option<HawkConfig>,
    /// Digest of the source.
    digest: String,
    model: Part,
    heads: Option<GrownHeads>,
}

/// A checkpoint to be written.
struct Part {
    /// The source's.
    weights: Checkpoint,
    tensors: Vec<Recipe>,
}

impl Part {
    fn bytes(&self) -> u64 {
        self.tensors.iter().map(|recipe| recipe.planned.bytes()).sum()
    }
}

struct GrownHeads {
    config: HeadsConfig,
    part: Part,
}

impl<'a> Grown<'a> {
    /// Plans a model that has grown from the model `name` at `source`, with its draft heads if it
    /// has any.
    ///
    /// # Errors
    /// The source is damaged or packed, or a size cannot be.
    pub fn new(source: &'a ModelSource, name: &str, sizes: GrownSizes, seed: u64) -> Result<Self> {
        let place = source.describe("config.json");
        let bytes = source.read("config.json")?;
        let mut config: Value = from_json("a model's config", &bytes).map_err(|e| e.at(&place))?;
        let from = TransformerConfig::from_json(&bytes).map_err(|e| e.at(&place))?;
        let weights = open(source, "")?;
        from.check_layers(&weights)?;
        from.family.rules().set_layer_sizes(&mut config, &sizes.resolve(&from)?);
        let to = TransformerConfig::from_json(config.to_string().as_bytes())?;
        let tensors = Tensors::new(&weights, &from, &to).of_model()?;
        check(&tensors, &to.tensors())?;
        let image_side = HawkConfig::of_model(source, &from)?;
        let (digest, model) = (source.digest()?, Part { weights, tensors });
        let heads = match source.contains(&format!("{HEADS}config.json")) {
            true => Some(GrownHeads::new(source, &digest, &from, &to)?),
            false => None,
        };
        let mut grown = Self { source, seed, config, to, image_side, digest, model, heads };
        if let Some(heads) = &mut grown.heads {
            heads.config.target_name = format!("grown from {name}");
        }
        Ok(grown)
    }

    /// The transformer that it is.
    #[must_use]
    pub fn transformer(&self) -> &TransformerConfig {
        &self.to
    }

    /// Weights that a pass over an image multiplies with.
    #[must_use]
    pub fn weights_per_pass(&self) -> u64 {
        self.pass().map(|(recipe, share)| share * numbers(recipe) as f64).sum::<f64>().round() as u64
    }

    /// The share of these weights that is zero by design.
    #[must_use]
    pub fn zero_share(&self) -> f64 {
        let zeros: f64 = self.pass().map(|(recipe, share)| share * recipe.zeros() as f64).sum();
        zeros / self.weights_per_pass() as f64
    }

    /// Bytes of the weights on disk, those of draft heads included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.model.bytes() + self.heads.as_ref().map_or(0, |heads| heads.part.bytes())
    }

    /// The matrices of a pass, and the share of each that it reads: of the output projection only
    /// the codes.
    fn pass(&self) -> impl Iterator<Item = (&Recipe, f64)> {
        let layers = self.to.family.rules().tensor_names().layers();
        let (last, inner) = match self.to.ends().logits {
            LogitTensors::Linear(linear) => (linear.weight, None),
            LogitTensors::Mlp { inner, outputs } => (outputs.weight, Some(inner.weight)),
        };
        let codes = self.image_side.as_ref().map_or(self.to.readable().len(), |image| image.layout.codes() as usize);
        let read = codes as f64 / self.to.readable().len() as f64;
        self.model.tensors.iter().filter(|recipe| recipe.planned.shape.len() == 2).filter_map(move |recipe| {
            let name = &recipe.planned.name;
            let whole = (name.starts_with(&layers) && !name.contains("norm")) || inner.as_ref() == Some(name);
            if whole { Some((recipe, 1.0)) } else { (*name == last).then_some((recipe, read)) }
        })
    }

    /// Writes it into the new folder `out`: weights in the source's number format, sharded. The same
    /// call resumes an interrupted one.
    ///
    /// # Errors
    /// There is something at `out`, or it cannot be written.
    pub fn write(&self, out: &Path, progress: &Progress) -> Result<()> {
        check_new_folder(out)?;
        let plan = json!({ "grown": self.config, "source": self.digest, "seed": self.seed });
        let work = work_folder(out, "synth", &plan)?;
        self.copy_small_files(&work)?;
        let total = self.bytes();
        self.write_part(&work, &self.model, &|done| progress(done, total))?;
        if let Some(heads) = &self.heads {
            let dir = work.join(HEADS);
            self.write_part(&dir, &heads.part, &|done| progress(self.model.bytes() + done, total))?;
            let target_digest = ModelSource::Dir(work.to_path_buf()).digest()?;
            let config = HeadsConfig { target_digest, ..heads.config.clone() };
            atomic::write_json(&dir.join("config.json"), &config.to_json())?;
        }
        finish(work, out)
    }

    fn write_part(&self, dir: &Path, part: &Part, progress: &dyn Fn(u64)) -> Result<()> {
        fs::create_dir_all(dir).map_err(|e| Error::io("make the folder", dir, &e))?;
        let plan: Vec<Planned> = part.tensors.iter().map(|recipe| recipe.planned.clone()).collect();
        let mut left = part.tensors.iter();
        let write = &mut |tensor: &Planned, out: &mut dyn std::io::Write| {
            // In the plan's order; those of finished shards are not asked for.
            match left.find(|recipe| recipe.planned.name == tensor.name) {
                Some(recipe) => recipe.write(&part.weights, self.seed, out).map_err(|e| e.at(dir.display())),
                None => Err(Error::input("a tensor that is not planned").at(&tensor.name)),
            }
        };
        let hint = format!("the model takes {:.1} GB; the same command goes on from here", self.bytes() as f64 / 1e9);
        write_checkpoint(dir, &plan, write, progress)
            .map_err(|e| if e.fault() == Fault::Environment { e.hint(hint) } else { e })
    }

    /// Everything beside the transformer's weights.
    fn copy_small_files(&self, work: &Path) -> Result<()> {
        let source = self.source;
        atomic::write_json(&work.join("config.json"), &self.config)?;
        if let Some(name) = source.tokenizer_file() {
            atomic::write(&work.join("tokenizer.json"), &source.read(name)?)?;
        }
        for name in ["hawk.json", "generation_config.json"].into_iter().filter(|name| source.contains(name)) {
            atomic::write(&work.join(name), &source.read(name)?)?;
        }
        // A public model's follows from the name of its folder too.
        let derived = self.image_side.as_ref().filter(|_| !source.contains("hawk.json"));
        if let Some(json) = derived.and_then(HawkConfig::to_json) {
            atomic::write_json(&work.join("hawk.json"), &json)?;
        }
        let vq = source.vq()?;
        for name in vq.iter().flat_map(|vq| vq.files()) {
            if name.split('/').any(|part| part == "..") {
                let error = Error::input("the VQ tokenizer lies outside the model's folder");
                return Err(error.at(source.describe(name)).hint("hawk convert the model first"));
            }
            put_below(work, name, &source.read(name)?)?;
        }
        Ok(())
    }
}

impl GrownHeads {
    fn new(source: &ModelSource, digest: &str, from: &TransformerConfig, to: &TransformerConfig) -> Result<Self> {
        let config = HeadsConfig::read(source, HEADS, from)?;
        if config.target_digest != digest {
            return Err(Error::input("the draft heads were trained for another model")
                .at(source.describe("heads/config.json"))
                .expected(format!("digest {digest}"))
                .got(config.target_digest)
                .hint("remove the folder heads/"));
        }
        let weights = open(source, HEADS)?;
        let tensors = Tensors::new(&weights, from, to).of_heads(&config)?;
        Ok(Self { config: HeadsConfig { hidden: to.hidden, ..config }, part: Part { weights, tensors } })
    }
}

fn open(source: &ModelSource, folder: &str) -> Result<Checkpoint> {
    let weights = Checkpoint::open(source, folder)?;
    match weights.packed_for() {
        None => Ok(weights),
        Some(precision) => Err(Error::input("the model is packed, its weights cannot be read one by one")
            .at(weights.place())
            .expected("safetensors or a checkpoint of PyTorch")
            .got(format!("packed for {precision}"))
            .hint("use the original, or `hawk convert ORIGINAL --out DIR` without --precision")),
    }
}

fn numbers(recipe: &Recipe) -> u64 {
    recipe.planned.shape.iter().product::<usize>() as u64
}
