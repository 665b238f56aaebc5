//! How the hub of the tests misbehaves, by the name of the repository.

use std::time::Duration;

/// What a client asks for.
pub(crate) struct Request<'a> {
    pub(crate) repository: &'a str,
    /// For the list of files.
    pub(crate) listing: bool,
    /// At the store of large files.
    pub(crate) stored: bool,
    /// How often it was asked for before.
    pub(crate) before: usize,
}

/// How a request is answered.
pub(crate) struct Manner {
    pub(crate) reply: Reply,
    pub(crate) ranges: Ranges,
    pub(crate) length: Length,
    /// Time before anything is sent.
    pub(crate) delay: Duration,
}

pub(crate) enum Reply {
    /// What was asked for.
    Content(Body),
    /// A status with headers.
    Status(&'static str, &'static str),
    /// Something else with the status 200.
    Page(&'static str),
    /// Nothing, for ever.
    Silence,
}

/// How much of a content is sent.
pub(crate) enum Body {
    Whole,
    Half,
    /// So many bytes, and the connection is closed.
    Cut(usize),
    /// So many bytes, and silence for ever.
    Stall(usize),
    /// So many bytes, and the connection is reset.
    Reset(usize),
    /// All of it, so many bytes at a time with a pause.
    Slow(usize, Duration),
}

#[derive(PartialEq, Eq)]
pub(crate) enum Ranges {
    Honoured,
    Ignored,
    /// Another part is sent than was asked for.
    Shifted,
    /// The part is of a file of another size.
    OtherFile,
}

#[derive(PartialEq, Eq)]
pub(crate) enum Length {
    Told,
    Untold,
    /// It is not told, and more is sent.
    Exceeded,
}

const PAGE: &str = "<html>please log in</html>";
/// Bytes of an answer that breaks off.
const PIECE: usize = 20_000;

pub(crate) fn of(request: &Request<'_>) -> Manner {
    let content = |body| Manner {
        reply: Reply::Content(body),
        ranges: Ranges::Honoured,
        length: Length::Told,
        delay: Duration::ZERO,
    };
    let status = |status, headers| Manner { reply: Reply::Status(status, headers), ..content(Body::Whole) };
    let whole = || content(Body::Whole);
    let millis = Duration::from_millis;
    let Request { repository, listing, stored, before } = *request;
    match repository {
        "gated" => status("401 Unauthorized", "X-Error-Code: GatedRepo\r\n"),
        "none" => status("401 Unauthorized", "X-Error-Code: RepoNotFound\r\n"),
        "forbidden" => status("403 Forbidden", ""),
        "banned" => status("403 Forbidden", "X-Error-Code: Disabled\r\nX-Error-Message: it is disabled\r\n"),
        "ill" => status("500 Internal Server Error", ""),
        "limit" => status("429 Too Many Requests", "Retry-After: 3600\r\n"),
        "page" if listing => Manner { reply: Reply::Page(PAGE), ..whole() },
        // Each of these gets a usable answer after a while, for the list and for every file.
        "tired" if before < 1 => status("503 Service Unavailable", "Retry-After: 0\r\n"),
        "crowded" if before < 1 => status("429 Too Many Requests", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"),
        "late" if before < 1 => status("408 Request Timeout", ""),
        "mute" if before < 1 => Manner { reply: Reply::Silence, ..whole() },
        "mute-list" if listing => Manner { reply: Reply::Silence, ..whole() },
        _ if listing => whole(),
        "lost" => status("404 Not Found", "X-Error-Code: EntryNotFound\r\n"),
        // The rest is about the large file.
        _ if !stored => whole(),
        "expired" if before < 1 => status("403 Forbidden", ""),
        "refused" => status("403 Forbidden", ""),
        "portal" if before == 1 => Manner { reply: Reply::Page(PAGE), ..whole() },
        "broken" | "portal" if before < 2 => content(Body::Half),
        "shifted" if before == 0 => content(Body::Half),
        "shifted" if before == 1 => Manner { ranges: Ranges::Shifted, ..content(Body::Whole) },
        "replaced" if before == 0 => content(Body::Half),
        "replaced" if before == 1 => Manner { ranges: Ranges::OtherFile, ..content(Body::Whole) },
        "stall" if before < 2 => content(Body::Stall(PIECE)),
        "drop" => content(Body::Cut(PIECE)),
        "reset" if before < 3 => content(Body::Reset(PIECE)),
        "nothing" => content(Body::Cut(0)),
        "slow" => content(Body::Slow(PIECE, millis(250))),
        "drip" => content(Body::Slow(2_000, millis(4))),
        "rangeless" if before < 2 => Manner { ranges: Ranges::Ignored, ..content(Body::Half) },
        "rangeless" => Manner { ranges: Ranges::Ignored, ..whole() },
        "rangeless-drop" => Manner { ranges: Ranges::Ignored, ..content(Body::Cut(PIECE)) },
        "untold" => Manner { length: Length::Untold, ..whole() },
        "exceeded" => Manner { length: Length::Exceeded, ..whole() },
        // As the first begins, the second has asked already.
        "race" => {
            Manner { delay: millis(if before == 0 { 400 } else { 1200 }), ..content(Body::Slow(PIECE, millis(40))) }
        }
        "race-rangeless" => {
            let delay = millis(if before == 0 { 400 } else { 1200 });
            Manner { delay, ranges: Ranges::Ignored, ..content(Body::Slow(PIECE, millis(40))) }
        }
        _ => whole(),
    }
}
