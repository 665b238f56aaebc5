//! What is asked of the engine, and what it tells and gives back.

use std::ops::Range;
use std::time::Duration;
use std::{fmt, str};

use hawk_nn::{Error, Image, Result};
use hawk_spec::{Cell, Code, DecodeStats, Drawn, Rule, Sampling, Seed, ShapeError, Source, TreeShape};

/// Most nodes of a tree, root included.
pub const MAX_NODES: usize = 128;
/// Most nodes of a tree whose size is left to the machine.
pub const AUTO_NODES: usize = 16;
/// Most images that ride in one pass.
pub const MAX_BATCH: usize = 64;

/// What guesses the cells after the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decoder {
    /// Nothing: plain autoregressive decoding, one cell a pass.
    Ar,
    /// Copies of the cell to the left and of the cell above.
    Neighbour,
    /// Horizontal draft heads (Medusa).
    Medusa,
    /// Vertical draft heads and the Speculation Cache.
    HawkVertical,
    /// All draft heads and the cache; the candidates of each head apart in the pool, as the paper has it.
    HawkPaper,
    /// All draft heads and the cache; the heads that speak of a cell make one law together.
    Hawk,
}

impl Decoder {
    /// All decoders.
    pub const ALL: [Decoder; 6] =
        [Decoder::Ar, Decoder::Neighbour, Decoder::Medusa, Decoder::HawkVertical, Decoder::HawkPaper, Decoder::Hawk];

    /// Its name in code, files and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Decoder::Ar => "ar",
            Decoder::Neighbour => "neighbour",
            Decoder::Medusa => "medusa",
            Decoder::HawkVertical => "hawk-vertical",
            Decoder::HawkPaper => "hawk-paper",
            Decoder::Hawk => "hawk",
        }
    }

    /// Whether it needs draft heads.
    #[must_use]
    pub fn needs_heads(self) -> bool {
        match self {
            Decoder::Ar | Decoder::Neighbour => false,
            Decoder::Medusa | Decoder::HawkVertical | Decoder::HawkPaper | Decoder::Hawk => true,
        }
    }

    /// The tree where none is asked for: sized by what it costs here where that cannot change the image.
    #[must_use]
    pub fn default_tree(self, rule: impl Into<AnyRule>) -> Tree {
        match (self, rule.into()) {
            (Decoder::Ar, _) => TreeShape::Budget(1).into(),
            (Decoder::Neighbour, _) => TreeShape::Budget(3).into(),
            (_, AnyRule::Exact(Rule::Replay)) => Tree::Auto,
            (_, _) => TreeShape::Budget(4).into(),
        }
    }
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl str::FromStr for Decoder {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|decoder| decoder.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(" or ");
            Error::input("there is no such decoder").expected(names).got(format!("{name:?}"))
        })
    }
}

/// Rules that change the law of the images, for comparison only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossyRule {
    /// Medusa's typical acceptance, with its own thresholds.
    Typical,
    /// LANTERN++, with 10 neighbours in the codebook and lambda 2.
    Lantern,
}

/// How guesses are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnyRule {
    /// The images have the target's law.
    Exact(Rule),
    /// They do not.
    Lossy(LossyRule),
}

impl AnyRule {
    /// All rules, exact ones first.
    pub const ALL: [AnyRule; 4] = [
        AnyRule::Exact(Rule::Replay),
        AnyRule::Exact(Rule::Rejection),
        AnyRule::Lossy(LossyRule::Typical),
        AnyRule::Lossy(LossyRule::Lantern),
    ];

    /// Its name in code, files and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AnyRule::Exact(Rule::Replay) => "replay",
            AnyRule::Exact(Rule::Rejection) => "rejection",
            AnyRule::Lossy(LossyRule::Typical) => "typical",
            AnyRule::Lossy(LossyRule::Lantern) => "lantern",
        }
    }

    /// What people must read beside the name; empty for exact rules.
    #[must_use]
    pub fn warning(self) -> &'static str {
        match self {
            AnyRule::Exact(_) => "",
            AnyRule::Lossy(_) => "changes the law",
        }
    }
}

impl From<Rule> for AnyRule {
    fn from(rule: Rule) -> Self {
        AnyRule::Exact(rule)
    }
}

impl fmt::Display for AnyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl str::FromStr for AnyRule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(" or ");
            Error::input("there is no such rule").expected(names).got(format!("{name:?}"))
        })
    }
}

/// What ends the growth of the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// Always the same.
    Shape(TreeShape),
    /// As large as brings the most cells a second on this machine, 1 to [`AUTO_NODES`] nodes: measured under way, see `pace.rs`. Only under
    /// [`Rule::Replay`], where no image depends on it.
    Auto,
}

impl Tree {
    /// The most that its trees can have.
    #[must_use]
    pub fn shape(self) -> TreeShape {
        match self {
            Tree::Shape(shape) => shape,
            Tree::Auto => TreeShape::Budget(AUTO_NODES),
        }
    }
}

impl From<TreeShape> for Tree {
    fn from(shape: TreeShape) -> Self {
        Tree::Shape(shape)
    }
}

impl fmt::Display for Tree {
    /// `auto`, or the shape: `7`, `4x2x1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Shape(shape) => shape.fmt(f),
            Tree::Auto => f.pad("auto"),
        }
    }
}

