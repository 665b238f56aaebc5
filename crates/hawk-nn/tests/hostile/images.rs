//! What says how images look: `hawk.json`, tokenizers of texts and of pixels, draft heads.

use hawk_nn::{
    Checkpoint, Error, HawkConfig, HeadsConfig, ModelSource, SpatialConfig, TextTokenizer, TransformerConfig, VqConfig,
    VqDecoder, VqEncoder,
};
use hawk_synth::{SynthModel, synthesize};
use serde_json::{Value, json};

use crate::{built_in, goldens, lies, read_json, refusal, set};

fn transformer() -> TransformerConfig {
    TransformerConfig::from_json(&std::fs::read(built_in().join("config.json")).unwrap()).unwrap()
}

#[test]
fn every_field_of_hawk_json_that_lies_is_named() {
    let mut good = read_json(&built_in().join("hawk.json"));
    good["sizes"] = json!("fixed");
    good["after_text"] = json!([3]);
    let rows = [
        ("/family", json!("gpt2"), "family & gpt2"),
        ("/family", json!("llama"), "family & Llama"),
        ("/layout", json!("spiral"), "layout & spiral"),
        ("/layout", json!("plain"), "uncond & begin"),
        ("/grid", json!([0, 16]), "layout & rows"),
        ("/grid", json!([16, 4096]), "layout & cols"),
        ("/grid", json!([16]), "grid & length"),
        ("/grid", json!([u64::MAX, 16]), "grid"),
        ("/grid", json!([16, 8]), "image_size"),
        ("/image_size", json!([128, 129]), "image_size"),
        ("/image_size", json!([0, 0]), "image_size"),
        ("/image_size", json!([128, 256]), "image_size"),
        ("/image_size", json!([64, 64]), "image_size & [128, 128]"),
        ("/image_size", json!([1 << 20, 1 << 20]), "image_size & at most"),
        ("/code_offset", json!(u32::MAX), "code_offset"),
        ("/code_offset", json!(4200), "code_offset + codes - 1 & 5144"),
        ("/code_offset", json!(1_u64 << 32), "code_offset"),
        ("/codes", json!(1), "layout & codes"),
        ("/codes", json!(4097), "layout & 4100"),
        ("/begin", json!(4), "structure token 4"),
        ("/begin", json!(1 << 20), "structure token & vocab_size"),
        ("/end", json!(5144), "5144"),
        ("/end", Value::Null, "end"),
        ("/row_end", json!(9000), "9000"),
        ("/size_base", json!(5140), "5156"),
        ("/size_base", json!(u32::MAX), "size_base"),
        ("/size_unit", json!(0), "size_unit"),
        ("/size_unit", json!(3), "size_unit"),
        ("/bos", json!(5), "bos"),
        ("/bos", json!(-1), "bos & -1"),
        ("/bos", json!(6000), "bos & 6000"),
        ("/prompt", json!("an image"), "prompt & {prompt}"),
        ("/after_text", json!([5]), "after_text"),
        ("/after_text", json!([6000]), "after_text & 6000"),
        ("/after_text", json!(vec![1; 65]), "after_text & 65"),
        ("/sizes", json!("any"), "sizes & any"),
        ("/sizes", json!("lumina"), "sizes & 16 pixels a cell"),
        ("/uncond", json!("pad"), "uncond & pad"),
        ("/defaults/cfg", json!(101), "defaults & cfg"),
        ("/defaults/cfg", json!(1e300), "defaults & cfg"),
        ("/defaults/temperature", json!(0), "defaults & temperature"),
        ("/defaults/top_k", json!(-1), "defaults.top_k & -1"),
        ("/defaults/top_p", json!(1.5), "defaults & top_p"),
        ("/defaults/top_p", json!(0), "defaults & top_p"),
    ];
    let (transformer, vq) = (transformer(), std::fs::read(built_in().join("vq/config.json")).unwrap());
    let vq = VqConfig::from_json(&vq).unwrap();
    let read = |bytes: &[u8]| {
        let config = HawkConfig::from_json(bytes)?;
        config.check(&transformer)?;
        config.check_decoder(&vq)
    };
    lies(&good, &read, &rows);
    let config = HawkConfig::from_json(good.to_string().as_bytes()).unwrap();
    refusal(config.check_decoder(&VqConfig { codes: 4095, ..vq.clone() }), "codes & n_embed = 4095", "a code less");
    let mut plain = good;
    set(&mut plain, "/layout", Some(json!("plain")));
    set(&mut plain, "/uncond", Some(json!("bos_begin")));
    read(plain.to_string().as_bytes()).unwrap();
    set(&mut plain, "/after_text", Some(json!([])));
    refusal(read(plain.to_string().as_bytes()), "after_text & none", "nothing opens the image");
}

