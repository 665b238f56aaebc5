//! `hawk.json`: the sequence layout of an image model, and how it is sampled. Families that fix
//! these themselves need no such file.

use std::fmt;

use hawk_spec::{Cell, Grid, Layout, Sampling, Structure, TokenId};
use serde::Deserialize;

use super::family::Family;
use super::transformer::TransformerConfig;
use super::vq::VqConfig;
use crate::error::{Error, Result};
use crate::json::{from_json, unsupported};

/// Pixels along a side of a cell of a Lumina-mGPT, as its VQ tokenizer has them.
pub(crate) const CELL_PIXELS: u32 = 16;

/// What a [`PromptTemplate`] replaces.
const PLACEHOLDER: &str = "{prompt}";
/// Tokens that may stand between the text and the image.
const MAX_AFTER_TEXT: usize = 64;
/// Longest side of an image in pixels.
const MAX_PIXELS: u32 = 1 << 16;

/// What the unconditional stream of guidance reads instead of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unconditional {
    /// Nothing: it starts at the layout's opening, at position 0 (Lumina-mGPT).
    Begin,
    /// The begin of the text, and what directly opens the image: no text between them (Anole).
    BosBegin,
    /// As many of this token as there are between the first token and the layout's opening (Janus).
    Padded(TokenId),
}

/// Which sizes of image a model draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sizes {
    /// The one of its grid.
    Fixed,
    /// Those of Lumina-mGPT: see [`lumina_sizes`](crate::lumina_sizes).
    Lumina,
}

/// What an image is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A text.
    Text(TextPrompt),
    /// A class.
    Class(ClassPrompt),
    /// The features of a caption.
    Caption(CaptionPrompt),
}

/// How a text becomes tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPrompt {
    /// Opens the conditional stream, before the prompt.
    pub bos: TokenId,
    /// The text around the prompt.
    pub template: PromptTemplate,
    /// Tokens between the text and the layout's opening.
    pub after_text: Vec<TokenId>,
    /// The unconditional stream.
    pub unconditional: Unconditional,
}

impl TextPrompt {
    /// The tokens of the unconditional stream before its first cell, for a prompt of `words`
    /// tokens.
    pub fn unconditional_prefix(&self, layout: &Layout, words: usize) -> Vec<TokenId> {
        match self.unconditional {
            Unconditional::Begin => layout.opening(),
            Unconditional::BosBegin => {
                let last = if layout.opening().is_empty() { self.after_text.last().copied() } else { None };
                [vec![self.bos], last.into_iter().collect(), layout.opening()].concat()
            }
            Unconditional::Padded(pad) => [vec![self.bos], vec![pad; words], layout.opening()].concat(),
        }
    }
}

/// How a class becomes a token: class `c` has the id `first + c`; `first + classes` means no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassPrompt {
    /// Id of class 0.
    pub first: TokenId,
    /// Number of classes.
    pub classes: u32,
}

/// How the features of a caption become tokens. The first feature has the id `own`. An image
/// without a caption has the last of the `most` tokens from `none` on in their place, as many as
/// there were features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptionPrompt {
    /// Id of the first feature.
    pub own: TokenId,
    /// Id of the first token that means no caption.
    pub none: TokenId,
    /// Most features.
    pub most: u32,
}

/// The text around the user's prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptTemplate {
    text: String,
    edges: Edges,
}

/// What becomes of white space around the user's prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edges {
    Kept,
    Trimmed,
}

impl PromptTemplate {
    /// A template that contains `{prompt}`.
    ///
    /// # Errors
    /// It does not.
    pub fn new(template: impl Into<String>) -> Result<Self> {
        let template = template.into();
        if template.contains(PLACEHOLDER) {
            return Ok(Self { text: template, edges: Edges::Kept });
        }
        Err(Error::input("a prompt template without a place for the prompt")
            .expected(format!("a text that contains {PLACEHOLDER}"))
            .got(format!("{template:?}")))
    }

    /// The template as given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The template for prompts without the white space around them.
    #[must_use]
    pub fn trimmed(self) -> Self {
        Self { edges: Edges::Trimmed, ..self }
    }

    /// The text that is encoded for a user's prompt. `{width}` and `{height}` become the size of
    /// the image, then `{prompt}` the prompt.
    pub fn fill(&self, prompt: &str, size: ImageSize) -> String {
        let prompt = match self.edges {
            Edges::Kept => prompt,
            Edges::Trimmed => prompt.trim(),
        };
        let ImageSize { height, width } = size;
        let text = self.text.replace("{width}", &width.to_string()).replace("{height}", &height.to_string());
        text.replace(PLACEHOLDER, prompt)
    }
}

/// Height and width of the image in pixels, each 1 to 65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageSize {
    /// Rows of pixels.
    pub height: u32,
    /// Columns of pixels.
    pub width: u32,
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// How an image model's sequences look and how it is sampled, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct HawkConfig {
    /// The transformer's family; [`HawkConfig::check`] compares it with `config.json`.
    pub family: Family,
    /// Grid, codes and structure tokens.
    pub layout: Layout,
    /// Size of the decoded image.
    pub image_size: ImageSize,
    /// Which other sizes it draws.
    pub sizes: Sizes,
    /// What stands before the image.
    pub condition: Condition,
    /// Settings where the user gives none.
    pub defaults: Sampling,
}

