//! Reads files of a `.tgz` archive in memory. Nothing is unpacked to disk.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path};

use flate2::read::GzDecoder;
use hawk_files::{Error, Result};
use tar::{Archive, EntryType};

/// Largest size of a file in a package, and of all files: about three times the sizes of the
/// recipe's packages.
const MAX_FILE_BYTES: u64 = 96 << 20;
const MAX_ALL_BYTES: u64 = 256 << 20;

/// Reads the files of a package that `wanted` accepts, by their paths relative to the package's
/// folder. `title` names the package in errors.
///
/// # Errors
/// The archive is damaged or too large, has a path outside of its folder, or has links.
pub(crate) fn read(title: &str, tgz: &[u8], wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Vec<u8>>> {
    let failed = |e: std::io::Error| {
        Error::input(format!("cannot read the package: {e}")).at(title).expected("a whole .tgz file")
    };
    let mut archive = Archive::new(GzDecoder::new(tgz).take(MAX_ALL_BYTES));
    let mut found = BTreeMap::new();
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::Directory | EntryType::XGlobalHeader) {
            continue;
        }
        let path = entry.path().map_err(failed)?.into_owned();
        let refused = |what: &str| Error::input(what).at(format!("{title}: {}", path.display()));
        if kind != EntryType::Regular {
            return Err(refused("the package has an entry that is not a file").got(format!("{kind:?}")));
        }
        let Some(name) = inner_name(&path) else {
            return Err(refused("a path in the package leads out of its folder"));
        };
        let size = entry.size();
        if size > MAX_FILE_BYTES {
            let e = refused("a file in the package is too large");
            return Err(e.expected(format!("at most {MAX_FILE_BYTES} bytes")).got(size));
        }
        if !wanted(&name) {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 != size {
            return Err(refused("the package ends inside a file").expected(format!("{size} bytes")).got(bytes.len()));
        }
        found.insert(name, bytes);
    }
    // Reading to the end checks the checksum.
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(failed)?;
    if rest.limit() == 0 {
        let e = Error::input("the package is too large").at(title);
        return Err(e.expected(format!("less than {MAX_ALL_BYTES} bytes")));
    }
    Ok(found)
}

/// The path relative to the archive's single top folder.
fn inner_name(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let (_, inner) = parts?.split_first().map(|(first, rest)| (*first, rest.join("/")))?;
    (!inner.is_empty()).then_some(inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A package with these files.
    pub(crate) fn tgz(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("package/{name}"), *bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    /// A package of one file with exactly this header.
    fn raw(name: &str, size: u64, kind: EntryType, bytes: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(size);
        header.set_entry_type(kind);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend(bytes);
        tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&tar).unwrap();
        gz.finish().unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        read("p@1", bytes, |_| true).unwrap_err().to_string()
    }

    #[test]
    fn wanted_files_come_without_their_folder() {
        let package = tgz(&[("a.json", b"1"), ("assets/b.webp", b"22"), ("c.txt", b"3")]);
        let found = read("p@1", &package, |name| name != "c.txt").unwrap();
        let names: Vec<(&str, usize)> = found.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect();
        assert_eq!(names, [("a.json", 1), ("assets/b.webp", 2)]);
    }

    #[test]
    fn hostile_packages_are_refused_with_their_name() {
        let noise: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let whole = tgz(&[("a.bin", &noise)]);
        for cut in [0, 5, 30, whole.len() / 2, whole.len() - 9] {
            assert!(refusal(&whole[..cut]).starts_with("p@1: "), "{cut}: {}", refusal(&whole[..cut]));
        }
        assert!(refusal(b"no archive").contains("a whole .tgz file"));
        for name in ["package/../../etc/passwd", "/etc/passwd", "../x", "lonely"] {
            assert!(refusal(&raw(name, 1, EntryType::Regular, b"x")).contains("leads out of its folder"), "{name}");
        }
        assert!(refusal(&raw("package/x", 0, EntryType::Symlink, b"")).contains("an entry that is not a file"));
        assert!(refusal(&raw("package/x", 1 << 40, EntryType::Regular, b"x")).contains("too large"));
        assert!(refusal(&raw("package/x", 5000, EntryType::Regular, b"x")).starts_with("p@1: "));
    }
}
