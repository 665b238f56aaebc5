//! What the tokens of a finished image, or of a text, attend to.

use std::ops::Range;

use hawk_nn::{Attention, CpuBackend, Error, OwnInputs, Result};
use hawk_spec::{Code, TokenId};

use crate::engine::Engine;
use crate::text::TextEngine;

/// Where the parts of an image's sequence stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceParts {
    /// The tokens of the prompt, template and begin of text included.
    pub prompt: Range<usize>,
    /// The structure tokens between the prompt and the first cell.
    pub opening: Range<usize>,
    /// Index of the token of each cell, in raster order.
    pub cells: Vec<usize>,
}

impl Engine {
    /// Where the parts of an image's sequence stand, in the conditional stream.
    ///
    /// # Errors
    /// The prompt is too long.
    pub fn sequence_parts(&self, prompt: &str) -> Result<SequenceParts> {
        let (layout, conditioning) = (&self.config().layout, self.conditioning(prompt)?);
        let first = conditioning.cond.tokens().len();
        let opening = first - layout.opening().len().min(first);
        let cells = (0..layout.grid().cells()).map(|cell| first + layout.offset_of(hawk_spec::Cell(cell))).collect();
        Ok(SequenceParts { prompt: 0..opening, opening: opening..first, cells })
    }

    /// Runs a finished image through the conditional stream, and calls the observer with what every
    /// token attends to ([`hawk_nn::Target::attention`]). [`sequence_parts`](Self::sequence_parts) says
    /// which token is which.
    ///
    /// # Errors
    /// The codes do not fill the grid, the prompt is too long, the model is not on the CPU, or memory is
    /// short.
    pub fn attention(&self, prompt: &str, codes: &[Code], observer: &mut dyn FnMut(Attention<'_>)) -> Result<()> {
        let layout = &self.config().layout;
        if codes.len() != layout.grid().cells() as usize || codes.iter().any(|code| code.0 >= layout.codes()) {
            return Err(Error::input("the codes are no image of the model")
                .expected(format!("{} codes below {}", layout.grid().cells(), layout.codes()))
                .got(codes.len()));
        }
        let cond = self.conditioning(prompt)?.cond;
        let mut tokens = cond.tokens().to_vec();
        tokens.extend(layout.sequence(codes));
        self.cpu()?.attention(cond.own().clone(), &tokens, observer)
    }
}

impl TextEngine {
    /// Runs a text and calls the observer with what every token attends to.
    ///
    /// # Errors
    /// The text is empty or too long, the model is not on the CPU, or memory is short.
    pub fn attention(&self, tokens: &[TokenId], observer: &mut dyn FnMut(Attention<'_>)) -> Result<()> {
        let cpu = self.backend().as_any().downcast_ref::<CpuBackend>();
        let cpu = cpu.ok_or_else(|| Error::input("the model is on another device").expected("a model on the CPU"))?;
        cpu.attention(OwnInputs::default(), tokens, observer)
    }
}
