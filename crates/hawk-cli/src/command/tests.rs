//! Every command teaches: help for each argument, and examples that parse.

use clap::{Command, CommandFactory, Parser};

use super::Cli;

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
                let parsed = Cli::try_parse_from(&words);
                assert!(help || parsed.is_ok(), "{name}: {line}: {}", parsed.err().unwrap());
            }
        }
    }
}

#[test]
fn the_version_is_that_of_records() {
    assert_eq!(Cli::command().render_version(), concat!("hawk ", env!("CARGO_PKG_VERSION"), "\n"));
}
