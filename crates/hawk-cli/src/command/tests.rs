//! Every command teaches: help for each argument, and examples that parse.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};

use super::hints::{Options, find, option, options};
use super::{Cli, parse};

/// The longest example or paragraph line that a terminal of 100 columns shows unbroken.
const COLUMNS: usize = 100;
/// The longest help of an option, a little above two lines of it.
const HELP_CHARACTERS: usize = 140;

/// All commands with their full names: `hawk`, `hawk generate`, `hawk bench step`, ...
fn commands(command: &Command, name: &str) -> Vec<(String, Command)> {
    let mut all = vec![(name.to_owned(), command.clone())];
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        all.extend(commands(inner, &format!("{name} {}", inner.get_name())));
    }
    all
}

fn all() -> Vec<(String, Command)> {
    let mut root = Cli::command();
    root.build();
    commands(&root, "hawk")
}

fn after_help(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The words of a line of shell, one list for each command of the line; a comment ends it.
fn shell_words(line: &str) -> Vec<Vec<String>> {
    let (mut lines, mut word, mut quote) = (vec![Vec::new()], None::<String>, None);
    for character in line.chars().chain([' ']) {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => match word.take().as_deref() {
                None => {}
                Some("&&" | "|") => lines.push(Vec::new()),
                Some("#") => return lines,
                Some(word) => lines.last_mut().unwrap().push(word.to_owned()),
            },
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    lines
}

#[test]
fn arguments_are_declared_well() {
    Cli::command().debug_assert();
}

#[test]
fn every_argument_has_a_short_help() {
    for (name, command) in all() {
        assert!(command.get_about().is_some_and(|about| about.to_string().len() > 10), "{name} has no description");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let characters = help.chars().count();
            assert!(
                (6..=HELP_CHARACTERS).contains(&characters),
                "{name} {}: {characters}: {help:?}",
                argument.get_id()
            );
            assert!(!help.ends_with('.'), "{name} {}: {help:?}", argument.get_id());
        }
    }
}

#[test]
fn every_command_has_examples_that_parse() {
    for (name, command) in all() {
        let text = after_help(&command);
        let examples: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        let of_it = examples.iter().filter(|line| line.contains(&name)).count();
        assert!(of_it >= 1 && examples.len() >= 2 && text.starts_with("Examples:\n"), "{name}: {text}");
        for line in examples {
            assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
            for words in shell_words(line).into_iter().filter(|words| words.first().is_some_and(|word| word == "hawk"))
            {
                let help = words.last().is_some_and(|word| word == "--help");
                let parsed = parse(words.iter().map(Into::into));
                assert!(help || parsed.is_ok(), "{name}: {line}: {}", parsed.err().unwrap());
            }
        }
    }
}

#[test]
fn the_version_is_that_of_records() {
    assert_eq!(Cli::command().render_version(), concat!("hawk ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn numbers_may_begin_with_a_minus() {
    for words in [
        ["generate", "x", "--temperature", "-1"],
        ["generate", "x", "--cfg", "-1.5"],
        ["generate", "x", "--top-p", "-0.1"],
        ["text", "x", "--model=m", "--temperature=-1"],
        ["generate", "-5", "--seed", "1"],
    ] {
        let typed = parse(["hawk"].iter().chain(&words).map(Into::into));
        assert!(typed.is_ok(), "{words:?}: {}", typed.err().unwrap());
    }
    for words in [["generate", "x", "--seed", "-1"], ["generate", "x", "--top-k", "-1"], ["generate", "x", "--n", "-1"]]
    {
        let error = parse(["hawk"].iter().chain(&words).map(Into::into)).err().unwrap().to_string();
        assert!(error.contains("invalid value '-1'") && error.contains(words[2]), "{words:?}: {error}");
    }
}

#[test]
fn a_hint_keeps_the_parts_that_fit_the_command() {
    let program = Cli::command();
    let fitting = |names: &[&str], hint: &str| Options::of(&program, names).fitting(hint);
    let hint = "`hawk train heads` makes them; --decoder ar needs none; --t5 DIR computes them";
    assert_eq!(
        fitting(&["bench", "decoders"], hint).unwrap(),
        "`hawk train heads` makes them; --decoder ar needs none"
    );
    assert_eq!(fitting(&["text"], "give it with --features FILE"), None);
    assert_eq!(
        fitting(&["inspect"], "`hawk decode --size WxH` names it").unwrap(),
        "`hawk decode --size WxH` names it"
    );
    assert_eq!(fitting(&["decode"], "`hawk inspect --size WxH` names it"), None);
    assert_eq!(fitting(&["logits"], "was the copy cut off?").unwrap(), "was the copy cut off?");
}

/// The files of Rust in a folder and below.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => sources(&entry, found),
            false if entry.extension().is_some_and(|ending| ending == "rs") => found.push(entry),
            false => {}
        }
    }
}

/// Options of other programs that messages name.
const OF_CARGO: [&str; 4] = ["features", "release", "no-default-features", "workspace"];

#[test]
fn messages_name_options_that_exist() {
    let mut root = Cli::command();
    root.build();
    let known: BTreeSet<String> = commands(&root, "hawk").iter().flat_map(|(_, command)| options(command)).collect();
    let mut files = Vec::new();
    for dir in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap() {
        let src = dir.unwrap().path().join("src");
        if src.is_dir() && !src.ends_with("hawk-cli/src") {
            sources(&src, &mut files);
        }
    }
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cmd")), &mut files);
    let mut seen = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let strings = line.split('"').skip(1).step_by(2);
            for word in strings.flat_map(|string| string.split([' ', '`', '(', '\'', ','])) {
                let Some(option) = option(word) else { continue };
                seen += 1;
                let exists = known.contains(option) || OF_CARGO.contains(&option);
                assert!(exists || cfg!(not(all(feature = "train", feature = "t5"))), "{}: {line}", file.display());
            }
        }
    }
    assert!(seen > 20, "{seen}");
    assert_eq!(find(&root, &["bench", "step", "x"]).1, 2);
}
