//! Hints of errors. A library does not know which command runs; its hint may name an option that the
//! command lacks.

use std::collections::BTreeSet;

use clap::Command;

/// What separates the parts of a hint.
const BETWEEN: &str = "; ";

/// The options of the command that runs, and those of all others.
pub(crate) struct Options {
    own: BTreeSet<String>,
    all: Command,
}

impl Options {
    /// The options of the command with these names, such as `bench step`.
    pub(super) fn of(program: &Command, names: &[&str]) -> Self {
        Self { own: options(find(program, names).0), all: program.clone() }
    }

    /// The parts of a hint that name only options which exist where they are named; none if no part
    /// does.
    pub(crate) fn fitting(&self, hint: &str) -> Option<String> {
        let parts: Vec<&str> = hint.split(BETWEEN).filter(|part| self.fits(part)).collect();
        if parts.is_empty() { None } else { Some(parts.join(BETWEEN)) }
    }

    fn fits(&self, part: &str) -> bool {
        let words: Vec<&str> = part.split_whitespace().map(bare).collect();
        // `hawk COMMAND --option` names an option of another command.
        let named = words.iter().position(|word| *word == "hawk");
        let (before, after) = words.split_at(named.unwrap_or(words.len()));
        let others = match after {
            [] => BTreeSet::new(),
            [_, names @ ..] => options(find(&self.all, names).0),
        };
        let known = |words: &[&str], known: &BTreeSet<String>| {
            words.iter().filter_map(|word| option(word)).all(|option| known.contains(option))
        };
        known(before, &self.own) && known(after, &others)
    }
}

/// The command that the first words name, and how many do.
pub(super) fn find<'a>(program: &'a Command, words: &[&str]) -> (&'a Command, usize) {
    let mut found = (program, 0);
    while let Some(inner) = words.get(found.1).and_then(|word| found.0.find_subcommand(word)) {
        found = (inner, found.1 + 1);
    }
    found
}

/// The long names of a command's options.
pub(super) fn options(command: &Command) -> BTreeSet<String> {
    let long = command.get_arguments().flat_map(|argument| argument.get_long_and_visible_aliases().unwrap_or_default());
    long.map(str::to_owned).chain(["help".to_owned()]).collect()
}

/// A word without quotation marks and punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !(c.is_alphanumeric() || c == '-'))
}

/// The name of an option, without its dashes and value.
pub(super) fn option(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--")?;
    let name = name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap_or_default();
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
}
