//! Conversions of the files that LlamaGen is published as.

use super::*;

/// All tensors of a folder's safetensors files, as PyTorch would save them.
fn tensors_of(dir: &Path) -> Vec<Saved> {
    let mut tensors = Vec::new();
    for file in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if !file.file_name().unwrap().to_string_lossy().starts_with("model") || file.extension().unwrap() == "json" {
            continue;
        }
        let bytes = std::fs::read(file).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            let storage = if view.dtype() == safetensors::Dtype::F32 { "Float" } else { "Half" };
            tensors.push(Saved::new(name, storage, view.shape(), view.data().to_vec()));
        }
    }
    tensors
}

/// What a training program leaves beside the weights: counters, settings, the optimizer's state with a tensor's name among its keys.
fn beside() -> Vec<u8> {
    let mut out = Vec::new();
    torch::text("steps", &mut out);
    out.extend(b"K\x05");
    torch::text("optimizer", &mut out);
    out.extend(b"}(");
    torch::text("tok_embeddings.weight", &mut out);
    out.extend(b"K\x01u");
    torch::text("args", &mut out);
    torch::global("argparse", "Namespace", &mut out);
    out.extend(b")R");
    out
}

/// Extras for the golden models: 12 pixels, 4 heads.
fn tiny_extras(vq: &Path) -> LlamaGenExtras {
    LlamaGenExtras { vq: Some(vq.to_owned()), size: Some(ImageSize { height: 12, width: 12 }), heads: Some(4) }
}

fn write_vq_pt(place: &Path) -> PathBuf {
    let path = place.join("vq_ds2.pt");
    let mut tensors = tensors_of(&golden("llamagen-c2i/vq"));
    tensors.push(Saved::f32("quantize.codebook_used", &[4], &[0.0; 4]));
    std::fs::write(&path, save(&tensors, Some("model"), &beside())).unwrap();
    path
}

#[test]
fn published_llamagens_are_read_from_every_container() {
    let place = tempfile::tempdir().unwrap();
    let vq = write_vq_pt(place.path());
    let pixels = |dir: &Path| {
        let codes: Vec<Code> = (0..36).map(Code).collect();
        let decoder = VqDecoder::of_model(&ModelSource::Dir(dir.to_owned())).unwrap();
        decoder.decode(&Threads::new(1), &codes, Grid::new(6, 6).unwrap()).unwrap()
    };
    for name in ["llamagen-c2i", "llamagen-t2i"] {
        let original = golden(name);
        for (number, key) in [Some("model"), Some("module"), Some("state_dict"), None].into_iter().enumerate() {
            let pt = place.path().join("weights.pt");
            let mut tensors = tensors_of(&original);
            tensors.push(Saved::f32("left.by.training", &[2], &[1.0, 2.0]));
            std::fs::write(&pt, save(&tensors, key, &beside())).unwrap();
            for to in [ConvertTo::Safetensors, ConvertTo::Packed(Precision::Int8)] {
                let out = place.path().join(format!("{name}-{number}-{to:?}"));
                let mut llamagen = tiny_extras(&vq);
                if name == "llamagen-t2i" {
                    llamagen.size = Some(ImageSize { height: 10, width: 10 });
                }
                let conversion = Conversion { source: pt.clone(), tokenizer: None, out: out.clone(), to, llamagen };
                let converted = conversion.run(&CpuLoader, &silent()).unwrap();
                let left_out = ["left.by.training", "quantize.codebook_used"].map(str::to_owned);
                assert!(left_out.iter().all(|name| converted.left_out.contains(name)), "{:?}", converted.left_out);
                assert!(converted.digest.is_some() && converted.layout.contains("LlamaGen"));
                let [read, want] = [&out, &original].map(|dir| {
                    let bytes = std::fs::read(dir.join("config.json")).unwrap();
                    TransformerConfig::from_json(&bytes).unwrap()
                });
                assert_eq!(read, want);
                assert!(logits(&out, Precision::Int8) == logits(&original, Precision::Int8), "{name} {key:?} {to:?}");
                assert!(pixels(&out) == pixels(&golden("llamagen-c2i")));
            }
        }
    }
}

#[test]
fn a_llamagen_under_the_names_of_a_llama_has_the_same_logits() {
    let place = tempfile::tempdir().unwrap();
    let (vq, dir, out) = (write_vq_pt(place.path()), place.path().join("hf"), place.path().join("out"));
    let theirs = |name: &str| match name {
        "tok_embeddings.weight" => "model.embed_tokens.weight".to_owned(),
        "output.weight" => "lm_head.weight".to_owned(),
        name => format!("model.{name}")
            .replace("attention.wo", "self_attn.o_proj")
            .replace("feed_forward.w1", "mlp.gate_proj")
            .replace("feed_forward.w2", "mlp.down_proj")
            .replace("feed_forward.w3", "mlp.up_proj")
            .replace("attention_norm", "input_layernorm")
            .replace("ffn_norm", "post_attention_layernorm"),
    };
    let mut tensors = Vec::new();
    for tensor in tensors_of(&golden("llamagen-t2i")) {
        if let Some(layer) = tensor.name.strip_suffix("attention.wqkv.weight") {
            let (rows, bytes) = (tensor.shape[0] / 3, tensor.bytes.len() / 3);
            for (part, name) in ["q", "k", "v"].into_iter().enumerate() {
                let name = format!("model.{layer}self_attn.{name}_proj.weight");
                let part = tensor.bytes[part * bytes..][..bytes].to_vec();
                tensors.push(Saved::new(&name, "Float", &[rows, tensor.shape[1]], part));
            }
        } else {
            tensors.push(Saved { name: theirs(&tensor.name), ..tensor });
        }
    }
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("pytorch_model.bin"), save(&tensors, None, &[])).unwrap();
    std::fs::write(dir.join("config.json"), r#"{"model_type": "llama", "block_size": 25, "num_attention_heads": 4, "rms_norm_eps": 1e-5, "rope_base": 10000}"#).unwrap();
    let llamagen = LlamaGenExtras { vq: Some(vq), ..LlamaGenExtras::default() };
    let to = ConvertTo::Safetensors;
    Conversion { source: dir, tokenizer: None, out: out.clone(), to, llamagen }.run(&CpuLoader, &silent()).unwrap();
    assert!(logits(&out, Precision::F32) == logits(&golden("llamagen-t2i"), Precision::F32));
}

