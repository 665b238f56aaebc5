//! The families of transformers, and the sizes that only one of them has.

/// A family of transformers, with what only it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Chameleon, Anole, Lumina-mGPT: Llama with a LayerNorm on queries and keys.
    Chameleon,
    /// Llama and its likes.
    Llama,
    /// Janus-Pro: Llama with a table and a head of its own for image codes.
    Janus(JanusSizes),
    /// LlamaGen: image codes alone, after a class or the features of a caption.
    LlamaGen(LlamaGenSizes),
}

/// What a Janus has beside its Llama.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JanusSizes {
    /// How its tensors are named.
    pub layout: JanusLayout,
    /// Image codes.
    pub codes: usize,
    /// Numbers of a code in the table that the aligner reads.
    pub code_width: usize,
    /// Layers of the aligner.
    pub aligner_layers: usize,
    /// Width between the two layers of the head.
    pub head_width: usize,
    /// Rows, and columns, of the grid of codes.
    pub side: usize,
}

/// Who named the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JanusLayout {
    /// deepseek-ai/Janus.
    Original,
    /// transformers.
    HuggingFace,
}

/// What a LlamaGen has beside its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LlamaGenSizes {
    /// Image codes.
    pub codes: usize,
    /// Rows, and columns, of the grid of codes.
    pub side: usize,
    /// What an image is made for.
    pub condition: LlamaGenCondition,
}

/// What a LlamaGen makes an image for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LlamaGenCondition {
    /// One of so many classes (`c2i`).
    Classes(usize),
    /// The features of a caption (`t2i`).
    Captions {
        /// Numbers of a feature.
        width: usize,
        /// Most features.
        most: usize,
    },
}
