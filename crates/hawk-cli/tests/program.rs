//! The program from outside: what it writes, and what it refuses with which exit code.
#![allow(clippy::unwrap_used)]

#[path = "common/place.rs"]
mod place;

use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use hawk_kernels::Isa;
use place::Place;
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/built-in");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-nn/tests/golden/chameleon");
const CLASSES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-nn/tests/golden/llamagen-c2i");

impl Place {
    fn hawk(&self, args: &[&str]) -> Assert {
        self.command().args(args).assert()
    }

    fn text(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Refused with this exit code and these words, and nothing new on disk.
    #[track_caller]
    fn refuses(&self, args: &[&str], code: i32, words: &str) {
        let before = self.names();
        let output = self.hawk(args).code(code).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(words) && !message.contains("panicked"), "{args:?}: {message}");
        assert_eq!(self.names(), before, "{args:?}");
    }
}

#[test]
fn every_instruction_set_draws_the_same_image() {
    let place = Place::new();
    let here: Vec<&str> = [("neon", Isa::Neon), ("avx2", Isa::Avx2), ("avx512", Isa::Avx512)]
        .into_iter()
        .filter(|(_, isa)| isa.is_here())
        .map(|x| x.0)
        .collect();
    for precision in ["bf16", "int8"] {
        let draw = |isa: Option<&str>, out: &str| {
            let mut command = place.command();
            command.current_dir(&place.0).args([
                "generate",
                "owl, fluent flat style",
                "--seed",
                "5",
                "--precision",
                precision,
            ]);
            command.args(["--out", out, "--tokens-out", "t.json"]);
            isa.map(|isa| command.env("HAWK_ISA", isa));
            command.assert().success();
            place.json("t.json")["images"][0]["codes"].clone()
        };
        let own = draw(None, "own.png");
        for isa in &here {
            assert_eq!(draw(Some(isa), &format!("{isa}.png")), own, "{isa} {precision}");
        }
    }
    // The portable one is slow: it draws with a tiny model.
    for precision in ["f32", "bf16", "int8"] {
        for decoder in ["ar", "neighbour"] {
            let draw = |isa: &str| {
                let mut command = place.command();
                command.current_dir(&place.0).args(["generate", "--class", "7", "--seed", "5", "--model", CLASSES]);
                command.args([
                    "--precision",
                    precision,
                    "--decoder",
                    decoder,
                    "--out",
                    "c.png",
                    "--tokens-out",
                    "t.json",
                ]);
                command.env("HAWK_ISA", isa).assert().success();
                place.json("t.json")["images"][0]["codes"].clone()
            };
            let portable = draw("scalar");
            for isa in &here {
                assert_eq!(draw(isa), portable, "{isa} {precision} {decoder}");
            }
        }
    }
    let unset = Command::cargo_bin("hawk").unwrap().env("HAWK_ISA", "").args(["inspect", MODEL]).assert();
    unset.success();
    let wrong = Command::cargo_bin("hawk").unwrap().env("HAWK_ISA", "mmx").args(["inspect", MODEL]).assert().code(2);
    let message = String::from_utf8(wrong.get_output().stderr.clone()).unwrap();
    assert!(message.contains("HAWK_ISA") && message.contains("scalar"), "{message}");
}