#[test]
fn every_field_of_a_heads_config_that_lies_is_named() {
    let none: [Value; 0] = [];
    let validation = json!({"cross_entropy": 2.5, "overlap": 0.25, "replay_match_by_rank": [0.2, 0.1]});
    let good = json!({
        "architectures": ["HawkHeads"], "speculators_model_type": "hawk", "block": "residual_silu", "hidden_size": 320,
        "target": {"name": "emoji", "digest": "0123456789abcdef".repeat(4)}, "grid": [16, 16],
        "heads": [{"name": "H1", "offset": [0, 1], "validation": validation}, {"name": "V2", "offset": [2, 0]},
                  {"name": "D1-1", "offset": [1, -1]}],
    });
    let rows = [
        ("/architectures", json!(none), "architectures"),
        ("/architectures", json!(["HawkHeads", "More"]), "architectures & More"),
        ("/speculators_model_type", json!("eagle"), "speculators_model_type & eagle"),
        ("/block", json!("linear"), "block & linear"),
        ("/hidden_size", json!(0), "hidden_size & 1 to"),
        ("/hidden_size", json!(1 << 30), "hidden_size & 1 to"),
        ("/target/name", json!(7), "target.name"),
        ("/target/digest", json!("abc"), "target.digest & abc"),
        ("/target/digest", json!("0123456789ABCDEF".repeat(4)), "target.digest"),
        ("/grid", json!([0, 16]), "grid & rows"),
        ("/grid", json!([16, 4096]), "grid & cols"),
        ("/grid", json!([2, 16]), "heads[1] & 2 rows"),
        ("/heads", json!(none), "heads & 1 to 256"),
        ("/heads", json!(vec![json!({"name": "H1", "offset": [0, 1]}); 257]), "heads & 257"),
        ("/heads/0/name", json!("H2"), "heads[0] & H2"),
        ("/heads/0/offset", json!([0, 0]), "heads[0] & offset"),
        ("/heads/0/offset", json!([0, -1]), "heads[0] & offset"),
        ("/heads/0/offset", json!([0, 1, 2]), "heads[0].offset"),
        ("/heads/1/offset", json!([-1, 0]), "heads[1].offset & -1"),
        ("/heads/1/offset", json!([16, 0]), "heads[1]"),
        ("/heads/1/name", json!(""), "heads[1]"),
        ("/heads/2/name", json!("D1+1"), "heads[2] & D1+1"),
        ("/heads/2/offset", json!([1, -16]), "heads[2]"),
        ("/heads/2/offset", json!([1, i32::MIN]), "heads[2]"),
        ("/heads/2", json!({"name": "H1", "offset": [0, 1]}), "heads[2] & same place"),
        ("/heads/0/validation/overlap", json!(1.5), "heads[0] & overlap"),
        ("/heads/0/validation/cross_entropy", json!(-1), "heads[0] & cross_entropy"),
        ("/heads/0/validation/replay_match_by_rank", json!([0.5, -0.5]), "heads[0] & replay_match_by_rank"),
        ("/heads/0/validation/replay_match_by_rank", json!(vec![0.5; 1025]), "replay_match_by_rank & 1025"),
    ];
    lies(&good, &|bytes| HeadsConfig::from_json(bytes).map(drop), &rows);
}

