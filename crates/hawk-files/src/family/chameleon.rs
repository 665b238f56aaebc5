//! Chameleon, Lumina-mGPT, Anole: derives the `hawk.json` that these public models lack from the
//! names of their tokens.
//!
//! Lumina-mGPT draws `begin, height, width`, then rows that each end with a row token, then an end.
//! Anole and Chameleon itself draw 1024 codes between begin and end.
//!
//! Sources: Lumina-mGPT (commit 104abe4) `lumina_mgpt/inference_solver.py`, Anole (af563fa).

use std::collections::HashMap;

use hawk_spec::{Grid, Layout, Pipeline, Structure, TokenId};
use serde_json::Value;

use super::ends::EndTensors;
use super::llama;
use super::names::{HeadNormTensors, TensorNames};
use super::rules::{FamilyReader, FamilyRules};
use crate::config::family::Family;
use crate::config::image::{
    CELL_PIXELS, Condition, HawkConfig, ImageSize, PromptTemplate, Sizes, TextPrompt, Unconditional, defaults,
};
use crate::config::transformer::{Raw, TransformerConfig};
use crate::error::{Error, Result};
use crate::json::from_json;
use crate::source::ModelSource;

const BOS: &str = "<s>";
const BEGIN: &str = "<racm3:break>";
const END: &str = "<eoss>";
/// Closes a turn of the conversation: stands between the prompt and the image.
const SEPARATOR: &str = "<reserved08706>";
const ROW_END: &str = "<reserved08799>";
/// The size token of `n` units has the number 8800 + `n`.
const FIRST_SIZE: u32 = 8800;
const LUMINA_PROMPT: &str = "Generate an image of {width}x{height} according to the following prompt:\n{prompt}";

/// Pixels along a side of a size unit.
const UNIT_PIXELS: u32 = 32;
/// Squares whose area the sizes of Lumina-mGPT have, in pixels along a side: one a checkpoint.
const BUCKETS: [u32; 3] = [512, 768, 1024];
/// How many sizes an error names.
const NEAREST_SIZES: usize = 3;
/// Longest side over the shortest.
const MAX_ASPECT: f64 = 4.0;
/// Rows and columns of Anole's images.
const ANOLE_SIDE: u32 = 32;

/// The image sizes that Lumina-mGPT was trained on for a `bucket` of 512, 768 or 1024 pixels,
/// widest first. Sides are multiples of 32, the area is at most `bucket` squared and close to it,
/// and the longer side is at most four times the shorter.
#[must_use]
pub fn lumina_sizes(bucket: u32) -> Vec<ImageSize> {
    let area = (bucket / UNIT_PIXELS).pow(2);
    let (mut width, mut height, mut sizes) = (area, 1, Vec::new());
    while width > 0 {
        if f64::from(width.max(height)) / f64::from(width.min(height)) <= MAX_ASPECT {
            sizes.push(ImageSize { height: height * UNIT_PIXELS, width: width * UNIT_PIXELS });
        }
        if (height + 1) * width <= area {
            height += 1;
        } else {
            width -= 1;
        }
    }
    sizes
}

/// How its files are read.
pub(super) const READER: FamilyReader = FamilyReader {
    model_types: &["chameleon"],
    unlisted: &["lumina_mgpt"],
    transformer: |_, bytes| from_json::<Raw>("a model's config", bytes)?.config(Family::Chameleon),
    hawk_json: Some(("chameleon", Family::Chameleon)),
    vq: None,
};

/// The rules of Chameleon.
pub(super) struct Chameleon;

impl FamilyRules for Chameleon {
    fn name(&self) -> &'static str {
        "Chameleon"
    }

    fn tensor_names(&self) -> TensorNames {
        llama::NAMES
    }

    fn ends(&self, transformer: &TransformerConfig) -> EndTensors {
        llama::ends(transformer)
    }

    fn head_norms(&self, c: &TransformerConfig, layer: usize) -> Option<[HeadNormTensors; 2]> {
        Some([("q", c.heads), ("k", c.kv_heads)].map(|(part, heads)| {
            let name = |kind: &str| format!("model.layers.{layer}.self_attn.{part}_norm.{kind}");
            HeadNormTensors { weight: name("weight"), bias: name("bias"), heads }
        }))
    }

    fn pipeline(&self) -> Pipeline {
        Pipeline::LUMINA
    }

    fn writes_text(&self) -> bool {
        true
    }

    fn hawk_config(
        &self,
        transformer: &TransformerConfig,
        source: &ModelSource,
        names: &[String],
    ) -> Result<Option<HawkConfig>> {
        if source.tokenizer_file().is_none() {
            return Ok(None);
        }
        let place = source.describe("config.json");
        let config: Value = from_json("a model's config", &source.read("config.json")?).map_err(|e| e.at(place))?;
        let (place, tokenizer) = source.read_tokenizer()?;
        let vocabulary = Vocabulary::read(&tokenizer, &config).map_err(|e| e.at(&place))?;
        let derived = match Dialect::of(&config) {
            Dialect::Lumina => HawkConfig::lumina(&vocabulary, square(bucket_of(names))),
            Dialect::Anole => HawkConfig::anole(&vocabulary),
        };
        derived.and_then(|config| config.check_ids(transformer).map(|()| config)).map(Some).map_err(|e| e.at(place))
    }
}

