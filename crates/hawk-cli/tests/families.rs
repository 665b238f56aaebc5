//! The program on folders of other families than the built-in model's.
#![allow(clippy::unwrap_used)]

#[path = "common/place.rs"]
mod place;

#[path = "../../hawk-files/tests/common/torch.rs"]
mod torch;

use std::path::Path;

use assert_cmd::assert::Assert;
use place::Place;
use safetensors::SafeTensors;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-nn/tests/golden");

fn golden(name: &str) -> String {
    format!("{GOLDEN}/{name}")
}

impl Place {
    fn hawk(&self, args: &[&str]) -> Assert {
        self.command().args(args).assert()
    }

    fn says(&self, args: &[&str]) -> String {
        String::from_utf8(self.hawk(args).success().get_output().stdout.clone()).unwrap()
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], words: &str) {
        let output = self.hawk(args).code(2).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(words) && !message.contains("panicked"), "{args:?}: {message}");
    }

    /// A LlamaGen of captions with the VQ tokenizer of the other.
    fn t2i(&self) -> String {
        std::fs::create_dir_all(self.path("t2i/vq")).unwrap();
        for (from, to) in [("llamagen-t2i", "t2i"), ("llamagen-c2i/vq", "t2i/vq")] {
            for entry in std::fs::read_dir(golden(from)).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), self.path(to).join(entry.file_name())).unwrap();
            }
        }
        self.path("t2i").display().to_string()
    }
}

fn read(path: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data().as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
}

fn ids(path: &Path, name: &str) -> Vec<i64> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensor(name).unwrap().data().as_chunks().0.iter().map(|id| i64::from_le_bytes(*id)).collect()
}

#[test]
fn logits_and_pixels_of_a_janus_are_those_of_transformers() {
    let (place, dir) = (Place::new(), golden("janus"));
    let file = Path::new(&dir).join("golden.safetensors");
    let (words, codes) = (ids(&file, "input_ids"), ids(&file, "codes"));
    // Codes have the ids behind the 160 of the text.
    let tokens: Vec<i64> = words.iter().copied().chain(codes.iter().map(|code| 160 + code)).collect();
    std::fs::write(place.path("t.json"), serde_json::json!({ "tokens": tokens }).to_string()).unwrap();
    std::fs::write(place.path("c.json"), serde_json::json!({ "codes": codes }).to_string()).unwrap();
    place.hawk(&["logits", "--model", &dir, "--tokens", "t.json", "--out", "l.safetensors"]).success();
    let ((shape, got), (_, want)) = (read(&place.path("l.safetensors"), "logits"), read(&file, "logits"));
    assert_eq!(shape, [1, 24, 96]);
    let got = &got[(words.len() - 1) * 96..][..want.len()];
    assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 2e-4));
    place.hawk(&["decode", "--model", &dir, "--codes", "c.json", "--out", "c.png"]).success();
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(place.path("c.png")).unwrap()));
    let (mut reader, mut pixels) = (decoder.read_info().unwrap(), vec![0; 16 * 16 * 3]);
    reader.next_frame(&mut pixels).unwrap();
    let (_, want) = read(&file, "pixels");
    let level = |x: &f32| ((x.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0) as u8;
    assert!(pixels.iter().zip(&want).all(|(a, b)| a.abs_diff(level(b)) <= 1));
    let found = place.says(&["inspect", &dir]);
    // What understands images is not among the test's files, and the encoder draws nothing.
    assert!(found.contains("family     Janus") && found.contains("faults     none"), "{found}");
    place.refuses(&["generate", "a dog", "--model", &dir], "tokenizer.json");
}

