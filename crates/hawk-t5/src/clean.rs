//! Cleans captions as LlamaGen's training did. Every caption is cleaned twice.
//!
//! The rules are those of DeepFloyd's cleaner, as `language/t5.py` of LlamaGen (commit 5a50452)
//! runs it. The original uses two Python libraries. Of the HTML parser, this file has what captions
//! need: tags, comments, scripts and entities. Of ftfy, it has the changes to correctly decoded
//! text: quotes, ligatures, character widths, control characters and composition. It does not
//! repair wrongly decoded text. Word boundaries at combining accents and at fractions can differ,
//! because Python's regular expressions define them differently.

use std::borrow::Cow;

use fancy_regex::{Captures, Regex};
use hawk_files::{Error, MAX_PROMPT_BYTES, Result};
use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

/// A regular expression and its replacement.
type Rule = (&'static str, &'static str);

/// Web addresses: a scheme, or a host name with its path that no `@` follows.
const ADDRESSES: [Rule; 2] = [
    (r"\b(?:https?:(?:/{1,3}|[a-z0-9%])|[a-z0-9.\-]+\.(?:com|co|ru|net|org|edu|gov|it)[\w/\-]*\b/?(?!@))", ""),
    (r"\b(?:www:(?:/{1,3}|[a-z0-9%])|[a-z0-9.\-]+\.(?:com|co|ru|net|org|edu|gov|it)[\w/\-]*\b/?(?!@))", ""),
];