/// The ids of the tokens of a text tokenizer by name.
struct Vocabulary(HashMap<String, u32>);

impl Vocabulary {
    /// From `tokenizer.json`, or else the `vocabulary_map` of `config.json`.
    fn read(tokenizer: &[u8], config: &Value) -> Result<Self> {
        let tokenizer: Value = from_json("a tokenizer", tokenizer)?;
        let mut ids = HashMap::new();
        for map in [&config["vocabulary_map"], &tokenizer["model"]["vocab"]] {
            let entries = map.as_object().into_iter().flatten();
            ids.extend(entries.filter_map(|(name, id)| Some((name.clone(), u32::try_from(id.as_u64()?).ok()?))));
        }
        for token in tokenizer["added_tokens"].as_array().into_iter().flatten() {
            if let (Some(name), Some(id)) =
                (token["content"].as_str(), token["id"].as_u64().and_then(|id| id.try_into().ok()))
            {
                ids.insert(name.to_owned(), id);
            }
        }
        Ok(Self(ids))
    }

    fn id(&self, name: &str) -> Result<u32> {
        self.0.get(name).copied().ok_or_else(|| {
            let error = Error::input("the tokenizer lacks a token of the Chameleon family").expected(name);
            error.hint("is this the text_tokenizer.json of Chameleon?")
        })
    }

    /// Id of code 0, and the number of codes. The name of a code spells its digits, `A` for 0 to
    /// `J` for 9. Ids are consecutive.
    fn codes(&self) -> Result<(u32, u32)> {
        let mut ids: Vec<(u32, u32)> = self.0.iter().filter_map(|(name, id)| Some((code_of(name)?, *id))).collect();
        ids.sort_unstable();
        let Some(&(_, first)) = ids.first() else { return self.id("IMGIMGAZ").map(|id| (id, 0)) };
        for ((code, id), place) in ids.iter().zip(0_u32..) {
            let expected = u64::from(first) + u64::from(place);
            if *code != place || u64::from(*id) != expected {
                return Err(Error::input("the codes' ids do not stand together in order")
                    .at("tokenizer")
                    .expected(format!("code {place} at id {expected}"))
                    .got(format!("code {code} at id {id}")));
            }
        }
        Ok((first, ids.len() as u32))
    }

    /// The id that the size token of `n` units lies `n` above.
    fn size_base(&self) -> Result<u32> {
        let name = |units: u32| format!("<reserved{:05}>", FIRST_SIZE + units);
        let base = self.id(&name(1))?.checked_sub(1).ok_or_else(|| Error::input("a size token has the id 0"))?;
        for units in BUCKETS.into_iter().flat_map(lumina_sizes).flat_map(|size| [size.height, size.width]) {
            let (name, units) = (name(units / UNIT_PIXELS), units / UNIT_PIXELS);
            if self.id(&name)?.checked_sub(base) != Some(units) {
                return Err(Error::input("the size tokens' ids do not stand together in order")
                    .at(name.clone())
                    .expected(u64::from(base) + u64::from(units))
                    .got(self.id(&name)?));
            }
        }
        Ok(base)
    }
}

/// The code that an image token's name spells.
fn code_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("IMGIMG")?.strip_suffix('Z')?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits
        .bytes()
        .try_fold(0, |code: u32, letter| (b'A'..=b'J').contains(&letter).then(|| code * 10 + u32::from(letter - b'A')))
}

/// Which of the family's two ways to draw.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Lumina,
    Anole,
}

impl Dialect {
    /// Lumina-mGPT's configs name its class or carry settings of its training.
    fn of(config: &Value) -> Self {
        let class = config["architectures"][0].as_str().unwrap_or_default();
        let marks = ["mask_image_logits", "z_loss_weight"].iter().any(|key| config.get(key).is_some());
        let lumina = marks || class.contains("XLLMX") || config["model_type"] == "lumina_mgpt";
        if lumina { Self::Lumina } else { Self::Anole }
    }
}

impl HawkConfig {
    fn lumina(vocabulary: &Vocabulary, size: ImageSize) -> Result<Self> {
        let token = |name: &str| vocabulary.id(name).map(TokenId);
        let (code_offset, codes) = vocabulary.codes()?;
        let structure = Structure::Lumina {
            begin: token(BEGIN)?,
            end: token(END)?,
            row_end: token(ROW_END)?,
            size_base: TokenId(vocabulary.size_base()?),
            size_unit: UNIT_PIXELS / CELL_PIXELS,
        };
        Self {
            family: Family::Chameleon,
            layout: layout(size, code_offset, codes, structure)?,
            image_size: size,
            sizes: Sizes::Lumina,
            condition: Condition::Text(TextPrompt {
                bos: token(BOS)?,
                template: PromptTemplate::new(LUMINA_PROMPT)?,
                after_text: vec![token(SEPARATOR)?],
                unconditional: Unconditional::Begin,
            }),
            defaults: defaults(4.0, 1.0, 2000.min(codes), 1.0)?,
        }
        .consistent()
    }

