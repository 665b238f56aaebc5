//! A file of the hub into its blob. What arrived before an interruption is kept, whatever interrupted it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawk_files::{Error, Result};

use crate::answer::{Answer, continues};
use crate::client::{Client, kind};
use crate::digest::{length, mismatch};
use crate::event::Event;
use crate::http::{Response, header};
use crate::listing::Sibling;
use crate::lock::Lock;
use crate::patience::{Failure, Outcome, persist};

/// The file of an unfinished download, as the `huggingface_hub` package names it.
pub(crate) fn partial(blob: &Path) -> PathBuf {
    blob.with_extension("incomplete")
}

/// Fetches a file into its blob, which another process must not do at the same time: `lock` is for that.
///
/// # Errors
/// The file cannot be fetched or written, or arrives damaged.
pub(crate) fn fetch(
    client: &Client<'_>,
    target: &Target<'_>,
    lock: &Lock,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<()> {
    let own = match lock {
        Lock::Held { .. } => None,
        Lock::Unavailable => {
            let (dir, failed) = (target.blob.parent().unwrap_or(target.blob), target.failed("write the file"));
            let mut builder = tempfile::Builder::new();
            shared(builder.suffix(".incomplete"));
            Some(builder.tempfile_in(dir).map_err(failed)?.into_temp_path())
        }
    };
    let part = own.as_ref().map_or_else(|| partial(target.blob), |own| own.to_path_buf());
    let resumed = length(&part) > 0;
    let mut download = Download { client, target, part: &part, whole: false, answers: u32::from(resumed) };
    let mut anew = false;
    loop {
        persist(&client.settings.patience, progress, &mut |progress| download.attempt(progress))?;
        let Some(damage) = mismatch(target.file, &part)? else { break };
        fs::remove_file(&part).map_err(target.failed("remove the damaged file"))?;
        let name = &target.file.rfilename;
        if anew || download.answers < 2 {
            return Err(Error::environment("a file arrived damaged and was deleted")
                .at(name)
                .expected(damage.expected)
                .got(damage.got)
                .hint("the same command fetches it again"));
        }
        // Parts of several answers, which may not be of one file.
        let why = format!("the parts of {name} do not fit together; it is fetched anew");
        progress(Event::Retrying { why: &why, pause: Duration::ZERO });
        anew = true;
    }
    fs::rename(&part, target.blob).map_err(target.failed("put the file in place"))
}

/// Lets the users who share a cache read a temporary file that stays in it.
pub(crate) fn shared<'b, 'p, 's>(builder: &'b mut tempfile::Builder<'p, 's>) -> &'b mut tempfile::Builder<'p, 's> {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// What is fetched, and where to.
pub(crate) struct Target<'a> {
    pub(crate) file: &'a Sibling,
    /// Its address.
    pub(crate) address: &'a str,
    pub(crate) blob: &'a Path,
}

impl Target<'_> {
    fn failed(&self, doing: &'static str) -> impl Fn(std::io::Error) -> Error {
        move |e| {
            let error = Error::io(doing, self.blob, &e);
            match e.kind() {
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    error.hint("HF_HUB_CACHE names another folder for the cache")
                }
                _ => error,
            }
        }
    }
}

struct Download<'a> {
    client: &'a Client<'a>,
    target: &'a Target<'a>,
    part: &'a Path,
    /// Whether the server is asked for the whole file, since it does not send the part that it is asked for.
    whole: bool,
    /// Answers that wrote into the part.
    answers: u32,
}

