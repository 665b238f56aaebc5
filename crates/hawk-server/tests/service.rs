//! What the server refuses, how many it serves, and how it ends.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use common::{ENGINE, Running, post, settings};
use hawk_server::{ApiKeys, Cors, Ended, Server, Settings};
use serde_json::json;

#[test]
fn what_is_wrong_is_named() {
    let server = Running::start(settings());
    let long = "x".repeat(5000);
    let table = [
        (json!({}), "prompt", "missing_required_parameter"),
        (json!({ "prompt": null }), "prompt", "invalid_type"),
        (json!({ "prompt": 7 }), "prompt", "invalid_type"),
        (json!({ "prompt": "" }), "prompt", "invalid_value"),
        (json!({ "prompt": " \n" }), "prompt", "invalid_value"),
        (json!({ "prompt": long }), "prompt", "invalid_value"),
        (json!({ "prompt": "apple ".repeat(600) }), "prompt", "invalid_value"),
        (json!({ "prompt": "x", "n": 0 }), "n", "invalid_value"),
        (json!({ "prompt": "x", "n": 11 }), "n", "invalid_value"),
        (json!({ "prompt": "x", "n": -1 }), "n", "invalid_type"),
        (json!({ "prompt": "x", "n": "2" }), "n", "invalid_type"),
        (json!({ "prompt": "x", "n": 1.5 }), "n", "invalid_type"),
        (json!({ "prompt": "x", "size": "7x7" }), "size", "invalid_value"),
        (json!({ "prompt": "x", "output_format": "gif" }), "output_format", "invalid_value"),
        (json!({ "prompt": "x", "output_compression": 101 }), "output_compression", "invalid_value"),
        (json!({ "prompt": "x", "output_compression": 50 }), "output_compression", "invalid_value"),
        (
            json!({ "prompt": "x", "output_compression": 101, "output_format": "webp" }),
            "output_compression",
            "invalid_value",
        ),
        (json!({ "prompt": "x", "response_format": "url" }), "response_format", "invalid_value"),
        (json!({ "prompt": "x", "stream": 1 }), "stream", "invalid_type"),
        (json!({ "prompt": "x", "stream": true, "partial_images": 4 }), "partial_images", "invalid_value"),
        (json!({ "prompt": "x", "partial_images": 1 }), "partial_images", "invalid_value"),
        (json!({ "prompt": "x", "cells": true }), "cells", "invalid_value"),
        (json!({ "prompt": "x", "model": "dall-e" }), "model", "model_not_found"),
        (json!({ "prompt": "x", "user": long }), "user", "invalid_value"),
        (json!({ "prompt": "x", "quality": "best" }), "quality", "invalid_value"),
        (json!({ "prompt": "x", "background": "transparent" }), "background", "invalid_value"),
        (json!({ "prompt": "x", "moderation": "high" }), "moderation", "invalid_value"),
        (json!({ "prompt": "x", "seed": -1 }), "seed", "invalid_type"),
        (json!({ "prompt": "x", "decoder": "magic" }), "decoder", "invalid_value"),
        (json!({ "prompt": "x", "rule": "magic" }), "rule", "invalid_value"),
        (json!({ "prompt": "x", "tree": "0" }), "tree", "invalid_value"),
        (json!({ "prompt": "x", "tree": "33" }), "tree", "invalid_value"),
        (json!({ "prompt": "x", "tree": "auto", "rule": "rejection" }), "tree", "invalid_value"),
        (json!({ "prompt": "x", "decoder": "ar", "tree": "2" }), "tree", "invalid_value"),
        (json!({ "prompt": "x", "guidance": -1 }), "guidance", "invalid_value"),
        (json!({ "prompt": "x", "temperature": -1 }), "temperature", "invalid_value"),
        (json!({ "prompt": "x", "temperature": 0, "top_k": 5 }), "top_k", "invalid_value"),
        (json!({ "prompt": "x", "temperature": 0, "top_p": 2 }), "top_p", "invalid_value"),
        (json!({ "prompt": "x", "top_k": -1 }), "top_k", "invalid_type"),
        (json!({ "prompt": "x", "top_p": 0 }), "top_p", "invalid_value"),
        (json!({ "prompt": "x", "top_p": 1.5 }), "top_p", "invalid_value"),
        (json!({ "prompt": "x", "negative_prompt": "y" }), "negative_prompt", "unsupported_parameter"),
        (json!({ "prompt": "x", "colour": "red" }), "colour", "unknown_parameter"),
    ];
    for (body, field, code) in table {
        let answer = server.post(&body.to_string());
        let error = &answer.json()["error"];
        assert_eq!((error["param"].as_str(), error["code"].as_str()), (Some(field), Some(code)), "{body}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(answer.status, if code == "model_not_found" { 404 } else { 400 });
        assert!(error["message"].as_str().unwrap().contains(field), "{error}");
    }
    for bytes in ["", "{", "[]", "7", "null", "{\"prompt\": \"x\"} {}", "{\"prompt\": \"\\ud800\"}", "{\"n\": 1e999}"] {
        let answer = server.post(bytes);
        assert_eq!(answer.status, 400, "{bytes}");
        assert!(answer.json()["error"]["message"].is_string());
    }
    assert_eq!(server.post("{\"prompt\": \"x\", \"prompt\": \"y\"}").json()["error"]["param"], "prompt");
    assert_eq!(server.metric("hawk_images_total"), 0.0);
}

#[test]
fn other_paths_methods_types_and_sizes_have_statuses() {
    let server = Running::start(settings());
    for (path, status) in
        [("/health", 200), ("/ready", 200), ("/", 200), ("/nothing", 404), ("/v1/images/generations", 405)]
    {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.headers.contains("nosniff"));
        assert!(status == 200 || answer.json()["error"]["message"].is_string());
    }
    let body = r#"{"prompt": "x"}"#;
    for (headers, status) in
        [("", 415), ("content-type: text/plain\r\n", 415), ("content-type: application/json; charset=utf-8\r\n", 200)]
    {
        assert_eq!(server.send(&post(body, headers)).status, status, "{headers}");
    }
    let large = format!(r#"{{"prompt": "{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(server.post(&large).status, 413);
    let models = server.get("/v1/models").json();
    assert_eq!((&models["object"], &models["data"][0]["id"]), (&"list".into(), &hawk::BUILT_IN.into()));
    let name = hawk::BUILT_IN.replace(' ', "%20");
    assert_eq!(server.get(&format!("/v1/models/{name}")).json()["id"], hawk::BUILT_IN);
    assert_eq!(server.get("/v1/models/other").status, 404);
    let document = server.get("/openapi.json").json();
    let fields = &document["components"]["schemas"]["GenerationRequest"];
    assert_eq!(fields["properties"]["size"]["enum"], json!(["auto", "128x128", null]));
    assert_eq!((&fields["required"], &fields["additionalProperties"]), (&json!(["prompt"]), &false.into()));
    assert_eq!(server.get("/page/colours").body.len(), 3 * 4096);
    let page = String::from_utf8(server.get("/").body).unwrap();
    assert!(page.contains("<html") && !page.contains("https://") && !page.contains("http://"));
}

#[test]
fn keys_are_asked_for() {
    let keys = ApiKeys::parse("right-key\nother-key\n").unwrap();
    let server =
        Running::start(Settings { keys, cors: Cors::Origins(vec!["https://example.org".to_owned()]), ..settings() });
    let body = r#"{"prompt": "x"}"#;
    for (key, status) in [
        ("", 401),
        ("authorization: Bearer wrong-key\r\n", 401),
        ("authorization: Basic right-key\r\n", 401),
        ("authorization: bearer other-key\r\n", 200),
    ] {
        let answer = server.send(&post(body, &format!("content-type: application/json\r\n{key}")));
        assert_eq!(answer.status, status, "{key}");
    }
    let refused = server.get("/v1/models");
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (401, &"invalid_api_key".into()));
    assert!(refused.headers.contains("www-authenticate: bearer"));
    assert_eq!(server.get("/health").status, 200);
    let from = |origin: &str| {
        server.send(&format!("GET /health HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\nconnection: close\r\n\r\n"))
    };
    assert!(from("https://example.org").headers.contains("access-control-allow-origin: https://example.org"));
    assert!(!from("https://evil.example").headers.contains("access-control-allow-origin"));
}