    fn anole(vocabulary: &Vocabulary) -> Result<Self> {
        let token = |name: &str| vocabulary.id(name).map(TokenId);
        let side = ANOLE_SIDE * CELL_PIXELS;
        let (code_offset, codes) = vocabulary.codes()?;
        let size = ImageSize { height: side, width: side };
        Self {
            family: Family::Chameleon,
            layout: layout(size, code_offset, codes, Structure::Plain)?,
            image_size: size,
            sizes: Sizes::Fixed,
            condition: Condition::Text(TextPrompt {
                bos: token(BOS)?,
                template: PromptTemplate::new("{prompt}")?,
                after_text: vec![token(SEPARATOR)?, token(BEGIN)?],
                unconditional: Unconditional::BosBegin,
            }),
            defaults: defaults(3.0, 0.7, 0, 0.9)?,
        }
        .consistent()
    }

    /// The sizes of image that the model draws, by width and height.
    pub fn image_sizes(&self) -> Vec<ImageSize> {
        let mut sizes = match self.sizes {
            Sizes::Fixed => vec![self.image_size],
            Sizes::Lumina => BUCKETS.into_iter().flat_map(lumina_sizes).collect(),
        };
        sizes.sort_by_key(|size| (size.width, size.height));
        sizes.dedup();
        sizes
    }

    /// The same model for images of another size.
    ///
    /// # Errors
    /// The model does not draw that size.
    pub fn resized(&self, size: ImageSize) -> Result<Self> {
        if size == self.image_size {
            return Ok(self.clone());
        }
        let sizes = self.image_sizes();
        if !sizes.contains(&size) {
            return Err(not_drawn(size, sizes));
        }
        let l = &self.layout;
        Ok(Self { image_size: size, layout: layout(size, l.code_offset(), l.codes(), l.structure())?, ..self.clone() })
    }
}

fn layout(size: ImageSize, offset: u32, codes: u32, structure: Structure) -> Result<Layout> {
    Grid::new(size.height / CELL_PIXELS, size.width / CELL_PIXELS)
        .and_then(|grid| Layout::new(grid, offset, codes, structure))
        .map_err(|e| Error::input(e.to_string()).at("layout"))
}

/// The error for a size that is not among `sizes`. It names the nearest ones.
fn not_drawn(size: ImageSize, mut sizes: Vec<ImageSize>) -> Error {
    let error = Error::input("the model does not draw images of this size").got(size);
    if let [only] = sizes[..] {
        return error.expected(only);
    }
    let distance = |other: &ImageSize| {
        let ratio = |a: u32, b: u32| (f64::from(a) / f64::from(b)).ln().powi(2);
        ratio(size.width, other.width) + ratio(size.height, other.height)
    };
    let all = sizes.len();
    sizes.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    let nearest: Vec<String> = sizes.iter().take(NEAREST_SIZES).map(ToString::to_string).collect();
    let expected = format!("one of {all} sizes; the nearest are {}", nearest.join(", "));
    error.expected(expected).hint("`hawk inspect MODEL` lists all sizes")
}

fn square(side: u32) -> ImageSize {
    ImageSize { height: side, width: side }
}

/// The bucket in the name of the model (`Lumina-mGPT-7B-512`); 768, the most used, if there is
/// none.
fn bucket_of(names: &[String]) -> u32 {
    let named = |name: &String| {
        BUCKETS.into_iter().find(|bucket| name.split(['-', '_', '.']).any(|word| word == bucket.to_string()))
    };
    names.iter().find_map(named).unwrap_or(768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_reference() {
        let sizes = |bucket| lumina_sizes(bucket);
        for bucket in BUCKETS {
            let all = sizes(bucket);
            assert!(all.contains(&square(bucket)));
            for ImageSize { height, width } in all {
                assert!(height.is_multiple_of(32) && width.is_multiple_of(32) && height * width <= bucket * bucket);
                assert!(sizes(bucket).contains(&ImageSize { height: width, width: height }), "{width}x{height}");
            }
        }
        assert_eq!(sizes(768).first(), Some(&ImageSize { height: 384, width: 1536 }));
        assert_eq!(sizes(512).first(), Some(&ImageSize { height: 256, width: 1024 }));
    }

    #[test]
    fn names_spell_codes() {
        let codes = [("IMGIMGAZ", Some(0)), ("IMGIMGBJZ", Some(19)), ("IMGIMGIBJBZ", Some(8191)), ("IMGIMGZ", None)];
        for (name, code) in codes {
            assert_eq!(code_of(name), code, "{name}");
        }
        for name in ["IMGIMGKZ", "IMGA", "IMGIMGAAAAAAAAAAZ", "<s>"] {
            assert_eq!(code_of(name), None, "{name}");
        }
    }
}