#[test]
fn classes_are_drawn_and_made_again() {
    let (place, dir) = (Place::new(), golden("llamagen-c2i"));
    let found = place.says(&["inspect", &dir]);
    for words in ["family     LlamaGen", "6 x 6 cells", "faults     none", "unused     none", "cfg 4"] {
        assert!(found.contains(words), "{found}");
    }
    let draw = ["generate", "--model", &dir, "--class", "7", "--class", "3", "--seed", "1"];
    for (decoder, folder) in [("ar", "plain"), ("neighbour", "guessed")] {
        place.hawk(&[&draw[..], &["--decoder", decoder, "--out", folder, "--tokens-out", "t.json"]].concat()).success();
    }
    let pictures = |folder: &str| {
        let mut files: Vec<_> =
            std::fs::read_dir(place.path(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| hawk::read_png(&std::fs::read(file).unwrap()).unwrap().0).collect::<Vec<_>>()
    };
    assert_eq!((pictures("plain").len(), pictures("plain")), (2, pictures("guessed")));
    let tokens: serde_json::Value = serde_json::from_slice(&std::fs::read(place.path("t.json")).unwrap()).unwrap();
    assert_eq!(
        (&tokens["images"][0]["cond_prefix"][0], &tokens["images"][0]["uncond_prefix"][0]),
        (&103.into(), &106.into())
    );
    place.hawk(&["generate", "7", "--model", &dir, "--seed", "1", "--out", "a.png"]).success();
    assert!(place.says(&["again", "a.png", "--decoder", "neighbour"]).starts_with("identical"));
    place.hawk(&["decode", "--model", &dir, "--codes", "t.json", "--out", "d.png"]).success();
    place.refuses(&["generate", "--class", "10", "--model", &dir], "0 to 9");
    place.refuses(&["generate", "a dog", "--model", &dir], "draws classes");
    place.refuses(&["generate", "--class", "7", "--decoder", "hawk", "--model", &dir], "draft heads");
    let features = golden("llamagen-t2i/features.safetensors");
    place.refuses(&["generate", "--class", "7", "--model", &dir, "--features", &features], "reads no features");
}

#[test]
fn captions_are_drawn_from_their_features() {
    let place = Place::new();
    let (dir, features) = (place.t2i(), golden("llamagen-t2i/features.safetensors"));
    let draw = ["generate", "--model", &dir, "--seed", "4", "--out", "a.png"];
    place.hawk(&[&draw[..], &["--features", &features]].concat()).success();
    let (_, record) = hawk::read_png(&std::fs::read(place.path("a.png")).unwrap()).unwrap();
    assert_eq!((record.prompt.as_str(), record.features_digest.len()), ("features", 64));
    assert!(place.says(&["again", "a.png", "--features", &features]).starts_with("identical"));
    place.refuses(&["again", "a.png"], "other features");
    place.refuses(&[&draw[..], &["a dog"]].concat(), "--features");
    place.refuses(&[&draw[..], &["a dog", "a cat", "--features", &features]].concat(), "one caption");
    place.refuses(&[&draw[..], &["--features", "nowhere"]].concat(), "nowhere");
    place.refuses(&[&draw[..], &["--features", &format!("{dir}/model.safetensors")]].concat(), "features");
    let codes = ids(&Path::new(&dir).join("golden.safetensors"), "codes");
    std::fs::write(place.path("t.json"), serde_json::json!({ "tokens": codes[..24] }).to_string()).unwrap();
    let logits = ["logits", "--model", &dir, "--tokens", "t.json", "--out", "l.safetensors", "--features", &features];
    place.hawk(&logits).success();
    let (shape, got) = read(&place.path("l.safetensors"), "logits");
    let (_, want) = read(&Path::new(&dir).join("golden.safetensors"), "logits");
    assert_eq!(shape, [1, 31, 96]);
    assert!(got[6 * 96..].iter().zip(&want).all(|(a, b)| (a - b).abs() < 2e-4));
}

/// The tensors of a golden folder as a file of PyTorch.
fn pt(dir: &str) -> Vec<u8> {
    let mut tensors = Vec::new();
    for file in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("model") && name.ends_with(".safetensors") {
            let bytes = std::fs::read(file).unwrap();
            for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
                let storage = if view.dtype() == safetensors::Dtype::F32 { "Float" } else { "Half" };
                tensors.push(torch::Saved::new(name, storage, view.shape(), view.data().to_vec()));
            }
        }
    }
    torch::save(&tensors, Some("model"), &[])
}

