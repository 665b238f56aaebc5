//! `hawk pull`: a repository of a hub into the shared cache.

use hawk::Result;
use hawk_hub::{Event, Repository, Settings, pull};

use crate::output::terminal::escaped;
use crate::output::{note, progress, say};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk pull deepseek-ai/Janus-Pro-1B
  hawk pull Alpha-VLLM/Lumina-mGPT-7B-768 --revision main
  hawk generate \"a red apple on a table\" --model Alpha-VLLM/Lumina-mGPT-7B-768

The same command resumes an interrupted download. Servers that fail, stall or limit requests are asked
again. Several commands may pull into one cache at once.

Environment:
  HF_HUB_CACHE    the cache [default: hub/ in HF_HOME, else ~/.cache/huggingface/hub]
  HF_ENDPOINT     the hub [default: https://huggingface.co]
  HF_TOKEN        token of an account, for gated and private repositories
  HF_HUB_OFFLINE  1 forbids the network
  HTTPS_PROXY     the proxy, also ALL_PROXY and, for http:// hubs, HTTP_PROXY: http://, https://,
                  socks4://, socks4a://, socks5:// or socks5h:// with HOST:PORT
  NO_PROXY        hosts to reach directly")]
pub(crate) struct PullArgs {
    /// Repository to download, as ORG/NAME or ORG/NAME@REVISION
    #[arg(value_name = "ORG/NAME")]
    repository: String,
    /// Branch, tag or commit [default: main]
    #[arg(long, value_name = "R")]
    revision: Option<String>,
}

pub(crate) fn run(args: &PullArgs) -> Result<()> {
    let mut repository: Repository = args.repository.parse()?;
    if let Some(revision) = &args.revision {
        repository = repository.with_revision(revision)?;
    }
    let bar = progress::bar(0, "{prefix} {bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec}  eta {eta}  {msg}");
    let folder = pull(&repository, &Settings::from_env()?, &mut |event| match event {
        Event::FileStarted { number, files, name, bytes, cached_bytes } => {
            bar.set_prefix(format!("{number}/{files}"));
            bar.set_message(escaped(name).into_owned());
            bar.set_length(bytes);
            bar.set_position(cached_bytes);
            bar.reset_eta();
        }
        Event::BytesReceived(bytes) => bar.inc(bytes),
        Event::Retrying { why, pause } if pause.is_zero() => bar.suspend(|| note(format_args!("note: {why}"))),
        Event::Retrying { why, pause } => {
            bar.suspend(|| note(format_args!("note: {why}; next attempt in {} s", pause.as_secs())));
        }
        Event::WaitingForAnother { name } => {
            bar.suspend(|| note(format_args!("note: another process fetches {name}; waiting for it")));
        }
        _ => {}
    })?;
    bar.finish_and_clear();
    say(folder.display());
    say(format_args!("show its contents with: hawk inspect {repository}"));
    Ok(())
}
