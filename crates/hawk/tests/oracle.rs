//! A drafter of one's own, and one that knows the outcome: it must be accepted wholly.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use hawk::{
    Decoder, Decoding, DefaultTree, Drafter, DrafterKind, Engine, Generated, Heads, LoadOptions, Media, ModelSource,
    PromptStyle, Request, Rule, Sampling, Seed, TextEngine, TextRequest, TextSampling, TreeShape, View, built_in_model,
};
use hawk_nn::Progress;
use hawk_synth::{SynthModel, synthesize, synthesize_heads};
use hawk_spec::{Code, DraftLaw, NodeId, Source, TokenTree, TreeError};

/// What the oracle knows.
static OUTCOME: Mutex<Vec<Code>> = Mutex::new(Vec::new());

static ORACLE: DrafterKind = DrafterKind {
    name: "oracle",
    help: "knows the outcome",
    tree: DefaultTree::Nodes(4),
    heads: Heads::Unused,
    media: Media::Any,
    make: |_| Ok(Box::new(Oracle(OUTCOME.lock().unwrap().clone()))),
};

struct Oracle(Vec<Code>);

impl Drafter for Oracle {
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> Result<(), TreeError> {
        let mut node = NodeId::ROOT;
        for &code in &self.0[view.codes.len()..] {
            node = tree.propose(node, code, DraftLaw::Deterministic, Source::new("oracle"))?;
        }
        Ok(())
    }
}

/// The tests share what the oracle knows.
#[test]
fn a_drafter_that_is_right_is_accepted_wholly() {
    images();
    text();
}

fn images() {
    let engine = Engine::load(built_in_model(), LoadOptions::default()).unwrap();
    let draw = |decoder: Decoder, nodes: usize| -> Generated {
        let request = Request {
            prompt: "red apple, fluent 3d style".to_owned(),
            seed: Seed(2),
            images: 0..1,
            sampling: engine.config().defaults,
            decoding: Decoding::new(decoder, Rule::Replay, TreeShape::Budget(nodes)).unwrap(),
            batch: 1,
        };
        engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images.remove(0)
    };
    let plain = draw(Decoder::AR, 1);
    for nodes in [2, 5, 16, 40] {
        OUTCOME.lock().unwrap().clone_from(&plain.codes);
        let told = draw(Decoder::custom(&ORACLE), nodes);
        assert_eq!(told.codes, plain.codes);
        assert_eq!(told.stats.recovered, 0, "{nodes} nodes");
        assert_eq!(told.stats.target_passes, 256_u64.div_ceil(nodes as u64), "{nodes} nodes");
        // One wrong draft costs what is behind it and nothing else.
        OUTCOME.lock().unwrap()[100].0 ^= 1;
        let misled = draw(Decoder::custom(&ORACLE), nodes);
        assert_eq!((&misled.codes, misled.stats.recovered), (&plain.codes, 1), "{nodes} nodes");
    }
}

fn text() {
    let dir = tempfile::tempdir().unwrap();
    let (model, heads) = (dir.path().join("model"), dir.path().join("heads"));
    let silent: Progress = Arc::new(|_, _| ());
    synthesize(SynthModel::TinyLlama, 2, &model, &silent).unwrap();
    std::fs::write(model.join("generation_config.json"), r#"{ "eos_token_id": null }"#).unwrap();
    let model = ModelSource::Dir(model);
    synthesize_heads(&model, "tiny", 1, &heads, &silent).unwrap();
    let engine = TextEngine::load(model, LoadOptions::default()).unwrap();
    let engine = engine.with_heads(&ModelSource::Dir(heads)).unwrap();
    let drawn = TextSampling::Drawn { sampling: Sampling::new(1.0, 1.0, 0, 1.0).unwrap(), seed: Seed(4) };
    for (sampling, nodes) in [(TextSampling::Greedy, 5), (drawn, 2), (drawn, 16), (drawn, 70)] {
        let write = |decoder: Decoder, nodes: usize| {
            let decoding = Decoding::new(decoder, Rule::Replay, TreeShape::Budget(nodes)).unwrap();
            let (prompt, style, max_tokens) = ("The hawk".to_owned(), PromptStyle::Plain, 64);
            let request = TextRequest { prompt, style, sampling, decoding, max_tokens };
            engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap()
        };
        let plain = write(Decoder::MEDUSA, nodes);
        *OUTCOME.lock().unwrap() = plain.tokens.iter().map(|token| Code(token.0)).collect();
        let told = write(Decoder::custom(&ORACLE), nodes);
        assert_eq!((&told.tokens, told.stats.recovered), (&plain.tokens, 0), "{nodes} nodes");
        assert_eq!(told.stats.target_passes, 64_u64.div_ceil(nodes as u64), "{nodes} nodes");
        // One wrong draft costs what is behind it and nothing else.
        OUTCOME.lock().unwrap()[30].0 ^= 1;
        let misled = write(Decoder::custom(&ORACLE), nodes);
        assert_eq!((&misled.tokens, misled.stats.recovered), (&plain.tokens, 1), "{nodes} nodes");
    }
}
