//! The table of decoders: distances beside pytorch-fid's, sets of images, runs that are stopped and go on.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hawk::{Decoder, Decoding, Engine, Image, LoadOptions, Result, Rule, Sampling, Seed, TreeShape, write_plain_png};
use hawk_analyze::{
    Caption, Content, Ended, FeatureSpace, Figure, Judge, Progress, RealPictures, Space, TableRun, VqFeatures,
    find_pictures, frechet_distance, table,
};
use serde_json::Value;

/// Features by the formula of `tools/golden_scores.py`.
fn features(of: &Value) -> Vec<Vec<f32>> {
    let [seed, rows, columns] = [0, 1, 2].map(|at| of[at].as_u64().unwrap());
    let uniform = |at: u64| {
        let z = seed.wrapping_add((at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    };
    let feature = |row: u64, column: u64| {
        let before = uniform(row * columns + (column + columns - 1) % columns);
        (uniform(row * columns + column) + 0.5 * before + seed as f64 / 100.0) as f32
    };
    (0..rows).map(|row| (0..columns).map(|column| feature(row, column)).collect()).collect()
}

#[test]
fn distances_are_those_of_pytorch_fid() {
    let golden: Value = serde_json::from_str(include_str!("golden/frechet.json")).unwrap();
    for case in golden.as_array().unwrap() {
        let (name, a, b) = (&case["name"], features(&case["a"]), features(&case["b"]));
        let distance = frechet_distance(&a, &b).unwrap();
        let far = (distance - case["distance"].as_f64().unwrap()).abs();
        assert!(far < 1e-6, "{name}: {distance} is {far:e} apart");
        assert!((frechet_distance(&b, &a).unwrap() - distance).abs() < 1e-6, "{name}: from the other side");
    }
    assert!(frechet_distance(&[vec![1.0]], &[vec![1.0], vec![2.0]]).unwrap_err().to_string().contains("at least 2"));
    let other = frechet_distance(&[vec![1.0], vec![2.0]], &[vec![1.0, 2.0], vec![2.0, 3.0]]);
    assert!(other.unwrap_err().to_string().contains("other features"));
    assert!(frechet_distance(&[vec![f32::NAN], vec![2.0]], &[vec![1.0], vec![2.0]]).is_err());
}

/// Means of the channels, of the whole and of the upper half.
fn colours(picture: &Image) -> Result<Vec<f32>> {
    let mean = |pixels: &[u8], channel: usize| {
        let levels = pixels.iter().skip(channel).step_by(3).map(|&level| f32::from(level));
        levels.sum::<f32>() / (pixels.len() / 3) as f32
    };
    let upper = &picture.pixels[..picture.pixels.len() / 6 * 3];
    Ok((0..3).flat_map(|channel| [mean(&picture.pixels, channel), mean(upper, channel)]).collect())
}

/// A space of colours that counts how often it is asked.
fn space(asked: &Cell<usize>) -> FeatureSpace<'_> {
    let of = Box::new(|picture: &Image| {
        asked.set(asked.get() + 1);
        colours(picture)
    });
    FeatureSpace { space: Space::VqEncoder, identity: "colours".to_owned(), count: 6, of }
}

fn judge(asked: &Cell<usize>) -> Judge<'_> {
    let of = Box::new(|picture: &Image, prompt: &str| {
        asked.set(asked.get() + 1);
        Ok(f64::from(colours(picture)?[0]) / 10.0 + prompt.len() as f64)
    });
    Judge { identity: "length".to_owned(), of }
}

fn engine() -> Engine {
    Engine::load(hawk::built_in_model(), LoadOptions { threads: 2, ..LoadOptions::default() }).unwrap()
}

/// Pictures by a formula.
fn pictures(dir: &Path, count: u32) -> Vec<PathBuf> {
    std::fs::create_dir_all(dir).unwrap();
    for number in 0..count {
        let (width, height) = (150 + number, 90);
        let pixels = (0..width * height * 3).map(|at| (at * (number + 3) / 7 % 256) as u8).collect();
        std::fs::write(dir.join(format!("{number}.png")), write_plain_png(&Image { width, height, pixels }).unwrap())
            .unwrap();
    }
    find_pictures(dir, None).unwrap()
}

fn contender(decoder: Decoder, rule: Rule) -> Decoding {
    Decoding::new(decoder, rule, TreeShape::Budget(4)).unwrap()
}

