//! A tokenizer and a target on it, both tiny: they learn, load where models load, and a stop
//! changes nothing.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hawk::{Decoder, Decoding, Engine, LoadOptions, ModelSource, Request, Result, Rule, Seed};
use hawk_files::FolderLock;
use hawk_train::{
    Ended, Optimizer, RunProgress, TargetRun, TargetSettings, TrainingPrecision, VqRun, VqSettings, train_target,
    train_vq,
};
use image::RgbImage;
use safetensors::SafeTensors;

/// Fourteen squares of several colours; every fourth is kept for validation.
fn pictures(dir: &Path) {
    fs::create_dir_all(dir.join("images")).unwrap();
    let mut lines = String::new();
    for (i, (name, colour)) in [("red", [220, 40, 30]), ("blue", [20, 60, 200])].iter().cycle().take(14).enumerate() {
        let inside = |x: u32, y: u32| x.abs_diff(64) < 20 + 2 * i as u32 && y.abs_diff(64) < 50 - 2 * i as u32;
        let picture = RgbImage::from_fn(128, 128, |x, y| image::Rgb(if inside(x, y) { *colour } else { [255; 3] }));
        picture.save(dir.join(format!("images/{i}.png"))).unwrap();
        let split = if i % 4 == 3 { ["new_style", "new_scene"][i / 4 % 2] } else { "train" };
        let kind = if i % 5 == 4 { "scene" } else { "emoji" };
        let line = serde_json::json!({
            "file": format!("images/{i}.png"), "captions": [format!("{name} square, flat style"), format!("{name} square")],
            "style": "flat", "concept": "square", "family": "square", "kind": kind, "split": split, "weight": 1.0,
            "mirror": true, "pixels": ""
        });
        lines.push_str(&format!("{line}\n"));
    }
    fs::write(dir.join("captions.jsonl"), lines).unwrap();
}

fn vq(pictures: &Path, out: &Path) -> VqRun {
    let settings = VqSettings {
        channels: 4,
        multipliers: vec![1, 1, 2, 2, 2],
        codes: 12,
        steps: 24,
        batch: 1,
        learning_rate: 5e-3,
        ..VqSettings::default()
    };
    VqRun { pictures: pictures.to_owned(), settings, from: None, out: out.to_owned() }
}

fn target(pictures: &Path, tokenizer: &Path, out: &Path) -> TargetRun {
    let settings = TargetSettings {
        layers: 1,
        width: 16,
        heads: 2,
        inner: 24,
        words: 280,
        passes: 12.0,
        batch: 3,
        learning_rate: 0.02,
        ..TargetSettings::default()
    };
    TargetRun {
        pictures: pictures.to_owned(),
        tokenizer: tokenizer.to_owned(),
        settings,
        from: None,
        out: out.to_owned(),
    }
}

