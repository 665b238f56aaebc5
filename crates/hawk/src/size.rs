//! The size of an image, drawn by the model itself (Lumina-mGPT).

use hawk_nn::{
    Error, ImageSize, Laws, NodeOf, PassPlan, Passes, Readout, Result, Sizes, Staged, StreamId, lumina_sizes,
};
use hawk_spec::{
    Cell, CellNoise, ImageIndex, LawError, Noise, Pipeline, Purpose, Sampling, Seed, Structure, TokenId, Warper,
};

use crate::decode::prefill::{PREFILL_ROWS, read_tokens};
use crate::engine::Engine;

/// Top-k of a size token's law, that of upstream's text (Lumina-mGPT 104abe4, `text_top_k`).
const TOP_K: u32 = 10;
/// Sides of squares, in pixels. The sizes have about their areas.
const BUCKETS: [u32; 3] = [512, 768, 1024];

impl Engine {
    /// Draws the size tokens after the prompt and the begin of the image, height first.
    ///
    /// Each token is drawn from the target's law over the tokens that make a size, with top-k 10.
    /// The result has upstream's law given that upstream draws a size. The noise is
    /// [`Purpose::Text`] at positions counted from the begin of the image; it is the same for all
    /// images of a seed.
    ///
    /// # Errors
    /// The model has no size tokens, or the prompt is too long.
    pub fn draw_size(&self, prompt: &str, seed: Seed) -> Result<ImageSize> {
        let config = self.config();
        let (Sizes::Lumina, Structure::Lumina { size_base, size_unit, .. }) = (config.sizes, config.layout.structure())
        else {
            return Err(Error::input("the model draws no sizes").expected("a Lumina-mGPT").got(config.family.name()));
        };
        let pixels = config.image_size.height / config.layout.grid().rows() * size_unit;
        let units = |size: ImageSize| [size.height / pixels, size.width / pixels];
        let sizes: Vec<[u32; 2]> = BUCKETS.into_iter().flat_map(lumina_sizes).map(units).collect();
        let conditioning = self.conditioning(prompt)?;
        let tokens = conditioning.cond.tokens();
        let vocabulary = sizes.iter().flatten().max().map_or(0, |most| (size_base.0 + most) as usize + 1);
        let plan = PassPlan {
            ids: 0..vocabulary,
            dropped: 0..0,
            pipeline: Pipeline::LUMINA,
            streams: 1,
            rows: PREFILL_ROWS,
            stream_rows: PREFILL_ROWS,
            readouts: 1,
            tokens: tokens.len(),
            head_rows: 0,
        };
        let mut passes = self.backend().passes(plan)?;
        let stream = passes.open(conditioning.cond.own().clone())?;
        let noise = Noise { seed, image: ImageIndex(0) };
        let (mut drawn, last) = ([0; 2], tokens.len() - 3);
        read_tokens(&mut *passes, stream, &tokens[..last])?;
        let mut token = tokens[last];
        for place in 0..drawn.len() {
            let possible = |size: &&[u32; 2]| size[..place] == drawn[..place];
            let ids: Vec<u32> = sizes.iter().filter(possible).map(|size| size_base.0 + size[place]).collect();
            let logits = logits_behind(&mut *passes, stream, token)?;
            let id = draw_among(&ids, &logits, noise.at(Cell(1 + place as u32), Purpose::Text))?;
            token = TokenId(id);
            drawn[place] = id - size_base.0;
        }
        Ok(ImageSize { height: drawn[0] * pixels, width: drawn[1] * pixels })
    }
}

/// Commits a token and returns the logits after it.
fn logits_behind(passes: &mut dyn Passes, stream: StreamId, token: TokenId) -> Result<Vec<f32>> {
    let row = passes.rows(stream).push(token, None, Readout::Law(Cell(0)));
    let laws = Laws::logits(stream);
    let mut staged = Staged::run(passes, &[laws])?;
    let scores = staged.read().scores(NodeOf { tree: 0, node: 0 });
    let logits = scores.map_err(|e| Error::input(format!("the law of a size token: {e}")))?.to_vec();
    staged.commit([(stream, row)]);
    Ok(logits)
}

/// Draws one of `ids` as the next token.
fn draw_among(ids: &[u32], logits: &[f32], noise: CellNoise) -> Result<u32> {
    let mut possible = vec![f32::NEG_INFINITY; logits.len()];
    ids.iter().for_each(|&id| possible[id as usize] = logits[id as usize]);
    let wrong = |e: LawError| Error::input(format!("the law of a size token: {e}"));
    let sampling = Sampling::new(1.0, 1.0, TOP_K, 1.0).map_err(|e| Error::input(e.to_string()))?;
    let mut scores = vec![0.0; logits.len()];
    Warper::new(Pipeline::LUMINA, logits.len()).warp(&sampling, &possible, None, &mut scores).map_err(wrong)?;
    Ok(noise.argmax(&scores).map_err(wrong)?.0)
}