#[test]
fn generate_writes_images_tokens_and_statistics() {
    let place = Place::new();
    place.text("captions.txt", "red apple, fluent 3d style\n\n  octopus\n");
    place
        .hawk(&[
            "generate",
            "--prompts",
            "captions.txt",
            "--n",
            "2",
            "--seed",
            "3",
            "--out",
            "sheet",
            "--tokens-out",
            "t.json",
            "--stats",
            "s.json",
            "--decoder",
            "neighbour",
            "--tree",
            "4",
        ])
        .success();
    let (tokens, stats) = (place.json("t.json"), place.json("s.json"));
    assert_eq!(std::fs::read_dir(place.path("sheet")).unwrap().count(), 4);
    let images = tokens["images"].as_array().unwrap();
    assert_eq!((images.len(), stats["images"].as_array().unwrap().len()), (4, 4));
    assert_eq!(tokens["settings"]["decoder"], "neighbour");
    assert_eq!(tokens["settings"]["cfg"], 2.0);
    for image in images {
        assert_eq!(image["codes"].as_array().unwrap().len(), 256);
        assert_eq!(image["tokens"].as_array().unwrap().len(), 256 + 16 + 1);
        assert_eq!(image["uncond_prefix"].as_array().unwrap().len(), 3);
    }
    for image in stats["images"].as_array().unwrap() {
        assert!(image["target_passes"].as_u64().unwrap() < 256 && image["sources"].as_array().unwrap().len() > 1);
    }
    // The codes of the report are the pixels of the files.
    place.hawk(&["decode", "--codes", "t.json", "--out", "again.png"]).success();
    assert!(["again-0.png", "again-3.png"].iter().all(|name| place.path(name).is_file()));
}

