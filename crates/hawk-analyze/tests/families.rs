//! Every analysis on a tiny model of every family: figures that add up, runs that are stopped and go on.
#![allow(clippy::unwrap_used)]

#[path = "../../hawk/tests/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "shared with tests that use other parts of it")]
#[path = "../../hawk/tests/common/family.rs"]
mod family;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use family::{FAMILIES, Family};
use hawk::{Decoder, Decoding, Engine, LoadOptions, ModelSource, Precision, Result, Rule, Seed, TextEngine, TreeShape};
use hawk_analyze::{
    AttentionRun, Content, Detail, DivergenceRun, Ended, Figure, HeadGroup, HeadsRun, ImageSet, Progress, RejectionRun,
    SamplingRun, TableRun, Texts, Watch, attention, csv, divergence_of_laws, heads, read_figures, rejection, report,
    sampling_sheets, table, write_figure,
};
use hawk_synth::{SynthModel, synthesize};

/// A tiny model with heads.
fn engine(family: &Family, dir: &Path) -> Engine {
    family.write(dir);
    family.load(dir, Precision::F32, 2)
}

fn images(engine: &Engine, prompt: &str, images: usize) -> ImageSet {
    ImageSet { prompts: vec![prompt.to_owned()], images, seed: Seed(5), sampling: engine.config().defaults }
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn finished(ended: Ended<Figure>) -> Figure {
    match ended {
        Ended::Finished(figure) => figure,
        Ended::Stopped => panic!("nobody stopped it"),
    }
}

/// The figure of an analysis, which is the same where the analysis is stopped after each part and goes on.
fn run(dir: &Path, analysis: &dyn Fn(&Path, &mut Watch<'_>) -> Result<Ended<Figure>>) -> Figure {
    let whole = finished(analysis(&dir.join("whole"), &mut go_on).unwrap());
    let mut stops = 0;
    let pieces = loop {
        let mut parts = 0;
        let mut stop_after_one = |progress| match progress {
            Progress::Done { done, of } if done < of => {
                parts += 1;
                if parts > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            _ => ControlFlow::Continue(()),
        };
        match analysis(&dir.join("pieces"), &mut stop_after_one).unwrap() {
            Ended::Stopped => stops += 1,
            Ended::Finished(figure) => break figure,
        }
        assert!(stops < 100);
    };
    assert!(stops > 0 && pieces == whole, "{} stopped {stops} times", whole.name);
    let left: Vec<_> = std::fs::read_dir(dir.join("pieces")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.display().to_string().contains(".part.")), "{left:?}");
    whole
}

fn column(figure: &Figure, part: &str, row: &str) -> Vec<Option<f64>> {
    let part = figure.parts.iter().find(|known| known.id == part).unwrap();
    let Content::Table(table) = &part.content else { panic!("{} is no table", part.id) };
    table.rows.iter().find(|(name, _)| name == row).unwrap_or_else(|| panic!("{row} of {:?}", table.rows)).1.clone()
}

#[test]
fn every_family_has_every_figure() {
    for family in &FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        let (engine, model, prompt) = (engine(family, &dir.path().join("model")), family.name, family.prompt);
        let set = images(&engine, prompt, 2);
        let attended = run(&dir.path().join("attention"), &|dir, watch| {
            let (images, dir) = (set.clone(), dir.to_owned());
            let run =
                AttentionRun { engine: &engine, model: "tiny", images, text: None, detail: Detail::EveryHead, dir };
            attention(&run, watch)
        });
        let all: f64 = column(&attended, "shares", "all").into_iter().flatten().sum();
        assert!((all - 1.0).abs() < 1e-4, "{model}: {all}");
        let apart = run(&dir.path().join("divergence"), &|dir, watch| {
            let run = DivergenceRun { engine: &engine, model: "tiny", images: set.clone(), dir: dir.to_owned() };
            divergence_of_laws(&run, watch)
        });
        for source in ["H1", "V1", "joint law", "Jacobi law", "copy of the left", "copy from above"] {
            let row = column(&apart, "variation", source);
            assert!((0.0..=1.0).contains(&row[0].unwrap()) && row[2].unwrap() > 0.0, "{model} {source}");
        }
        let rejected = run(&dir.path().join("rejection"), &|dir, watch| {
            let run = RejectionRun { engine: &engine, model: "tiny", images: set.clone(), dir: dir.to_owned() };
            rejection(&run, watch)
        });
        for pool in ["H1 alone", "V1 alone", "H1 and V1", "all heads", "joint law", "Jacobi law"] {
            let of = |rule: &str| column(&rejected, "table", &format!("{pool}: {rule}"));
            let (with, bound) = (of("rejection, with replacement"), of("bound"));
            let (without, replay) = (of("rejection, without"), of("replay"));
            for rule in [&with, &without, &replay, &bound] {
                assert!(rule.windows(2).all(|pair| pair[1].unwrap() <= pair[0].unwrap() + 1e-9), "{model} {pool}");
            }
            let above = with.iter().zip(&bound).all(|(with, bound)| with.unwrap() >= bound.unwrap() - 1e-9);
            assert!(above, "{model} {pool}: below the least possible");
        }
        check_page(&[attended, apart, rejected]);
    }
}

#[test]
fn sheets_and_heads_of_every_family() {
    for family in &FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        let (engine, model, prompt) = (engine(family, &dir.path().join("model")), family.name, family.prompt);
        let decoding = Decoding::new(Decoder::SCD, Rule::Replay, TreeShape::Budget(4)).unwrap();
        let sheets = run(&dir.path().join("sampling"), &|dir, watch| {
            let run = SamplingRun {
                engine: &engine,
                model: "tiny",
                prompts: vec![prompt.to_owned()],
                seed: Seed(1),
                base: engine.config().defaults,
                top_k: vec![1, 0],
                temperature: vec![1.0],
                cfg: vec![1.0, 3.0],
                decoding,
                dir: dir.to_owned(),
            };
            sampling_sheets(&run, watch)
        });
        assert_eq!(sheets.parts.len(), 4);
        let measured = run(&dir.path().join("heads"), &|dir, watch| {
            let own = engine.cpu().unwrap().heads().unwrap();
            let (name, id, words) = ("own".to_owned(), "own".to_owned(), "random".to_owned());
            let digest = engine.heads_digest()?.to_owned();
            let groups = vec![HeadGroup { name, id, words, heads: own, digest }];
            let images = images(&engine, prompt, 2);
            heads(&HeadsRun { engine: &engine, model: "tiny", groups, images, dir: dir.to_owned() }, watch)
        });
        let row = column(&measured, "table", "own: H1");
        // A head has at least the loss of the target's own law.
        assert!(row[1].unwrap() >= -1e-3 && (0.0..=1.0).contains(&row[3].unwrap()), "{model}: {row:?}");
        check_page(&[sheets, measured]);
    }
}

