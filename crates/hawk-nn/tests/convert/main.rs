//! Conversions: the same logits and pixels from every layout, whole or not at all.
#![allow(clippy::unwrap_used)]

mod llamagen;
#[path = "../../../hawk-files/tests/common/torch.rs"]
mod torch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hawk_nn::kernels::{Precision, Threads};
use hawk_nn::{
    Checkpoint, Conversion, ConvertTo, Converted, CpuLoader, Error, Fault, ImageSize, LlamaGenExtras, ModelSource,
    PassLimits, Progress, Readout, Target, TransformerConfig, VqDecoder,
};
use hawk_spec::{Code, Grid, TokenId};
use safetensors::SafeTensors;
use torch::{Saved, save};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn built_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/built-in")
}

fn silent() -> Progress {
    Arc::new(|_, _| ())
}

fn convert(source: &Path, out: &Path, to: ConvertTo) -> Result<Converted, Error> {
    Conversion {
        source: source.to_owned(),
        tokenizer: None,
        out: out.to_owned(),
        to,
        llamagen: LlamaGenExtras::default(),
    }
    .run(&CpuLoader, &silent())
}

fn target(dir: &Path, precision: Precision) -> Result<Target, Error> {
    let source = ModelSource::Dir(dir.to_owned());
    let config = TransformerConfig::from_json(&source.read("config.json")?)?;
    Target::load(config, &Checkpoint::open(&source, "")?, precision)
}

/// The logits of a fixed sequence.
fn logits(dir: &Path, precision: Precision) -> Vec<f32> {
    let (target, pool) = (target(dir, precision).unwrap(), Threads::new(1));
    let codes = target.config().readable();
    let mut streams = [target.stream(16).unwrap()];
    let mut workspace =
        target.workspace(PassLimits { rows: 16, readouts: 16, tokens: 16, vocabulary: codes.len() }).unwrap();
    let mut last = None;
    for token in 0..16 {
        last = Some(streams[0].rows.push(TokenId(token * 5 % 90), last, Readout::Logits));
    }
    target.forward(&pool, &mut workspace, &mut streams, codes).unwrap().all_logits().to_vec()
}

/// Where a number of Meta's layout lands in Hugging Face's, inside a head.
fn place_in_halves(at: usize, head_dim: usize) -> usize {
    at % head_dim / 2 + at % 2 * head_dim / 2 + at / head_dim * head_dim
}

