//! `hawk data landscapes`: folders and shards of painted pictures, whole, resumable, and refused with a reason.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "pictures")]

#[path = "common/place.rs"]
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use assert_cmd::Command;
use place::Place;
use serde_json::Value;
use sha2::{Digest, Sha256};

const SIDE: usize = 128;

impl Place {
    /// Runs `hawk data landscapes ARGS` and returns what it says.
    #[track_caller]
    fn paint(&self, args: &str) -> String {
        let output = self.landscapes(args).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    }

    fn landscapes(&self, args: &str) -> Command {
        let mut command = self.command();
        command.args(["data", "landscapes"]).args(args.split(' '));
        command
    }

    /// A folder of cut-outs as `hawk data emoji` makes it: plain squares.
    fn things(&self) {
        fs::create_dir_all(self.path("emoji/objects")).unwrap();
        let mut list = String::new();
        for (phrase, colour) in [("fox", [255, 0, 0, 255]), ("ship", [0, 0, 255, 255]), ("duck", [0, 255, 255, 255])] {
            let file = format!("objects/{phrase}.png");
            write_png(&self.path("emoji").join(&file), 60, &colour.repeat(60 * 60));
            list += &format!(
                r#"{{"file":"{file}","style":"noto","phrase":"{phrase}","one":"a {phrase}","several":"{phrase}s","group":"x","mirror":true,"split":"train"}}"#
            );
            list.push('\n');
        }
        fs::write(self.path("emoji/objects.jsonl"), list).unwrap();
        fs::write(self.path("emoji/ATTRIBUTION"), "Drawn by a test").unwrap();
    }
}

fn write_png(path: &Path, side: u32, rgba: &[u8]) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), side, side);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header().unwrap().write_image_data(rgba).unwrap();
}

/// RGB bytes of a picture.
fn pixels(path: &Path) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width as usize, info.height as usize, info.color_type), (SIDE, SIDE, png::ColorType::Rgb));
    pixels
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of a list.
fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All files below a folder, by their paths in it.
fn files(dir: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let (mut all, mut open) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                all.insert(name, (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap()));
            }
        }
    }
    all
}

/// The bytes of all files below a folder.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    files(dir).into_iter().map(|(name, (bytes, _))| (name, bytes)).collect()
}

#[test]
fn a_folder_is_whole_and_painted_once() {
    let place = Place::new();
    let said = place.paint("--out set --pictures 12 --seed 3");
    assert!(said.contains("12 pictures, 12 of them painted"), "{said}");
    let dir = place.path("set");
    let before = files(&dir);
    let images: BTreeSet<String> = (0..12).map(|index| format!("images/{index:06}.png")).collect();
    let others = ["begun.json", "captions.jsonl", "manifest.json", "sheet.png"].map(str::to_owned);
    assert_eq!(before.keys().cloned().collect::<BTreeSet<_>>(), images.into_iter().chain(others).collect());
    let mut seen = BTreeSet::new();
    for (index, line) in lines(&dir.join("captions.jsonl")).iter().enumerate() {
        assert_eq!(line["file"], format!("images/{index:06}.png"));
        let pixels = pixels(&dir.join(line["file"].as_str().unwrap()));
        assert_eq!(line["pixels"], sha256(&pixels));
        assert!(seen.insert(pixels), "no two landscapes are alike");
        let terrain = line["attributes"]["terrain"].as_str().unwrap();
        assert_eq!((&line["kind"], &line["family"]), (&"landscape".into(), &terrain.into()));
        let rendering = line["attributes"]["rendering"].as_str().unwrap();
        assert!(line["concept"].as_str().unwrap().contains(rendering));
        assert_eq!(line["split"] == "train", line.get("held_out").is_none());
        assert_eq!(line["weight"], 1.0);
        assert!(line["mirror"].is_boolean() && line["captions"][0].as_str().unwrap().len() > 5);
    }
    assert_eq!(seen.len(), 12);
    let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["pictures"], 12);
    assert_eq!(manifest["digest"], sha256(&fs::read(dir.join("captions.jsonl")).unwrap()));
    assert!(said.contains(manifest["digest"].as_str().unwrap()));

    let again = place.paint("--out set --pictures 12 --seed 3 --threads 1");
    assert!(again.contains("12 pictures, 0 of them painted"), "{again}");
    assert!(files(&dir) == before, "files were written again");
}