#[test]
fn the_table_of_every_family() {
    for family in &FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        let (engine, model) = (engine(family, &dir.path().join("model")), family.name);
        let contender = |rule| Decoding::new(Decoder::SOAR, rule, TreeShape::Budget(4)).unwrap();
        let compared = TableRun {
            engine: &engine,
            model: "tiny",
            captions: vec![family.prompt.to_owned().into()],
            prompts: "one".to_owned(),
            images: 2,
            seed: Seed(5),
            sampling: engine.config().defaults,
            contenders: vec![contender(Rule::Replay), contender(Rule::Rejection)],
            real: None,
            clip: None,
            resamples: 20,
            dir: dir.path().join("out"),
        };
        let figure = finished(table(&compared, &mut go_on).unwrap());
        for row in ["soar, 4 nodes, replay", "soar, 4 nodes, rejection"] {
            let row = column(&figure, "decoders", row);
            // Speed-up, tokens a pass, passes, memory.
            assert!(row[0].unwrap() > 0.0 && row[1].unwrap() >= 1.0, "{model}: {row:?}");
        }
        let Content::Pictures(shown) = &figure.parts.last().unwrap().content else { panic!("{model}: no images") };
        assert!(!shown.rows.is_empty(), "{model}");
    }
}

/// The page of figures, found whole and in need of nothing, and the data of each part.
fn check_page(figures: &[Figure]) {
    let page = report(figures);
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
    for node in document.descendants() {
        assert!(!["script", "link", "iframe", "object", "base", "form", "a"].contains(&node.tag_name().name()));
        for attribute in node.attributes() {
            let own = attribute.value().starts_with("data:image/png;base64,");
            assert!(own || !["src", "href", "srcset", "data", "action"].contains(&attribute.name()), "{attribute:?}");
        }
    }
    assert!(!page.contains("NaN") && !page.contains(">inf"));
    for figure in figures {
        for part in &figure.parts {
            let (data, svg) = (csv(&part.content), hawk_analyze::svg_file(part));
            assert!(data.lines().count() > 1, "{}", part.id);
            svg.iter().for_each(|svg| drop(roxmltree::Document::parse(svg).unwrap()));
        }
        let json = serde_json::to_string(figure).unwrap();
        assert_eq!(&serde_json::from_str::<Figure>(&json).unwrap().parts.len(), &figure.parts.len());
        assert!(!json.contains("null,null,null,null,null,null,null,null,null]"), "{}", figure.name);
    }
}

