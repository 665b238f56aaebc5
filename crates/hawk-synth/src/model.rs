//! The models that can be synthesized.

use hawk_files::{Error, Result, unsupported};

/// A public model, or a tiny one of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynthModel {
    /// Lumina-mGPT 7B: 512, 768 and 1024 alike.
    Lumina7b,
    /// Anole 7B.
    Anole7b,
    /// Janus-Pro 1B, without what only reads images.
    JanusPro1b,
    /// Janus-Pro 7B, without what only reads images.
    JanusPro7b,
    /// LlamaGen XL for text, 775 M.
    LlamaGenXl,
    /// LLaMA 2 7B: text alone.
    Llama2,
    /// Two layers in Lumina-mGPT's layout.
    TinyLumina,
    /// Two layers in Anole's layout.
    TinyAnole,
    /// Two layers in Janus-Pro's layout.
    TinyJanusPro,
    /// Two layers in LlamaGen's layout.
    TinyLlamaGen,
    /// Two layers in LLaMA 2's layout.
    TinyLlama,
}

impl SynthModel {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Lumina7b,
        Self::Anole7b,
        Self::JanusPro1b,
        Self::JanusPro7b,
        Self::LlamaGenXl,
        Self::Llama2,
        Self::TinyLumina,
        Self::TinyAnole,
        Self::TinyJanusPro,
        Self::TinyLlamaGen,
        Self::TinyLlama,
    ];

    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lumina7b => "lumina-mgpt-7b",
            Self::Anole7b => "anole-7b",
            Self::JanusPro1b => "janus-pro-1b",
            Self::JanusPro7b => "janus-pro-7b",
            Self::LlamaGenXl => "llamagen-xl",
            Self::Llama2 => "llama-2-7b",
            Self::TinyLumina => "tiny-lumina-mgpt",
            Self::TinyAnole => "tiny-anole",
            Self::TinyJanusPro => "tiny-janus-pro",
            Self::TinyLlamaGen => "tiny-llamagen",
            Self::TinyLlama => "tiny-llama",
        }
    }
}

impl std::str::FromStr for SynthModel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|model| model.name() == name).ok_or_else(|| unsupported("model", &known, name))
    }
}
