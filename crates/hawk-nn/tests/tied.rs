//! An output projection of its own beside a config that says it is the embedding.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{
    Checkpoint, Conversion, ConvertTo, CpuLoader, LlamaGenExtras, ModelSource, PassLimits, Progress, Readout, Target,
    TransformerConfig,
};
use hawk_spec::TokenId;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

const TABLE: &str = "model.embed_tokens.weight";
const OUTPUT: &str = "lm_head.weight";

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama-gqa")
}

fn load(dir: &Path, precision: Precision) -> Target {
    let source = ModelSource::Dir(dir.to_owned());
    let config = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    Target::load(config, &Checkpoint::open(&source, "").unwrap(), precision).unwrap()
}

fn logits(target: &Target) -> Vec<f32> {
    let mut streams = [target.stream(16).unwrap()];
    streams[0].rows.push_chain([1, 5, 9].map(TokenId), None, Readout::Logits);
    let vocabulary = target.config().readable();
    let limits = PassLimits { rows: 16, readouts: 1, tokens: 16, vocabulary: vocabulary.len() };
    let mut workspace = target.workspace(limits).unwrap();
    let staged = target.forward(&Threads::new(1), &mut workspace, &mut streams, vocabulary).unwrap();
    staged.all_logits().to_vec()
}

/// The golden model with this flag and this output projection.
fn model(dir: &Path, tied: bool, output: Option<(Dtype, Vec<u8>)>) {
    let bytes = std::fs::read(golden().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = file.tensor(OUTPUT).unwrap().shape().to_vec();
    let mut views: Vec<(String, TensorView<'_>)> =
        file.tensors().into_iter().filter(|(name, _)| name != OUTPUT).collect();
    if let Some((dtype, bytes)) = &output {
        views.push((OUTPUT.to_owned(), TensorView::new(*dtype, shape, bytes).unwrap()));
    }
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let config = std::fs::read(golden().join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    config["tie_word_embeddings"] = tied.into();
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
}

fn tensor(name: &str) -> (Dtype, Vec<u8>) {
    let bytes = std::fs::read(golden().join("model.safetensors")).unwrap();
    let tensor = SafeTensors::deserialize(&bytes).unwrap().tensor(name).unwrap();
    (tensor.dtype(), tensor.data().to_vec())
}

#[test]
fn both_are_kept_where_they_differ() {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str, tied: bool, output: Option<(Dtype, Vec<u8>)>| {
        let place = dir.path().join(name);
        model(&place, tied, output);
        place
    };
    let (dtype, table) = tensor(TABLE);
    let apart = made("apart", false, Some(tensor(OUTPUT)));
    let both = made("both", true, Some(tensor(OUTPUT)));
    let alone = made("alone", true, None);
    let copied = made("copied", true, Some((dtype, table.clone())));
    for precision in Precision::ALL {
        let of = |place: &Path| logits(&load(place, precision));
        assert_eq!(of(&both), of(&apart), "{precision}: another projection");
        assert_eq!(of(&copied), of(&alone), "{precision}: a copy of the embedding");
        assert_ne!(of(&both), of(&alone), "{precision}");
        assert!(!load(&both, precision).config().tied_embeddings && load(&copied, precision).config().tied_embeddings);
        // A packed file cannot be compared any more; it holds what was kept.
        let packed =
            if precision == Precision::F32 { &[][..] } else { &[(&both, false), (&copied, true), (&alone, true)] };
        for &(from, tied) in packed {
            let out = from.with_extension(precision.to_string());
            let conversion = Conversion {
                source: from.clone(),
                tokenizer: None,
                out: out.clone(),
                to: ConvertTo::Packed(precision),
                llamagen: LlamaGenExtras::default(),
            };
            conversion.run(&CpuLoader, &(Arc::new(|_, _| ()) as Progress)).unwrap();
            assert_eq!(of(&out), of(from), "{precision} packed");
            assert_eq!(load(&out, precision).config().tied_embeddings, tied);
        }
    }
}

/// The same numbers in another format are no other numbers.
#[test]
fn formats_are_compared_by_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (dtype, table) = tensor(TABLE);
    assert_eq!(dtype, Dtype::F32);
    let narrow: Vec<half::bf16> =
        table.as_chunks::<4>().0.iter().map(|x| half::bf16::from_f32(f32::from_le_bytes(*x))).collect();
    let narrow_bytes: Vec<u8> = narrow.iter().flat_map(|x| x.to_le_bytes()).collect();
    model(dir.path(), true, Some((Dtype::BF16, narrow_bytes)));
    let exact = narrow.iter().zip(table.as_chunks::<4>().0).all(|(x, y)| x.to_f32() == f32::from_le_bytes(*y));
    assert_eq!(load(dir.path(), Precision::F32).config().tied_embeddings, exact);
}
