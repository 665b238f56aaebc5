//! Writes the files that users name: the only place that does.
//!
//! A regular file is replaced atomically: after a crash its path has the old content or the new one,
//! never a part of it. Links are followed. A pipe or a character device is written into.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// The longest chain of links that is followed, as in Linux.
const MAX_LINKS: usize = 40;

/// Begins the names of temporary files, which have so many more letters and digits.
const TEMPORARY: &str = ".hawk-";
const RANDOM: usize = 6;

/// Whether the run was told to end.
static ENDING: OnceLock<fn() -> bool> = OnceLock::new();

/// From now on a write into a pipe that nobody reads waits only until `ending` says that the run ends.
/// Without this it waits for a reader. The first call counts.
pub fn end_waiting_when(ending: fn() -> bool) {
    ENDING.get_or_init(|| ending);
}

/// Whether the bytes are on disk when a write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The file survives a power cut.
    Synced,
    /// A power cut can leave a damaged file. For many small files that are checked when they are
    /// read again.
    Fast,
}

/// Whether [`create`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The file is new.
    Written,
    /// Something is at the path. It is unchanged.
    Taken,
}

/// How bytes get to a path.
enum Place {
    /// A regular file, or nothing yet: the path with all links followed.
    File(PathBuf),
    /// A pipe, a character device, or a file without a name: it is opened and written into.
    Direct(PathBuf),
    /// The file that standard output goes to, where other lines stand already.
    StandardOutput,
}

/// Writes a file that survives a power cut, or leaves the old one.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, bytes, Durability::Synced)
}

/// Writes a file, or leaves the old one.
///
/// # Errors
/// The file cannot be written.
pub fn write_with(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let put = || match place(path)? {
        Place::StandardOutput => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        Place::Direct(path) => write_into(&path, bytes),
        Place::File(path) => replace(&path, bytes, durability),
    };
    put().map_err(|e| Error::io("write the file", path, &e))
}

/// Writes a new file. What is at the path, links included, stays as it is.
///
/// # Errors
/// The file cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<Created> {
    let put = || {
        match fs::symlink_metadata(path) {
            Ok(_) => return Ok(Created::Taken),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut file = temporary_beside(path)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(Created::Written),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(Created::Taken),
            Err(error) => Err(error.error),
        }
    };
    put().map_err(|e| Error::io("write the file", path, &e))
}

/// Writes indented JSON with a line break at the end, as [`write`](fn@write).
///
/// # Errors
/// The value has no JSON form, or the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::input(format!("cannot write JSON: {e}")).at(path.display()))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Checks that [`write`](fn@write) can write a file at `path`, without making it. Long work starts
/// with this check.
///
/// # Errors
/// A write would fail: the path is a folder, its folder does not exist, permission is missing.
pub fn check(path: &Path) -> Result<()> {
    let try_it = || match place(path)? {
        Place::StandardOutput | Place::Direct(_) => Ok(()),
        Place::File(file) => match temporary_beside(&file) {
            Ok(_) => Ok(()),
            Err(error) => OpenOptions::new().append(true).open(&file).map(drop).map_err(|_| error),
        },
    };
    try_it().map_err(|e| Error::io("write the file", path, &e))
}

/// Checks that a file or folder can be made at `path`, without making it. Long work starts with
/// this check.
///
/// # Errors
/// The parent folder does not exist or cannot be written.
pub fn check_parent(path: &Path) -> Result<()> {
    temporary_beside(path).map(drop).map_err(|e| Error::io("write into the folder", parent(path), &e))
}

/// The file that a write to `path` changes: absolute, with links followed. Two paths with equal
/// results are the same file. None where a write replaces nothing: for pipes, devices and standard
/// output.
///
/// # Errors
/// The path cannot be written, as far as can be seen.
pub fn replaced_file(path: &Path) -> Result<Option<PathBuf>> {
    let find = || match place(path)? {
        Place::StandardOutput | Place::Direct(_) => Ok(None),
        Place::File(file) => match fs::canonicalize(&file) {
            Ok(file) => Ok(Some(file)),
            Err(_) => Ok(Some(fs::canonicalize(parent(&file))?.join(file.file_name().unwrap_or_default()))),
        },
    };
    find().map_err(|e| Error::io("write the file", path, &e))
}

