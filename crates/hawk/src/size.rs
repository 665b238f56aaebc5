//! The size of an image as the model itself draws it (Lumina-mGPT), in place of a forced one.

use hawk_nn::{Error, ImageSize, PassLimits, Readout, Result, Sizes, lumina_sizes};
use hawk_spec::{Cell, ImageIndex, Pipeline, Purpose, Sampling, Seed, Structure, TokenId, Warper, argmax_with_noise};

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
        let mut known = tokens[..tokens.len() - 2].to_vec();
        let mut drawn = [0; 2];
        for place in 0..drawn.len() {
            let possible = |size: &&[u32; 2]| size[..place] == drawn[..place];
            let ids: Vec<u32> = sizes.iter().filter(possible).map(|size| size_base.0 + size[place]).collect();
            let id = self.draw_among(&known, &ids, (seed, Cell(1 + place as u32)))?;
            known.push(TokenId(id));
            drawn[place] = id - size_base.0;
        }
        Ok(ImageSize { height: drawn[0] * pixels, width: drawn[1] * pixels })
    }

    /// One of `ids` as the next token.
    fn draw_among(&self, known: &[TokenId], ids: &[u32], (seed, position): (Seed, Cell)) -> Result<u32> {
        let vocabulary = ids.iter().max().map_or(0, |most| *most as usize + 1);
        let limits = PassLimits { rows: ROWS, readouts: 1, tokens: known.len(), vocabulary };
        let (mut workspace, mut streams) = (self.target().workspace(limits), [self.target().stream(known.len())]);
        let mut logits = vec![f32::NEG_INFINITY; vocabulary];
        for (part, tokens) in known.chunks(ROWS).enumerate() {
            let last = part == (known.len() - 1) / ROWS;
            let readout = if last { Readout::Logits } else { Readout::Nothing };
            let row = streams[0].rows.push_chain(tokens.iter().copied(), None, readout);
            let staged = self.target().forward(self.pool(), &mut workspace, &mut streams, 0..vocabulary)?;
            if let Some(all) = row.and_then(|row| staged.logits(0, row)) {
                ids.iter().for_each(|&id| logits[id as usize] = all[id as usize]);
            }
            staged.commit(&[row]);
        }
        let wrong = |e: hawk_spec::LawError| Error::input(format!("the law of a size token: {e}"));
        let sampling = Sampling::new(1.0, 1.0, TOP_K, 1.0).map_err(|e| Error::input(e.to_string()))?;
        let mut scores = vec![0.0; vocabulary];
        Warper::new(Pipeline::LUMINA, vocabulary).warp(&sampling, &logits, None, &mut scores).map_err(wrong)?;
        let code = argmax_with_noise(seed, ImageIndex(0), position, &scores, Purpose::Text).map_err(wrong)?;
        Ok(code.0)
    }
}
