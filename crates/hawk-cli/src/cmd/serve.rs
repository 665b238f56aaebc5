//! `hawk serve`: images over HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hawk::{Error, ImageSize, Result};
use hawk_server::{ApiKeys, Cors, Ended, Server, Settings};

use crate::args::{DecodingArgs, DeviceArgs, LoadArgs, image_size};
use crate::output::{note, say};
use crate::{inputs, interrupt, tuning};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk serve                                    # then open http://127.0.0.1:8484 in a browser
  hawk serve --port 9000 --model Janus-Pro-1B --precision int8
  hawk serve --host 0.0.0.0 --keys keys.txt --batch 16

  curl http://127.0.0.1:8484/v1/images/generations -H 'content-type: application/json' \\
    -d '{\"prompt\": \"red apple, fluent 3d style\", \"seed\": 5}'

The OpenAI client works with base_url http://127.0.0.1:8484/v1. GET /openapi.json lists all fields.
The image of a seed is that of `hawk generate`, whatever else is drawn at the same time.
Ctrl-C and SIGTERM let requests finish; a second signal ends the program at once.")]
pub(crate) struct ServeArgs {
    /// Address to listen on; 0.0.0.0 = all of this machine
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 = any free one, which is printed
    #[arg(long, value_name = "P", default_value_t = 8484)]
    port: u16,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Image size in pixels, for models with several sizes [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = image_size)]
    size: Option<ImageSize>,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    limits: Limits,
    /// File with one API key per line, which clients must show [default: no keys]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Website that may use the server from a browser, such as https://example.org; repeatable
    #[arg(long, value_name = "ORIGIN")]
    cors: Vec<String>,
}

/// Bounds of requests.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Most images that share a target pass, 1 to 64; fewer where memory is short
    #[arg(long, value_name = "B", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    batch: u8,
    /// Most images that wait, at least 10; then requests get status 429
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    queue: u32,
    /// Longest prompt in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    max_prompt: u32,
    /// Seconds after which a request is given up
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    deadline: u32,
    /// Seconds that requests have to finish when the server stops
    #[arg(long, value_name = "S", default_value_t = 10)]
    grace: u32,
}

pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let keys = match &args.keys {
        Some(file) => read_keys(file)?,
        None => ApiKeys::none(),
    };
    // A port that is taken is known before the model is loaded.
    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).map_err(|e| cannot_listen(address, &e))?;
    let address = listener.local_addr().map_err(|e| cannot_listen(address, &e))?;
    let engine = Arc::new(args.load.engine(&args.device, args.size, args.decoding.heads.as_deref())?);
    let decoding = args.decoding.decoding()?;
    tuning::recall(&engine, decoding.tree());
    let settings = Settings {
        model: args.load.model.name(),
        decoding,
        slots: args.limits.batch.into(),
        queue: args.limits.queue as usize,
        prompt_bytes: args.limits.max_prompt as usize,
        deadline: Duration::from_secs(args.limits.deadline.into()),
        grace: Duration::from_secs(args.limits.grace.into()),
        keys,
        cors: if args.cors.is_empty() { Cors::Off } else { Cors::Origins(args.cors.clone()) },
    };
    let server = Server::new(Arc::clone(&engine), settings)?;
    if server.slots() < usize::from(args.limits.batch) {
        note(format_args!("note: memory suffices for {} images in a pass", server.slots()));
    }
    if !args.host.is_loopback() && args.keys.is_none() {
        note("note: whoever reaches this machine may draw; --keys FILE asks for keys");
    }
    interrupt::watch()?;
    say(format_args!("hawk draws with {} at http://{address}", args.load.model.name()));
    let ended = server.run(listener, interrupt::came)?;
    tuning::remember(&engine, decoding.tree());
    if ended == Ended::GivenUp {
        note(format_args!("note: requests that were not finished after {} s were given up", args.limits.grace));
    }
    interrupt::answered();
    Ok(())
}

fn read_keys(file: &std::path::Path) -> Result<ApiKeys> {
    let text = String::from_utf8(inputs::read(file).map_err(|e| e.at("--keys"))?)
        .map_err(|e| Error::input("the keys are no text").expected("UTF-8").got(e.utf8_error()));
    text.and_then(|text| ApiKeys::parse(&text)).map_err(|e| e.at(file.display()).at("--keys"))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Error {
    let failed = Error::environment(format!("cannot listen: {error}")).at(address);
    match error.kind() {
        std::io::ErrorKind::AddrInUse => failed.hint("another program has this port; --port names another one"),
        _ => failed,
    }
}
