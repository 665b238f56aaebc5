//! Packages in a cache folder. Missing packages are fetched, and all packages are verified before
//! use.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hawk_files::{Error, Result};
use sha2::{Digest, Sha512};

use crate::emoji::recipe::Package;
use crate::run::files;

/// Number of attempts to fetch a package.
const ATTEMPTS: usize = 3;
/// Time limits for the connection, without a byte, and for the whole transfer.
const CONNECT_SECONDS: u64 = 20;
const STALL_SECONDS: u64 = 30;
const TRANSFER_SECONDS: u64 = 600;

/// A folder of packages and the registry that they are fetched from.
pub(crate) struct Cache {
    dir: PathBuf,
    registry: String,
    agent: ureq::Agent,
}

impl Cache {
    pub(crate) fn new(dir: &Path, registry: &str) -> Self {
        let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS)))
            .timeout_per_read(Some(Duration::from_secs(STALL_SECONDS)))
            .timeout_global(Some(Duration::from_secs(TRANSFER_SECONDS)))
            .build();
        Self { dir: dir.to_owned(), registry: registry.trim_end_matches('/').to_owned(), agent: config.new_agent() }
    }

    /// Whether the folder has the package.
    pub(crate) fn has(&self, package: &Package) -> bool {
        self.path(package).exists()
    }

    fn path(&self, package: &Package) -> PathBuf {
        self.dir.join(package.file_name())
    }

    /// Returns the verified bytes of a package. A missing package is fetched.
    ///
    /// # Errors
    /// The file in the cache or in the registry differs from the pinned one, or the registry cannot
    /// be reached.
    pub(crate) fn get(&self, package: &Package) -> Result<Vec<u8>> {
        let path = self.path(package);
        if path.exists() {
            let bytes = files::read(&path)?;
            verify(package, &bytes)
                .map_err(|e| e.at(path.display()).hint("remove the file; the same command fetches it again"))?;
            return Ok(bytes);
        }
        let address = format!("{}/{}", self.registry, package.path);
        let bytes = self.download(package, &address).map_err(|e| {
            e.at(&address).hint(format!(
                "make the file with `npm pack {}` and put it at {}, or use another registry with --registry",
                package.title(),
                path.display()
            ))
        })?;
        verify(package, &bytes)
            .map_err(|e| e.at(&address).hint("the registry has another file than the one that the recipe pins"))?;
        files::make_dir(&self.dir)?;
        files::write(&path, &bytes)?;
        Ok(bytes)
    }

    fn download(&self, package: &Package, address: &str) -> Result<Vec<u8>> {
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt(package, address) {
                Ok(bytes) => return Ok(bytes),
                // The server answered; another attempt would give the same answer.
                Err(e @ ureq::Error::StatusCode(_)) => {
                    failure = e.to_string();
                    break;
                }
                Err(e) => failure = e.to_string(),
            }
        }
        Err(Error::environment(format!("cannot fetch the package: {failure}")))
    }

    fn attempt(&self, package: &Package, address: &str) -> std::result::Result<Vec<u8>, ureq::Error> {
        let mut bytes = Vec::with_capacity(package.bytes as usize);
        let body = self.agent.get(address).call()?.into_body().into_reader();
        // One byte more than the pinned size is enough for `verify` to fail.
        body.take(package.bytes + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn verify(package: &Package, bytes: &[u8]) -> Result<()> {
    let wrong = |e: Error| Err(e.hint("the package is damaged, or is not the pinned one"));
    if bytes.len() as u64 != package.bytes {
        let e = Error::input(format!("the file is not the package {}", package.title()));
        return wrong(e.expected(format!("{} bytes", package.bytes)).got(bytes.len()));
    }
    let found = format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(bytes)));
    if found != package.integrity {
        let e = Error::input(format!("the file is not the package {}", package.title()));
        return wrong(e.expected(&package.integrity).got(found));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use hawk_files::Fault;

    use super::*;
    use crate::emoji::recipe::Holds;

    fn package(bytes: &[u8]) -> Package {
        Package {
            name: "@some/thing".into(),
            version: "1.0.0".into(),
            path: "@some/thing/-/thing-1.0.0.tgz".into(),
            bytes: bytes.len() as u64,
            integrity: format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(bytes))),
            licence: "MIT".into(),
            work: String::new(),
            home: String::new(),
            holds: Holds::Names,
        }
    }

    /// A registry that gives the same answer to every request.
    fn registry(status: &'static str, body: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                let mut request = [0; 2048];
                let read = stream.read(&mut request).unwrap_or(0);
                let asked = String::from_utf8_lossy(&request[..read]).into_owned();
                let status = if asked.starts_with("GET /@some/thing/-/thing-1.0.0.tgz ") { status } else { "404 None" };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            }
        });
        address
    }

    #[test]
    fn a_package_is_fetched_once_and_verified() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("new"), &registry("200 OK", b"content"));
        let package = package(b"content");
        assert!(!cache.has(&package));
        assert_eq!(cache.get(&package).unwrap(), b"content");
        assert!(cache.has(&package));
        let offline = Cache::new(&dir.path().join("new"), "http://127.0.0.1:1");
        assert_eq!(offline.get(&package).unwrap(), b"content");
    }

    #[test]
    fn another_file_is_refused_wherever_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let package = package(b"content");
        for other in [&b"CONTENT"[..], b"content and more", b"con"] {
            let cache = Cache::new(dir.path(), &registry("200 OK", Box::leak(other.to_vec().into_boxed_slice())));
            let error = cache.get(&package).unwrap_err();
            assert_eq!(error.fault(), Fault::Input);
            assert!(error.to_string().contains("@some/thing@1.0.0"), "{error}");
            assert!(!cache.has(&package));
            std::fs::write(dir.path().join("some-thing-1.0.0.tgz"), other).unwrap();
            let error = cache.get(&package).unwrap_err().to_string();
            assert!(error.contains("some-thing-1.0.0.tgz") && error.contains("remove the file"), "{error}");
            std::fs::remove_file(dir.path().join("some-thing-1.0.0.tgz")).unwrap();
        }
    }

    #[test]
    fn no_network_is_the_machines_fault_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for registry in ["http://127.0.0.1:1".to_owned(), registry("503 Busy", b"")] {
            let error = Cache::new(dir.path(), &registry).get(&package(b"content")).unwrap_err();
            assert_eq!(error.fault(), Fault::Environment);
            assert!(error.to_string().contains("npm pack @some/thing@1.0.0"), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
