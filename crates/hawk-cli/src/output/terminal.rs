//! What the terminal can show.

use std::borrow::Cow;
use std::env;

/// The colours and characters of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// No control sequences: `TERM=dumb`.
    Dumb,
    /// Control sequences without colours: `NO_COLOR` is set.
    Plain,
    /// Colours.
    Colours,
}

impl Terminal {
    /// The terminal that the environment describes.
    pub(crate) fn of_environment() -> Self {
        Self::of(|name| env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if set("TERM").is_some_and(|terminal| terminal == "dumb") {
            return Self::Dumb;
        }
        if set("NO_COLOR").is_some() { Self::Plain } else { Self::Colours }
    }
}

/// The characters that a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Characters {
    Ascii,
    Unicode,
}

impl Characters {
    /// The characters of the locale.
    pub(crate) fn of_environment() -> Self {
        Self::of(|name| env::var(name).ok())
    }

    /// The first of these variables that is set is the locale of characters, as in POSIX.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        match locale.map(|locale| locale.to_lowercase()) {
            Some(locale) if !locale.contains("utf-8") && !locale.contains("utf8") => Self::Ascii,
            // Containers often set no locale.
            _ => Self::Unicode,
        }
    }
}

/// The columns of the terminal at standard output; none where it is no terminal.
#[cfg(unix)]
pub(crate) fn columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// The columns are not known.
#[cfg(not(unix))]
pub(crate) fn columns() -> Option<u16> {
    None
}

/// Text without characters that control a terminal: they become escapes such as `\u{1b}`. Line
/// breaks and tabs stay.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    // The last two ranges change the direction of text, so that it reads otherwise than it is.
    let controls = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(controls) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if controls(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert!(matches!(escaped("plain\n\tÄ 🍎"), Cow::Borrowed(_)));
        assert_eq!(escaped("\u{1b}[31mred\u{7}\r\n"), "\\u{1b}[31mred\\u{7}\\r\n");
        assert_eq!(escaped("\u{9b}31m\u{7f}\u{202e}gnp.exe"), "\\u{9b}31m\\u{7f}\\u{202e}gnp.exe");
    }

    #[test]
    fn the_environment_says_what_a_terminal_shows() {
        let of = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(Terminal::of(of(&[])), Terminal::Colours);
        assert_eq!(Terminal::of(of(&[("NO_COLOR", "")])), Terminal::Colours);
        assert_eq!(Terminal::of(of(&[("NO_COLOR", "1")])), Terminal::Plain);
        assert_eq!(Terminal::of(of(&[("TERM", "dumb"), ("NO_COLOR", "1")])), Terminal::Dumb);
        assert_eq!(Characters::of(of(&[])), Characters::Unicode);
        assert_eq!(Characters::of(of(&[("LANG", "de_DE.UTF-8")])), Characters::Unicode);
        assert_eq!(Characters::of(of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")])), Characters::Ascii);
        assert_eq!(Characters::of(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")])), Characters::Unicode);
    }
}
