//! Servers of plain files of known size, such as registries of packages.

use std::io::Read;
use std::time::SystemTime;

use hawk_files::{Error, Result};

use crate::address::{self, Proxy};
use crate::answer::{Answer, Refusal, continues, meaning, retry_after};
use crate::event::Event;
use crate::http::{Asked, Http, Response, header};
use crate::patience::{Failure, Outcome, Patience, persist};
use crate::settings::proxy_from_env;

/// Attempts at a file that the server refuses.
const REFUSED_ATTEMPTS: u32 = 2;

/// A server of plain files.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address, without a slash at the end.
    pub address: String,
    /// The way to it; direct where none.
    pub proxy: Option<Proxy>,
    /// How long it is borne with.
    pub patience: Patience,
}

impl Server {
    /// A server, reached as the environment says: `HTTPS_PROXY` or `HTTP_PROXY` by its scheme, else
    /// `ALL_PROXY`; `NO_PROXY`.
    ///
    /// # Errors
    /// The address is none of a server, or a variable has a value that is none of its kind.
    pub fn from_env(address: &str) -> Result<Self> {
        let address = address::endpoint(address)?;
        Ok(Self { proxy: proxy_from_env(&address)?, patience: Patience::default(), address })
    }

    /// Fetches the file at `path`. Servers that fail, stall or limit requests are asked again, and an
    /// answer that breaks off is continued. Nothing is read beyond `bytes` and one more: whether they
    /// are the wanted ones is for the caller to say.
    ///
    /// # Errors
    /// The file cannot be fetched.
    pub fn fetch(&self, path: &str, bytes: u64, progress: &mut dyn FnMut(Event<'_>)) -> Result<Vec<u8>> {
        let address = format!("{}/{path}", self.address);
        let http = Http::new(self.proxy.as_ref(), &self.patience);
        let mut download = Download { server: self, http, address, most: bytes.saturating_add(1), arrived: Vec::new() };
        persist(&self.patience, progress, &mut |progress| download.attempt(progress))?;
        Ok(download.arrived)
    }
}

struct Download<'a> {
    server: &'a Server,
    http: Http,
    address: String,
    /// Bytes that are read.
    most: u64,
    arrived: Vec<u8>,
}

