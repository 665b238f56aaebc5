//! The server: it listens, and stops when it is told to.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use hawk::{Engine, Error, MAX_BATCH, Result};
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::api::images::Peer;
use crate::api::routes::router;
use crate::api::state::{Service, now};
use crate::api::{document, models};
use crate::decode::scheduler::{Plan, Scheduler};
use crate::metrics::Metrics;
use crate::settings::{MAX_IMAGES, MAX_TREE_NODES, Settings};

/// Most connections at once. Others wait.
const CONNECTIONS: usize = 1024;
/// Time that a client has to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Time that clients have to read why their request was given up.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Time between two questions whether to stop.
const ASK: Duration = Duration::from_millis(50);
/// Pause after the system has refused a connection: it has no more of them.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that has not begun to listen.
pub struct Server {
    service: Arc<Service>,
    router: Router,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All requests were finished.
    Finished,
    /// Requests were given up: they had not finished in the time that they had.
    GivenUp,
}

impl Server {
    /// Plans the memory of the passes and starts the threads that decode.
    ///
    /// # Errors
    /// A setting is out of range, or memory does not suffice for one image.
    pub fn new(engine: Arc<Engine>, settings: Settings) -> Result<Self> {
        check(&settings)?;
        let metrics = Arc::new(Metrics::new());
        let (document, model) = (document::of(&engine, &settings)?, models::for_page(&engine, &settings)?);
        let scheduler = Scheduler::start(Plan {
            engine: Arc::clone(&engine),
            model: settings.model.clone(),
            slots: settings.slots,
            nodes: MAX_TREE_NODES,
            queue: settings.queue,
            metrics: Arc::clone(&metrics),
        })?;
        let colours = OnceLock::new();
        let service = Service { engine, scheduler, settings, metrics, document, model, colours, started: now() };
        let service = Arc::new(service);
        Ok(Self { router: router(&service)?, service })
    }

    /// Most images in a pass: fewer than in the settings where memory is short.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.service.scheduler.slots()
    }

    /// Answers requests until `stop` is true, which is asked 20 times a second. Then it takes no more, and gives those that it has the
    /// time of the settings to finish.
    ///
    /// # Errors
    /// The listener cannot be used, the system has no threads, or the decoding has ended by a fault.
    pub fn run(self, listener: TcpListener, stop: impl Fn() -> bool) -> Result<Ended> {
        let failed = |doing: &str, e: std::io::Error| Error::environment(format!("cannot {doing}: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| failed("start the server", e))?;
        listener.set_nonblocking(true).map_err(|e| failed("listen", e))?;
        let ended = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(|e| failed("listen", e))?;
            Ok(self.serve(listener, stop).await)
        });
        self.service.scheduler.give_up();
        if self.service.scheduler.join() {
            ended
        } else {
            Err(Error::environment("the decoding thread has failed").hint("this is a fault of hawk; please report it"))
        }
    }

    async fn serve(&self, listener: tokio::net::TcpListener, stop: impl Fn() -> bool) -> Ended {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
        let mut stopped = pin!(self.stopped(stop));
        loop {
            let accepted = async {
                // Closed by nobody.
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                () = &mut stopped => break,
                accepted = accepted => accepted,
            };
            let Ok((stream, address)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            // Events are small and must not wait for each other.
            let _ = stream.set_nodelay(true);
            let connection = graceful.watch(self.connection(&http, stream, address));
            tokio::spawn(async move {
                // A client that goes away is no failure.
                let _ = connection.await;
                drop(place);
            });
        }
        drop(listener);
        self.service.scheduler.finish();
        let mut finished = pin!(graceful.shutdown());
        if tokio::time::timeout(self.service.settings.grace, &mut finished).await.is_ok() {
            return Ended::Finished;
        }
        self.service.scheduler.give_up();
        let _ = tokio::time::timeout(LAST_WORDS, finished).await;
        Ended::GivenUp
    }

    fn connection(
        &self,
        http: &http1::Builder,
        stream: TcpStream,
        address: SocketAddr,
    ) -> impl GracefulConnection<Error = hyper::Error> + Send + use<> {
        let routes = TowerToHyperService::new(self.router.clone());
        let peer = Peer(address.ip().to_string());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer.clone());
            routes.call(request)
        });
        http.serve_connection(TokioIo::new(stream), service)
    }

    /// Waits until the server is told to stop, or the decoding has ended by a fault: a server that cannot
    /// draw does not go on.
    async fn stopped(&self, stop: impl Fn() -> bool) {
        while !stop() && !self.service.scheduler.ended() {
            tokio::time::sleep(ASK).await;
        }
    }
}

fn check(settings: &Settings) -> Result<()> {
    let wrong = |field: &str, expected: String, got: usize| {
        Err(Error::input("invalid setting").at(field).expected(expected).got(got))
    };
    if !(1..=MAX_BATCH).contains(&settings.slots) {
        return wrong("slots", format!("1 to {MAX_BATCH} images in a pass"), settings.slots);
    }
    if settings.queue < MAX_IMAGES as usize {
        return wrong(
            "queue",
            format!("at least {MAX_IMAGES} images, as many as a request may ask for"),
            settings.queue,
        );
    }
    if settings.prompt_bytes == 0 {
        return wrong("prompt_bytes", "at least 1 byte".to_owned(), 0);
    }
    match settings.decoding.shape().nodes() {
        nodes if nodes > MAX_TREE_NODES => wrong("tree", format!("at most {MAX_TREE_NODES} nodes"), nodes),
        _ => Ok(()),
    }
}