fn place(path: &Path) -> io::Result<Place> {
    let written = path.as_os_str().as_encoded_bytes();
    if written.is_empty() {
        return Err(io::Error::new(ErrorKind::NotFound, "the path is empty"));
    }
    if written.last().is_some_and(|&last| std::path::is_separator(char::from(last))) {
        return Err(ErrorKind::IsADirectory.into());
    }
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return follow(path).map(Place::File),
        Err(error) => return Err(error),
    };
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if is_standard_output(&found) {
        return Ok(Place::StandardOutput);
    }
    if !found.is_file() {
        return writable_stream(&found).map(|()| Place::Direct(path.to_owned()));
    }
    if found.permissions().readonly() {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "the file is read-only"));
    }
    // A file that is open elsewhere may have lost its name (`/dev/fd/3`).
    Ok(fs::canonicalize(path).map_or_else(|_| Place::Direct(path.to_owned()), Place::File))
}

/// Follows links that end at nothing.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

#[cfg(unix)]
fn is_standard_output(found: &Metadata) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let out = io::stdout().as_fd().try_clone_to_owned().and_then(|out| File::from(out).metadata());
    let same = out.is_ok_and(|out| (out.dev(), out.ino()) == (found.dev(), found.ino()));
    // A device such as a terminal is opened by its own name.
    same && !found.file_type().is_char_device()
}

#[cfg(not(unix))]
fn is_standard_output(_: &Metadata) -> bool {
    false
}

/// Writes go into pipes and character devices. They would destroy what is on a block device.
#[cfg(unix)]
fn writable_stream(found: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match found.file_type() {
        kind if kind.is_block_device() => Err(io::Error::new(ErrorKind::InvalidInput, "it is a block device")),
        kind if kind.is_socket() => Err(io::Error::new(ErrorKind::InvalidInput, "it is a socket")),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn writable_stream(_: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Puts a new file in the place of `path`, with the permissions of the old one.
fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let fill = |file: &mut File| {
        file.write_all(bytes)?;
        if durability == Durability::Synced { file.sync_all() } else { Ok(()) }
    };
    let mut new = match temporary_beside(path) {
        Ok(new) => new,
        // The file may be writable where its folder is not.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && path.is_file() => {
            return write_into(path, bytes).map_err(|_| error);
        }
        Err(error) => return Err(error),
    };
    fill(new.as_file_mut())?;
    if let Ok(old) = fs::metadata(path) {
        new.as_file().set_permissions(old.permissions())?;
    }
    match new.persist(path) {
        Ok(_) => Ok(()),
        // A file that is mounted on its own, as into a container, cannot be replaced.
        Err(error) if error.error.kind() == ErrorKind::ResourceBusy => write_into(path, bytes),
        Err(error) => Err(error.error),
    }
}

fn write_into(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open_to_write(path)?;
    file.write_all(bytes)?;
    file.flush()
}

/// Opens a file, a device or a pipe. A pipe is opened when it has a reader.
#[cfg(unix)]
fn open_to_write(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
    use std::time::Duration;

    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::io::Errno;

    if !fs::metadata(path)?.file_type().is_fifo() {
        return OpenOptions::new().write(true).truncate(true).open(path);
    }
    // A signal does not end the system's own waiting.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    loop {
        match OpenOptions::new().write(true).custom_flags(flags).open(path) {
            Ok(pipe) => {
                fcntl_setfl(&pipe, OFlags::empty())?;
                return Ok(pipe);
            }
            Err(error) if error.raw_os_error() != Some(Errno::NXIO.raw_os_error()) => return Err(error),
            Err(_) if ENDING.get().is_some_and(|ending| ending()) => {
                return Err(io::Error::other("nobody reads from the pipe"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(not(unix))]
fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).truncate(true).open(path)
}

/// A temporary file in the folder of `path`, so that renaming it does not cross file systems.
fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).rand_bytes(RANDOM);
    // The default of temporary files is access by the owner only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(parent(path)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::new(error.kind(), format!("there is no folder {}", parent(path).display())),
        // The cause alone: nobody knows the name of the temporary file.
        kind => {
            let whole = error.to_string();
            io::Error::new(kind, whole.split(" at path ").next().unwrap_or(&whole).to_owned())
        }
    })
}

