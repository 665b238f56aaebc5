//! Whole runs on the built-in model: they learn, they are reproducible, and a stop changes nothing.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use hawk::{Engine, LoadOptions, Precision, Seed};
use hawk_train::{
    Curve, Ended, HeadOffset, HeadsKind, HeadsRun, HeadsSettings, Labels, RunProgress, TrainedHeads, TrainingImages,
    captioned_pictures, train_heads,
};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::load(hawk::built_in_model(), LoadOptions::default()).unwrap());

fn run(out: &Path, data: &Path) -> HeadsRun {
    let offsets: [HeadOffset; 2] = ["H1", "V1"].map(|name| name.parse().unwrap());
    let prompts = ["red apple, fluent 3d style", "cat, fluent flat style"].map(str::to_owned).to_vec();
    HeadsRun {
        target_name: "emoji-v1".to_owned(),
        images: TrainingImages::Sampled { images: 5, prompts, seed: Seed(3) },
        // 48 steps, a point of the curve after every second.
        settings: HeadsSettings {
            kind: HeadsKind::Offsets(offsets.to_vec()),
            epochs: 24,
            batch: 2,
            ..HeadsSettings::default()
        },
        out: out.to_owned(),
        data: data.to_owned(),
    }
}

/// Runs to the end, or breaks off at the given call of the observer.
fn train(run: &HeadsRun, break_at: usize) -> Option<TrainedHeads> {
    let mut calls = 0;
    let mut observer = |_: RunProgress<'_>| {
        calls += 1;
        if calls == break_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match train_heads(&ENGINE, run, &mut observer).unwrap() {
        Ended::Finished(trained) => Some(trained),
        Ended::Stopped => None,
    }
}

/// The number of steps at the first event of steps; the run is stopped there if it is at least `stop`.
fn first_step(run: &HeadsRun, stop: usize) -> usize {
    let mut first = None;
    let ended = train_heads(&ENGINE, run, &mut |progress| match progress {
        RunProgress::Steps { done, .. } => {
            first.get_or_insert(done);
            if done >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(ended.unwrap(), Ended::Stopped));
    first.unwrap()
}

#[test]
fn a_stopped_run_loses_no_step() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(&dir.path().join("heads"), &dir.path().join("data"));
    // Points of the curve are at even steps.
    assert_eq!(first_step(&run, 5), 1);
    assert_eq!(first_step(&run, 6), 6);
    assert_eq!(first_step(&run, 7), 7);
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        // The order inside the optimizer's own format is not fixed.
        .filter(|(name, _)| name != "state.safetensors")
        .collect();
    files.sort();
    files
}

#[test]
fn a_run_learns_and_a_run_with_stops_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let whole = run(&dir.path().join("whole"), &dir.path().join("whole/data"));
    let trained = train(&whole, usize::MAX).unwrap();
    let (first, last) = (&trained.curve.points[0], trained.curve.points.last().unwrap());
    assert_eq!((trained.curve.points.len(), last.step), (24, 48));
    for (head, (_, figures)) in trained.figures.iter().enumerate() {
        assert!(last.train[head] < first.train[head] - 0.5 && last.validation[head] < first.validation[head] - 0.5);
        assert!(last.validation[head] > trained.curve.bound.as_ref().unwrap().1, "no head beats the target itself");
        // Measured by the inference code in bf16, against burn's loss in f32.
        assert!((figures.cross_entropy - last.validation[head]).abs() < 0.01, "{figures:?} {last:?}");
        assert!(figures.overlap > 0.05 && figures.replay_match_by_rank[0] > 0.03, "{figures:?}");
    }
    let json: Curve = serde_json::from_slice(&fs::read(whole.out.join("curve.json")).unwrap()).unwrap();
    assert_eq!(json, trained.curve);

    let stopped = run(&dir.path().join("stopped"), &dir.path().join("stopped/data"));
    // After the first prompt's images; after 7 of 48 steps, not at a point; after 14, at a point; before
    // the measuring.
    for (stop, break_at) in [1, 2 + 7, 2 + 7, 2 + 35].into_iter().enumerate() {
        assert!(train(&stopped, break_at).is_none(), "stop {stop}");
    }
    let again = train(&stopped, usize::MAX).unwrap();
    assert_eq!(again.curve, trained.curve);
    assert!(files(&stopped.out) == files(&whole.out), "the heads differ");
    assert!(files(&stopped.data) == files(&whole.data), "the images differ");
    // Nothing is left to do, and nothing changes.
    assert_eq!(train(&stopped, usize::MAX).unwrap().curve, trained.curve);
}