fn table_run<'a>(engine: &'a Engine, dir: &Path, contenders: Vec<Decoding>) -> TableRun<'a> {
    TableRun {
        engine,
        model: "built-in",
        captions: ["red apple, fluent 3d style", "castle, fluent flat style"]
            .map(|text| text.to_owned().into())
            .to_vec(),
        prompts: "two captions".to_owned(),
        images: 3,
        seed: Seed(5),
        // At its own sampling the model draws nearly the same image with every seed.
        sampling: Sampling::new(1.5, 1.0, 0, 1.0).unwrap(),
        contenders,
        real: None,
        clip: None,
        resamples: 50,
        dir: dir.to_owned(),
    }
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn finished(ended: Ended<Figure>) -> Figure {
    let Ended::Finished(figure) = ended else { panic!("nobody stopped it") };
    figure
}

/// A row of a table by column.
fn row(figure: &Figure, part: &str, row: &str) -> Vec<(String, f64)> {
    let part = figure.parts.iter().find(|known| known.id == part).unwrap();
    let Content::Table(table) = &part.content else { panic!("{} is no table", part.id) };
    let (_, values) =
        table.rows.iter().find(|(name, _)| name == row).unwrap_or_else(|| panic!("{row}: {:?}", table.rows));
    table.columns[1..].iter().cloned().zip(values.iter().map(|value| value.unwrap())).collect()
}

fn of(values: &[(String, f64)], column: &str) -> f64 {
    values.iter().find(|(name, _)| name == column).unwrap_or_else(|| panic!("{column}: {values:?}")).1
}

