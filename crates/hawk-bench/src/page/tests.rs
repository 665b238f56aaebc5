use std::time::Duration;

use hawk::{
    CellSource, DecodeStats, Decoder, Decoding, Error, Generated, Image, Outcome, Precision, RecordedSampling, Request,
    Rule, Sampling, Seed, Tree, TreeShape,
};
use hawk_spec::{Code, Drawn, Grid, Source, SourceTally};

use crate::decoders::{Plan, Prompt, compare};
use crate::report::{Budget, Machine, Report, Row, Settings};

const HOSTILE: &str = "</bdi><script>alert('1')</script>\" onload=\"x & <img src=http://evil> \u{0}";

/// A comparison without a model: tree decoders guess the last three of four cells right.
fn fake(request: &Request) -> Outcome {
    let mut stats = DecodeStats::default();
    (stats.target_passes, stats.committed, stats.tokens_per_pass[1]) = (4, 4, 4);
    let mut sources = vec![CellSource::Target(Drawn::Recovered); 4];
    if request.decoding.decoder() != Decoder::AR {
        let vertical = Source::numbered('V', 1);
        stats = DecodeStats::default();
        (stats.target_passes, stats.committed, stats.accepted, stats.tokens_per_pass[4]) = (1, 4, 3, 1);
        stats.add(vertical, 1, SourceTally { proposed: 4, tested: 3, accepted: 3 });
        sources[1..].fill(CellSource::Drafted(vertical));
    }
    let image = Image { width: 2, height: 2, pixels: vec![200; 12] };
    let codes = (0..4).map(Code).collect();
    let generated = Generated { index: 0, image, codes, sources, stats, elapsed: Duration::ZERO };
    Outcome { images: vec![generated], ..Outcome::default() }
}

fn report(prompt: &str) -> Report {
    let with = |rule, nodes| Decoding::new(Decoder::NEIGHBOUR, rule, TreeShape::Budget(nodes)).unwrap();
    let plan = Plan {
        prompts: ["a", "b"].map(|kind| Prompt { text: prompt.to_owned(), kind: Some(kind.to_owned()) }).to_vec(),
        seed: Seed(7),
        images: 2,
        sampling: Sampling::new(3.0, 1.0, 0, 0.9).unwrap(),
        contenders: vec![with(Rule::Replay, 2), with(Rule::Replay, 4), with(Rule::Rejection, 4)],
    };
    let measured = compare(&plan, &mut |request| Ok::<_, Error>(fake(request)), &mut |_| {}).unwrap();
    let grid = Grid::new(2, 2).unwrap();
    let settings = Settings {
        model: prompt.to_owned(),
        model_digest: "0123456789abcdef".to_owned(),
        grid: [2, 2],
        sampling: RecordedSampling::from(plan.sampling),
        turns: plan.turns().collect(),
    };
    let word = || prompt.to_owned();
    let machine =
        Machine { version: word(), threads: 1, cores: 2, isa: word(), device: word(), arch: word(), os: word() };
    let rows = measured.iter().map(|measured| Row::from_parts(measured, &plan, Precision::Bf16, grid)).collect();
    Report { rows, settings, machine }
}

/// The page of a report, found whole and in need of nothing.
fn check(report: &Report) -> String {
    let page = report.page().unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
    for node in document.descendants() {
        assert!(
            !["script", "link", "iframe", "object", "base", "form", "a"].contains(&node.tag_name().name()),
            "{node:?}"
        );
        for attribute in node.attributes() {
            let own = attribute.value().starts_with("data:image/png;base64,");
            assert!(own || !["src", "href", "srcset", "data", "action"].contains(&attribute.name()), "{attribute:?}");
            assert!(!attribute.name().starts_with("on"), "{attribute:?}");
        }
    }
    let style = document.descendants().find(|node| node.has_tag_name("style")).unwrap().text().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(!page.contains("NaN") && !page.contains("inf "), "{page}");
    page
}