#[test]
fn every_field_of_a_config_of_spatial_heads_that_lies_is_named() {
    let none: [Value; 0] = [];
    let good = json!({
        "architectures": ["HawkSpatialHeads"], "speculators_model_type": "hawk", "hidden_size": 384, "width": 128,
        "rank": 64, "codes": 4096, "grid": [16, 16], "target": {"name": "emoji", "digest": "0123456789abcdef".repeat(4)},
        "validation": {"cross_entropy": 2.5, "overlap": 0.25, "replay_match_by_rank": [0.2, 0.1]},
    });
    let rows = [
        ("/architectures", json!(none), "architectures"),
        ("/architectures", json!(["HawkHeads"]), "architectures & HawkHeads"),
        ("/speculators_model_type", json!("eagle"), "speculators_model_type & eagle"),
        ("/hidden_size", json!(0), "hidden_size & 1 to"),
        ("/width", json!(0), "width & 1 to"),
        ("/width", json!(1 << 20), "width & 1 to"),
        ("/rank", json!(1025), "rank & 1024"),
        ("/codes", json!(-1), "codes & -1"),
        ("/codes", json!(u64::MAX), "codes & 1 to"),
        ("/grid", json!([16, 2]), "grid & 3 columns"),
        ("/grid", json!([0, 16]), "grid"),
        ("/grid", json!([16]), "grid"),
        ("/target/name", json!(7), "target.name"),
        ("/target/digest", json!("abc"), "target.digest & 64 hex digits"),
        ("/validation/overlap", json!(1.5), "validation & overlap"),
        ("/validation/cross_entropy", json!(-1), "validation & cross_entropy"),
        ("/validation/replay_match_by_rank", json!([0.5, -0.5]), "validation & replay_match_by_rank"),
    ];
    lies(&good, &|bytes| SpatialConfig::from_json(bytes).map(drop), &rows);
    let config = SpatialConfig::from_json(good.to_string().as_bytes()).unwrap();
    assert_eq!(config.to_json(), good);
}

/// A field, a lie about it, and words of the refusal.
type VqRow = (&'static str, fn() -> Value, &'static str);

const VQ_ROWS: [VqRow; 14] = [
    ("ch", || json!(0), "ch & 1 to"),
    ("ch", || json!(u64::MAX), "ch & 1 to"),
    ("ch", || json!(8192), "32768"),
    ("ch_mult", || json!([]), "ch_mult & 1 to"),
    ("ch_mult", || json!([1, 0]), "ch_mult & 1 to"),
    ("ch_mult", || json!(vec![1; 9]), "ch_mult & 9"),
    ("num_res_blocks", || json!(0), "num_res_blocks & 1 to"),
    ("num_res_blocks", || json!(65), "num_res_blocks & 1 to"),
    ("z_channels", || json!(-4), "z_channels & -4"),
    ("embed_dim", || json!(1 << 20), "embed_dim & 1 to"),
    ("n_embed", || json!(0), "n_embed & 1 to"),
    ("n_embed", || json!(1_u64 << 40), "n_embed & 1 to"),
    ("resolution", || json!(0), "resolution & 1 to"),
    ("resolution", || json!(u64::MAX), "resolution & 1 to"),
];

/// Spellings of Hugging Face for those of taming-transformers.
const SPELLINGS: [(&str, &str); 5] = [
    ("ch", "base_channels"),
    ("ch_mult", "channel_multiplier"),
    ("z_channels", "latent_channels"),
    ("n_embed", "num_embeddings"),
    ("out_ch", "out_channels"),
];

