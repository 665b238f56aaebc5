//! The encoder of a T5 in the layout of Hugging Face, such as google/flan-t5-xl.

use std::collections::HashMap;
use std::error::Error as _;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::t5::{Config, T5EncoderModel};
use hawk_files::{Checkpoint, Error, ModelSource, Result, TextTokenizer};
use hawk_kernels::Precision;
use hawk_spec::TokenId;
use safetensors::tensor::TensorView;

use crate::config;

/// A T5 encoder with its tokenizer.
pub struct T5Encoder {
    tokenizer: TextTokenizer,
    model: T5EncoderModel,
    config: Config,
}

/// The features of a caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Last hidden states, `[tokens, width]`, without padding.
    pub values: Vec<f32>,
    /// Values of a token, D.
    pub width: usize,
    /// Number of tokens that were cut off.
    pub cut: usize,
}

impl Features {
    /// The safetensors file that `--features` reads. The same features give the same bytes.
    ///
    /// # Errors
    /// `values` is not a multiple of `width`; never for the features of an encoder.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let bytes: Vec<u8> = self.values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let shape = vec![self.values.len() / self.width, self.width];
        TensorView::new(safetensors::Dtype::F32, shape, &bytes)
            .and_then(|view| safetensors::serialize([("features", view)], None))
            .map_err(|e| Error::input(format!("cannot write safetensors: {e}")))
    }
}

impl T5Encoder {
    /// Reads `config.json`, `tokenizer.json` and the weights of the encoder. The weights are stored
    /// in f32, or in bf16 as in LlamaGen, which takes half the memory. The arithmetic is f32.
    ///
    /// # Errors
    /// A file is missing or damaged, sizes contradict each other, `precision` is int8, or the system
    /// refuses threads.
    pub fn load(source: &ModelSource, precision: Precision) -> Result<Self> {
        have_threads()?;
        let kept = match precision {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
            other => {
                let error = Error::input("a text encoder does not support this number format");
                return Err(error.expected("f32 or bf16").got(other));
            }
        };
        let config = config::read(&source.read("config.json")?).map_err(|e| e.at(source.describe("config.json")))?;
        let place = source.describe("tokenizer.json");
        let tokenizer = TextTokenizer::from_bytes(&source.read("tokenizer.json")?).map_err(|e| e.at(&place))?;
        if tokenizer.ids() > config.vocab_size {
            return Err(Error::input("the tokenizer has more ids than the encoder")
                .at(place)
                .expected(format!("at most vocab_size = {} ids", config.vocab_size))
                .got(tokenizer.ids()));
        }
        let checkpoint = Checkpoint::open(source, "")?;
        let mut tensors = HashMap::new();
        for (name, shape) in wanted(&config, &checkpoint) {
            let numbers = checkpoint.tensor(&name, &shape)?.to_f32();
            checkpoint.release();
            let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).and_then(|tensor| tensor.to_dtype(kept));
            tensors.insert(name, tensor.map_err(broken)?);
        }
        let vars = VarBuilder::from_tensors(tensors, kept, &Device::Cpu);
        let model = T5EncoderModel::load(vars, &config).map_err(broken)?;
        Ok(Self { tokenizer, model, config })
    }

    /// Values in the features of a token, D.
    #[must_use]
    pub fn width(&self) -> usize {
        self.config.d_model
    }

    /// Tokenizes a caption to at most `most` ids, the last of which is the end token. Also returns
    /// how many were cut off.
    ///
    /// # Errors
    /// The tokenizer fails, or does not add the end token.
    pub fn ids(&self, caption: &str, most: usize) -> Result<(Vec<TokenId>, usize)> {
        let (mut ids, eos) = (self.tokenizer.encode(caption)?, TokenId(self.config.eos_token_id as u32));
        if ids.last() != Some(&eos) {
            return Err(Error::input("the tokenizer does not add the end token")
                .at("tokenizer.json")
                .expected(format!("eos_token_id = {} at the end", eos.0))
                .got(ids.last().map_or("nothing".to_owned(), |last| last.0.to_string())));
        }
        let cut = ids.len().saturating_sub(most.max(1));
        if cut > 0 {
            ids.truncate(most.max(1) - 1);
            ids.push(eos);
        }
        Ok((ids, cut))
    }

    /// The features of the first `most` tokens of a caption. The caption is encoded as it is;
    /// [`Cleaner`](crate::Cleaner) cleans it first.
    ///
    /// # Errors
    /// As [`ids`](Self::ids) and [`states`](Self::states).
    pub fn features(&mut self, caption: &str, most: usize) -> Result<Features> {
        let (ids, cut) = self.ids(caption, most)?;
        Ok(Features { values: self.states(&ids)?, width: self.width(), cut })
    }

    /// The last hidden states of ids, `[ids, width]`.
    ///
    /// # Errors
    /// There are no ids, an id is out of range, or a state is not finite.
    pub fn states(&mut self, ids: &[TokenId]) -> Result<Vec<f32>> {
        if let Some(id) = ids.iter().find(|id| id.0 as usize >= self.config.vocab_size) {
            let expected = format!("below vocab_size = {}", self.config.vocab_size);
            return Err(Error::input("an id is out of range").expected(expected).got(id.0));
        }
        if ids.is_empty() {
            return Err(Error::input("there are no tokens to encode"));
        }
        let ids: Vec<u32> = ids.iter().map(|id| id.0).collect();
        let count = ids.len();
        let states = Tensor::from_vec(ids, (1, count), &Device::Cpu);
        let states = states.and_then(|ids| self.model.forward_dt(&ids, Some(DType::F32)));
        let states: Vec<f32> = states.and_then(|states| states.flatten_all()?.to_vec1()).map_err(broken)?;
        match states.iter().find(|x| !x.is_finite()) {
            Some(x) => Err(Error::input("a feature is not finite").expected("finite numbers").got(x)),
            None => Ok(states),
        }
    }
}