impl str::FromStr for Tree {
    type Err = ShapeError;

    fn from_str(text: &str) -> std::result::Result<Self, ShapeError> {
        if text == "auto" { Ok(Tree::Auto) } else { text.parse().map(Tree::Shape) }
    }
}

/// How cells are decoded: what guesses, how guesses are tested, and how many ride in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decoding {
    decoder: Decoder,
    rule: AnyRule,
    tree: Tree,
}

impl Decoding {
    /// Decoding with trees of this shape or size.
    ///
    /// # Errors
    /// The tree has no node or more than [`MAX_NODES`], plain decoding is given one, or its size is left to the machine under a rule whose
    /// images depend on it.
    pub fn new(decoder: Decoder, rule: impl Into<AnyRule>, tree: impl Into<Tree>) -> Result<Self> {
        let (rule, tree) = (rule.into(), tree.into());
        if tree == Tree::Auto && rule != AnyRule::Exact(Rule::Replay) {
            return Err(Error::input(
                "under this rule the image depends on the trees, which must not depend on the machine",
            )
            .at("tree")
            .expected(format!("a number of nodes or a shape for the rule {rule}"))
            .got(tree));
        }
        let most = if decoder == Decoder::Ar { 1 } else { MAX_NODES };
        let shape = tree.shape();
        if (1..=most).contains(&shape.nodes()) {
            return Ok(Self { decoder, rule, tree });
        }
        let expected = format!("1 to {most} nodes for the decoder {decoder}, root included");
        let got = format!("{shape}, which has {}", shape.nodes());
        Err(Error::input("a tree of this size cannot be").at("tree").expected(expected).got(got))
    }

    /// The decoder with its default tree.
    #[must_use]
    pub fn with_defaults(decoder: Decoder, rule: impl Into<AnyRule>) -> Self {
        let rule = rule.into();
        Self { decoder, rule, tree: decoder.default_tree(rule) }
    }

    /// What guesses.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        self.decoder
    }

    /// How guesses are tested.
    #[must_use]
    pub fn rule(&self) -> AnyRule {
        self.rule
    }

    /// What sizes the trees.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// What bounds the trees.
    #[must_use]
    pub fn shape(&self) -> TreeShape {
        self.tree.shape()
    }
}

/// Images of one prompt. Under [`Rule::Replay`] an image depends on the model, `prompt`, `seed`, its index and `sampling` alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The text; the model's template is put around it.
    pub prompt: String,
    /// Key of the noise.
    pub seed: Seed,
    /// The running numbers of the images.
    pub images: Range<u32>,
    /// Guidance and warping.
    pub sampling: Sampling,
    /// Drafter, rule, budget.
    pub decoding: Decoding,
    /// How many images ride in one pass, `1..=MAX_BATCH`.
    pub batch: usize,
}

impl Request {
    pub(crate) fn check(&self) -> Result<()> {
        if self.images.is_empty() {
            return Err(Error::input("no image is asked for").at("images").expected("at least 1").got(0));
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            let expected = format!("1 to {MAX_BATCH} images in a pass");
            return Err(Error::input("a batch of this size cannot be").at("batch").expected(expected).got(self.batch));
        }
        Ok(())
    }
}

/// Where a cell's code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellSource {
    /// The target drew it itself.
    Target(Drawn),
    /// A guess that was accepted.
    Drafted(Source),
}

impl fmt::Display for CellSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CellSource::Target(Drawn::Recovered) => f.pad("recovered"),
            CellSource::Target(Drawn::Bonus) => f.pad("bonus"),
            CellSource::Drafted(source) => source.fmt(f),
        }
    }
}

/// What happens while images are made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The prompt has been read.
    PrefillDone {
        /// Tokens of the conditional stream's prefix.
        prefix_tokens: usize,
    },
    /// A pass has committed cells of an image.
    CellsCommitted {
        /// The image's running number.
        image: u32,
        /// The first of the cells.
        first: Cell,
        /// Their codes.
        codes: &'a [Code],
        /// Where each came from.
        sources: &'a [CellSource],
    },
    /// An image is finished.
    ImageDone(&'a Generated),
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Its running number.
    pub index: u32,
    /// The pixels.
    pub image: Image,
    /// Its cells in raster order.
    pub codes: Vec<Code>,
    /// Where each cell's code came from.
    pub sources: Vec<CellSource>,
    /// What the decode did.
    pub stats: DecodeStats,
    /// From its first step to its pixels; images of one batch share that time.
    pub elapsed: Duration,
}

/// Where the time of the steps went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Reading the prompt.
    pub prefill: Duration,
    /// Drafters, and laying out the rows.
    pub draft: Duration,
    /// Target passes.
    pub target: Duration,
    /// Guidance, warping, noise, the rule.
    pub verify: Duration,
    /// Moving keys and values, statistics, events.
    pub commit: Duration,
    /// Codes to pixels.
    pub pixels: Duration,
}

/// What a request came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The finished images in the order in which they were finished; fewer than asked for where the observer broke off.
    pub images: Vec<Generated>,
    /// Where the time went.
    pub timings: Timings,
}