#[test]
fn published_files_are_converted_and_drawn_with() {
    let place = Place::new();
    std::fs::write(place.path("c2i_tiny.pt"), pt(&golden("llamagen-c2i"))).unwrap();
    std::fs::write(place.path("vq_tiny.pt"), pt(&golden("llamagen-c2i/vq"))).unwrap();
    let convert = ["convert", "c2i_tiny.pt", "--vq", "vq_tiny.pt", "--size", "12x12", "--n-head", "4", "--out"];
    let draw = |model: &str, out: &str| {
        place.hawk(&["generate", "--class", "7", "--seed", "3", "--model", model, "--out", out]).success();
        hawk::read_png(&std::fs::read(place.path(out)).unwrap()).unwrap().0
    };
    let said = place.says(&[&convert[..], &["plain"]].concat());
    assert!(said.contains("LlamaGen"), "{said}");
    assert_eq!(draw("plain", "a.png"), draw(&golden("llamagen-c2i"), "b.png"));
    place.hawk(&[&convert[..], &["packed", "--precision", "int8"]].concat()).success();
    draw("packed", "c.png");
    let found = place.says(&["inspect", "packed"]);
    assert!(found.contains("family     LlamaGen") && found.contains("faults     none"), "{found}");
    place.refuses(&["convert", "c2i_tiny.pt", "--out", "x"], "vq_ds16_c2i.pt");
    place.refuses(&["convert", "c2i_tiny.pt", "--vq", "vq_tiny.pt", "--n-head", "4", "--out", "x"], "--size");
    place.refuses(&["convert", "vq_tiny.pt", "--size", "12x12", "--out", "x"], "no --vq");
}

#[cfg(feature = "t5")]
#[test]
fn words_are_drawn_through_a_text_encoder() {
    let (place, t5) = (Place::new(), concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-t5/tests/golden"));
    let dir = place.t2i();
    let said = place.says(&["features", "A <b>red</b> House", "--t5", t5, "--out", "f.safetensors"]);
    assert!(said.contains("[4, 24]") && said.contains("\"a red house\""), "{said}");
    let (shape, got) = read(&place.path("f.safetensors"), "features");
    assert_eq!((shape, got.len()), (vec![4, 24], 96));
    let raw =
        ["features", "A Red House", "--t5", t5, "--t5-precision", "f32", "--cleaning", "none", "--t5-tokens", "3"];
    let said = place.says(&[&raw[..], &["--out", "raw.safetensors"]].concat());
    assert!(said.contains("[3, 24]") && said.contains("\"A Red House\""), "{said}");
    // In one go or in two, the same pixels; each prompt has its own.
    let draw = ["generate", "--model", &dir, "--seed", "4"];
    place.hawk(&[&draw[..], &["--features", "f.safetensors", "--out", "two.png"]].concat()).success();
    place.hawk(&[&draw[..], &["a red house", "blue", "--t5", t5, "--out", "one.png"]].concat()).success();
    let image = |name: &str| hawk::read_png(&std::fs::read(place.path(name)).unwrap()).unwrap();
    assert_eq!(image("one-0.png").0, image("two.png").0);
    assert_ne!(image("one-1.png").0, image("two.png").0);
    assert_eq!(image("one-0.png").1.features_digest, image("two.png").1.features_digest);
    assert!(place.says(&["again", "one-1.png", "--t5", t5]).starts_with("identical"));
    place.refuses(&["again", "one-1.png", "--t5", t5, "--t5-precision", "f32"], "other features");
    place.refuses(&[&draw[..], &["blue"]].concat(), "--t5 DIR");
    place.refuses(&[&draw[..], &["blue", "--t5", &dir]].concat(), "config of a T5");
    place.refuses(&[&draw[..], &["blue", "--t5", t5, "--features", "f.safetensors"]].concat(), "cannot be used with");
    place.refuses(&["generate", "blue", "--t5", t5, "--model", &golden("llamagen-c2i")], "reads no features");
    place.refuses(&["features", "blue", "--t5", "nowhere", "--out", "x"], "nowhere");
}