/// Whether a file has the name of a temporary one. A process that was killed leaves it.
pub(crate) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(TEMPORARY));
    name.is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        write(&path, b"old").unwrap();
        write_with(&path, b"new", Durability::Fast).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        write_json(&path, &[1]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[\n  1\n]\n");
        assert!(write(&dir.path().join("none/x.json"), b"").is_err());
        assert!(write(dir.path(), b"").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file is left");
    }

    #[test]
    fn the_parent_is_checked_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        check_parent(&dir.path().join("x")).unwrap();
        assert!(check_parent(&dir.path().join("none/x")).unwrap_err().to_string().contains("none"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_check_refuses_what_a_write_would() {
        let dir = tempfile::tempdir().unwrap();
        let read_only = dir.path().join("read-only");
        fs::write(&read_only, b"kept").unwrap();
        let mut permissions = fs::metadata(&read_only).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&read_only, permissions).unwrap();
        let slash = PathBuf::from(format!("{}/new/", dir.path().display()));
        let long = dir.path().join("x".repeat(1000));
        for bad in [Path::new(""), dir.path(), &dir.path().join("none/x"), &slash, &long, &read_only] {
            check(bad).unwrap_err();
            write(bad, b"new").unwrap_err();
        }
        check(&dir.path().join("good")).unwrap();
        assert_eq!(fs::read(&read_only).unwrap(), b"kept");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a file was made");
    }

    #[test]
    fn what_is_there_is_not_created_again() {
        let dir = tempfile::tempdir().unwrap();
        let temporary = temporary_beside(&dir.path().join("x")).unwrap();
        assert!(is_temporary(temporary.path()) && !is_temporary(Path::new(".hawk-notes")));
        drop(temporary);
        let path = dir.path().join("x");
        assert_eq!(create(&path, b"first").unwrap(), Created::Written);
        assert_eq!(create(&path, b"second").unwrap(), Created::Taken);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_files_keep_their_permissions() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("inner")).unwrap();
        fs::write(path("inner/real"), b"old").unwrap();
        fs::set_permissions(path("inner/real"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("inner/real", path("link")).unwrap();
        symlink("link", path("chain")).unwrap();
        symlink("inner/new", path("dangling")).unwrap();
        symlink("loop", path("loop")).unwrap();
        for (link, real) in [("link", "inner/real"), ("chain", "inner/real"), ("dangling", "inner/new")] {
            assert_eq!(replaced_file(&path(link)).unwrap(), replaced_file(&path(real)).unwrap());
            check(&path(link)).unwrap();
            write(&path(link), link.as_bytes()).unwrap();
            assert!(path(link).is_symlink(), "{link}");
            assert_eq!(fs::read(path(real)).unwrap(), link.as_bytes());
        }
        assert_eq!(fs::metadata(path("inner/real")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(check(&path("loop")).is_err() && write(&path("loop"), b"").is_err());
        assert_eq!(create(&path("loop"), b"").unwrap(), Created::Taken);
        assert_ne!(replaced_file(&path("link")).unwrap(), replaced_file(&path("inner/new")).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn pipes_are_written_into_and_sockets_refused() {
        use std::io::Read;
        use std::os::unix::fs::FileTypeExt;
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        check(&fifo).unwrap();
        assert_eq!(replaced_file(&fifo).unwrap(), None);
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || {
                let mut bytes = Vec::new();
                File::open(fifo).unwrap().read_to_end(&mut bytes).unwrap();
                bytes
            }
        });
        write(&fifo, b"through the pipe").unwrap();
        assert_eq!(reader.join().unwrap(), b"through the pipe");
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
        let socket = dir.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(check(&socket).is_err() && write(&socket, b"").is_err());
        assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    }
}
