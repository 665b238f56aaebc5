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

/// Real pictures: the built-in model's own, of other seeds.
fn draw_pictures(place: &Place, folder: &str, images: &str) {
    let draw =
        ["generate", "castle, fluent 3d style", "--seed", "90", "--n", images, "--decoder", "scd", "--tree", "4"];
    place.command().args(draw).args(["--out", &format!("{folder}/")]).assert().success();
}

#[test]
fn the_table_compares_decoders_and_goes_on_from_what_it_has() {
    let place = Place::new();
    draw_pictures(&place, "real", "3");
    let settings = ["--decoder", "scd", "--rule", "replay", "--images", "2", "--pictures", "real", "--out", "t"];
    let said = place.says(&[&["table"][..], &settings].concat());
    for words in ["2 decoders drew the same images, checked byte for byte", "VQ distance", "scd, 4 nodes, replay"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("FID"), "{said}");
    let figure = place.json("t/table.json");
    let settings_of = figure["settings"].to_string();
    assert!(settings_of.contains("it is no FID") && settings_of.contains("covariances are"), "{settings_of}");
    // The same command by its short name finds everything there.
    let output = place.command().arg("eval").args(settings).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
    assert_eq!(place.json("t/table.json"), figure);
    assert!(std::fs::read_to_string(place.path("t/table-decoders.csv")).unwrap().starts_with("decoder,speed-up,"));
    let page = std::fs::read_to_string(place.path("t/report.html")).unwrap();
    assert!(page.contains("Speed and quality of decoders") && page.contains("VQ distance"));
}

#[test]
fn a_table_that_cannot_be_is_refused_before_the_work() {
    let place = Place::new();
    let write = |name: &str, text: &str| std::fs::write(place.path(name), text).unwrap();
    place.refuses(&["table", "--images", "1", "--out", "t"], "at least 2");
    place.refuses(&["table", "--prompts", "gone.json", "--out", "t"], "gone.json");
    write("none.json", r#"{"images": [], "annotations": []}"#);
    place.refuses(&["table", "--prompts", "none.json", "--out", "t"], "no captions");
    write(
        "coco.json",
        r#"{"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "a"}]}"#,
    );
    std::fs::create_dir(place.path("empty")).unwrap();
    place.refuses(
        &["table", "--prompts", "coco.json", "--pictures", "empty", "--out", "t"],
        "captions without pictures",
    );
    place.refuses(&["table", "--pictures", "empty", "--out", "t"], "no pictures");
    place.refuses(&["table", "--decoder", "scd", "--budget", "0", "--out", "t"], "--budget");
    assert!(!place.path("t").exists());
}

#[cfg(feature = "scores")]
#[test]
fn wrong_weights_of_scores_are_refused_before_the_work() {
    let place = Place::new();
    draw_pictures(&place, "real", "2");
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-scores/tests/golden/clip");
    let with = |args: &[&str], words: &str| {
        place.refuses(&[&["table", "--images", "2", "--out", "t"][..], args].concat(), words);
    };
    with(
        &["--pictures", "real", "--inception", &format!("{clip}/model.safetensors")],
        "not the weights of FID's Inception",
    );
    with(&["--pictures", "real", "--inception", "gone.pth"], "gone.pth");
    with(&["--inception", &format!("{clip}/model.safetensors")], "--pictures");
    with(&["--clip", "real"], "config.json");
    // A CLIP score of a small random model, through the program.
    let scored = ["table", "--decoder", "scd", "--rule", "replay", "--images", "2", "--clip", clip, "--out", "c"];
    assert!(place.says(&scored).contains("CLIP score"));
    let columns = place.json("c/table.json")["parts"][0]["content"]["columns"].to_string();
    assert!(columns.contains("CLIP score") && !columns.contains("distance"), "{columns}");
}

#[test]
fn a_signal_keeps_the_work_and_the_same_command_goes_on() {
    let place = Place::new();
    let run = ["analyze", "attention", "--images", "4", "--precision", "f32", "--threads", "1", "--out", "r"];
    let program = assert_cmd::cargo::cargo_bin("hawk");
    let mut child = std::process::Command::new(program)
        .args(run)
        .current_dir(&place.0)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let drawn = || std::fs::read_dir(place.path("r/images")).map_or(0, Iterator::count);
    let patience = std::time::Instant::now();
    while drawn() < 1 && patience.elapsed().as_secs() < 300 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // Not SIGINT: a run in the background of a shell inherits that it is ignored.
    assert!(std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("the same command goes on"), "{message}");
    assert!(place.path("r/attention.part.json").exists() && !place.path("r/attention.json").exists());
    let first: Vec<String> = place.names("r/images");
    let times = || -> Vec<_> {
        let time = |name: &String| std::fs::metadata(place.path("r/images").join(name)).unwrap().modified().unwrap();
        first.iter().map(time).collect()
    };
    let before = times();
    place.command().args(run).assert().success();
    assert_eq!((times(), drawn()), (before, 4), "images were drawn again");
    let whole = place.json("r/attention.json");
    assert!(!place.path("r/attention.part.json").exists());
    let mut alone = run.to_vec();
    *alone.last_mut().unwrap() = "whole";
    place.command().args(alone).assert().success();
    assert_eq!(place.json("whole/attention.json"), whole, "a run that was stopped ends with the same figure");
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