#[test]
fn every_field_of_a_vq_config_that_lies_is_named() {
    let own = [
        ("attn_resolutions", json!(16), "attn_resolutions"),
        ("attn_resolutions", json!([-16]), "attn_resolutions"),
        ("norm_num_groups", json!(7), "norm_num_groups & ch * ch_mult"),
        ("norm_num_groups", json!(0), "norm_num_groups & 1 to"),
        ("out_ch", json!(4), "out_ch & 3"),
        ("attn_type", json!("linear"), "attn_type & linear"),
        ("normalize_codes", json!("yes"), "normalize_codes"),
        ("model_type", json!("movqgan"), "model_type & movqgan"),
        ("model_type", json!(7), "model_type & no text"),
    ];
    let taming = json!({
        "model_type": "vqgan", "ch": 16, "ch_mult": [1, 2, 4], "num_res_blocks": 2, "attn_resolutions": [16],
        "z_channels": 64, "embed_dim": 8, "n_embed": 1024, "resolution": 64, "norm_num_groups": 8, "out_ch": 3,
        "attn_type": "vanilla", "normalize_codes": false,
    });
    let rows = || VQ_ROWS.into_iter().map(|(key, lie, words)| (key, lie(), words)).chain(own.iter().cloned());
    for (kind, spelled) in [("vqgan", 0), ("chameleon_vqgan", 1), ("llamagen_vq", 0), ("janus_vqgan", 1)] {
        // The error names the field as taming-transformers does, whichever word the file has.
        let word = |key: &str| {
            let other = SPELLINGS.iter().find(|(taming, _)| spelled == 1 && *taming == key);
            other.map_or(key.to_owned(), |(_, other)| (*other).to_owned())
        };
        let mut good = json!({});
        for (key, value) in taming.as_object().unwrap() {
            good[word(key)] = value.clone();
        }
        good["model_type"] = json!(kind);
        // In the order of these two families' code no level's attention depends on the resolution.
        let depends = kind.contains("vqgan") && kind != "janus_vqgan";
        let rows: Vec<(String, Value, &str)> = rows()
            .filter(|(key, lie, _)| depends || *key != "resolution" || lie == &json!({}))
            .map(|(key, lie, words)| {
                // A wrong type is found before the word is translated.
                let words =
                    if words.starts_with("z_channels") && spelled == 1 { "latent_channels & -4" } else { words };
                (format!("/{}", word(key)), lie, words)
            })
            .chain((!depends).then(|| ("/resolution".to_owned(), json!(-1), "resolution & -1")))
            .collect();
        let rows: Vec<(&str, Value, &str)> =
            rows.iter().map(|(pointer, lie, words)| (pointer.as_str(), lie.clone(), *words)).collect();
        lies(&good, &|bytes| VqConfig::from_json(bytes).map(drop), &rows);
        if spelled == 1 {
            good["ch"] = json!(16);
            refusal(VqConfig::from_json(good.to_string().as_bytes()), "duplicate & ch", "both spellings");
        }
    }
    let of_model = |bytes: &[u8]| VqConfig::from_model_json(bytes).map(drop);
    for (model, rows) in [
        (
            json!({"model_type": "janus", "vq_config": {"num_embeddings": 96, "channel_multiplier": [1, 2]}}),
            vec![
                ("/model_type", json!("janus"), ""),
                ("/vq_config", json!(7), "vq_config"),
                ("/vq_config/num_embeddings", json!(0), "vq_config & n_embed"),
                ("/vq_config/channel_multiplier", json!([]), "vq_config & ch_mult"),
            ],
        ),
        (
            json!({"model_type": "multi_modality", "gen_vision_config": {"params": {"image_token_size": 96, "n_embed": 8}}}),
            vec![
                ("/gen_vision_config", json!(7), "gen_vision_config"),
                ("/gen_vision_config/params", json!([7]), "gen_vision_config & params"),
                ("/gen_vision_config/params/image_token_size", json!(0), "gen_vision_config & n_embed"),
                ("/gen_vision_config/params/image_token_size", json!("x"), "gen_vision_config & n_embed"),
                ("/gen_vision_config/params/n_embed", json!(-1), "gen_vision_config & embed_dim & -1"),
            ],
        ),
    ] {
        of_model(model.to_string().as_bytes()).unwrap();
        for (pointer, lie, words) in rows.iter().filter(|(.., words)| !words.is_empty()) {
            let mut model = model.clone();
            set(&mut model, pointer, Some(lie.clone()));
            refusal(of_model(model.to_string().as_bytes()), words, &format!("{pointer} = {lie}"));
        }
    }
}

#[test]
fn vq_configs_that_contradict_their_weights_are_refused() {
    for (folder, rows) in [
        (
            built_in().join("vq"),
            &[
                ("/ch", json!(4), "[32]"),
                ("/ch_mult", json!([1, 2]), "decoder. & [32] & [64]"),
                ("/num_res_blocks", json!(2), "block.2"),
                ("/z_channels", json!(32), "[32, "),
                ("/embed_dim", json!(4), ", 4]"),
                ("/n_embed", json!(4095), "[4095, "),
                ("/attn_resolutions", json!([64]), "attn"),
            ][..],
        ),
        (
            goldens("llamagen-c2i/vq"),
            &[
                ("/ch", json!(64), "[64] & [32]"),
                ("/ch_mult", json!([2]), "decoder."),
                ("/num_res_blocks", json!(1), "model-0 & num_res_blocks & attn.2"),
                ("/n_embed", json!(97), "[97, 8]"),
            ],
        ),
    ] {
        let good = read_json(&folder.join("config.json"));
        let source = ModelSource::Dir(folder.clone());
        let load = |config: &Value| {
            let config = VqConfig::from_json(config.to_string().as_bytes())?;
            VqDecoder::from_checkpoint(config, &Checkpoint::open(&source, "")?)
        };
        load(&good).unwrap();
        for (pointer, lie, words) in rows {
            let mut config = good.clone();
            set(&mut config, pointer, Some(lie.clone()));
            refusal(load(&config), words, &format!("{}: {pointer} = {lie}", folder.display()));
        }
        // The encoder beside it sees the same.
        let place = tempfile::tempdir().unwrap();
        let mut config = good.clone();
        config["num_res_blocks"] = json!(config["num_res_blocks"].as_u64().unwrap() % 2 + 1);
        for file in std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap()) {
            std::fs::copy(file.path(), place.path().join(file.file_name())).unwrap();
        }
        std::fs::write(place.path().join("config.json"), config.to_string()).unwrap();
        refusal(
            VqEncoder::load(&ModelSource::Dir(place.path().to_owned()), ""),
            "encoder.",
            "another number of blocks",
        );
    }
}