#[test]
fn published_files_that_contradict_each_other_are_refused_and_leave_nothing() {
    let place = tempfile::tempdir().unwrap();
    let vq = write_vq_pt(place.path());
    let all = tensors_of(&golden("llamagen-c2i"));
    let pt = |name: &str, change: &dyn Fn(&mut Vec<Saved>)| {
        let (path, mut tensors) = (place.path().join(name), all.clone());
        change(&mut tensors);
        std::fs::write(&path, save(&tensors, Some("model"), &beside())).unwrap();
        path
    };
    let good = pt("weights.pt", &|_| ());
    let of = |tensors: &[Saved], name: &str| tensors.iter().position(|tensor| tensor.name == name).unwrap();
    let short = pt("short.pt", &|tensors| {
        let at = of(tensors, "layers.1.feed_forward.w2.weight");
        tensors[at] = Saved::f32("layers.1.feed_forward.w2.weight", &[1, 1], &[0.0]);
    });
    let missing = pt("missing.pt", &|tensors| tensors.retain(|tensor| tensor.name != "layers.1.ffn_norm.weight"));
    let few = place.path().join("few.pt");
    let mut tensors = tensors_of(&golden("llamagen-c2i/vq"));
    let at = of(&tensors, "quantize.embedding.weight");
    let half = tensors[at].bytes.len() / 2;
    let code = Saved::new("quantize.embedding.weight", "Half", &[48, 8], tensors[at].bytes[..half].to_vec());
    tensors[at] = code;
    std::fs::write(&few, save(&tensors, Some("model"), &[])).unwrap();
    tensors.retain(|tensor| tensor.name != "decoder.mid.1.q.weight");
    let broken = place.path().join("broken.pt");
    std::fs::write(&broken, save(&tensors, Some("model"), &[])).unwrap();
    let mut code = Vec::new();
    torch::text("steps", &mut code);
    torch::global("os", "system", &mut code);
    torch::text("true", &mut code);
    code.extend(b"\x85R");
    let hostile = place.path().join("hostile.pt");
    std::fs::write(&hostile, save(&all, Some("model"), &code)).unwrap();
    let cut = place.path().join("cut.pt");
    std::fs::write(&cut, &std::fs::read(&good).unwrap()[..5000]).unwrap();
    let files = std::fs::read_dir(place.path()).unwrap().count();
    let extras = tiny_extras(&vq);
    let with_vq = |vq: &Path| tiny_extras(vq);
    for (source, llamagen, words) in [
        (&short, extras.clone(), "layers.1.feed_forward.w2.weight has the shape [1, 1]"),
        (&missing, extras.clone(), "layers.1.ffn_norm.weight"),
        (&good, with_vq(&good), "not the VQ tokenizer"),
        (&good, with_vq(&few), "n_embed = 48"),
        (&good, with_vq(&broken), "decoder.mid.1.q.weight"),
        (&good, with_vq(&place.path().join("nowhere.pt")), "nowhere.pt"),
        (&good, LlamaGenExtras { vq: None, ..extras.clone() }, "vq_ds16_c2i.pt"),
        (&good, LlamaGenExtras { size: None, ..extras.clone() }, "--size"),
        (&good, LlamaGenExtras { heads: None, ..extras.clone() }, "--n-head"),
        (&vq, extras.clone(), "no --vq"),
        (&golden("chameleon"), extras.clone(), "no --vq"),
        (&hostile, extras.clone(), "os.system"),
        (&cut, extras, "cut off"),
    ] {
        let out = place.path().join("out");
        let conversion =
            Conversion { source: source.clone(), tokenizer: None, out, to: ConvertTo::Safetensors, llamagen };
        let error = conversion.run(&CpuLoader, &silent()).unwrap_err();
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), files, "{words}");
    }
    // Beside the weights, and with the size in the name, nothing needs to be said but the heads.
    std::fs::rename(&vq, place.path().join("vq_ds16_c2i.pt")).unwrap();
    std::fs::rename(&good, place.path().join("c2i_tiny_256.pt")).unwrap();
    let (source, out) = (place.path().join("c2i_tiny_256.pt"), place.path().join("out"));
    let llamagen = LlamaGenExtras { heads: Some(4), ..LlamaGenExtras::default() };
    let to = ConvertTo::Safetensors;
    Conversion { source, tokenizer: None, out: out.clone(), to, llamagen }.run(&CpuLoader, &silent()).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["block_size"], 128 * 128);
}