/// A request that takes long.
fn long_request(seed: u32) -> String {
    let body =
        json!({ "prompt": "a frog", "seed": seed, "n": 10, "decoder": "ar", "stream": true, "partial_images": 3 });
    post(&body.to_string(), "content-type: application/json\r\n")
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let server = Running::start(Settings { slots: 1, queue: 10, ..settings() });
    let first = server.open(&long_request(1));
    server.wait_for("hawk_num_requests_waiting", 9.0);
    let answer = server.post(r#"{"prompt": "x", "n": 2}"#);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (429, &"queue_full".into()));
    let retry = answer.headers.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap().trim();
    assert!(retry.parse::<u64>().unwrap() >= 1);
    // Its client leaves: the places are free at once.
    drop(first);
    server.wait_for("hawk_num_requests_waiting", 0.0);
    assert_eq!(server.post(r#"{"prompt": "x", "n": 2}"#).status, 200);
    // What was refused counts as no request.
    for (reason, requests) in [("stop", 1.0), ("abort", 1.0)] {
        server.wait_for(&format!("hawk_requests_success_total{{finished_reason=\"{reason}\"}}"), requests);
    }
    assert_eq!(server.metric("hawk_e2e_request_latency_s_count"), 1.0);
    assert_eq!(server.metric("hawk_image_ttfp_s_count"), 1.0);
}

/// What a client waits for before it leaves.
type Wait = fn(&mut TcpStream);

#[test]
fn clients_that_leave_stop_nothing_but_their_own() {
    let server = Running::start(settings());
    let stages: [(&str, Wait); 4] = [
        ("at once", |_| {}),
        ("after the head of the answer", |stream| stream.read_exact(&mut [0; 64]).unwrap()),
        ("after a partial image", |stream| stream.read_exact(&mut [0; 4000]).unwrap()),
        ("in the middle of a request", |_| {}),
    ];
    for (stage, wait) in stages {
        let text = long_request(7);
        let sent = if stage.contains("middle") { &text[..text.len() / 2] } else { &text };
        let mut stream = server.open(sent);
        wait(&mut stream);
        drop(stream);
        server.wait_for("hawk_num_requests_running", 0.0);
        assert_eq!(server.post(r#"{"prompt": "x", "seed": 1}"#).status, 200, "{stage}");
    }
    // One that reads nothing delays nobody.
    let slow = server.open(&long_request(8));
    assert_eq!(server.post(r#"{"prompt": "x", "seed": 1}"#).status, 200);
    drop(slow);
    assert!(server.metric("hawk_images_cancelled_total") > 0.0);
}

#[test]
fn a_deadline_ends_a_request() {
    let server = Running::start(Settings { deadline: Duration::from_millis(100), ..settings() });
    let answer = server.post(r#"{"prompt": "a frog", "n": 10, "decoder": "ar"}"#);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (504, &"deadline_exceeded".into()));
    let events = server.send(&long_request(1)).events();
    assert_eq!(events.last().unwrap()["error"]["code"], "deadline_exceeded");
}

#[test]
fn a_server_that_stops_finishes_its_requests() {
    let server = Running::start(settings());
    let stream = server.open(&post(r#"{"prompt": "a frog", "n": 3}"#, "content-type: application/json\r\n"));
    server.wait_for("hawk_num_requests_running", 3.0);
    server.stop();
    assert_eq!(common::Answer::read(stream).images().len(), 3);
    assert_eq!(server.end(), Ended::Finished);
}

#[test]
fn a_server_that_stops_gives_up_by_a_limit() {
    let server = Running::start(Settings { grace: Duration::ZERO, ..settings() });
    let stream = server.open(&post(r#"{"prompt": "a frog", "n": 10}"#, "content-type: application/json\r\n"));
    server.wait_for("hawk_num_requests_running", 4.0);
    server.stop();
    let answer = common::Answer::read(stream);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (503, &"stopping".into()));
    assert_eq!(server.end(), Ended::GivenUp);
}

#[test]
fn settings_out_of_range_are_refused() {
    for (wrong, field) in [
        (Settings { slots: 0, ..settings() }, "slots"),
        (Settings { slots: 65, ..settings() }, "slots"),
        (Settings { queue: 9, ..settings() }, "queue"),
        (Settings { prompt_bytes: 0, ..settings() }, "prompt_bytes"),
        (Settings { cors: Cors::Origins(vec!["example.org".to_owned()]), ..settings() }, "cors"),
    ] {
        let error = Server::new(std::sync::Arc::clone(&ENGINE), wrong).err().unwrap().to_string();
        assert!(error.contains(field), "{error}");
    }
}
