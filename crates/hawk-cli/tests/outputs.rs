//! What the program writes, where, and what it never overwrites.
#![allow(clippy::unwrap_used)]

#[path = "common/place.rs"]
mod place;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::assert::Assert;
use place::Place;
use serde_json::Value;

impl Place {
    /// Runs the program. Arguments are words.
    fn hawk(&self, args: &str) -> Assert {
        self.command().args(args.split_whitespace()).assert()
    }

    #[track_caller]
    fn prints(&self, args: &str) -> String {
        String::from_utf8(self.hawk(args).success().get_output().stdout.clone()).unwrap()
    }

    /// Refused with this exit code and these words, and nothing changed on disk.
    #[track_caller]
    fn refuses(&self, args: &str, code: i32, words: &str) {
        let before = self.all();
        let output = self.hawk(args).code(code).get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(words) && !message.contains("panicked"), "{args}: {message}");
        assert_eq!(self.all(), before, "{args}");
    }

    /// All files with their content.
    fn all(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let entries = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap());
        let file = |path: &Path| path.is_file().then(|| std::fs::read(path).unwrap());
        let mut all: Vec<_> =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), file(&entry.path()))).collect();
        all.sort();
        all
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }
}

#[cfg(unix)]
#[test]
fn reports_go_through_links_pipes_and_standard_output() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let place = Place::new();
    std::fs::write(place.path("real"), "old").unwrap();
    symlink("real", place.path("link")).unwrap();
    symlink("new.png", place.path("image.png")).unwrap();
    symlink("/proc/self/fd/1", place.path("out")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place.path("fifo")).status().unwrap().success());
    let reader = std::process::Command::new("cat").arg(place.path("fifo")).stdout(Stdio::piped()).spawn().unwrap();
    place.hawk("generate apple --seed 1 --out image.png --stats link --tokens-out fifo").success();
    let piped = reader.wait_with_output().unwrap().stdout;
    assert_eq!(serde_json::from_slice::<Value>(&piped).unwrap()["images"][0]["prompt"], "apple");
    assert_eq!(place.json("real")["images"][0]["prompt"], "apple");
    assert!(place.path("link").is_symlink() && place.path("image.png").is_symlink() && place.path("new.png").is_file());
    assert!(std::fs::metadata(place.path("fifo")).unwrap().file_type().is_fifo());
    if cfg!(target_os = "linux") {
        let printed = place.prints("generate apple --seed 1 --out image.png --stats out");
        assert!(printed.starts_with("image.png  seed 1") && printed.ends_with("}\n"), "{printed}");
        assert!(place.path("out").is_symlink());
        // Standard output is a file here: the report stands behind the lines.
        let file = std::fs::File::create(place.path("log")).unwrap();
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("hawk"));
        command.current_dir(&place.0).args("generate apple --seed 1 --out image.png --stats out".split(' '));
        assert!(command.stdout(file).env("XDG_CACHE_HOME", "/dev/null").status().unwrap().success());
        let log = String::from_utf8(place.read("log")).unwrap();
        assert!(log.starts_with("image.png  seed 1") && log.ends_with("}\n"), "{log}");
    }
}

