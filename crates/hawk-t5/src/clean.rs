//! Captions as the features were made from when LlamaGen was trained: cleaned twice of what captions from the web carry.
//!
//! The rules are those of the cleaner that DeepFloyd's models brought, as LlamaGen (commit 5a50452) `language/t5.py` runs it. Two of its parts are
//! libraries of Python: of the parser of HTML there is what captions need (tags, comments, scripts, entities), and of ftfy what it does to
//! text that was decoded rightly (quotes, ligatures, widths, control characters, composition); its repair of text that was decoded
//! wrongly is left out. Words may end elsewhere at loose accents and fractions, which Python's expressions see otherwise.

use std::borrow::Cow;

use fancy_regex::{Captures, Regex};
use hawk_nn::{Error, MAX_PROMPT_BYTES, Result};
use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

/// What is looked for, and what is put in its place.
type Rule = (&'static str, &'static str);

/// Addresses: the beginning of one with a scheme, or a name of a host with what follows, unless it is a person's (`me@host`).
const ADDRESSES: [Rule; 2] = [
    (r"\b(?:https?:(?:/{1,3}|[a-z0-9%])|[a-z0-9.\-]+\.(?:com|co|ru|net|org|edu|gov|it)[\w/\-]*\b/?(?!@))", ""),
    (r"\b(?:www:(?:/{1,3}|[a-z0-9%])|[a-z0-9.\-]+\.(?:com|co|ru|net|org|edu|gov|it)[\w/\-]*\b/?(?!@))", ""),
];

/// On lower-case text without markup.
const FIRST: [Rule; 18] = [
    // Names of users.
    (r"@[\p{L}\p{N}_]+", ""),
    // Chinese characters and their neighbours.
    (r"[\x{31c0}-\x{9fff}]+", ""),
    (r"\p{Pd}+", "-"),
    ("[`´«»“”¨]", "\""),
    ("[‘’]", "'"),
    (r"&quot;?", ""),
    (r"&amp", ""),
    // Addresses of machines.
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", " "),
    // Times at the end, which numbered articles.
    (r"\d:\d\d\s+$", ""),
    (r"\\n", " "),
    // Numbers of things: of up to three digits or of many.
    (r"#\d{1,3}\b", ""),
    (r"#\d{5,}\b", ""),
    (r"\b\d{6,}\b", ""),
    // Names of files.
    (r"\S+\.(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)", ""),
    (r#"["']{2,}"#, "\""),
    (r"\.{2,}", " "),
    (r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+", " "),
    (r"\s+\.\s+", " "),
];

/// On text whose characters are in order.
const SECOND: [Rule; 18] = [
    // Serial numbers.
    (r"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),
    (r"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),
    (r"\b\d+[a-zA-Z]+\d+\b", ""),
    // What shops say.
    (r"(?:worldwide\s+)?(?:free\s+)?shipping", ""),
    (r"(?:free\s)?download(?:\sfree)?", ""),
    (r"\bclick\b\s(?:for|on)\s\w+", ""),
    (r"\b(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)(?:\simages?)?", ""),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),
    // Sizes; the second letter is Cyrillic.
    (r"\b\d+\.?\d*[xх×]\d+\.?\d*\b", ""),
    // Punctuation with its spaces.
    (r"\b\s+:\s+", ": "),
    (r"(\D[,./])\b", "$1 "),
    (r"\s+", " "),
    // Quotes around everything, and what a caption neither begins nor ends with. A space at an end stands in their way, as it does there.
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
    /// Compiles the rules; some tens of milliseconds.
    ///
    /// # Errors
    /// None on a sound build.
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

    /// A caption, cleaned as often as upstream does: twice. The empty text may come of it.
    ///
    /// # Errors
    /// A caption of more than [`MAX_PROMPT_BYTES`], or one that is so knotty that a rule gives up.
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
        let text = self.text_of_markup(&text)?;
        let mut text = self.first.apply(text)?;
        // this-is-a-name, or_this_one.
        if text.matches(['-', '_']).count() > 3 {
            text = text.replace(['-', '_'], " ");
        }
        self.second.apply(in_order(&text).trim().to_owned())
    }

    /// What a browser would show.
    fn text_of_markup(&self, text: &str) -> Result<String> {
        let bare = replace(&self.markup, text, "")?;
        let decode = |found: &Captures<'_, str>| {
            let name = found.get(1).map_or("", |name| name.as_str());
            let entity = format!("&{name};");
            match htmlize::unescape(entity.as_str()) {
                // Unknown ones lose their closing mark.
                Cow::Borrowed(_) => format!("&{name}"),
                Cow::Owned(text) => text,
            }
        };
        self.entity.try_replacen(&bare, 0, decode).map(Cow::into_owned).map_err(knotty)
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
    Regex::new(pattern)
        .map_err(|e| Error::environment(format!("a rule of the cleaner does not compile: {e}")).at(pattern))
}

fn replace(pattern: &Regex, text: &str, with: &str) -> Result<String> {
    pattern.try_replacen(text, 0, with).map(Cow::into_owned).map_err(knotty)
}

fn knotty(e: fancy_regex::Error) -> Error {
    Error::input(format!("the caption cannot be cleaned: {e}"))
        .hint("shorten it, or encode it as it is: --cleaning none")
}

/// Straight quotes, letters in place of ligatures, one width of characters, no control characters, composed accents.
fn in_order(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ʼ' | '‘'..='‛' => out.push('\''),
            '“'..='‟' => out.push('"'),
            '\u{3000}' => out.push(' '),
            // Ligatures of Latin letters; characters of full or half width.
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