/// Starts the threads that the tensor library computes with: it panics where it cannot start them.
fn have_threads() -> Result<()> {
    match rayon::ThreadPoolBuilder::new().build_global() {
        // Without a source, they run already.
        Err(e) if e.source().is_some() => Err(Error::environment(format!("the text encoder has no threads: {e}"))),
        _ => Ok(()),
    }
}

/// Names and shapes of the encoder's tensors.
fn wanted(config: &Config, checkpoint: &Checkpoint) -> Vec<(String, Vec<usize>)> {
    let (d, inner, wide) = (config.d_model, config.num_heads * config.d_kv, config.d_ff);
    // The encoder's own table counts where both are there, as in the reference library.
    let table = ["encoder.embed_tokens.weight", "shared.weight"];
    let table = table.into_iter().find(|name| checkpoint.contains(name)).unwrap_or(table[1]);
    let mut wanted = vec![
        (table.to_owned(), vec![config.vocab_size, d]),
        ("encoder.final_layer_norm.weight".to_owned(), vec![d]),
        (
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight".to_owned(),
            vec![config.relative_attention_num_buckets, config.num_heads],
        ),
    ];
    let gates: &[&str] = if config.feed_forward_proj.gated { &["wi_0", "wi_1"] } else { &["wi"] };
    for block in 0..config.num_layers {
        let mut add = |name: &str, shape: &[usize]| {
            wanted.push((format!("encoder.block.{block}.layer.{name}.weight"), shape.to_vec()));
        };
        ["q", "k", "v"].iter().for_each(|part| add(&format!("0.SelfAttention.{part}"), &[inner, d]));
        add("0.SelfAttention.o", &[d, inner]);
        add("0.layer_norm", &[d]);
        gates.iter().for_each(|part| add(&format!("1.DenseReluDense.{part}"), &[wide, d]));
        add("1.DenseReluDense.wo", &[d, wide]);
        add("1.layer_norm", &[d]);
    }
    wanted
}

fn broken(e: candle_core::Error) -> Error {
    Error::environment(format!("the text encoder failed: {e}"))
}