#[derive(Deserialize)]
struct Raw {
    family: String,
    layout: String,
    /// Rows, columns.
    grid: [u32; 2],
    /// Height, width.
    image_size: [u32; 2],
    code_offset: u32,
    codes: u32,
    begin: Option<u32>,
    end: Option<u32>,
    row_end: Option<u32>,
    size_base: Option<u32>,
    size_unit: Option<u32>,
    bos: u32,
    prompt: String,
    #[serde(default)]
    after_text: Vec<u32>,
    #[serde(default)]
    sizes: RawSizes,
    uncond: String,
    defaults: RawDefaults,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSizes {
    #[default]
    Fixed,
    Lumina,
}

#[derive(Deserialize)]
struct RawDefaults {
    cfg: f32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
}

impl HawkConfig {
    /// Reads `hawk.json`; keys that it does not know are left alone. `family` reads the word for the
    /// family.
    pub(crate) fn of_families(bytes: &[u8], family: impl FnOnce(&str) -> Result<Family>) -> Result<Self> {
        let raw: Raw = from_json("a hawk.json", bytes)?;
        let config = Self {
            family: family(&raw.family)?,
            layout: raw.layout()?,
            image_size: raw.image_size()?,
            condition: Condition::Text(TextPrompt {
                bos: TokenId(raw.bos),
                template: PromptTemplate::new(raw.prompt).map_err(|e| e.at("prompt"))?,
                after_text: raw.after_text.iter().copied().map(TokenId).collect(),
                unconditional: match raw.uncond.as_str() {
                    "begin" => Unconditional::Begin,
                    "bos_begin" => Unconditional::BosBegin,
                    other => return Err(unsupported("uncond", "begin or bos_begin", other)),
                },
            }),
            sizes: match raw.sizes {
                RawSizes::Fixed => Sizes::Fixed,
                RawSizes::Lumina => Sizes::Lumina,
            },
            defaults: defaults(raw.defaults.cfg, raw.defaults.temperature, raw.defaults.top_k, raw.defaults.top_p)?,
        };
        config.consistent()
    }

    pub(crate) fn consistent(self) -> Result<Self> {
        let lumina = matches!(self.layout.structure(), Structure::Lumina { .. });
        if self.sizes == Sizes::Lumina && !(lumina && self.image_size.height / self.layout.grid().rows() == CELL_PIXELS)
        {
            return Err(Error::input("only a Lumina-mGPT draws its sizes")
                .at("sizes")
                .expected(format!("the layout lumina with {CELL_PIXELS} pixels a cell"))
                .got("lumina"));
        }
        let Condition::Text(prompt) = &self.condition else { return Ok(self) };
        let after = prompt.after_text.iter().map(|token| ("after_text", *token));
        for (field, token) in [("bos", prompt.bos)].into_iter().chain(after) {
            if self.layout.code(token).is_some() {
                return Err(Error::input("a text token lies among the codes").at(field).got(token));
            }
        }
        if prompt.after_text.len() > MAX_AFTER_TEXT {
            let error = Error::input("too many tokens between text and image").at("after_text");
            return Err(error.expected(format!("at most {MAX_AFTER_TEXT}")).got(prompt.after_text.len()));
        }
        let opens = !self.layout.opening().is_empty();
        match prompt.unconditional {
            Unconditional::Begin if !opens => Err(Error::input("the unconditional stream has nothing to start with")
                .at("uncond")
                .expected("a layout with an opening, such as lumina")
                .got("begin")),
            Unconditional::BosBegin if !opens && prompt.after_text.is_empty() => {
                Err(Error::input("nothing opens the image").at("after_text").expected("at least one token").got("none"))
            }
            _ => Ok(self),
        }
    }

    /// Checks that its ids lie in the transformer's vocabulary.
    pub(crate) fn check_ids(&self, transformer: &TransformerConfig) -> Result<()> {
        let layout = &self.layout;
        let last_cell = Cell(layout.grid().cells() - 1);
        let structure = layout.opening().into_iter().chain(layout.after(last_cell).iter().copied());
        let last_code = u64::from(layout.code_offset()) + u64::from(layout.codes()) - 1;
        let texts: Vec<(&str, u64)> = match &self.condition {
            Condition::Text(text) => [("bos", text.bos)]
                .into_iter()
                .chain(text.after_text.iter().map(|token| ("after_text", *token)))
                .map(|(field, token)| (field, u64::from(token.0)))
                .collect(),
            Condition::Class(_) | Condition::Caption(_) => Vec::new(),
        };
        let ids = [("code_offset + codes - 1", last_code)]
            .into_iter()
            .chain(texts)
            .chain(structure.map(|token| ("a structure token", u64::from(token.0))));
        for (field, id) in ids {
            if id >= transformer.vocab as u64 {
                return Err(Error::input("an id lies beyond the vocabulary")
                    .at(field)
                    .expected(format!("below vocab_size = {}", transformer.vocab))
                    .got(id));
            }
        }
        Ok(())
    }

