//! Addresses of hubs and proxies, as users write them.

use hawk_files::{Error, Result};

/// A proxy between this machine and the hub.
#[derive(Clone, Debug)]
pub struct Proxy(ureq::Proxy);

impl Proxy {
    /// Reads `[SCHEME://][USER:PASSWORD@]HOST[:PORT]`. The scheme is `http` (the default), `https`, `socks4`, `socks4a`,
    /// `socks5` or `socks5h`. `exempt` lists hosts, separated by commas, that are reached directly, with their
    /// subdomains; `*` stands for all. This machine is always reached directly.
    ///
    /// # Errors
    /// The address is none of a proxy.
    pub fn new(address: &str, exempt: &str) -> Result<Self> {
        let address = address.trim();
        // The address may hold a password.
        let got = address.split_once("://").map_or("an address without a scheme", |(scheme, _)| scheme);
        let wrong = || {
            Error::input("not the address of a proxy")
                .expected("http://, https://, socks4://, socks4a://, socks5:// or socks5h:// with HOST:PORT")
                .got(format!("{got:?}"))
        };
        let read = ureq::Proxy::new(address).map_err(|_| wrong())?;
        let mut proxy = ureq::Proxy::builder(read.protocol())
            .host(read.host())
            .port(read.port())
            .resolve_target(read.resolve_target());
        if let Some(user) = read.username() {
            proxy = proxy.username(user);
        }
        if let Some(password) = read.password() {
            proxy = proxy.password(password);
        }
        let hosts = exempt.split(',').map(|host| host.trim().trim_start_matches("*.").trim_start_matches('.'));
        for host in hosts.chain(LOCAL).filter(|host| !host.is_empty()) {
            proxy = proxy.no_proxy(without_port(host)).no_proxy(&format!(".{}", without_port(host)));
        }
        proxy.build().map(Self).map_err(|_| wrong())
    }

    /// Its host and port.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.0.host(), self.0.port())
    }

    /// Whether the host of an address is reached by it.
    pub(crate) fn serves(&self, address: &str) -> bool {
        address.parse().is_ok_and(|address| !self.0.is_no_proxy(&address))
    }

    pub(crate) fn inner(&self) -> ureq::Proxy {
        self.0.clone()
    }
}

/// Names of this machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The address of a hub without a slash at the end. An address without a scheme gets `https`, on this machine `http`.
///
/// # Errors
/// The address has another scheme than `http` or `https`, or no host.
pub(crate) fn endpoint(typed: &str) -> Result<String> {
    let typed = typed.trim();
    let mut address = match typed.split_once("://") {
        Some(_) => typed.to_owned(),
        None if is_local(typed) => format!("http://{typed}"),
        None => format!("https://{typed}"),
    };
    address.truncate(address.trim_end_matches(|c: char| c == '/' || c.is_whitespace()).len());
    let uri: Option<ureq::http::Uri> = address.parse().ok();
    let valid = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && !address.contains('#')
    });
    if valid {
        return Ok(address);
    }
    Err(Error::input("not the address of a server").expected("https://HOST").got(format!("{typed:?}")))
}

fn is_local(address: &str) -> bool {
    let host = address.split('/').next().unwrap_or_default();
    LOCAL.contains(&without_port(host))
}

/// A part of an address, every byte but letters, digits and `-_.~` as `%XX`.
pub(crate) fn percent_encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_are_given_with_and_without_a_scheme() {
        for (typed, address) in [
            ("https://huggingface.co/", "https://huggingface.co"),
            ("hf-mirror.com", "https://hf-mirror.com"),
            (" hf-mirror.com/mirror/ ", "https://hf-mirror.com/mirror"),
            ("hf-mirror.com/mirror\u{205f}/", "https://hf-mirror.com/mirror"),
            ("localhost:8000", "http://localhost:8000"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("[::1]:8000/hub", "http://[::1]:8000/hub"),
            ("http://10.0.0.1:80", "http://10.0.0.1:80"),
        ] {
            assert_eq!(endpoint(typed).unwrap(), address);
        }
        for wrong in ["ftp://x", "://", "https://", "a b", "", "https://x?y=1", "https://x#y", "file:///etc", "x\ny"] {
            let error = endpoint(wrong).unwrap_err().to_string();
            assert!(error.contains("https://HOST"), "{wrong}: {error}");
        }
    }

    #[test]
    fn proxies_have_a_known_scheme_and_exempt_hosts() {
        let proxy = Proxy::new("socks5h://me:it%27s@10.0.0.1", "a.org, .b.org:443,*.c.org").unwrap().inner();
        assert_eq!((proxy.host(), proxy.port(), proxy.password()), ("10.0.0.1", 1080, Some("it's")));
        let direct = |proxy: &ureq::Proxy, address: &str| proxy.is_no_proxy(&address.parse().unwrap());
        for near in ["http://a.org/x", "http://x.a.org", "https://b.org", "http://y.x.c.org", "http://localhost:9"] {
            assert!(direct(&proxy, near), "{near}");
        }
        for far in ["http://aa.org", "http://d.org", "http://127.0.0.2"] {
            assert!(!direct(&proxy, far), "{far}");
        }
        assert!(direct(&Proxy::new("10.0.0.1:3128", "*").unwrap().inner(), "http://d.org"));
        for wrong in ["gopher://me:secret@x", "socks6://x", "http://", "a b", "://"] {
            let error = Proxy::new(wrong, "").unwrap_err().to_string();
            assert!(error.contains("not the address of a proxy") && !error.contains("secret"), "{error}");
        }
    }
}
