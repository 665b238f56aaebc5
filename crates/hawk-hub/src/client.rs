//! The hub's HTTP interface: a revision's list of files, and requests for the files themselves.

use std::io::Read;
use std::time::{Duration, SystemTime};

use hawk_files::{Error, Result};

use crate::address::percent_encoded;
use crate::answer::{Answer, Refusal, meaning, retry_after};
use crate::event::Event;
use crate::http::{Asked, Http, Response, Unanswered, header};
use crate::listing::Listing;
use crate::patience::{Failure, Outcome, persist};
use crate::repository::Repository;
use crate::settings::Settings;

/// The largest list of files that is read.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// The whole list must have arrived after so many times the longest time without a byte.
const LIST_STALLS: u32 = 10;
/// Attempts at a file that a store refuses: its address is signed, and the signature may have run out.
const REFUSED_ATTEMPTS: u32 = 2;
/// What repeats most failures.
const RESUMES: &str = "the same command resumes";

pub(crate) struct Client<'a> {
    repository: &'a Repository,
    pub(crate) settings: &'a Settings,
    pub(crate) http: Http,
}

impl<'a> Client<'a> {
    pub(crate) fn new(repository: &'a Repository, settings: &'a Settings) -> Self {
        let http = Http::new(settings.proxy.as_ref(), &settings.patience);
        Self { repository, settings, http }
    }

    /// Asks for the bytes from `from` on.
    ///
    /// # Errors
    /// The request cannot succeed, however often it is sent.
    pub(crate) fn get(&self, address: &str, from: u64, limit: Option<Duration>) -> Result<Outcome<Response>> {
        let token = self.settings.token.as_deref();
        match self.http.get(&Asked { address, from, token, limit }) {
            Ok(answer) => Ok(Outcome::Done(answer)),
            Err(Unanswered { why, may_pass: true }) => Ok(Outcome::Failed(self.broken(&why))),
            Err(Unanswered { why, .. }) => Err(self.unreachable(&why)),
        }
    }

    /// The files of the revision.
    pub(crate) fn listing(&self, progress: &mut dyn FnMut(Event<'_>)) -> Result<Listing> {
        let (name, revision) = (self.repository.name(), percent_encoded(self.repository.revision()));
        let address = format!("{}/api/models/{name}/revision/{revision}?blobs=true", self.settings.endpoint);
        let bytes = persist(&self.settings.patience, progress, &mut |_| {
            let limit = self.settings.patience.stall.saturating_mul(LIST_STALLS);
            let answer = match self.get(&address, 0, Some(limit))? {
                Outcome::Done(answer) => answer,
                Outcome::Failed(failure) => return Ok(Outcome::Failed(failure)),
            };
            if kind(&answer) != Answer::Whole {
                return self.refusal(&answer, "the list of files").map(Outcome::Failed);
            }
            let mut bytes = Vec::new();
            let read = answer.into_body().into_reader().take(MAX_LIST_BYTES).read_to_end(&mut bytes);
            Ok(match read {
                Ok(_) => Outcome::Done(bytes),
                Err(e) => Outcome::Failed(self.broken(&self.http.reason_of_io(&e))),
            })
        })?;
        Listing::from_json(&bytes).map_err(|e| e.at(address))
    }

    /// The address of a file.
    pub(crate) fn file(&self, name: &str, commit: &str) -> String {
        let name: Vec<String> = name.split('/').map(percent_encoded).collect();
        format!("{}/{}/resolve/{commit}/{}", self.settings.endpoint, self.repository.name(), name.join("/"))
    }

    /// A connection that failed or broke off.
    pub(crate) fn broken(&self, why: &str) -> Failure {
        Failure::new(why, self.unreachable(why))
    }

    fn unreachable(&self, why: &str) -> Error {
        let proxy = self.settings.proxy.as_ref().filter(|proxy| proxy.serves(&self.settings.endpoint));
        let by = proxy.map_or(String::new(), |proxy| format!(" by the proxy {}", proxy.place()));
        Error::environment(format!("the hub cannot be reached{by}: {why}"))
            .at(&self.settings.endpoint)
            .hint(format!("{RESUMES}; HF_ENDPOINT names another hub; HF_HUB_OFFLINE=1 uses what was pulled before"))
    }

    /// What a status other than success means for `subject`, the list of files or one of them.
    ///
    /// # Errors
    /// Another attempt would get the same answer.
    pub(crate) fn refusal(&self, answer: &Response, subject: &str) -> Result<Failure> {
        let (repository, status) = (self.repository, answer.status().as_u16());
        let page = format!("{}/{}", self.settings.endpoint, repository.name());
        let (account, login) = match self.settings.token {
            Some(_) => ("with the account of your token", "does the account of your token have access?"),
            None => ("and set HF_TOKEN to a token of your account", "set HF_TOKEN to a token of your account"),
        };
        let asked = header(answer, "retry-after").and_then(|text| retry_after(text, SystemTime::now()));
        let wait = asked.map_or(String::new(), |asked| format!(", asks to wait {} s", asked.as_secs()));
        let failure = |why: String, hint: &str| {
            let error = Error::environment(why.clone()).at(&page).hint(hint);
            Ok(Failure { asked, ..Failure::new(why, error) })
        };
        match kind(answer) {
            Answer::Gated => Err(Error::environment("the repository is gated: its owner asks you to accept its terms")
                .at(repository)
                .hint(format!("accept them at {page} {account}"))),
            Answer::NoRevision => {
                Err(Error::input("the repository has no such revision").at(repository).got(repository.revision()))
            }
            Answer::NoRepository => Err(Error::input("no such repository, or it is private")
                .at(repository)
                .hint(format!("look at {page}; for a private one {login}"))),
            Answer::NoFile => Err(Error::environment(format!("the hub lists {subject} and has no such file"))
                .at(repository)
                .hint("was the repository changed just now? the same command asks for the list again")),
            Answer::Refused(Refusal::Hub) => {
                let reason = header(answer, "x-error-message").unwrap_or("it gives no reason");
                Err(Error::environment(format!("the hub refuses {subject} ({status}): {reason}"))
                    .at(repository)
                    .hint(login))
            }
            Answer::Refused(Refusal::Store) => {
                let failure = failure(format!("the server refuses {subject} ({status})"), login)?;
                Ok(Failure { most: Some(REFUSED_ATTEMPTS), ..failure })
            }
            Answer::Limit => {
                let why = format!("the hub limits requests: it refuses {subject} ({status}){wait}");
                let token = "a token in HF_TOKEN raises the limit";
                let later = format!("{RESUMES} after that time");
                let hint = if self.settings.token.is_some() { later } else { format!("{later}; {token}") };
                failure(why, &hint)
            }
            Answer::Trouble => {
                failure(format!("the server answers {status} to {subject}{wait}"), "the same command resumes later")
            }
            _ => Err(Error::environment(format!("the server answers {status} to {subject}")).at(&page)),
        }
    }
}

/// What kind of answer it is.
pub(crate) fn kind(answer: &Response) -> Answer {
    meaning(answer.status().as_u16(), header(answer, "x-error-code"))
}