    /// Checks it against the VQ tokenizer's config.
    ///
    /// # Errors
    /// Codes that the codebook lacks, or an image of another size than the decoder gives.
    pub fn check_decoder(&self, vq: &VqConfig) -> Result<()> {
        if self.layout.codes() as usize > vq.codes {
            return Err(Error::input("more codes than the codebook has")
                .at("codes")
                .expected(format!("at most n_embed = {}", vq.codes))
                .got(self.layout.codes()));
        }
        let (grid, per_cell) = (self.layout.grid(), vq.pixels_per_cell());
        let decoded = [grid.rows(), grid.cols()].map(|cells| cells as usize * per_cell);
        let given = [self.image_size.height, self.image_size.width].map(|pixels| pixels as usize);
        if decoded != given {
            return Err(Error::input("the decoder gives images of another size")
                .at("image_size")
                .expected(format!("{decoded:?}, {per_cell} pixels a cell"))
                .got(format!("{given:?}")));
        }
        Ok(())
    }
}

impl Raw {
    fn layout(&self) -> Result<Layout> {
        let needed = |field: &str, value: Option<u32>| {
            value.ok_or_else(|| Error::input(format!("not a hawk.json: missing field `{field}`")))
        };
        let structure = match self.layout.as_str() {
            "lumina" => Structure::Lumina {
                begin: TokenId(needed("begin", self.begin)?),
                end: TokenId(needed("end", self.end)?),
                row_end: TokenId(needed("row_end", self.row_end)?),
                size_base: TokenId(needed("size_base", self.size_base)?),
                size_unit: needed("size_unit", self.size_unit)?,
            },
            "plain" => Structure::Plain,
            other => return Err(unsupported("layout", "lumina or plain", other)),
        };
        let [rows, cols] = self.grid;
        Grid::new(rows, cols)
            .and_then(|grid| Layout::new(grid, self.code_offset, self.codes, structure))
            .map_err(|e| Error::input(e.to_string()).at("layout"))
    }

    /// Every cell must stand for the same whole number of pixels.
    fn image_size(&self) -> Result<ImageSize> {
        let ([height, width], [rows, cols]) = (self.image_size, self.grid);
        let whole = |pixels: u32, cells: u32| (1..=MAX_PIXELS).contains(&pixels) && pixels.is_multiple_of(cells);
        if whole(height, rows) && whole(width, cols) && height / rows == width / cols {
            return Ok(ImageSize { height, width });
        }
        Err(Error::input("the image's size does not fit its grid")
            .at("image_size")
            .expected(format!("[{rows} n, {cols} n] pixels, at most {MAX_PIXELS}"))
            .got(format!("[{height}, {width}]")))
    }
}

/// Settings where the user gives none.
pub(crate) fn defaults(cfg: f32, temperature: f32, top_k: u32, top_p: f32) -> Result<Sampling> {
    Sampling::new(cfg, temperature, top_k, top_p).map_err(|e| Error::input(e.to_string()).at("defaults"))
}

/// A square grid whose codes have these ids.
pub(crate) fn square_layout(side: usize, codes: std::ops::Range<usize>, structure: Structure) -> Result<Layout> {
    Grid::new(side as u32, side as u32)
        .and_then(|grid| Layout::new(grid, codes.start as u32, codes.len() as u32, structure))
        .map_err(|e| Error::input(e.to_string()).at("layout"))
}

/// The size of the image that a square grid decodes to.
pub(crate) fn decoded(side: usize, vq: &VqConfig) -> Result<ImageSize> {
    let pixels = (side * vq.pixels_per_cell()) as u32;
    if pixels <= MAX_PIXELS {
        return Ok(ImageSize { height: pixels, width: pixels });
    }
    Err(Error::input("the image is too large").expected(format!("at most {MAX_PIXELS} pixels a side")).got(pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../../models/built-in/hawk.json");

    fn transformer() -> TransformerConfig {
        TransformerConfig::from_json(include_bytes!("../../../../models/built-in/config.json")).unwrap()
    }

    #[test]
    fn the_built_in_file_reads() {
        let config = HawkConfig::from_json(GOOD.as_bytes()).unwrap();
        config.check(&transformer()).unwrap();
        assert_eq!(config.layout.grid().cells(), 256);
        let Condition::Text(text) = &config.condition else { panic!("{:?}", config.condition) };
        let fill = |template: &PromptTemplate, prompt| template.fill(prompt, config.image_size);
        assert_eq!(fill(&text.template, " a red apple"), " a red apple");
        assert_eq!(fill(&text.template.clone().trimmed(), " a red apple\n"), "a red apple");
        assert_eq!((text.bos, text.unconditional), (TokenId(1), Unconditional::Begin));
        assert!(config.defaults.guided());
    }
}
