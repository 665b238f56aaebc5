//! Text from plain language models of the Llama family, with the trees, rules and heads of images
//! (Hawk, figure 1, text side).
//!
//! A text is a line of tokens. Its heads are horizontal, and any token may end it. A cell is a
//! position after the prompt, and a code is an id of the vocabulary. Everything else is as for
//! images.

mod engine;
mod request;
mod stream;

pub use engine::TextEngine;
pub use request::{GeneratedText, PromptStyle, Stop, TextEvent, TextRequest, TextSampling};
pub use stream::TextStream;
