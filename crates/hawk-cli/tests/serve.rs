//! `hawk serve` as a program: it starts, answers and ends.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]
#![cfg(feature = "serve")]

#[path = "common/place.rs"]
mod place;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use place::Place;

impl Place {
    /// A server on a free port, and its address.
    fn serve(&self, options: &[&str]) -> (Child, String) {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("hawk"));
        command.current_dir(&self.0).env("XDG_CACHE_HOME", "/dev/null").args(["serve", "--port", "0"]).args(options);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().to_owned();
        (child, address)
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_answers_and_a_signal_ends_it_with_success() {
    let place = Place::new();
    std::fs::write(place.path("keys"), "# mine\nsecret-key\n").unwrap();
    // Not SIGINT: a run in the background of a shell inherits that it is ignored.
    let (mut child, address) = place.serve(&["--keys", "keys", "--decoder", "soar"]);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert!(get(&address, "/health").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/v1/models").starts_with("HTTP/1.1 401"));
    assert!(get(&address, "/page/model.json").contains("\"decoder\":\"soar\""));
    let taken = place.command().args(["serve", "--port", address.rsplit(':').next().unwrap()]).assert().code(3);
    let message = String::from_utf8(taken.get_output().stderr.clone()).unwrap();
    assert!(message.contains("cannot listen") && message.contains("--port"), "{message}");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn wrong_options_are_refused() {
    let place = Place::new();
    std::fs::write(place.path("short"), "key\n").unwrap();
    for (options, words) in [
        (&["--keys", "short"][..], "line 1"),
        (&["--keys", "none"], "--keys"),
        (&["--batch", "65"], "65"),
        (&["--queue", "9"], "9"),
        (&["--host", "nowhere"], "nowhere"),
        (&["--cors", "example.org"], "origin"),
        (&["--size", "7x7"], "size"),
        (&["--tree", "33"], "tree"),
    ] {
        let output = place.command().args(["serve", "--port", "0"]).args(options).assert().code(2);
        let message = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(message.contains(words), "{options:?}: {message}");
    }
}