#[test]
fn a_stopped_damaged_or_grown_folder_becomes_what_one_run_makes() {
    let place = Place::new();
    place.paint("--out whole --pictures 14 --seed 1 --threads 2");
    let whole = bytes(&place.path("whole"));
    place.paint("--out set --pictures 9 --seed 1 --threads 1");
    let grown = place.paint("--out set --pictures 14 --seed 1");
    assert!(grown.contains("14 pictures, 5 of them painted"), "{grown}");
    assert!(bytes(&place.path("set")) == whole);

    // As a run leaves it that was killed while it wrote a line; one file is lost, one has other pixels.
    let set = place.path("set");
    let list = fs::read(set.join("captions.jsonl")).unwrap();
    let end = list.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(7).unwrap().0 + 30;
    fs::write(set.join("captions.jsonl.part"), &list[..end]).unwrap();
    for name in ["captions.jsonl", "manifest.json", "sheet.png", "images/000002.png"] {
        fs::remove_file(set.join(name)).unwrap();
    }
    fs::copy(set.join("images/000001.png"), set.join("images/000003.png")).unwrap();
    let resumed = place.paint("--out set --pictures 14 --seed 1");
    assert!(resumed.contains("14 pictures, 8 of them painted"), "{resumed}");
    assert!(bytes(&set) == whole);

    fs::write(set.join("captions.jsonl"), [&list[..], b"{}\n"].concat()).unwrap();
    let repaired = place.paint("--out set --pictures 14 --seed 1");
    assert!(repaired.contains("0 of them painted"), "{repaired}");
    assert!(bytes(&set) == whole);
}

#[test]
fn shards_hold_the_pictures_of_the_folder() {
    let place = Place::new();
    place.things();
    place.paint("--out set --pictures 12 --seed 2 --things emoji --shares 1,1,1,1");
    let said = place.paint("--out raw --pictures 12 --seed 2 --things emoji --shares 1,1,1,1 --shards --shard-size 8");
    assert!(said.contains("12 pictures, 12 of them painted"), "{said}");
    let (set, raw) = (place.path("set"), place.path("raw"));
    let listed = lines(&set.join("captions.jsonl"));
    let kinds: BTreeSet<&str> = listed.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["composite", "landscape", "scene", "thing"]));
    for dir in [&set, &raw] {
        assert_eq!(fs::read_to_string(dir.join("ATTRIBUTION")).unwrap(), "Drawn by a test");
    }
    let shards = ["00000", "00001"].map(|number| raw.join(format!("shard-{number}")));
    let rgb = shards.each_ref().map(|shard| fs::read(shard.with_extension("rgb")).unwrap()).concat();
    let told = shards.each_ref().map(|shard| lines(&shard.with_extension("jsonl")));
    assert_eq!(told.each_ref().map(Vec::len), [8, 4]);
    for (index, (line, told)) in listed.iter().zip(told.concat()).enumerate() {
        assert!(pixels(&set.join(line["file"].as_str().unwrap())) == rgb[index * SIDE * SIDE * 3..][..SIDE * SIDE * 3]);
        for name in ["captions", "kind", "style", "attributes", "mirror"] {
            assert_eq!(line[name], told[name]);
        }
    }
    let before = files(&raw);
    fs::remove_file(raw.join("shard-00001.jsonl")).unwrap();
    let again = place.paint("--out raw --pictures 12 --seed 2 --things emoji --shares 1,1,1,1 --shards --shard-size 8");
    assert!(again.contains("12 pictures, 4 of them painted"), "{again}");
    let after = files(&raw);
    assert!(after["shard-00000.rgb"] == before["shard-00000.rgb"], "a finished shard was painted again");
    assert!(after.iter().zip(&before).all(|(a, b)| (a.0, &a.1.0) == (b.0, &b.1.0)));
}