/// Rules for lower-case text without markup.
const FIRST: [Rule; 18] = [
    // User names.
    (r"@[\p{L}\p{N}_]+", ""),
    // CJK characters.
    (r"[\x{31c0}-\x{9fff}]+", ""),
    (r"\p{Pd}+", "-"),
    ("[`´«»“”¨]", "\""),
    ("[‘’]", "'"),
    (r"&quot;?", ""),
    (r"&amp", ""),
    // IP addresses.
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", " "),
    // Times at the end, which are article numbers.
    (r"\d:\d\d\s+$", ""),
    (r"\\n", " "),
    // Item numbers of up to three digits, or of five and more.
    (r"#\d{1,3}\b", ""),
    (r"#\d{5,}\b", ""),
    (r"\b\d{6,}\b", ""),
    // File names.
    (r"\S+\.(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)", ""),
    (r#"["']{2,}"#, "\""),
    (r"\.{2,}", " "),
    (r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+", " "),
    (r"\s+\.\s+", " "),
];

/// Rules for text with normalised characters.
const SECOND: [Rule; 18] = [
    // Serial numbers.
    (r"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),
    (r"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),
    (r"\b\d+[a-zA-Z]+\d+\b", ""),
    // Phrases of shops.
    (r"(?:worldwide\s+)?(?:free\s+)?shipping", ""),
    (r"(?:free\s)?download(?:\sfree)?", ""),
    (r"\bclick\b\s(?:for|on)\s\w+", ""),
    (r"\b(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)(?:\simages?)?", ""),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),
    // Sizes. The second x is Cyrillic.
    (r"\b\d+\.?\d*[xх×]\d+\.?\d*\b", ""),
    // Spaces around punctuation.
    (r"\b\s+:\s+", ": "),
    (r"(\D[,./])\b", "$1 "),
    (r"\s+", " "),
    // Quotes around the caption, and punctuation at its ends. As in the original, a space at an end
    // prevents a match.
    (r#"(?s)^["'](.+)["']$"#, "$1"),
    (r"^['_,\-:;]", ""),
    (r"['_,\-:+]$", ""),
    (r"^\.\S+$", ""),
    (r"^\s+|\s+$", ""),
];

/// Cleans captions.
pub struct Cleaner {
    addresses: Rules,
    first: Rules,
    second: Rules,
    markup: Regex,
    entity: Regex,
}

impl Cleaner {
    /// Compiles the rules, which takes some tens of milliseconds.
    ///
    /// # Errors
    /// None: the tests compile all rules.
    pub fn new() -> Result<Self> {
        Ok(Self {
            addresses: Rules::new(&ADDRESSES)?,
            first: Rules::new(&FIRST)?,
            second: Rules::new(&SECOND)?,
            markup: regex(
                r#"(?is)<!--.*?-->|<(script|style|template)\b[^>]*>.*?</\1\s*>|</?[a-z](?:[^>=]|=\s*"[^"]*"|=\s*'[^']*'|=)*>|<[!?/][^>]*>"#,
            )?,
            entity: regex("&(#[xX][0-9a-fA-F]+|#[0-9]+|[a-zA-Z][-.a-zA-Z0-9]*);?")?,
        })
    }

    /// Cleans a caption twice, as the original does. The result can be empty.
    ///
    /// # Errors
    /// The caption has more than [`MAX_PROMPT_BYTES`] bytes, or a rule exceeds its backtracking
    /// limit.
    pub fn clean(&self, caption: &str) -> Result<String> {
        if caption.len() > MAX_PROMPT_BYTES {
            return Err(Error::input("the caption is too long")
                .expected(format!("at most {MAX_PROMPT_BYTES} bytes"))
                .got(format!("{} bytes", caption.len())));
        }
        self.once(&self.once(caption)?)
    }

    fn once(&self, caption: &str) -> Result<String> {
        let spaced = caption.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
        let text = decoded.trim().to_lowercase().replace("<person>", "person");
        let text = self.addresses.apply(text)?;
        let text = self.remove_markup(&text)?;
        let mut text = self.first.apply(text)?;
        // Identifiers such as this-is-a-name or or_this_one.
        if text.matches(['-', '_']).count() > 3 {
            text = text.replace(['-', '_'], " ");
        }
        self.second.apply(normalise(&text).trim().to_owned())
    }

    /// Removes HTML tags and decodes entities.
    fn remove_markup(&self, text: &str) -> Result<String> {
        let bare = replace(&self.markup, text, "")?;
        let decode = |found: &Captures<'_, str>| {
            let name = found.get(1).map_or("", |name| name.as_str());
            let entity = format!("&{name};");
            match htmlize::unescape(entity.as_str()) {
                // An unknown entity loses its semicolon.
                Cow::Borrowed(_) => format!("&{name}"),
                Cow::Owned(text) => text,
            }
        };
        self.entity.try_replacen(&bare, 0, decode).map(Cow::into_owned).map_err(cannot_clean)
    }
}

/// Compiled rules, in order.
struct Rules(Vec<(Regex, &'static str)>);

impl Rules {
    fn new(rules: &[Rule]) -> Result<Self> {
        rules.iter().map(|(pattern, with)| Ok((regex(pattern)?, *with))).collect::<Result<_>>().map(Self)
    }

    fn apply(&self, text: String) -> Result<String> {
        self.0.iter().try_fold(text, |text, (pattern, with)| replace(pattern, &text, with))
    }
}

fn regex(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| Error::environment(format!("a cleaning rule does not compile: {e}")).at(pattern))
}

fn replace(pattern: &Regex, text: &str, with: &str) -> Result<String> {
    pattern.try_replacen(text, 0, with).map(Cow::into_owned).map_err(cannot_clean)
}

fn cannot_clean(e: fancy_regex::Error) -> Error {
    Error::input(format!("the caption cannot be cleaned: {e}")).hint("shorten it, or use --cleaning none")
}

/// Normalises characters: straight quotes, no ligatures, standard widths, no control characters,
/// composed accents.
fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ʼ' | '‘'..='‛' => out.push('\''),
            '“'..='‟' => out.push('"'),
            '\u{3000}' => out.push(' '),
            // Latin ligatures, and characters of full or half width.
            'ﬀ'..='ﬆ' | 'Ĳ' | 'ĳ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | '\u{ff01}'..='\u{ffef}' => {
                out.extend([c].into_iter().nfkc())
            }
            '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' => {}
            '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
            c => out.push(c),
        }
    }
    out.nfc().collect()
}