#[test]
fn a_spatial_head_learns_and_a_run_with_stops_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let spatial = |name: &str| {
        let mut run = run(&dir.path().join(name), &dir.path().join("data"));
        (run.settings.kind, run.settings.epochs) = (HeadsKind::Spatial, 12);
        run
    };
    let whole = spatial("whole");
    let trained = train(&whole, usize::MAX).unwrap();
    let (first, last) = (&trained.curve.points[0], trained.curve.points.last().unwrap());
    assert!(last.train[0] < first.train[0] - 1.0, "{first:?} {last:?}");
    let (name, figures) = &trained.figures[0];
    assert_eq!(name, "spatial");
    // Measured by the inference code, in bf16 and whole numbers, against burn's loss in f32.
    assert!((figures.cross_entropy - last.validation[0]).abs() < 0.05, "{figures:?} {last:?}");
    let stopped = spatial("stopped");
    assert!(train(&stopped, 2 + 7).is_none());
    assert_eq!(train(&stopped, usize::MAX).unwrap().curve, trained.curve);
    assert!(files(&stopped.out) == files(&whole.out), "the heads differ");
}

fn set_seed(run: &mut HeadsRun, new: Seed) {
    if let TrainingImages::Sampled { seed, .. } = &mut run.images {
        *seed = new;
    }
}

#[test]
fn heads_learn_from_pictures_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pictures");
    fs::create_dir(&folder).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/built-in/golden.png");
    ["red apple", "green frog", "cat face"]
        .iter()
        .for_each(|name| _ = fs::copy(&golden, folder.join(format!("{name}, fluent 3d style.png"))).unwrap());
    let mut run = run(&dir.path().join("out"), &dir.path().join("data"));
    run.images = TrainingImages::Pictures { pictures: captioned_pictures(&folder).unwrap(), seed: Seed(0) };
    (run.settings.labels, run.settings.epochs) = (Labels::Code, 12);
    let trained = train(&run, usize::MAX).unwrap();
    let figures = &trained.figures[0].1;
    assert!(figures.cross_entropy < 5.5, "a picture that was seen under other captions: {figures:?}");
    fs::copy(golden.with_file_name("golden.png"), folder.join("one more.png")).unwrap();
    run.images = TrainingImages::Pictures { pictures: captioned_pictures(&folder).unwrap(), seed: Seed(0) };
    let error = train_heads(&ENGINE, &run, &mut |_| ControlFlow::Break(())).unwrap_err().to_string();
    assert!(error.contains("run.json"), "{error}");
}

#[test]
fn wrong_settings_and_foreign_folders_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = run(&dir.path().join("a"), &dir.path().join("data"));
    let fails = |run: &HeadsRun| train_heads(&ENGINE, run, &mut |_| ControlFlow::Break(())).unwrap_err().to_string();
    let with = |change: &dyn Fn(&mut HeadsRun)| {
        let mut run = good.clone();
        change(&mut run);
        fails(&run)
    };
    let with_heads = |names: &[&str]| {
        let offsets: Vec<HeadOffset> = names.iter().map(|name| name.parse().unwrap()).collect();
        with(&|run| run.settings.kind = HeadsKind::Offsets(offsets.clone()))
    };
    assert!(with_heads(&[]).contains("heads"));
    assert!(with_heads(&["H1", "V1", "H1"]).contains("H1"));
    assert!(with_heads(&["V16"]).contains("beyond the grid"));
    assert!(with(&|run| run.settings.epochs = 0).contains("epochs"));
    assert!(with(&|run| run.settings.batch = 0).contains("batch"));
    assert!(with(&|run| run.settings.learning_rate = f64::NAN).contains("learning rate"));
    let too_few = |images, prompts: &[&str]| {
        let prompts = prompts.iter().map(|prompt| (*prompt).to_owned()).collect();
        with(&|run| run.images = TrainingImages::Sampled { images, prompts: Vec::clone(&prompts), seed: Seed(0) })
    };
    assert!(too_few(1, &["x"]).contains("images"));
    assert!(too_few(2, &[]).contains("prompts"));
    assert!(!good.out.exists(), "nothing is written before the settings are known to be good");
    let mut run = run(&dir.path().join("b"), &dir.path().join("data"));
    assert!(train(&run, 1).is_none());
    (run.settings.labels, run.settings.epochs) = (Labels::Code, 12);
    assert!(fails(&run).contains("run.json"));
    run.out = dir.path().join("c");
    set_seed(&mut run, Seed(4));
    assert!(fails(&run).contains("origin.json"));
    let options = LoadOptions { precision: Precision::Int8, ..LoadOptions::default() };
    let int8 = Engine::load(hawk::built_in_model(), options).unwrap();
    set_seed(&mut run, Seed(3));
    run.out = dir.path().join("d");
    let error = train_heads(&int8, &run, &mut |_| ControlFlow::Break(())).unwrap_err().to_string();
    assert!(error.contains("origin.json"), "laws of another precision are other laws: {error}");
}
