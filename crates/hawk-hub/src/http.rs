//! Requests for parts of files, whoever serves them.

use std::time::Duration;

use crate::address::Proxy;
use crate::patience::Patience;

pub(crate) type Response = ureq::http::Response<ureq::Body>;

/// What sends requests.
pub(crate) struct Http {
    agent: ureq::Agent,
    stall: Duration,
}

/// What is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) address: &'a str,
    /// The first byte.
    pub(crate) from: u64,
    /// For the server alone, and not for those that it redirects to.
    pub(crate) token: Option<&'a str>,
    /// The longest time of the whole answer.
    pub(crate) limit: Option<Duration>,
}

/// A request without an answer.
pub(crate) struct Unanswered {
    /// The reason in words.
    pub(crate) why: String,
    /// Whether the same request may succeed later.
    pub(crate) may_pass: bool,
}

impl Http {
    pub(crate) fn new(proxy: Option<&Proxy>, patience: &Patience) -> Self {
        let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
        let stall = Some(patience.stall);
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy.map(Proxy::inner))
            .timeout_connect(stall)
            .timeout_recv_response(stall)
            .timeout_per_read(stall)
            .timeout_per_write(stall)
            // The hub gives the reason of a refusal in a header.
            .http_status_as_error(false)
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .user_agent(concat!("hawk/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), stall: patience.stall }
    }

    pub(crate) fn get(&self, asked: &Asked<'_>) -> Result<Response, Unanswered> {
        let mut request = self.agent.get(asked.address).config().timeout_recv_body(asked.limit).build();
        if let Some(token) = asked.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if asked.from > 0 {
            request = request.header("Range", format!("bytes={}-", asked.from));
        }
        request.call().map_err(|e| Unanswered { why: self.reason(&e), may_pass: may_pass(&e) })
    }

    /// The reason of a failed request in words.
    fn reason(&self, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(ureq::Timeout::RecvBody) => "the answer took too long".to_owned(),
            ureq::Error::Timeout(_) => format!("no byte for {} s", self.stall.as_secs_f64()),
            other => other.to_string(),
        }
    }

    /// The reason of a body that broke off in words.
    pub(crate) fn reason_of_io(&self, error: &std::io::Error) -> String {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
            Some(inner) => self.reason(inner),
            None => error.to_string(),
        }
    }
}

/// A header of visible ASCII characters.
pub(crate) fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Whether the same request may succeed later.
fn may_pass(error: &ureq::Error) -> bool {
    use ureq::Error::{ConnectionFailed, HostNotFound, Io, Protocol, Timeout};
    matches!(error, ConnectionFailed | HostNotFound | Io(_) | Protocol(_) | Timeout(_))
}