/// A golden model in Meta's layout: names, the turned rows of queries, keys and their norms, cut into `parts`.
fn to_meta(original: &Path, dir: &Path, parts: usize) {
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(original.join("config.json")).unwrap()).unwrap();
    let bytes = std::fs::read(original.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let number = |key: &str| config[key].as_u64().unwrap() as usize;
    let (layers, heads, dim) = (number("num_hidden_layers"), number("num_attention_heads"), number("hidden_size"));
    let head_dim = dim / heads;
    let rows = |name: &str| -> Vec<Vec<f32>> {
        let view = file.tensor(name).unwrap();
        let numbers: Vec<f32> = view.data().as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        numbers.chunks(*view.shape().last().unwrap()).map(<[f32]>::to_vec).collect()
    };
    let turned = |rows: Vec<Vec<f32>>| -> Vec<Vec<f32>> {
        (0..rows.len()).map(|at| rows[place_in_halves(at, head_dim)].clone()).collect()
    };
    let mut saved: Vec<Vec<Saved>> = vec![Vec::new(); parts];
    let mut put = |name: String, rows: Vec<Vec<f32>>, cut: &str| {
        for (part, saved) in saved.iter_mut().enumerate() {
            let (height, width) = (rows.len() / parts, rows[0].len() / parts);
            let piece: Vec<Vec<f32>> = match cut {
                "rows" => rows[part * height..][..height].to_vec(),
                "columns" => rows.iter().map(|row| row[part * width..][..width].to_vec()).collect(),
                _ => rows.clone(),
            };
            let shape = if cut == "all" { vec![piece[0].len()] } else { vec![piece.len(), piece[0].len()] };
            saved.push(Saved::f32(&name, &shape, &piece.concat()));
        }
    };
    put("tok_embeddings.weight".into(), rows("model.embed_tokens.weight"), "columns");
    put("output.weight".into(), rows("lm_head.weight"), "rows");
    put("norm.weight".into(), rows("model.norm.weight"), "all");
    put("rope.freqs".into(), vec![vec![1.0; 4]], "all");
    for layer in 0..layers {
        let hf = |part: &str| rows(&format!("model.layers.{layer}.{part}.weight"));
        let meta = |part: &str| format!("layers.{layer}.{part}.weight");
        put(meta("attention.wq"), turned(hf("self_attn.q_proj")), "rows");
        put(meta("attention.wk"), turned(hf("self_attn.k_proj")), "rows");
        put(meta("attention.wv"), hf("self_attn.v_proj"), "rows");
        put(meta("attention.wo"), hf("self_attn.o_proj"), "columns");
        put(meta("feed_forward.w1"), hf("mlp.gate_proj"), "rows");
        put(meta("feed_forward.w2"), hf("mlp.down_proj"), "columns");
        put(meta("feed_forward.w3"), hf("mlp.up_proj"), "rows");
        put(meta("attention_norm"), hf("input_layernorm"), "all");
        put(meta("ffn_norm"), hf("post_attention_layernorm"), "all");
        for part in if original.ends_with("llama-gqa") { &[][..] } else { &["q", "k"] } {
            for kind in ["weight", "bias"] {
                let norm = rows(&format!("model.layers.{layer}.self_attn.{part}_norm.{kind}"));
                // One norm serves the heads of a part, as in the public checkpoints.
                assert!(norm.iter().all(|row| row == &norm[0]), "the golden norms are the same for all heads");
                let row = (0..head_dim).map(|at| norm[0][place_in_halves(at, head_dim)]).collect();
                put(format!("layers.{layer}.attention.{part}_normalization.{kind}"), vec![row], "all");
            }
        }
    }
    let kv = config["num_key_value_heads"].as_u64().unwrap() as usize;
    let theta = config["rope_parameters"]["rope_theta"].as_f64().or(config["rope_theta"].as_f64()).unwrap();
    let params = serde_json::json!({
        "model": {
            "dim": dim, "n_layers": layers, "n_heads": heads, "n_kv_heads": kv, "norm_eps": config["rms_norm_eps"],
            "rope_theta": theta, "swin_norm": config["swin_norm"].as_bool().unwrap_or(false), "vocab_size": -1,
        },
        "model_parallel_size": parts,
    });
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("params.json"), params.to_string()).unwrap();
    for (part, tensors) in saved.iter().enumerate() {
        let name = if parts == 1 { "consolidated.pth".to_owned() } else { format!("consolidated.{part:02}.pth") };
        std::fs::write(dir.join(name), save(tensors, None, &[])).unwrap();
    }
}

/// A copy of a golden model whose norms on queries and keys are the same for all heads, as the public ones are.
fn with_shared_norms(name: &str, dir: &Path) -> PathBuf {
    let bytes = std::fs::read(golden(name).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, view)| {
            let mut data = view.data().to_vec();
            if name.contains("q_norm") || name.contains("k_norm") {
                let row = data.len() / view.shape()[0];
                data = data[..row].repeat(view.shape()[0]);
            }
            (name.to_owned(), view.dtype(), view.shape().to_vec(), data)
        })
        .collect();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let dir = dir.join(name);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    std::fs::copy(golden(name).join("config.json"), dir.join("config.json")).unwrap();
    dir
}

#[test]
fn metas_layout_gives_the_logits_of_hugging_faces() {
    for name in ["chameleon", "chameleon-swin", "llama-gqa"] {
        let place = tempfile::tempdir().unwrap();
        let original = with_shared_norms(name, place.path());
        for parts in [1, 2] {
            let (meta, out) = (place.path().join(format!("meta{parts}")), place.path().join(format!("out{parts}")));
            to_meta(&original, &meta.join("models/7b"), parts);
            let converted = convert(&meta, &out, ConvertTo::Safetensors).unwrap();
            assert!(converted.layout.contains("Meta") && converted.digest.is_some());
            for precision in [Precision::F32, Precision::Int8] {
                assert!(logits(&out, precision) == logits(&original, precision), "{name} {parts} {precision}");
            }
            let packed = place.path().join(format!("packed{parts}"));
            convert(&meta, &packed, ConvertTo::Packed(Precision::Int8)).unwrap();
            assert!(logits(&packed, Precision::Int8) == logits(&original, Precision::Int8), "{name} {parts} packed");
        }
    }
}

