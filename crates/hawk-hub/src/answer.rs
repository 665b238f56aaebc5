//! What the answers of servers mean. Everything here reads text of strangers.

use std::time::{Duration, SystemTime};

/// The kind of a server's answer to a request for a list or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The whole content.
    Whole,
    /// A part of the content.
    Part,
    /// The owner asks everyone to accept terms.
    Gated,
    /// No such repository for this account.
    NoRepository,
    NoRevision,
    /// The list names a file that the server does not have.
    NoFile,
    /// Access is refused, for good as the hub says or until its signed address is made anew.
    Refused(Refusal),
    /// There is nothing from that byte on.
    NoRange,
    /// Too many requests.
    Limit,
    /// The server has troubles of its own.
    Trouble,
    /// Anything else.
    Other,
}

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The hub, with a reason.
    Hub,
    /// A store or something on the way.
    Store,
}

/// The meaning of a status; `code` is the header `X-Error-Code` of the hub.
pub(crate) fn meaning(status: u16, code: Option<&str>) -> Answer {
    match (status, code) {
        (200, _) => Answer::Whole,
        (206, _) => Answer::Part,
        (401 | 403, Some("GatedRepo")) => Answer::Gated,
        (404, Some("RevisionNotFound")) => Answer::NoRevision,
        (404, Some("EntryNotFound")) => Answer::NoFile,
        (403, Some(_)) => Answer::Refused(Refusal::Hub),
        (403, None) => Answer::Refused(Refusal::Store),
        (401 | 404, _) => Answer::NoRepository,
        (416, _) => Answer::NoRange,
        (429, _) => Answer::Limit,
        (408 | 425 | 500.., _) => Answer::Trouble,
        _ => Answer::Other,
    }
}

/// The pause of `Retry-After` (RFC 9110, section 10.2.3), in seconds or as a date; `now` is the time here.
pub(crate) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a very long time.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Whether `Content-Range` (RFC 9110, section 14.4) says that a part of a file of `bytes` bytes begins at byte `from`.
pub(crate) fn continues(content_range: Option<&str>, from: u64, bytes: u64) -> bool {
    let read = || {
        let (part, whole) = content_range?.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
        let first: u64 = part.split_once('-')?.0.trim().parse().ok()?;
        Some(first == from && (whole.trim() == "*" || whole.trim().parse() == Ok(bytes)))
    };
    read().unwrap_or(false)
}

/// Whether text can be a commit: a part of a path, and nothing that leads out of it.
pub(crate) fn is_commit(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_continue_where_they_were_asked_to() {
        let right = ["bytes 100-199/200", " bytes 100-199/*", "bytes 100-150/200", "bytes  100 - 199/ 200"];
        assert!(right.iter().all(|range| continues(Some(range), 100, 200)));
        assert!(continues(Some("bytes 0-/*"), 0, 7));
        let wrong = [
            "bytes 0-199/200",
            "bytes -100/200",
            "bytes 1000-1/2",
            "items 100-199/200",
            "100",
            "",
            "bytes */200",
            "bytes 100-199/201",
            "bytes 100-199",
            "bytes 99999999999999999999-1/2",
        ];
        assert!(wrong.iter().all(|range| !continues(Some(range), 100, 200)) && !continues(None, 100, 200));
    }

    #[test]
    fn a_pause_is_in_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        for (header, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Wed, 21 Oct 2015 07:28:07 GMT", Some(7)),
            ("Tue, 20 Oct 2015 07:28:07 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(header, now), seconds.map(Duration::from_secs), "{header}");
        }
    }

    #[test]
    fn only_the_hub_says_that_a_repository_is_gated() {
        assert_eq!(meaning(403, Some("GatedRepo")), Answer::Gated);
        assert_eq!(meaning(401, Some("GatedRepo")), Answer::Gated);
        assert_eq!(meaning(403, None), Answer::Refused(Refusal::Store));
        assert_eq!(meaning(403, Some("Other")), Answer::Refused(Refusal::Hub));
        for (status, answer) in [
            (401, Answer::NoRepository),
            (404, Answer::NoRepository),
            (408, Answer::Trouble),
            (416, Answer::NoRange),
            (429, Answer::Limit),
            (500, Answer::Trouble),
            (503, Answer::Trouble),
            (599, Answer::Trouble),
            (204, Answer::Other),
            (304, Answer::Other),
            (400, Answer::Other),
        ] {
            assert_eq!(meaning(status, None), answer, "{status}");
        }
    }

    #[test]
    fn a_commit_leads_nowhere_else() {
        assert!(is_commit("0123456789abcdef0123456789abcdef01234567") && is_commit("a"));
        assert!(["", "..", "a/b", "../a", "a\n", &"a".repeat(65)].iter().all(|text| !is_commit(text)));
    }
}