#[test]
fn the_page_is_well_formed_and_needs_nothing() {
    let page = check(&report("red apple"));
    for words in ["red apple", "exact: the same images", "exact: the same law", "neighbour, 4 nodes", ">V1<", "seed 8"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(page.matches("✓").count(), 2, "one a replayed image");
    assert!(!page.contains("changes the law"));
}

#[test]
fn hostile_text_stays_text() {
    let page = check(&report(HOSTILE));
    assert!(!page.contains("<script") && !page.contains("<img src=http") && page.contains("&lt;script&gt;"));
}

#[test]
fn rules_that_change_the_law_say_so() {
    let mut report = report("x");
    for row in report.rows.iter_mut().filter(|row| row.rule == "rejection") {
        (row.rule, row.exact) = ("lantern".to_owned(), false);
    }
    assert_eq!(check(&report).matches("changes the law").count(), 1);
}

#[test]
fn autotuned_trees_stand_in_the_table_and_not_on_the_axis() {
    let mut report = report("x");
    let auto = Decoding::new(Decoder::NEIGHBOUR, Rule::Replay, Tree::Auto).unwrap();
    let row = report.rows.iter_mut().find(|row| row.budget == Budget::Nodes(2)).unwrap();
    (row.budget, row.speedup) = (Budget::of(auto), 9.0);
    let page = check(&report);
    assert!(page.contains("<td>auto</td>") && page.contains("neighbour, autotuned trees"));
    assert!(page.contains("neighbour, 4: ") && !page.contains("neighbour, auto: "));
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["rows"].as_array().unwrap().iter().any(|row| row["budget"] == "auto"));
    report.rows.retain(|row| row.decoder == "ar" || row.budget == Budget::Auto);
    check(&report);
}

#[test]
fn a_page_without_guesses_is_whole() {
    let mut report = report("x");
    report.rows.retain(|row| row.decoder == "ar");
    check(&report);
}

#[test]
fn the_json_has_the_fields_that_it_says() {
    let json = serde_json::to_value(report("red apple")).unwrap();
    let row = &json["rows"][3];
    assert_eq!((&row["decoder"], &row["rule"], &row["budget"]), (&"neighbour".into(), &"replay".into(), &4.into()));
    assert_eq!(
        (&row["precision"], &row["exact"], &row["same_image_as_ar"]),
        (&"bf16".into(), &true.into(), &true.into())
    );
    assert_eq!((&row["acceptance_length"], &row["passes"], &row["images"]), (&4.0.into(), &2.into(), &2.into()));
    assert_eq!(row["passes_by_cells"], serde_json::json!([0, 0, 0, 0, 2]));
    assert_eq!(row["drafted_share"], serde_json::json!([[0.0, 1.0], [1.0, 1.0]]));
    assert_eq!(row["acceptance_length_by_row"], serde_json::json!([2.0, null]));
    let kinds: Vec<_> = row["by_kind"].as_array().unwrap().iter().map(|of| (&of["kind"], &of["images"])).collect();
    assert_eq!(kinds, [(&"a".into(), &1.into()), (&"b".into(), &1.into())]);
    assert_eq!(row["by_kind"][0]["acceptance_length"], 4.0);
    assert_eq!(row["draft_memory_share"], 0.0);
    let source = serde_json::json!({"source": "V1", "depth": 1, "proposed": 8, "tested": 6, "accepted": 6});
    assert_eq!(row["sources"], serde_json::json!([source]));
    for field in ["ms_per_pass", "ms_per_image", "images_per_s", "speedup"] {
        assert!(row[field].is_f64(), "{field}");
    }
    for (parts, names) in [
        ("pass_parts", &["draft_ms", "target_ms", "verify_ms", "commit_ms"][..]),
        ("image_parts", &["draft_ms", "target_ms", "verify_ms", "commit_ms", "rest_ms"]),
        ("speedup_spread", &["min", "q1", "median", "q3", "max"]),
    ] {
        assert!(names.iter().all(|name| row[parts][name].is_f64()), "{parts}");
    }
    assert_eq!(json["rows"][1]["same_image_as_ar"], serde_json::Value::Null);
    assert!(row.get("shown").is_none());
    assert_eq!(json["settings"]["turns"][1], serde_json::json!({"prompt": "red apple", "kind": "b", "seed": 8}));
    assert_eq!(json["machine"]["threads"], 1);
}