#[test]
fn a_packed_folder_gives_the_same_bits_and_only_its_own_precision() {
    let place = tempfile::tempdir().unwrap();
    for name in ["chameleon", "llama-gqa"] {
        for precision in [Precision::Bf16, Precision::F16, Precision::Int8] {
            let out = place.path().join(format!("{name}-{precision}"));
            let converted = convert(&golden(name), &out, ConvertTo::Packed(precision)).unwrap();
            assert_eq!(converted.digest.unwrap(), ModelSource::Dir(out.clone()).digest().unwrap());
            assert!(logits(&out, precision) == logits(&golden(name), precision), "{name} {precision}");
            let error = target(&out, Precision::F32).err().unwrap();
            assert!(error.to_string().contains(&format!("--precision {precision}")), "{error}");
            let checkpoint = Checkpoint::open(&ModelSource::Dir(out.clone()), "").unwrap();
            assert_eq!(checkpoint.packed_for(), Some(precision));
            checkpoint.verify().unwrap();
            let config = TransformerConfig::from_json(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
            assert!(config.tensors().iter().all(|tensor| tensor.fault(&checkpoint).is_none()));
            Target::load(config, &checkpoint, precision).unwrap();
            assert_eq!(checkpoint.left_over(), Vec::<&str>::new());
            let again = convert(&out, &place.path().join("again"), ConvertTo::Safetensors).unwrap_err();
            assert!(again.to_string().contains("packed already"), "{again}");
        }
    }
}

#[test]
fn a_packed_janus_has_its_vq_tokenizer_in_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let pixels = |dir: &Path| {
        let codes: Vec<Code> = (0..9).map(|at| Code(at % 7)).collect();
        let decoder = VqDecoder::of_model(&ModelSource::Dir(dir.to_owned())).unwrap();
        decoder.decode(&Threads::new(1), &codes, Grid::new(3, 3).unwrap()).unwrap()
    };
    let original = golden("janus");
    for precision in [Precision::Bf16, Precision::F16, Precision::Int8] {
        let out = place.path().join(precision.to_string());
        convert(&original, &out, ConvertTo::Packed(precision)).unwrap();
        assert!(out.join("vq/model.safetensors").is_file());
        assert_eq!(logits(&out, precision), logits(&original, precision));
        assert_eq!(pixels(&out), pixels(&original));
    }
    let out = place.path().join("as-it-was");
    let left_out = convert(&original, &out, ConvertTo::Safetensors).unwrap().left_out;
    assert!(left_out.is_empty() && !out.join("vq").exists(), "{left_out:?}");
    assert_eq!(pixels(&out), pixels(&original));
}

#[test]
fn a_conversion_that_was_broken_off_goes_on_and_ends_in_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let (whole, resumed) = (place.path().join("whole"), place.path().join("resumed"));
    for to in [ConvertTo::Packed(Precision::Int8), ConvertTo::Safetensors] {
        convert(&golden("chameleon"), &whole, to).unwrap();
        for breaks in [1, 3, 8] {
            let calls = AtomicUsize::new(0);
            let conversion = Conversion {
                source: golden("chameleon"),
                tokenizer: None,
                out: resumed.clone(),
                to,
                llamagen: LlamaGenExtras::default(),
            };
            let progress: Progress = Arc::new(move |_, _| {
                assert!(calls.fetch_add(1, Ordering::Relaxed) < breaks, "broken off");
            });
            assert!(catch_unwind(AssertUnwindSafe(|| conversion.run(&CpuLoader, &progress))).is_err());
            assert!(!resumed.exists());
            conversion.run(&CpuLoader, &silent()).unwrap();
            for file in std::fs::read_dir(&whole).unwrap() {
                let name = file.unwrap().file_name();
                let [a, b] = [&whole, &resumed].map(|dir| std::fs::read(dir.join(&name)).unwrap());
                assert!(a == b, "{name:?} after {breaks} steps");
            }
            assert_eq!(std::fs::read_dir(&whole).unwrap().count(), std::fs::read_dir(&resumed).unwrap().count());
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
            std::fs::remove_dir_all(&resumed).unwrap();
        }
        std::fs::remove_dir_all(&whole).unwrap();
    }
}

#[test]
fn nothing_is_overwritten_and_no_model_is_named() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    convert(&golden("chameleon"), &out, ConvertTo::Safetensors).unwrap();
    for (source, out, to, words) in [
        (golden("chameleon"), out.clone(), ConvertTo::Safetensors, "already"),
        (golden("none"), place.path().join("b"), ConvertTo::Safetensors, "none"),
        (place.path().to_owned(), place.path().join("b"), ConvertTo::Safetensors, "params.json"),
        (golden("chameleon"), place.path().join("b"), ConvertTo::Packed(Precision::F32), "bf16, f16 or int8"),
        (
            golden("chameleon").join("model.safetensors"),
            place.path().join("b"),
            ConvertTo::Packed(Precision::Int8),
            "config",
        ),
    ] {
        let error = convert(&source, &out, to).unwrap_err();
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "only what was there before");
    }
}