#[test]
fn no_output_is_another_file_of_the_command() {
    let place = Place::new();
    place.hawk("synth tiny-llama --out llama").success();
    place.hawk("generate apple --seed 1 --out a.png --tokens-out t.json").success();
    std::fs::write(place.path("p.txt"), "apple\n").unwrap();
    std::fs::write(place.path("ids.json"), r#"{"tokens": [1, 2]}"#).unwrap();
    for (args, words) in [
        ("generate x --stats r.json --tokens-out r.json", "--stats and --tokens-out are the same file"),
        ("generate x --stats r.json --tokens-out ./r.json", "the same file"),
        ("generate --prompts p.txt --stats p.txt", "--stats and --prompts are the same file"),
        ("generate x --out a.png --stats a.png", "a report is no picture"),
        ("again a.png --out a.png", "--out and FILE.png are the same file"),
        ("inspect a.png --overlay a.png", "--overlay and FILE.png are the same file"),
        ("inspect a.png --overlay a.jpg", "a name that ends in .png"),
        ("decode --codes t.json --out t.json", "neither a folder nor a PNG file"),
        ("logits --tokens ids.json --out ids.json", "--out and --tokens are the same file"),
        ("logits --model llama --tokens ids.json --out llama/config.json", "--out and --model are the same file"),
        ("text x --model llama --stats llama/tokenizer.json", "--stats and --model are the same file"),
        ("bench decoders --prompts p.txt --json p.txt", "--json and --prompts are the same file"),
        ("bench decoders --json r.json --html r.json", "--html and --json are the same file"),
        ("bench step --json no/where.json", "no/where.json"),
        ("bench model --json llama", "--json"),
    ] {
        place.refuses(args, 2, words);
    }
}

#[test]
fn images_are_numbered_by_prompt_and_index_in_any_batch() {
    let place = Place::new();
    std::fs::write(place.path("p.txt"), "cat\ndog\n").unwrap();
    let draw = |out: &str, more: &str| {
        let args = "generate --prompts p.txt --temperature 1 --top-p 1 --seed 1 --n 2 --decoder hawk --tree 8";
        place.hawk(&format!("{args} --out {out} --tokens-out {out}.json --stats {out}.stats {more}")).success();
        let stats = place.json(&format!("{out}.stats"));
        let rows = stats["images"].as_array().unwrap().iter();
        rows.map(|row| (row["prompt"].as_str().unwrap().to_owned(), row["index"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let [cat, dog] = ["cat", "dog"].map(str::to_owned);
    let order = [(cat.clone(), 0), (cat, 1), (dog.clone(), 0), (dog, 1)];
    assert_eq!([draw("a.png", ""), draw("b.png", "--batch 1")], [order.clone(), order.clone()]);
    assert_eq!(place.json("a.png.json")["images"], place.json("b.png.json")["images"]);
    for (number, (prompt, index)) in order.iter().enumerate() {
        let [(a, record), (b, _)] =
            ["a", "b"].map(|name| hawk::read_png(&place.read(&format!("{name}-{number}.png"))).unwrap());
        assert_eq!((a, &record.prompt, u64::from(record.index)), (b, prompt, *index));
    }
    // The file of tokens has the same order.
    place.hawk("decode --codes a.png.json --out d.png").success();
    let pixels = |name: &str| {
        let bytes = place.read(name);
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels
    };
    assert!((0..4).all(|number| pixels(&format!("a-{number}.png")) == pixels(&format!("d-{number}.png"))));
}

#[test]
fn no_image_takes_the_place_of_another() {
    let place = Place::new();
    let draw = |prompt: &str, more: &str| {
        let mut command = place.command();
        let output = command.args(["generate", prompt, "--seed", "1"]).args(more.split_whitespace()).assert().success();
        let output = output.get_output().clone();
        let line = String::from_utf8(output.stdout).unwrap();
        (line.split("  ").next().unwrap().to_owned(), String::from_utf8(output.stderr).unwrap())
    };
    let first = draw("🍎", "").0;
    let kept = place.read(&first);
    assert_eq!(first, "./image-s1-0.png");
    assert_eq!(draw("🍌", "").0, "./image-s1-0.2.png");
    assert_eq!(draw("🍎", "--cfg 6").0, "./image-s1-0.3.png");
    assert_eq!(place.read(&first), kept);
    // The same image is no other one, whatever drew it.
    assert_eq!(draw("🍎", "--decoder ar").0, first);
    assert_eq!(draw("🍌", "").0, "./image-s1-0.2.png");
    // A name that the user gave is replaced, and a note says so.
    let note = "x.png was another image, which is replaced";
    assert!(!draw("🍎", "--out x.png").1.contains(note));
    assert!(!draw("🍎", "--out x.png").1.contains(note));
    assert!(draw("🍌", "--out x.png").1.contains(note));
}

#[test]
fn tokens_are_decoded_in_the_size_of_their_image() {
    let place = Place::new();
    place.hawk("synth tiny-lumina-mgpt --out lum-512").success();
    for size in ["1024x256", "768x768"] {
        place.hawk(&format!(
            "generate cat --model lum-512 --size {size} --decoder ar --seed 1 --out w.png --tokens-out w.json"
        ));
        place.hawk("decode --codes w.json --model lum-512 --out d.png").success();
        let bare = serde_json::json!({ "codes": place.json("w.json")["images"][0]["codes"] });
        std::fs::write(place.path("bare.json"), bare.to_string()).unwrap();
        place.hawk(&format!("decode --codes bare.json --model lum-512 --size {size} --out e.png")).success();
        assert_eq!(place.read("d.png"), place.read("e.png"));
        let reader = png::Decoder::new(std::io::Cursor::new(place.read("d.png"))).read_info().unwrap();
        let (width, height) = reader.info().size();
        assert_eq!(format!("{width}x{height}"), size);
    }
    place.refuses("decode --codes bare.json --model lum-512 --out f.png", 2, "--size WxH");
    place.refuses("decode --codes w.json --model lum-512 --size 512x512 --out f.png", 2, "expected 768x768");
    place.refuses("decode --codes bare.json --model lum-512 --size 500x500 --out f.png", 2, "nearest are 512x512");
    // No line holds all sizes.
    let error = place.hawk("generate cat --model lum-512 --size 500x500").code(2).get_output().stderr.clone();
    assert!(error.len() < 300, "{}", String::from_utf8_lossy(&error));
    assert!(place.prints("inspect lum-512").contains("1024x256"));
}

#[test]
fn again_takes_the_draft_heads_of_the_image() {
    let place = Place::new();
    place.hawk("synth tiny-lumina-mgpt --out lum-512").success();
    place.hawk("synth heads --model lum-512 --out H").success();
    place.hawk("synth heads --model lum-512 --seed 3 --out other").success();
    let draw = "generate cat --model lum-512 --heads H --decoder hawk --tree 4 --seed 1";
    place.hawk(&format!("{draw} --rule rejection --out r.png")).success();
    place.hawk(&format!("{draw} --out e.png")).success();
    for image in ["r.png", "e.png"] {
        place.refuses(&format!("again {image}"), 2, "--heads");
        assert!(place.prints(&format!("again {image} --heads H")).starts_with("identical"));
        assert!(place.prints(&format!("inspect {image}")).contains("\"heads_digest\": \""));
    }
    place.refuses("again r.png --heads other", 2, "other draft heads");
    // Under replay the image does not depend on them.
    assert!(place.prints("again e.png --heads other").starts_with("identical"));
    assert!(place.prints("again e.png --decoder ar").starts_with("identical"));
    place.hawk("generate cat --model lum-512 --heads H --decoder scd --seed 1 --out s.png").success();
    assert!(!place.prints("inspect s.png").contains("heads_digest"));
}

/// A device that is always full, as standard output.
#[cfg(target_os = "linux")]
fn into_full_disk(place: &Place, args: &str) -> (Option<i32>, String) {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("hawk"));
    command.current_dir(&place.0).env("XDG_CACHE_HOME", "/dev/null").args(args.split(' ')).stdout(full);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_a_failure_of_the_machine() {
    let place = Place::new();
    place.hawk("synth tiny-llama --out llama").success();
    for args in [
        "text Once --model llama --max-tokens 20 --tokens-out t.json",
        "inspect",
        "generate apple --seed 1 --out a.png --stats s.json",
        "synth tiny-llama --out llama2",
        "inspect a.png",
        "again a.png",
    ] {
        let (code, error) = into_full_disk(&place, args);
        assert_eq!(code, Some(3), "{args}: {error}");
        assert!(error.contains("standard output") && !error.contains("panicked"), "{args}: {error}");
        assert!(!error.contains("interrupt"), "{args}: {error}");
    }
    assert_eq!(place.json("t.json")["stop"], "a failed write to standard output");
    assert_eq!(into_full_disk(&place, "--help").0, Some(3));
    // What was asked for as a file is there.
    assert!(["t.json", "a.png", "s.json"].iter().all(|name| place.path(name).is_file()));
    // A refusal is told before a full disk, and a full standard error changes no exit code.
    assert_eq!(into_full_disk(&place, "inspect nowhere").0, Some(2));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("hawk"));
    command.args(["inspect", "nowhere"]).stderr(full);
    assert_eq!(command.status().unwrap().code(), Some(2));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    place.hawk("synth tiny-llama --out llama").success();
    for args in ["inspect", "--help", "text Once --model llama --max-tokens 2000"] {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("hawk"));
        command.current_dir(&place.0).args(args.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !error.contains("error"), "{args}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_reports_the_images_that_are_finished() {
    use std::os::unix::process::ExitStatusExt;
    let place = Place::new();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("hawk"));
    let args = "generate apple --seed 1 --n 1000 --batch 1 --out many --stats s.json --tokens-out t.json";
    command.current_dir(&place.0).env("XDG_CACHE_HOME", "/dev/null").args(args.split(' '));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let images = || std::fs::read_dir(place.path("many")).map_or(0, Iterator::count);
    let began = Instant::now();
    while !place.path("many/apple-s1-0.png").is_file() && began.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Not Ctrl-C's signal: where the tests run in the background of a shell, they and what they start ignore it.
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let status = child.wait().unwrap();
    // The shell that waits learns of the signal, so that Ctrl-C ends its loop, too.
    assert_eq!((status.code(), status.signal()), (None, Some(15)));
    let (stats, tokens) = (place.json("s.json"), place.json("t.json"));
    let [stats, tokens] = [&stats, &tokens].map(|report| report["images"].as_array().unwrap());
    assert!((1..1000).contains(&images()), "{}", images());
    assert_eq!((stats.len(), tokens.len()), (images(), images()));
    for row in stats {
        assert!(place.path(row["file"].as_str().unwrap()).is_file());
    }
}

#[cfg(unix)]
#[test]
fn whatever_is_no_folder_is_read() {
    let place = Place::new();
    place.hawk("generate apple --seed 1 --out a.png").success();
    let through_pipe = |file: &str, args: &str| {
        let fifo = place.path("fifo");
        let _ = std::fs::remove_file(&fifo);
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let writer = std::process::Command::new("cp").arg(place.path(file)).arg(&fifo).spawn();
        let mut writer = writer.unwrap();
        let printed = place.prints(args);
        writer.wait().unwrap();
        printed
    };
    std::fs::write(place.path("p.txt"), "apple\n").unwrap();
    through_pipe("p.txt", "generate --prompts fifo --seed 1 --out b.png");
    let pixels = |name: &str| hawk::read_png(&place.read(name)).unwrap().0;
    assert_eq!(pixels("a.png"), pixels("b.png"));
    assert!(through_pipe("a.png", "again fifo").starts_with("identical"));
    assert!(through_pipe("a.png", "inspect fifo").starts_with("fifo: 128 x 128 pixels"));
    let mut typed = place.command();
    typed.args("generate - --seed 1 --out c.png".split(' ')).write_stdin("apple\n").assert().success();
    assert_eq!(pixels("a.png"), pixels("c.png"));
    place.hawk("synth tiny-llama --out llama").success();
    let text = |prompt: &str, stdin: &str| {
        let mut command = place.command();
        command.args(["text", prompt, "--model", "llama", "--max-tokens", "3", "--tokens-out", "t.json"]);
        command.write_stdin(stdin).assert().success();
        place.json("t.json")["prompt"].as_str().unwrap().to_owned()
    };
    assert_eq!([text("-", "Once\nupon \n"), text("Once", "other")], ["Once\nupon ", "Once"]);
    place.refuses("generate --prompts . --out d.png", 2, "directory");
}

#[test]
fn nothing_from_a_file_reaches_the_terminal_unescaped() {
    let place = Place::new();
    let evil = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}";
    std::fs::write(place.path("p.txt"), format!("apple {evil}\n")).unwrap();
    let clean = |args: &str, shown: &str| {
        let output = place.hawk(args).get_output().clone();
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).unwrap();
            let controls = text.chars().filter(|c| c.is_control() && !"\n\t".contains(*c)).count();
            assert!(controls == 0 && !text.contains('\u{202e}'), "{args}: {text:?}");
            if !shown.is_empty() && text.contains(shown) {
                return;
            }
        }
        assert!(shown.is_empty(), "{args} does not show {shown}");
    };
    clean("generate --prompts p.txt --seed 1 --out a.png", "a.png");
    // JSON escapes some itself.
    clean("inspect a.png", "owned");
    place.hawk("synth tiny-llama --out llama").success();
    let bytes = place.read("llama/model.safetensors");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    header[format!("extra{evil}")] = serde_json::json!({ "dtype": "F32", "shape": [0], "data_offsets": [0, 0] });
    let header = header.to_string().into_bytes();
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat();
    std::fs::write(place.path("llama/model.safetensors"), file).unwrap();
    clean("inspect llama", "extra");
    let mut config = place.json("llama/config.json");
    config["model_type"] = format!("llama{evil}").into();
    std::fs::write(place.path("llama/config.json"), config.to_string()).unwrap();
    clean("text x --model llama", "llama");
    clean("inspect llama", "llama");
    std::fs::write(place.path("c.json"), format!(r#"{{"codes": "{}"}}"#, evil.escape_unicode())).unwrap();
    clean("decode --codes c.json --out x.png", "c.json");
}

#[test]
fn hints_are_true_of_the_command() {
    let place = Place::new();
    place.hawk("synth tiny-llama --out llama").success();
    let message = |args: &str| String::from_utf8(place.hawk(args).code(2).get_output().stderr.clone()).unwrap();
    for args in ["text x --model nowhere", "text x --model llama --heads nowhere", "generate x --heads nowhere"] {
        let message = message(args);
        assert!(message.contains("no such folder") && !message.contains("built-in"), "{args}: {message}");
    }
    assert!(message("generate x --model llama").contains("`hawk text`"));
    std::fs::rename(place.path("llama/model.safetensors"), place.path("llama/model-00001-of-00002.safetensors"))
        .unwrap();
    let lost = message("text x --model llama");
    assert!(lost.contains("model.safetensors.index.json: the index of the shards is missing"), "{lost}");
    // The record names a folder, as seen from where the image was drawn.
    std::fs::create_dir_all(place.path("m/elsewhere")).unwrap();
    place.hawk("synth tiny-lumina-mgpt --out m/tiny").success();
    place.hawk("generate cat --model m/tiny --size 512x512 --decoder ar --seed 1 --out m/t.png").success();
    let mut again = place.command();
    let again = again.current_dir(place.path("m/elsewhere")).args(["again", "../t.png"]).assert().code(2);
    let again = String::from_utf8(again.get_output().stderr.clone()).unwrap();
    assert!(again.contains("--model") && !again.contains("hawk pull"), "{again}");
    let help = place.prints("again --help");
    assert!(help.contains("image's record") && !help.contains("built-in model"), "{help}");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../hawk-nn/tests/golden/llamagen-t2i");
    let t2i = message(&format!("bench decoders --model {golden} --images 1 --decoder ar"));
    assert!(!t2i.contains("--t5"), "{t2i}");
}

#[test]
fn temperature_zero_is_greedy() {
    let place = Place::new();
    let draw = |name: &str, more: &str| {
        place.hawk(&format!("generate cat --temperature 0 --out {name} {more}")).success();
        hawk::read_png(&place.read(name)).unwrap().0
    };
    let greedy = draw("a.png", "--seed 1");
    assert_eq!([draw("b.png", "--seed 2"), draw("c.png", "--seed 3 --decoder ar")], [greedy.clone(), greedy]);
    assert!(place.prints("again a.png").starts_with("identical"));
    place.refuses("generate cat --temperature 0 --top-k 5 --out d.png", 2, "greedy");
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_the_process_is_a_failure_with_a_message() {
    let place = Place::new();
    let limited = |limit: &str, args: &str| {
        let mut command = std::process::Command::new("sh");
        let program = assert_cmd::cargo::cargo_bin("hawk");
        command.arg("-c").arg(format!("ulimit {limit} && exec \"$0\" {args}")).arg(program);
        let output = command.current_dir(&place.0).env("XDG_CACHE_HOME", "/dev/null").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // A file that may not grow so far.
    let (code, error) = limited("-f 1", "generate apple --seed 1 --out a.png");
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("a.png: cannot write the file: File too large"), "{error}");
    let (code, error) = limited("-f 100", "synth tiny-lumina-mgpt --out model");
    assert_eq!(code, Some(3), "{error}");
    place.hawk("synth tiny-lumina-mgpt --out model").success();
    let names: Vec<_> = std::fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["model"], "something is left");
    // An address space that the request does not fit into.
    let (code, error) = limited("-v 400000", "generate apple --seed 1 --n 64 --batch 64 --out images/");
    assert_eq!(code, Some(3), "{error}");
    assert!(error.contains("not enough memory"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_too_small_to_begin_is_a_failure_with_a_message() {
    let place = Place::new();
    // From what the program needs to be loaded to what the image needs.
    for kilobytes in (85_000..=140_000).step_by(5_000) {
        let mut command = std::process::Command::new("sh");
        let program = assert_cmd::cargo::cargo_bin("hawk");
        let args = "generate apple --seed 1 --preview never --threads 2 --out a.png";
        command.arg("-c").arg(format!("ulimit -v {kilobytes} && exec \"$0\" {args}")).arg(program);
        let output = command.current_dir(&place.0).env("XDG_CACHE_HOME", "/dev/null").output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => {}
            Some(3) => assert!(error.contains("not enough memory"), "{kilobytes}: {error}"),
            code => panic!("{kilobytes} kB: {code:?} {error}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_wait_for_the_reader_of_a_pipe() {
    use std::os::unix::process::ExitStatusExt;
    let place = Place::new();
    assert!(std::process::Command::new("mkfifo").arg(place.path("fifo")).status().unwrap().success());
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("hawk"));
    command.args(["generate", "apple", "--seed", "1", "--preview", "never", "--out", "a.png", "--stats", "fifo"]);
    let mut child = command.current_dir(&place.0).spawn().unwrap();
    // The image is written before the report, which nobody reads.
    let began = Instant::now();
    while !place.path("a.png").exists() && began.elapsed() < Duration::from_secs(120) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its image");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[cfg(unix)]
#[test]
fn loops_of_links_are_invalid_input() {
    let place = Place::new();
    for (name, target) in [("a.png", "b.png"), ("b.png", "a.png"), ("l", "l")] {
        std::os::unix::fs::symlink(target, place.path(name)).unwrap();
    }
    for args in [
        "generate apple --seed 1 --out a.png",
        "generate apple --seed 1 --out l/x.png",
        "generate apple --seed 1 --stats l",
        "generate --prompts l --seed 1",
        "decode --codes l --out c.png",
        "again l",
    ] {
        place.refuses(args, 2, "symbolic links");
    }
}

#[test]
fn no_output_is_a_file_that_the_model_reads_or_would_read() {
    let place = Place::new();
    place.hawk("synth tiny-lumina-mgpt --out model").success();
    std::fs::write(place.path("t.json"), "{\"tokens\": [1, 2, 3]}").unwrap();
    let before = place.read("model/config.json");
    for name in ["config.json", "hawk.json", "generation_config.json", "vq/model.safetensors", "heads/config.json"] {
        if name.starts_with("heads") {
            std::fs::create_dir_all(place.path("model/heads")).unwrap();
        }
        let same = "--out and --model are the same file";
        place.refuses(&format!("logits --model model --tokens t.json --out model/{name}"), 2, same);
        let report = format!("generate cat --model model --seed 1 --out a.png --stats model/{name}");
        let words = if name.ends_with("json") { "--stats and --model are the same file" } else { "--stats" };
        place.refuses(&report, 2, words);
    }
    assert_eq!(place.read("model/config.json"), before);
    assert!(!place.path("model/hawk.json").exists());
}

#[test]
fn temperatures_that_make_every_score_infinite_are_refused() {
    let place = Place::new();
    for temperature in ["1e-40", "1e-21", "nan", "inf", "-1"] {
        place.refuses(&format!("generate cat --temperature {temperature} --out d.png"), 2, "at least 1e-20");
    }
    place.hawk("generate cat --temperature 1e-20 --seed 1 --out e.png").success();
    place.refuses("generate cat --cfg 1e38 --out d.png", 2, "0 to 100");
}