#[test]
fn again_makes_the_image_again_and_sees_a_changed_pixel() {
    let place = Place::new();
    place.hawk(&["generate", "Äpfel 🍎", "--seed", "11", "--out", "a.png", "--precision", "int8"]).success();
    for more in [&["again", "a.png"][..], &["again", "a.png", "--decoder", "ar", "--threads", "1", "--out", "b.png"]] {
        let output = place.hawk(more).success().get_output().stdout.clone();
        assert!(String::from_utf8(output).unwrap().starts_with("identical: all 16384 pixels"));
    }
    let (mut image, record) = hawk::read_png(&std::fs::read(place.path("b.png")).unwrap()).unwrap();
    assert_eq!((record.decoder.as_str(), record.prompt.as_str(), record.seed), ("ar", "Äpfel 🍎", 11));
    image.pixels[100] ^= 1;
    place.text("c.png", hawk::write_png(&image, &record).unwrap());
    let output = place.hawk(&["again", "c.png"]).code(1).get_output().stdout.clone();
    assert!(String::from_utf8(output).unwrap().contains("1 of 16384"));
    // Of an image of another device, pixels may differ: both devices are named.
    let elsewhere = hawk::Record { device: "vulkan Radeon".to_owned(), ..record.clone() };
    place.text("c.png", hawk::write_png(&image, &elsewhere).unwrap());
    let output = place.hawk(&["again", "c.png", "--device", "cpu"]).code(1).get_output().stdout.clone();
    let output = String::from_utf8(output).unwrap();
    assert!(output.contains("drawn on vulkan Radeon, this one on cpu"), "{output}");
    let other = hawk::Record { model_digest: "0".repeat(64), ..record };
    place.text("d.png", hawk::write_png(&image, &other).unwrap());
    place.refuses(&["again", "d.png"], 2, "another model");
    place.text("e.png", b"\x89PNG");
    place.refuses(&["again", "e.png"], 2, "e.png");
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
#[test]
fn a_program_without_gpus_says_how_to_build_one_with_them() {
    let place = Place::new();
    for (device, feature) in [("vulkan", "`wgpu`"), ("metal:1", "`wgpu`"), ("cuda", "`cuda`")] {
        place.refuses(&["generate", "key", "--device", device], 2, feature);
    }
    place.refuses(&["generate", "key", "--device", "gpu"], 2, "auto, cpu, cuda, vulkan or metal");
    place.hawk(&["generate", "key", "--device", "cpu", "--seed", "1", "--out", "a.png"]).success();
}

#[test]
fn a_folder_and_the_program_hold_the_same_model() {
    let place = Place::new();
    place.hawk(&["generate", "key", "--seed", "1", "--out", "a.png"]).success();
    place.hawk(&["generate", "key", "--seed", "1", "--out", "b.png", "--model", MODEL]).success();
    let [(a, built_in), (b, folder)] =
        ["a.png", "b.png"].map(|name| hawk::read_png(&std::fs::read(place.path(name)).unwrap()).unwrap());
    assert_eq!((a, built_in.model_digest), (b, folder.model_digest));
    assert_ne!(built_in.model, folder.model);
}

#[test]
fn logits_and_decode_match_the_golden_files() {
    let place = Place::new();
    let golden = std::fs::read(Path::new(GOLDEN).join("golden.safetensors")).unwrap();
    let golden = safetensors::SafeTensors::deserialize(&golden).unwrap();
    let ids = golden.tensor("input_ids").unwrap();
    let ids: Vec<i64> = ids.data().as_chunks().0.iter().map(|id| i64::from_le_bytes(*id)).collect();
    place.text("t.json", serde_json::json!({ "tokens": ids }).to_string());
    place.hawk(&["logits", "--model", GOLDEN, "--tokens", "t.json", "--out", "l.safetensors"]).success();
    let written = std::fs::read(place.path("l.safetensors")).unwrap();
    let written = safetensors::SafeTensors::deserialize(&written).unwrap();
    let [got, want] = [&written, &golden].map(|file| {
        let tensor = file.tensor("logits").unwrap();
        let numbers: Vec<f32> = tensor.data().as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        (tensor.shape().to_vec(), numbers)
    });
    assert_eq!(got.0, want.0);
    assert!(got.1.iter().zip(&want.1).all(|(a, b)| (a - b).abs() < 2e-4));

    let golden = std::fs::read(Path::new(MODEL).join("golden.safetensors")).unwrap();
    let golden = safetensors::SafeTensors::deserialize(&golden).unwrap();
    let codes = golden.tensor("codes").unwrap();
    let codes: Vec<i64> = codes.data().as_chunks().0.iter().map(|code| i64::from_le_bytes(*code)).collect();
    place.text("c.json", serde_json::json!({ "codes": codes }).to_string());
    place.hawk(&["decode", "--codes", "c.json", "--out", "c.png"]).success();
    let reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(place.path("c.png")).unwrap()));
    let mut reader = reader.read_info().unwrap();
    let mut pixels = vec![0; 128 * 128 * 3];
    reader.next_frame(&mut pixels).unwrap();
    let want = golden.tensor("pixels").unwrap();
    assert!(pixels.iter().zip(want.data()).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn inspect_names_what_is_missing() {
    let place = Place::new();
    let output = |args: &[&str]| String::from_utf8(place.hawk(args).success().get_output().stdout.clone()).unwrap();
    let built_in = output(&["inspect"]);
    assert!(built_in.contains("16 x 16 cells") && built_in.contains("faults     none"), "{built_in}");
    std::fs::create_dir(place.path("m")).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(Path::new(GOLDEN).join(name), place.path("m").join(name)).unwrap();
    }
    let config = std::fs::read_to_string(place.path("m/config.json")).unwrap();
    place.text("m/config.json", config.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4"));
    let found = output(&["inspect", "m"]);
    assert!(found.contains("model.layers.3.mlp.up_proj.weight [144, 64] is missing"), "{found}");
    place.hawk(&["generate", "x", "--seed", "1", "--out", "x.png"]).success();
    assert!(output(&["inspect", "x.png"]).contains("\"seed\": 1"));
}

#[test]
fn inspect_shows_where_cells_came_from() {
    let place = Place::new();
    place.hawk(&["generate", "x", "--seed", "1", "--decoder", "neighbour", "--out", "x.png"]).success();
    let output = place.hawk(&["inspect", "x.png", "--overlay", "o.png"]).success().get_output().stdout.clone();
    let output = String::from_utf8(output).unwrap();
    let cells = |line: &str| line.split_whitespace().nth(1).and_then(|cells| cells.parse::<usize>().ok());
    let shares: Vec<&str> = output.lines().filter(|line| line.contains(" cells ")).collect();
    assert_eq!(shares.iter().filter_map(|line| cells(line)).sum::<usize>(), 256, "{output}");
    for words in [["recovered", "grey"], ["left", "amber"], ["above", "violet"]] {
        assert!(shares.iter().any(|line| words.iter().all(|word| line.contains(word))), "{output}");
    }
    let file = std::io::BufReader::new(std::fs::File::open(place.path("o.png")).unwrap());
    let size = png::Decoder::new(file).read_info().unwrap().info().size();
    assert_eq!(size, (2 * 384 + 36, 384 + 36 + 16));
    let (image, record) = hawk::read_png(&std::fs::read(place.path("x.png")).unwrap()).unwrap();
    let old = hawk::Record { sources: Vec::new(), ..record };
    place.text("old.png", hawk::write_png(&image, &old).unwrap());
    place.hawk(&["inspect", "old.png"]).success();
    place.refuses(&["inspect", "old.png", "--overlay", "p.png"], 2, "older version");
    place.refuses(&["inspect", MODEL, "--overlay", "p.png"], 2, "--overlay needs an image");
}

#[test]
fn bench_decoders_writes_figures_and_a_page() {
    let place = Place::new();
    place.text("captions.txt", "red apple\n");
    let contest = ["--prompts", "captions.txt", "--images", "1", "--decoder", "neighbour", "--budget", "2,auto"];
    let files = ["--json", "b.json", "--html", "b.html"];
    let table = place.hawk(&[&["bench", "decoders"][..], &contest, &files].concat()).success().get_output().clone();
    assert!(String::from_utf8(table.stdout).unwrap().contains("speed-up"));
    assert!(String::from_utf8(table.stderr).unwrap().contains("neighbour is not autotuned under the rule rejection"));
    let rows = place.json("b.json")["rows"].as_array().unwrap().clone();
    let ids: Vec<String> =
        rows.iter().map(|row| format!("{} {} {}", row["rule"], row["decoder"], row["budget"])).collect();
    let want = [
        "\"replay\" \"ar\" 1",
        "\"rejection\" \"ar\" 1",
        "\"replay\" \"neighbour\" 2",
        "\"replay\" \"neighbour\" \"auto\"",
        "\"rejection\" \"neighbour\" 2",
    ];
    assert_eq!(ids, want);
    assert!(rows.iter().all(|row| row["speedup"].as_f64().unwrap() > 0.0 && row["precision"] == "bf16"));
    let page = std::fs::read_to_string(place.path("b.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("red apple") && page.ends_with("</html>\n"));
    projections_of(&place, "b.json");
}

/// Projections of a report.
fn projections_of(place: &Place, report: &str) {
    let run = |more: &[&str]| {
        let out = place.hawk(&[&["bench", "project", report][..], more].concat()).success().get_output().clone();
        String::from_utf8(out.stdout).unwrap()
    };
    let lumina = run(&["--shape", "lumina-mgpt-7b", "--device", "h100,rtx-3090", "--json", "p.json"]);
    assert!(lumina.starts_with("PROJECTION") && lumina.contains("6.51 billion weights"), "{lumina}");
    let projected = place.json("p.json");
    let devices = projected["devices"].as_array().unwrap();
    let names: Vec<_> = devices.iter().map(|device| device["device"].as_str().unwrap()).collect();
    assert_eq!(names, ["h100", "rtx-3090"]);
    for device in devices {
        // Rows with a fixed number of nodes; on a GPU a second node costs a 7B next to nothing.
        let rows = device["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 4);
        for row in rows {
            let (tokens, speedup) = (row["tokens_per_pass"].as_f64().unwrap(), row["speedup"].as_f64().unwrap());
            assert!((0.99..=1.0).contains(&(speedup / tokens)), "{row}");
        }
    }
    let here = run(&["--device", "here"]);
    assert!(here.contains("recorded ms") && here.contains(hawk::BUILT_IN), "{here}");
    place.refuses(&["bench", "project", "p.json"], 2, "hawk bench decoders --json");
    place.refuses(&["bench", "project", report, "--json", report], 2, "the same file");
    place.refuses(&["bench", "project", report, "--device", "abacus"], 2, "rtx-4090");
}

#[test]
fn what_the_tuner_learns_is_kept_in_the_cache_folder_and_may_be_damaged() {
    let place = Place::new();
    let draw = |cache: &Path| {
        let mut command = place.command();
        let args = ["generate", "red apple", "--seed", "1", "--decoder", "hawk", "--out", "a.png", "--stats", "s.json"];
        command.env("XDG_CACHE_HOME", cache).args(args).assert().success();
        std::fs::read(place.path("a.png")).unwrap();
        place.json("s.json")["tuned"][0].clone()
    };
    let tuned = draw(&place.path("cache"));
    assert_eq!(tuned["images"], 1);
    assert!(tuned["trial_passes"].as_u64() > Some(24), "{tuned}");
    let file = place.path("cache/hawk/tuner.json");
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"decoder\":\"hawk\""));
    for damage in ["", "{\"tuners\": 7}", "{\"tuners\": [", "\0"] {
        std::fs::write(&file, damage).unwrap();
        draw(&place.path("cache"));
        assert!(std::fs::read_to_string(&file).unwrap().contains("tuners"), "written anew");
    }
    // No folder can be made there.
    draw(&place.path("a.png"));
}

#[test]
fn bad_input_is_refused_and_nothing_is_written() {
    let place = Place::new();
    place.text("empty.txt", "\n \n");
    place.text("latin1.txt", [0xff, 0xfe]);
    place.text("t.json", r#"{"tokens": [5, 99999]}"#);
    place.text("none.json", r#"{"tokens": []}"#);
    place.text("c.json", r#"{"codes": [1, 2, 3]}"#);
    place.text("broken.json", "{");
    place.text("negative.json", r#"{"tokens": [5, -1]}"#);
    place.text("text.json", r#"{"tokens": "5"}"#);
    place.text("huge.json", r#"{"tokens": [18446744073709551615]}"#);
    place.text("both.json", r#"{"codes": [1], "images": []}"#);
    place.text("images.json", r#"{"images": [{"codes": [1]}, {"codes": ["x"]}]}"#);
    place.text("empty.json", r#"{"images": []}"#);
    place.text("beyond.json", serde_json::json!({ "codes": vec![u32::MAX; 256] }).to_string());
    let long = "red apple ".repeat(5_000);
    for (args, words) in [
        (&["generate"][..], "nothing to draw"),
        (&["generate", "--prompts", "empty.txt"], "nothing to draw"),
        (&["generate", "--prompts", "latin1.txt"], "UTF-8"),
        (&["generate", "--prompts", "nowhere.txt"], "nowhere.txt"),
        (&["generate", &long, "--out", "x.png"], "prompt is too long"),
        (&["generate", "x", "--temperature", "-1"], "temperature"),
        (&["generate", "x", "--temperature", "0", "--top-p", "0.5"], "greedy"),
        (&["generate", "x", "--temperature", "0", "--top-p", "2"], "top_p"),
        (&["generate", "--class", "3"], "--class"),
        (&["generate", "x", "--out", "x.jpg"], ".png"),
        (&["generate", "x", "--out", "-"], "--out"),
        (&["generate", "x", "--stats", ""], "--stats"),
        (&["generate", "x", "--stats", "s.png"], "--stats"),
        (&["generate", "x", "--size", "64x64"], "expected 128x128, got 64x64"),
        (&["bench", "step", "--effort-ms", "0"], "--effort-ms"),
        (&["again", "x.png", "--out", "x.jpg"], "x.png"),
        (&["generate", "x", "--temperature", "nan"], "temperature"),
        (&["generate", "x", "--cfg", "inf"], "cfg"),
        (&["generate", "x", "--top-p", "0"], "top_p"),
        (&["generate", "x", "--top-k=-3"], "--top-k"),
        (&["generate", "x", "--n", "0"], "--n"),
        (&["generate", "x", "--batch", "0"], "batch"),
        (&["generate", "x", "--tree", "0"], "tree"),
        (&["generate", "x", "--tree", "999"], "999"),
        (&["generate", "x", "--tree", "9x9x9"], "9x9x9"),
        (&["generate", "x", "--heads", "nowhere"], "nowhere"),
        (&["generate", "x", "--decoder", "ar", "--tree", "4"], "decoder ar"),
        (&["generate", "x", "--decoder", "oracle"], "oracle"),
        (&["generate", "x", "--model", "nowhere"], "nowhere"),
        (&["generate", "x", "--model", GOLDEN], "hawk.json"),
        (&["generate", "x", "--out", "no/where/x.png"], "no/where"),
        (&["generate", "x", "--tokens-out", "no/t.json"], "no"),
        (&["logits", "--tokens", "t.json", "--out", "l"], "vocabulary"),
        (&["logits", "--tokens", "none.json", "--out", "l"], "no tokens"),
        (&["logits", "--tokens", "broken.json", "--out", "l"], "broken.json"),
        (&["logits", "--tokens", "c.json", "--out", "l"], "tokens"),
        (&["logits", "--tokens", "negative.json", "--out", "l"], "tokens[1]"),
        (&["logits", "--tokens", "text.json", "--out", "l"], "tokens"),
        (&["logits", "--tokens", "huge.json", "--out", "l"], "tokens[0]"),
        (&["decode", "--codes", "both.json", "--out", "x.png"], "one image and several"),
        (&["decode", "--codes", "images.json", "--out", "x.png"], "images[1].codes[0]"),
        (&["decode", "--codes", "empty.json", "--out", "x.png"], "images"),
        (&["decode", "--codes", "beyond.json", "--out", "x.png"], "beyond.json"),
        (&["decode", "--codes", "c.json", "--out", "x.png"], "256 codes"),
        (&["decode", "--codes", "t.json", "--out", "x.png"], "t.json"),
        (&["inspect", "nowhere"], "nowhere"),
        (&["bench", "decoders", "--prompts", "empty.txt"], "nothing to draw"),
        (&["bench", "decoders", "--budget", "0"], "tree"),
        (&["bench", "decoders", "--images", "0"], "--images"),
        (&["bench", "decoders", "--html", "no/where.html"], "no"),
        (&["again", "t.json"], "PNG"),
    ] {
        place.refuses(args, 2, words);
    }
}

/// Copies the built-in model and cuts or changes one file.
fn damaged(place: &Place, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    std::fs::create_dir_all(place.path("m/vq")).unwrap();
    for file in
        ["config.json", "hawk.json", "tokenizer.json", "model.safetensors", "vq/config.json", "vq/model.safetensors"]
    {
        let bytes = std::fs::read(Path::new(MODEL).join(file)).unwrap();
        std::fs::write(place.path("m").join(file), if file == name { change(bytes) } else { bytes }).unwrap();
    }
}

#[test]
fn damaged_models_are_refused_by_file() {
    let place = Place::new();
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    for name in
        ["config.json", "hawk.json", "tokenizer.json", "model.safetensors", "vq/config.json", "vq/model.safetensors"]
    {
        damaged(&place, name, half);
        place.refuses(&["generate", "x", "--model", "m", "--out", "x.png"], 2, name);
    }
    damaged(&place, "model.safetensors", |mut bytes| {
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes
    });
    place.refuses(&["generate", "x", "--model", "m", "--out", "x.png"], 2, "model.safetensors");
}

#[cfg(feature = "train")]
#[test]
fn data_says_what_to_do_without_a_network_and_refuses_another_package() {
    let place = Place::new();
    let args = ["data", "emoji", "--out", "set", "--cache", "packages", "--registry", "http://127.0.0.1:1"];
    let stderr = String::from_utf8(place.hawk(&args).code(3).get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("npm pack @lobehub/fluent-emoji-3d@1.1.0"), "{stderr}");
    std::fs::create_dir_all(place.path("packages")).unwrap();
    place.text("packages/lobehub-fluent-emoji-3d-1.1.0.tgz", "another");
    let stderr = String::from_utf8(place.hawk(&args).code(2).get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("expected 15792027 bytes, got 7"), "{stderr}");
    let other = [&args[..], &["--scenes", "7"]].concat();
    let stderr = String::from_utf8(place.hawk(&other).code(2).get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("other settings"), "{stderr}");
}
