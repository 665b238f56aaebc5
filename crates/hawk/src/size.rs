//! The size of an image as the model itself draws it (Lumina-mGPT), in place of a forced one.

use hawk_nn::{Error, ImageSize, PassLimits, Readout, Result, Sizes, Stream, Workspace, lumina_sizes};
use hawk_spec::{
    Cell, ImageIndex, LawError, Pipeline, Purpose, Sampling, Seed, Structure, TokenId, Warper, argmax_with_noise,
};

use crate::engine::Engine;

/// Surviving ids of a size token's law, as upstream samples text (Lumina-mGPT 104abe4, `text_top_k`).
const TOP_K: u32 = 10;
/// Rows of a pass over the prompt.
const ROWS: usize = 64;
/// Squares around which there are sizes.
const BUCKETS: [u32; 3] = [512, 768, 1024];

impl Engine {
    /// Draws the size tokens after the prompt and the begin of the image, height first: each from the target's law over those that make a
    /// size, with the ten likeliest kept. That is upstream's law as long as it gives sizes there. The noise is that of text
    /// ([`Purpose::Text`]), positions counted from the begin of the image; the same for all images of a seed.
    ///
    /// # Errors
    /// A model whose images have no size tokens, or a prompt that is too long.
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
        let limits = PassLimits { rows: ROWS, readouts: 1, tokens: tokens.len(), vocabulary };
        let (mut workspace, mut stream) = (self.target().workspace(limits), [self.target().stream(tokens.len())]);
        let (mut unread, mut drawn) = (tokens[..tokens.len() - 2].to_vec(), [0; 2]);
        for place in 0..drawn.len() {
            let possible = |size: &&[u32; 2]| size[..place] == drawn[..place];
            let ids: Vec<u32> = sizes.iter().filter(possible).map(|size| size_base.0 + size[place]).collect();
            let logits = self.read_on(&mut workspace, &mut stream, &unread, vocabulary)?;
            let id = draw_among(&ids, &logits, (seed, Cell(1 + place as u32)))?;
            unread = vec![TokenId(id)];
            drawn[place] = id - size_base.0;
        }
        Ok(ImageSize { height: drawn[0] * pixels, width: drawn[1] * pixels })
    }

    /// Commits the tokens, and gives the logits behind them.
    fn read_on(
        &self,
        workspace: &mut Workspace,
        stream: &mut [Stream; 1],
        tokens: &[TokenId],
        vocabulary: usize,
    ) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        for part in tokens.chunks(ROWS) {
            let row = stream[0].rows.push_chain(part.iter().copied(), None, Readout::Logits);
            let staged = self.target().forward(self.pool(), workspace, stream, 0..vocabulary)?;
            logits.splice(.., staged.all_logits().iter().copied());
            staged.commit(&[row]);
        }
        Ok(logits)
    }
}

/// One of `ids` as the next token.
fn draw_among(ids: &[u32], logits: &[f32], (seed, position): (Seed, Cell)) -> Result<u32> {
    let mut possible = vec![f32::NEG_INFINITY; logits.len()];
    ids.iter().for_each(|&id| possible[id as usize] = logits[id as usize]);
    let wrong = |e: LawError| Error::input(format!("the law of a size token: {e}"));
    let sampling = Sampling::new(1.0, 1.0, TOP_K, 1.0).map_err(|e| Error::input(e.to_string()))?;
    let mut scores = vec![0.0; logits.len()];
    Warper::new(Pipeline::LUMINA, logits.len()).warp(&sampling, &possible, None, &mut scores).map_err(wrong)?;
    Ok(argmax_with_noise(seed, ImageIndex(0), position, &scores, Purpose::Text).map_err(wrong)?.0)
}
