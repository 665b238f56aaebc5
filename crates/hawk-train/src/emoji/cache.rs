//! Packages in a cache folder. Missing packages are fetched, and all packages are verified before
//! use.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hawk_files::{Error, Result};
use hawk_hub::{Event, Server};
use sha2::{Digest, Sha512};

use crate::emoji::recipe::Package;
use crate::run::files;

/// A folder of packages and the registry that they are fetched from.
pub(crate) struct Cache<'a> {
    dir: PathBuf,
    registry: &'a Server,
}

impl<'a> Cache<'a> {
    pub(crate) fn new(dir: &Path, registry: &'a Server) -> Self {
        Self { dir: dir.to_owned(), registry }
    }

    /// Whether the folder has the package.
    pub(crate) fn has(&self, package: &Package) -> bool {
        self.path(package).exists()
    }

    fn path(&self, package: &Package) -> PathBuf {
        self.dir.join(package.file_name())
    }

    /// Returns the verified bytes of a package. A missing package is fetched; `progress` is told of it.
    ///
    /// # Errors
    /// The file in the cache or in the registry differs from the pinned one, or the registry cannot
    /// be reached.
    pub(crate) fn get(&self, package: &Package, progress: &mut dyn FnMut(Event<'_>)) -> Result<Vec<u8>> {
        let path = self.path(package);
        if path.exists() {
            let bytes = files::read(&path)?;
            verify(package, &bytes)
                .map_err(|e| e.at(path.display()).hint("remove the file; the same command fetches it again"))?;
            return Ok(bytes);
        }
        let address = format!("{}/{}", self.registry.address, package.path);
        let bytes = self.registry.fetch(&package.path, package.bytes, progress).map_err(|e| {
            e.hint(format!(
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
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use hawk_files::Fault;
    use hawk_hub::Patience;

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
    fn registry(status: &'static str, body: &'static [u8]) -> Server {
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
        server(address)
    }

    fn server(address: String) -> Server {
        let pause = Duration::from_millis(1);
        let patience = Patience { pause, longest_pause: pause, ..Patience::default() };
        Server { address, proxy: None, patience }
    }

    fn get(dir: &Path, registry: &Server, package: &Package) -> Result<Vec<u8>> {
        Cache::new(dir, registry).get(package, &mut |_| {})
    }

    #[test]
    fn a_package_is_fetched_once_and_verified() {
        let dir = tempfile::tempdir().unwrap();
        let (new, online, offline) =
            (dir.path().join("new"), registry("200 OK", b"content"), server("http://127.0.0.1:1".to_owned()));
        let package = package(b"content");
        assert!(!Cache::new(&new, &online).has(&package));
        assert_eq!(get(&new, &online, &package).unwrap(), b"content");
        assert!(Cache::new(&new, &online).has(&package));
        assert_eq!(get(&new, &offline, &package).unwrap(), b"content");
    }

    #[test]
    fn another_file_is_refused_wherever_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let package = package(b"content");
        for other in [&b"CONTENT"[..], b"content and more", b"con"] {
            let registry = registry("200 OK", Box::leak(other.to_vec().into_boxed_slice()));
            let error = get(dir.path(), &registry, &package).unwrap_err();
            assert_eq!(error.fault(), Fault::Input);
            assert!(error.to_string().contains("@some/thing@1.0.0"), "{error}");
            assert!(!Cache::new(dir.path(), &registry).has(&package));
            std::fs::write(dir.path().join("some-thing-1.0.0.tgz"), other).unwrap();
            let error = get(dir.path(), &registry, &package).unwrap_err().to_string();
            assert!(error.contains("some-thing-1.0.0.tgz") && error.contains("remove the file"), "{error}");
            std::fs::remove_file(dir.path().join("some-thing-1.0.0.tgz")).unwrap();
        }
    }

    #[test]
    fn no_network_is_the_machines_fault_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for registry in [server("http://127.0.0.1:1".to_owned()), registry("503 Busy", b"")] {
            let error = get(dir.path(), &registry, &package(b"content")).unwrap_err();
            assert_eq!(error.fault(), Fault::Environment);
            assert!(error.to_string().contains("npm pack @some/thing@1.0.0"), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