/// Runs to the end, or breaks off at the given call of the observer.
fn run<T>(
    break_at: usize,
    train: impl FnOnce(&mut dyn FnMut(RunProgress<'_>) -> ControlFlow<()>) -> Result<Ended<T>>,
) -> Option<T> {
    let mut calls = 0;
    let ended = train(&mut |_| {
        calls += 1;
        if calls == break_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match ended.unwrap() {
        Ended::Finished(trained) => Some(trained),
        Ended::Stopped => None,
    }
}

fn same(names: &[&str], one: &Path, other: &Path) {
    for name in names {
        assert!(fs::read(one.join(name)).unwrap() == fs::read(other.join(name)).unwrap(), "{name} differs");
    }
}

#[test]
fn a_tokenizer_and_a_target_learn_and_a_stop_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("pictures"));

    let whole = vq(&at("pictures"), &at("vq"));
    let trained = run(usize::MAX, |observer| train_vq(&whole, observer)).unwrap();
    let (first, last) = (&trained.curve.points[0], trained.curve.points.last().unwrap());
    assert!(last.train[0] > first.train[0] + 2.0, "{first:?} {last:?}");
    assert_eq!(trained.figures.pictures, 3);
    assert!(trained.figures.used_codes >= 2 && trained.figures.all.psnr_db > 5.0, "{:?}", trained.figures);
    let stopped = vq(&at("pictures"), &at("vq-stopped"));
    assert!(run(9, |observer| train_vq(&stopped, observer)).is_none());
    assert!(run(8, |observer| train_vq(&stopped, observer)).is_none());
    run(usize::MAX, |observer| train_vq(&stopped, observer)).unwrap();
    same(&["config.json", "model.safetensors", "curve.json", "figures.json", "sheet.png"], &whole.out, &stopped.out);

    let further = VqRun { from: Some(whole.out.clone()), ..vq(&at("pictures"), &at("vq-further")) };
    assert!(run(9, |observer| train_vq(&further, observer)).is_none());
    run(usize::MAX, |observer| train_vq(&further, observer)).unwrap();
    same(&["config.json"], &whole.out, &further.out);
    let [first, last] = [&whole.out, &further.out].map(|dir| fs::read(dir.join("model.safetensors")).unwrap());
    let [first, last] = [&first, &last].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let of_decoder = |name: &str| name.starts_with("decoder.") || name.starts_with("post_quant_conv.");
    for (name, tensor) in first.tensors() {
        let equal = tensor.data() == last.tensor(&name).unwrap().data();
        assert!(of_decoder(&name) || equal, "{name} is no part of the decoder");
        assert!(name != "decoder.conv_out.weight" || !equal, "the decoder learns");
    }

    let mut narrow = vq(&at("pictures"), &at("vq-bf16"));
    (narrow.settings.steps, narrow.settings.precision) = (10, TrainingPrecision::Bf16);
    let trained = run(usize::MAX, |observer| train_vq(&narrow, observer)).unwrap();
    assert!(trained.figures.all.psnr_db > 5.0, "{:?}", trained.figures);

    let whole = target(&at("pictures"), &at("vq"), &at("target"));
    let trained = run(usize::MAX, |observer| train_target(&whole, observer)).unwrap();
    let (first, last) = (&trained.curve.points[0], trained.curve.points.last().unwrap());
    assert!(last.train[0] < first.train[0] - 0.3, "{first:?} {last:?}");
    assert!(trained.losses.keys().eq(["new scene", "new style", "style flat"]), "{:?}", trained.losses);
    assert!(
        trained.losses.values().all(|loss| *loss < f64::from(12.0f32.ln())),
        "no better than chance: {:?}",
        trained.losses
    );
    let stopped = target(&at("pictures"), &at("vq"), &at("target-stopped"));
    assert!(run(7, |observer| train_target(&stopped, observer)).is_none());
    run(usize::MAX, |observer| train_target(&stopped, observer)).unwrap();
    let files =
        ["config.json", "hawk.json", "tokenizer.json", "model.safetensors", "losses.json", "curve.json", "sheet.png"];
    same(&files, &whole.out, &stopped.out);

    let engine = Engine::load(ModelSource::Dir(whole.out.clone()), LoadOptions::default()).unwrap();
    let request = Request {
        prompt: "blue square, flat style".to_owned(),
        seed: Seed(1),
        images: 0..1,
        sampling: engine.config().defaults,
        decoding: Decoding::with_defaults(Decoder::NEIGHBOUR, Rule::Replay),
        batch: 1,
    };
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(outcome.images[0].image.pixels.len(), 128 * 128 * 3);

    let muon = TargetRun {
        settings: TargetSettings { optimizer: Optimizer::Muon, corrupted: 0.2, passes: 1.0, ..whole.settings.clone() },
        out: at("muon"),
        ..whole.clone()
    };
    run(usize::MAX, |observer| train_target(&muon, observer)).unwrap();

    // The same configuration in other words, and other default sampling.
    let first = at("first");
    fs::create_dir_all(first.join("vq")).unwrap();
    for name in ["tokenizer.json", "model.safetensors", "vq/config.json", "vq/model.safetensors"] {
        fs::copy(whole.out.join(name), first.join(name)).unwrap();
    }
    let read = |path: PathBuf| serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap();
    fs::write(first.join("config.json"), read(whole.out.join("config.json")).to_string()).unwrap();
    let mut hawk_json = read(whole.out.join("hawk.json"));
    hawk_json["defaults"]["cfg"] = 3.5.into();
    fs::write(first.join("hawk.json"), hawk_json.to_string()).unwrap();
    let further = TargetRun {
        settings: TargetSettings {
            passes: 1.0,
            learning_rate: 1e-6,
            precision: TrainingPrecision::Bf16,
            ..whole.settings.clone()
        },
        from: Some(first),
        out: at("further"),
        ..whole.clone()
    };
    let begun = &run(usize::MAX, |observer| train_target(&further, observer)).unwrap().curve.points[0];
    assert!((begun.train[0] - last.train[0]).abs() < 0.2, "{begun:?} {last:?}");
    assert_eq!(read(further.out.join("hawk.json"))["defaults"]["cfg"], 3.5);
    let foreign = TargetRun {
        settings: TargetSettings { inner: 32, ..further.settings.clone() },
        out: at("foreign"),
        ..further.clone()
    };
    let error = train_target(&foreign, &mut |_| panic!("no picture is encoded before")).unwrap_err().to_string();
    assert!(error.contains("does not fit") && error.contains("config.json"), "{error}");
}

#[test]
fn wrong_settings_and_foreign_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("pictures"));
    let refused = |run: &VqRun| train_vq(run, &mut |_| ControlFlow::Break(())).unwrap_err().to_string();
    let with = |change: &dyn Fn(&mut VqRun)| {
        let mut run = vq(&at("pictures"), &at("out"));
        change(&mut run);
        refused(&run)
    };
    for (named, change) in [
        ("channels", (|run| run.settings.channels = 3) as fn(&mut VqRun)),
        ("multiplier", |run| run.settings.multipliers = vec![]),
        ("multiplier", |run| run.settings.multipliers = vec![1, 0]),
        ("codes", |run| run.settings.codes = 1),
        ("width", |run| run.settings.width = 0),
        ("steps", |run| run.settings.steps = 9),
        ("batch", |run| run.settings.batch = 0),
        ("learning rate", |run| run.settings.learning_rate = f64::NAN),
        ("`hawk data`", |run| run.pictures = "nowhere".into()),
        ("config.json", |run| run.from = Some("nowhere".into())),
    ] {
        let error = with(&change);
        assert!(error.contains(named), "{named}: {error}");
    }
    let run = vq(&at("pictures"), &at("out"));
    train_vq(&run, &mut |_| ControlFlow::Break(())).unwrap();
    let other = with(&|run| run.settings.seed = 5);
    assert!(other.contains("other settings"), "{other}");
    fs::write(at("pictures/captions.jsonl"), r#"{"file":"../x.png"}"#).unwrap();
    assert!(refused(&run).contains("line 1"), "{}", refused(&run));
}

#[test]
fn a_folder_in_use_or_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    pictures(&at("pictures"));
    let refused = |run: &VqRun| train_vq(run, &mut |_| ControlFlow::Break(())).unwrap_err().to_string();
    let run = vq(&at("pictures"), &at("out"));
    let lock = FolderLock::take(&run.out).unwrap();
    let error = refused(&run);
    assert!(error.contains("out: another process works on this folder") && error.contains("hint: wait"), "{error}");
    drop(lock);
    train_vq(&run, &mut |_| ControlFlow::Break(())).unwrap();
    assert!(!run.out.join(".lock").exists());

    // Another model's weights, which the run would replace at its end.
    let model = vq(&at("pictures"), &at("model"));
    fs::create_dir(&model.out).unwrap();
    fs::write(model.out.join("model.safetensors"), "weights").unwrap();
    let error = refused(&model);
    assert!(error.contains("model: the folder holds other files") && error.contains("model.safetensors"), "{error}");
    let left: Vec<_> = fs::read_dir(&model.out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["model.safetensors"]);
}