impl Download<'_> {
    /// Fetches what is missing of the part.
    fn attempt(&mut self, progress: &mut dyn FnMut(Event<'_>)) -> Result<Outcome<()>> {
        let (bytes, failed) = (self.target.file.bytes()?, self.target.failed("write the file"));
        let mut out = File::options().create(true).truncate(false).write(true).open(self.part).map_err(&failed)?;
        let mut there = length(self.part);
        if there > bytes {
            out.set_len(0).map_err(&failed)?;
            there = 0;
        }
        if there == bytes {
            return Ok(Outcome::Done(()));
        }
        let from = if self.whole { 0 } else { there };
        let answer = match self.client.get(self.target.address, from, None)? {
            Outcome::Done(answer) => answer,
            Outcome::Failed(failure) => return Ok(Outcome::Failed(failure)),
        };
        let start = match self.start(&answer, from, bytes) {
            Ok(start) => start,
            Err(refused) => return refused.map(Outcome::Failed),
        };
        out.seek(SeekFrom::Start(start)).map_err(&failed)?;
        self.answers += 1;
        let ended = self.receive(answer, &mut out, &mut Span { at: start, known: there, bytes }, progress)?;
        out.sync_all().map_err(&failed)?;
        let arrived = length(self.part);
        let why = match ended {
            _ if arrived == bytes => return Ok(Outcome::Done(())),
            Some(why) => why,
            None => format!("the connection ended after {arrived} of {bytes} bytes"),
        };
        Ok(Outcome::Failed(Failure { brought: arrived > there, ..self.client.broken(&why) }))
    }

    /// The byte at which an answer begins.
    ///
    /// # Errors
    /// It brings nothing that can be used: a failure that may pass, or an error.
    fn start(&mut self, answer: &Response, from: u64, bytes: u64) -> std::result::Result<u64, Result<Failure>> {
        let name = &self.target.file.rfilename;
        match kind(answer) {
            Answer::Part if from > 0 => {
                let range = header(answer, "content-range");
                if continues(range, from, bytes) {
                    return Ok(from);
                }
                self.whole = true;
                let range = range.unwrap_or("a part");
                Err(Ok(self.client.broken(&format!("the server sent {range:?} of {name} instead of byte {from} on"))))
            }
            // The server knows no ranges: from the beginning. It may also be another file, such as a page of a network
            // that asks for a login.
            Answer::Whole => match header(answer, "content-length").and_then(|length| length.trim().parse().ok()) {
                Some(length) if length != bytes => {
                    let why = format!("the server sent {length} bytes for {name}, which has {bytes} in the hub's list");
                    Err(Ok(self.client.broken(&why)))
                }
                Some::<u64>(_) | None => Ok(0),
            },
            Answer::NoRange => {
                self.whole = true;
                Err(Ok(self.client.broken(&format!("the server has no byte {from} of {name}"))))
            }
            _ => Err(self.client.refusal(answer, name)),
        }
    }

    /// Writes what an answer brings. Returns why it broke off, none at its end.
    fn receive(
        &self,
        answer: Response,
        out: &mut File,
        span: &mut Span,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<String>> {
        // What a server sends beyond the size in the list is not of the file; the digest decides about the rest.
        let mut body = answer.into_body().into_reader().take(span.bytes - span.at);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => {
                    out.write_all(&buffer[..read]).map_err(self.target.failed("write the file"))?;
                    span.at += read as u64;
                    if span.at > span.known {
                        progress(Event::BytesReceived(span.at - span.known));
                        span.known = span.at;
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Ok(Some(self.client.http.reason_of_io(&e))),
            }
        }
    }
}

/// Where in a file an answer is written.
struct Span {
    /// The next byte.
    at: u64,
    /// Bytes from the start that are there.
    known: u64,
    /// Bytes of the file.
    bytes: u64,
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;
    use crate::patience::Patience;
    use crate::settings::Settings;

    #[test]
    fn a_cache_without_locks_gets_a_file_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(std::result::Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n").unwrap();
        });
        let dir = tempfile::tempdir().unwrap();
        let blob = dir.path().join("x");
        // What another process writes at the same time.
        fs::write(partial(&blob), "hel").unwrap();
        let (cache, patience) = (dir.path().to_owned(), Patience::default());
        let settings = Settings { endpoint, cache, token: None, offline: false, proxy: None, patience };
        let repository = "a/b".parse().unwrap();
        let client = Client::new(&repository, &settings);
        // `printf 'hello\n' | git hash-object --stdin`
        let id = Some("ce013625030ba8dba906f756967f9e9ca394464a".to_owned());
        let file = Sibling { rfilename: "x".to_owned(), size: Some(6), blob: id, lfs: None };
        let address = client.file("x", "abc");
        let target = Target { file: &file, address: &address, blob: &blob };
        fetch(&client, &target, &Lock::Unavailable, &mut |_| {}).unwrap();
        assert_eq!(fs::read_to_string(&blob).unwrap(), "hello\n");
        assert_eq!(fs::read_to_string(partial(&blob)).unwrap(), "hel");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