#[test]
fn exact_decoders_share_their_files_and_stopped_runs_go_on() {
    let (engine, dir) = (engine(), tempfile::tempdir().unwrap());
    let (features, scores) = (Cell::new(0), Cell::new(0));
    let files = pictures(&dir.path().join("real"), 4);
    let run = || TableRun {
        real: Some(RealPictures { files: files.clone(), space: space(&features) }),
        clip: Some(judge(&scores)),
        ..table_run(
            &engine,
            &dir.path().join("out"),
            vec![contender(Decoder::SCD, Rule::Replay), contender(Decoder::SCD, Rule::Rejection)],
        )
    };
    let mut stops = 0;
    let figure = loop {
        // First among the pictures, then among the images, then among the scores.
        let (mut parts, most) = (0, [3, 12, 14].get(stops).copied().unwrap_or(usize::MAX));
        let mut stop_after_some = |progress| match progress {
            Progress::Done { done, of } if done < of => {
                parts += 1;
                if parts > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            _ => ControlFlow::Continue(()),
        };
        match table(&run(), &mut stop_after_some).unwrap() {
            Ended::Stopped => stops += 1,
            Ended::Finished(figure) => break figure,
        }
    };
    assert_eq!(stops, 3);
    let folder = std::fs::read_dir(dir.path().join("out/table")).unwrap().next().unwrap().unwrap().path();
    let sets = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let sets: BTreeSet<String> = sets.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(sets.iter().collect::<Vec<_>>(), ["rejection-ar-1", "rejection-scd-4", "replay"]);
    // Some images of other sets are the same: the model is nearly certain.
    let images = sets.iter().flat_map(|set| find_pictures(&folder.join(set), None).unwrap());
    let images: BTreeSet<Vec<u8>> = images.map(|path| std::fs::read(path).unwrap()).collect();
    let asked = (files.len() + images.len(), images.len());
    assert!(images.len() > 3 && (features.get(), scores.get()) == asked, "{asked:?}: every image is looked at once");
    assert_eq!(finished(table(&run(), &mut go_on).unwrap()), figure, "all of it lies on disk");
    assert_eq!((features.get(), scores.get()), asked);

    let names =
        ["plain decoding, replay", "scd, 4 nodes, replay", "plain decoding, rejection", "scd, 4 nodes, rejection"];
    let [plain, scd, _, drawn] = names.map(|name| row(&figure, "decoders", name));
    for column in ["VQ distance", "CLIP score"] {
        assert_eq!(of(&plain, column).to_bits(), of(&scd, column).to_bits(), "{column}");
        assert_ne!(of(&plain, column), of(&drawn, column), "{column}");
    }
    assert_eq!((of(&plain, "speed-up"), of(&plain, "tokens a pass"), of(&plain, "passes an image")), (1.0, 1.0, 256.0));
    assert!(of(&scd, "tokens a pass") > 1.2 && of(&scd, "passes an image") < 213.0);
    assert!(of(&scd, "memory, MB") > 1.0);
    assert!(row(&figure, "differences", names[1]).iter().all(|(_, value)| *value == 0.0), "the same files");
    let apart = row(&figure, "differences", names[3]);
    assert!(
        (of(&apart, "VQ distance, more") - of(&drawn, "VQ distance")
            + of(&row(&figure, "decoders", names[2]), "VQ distance"))
        .abs()
            < 1e-9
    );
    for name in names {
        let (points, ends) = (row(&figure, "decoders", name), row(&figure, "intervals", name));
        for column in ["speed-up", "tokens a pass", "VQ distance", "CLIP score"] {
            let inside = of(&ends, &format!("{column}, from"))..=of(&ends, &format!("{column}, to"));
            assert!(inside.contains(&of(&points, column)), "{name} {column}: {inside:?}");
        }
    }
    assert!(
        figure.findings[0].contains("2 decoders drew the same images, checked byte for byte"),
        "{:?}",
        figure.findings
    );

    // What is on disk is what was compared.
    let seen = |dir: &Path| -> Vec<Vec<f32>> {
        find_pictures(dir, None).unwrap().iter().map(|path| colours(&read(path)).unwrap()).collect()
    };
    let distance = frechet_distance(&seen(&folder.join("replay")), &seen(&dir.path().join("real"))).unwrap();
    assert!((distance - of(&plain, "VQ distance")).abs() < 1e-9, "{distance}");
}

fn read(path: &Path) -> Image {
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    Image { width: info.width, height: info.height, pixels }
}

#[test]
fn pictures_of_any_size_have_features_of_the_vq_encoder() {
    let (engine, dir) = (engine(), tempfile::tempdir().unwrap());
    let vq = VqFeatures::of_model(&engine).unwrap();
    let files = pictures(dir.path(), 3);
    let of = |path: &PathBuf| (vq.space().of)(&read(path)).unwrap();
    let seen: Vec<Vec<f32>> = files.iter().map(of).collect();
    assert_eq!(seen[0].len(), vq.space().count);
    assert!(seen.iter().flatten().all(|x| x.is_finite()) && seen[0] != seen[1]);
    assert!(frechet_distance(&seen, &seen).unwrap().abs() < 1e-6);
    let run = TableRun {
        real: Some(RealPictures { files, space: vq.space() }),
        ..table_run(&engine, dir.path(), vec![contender(Decoder::SCD, Rule::Replay)])
    };
    assert!(run.notes()[0].contains("covariances are singular"), "{:?}", run.notes());
}

#[test]
fn what_cannot_be_is_named_before_the_work() {
    let (engine, dir) = (engine(), tempfile::tempdir().unwrap());
    let real = dir.path().join("real");
    let files = pictures(&real, 1);
    let refused = |change: &dyn Fn(&mut TableRun<'_>), words: &str| {
        let mut run = table_run(&engine, &dir.path().join("out"), vec![contender(Decoder::SCD, Rule::Replay)]);
        change(&mut run);
        let mut never = |_: Progress| -> ControlFlow<()> { panic!("work began") };
        let error = table(&run, &mut never).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let asked = Cell::new(0);
    refused(&|run| run.images = 1, "at least 2");
    refused(&|run| run.resamples = 0, "at least 1");
    refused(&|run| run.captions = Vec::new(), "a prompt");
    refused(&|run| run.contenders = Vec::new(), "a decoder");
    refused(&|run| run.captions = vec![Caption::from("a ".repeat(40_000))], "prompt");
    let one = RealPictures { files: files.clone(), space: space(&asked) };
    let run =
        TableRun { real: Some(one), ..table_run(&engine, dir.path(), vec![contender(Decoder::SCD, Rule::Replay)]) };
    assert!(table(&run, &mut go_on).unwrap_err().to_string().contains("too few pictures"));

    let missing = ["0.png".to_owned(), "val2014/0.png".to_owned(), "val2014/7.png".to_owned()];
    let error = find_pictures(&real, Some(&missing)).unwrap_err().to_string();
    assert!(error.contains("captions without pictures") && error.contains("1 are missing"), "{error}");
    assert!(error.contains("val2014/7.png"), "{error}");
    assert_eq!(find_pictures(&real, Some(&missing[..2])).unwrap().len(), 2);
    std::fs::write(real.join("x.JPG"), b"no picture").unwrap();
    assert!(find_pictures(&real, None).unwrap_err().to_string().contains("x.JPG"));
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    assert!(find_pictures(&empty, None).unwrap_err().to_string().contains("no pictures"));
    assert!(find_pictures(&dir.path().join("gone"), None).unwrap_err().to_string().contains("gone"));
}
