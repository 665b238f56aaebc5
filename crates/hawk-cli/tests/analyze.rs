//! `hawk analyze` from outside: what it writes and prints, and what it refuses before its work.
#![allow(clippy::unwrap_used)]

#[path = "common/place.rs"]
mod place;

use place::Place;
use serde_json::Value;

impl Place {
    fn says(&self, args: &[&str]) -> String {
        let output = self.command().arg("analyze").args(args).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], words: &str) {
        let output = self.command().arg("analyze").args(args).assert().code(2).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(words) && !message.contains("panicked"), "{args:?}: {message}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn figures_of_a_folder_come_together_on_its_page() {
    let place = Place::new();
    let said = place.says(&["attention", "--images", "1", "--by-head", "--precision", "f32", "--out", "a"]);
    assert!(said.contains("The row above holds") && said.ends_with("report.html\n"), "{said}");
    let said = place.says(&["rejection", "--images", "1", "--precision", "f32", "--out", "a"]);
    assert!(said.contains("Rejected with H1 alone and with H1 and V1"), "{said}");
    assert_eq!(place.names("a/images").len(), 1, "both looked at the same image");
    assert!(place.names("a").iter().all(|name| !name.starts_with('.') && !name.contains(".part.")));
    let attention = place.json("a/attention.json");
    let maps = attention["parts"].as_array().unwrap().iter();
    assert_eq!(maps.filter(|part| part["id"].as_str().unwrap().starts_with("layer-")).count(), 48);
    let page = std::fs::read_to_string(place.path("a/report.html")).unwrap();
    assert!(page.contains("Attention by offset") && page.contains("Rejection of a node"));
    let said = place.says(&["report", "a", "--html", "both.html"]);
    assert!(said.contains("figures 1 and 7") && said.contains("figure 6"), "{said}");
    assert_eq!(std::fs::read_to_string(place.path("both.html")).unwrap(), page);
}

#[test]
fn a_second_run_says_the_same_from_images_that_are_there() {
    let place = Place::new();
    let run = ["divergence", "--images", "1", "--seed", "3", "--out", "d"];
    place.says(&run);
    let first = place.json("d/divergence.json");
    let image = place.path("d/images").join(&place.names("d/images")[0]);
    let drawn = std::fs::metadata(&image).unwrap().modified().unwrap();
    place.says(&run);
    assert_eq!(place.json("d/divergence.json"), first);
    assert_eq!(std::fs::metadata(&image).unwrap().modified().unwrap(), drawn, "the image was drawn again");
    std::fs::write(&image, "{}").unwrap();
    place.refuses(&run, "remove the file; the same command draws the image again");
}

#[test]
fn sheets_show_what_settings_do() {
    let place = Place::new();
    let sheet = ["sampling", "--temperatures", "1", "--top-ks", "1,0", "--cfgs", "3", "--prompt", "cat", "--out", "s"];
    place.says(&sheet);
    let parts = place.json("s/sampling.json")["parts"].as_array().unwrap().clone();
    let ids: Vec<&str> = parts.iter().map(|part| part["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["temperature-top-k-speed", "temperature-top-k-sheet", "guidance-speed", "guidance-sheet"]);
    let pictures = &parts[1]["content"]["rows"][0][1];
    assert_eq!(pictures.as_array().unwrap().len(), 2);
    let tokens = |at: usize| pictures[at]["figures"][0][1].as_f64().unwrap();
    assert!(tokens(0) >= 1.0 && tokens(1) >= 1.0 && pictures[0]["png"] != pictures[1]["png"]);
}

#[cfg(feature = "train")]
#[test]
fn probe_heads_are_trained_once_and_measured() {
    let place = Place::new();
    let run = ["heads", "--images", "1", "--probes", "H1,V1", "--train-images", "3", "--epochs", "1", "--out", "h"];
    let said = place.says(&run);
    assert!(said.contains("probes: V1 has") && said.contains("the model's own: V1 has"), "{said}");
    let figure = place.json("h/heads.json");
    assert!(place.path("h/probes/model.safetensors").exists());
    place.says(&run);
    assert_eq!(place.json("h/heads.json"), figure);
}

#[test]
fn errors_are_named_before_the_work() {
    let place = Place::new();
    place.refuses(&["attention", "--images", "0", "--out", "a"], "at least 1");
    std::fs::write(place.path("none.txt"), "\n\n").unwrap();
    place.refuses(&["rejection", "--prompts", "none.txt", "--out", "a"], "one prompt per line");
    place.refuses(&["rejection", "--prompts", "gone.txt", "--out", "a"], "gone.txt");
    place.refuses(&["divergence", "--heads", "gone", "--out", "a"], "gone");
    place.refuses(&["attention", "--model", "gone", "--out", "a"], "gone");
    place.refuses(&["attention", "--text-model", "gone", "--out", "a"], "gone");
    place.refuses(&["sampling", "--temperatures", "0", "--out", "a"], "temperature");
    place.refuses(&["sampling", "--cfgs", "-1", "--out", "a"], "cfg");
    std::fs::write(place.path("file"), "").unwrap();
    place.refuses(&["attention", "--out", "file"], "file");
    place.refuses(&["attention", "--out", "gone/deep/a"], "gone");
    place.refuses(&["report", "gone"], "no figures");
    // Heads of another model.
    place.command().args(["synth", "tiny-lumina-mgpt", "--out", "other"]).assert().success();
    place.command().args(["synth", "heads", "--model", "other", "--out", "heads"]).assert().success();
    place.refuses(&["rejection", "--heads", "heads", "--out", "a"], "another target");
}