#[test]
fn what_cannot_be_painted_is_refused_with_its_reason() {
    let place = Place::new();
    place.things();
    place.paint("--out set --pictures 2 --seed 1");
    let before = files(&place.path("set"));
    for (args, words) in [
        ("--out set --pictures 2 --seed 2", ["other pictures", "seed: has 1, wanted 2"]),
        ("--out set --pictures 1 --seed 1", ["other pictures", "pictures: has 2, wanted 1"]),
        ("--out set --pictures 2 --seed 1 --shards", ["other pictures", "form"]),
        (
            "--out set --pictures 2 --seed 1 --things emoji",
            ["other pictures", "shares: has 100,0,0,0, wanted 50,25,5,20"],
        ),
        ("--out emoji --pictures 2", ["emoji: the folder holds other files", "hint: name a new or empty folder"]),
        ("--out new --pictures 0", ["--pictures", "0"]),
        ("--out new --pictures 2000000", ["at most 1000000, got 2000000", "--shards"]),
        (
            "--out new --pictures 9000000000000000000 --shards --shard-size 2",
            ["at most 200000", "got 9000000000000000000"],
        ),
        ("--out new --pictures 2 --shards --shard-size 0", ["--shard-size", "0"]),
        ("--out new --pictures 2 --shard-size 5", ["--shards", "required"]),
        ("--out new --pictures 2 --threads 99999", ["--threads", "1 to 1024"]),
        ("--out new --pictures 2 --shares 50,25,5,20", ["--things <PACK|DIR>", "required"]),
        ("--out new --pictures 2 --things emoji --shares 50,25,x,20", ["--shares", "four numbers, such as 50,25,5,20"]),
        ("--out new --pictures 2 --things emoji --shares 0,0,0,0", ["no kind of pictures", "above 0"]),
        ("--out new --pictures 2 --things emoji --shares 1,18446744073709551615,1,1", ["too large", "at most 1000000"]),
        ("--out new --pictures 2 --things none.pack", ["none.pack", "hint: name a pack, or the folder"]),
        (
            "--out new --pictures 2 --things set/captions.jsonl",
            ["set/captions.jsonl", "hint: name a pack, or the folder"],
        ),
        ("--out set/sheet.png --pictures 2", ["set/sheet.png", "cannot make the folder"]),
    ] {
        let code = if args.contains("sheet.png") || args.contains("captions.jsonl") { None } else { Some(2) };
        let output = place.landscapes(args).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            words.iter().all(|words| message.contains(words)) && !message.contains("panicked"),
            "{args}: {message}"
        );
        let exit = output.status.code().unwrap();
        assert!(code.map_or(exit == 2 || exit == 3, |code| code == exit), "{args}: {exit}");
    }
    assert!(files(&place.path("set")) == before);
    assert!(!place.path("new").exists());
}

#[cfg(unix)]
#[test]
fn links_in_a_folder_are_followed_and_devices_left_alone() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let place = Place::new();
    place.paint("--out set --pictures 2 --seed 1");
    let set = place.path("set");
    fs::create_dir(place.path("elsewhere")).unwrap();
    let names = ["sheet.png", "captions.jsonl", "manifest.json", "images/000001.png"];
    for name in names {
        let there = place.path("elsewhere").join(name.replace('/', "-"));
        fs::rename(set.join(name), &there).unwrap();
        symlink(&there, set.join(name)).unwrap();
    }
    place.paint("--out whole --pictures 3 --seed 1");
    place.paint("--out set --pictures 3 --seed 1");
    for name in names {
        assert!(set.join(name).is_symlink(), "{name}");
    }
    assert!(bytes(&set) == bytes(&place.path("whole")));
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), names.len(), "a part is left");

    fs::remove_file(set.join("sheet.png")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(set.join("captions.jsonl.x")).status().unwrap().success());
    fs::rename(set.join("captions.jsonl.x"), set.join("captions.jsonl")).unwrap();
    let output = place.landscapes("--out set --pictures 4 --seed 1").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("captions.jsonl") && message.contains("pipe"), "{message}");
    assert!(fs::metadata(set.join("captions.jsonl")).unwrap().file_type().is_fifo());
}

#[test]
fn a_folder_that_another_process_works_on_is_refused() {
    let place = Place::new();
    for shards in ["", " --shards"] {
        let out = format!("set{}", shards.trim());
        place.paint(&format!("--out {out} --pictures 2{shards}"));
        let before = bytes(&place.path(&out));
        let other = fs::File::create(place.path(&out).join(".lock")).unwrap();
        other.lock().unwrap();
        let output = place.landscapes(&format!("--out {out} --pictures 3{shards}")).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{message}");
        let words = [format!("{out}: another process works on this folder"), "hint: wait for it".to_owned()];
        assert!(words.iter().all(|words| message.contains(words)), "{message}");
        // As the other process leaves it when it is killed.
        drop(other);
        let more = if shards.is_empty() { "3" } else { "2" };
        place.paint(&format!("--out {out} --pictures {more}{shards}"));
        assert!(bytes(&place.path(&out)).len() >= before.len());
        assert!(!place.path(&out).join(".lock").exists());
    }
}

#[test]
fn what_is_no_pack_is_an_input_error() {
    let place = Place::new();
    fs::write(place.path("words.pack"), "some words").unwrap();
    for pack in ["none.pack", "words.pack"] {
        let output = place.landscapes(&format!("--out new --pictures 2 --things {pack}")).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.matches(pack).count(), 1, "{message}");
    }
}