/// The built-in VQ tokenizer as taming-transformers would have saved it.
fn taming(dir: &Path) {
    let bytes = std::fs::read(built_in().join("vq/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<Saved> = file
        .iter()
        .map(|(name, view)| {
            let storage = match view.dtype() {
                safetensors::Dtype::F32 => "Float",
                safetensors::Dtype::BF16 => "BFloat16",
                _ => "Half",
            };
            Saved::new(name, storage, view.shape(), view.data().to_vec())
        })
        .collect();
    tensors.push(Saved::f32("loss.discriminator.main.0.weight", &[2], &[1.0, 2.0]));
    std::fs::write(dir.join("vqgan.ckpt"), save(&tensors, Some("state_dict"), &[])).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(built_in().join("vq/config.json")).unwrap()).unwrap();
    let mut yaml =
        "model:\n  base_learning_rate: 4.5e-06\n  target: taming.models.vqgan.VQModel\n  params:\n".to_owned();
    yaml += &format!(
        "    embed_dim: {}\n    n_embed: {}\n    ddconfig:\n      double_z: false\n",
        config["embed_dim"], config["n_embed"]
    );
    for key in ["ch", "ch_mult", "num_res_blocks", "attn_resolutions", "z_channels", "resolution", "norm_num_groups"] {
        yaml += &format!("      {key}: {}\n", config[key]);
    }
    std::fs::write(dir.join("vqgan.yaml"), yaml).unwrap();
}

#[test]
fn taming_transformers_tokenizer_gives_the_same_pixels() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("tokenizer")).unwrap();
    taming(&place.path().join("tokenizer"));
    let pool = Threads::new(1);
    let codes: Vec<Code> = (0..16).map(|i| Code(i * 61 % 4096)).collect();
    let draw = |dir: &Path| {
        let decoder = VqDecoder::of_model(&ModelSource::Dir(dir.to_owned())).unwrap();
        decoder.decode(&pool, &codes, Grid::new(4, 4).unwrap()).unwrap()
    };
    let want = draw(&built_in());
    assert!(draw(place.path()) == want);
    // With the weights of a transformer: both end in one folder, and the losses stay behind.
    let out = place.path().join("out");
    std::fs::copy(golden("chameleon").join("config.json"), place.path().join("config.json")).unwrap();
    std::fs::copy(golden("chameleon").join("model.safetensors"), place.path().join("model.safetensors")).unwrap();
    let converted = convert(place.path(), &out, ConvertTo::Packed(Precision::Bf16)).unwrap();
    assert!(converted.left_out.contains(&"loss.discriminator.main.0.weight".to_owned()), "{:?}", converted.left_out);
    assert!(draw(&out) == want);
    // Alone.
    let alone = place.path().join("vq");
    convert(&place.path().join("tokenizer/vqgan.ckpt"), &alone, ConvertTo::Safetensors).unwrap();
    assert!(draw(place.path()) == want);
    let names = SafeTensors::deserialize(&std::fs::read(alone.join("model.safetensors")).unwrap()).unwrap().len();
    assert_eq!(
        names,
        SafeTensors::deserialize(&std::fs::read(built_in().join("vq/model.safetensors")).unwrap()).unwrap().len()
    );
}

#[test]
fn damaged_sizes_of_the_tokenizer_are_named() {
    let place = tempfile::tempdir().unwrap();
    taming(place.path());
    let yaml = std::fs::read_to_string(place.path().join("vqgan.yaml")).unwrap();
    for (from, to, words) in [
        ("double_z: false", "double_z: true", "double_z"),
        ("ddconfig", "config", "ddconfig"),
        ("embed_dim", "dim", "embed_dim"),
        ("ch_mult", "mult", "ch_mult"),
        ("n_embed: 4096", "n_embed: -1", "-1"),
        ("n_embed: 4096", "n_embed: 4097", "4097"),
        ("model:", "- [", "YAML"),
    ] {
        std::fs::write(place.path().join("vqgan.yaml"), yaml.replace(from, to)).unwrap();
        let error =
            VqDecoder::of_model(&ModelSource::Dir(place.path().to_owned())).err().unwrap_or_else(|| panic!("{to}"));
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains(words), "{to}: {error}");
    }
    let bomb = "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    std::fs::write(place.path().join("vqgan.yaml"), bomb).unwrap();
    assert!(VqDecoder::of_model(&ModelSource::Dir(place.path().to_owned())).is_err());
}
