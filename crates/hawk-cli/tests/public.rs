//! Public models as folders, from their files to images: grammar, sizes, decoders, precisions, with tiny random ones.
#![allow(clippy::unwrap_used)]

#[path = "common/place.rs"]
mod place;

use assert_cmd::assert::Assert;
use place::Place;
use serde_json::Value;

impl Place {
    /// Arguments are words.
    fn hawk(&self, args: &str) -> Assert {
        self.command().args(args.split(' ')).assert()
    }

    #[track_caller]
    fn prints(&self, args: &str, words: &[&str]) {
        let text = String::from_utf8(self.hawk(args).success().get_output().stdout.clone()).unwrap();
        assert!(words.iter().all(|words| text.contains(words)), "{args}: {text}");
    }

    #[track_caller]
    fn refuses(&self, args: &str, code: i32, words: &[&str]) {
        let text = String::from_utf8(self.hawk(args).code(code).get_output().stderr.clone()).unwrap();
        assert!(words.iter().all(|words| text.contains(words)) && !text.contains("panicked"), "{args}: {text}");
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

fn ids(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
}

#[test]
fn lumina_draws_by_its_grammar_with_every_decoder_and_packed_or_not() {
    let place = Place::new();
    place.hawk("synth tiny-lumina-mgpt --out model").success();
    place.hawk("synth heads --model model --out heads").success();
    place.prints(
        "inspect model",
        &["Chameleon", "faults     none", "unused     none", "48 x 48 cells", "Lumina", "VQ unused"],
    );
    place
        .hawk("generate pear --model model --size 1024x256 --seed 5 --decoder ar --tokens-out t.json --out ar.png")
        .success();
    let image = &place.json("t.json")["images"][0];
    // Begin, rows, columns; the prompt's stream has the text before them, closed by the separator.
    assert_eq!(ids(&image["uncond_prefix"]), [69, 328 + 8, 328 + 32]);
    let cond = ids(&image["cond_prefix"]);
    assert!(
        cond[0] == 0
            && cond.ends_with(&[326, 69, 328 + 8, 328 + 32])
            && cond.iter().filter(|id| **id == 0).count() == 1
    );
    let tokens = ids(&image["tokens"]);
    assert_eq!(tokens.len(), 16 * (64 + 1) + 1);
    assert!(tokens.chunks(65).take(16).all(|row| row[64] == 327 && row[..64].iter().all(|id| (4..68).contains(id))));
    assert_eq!(tokens.last(), Some(&68));
    // Heads in the model's folder, so that the same record fits all decoders.
    std::fs::rename(place.path("heads"), place.path("model/heads")).unwrap();
    for decoder in ["neighbour", "sjd", "scd", "soar", "medusa", "hawk-vertical", "hawk-paper", "hawk"] {
        place.prints(&format!("again ar.png --decoder {decoder}"), &["identical"]);
    }
    // A size that the model draws itself.
    place
        .hawk("generate pear --model model --size 512x512 --draw-size --seed 1 --tokens-out d.json --out drawn.png")
        .success();
    let forced = ids(&image["cond_prefix"]);
    let drawn = ids(&place.json("d.json")["images"][0]["cond_prefix"]);
    // A token a byte: the prompt names 512x512, not 1024x256.
    assert_eq!(drawn.len() + 1, forced.len());
    assert!(drawn[drawn.len() - 2..].iter().all(|id| (328..400).contains(id)));
    place.prints("inspect drawn.png", &["asked_size", "512"]);
    place.prints("again drawn.png", &["identical"]);
    place.refuses("generate pear plum --model model --draw-size --out x", 2, &["--draw-size", "one prompt"]);
    place.refuses("generate pear --draw-size --out x.png", 2, &["draws no sizes"]);
    // Packed, with the same tokens as the original in that precision.
    place.prints("convert model --out packed --precision int8", &["Hugging Face", "digest"]);
    place.prints("inspect packed", &["packed     for int8", "faults     none", "unused     none", "48 x 48 cells"]);
    for (model, tokens) in [("model --precision int8", "a.json"), ("packed", "b.json")] {
        place
            .hawk(&format!(
                "generate pear --model {model} --size 256x1024 --seed 6 --tokens-out {tokens} --out {tokens}.png"
            ))
            .success();
    }
    assert_eq!(place.json("a.json")["images"][0]["codes"], place.json("b.json")["images"][0]["codes"]);
    place.refuses(
        "generate pear --model packed --precision bf16 --out x.png",
        2,
        &["packed for another precision", "--precision int8"],
    );
    place.refuses("generate pear --model model --size 700x700 --out x.png", 2, &["768x768", "700x700"]);
    place.refuses("generate pear --size 256x256 --out x.png", 2, &["128x128"]);
    place.refuses("convert model --out packed", 2, &["already"]);
    place.refuses("convert packed --out again", 2, &["packed already"]);
    place.refuses("convert none --out again", 2, &["none"]);
    place.refuses("synth heads --out again", 2, &["--model"]);
    place.refuses("synth janus-pro-2b --out again", 2, &["janus-pro-7b"]);
    place.refuses("synth grown --from packed --out again", 2, &["packed for int8", "without --precision"]);
    place.refuses("synth grown --model model --out again", 2, &["--from"]);
    place.refuses("synth tiny-anole --layers 9 --out again", 2, &["hawk synth grown"]);
    assert!(!place.path("again").exists() && !place.path("x.png").exists());
}

#[test]
fn anole_draws_a_square_without_structure() {
    let place = Place::new();
    place.hawk("synth tiny-anole --out model").success();
    place.hawk("generate pear --model model --seed 5 --decoder ar --tokens-out t.json --out ar.png").success();
    let image = &place.json("t.json")["images"][0];
    assert_eq!(ids(&image["uncond_prefix"]), [0, 69]);
    assert_eq!(ids(&image["cond_prefix"]).len(), 1 + "pear".len() + 2);
    assert_eq!(ids(&image["tokens"]).len(), 1024);
    place.prints("again ar.png --decoder neighbour", &["identical"]);
}

#[test]
fn a_grown_model_draws_what_its_source_draws() {
    let place = Place::new();
    place.prints(
        "synth grown --hidden 448 --layers 9 --inner 1000 --out grown --compare octopus",
        &["billion weights a pass", "octopus: 256 of 256 cells"],
    );
    place.prints("inspect grown", &["faults     none", "unused     none", "16 x 16 cells"]);
    place.hawk("generate octopus --model grown --decoder hawk --tree 4 --seed 3 --out octopus.png").success();
    place.prints("again octopus.png --model grown --decoder ar", &["identical"]);
    place.refuses("synth grown --hidden 400 --out again", 2, &["384, or more in steps of 64", "448"]);
    place.refuses("synth grown --preset 1b --layers 9 --out again", 2, &["--preset"]);
    assert!(!place.path("again").exists());
}
