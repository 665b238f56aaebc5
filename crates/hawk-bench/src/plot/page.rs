//! The frame of a page that needs nothing beside itself: no script, no file, no network.

use super::html::escape;

/// The style sheet: light and dark, readable on a phone. Plots take their colours from it.
pub const STYLE: &str = include_str!("style.css");
/// Nothing is fetched, whatever may have come into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A whole page. `body` is markup; `title` is text.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{0}</h1>\n{body}</main>\n</body>\n</html>\n",
        escape(title),
    )
}

/// A plot or a picture with its title and a line under it, all three markup.
#[must_use]
pub fn figure(title: &str, under: &str, content: &str) -> String {
    format!("<figure><figcaption>{title}<small>{under}</small></figcaption>{content}</figure>\n")
}