impl Download<'_> {
    fn attempt(&mut self, progress: &mut dyn FnMut(Event<'_>)) -> Result<Outcome<()>> {
        let from = self.arrived.len() as u64;
        let asked = Asked { address: &self.address, from, token: None, limit: None };
        let answer = match self.http.get(&asked) {
            Ok(answer) => answer,
            Err(unanswered) if unanswered.may_pass => return Ok(Outcome::Failed(self.broken(&unanswered.why))),
            Err(unanswered) => return Err(self.unreachable(&unanswered.why)),
        };
        match meaning(answer.status().as_u16(), None) {
            Answer::Whole => self.arrived.clear(),
            Answer::Part if part_continues(&answer, from) => {}
            Answer::Part | Answer::NoRange => {
                self.arrived.clear();
                return Ok(Outcome::Failed(self.broken("the server has no such part of the file")));
            }
            _ => return self.refusal(&answer).map(Outcome::Failed),
        }
        let mut body = answer.into_body().into_reader().take(self.most - self.arrived.len() as u64);
        let ended = loop {
            let mut buffer = [0; 1 << 14];
            match body.read(&mut buffer) {
                Ok(0) => return Ok(Outcome::Done(())),
                Ok(read) => {
                    self.arrived.extend(&buffer[..read]);
                    progress(Event::BytesReceived(read as u64));
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => break self.http.reason_of_io(&e),
            }
        };
        Ok(Outcome::Failed(Failure { brought: self.arrived.len() as u64 > from, ..self.broken(&ended) }))
    }

    fn broken(&self, why: &str) -> Failure {
        Failure::new(why, self.unreachable(why))
    }

    fn unreachable(&self, why: &str) -> Error {
        let proxy = self.server.proxy.as_ref().filter(|proxy| proxy.serves(&self.server.address));
        let by = proxy.map_or(String::new(), |proxy| format!(" by the proxy {}", proxy.place()));
        Error::environment(format!("the server cannot be reached{by}: {why}")).at(&self.address)
    }

    /// What a status other than success means.
    ///
    /// # Errors
    /// Another attempt would get the same answer.
    fn refusal(&self, answer: &Response) -> Result<Failure> {
        let status = answer.status().as_u16();
        let asked = header(answer, "retry-after").and_then(|text| retry_after(text, SystemTime::now()));
        let wait = asked.map_or(String::new(), |asked| format!(", asks to wait {} s", asked.as_secs()));
        let failure = |why: String| {
            let error = Error::environment(why.clone()).at(&self.address);
            Ok(Failure { asked, ..Failure::new(why, error) })
        };
        match meaning(status, None) {
            Answer::Limit => failure(format!("the server limits requests ({status}){wait}")),
            Answer::Trouble => failure(format!("the server answers {status}{wait}")),
            Answer::Refused(Refusal::Store) => {
                let failure = failure(format!("the server refuses the file ({status})"))?;
                Ok(Failure { most: Some(REFUSED_ATTEMPTS), ..failure })
            }
            Answer::NoRepository if status == 404 => {
                Err(Error::environment("the server has no such file (404)").at(&self.address))
            }
            _ => Err(Error::environment(format!("the server answers {status}")).at(&self.address)),
        }
    }
}

/// Whether a part begins where it was asked to, whatever the size of the file.
fn part_continues(answer: &Response, from: u64) -> bool {
    let range = header(answer, "content-range");
    let whole = range.and_then(|range| range.rsplit_once('/')).and_then(|(_, whole)| whole.trim().parse().ok());
    from > 0 && continues(range, from, whole.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    /// A server that gives these answers in turn, and then none; the requests that it got.
    fn serve(answers: Vec<String>) -> (Server, std::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (send, got) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let mut stream = listener.accept().unwrap().0;
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(std::result::Result::ok);
                let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                send.send(lines.join("\n").to_lowercase()).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let pause = Duration::from_millis(1);
        let patience = Patience { stall: Duration::from_secs(20), attempts: 3, pause, longest_pause: pause };
        (Server { address, proxy: None, patience }, got)
    }

    /// An answer with a body of which `missing` bytes do not arrive.
    fn answer(head: &str, body: &str, missing: usize) -> String {
        let length = body.len() + missing;
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    fn fetch(server: &Server) -> (Result<Vec<u8>>, Vec<String>) {
        let mut told = Vec::new();
        let fetched = server.fetch("a/b.tgz", 10, &mut |event| {
            if let Event::Retrying { why, .. } = event {
                told.push(why.to_owned());
            }
        });
        (fetched, told)
    }

    #[test]
    fn what_breaks_off_is_continued_and_does_not_count() {
        let part = |range: &str| format!("206 Part\r\nContent-Range: bytes {range}");
        let (server, got) = serve(vec![
            answer("503 Busy", "", 0),
            answer("200 OK", "012", 7),
            answer(&part("3-9/10"), "34", 5),
            answer("429 Many\r\nRetry-After: 0", "", 0),
            answer(&part("5-9/10"), "5", 4),
            answer(&part("6-9/10"), "6789", 0),
        ]);
        let (fetched, told) = fetch(&server);
        assert_eq!(fetched.unwrap(), b"0123456789");
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told[0].contains("503") && told[3].contains("limits requests (429)"), "{told:?}");
        let asked: Vec<String> = got.try_iter().collect();
        assert!(asked.iter().all(|request| request.starts_with("get /a/b.tgz ")), "{asked:?}");
        for (request, range) in asked.iter().zip([None, None, Some(3), Some(5), Some(5), Some(6)]) {
            let wanted = range.map_or(String::new(), |from| format!("range: bytes={from}-"));
            assert_eq!(request.contains("range:"), range.is_some(), "{asked:?}");
            assert!(request.contains(&wanted), "{asked:?}");
        }
    }

    #[test]
    fn a_server_without_ranges_sends_the_whole_file_again() {
        let (server, _got) = serve(vec![answer("200 OK", "012", 7), answer("200 OK", "abcdefghijKLM", 0)]);
        assert_eq!(fetch(&server).0.unwrap(), b"abcdefghijK", "one byte more than there are");
        let wrong = "206 Part\r\nContent-Range: bytes 0-9/10";
        let (server, _got) =
            serve(vec![answer("200 OK", "012", 7), answer(wrong, "0123456789", 0), answer("200 OK", "0123456789", 0)]);
        assert_eq!(fetch(&server).0.unwrap(), b"0123456789");
    }

    #[test]
    fn what_does_not_change_is_asked_for_once() {
        for (head, words, asked) in [
            ("404 None", "no such file", 1),
            ("418 Teapot", "answers 418", 1),
            ("403 No", "refuses the file (403)", 2),
            ("500 Oh", "answers 500", 3),
            ("503 Busy\r\nRetry-After: 3600", "asks to wait 3600 s", 1),
        ] {
            let (server, got) = serve(vec![answer(head, "", 0); asked]);
            let error = fetch(&server).0.unwrap_err();
            assert_eq!(error.fault(), hawk_files::Fault::Environment);
            let message = error.to_string();
            assert!(message.contains(words) && message.contains("/a/b.tgz"), "{message}");
            assert_eq!(got.try_iter().count(), asked, "{head}");
        }
        assert!(Server::from_env("no address").is_err());
        assert_eq!(Server::from_env("https://registry.npmjs.org/").unwrap().address, "https://registry.npmjs.org");
    }
}
