//! Text from plain language models of the Llama kind, by the same trees, rules and heads as images:
//! the text side of the paper's figure 1.
//!
//! Text has no grid: tokens stand one after another, heads look ahead alone, and an end may come at
//! any token. Everything else is as for images; a cell is a position after the prompt, a code an id
//! of the vocabulary.

mod engine;
mod request;
mod stream;

pub use engine::TextEngine;
pub use request::{GeneratedText, PromptStyle, Stop, TextEvent, TextRequest, TextSampling};
pub use stream::TextStream;