#[test]
fn a_text_model_stands_beside() {
    let dir = tempfile::tempdir().unwrap();
    let silent: hawk_nn::Progress = Arc::new(|_, _| ());
    synthesize(SynthModel::TinyLlama, 2, &dir.path().join("text"), &silent).unwrap();
    let text = TextEngine::load(
        ModelSource::Dir(dir.path().join("text")),
        LoadOptions { precision: Precision::F32, threads: 2 },
    )
    .unwrap();
    let engine = engine(&FAMILIES[0], &dir.path().join("model"));
    let texts = |tokens| Texts { prompts: vec!["The hawk".to_owned(), "A bird".to_owned()], tokens };
    let analysis = |dir: &Path, tokens, watch: &mut Watch<'_>| {
        let (images, dir) = (images(&engine, "a hawk", 1), dir.to_owned());
        let text = Some((&text, "tiny", texts(tokens)));
        attention(&AttentionRun { engine: &engine, model: "tiny", images, text, detail: Detail::Mean, dir }, watch)
    };
    let figure = run(&dir.path().join("out"), &|dir, watch| analysis(dir, 24, watch));
    let known: f64 = column(&figure, "shares", "text model").into_iter().flatten().sum();
    assert!((known - 1.0).abs() < 1e-4, "{known}");
    let lines = figure.parts.iter().find(|part| part.id == "distance-weight").unwrap();
    let Content::Lines(plot) = &lines.content else { panic!() };
    assert_eq!(plot.lines.len(), 2);
    let error = analysis(&dir.path().join("no"), 1, &mut go_on).unwrap_err().to_string();
    assert!(error.contains("at least 2"), "{error}");
}

#[test]
fn what_cannot_be_is_named_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&FAMILIES[0], &dir.path().join("model"));
    let mut none = images(&engine, "a hawk", 0);
    let run = |images: ImageSet| {
        let dir = dir.path().join("out");
        let run = RejectionRun { engine: &engine, model: "tiny", images, dir };
        let mut never = |_: Progress| -> ControlFlow<()> { panic!("work began") };
        rejection(&run, &mut never).unwrap_err().to_string()
    };
    assert!(run(none.clone()).contains("at least 1"));
    (none.images, none.prompts) = (1, Vec::new());
    assert!(run(none.clone()).contains("at least 1 prompt"));
    none.prompts = vec!["a ".repeat(5000)];
    assert!(run(none).contains("prompt"));
    assert!(!dir.path().join("out").exists());
}

#[test]
fn a_folder_gathers_its_figures_and_names_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&FAMILIES[2], &dir.path().join("model"));
    let out = dir.path().join("out");
    let images = images(&engine, "7", 1);
    let run = AttentionRun {
        engine: &engine,
        model: "<b>tiny</b>",
        images: images.clone(),
        text: None,
        detail: Detail::Mean,
        dir: out.clone(),
    };
    write_figure(&out, &finished(attention(&run, &mut go_on).unwrap())).unwrap();
    let run = RejectionRun { engine: &engine, model: "tiny", images, dir: out.clone() };
    let page = write_figure(&out, &finished(rejection(&run, &mut go_on).unwrap())).unwrap();
    let names: Vec<String> = read_figures(&out).unwrap().into_iter().map(|figure| figure.name).collect();
    assert_eq!(names, ["attention", "rejection"]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Attention by offset") && page.contains("Rejection of a node") && !page.contains("<b>tiny"));
    for file in ["attention-distance-weight.csv", "attention-plane-weight.svg", "rejection-table.csv"] {
        assert!(out.join(file).exists(), "{file}");
    }
    std::fs::write(out.join("attention.json"), b"{}").unwrap();
    let error = read_figures(&out).unwrap_err().to_string();
    assert!(error.contains("attention.json") && error.contains("hint"), "{error}");
}