#[test]
fn tokenizers_that_lie_are_refused() {
    let good = read_json(&built_in().join("tokenizer.json"));
    let read = |json: &Value| TextTokenizer::from_bytes(json.to_string().as_bytes());
    read(&good).unwrap().check(&transformer()).unwrap();
    let replace = |content: &str| json!({"type": "Replace", "pattern": {"String": "a"}, "content": content});
    let chain = |parts: usize| json!({"type": "Sequence", "normalizers": vec![replace("aaaa"); parts]});
    let padding = |strategy: Value, multiple: Value| {
        json!({"strategy": strategy, "direction": "Right", "pad_to_multiple_of": multiple, "pad_id": 0,
               "pad_type_id": 0, "pad_token": "<pad>"})
    };
    let truncation = |most: u64, stride: u64| json!({"direction": "Right", "max_length": most, "strategy": "LongestFirst", "stride": stride});
    for (pointer, value) in [
        ("/normalizer", chain(3)),
        ("/padding", padding(json!({"Fixed": 64}), Value::Null)),
        ("/padding", padding(json!({"Fixed": 1_u64 << 32}), Value::Null)),
        ("/padding", padding(json!("BatchLongest"), json!(8))),
        ("/padding", padding(json!("BatchLongest"), json!(1_u64 << 40))),
        ("/truncation", truncation(3, 0)),
        ("/truncation", truncation(512, 511)),
    ] {
        let mut json = good.clone();
        set(&mut json, pointer, Some(value));
        // What was saved for other calls changes no prompt.
        let (given, plain) = (read(&json).unwrap(), read(&good).unwrap());
        let prompt = "a red hedgehog on a boat";
        if pointer != "/normalizer" {
            assert_eq!(given.encode(prompt).unwrap(), plain.encode(prompt).unwrap(), "{pointer}");
        }
    }
    for (pointer, lie, words) in [
        ("/model", Value::Null, "tokenizer"),
        ("/model", json!({"type": "Quantum"}), "tokenizer"),
        ("/model/vocab", json!(7), "tokenizer"),
        ("/added_tokens", json!([{"id": -1, "content": "x"}]), "tokenizer"),
        ("/version", json!("9.9"), "tokenizer"),
        ("/normalizer", json!({"type": "Lower"}), "tokenizer"),
        ("/normalizer", replace(&"a".repeat(65)), "normalizer & 65"),
        ("/normalizer", chain(4), "normalizer & 256"),
        ("/normalizer", chain(100), "normalizer"),
    ] {
        let mut json = good.clone();
        set(&mut json, pointer, Some(lie.clone()));
        refusal(read(&json), words, &format!("{pointer} = {lie}"));
    }
    let mut json = good;
    json["added_tokens"].as_array_mut().unwrap().push(json!({
        "id": 4_000_000_000_u32, "content": "<far>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    }));
    // The library numbers a token that is not in its vocabulary itself, or takes the id as it stands; it is seen in both cases.
    if let Ok(tokenizer) = read(&json) {
        let known = tokenizer.ids();
        let small = TransformerConfig { vocab: known - 1, ..transformer() };
        refusal(tokenizer.check(&small), "vocab_size", "an id beyond the vocabulary");
    }
}

/// What the names of tokens say of a public model, or its refusal.
fn public(dir: &std::path::Path) -> Result<Option<HawkConfig>, Error> {
    let source = ModelSource::Dir(dir.to_owned());
    HawkConfig::of_model(&source, &TransformerConfig::from_json(&source.read("config.json")?)?)
}

#[test]
fn names_of_tokens_that_lie_are_named() {
    let place = tempfile::tempdir().unwrap();
    for (model, begin) in [(SynthModel::TinyLumina, "<racm3:break>"), (SynthModel::TinyAnole, "<racm3:break>")] {
        let dir = place.path().join(model.name());
        synthesize(model, 1, &dir, &(std::sync::Arc::new(|_, _| ()) as hawk_nn::Progress)).unwrap();
        let name = ModelSource::Dir(dir.clone()).tokenizer_file().unwrap();
        let good = read_json(&dir.join(name));
        public(&dir).unwrap().unwrap();
        let vocab = good["model"]["vocab"].as_object().unwrap().clone();
        // Gives a token another id, or none, wherever it stands.
        let renumbered = |token: &str, id: Option<Value>| {
            let mut json = good.clone();
            let names = json["model"]["vocab"].as_object_mut().unwrap();
            match &id {
                Some(id) => _ = names.insert(token.to_owned(), id.clone()),
                None => _ = names.remove(token),
            }
            let added = json["added_tokens"].as_array_mut().unwrap();
            added.retain(|entry| entry["content"] != token);
            std::fs::write(dir.join(name), json.to_string()).unwrap();
            public(&dir)
        };
        let lumina = model == SynthModel::TinyLumina;
        let of_lumina = ["<eoss>", "<reserved08799>", "<reserved08801>", "<reserved08816>"];
        let needed = ["<s>", begin, "<reserved08706>"].into_iter().chain(of_lumina.into_iter().filter(|_| lumina));
        for token in needed {
            assert!(vocab.contains_key(token), "{token}");
            refusal(renumbered(token, None), &format!("{token} & lacks"), &format!("no {token}"));
            refusal(renumbered(token, Some(json!("x"))), &format!("{token} & lacks"), &format!("no number of {token}"));
            refusal(renumbered(token, Some(json!(1_u64 << 32))), &format!("{token} & lacks"), "an id of 33 bits");
            refusal(renumbered(token, Some(json!(u32::MAX))), name, &format!("{token} beyond the vocabulary"));
        }
        for (token, id) in [("IMGIMGAZ", None), ("IMGIMGBZ", None), ("IMGIMGBZ", Some(json!(u32::MAX)))] {
            refusal(renumbered(token, id), "codes' ids & code", token);
        }
        refusal(renumbered("IMGIMGAZ", Some(json!(u32::MAX))), "codes' ids & 4294967296", "the first code at the end");
        refusal(renumbered("IMGIMGAAZ", Some(json!(7))), "codes' ids", "a code of two names");
        for text in ["", "[", "7"] {
            std::fs::write(dir.join(name), text).unwrap();
            refusal(public(&dir), name, text);
        }
    }
}

#[test]
fn every_field_of_a_vqgan_yaml_that_lies_is_named() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("vqgan.ckpt"), crate::pickles::file()).unwrap();
    let good = json!({"model": {"params": {
        "embed_dim": 8, "n_embed": 64,
        "ddconfig": {"double_z": false, "ch": 32, "ch_mult": [1, 2, 4], "num_res_blocks": 2, "attn_resolutions": [16],
                     "z_channels": 64, "resolution": 64, "out_ch": 3, "norm_num_groups": 8, "attn_type": "vanilla"},
    }}});
    let read = |bytes: &[u8]| {
        std::fs::write(place.path().join("vqgan.yaml"), bytes).unwrap();
        ModelSource::Dir(place.path().to_owned()).vq().map(drop)
    };
    let at = |key: &str| match key {
        "embed_dim" | "n_embed" => format!("/model/params/{key}"),
        key => format!("/model/params/ddconfig/{key}"),
    };
    let rows: Vec<(String, Value, &str)> = VQ_ROWS
        .into_iter()
        .map(|(key, lie, words)| (at(key), lie(), words))
        .chain([
            (at("double_z"), json!(true), "double_z"),
            (at("double_z"), json!("false"), "double_z"),
            (at("attn_resolutions"), json!(16), "attn_resolutions"),
            (at("out_ch"), json!(1), "out_ch"),
            (at("norm_num_groups"), json!(7), "norm_num_groups"),
            (at("attn_type"), json!("linear"), "attn_type & linear"),
            (at(""), json!(7), "vqgan.yaml"),
        ])
        .filter(|(pointer, ..)| !pointer.ends_with('/'))
        .collect();
    let rows: Vec<(&str, Value, &str)> =
        rows.iter().map(|(at, lie, words)| (at.as_str(), lie.clone(), *words)).collect();
    lies(&good, &read, &rows);
    for (yaml, words) in [
        ("", "ddconfig"),
        ("7", "ddconfig"),
        ("model: {params: {ddconfig: 7}}", "ddconfig"),
        ("model: [", "YAML"),
        (&format!("a: {}", "x".repeat(1 << 16)), "too long"),
        (&"[".repeat(60_000), "YAML"),
    ] {
        refusal(read(yaml.as_bytes()), &format!("vqgan.yaml & {words}"), yaml.get(..20).unwrap_or(yaml));
    }
}
