//! The images of the server are those of plain decoding alone, whatever else it draws.
#![allow(clippy::unwrap_used)]

mod common;

use std::ops::ControlFlow;

use common::{ENGINE, Running, file, settings};
use hawk::{Decoder, Decoding, Image, Request, Rule, Sampling, Seed, read_png};
use serde_json::{Value, json};

/// What plain decoding draws alone.
fn alone(prompt: &str, seed: u64, images: u32, sampling: Sampling) -> Vec<Image> {
    let request = Request {
        prompt: prompt.to_owned(),
        seed: Seed(seed),
        images: 0..images,
        sampling,
        decoding: Decoding::with_defaults(Decoder::AR, Rule::Replay),
        batch: 1,
    };
    let mut images = ENGINE.generate(&request, &mut |_| ControlFlow::Continue(())).unwrap().images;
    images.sort_by_key(|image| image.index);
    images.into_iter().map(|image| image.image).collect()
}

fn pixels(png: &[u8]) -> Image {
    read_png(png).unwrap().0
}

#[test]
fn four_images_are_those_of_the_seed_and_hold_their_records() {
    let server = Running::start(settings());
    let answer = server.post(r#"{"prompt": "octopus, fluent flat style", "n": 4, "seed": 11}"#);
    let (images, json) = (answer.images(), answer.json());
    let want = alone("octopus, fluent flat style", 11, 4, ENGINE.config().defaults);
    assert_eq!(images.iter().map(|png| pixels(png)).collect::<Vec<_>>(), want);
    for (index, png) in images.iter().enumerate() {
        let record = read_png(png).unwrap().1;
        assert_eq!((record.seed, record.index, record.decoder.as_str()), (11, index as u32, "scd"));
        assert_eq!((&json["data"][index]["index"], &json["data"][index]["seed"]), (&index.into(), &11.into()));
    }
    assert_eq!((&json["size"], &json["output_format"], &json["seed"]), (&"128x128".into(), &"png".into(), &11.into()));
    let usage = &json["usage"];
    assert_eq!(usage["output_tokens"], 4 * 256);
    assert_eq!(usage["total_tokens"], 4 * 256 + usage["input_tokens"].as_u64().unwrap());
    assert_eq!(server.end(), hawk_server::Ended::Finished);
}

#[test]
fn a_seed_is_chosen_and_named() {
    let server = Running::start(settings());
    let answer = server.post(r#"{"prompt": "a frog"}"#);
    let seed = answer.json()["seed"].as_u64().unwrap();
    assert_eq!(pixels(&answer.images()[0]), alone("a frog", seed, 1, ENGINE.config().defaults)[0]);
    assert_ne!(server.post(r#"{"prompt": "a frog"}"#).json()["seed"], seed);
}

#[test]
fn arrivals_at_random_do_not_change_images() {
    let server = Running::start(settings());
    // Requests of all kinds, whose times of arrival are drawn by a linear congruence.
    let decoders = ["scd", "soar", "hawk", "ar", "neighbour", "medusa"];
    let prompts = ["red apple, fluent 3d style", "a frog", "rocket, fluent flat style"];
    let requests: Vec<(Value, Image)> = (0..18_u64)
        .map(|number| {
            let (prompt, seed) = (prompts[number as usize % 3], 100 + number / 2);
            let guidance = if number % 4 == 3 { 1.0 } else { 3.0 };
            let tree = if number % 6 == 3 { "1" } else { "5" };
            let body = json!({
                "prompt": prompt, "seed": seed, "guidance": guidance, "temperature": 1.0, "top_p": 0.9,
                "decoder": decoders[number as usize % 6], "tree": tree, "stream": number % 5 == 4,
            });
            let sampling = Sampling::new(guidance, 1.0, 0, 0.9).unwrap();
            (body, alone(prompt, seed, 1, sampling).remove(0))
        })
        .collect();
    std::thread::scope(|scope| {
        let mut state = 12345_u64;
        for (body, want) in &requests {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (pause, server) = (std::time::Duration::from_millis(state >> 33 & 511), &server);
            scope.spawn(move || {
                std::thread::sleep(pause);
                let answer = server.post(&body.to_string());
                let png = match body["stream"] == true {
                    true => file(&answer.events().last().unwrap()["b64_json"]),
                    false => answer.images().remove(0),
                };
                assert_eq!(&pixels(&png), want, "{body}");
            });
        }
    });
    assert_eq!(server.metric("hawk_images_total"), 18.0);
    assert_eq!((server.metric("hawk_num_requests_running"), server.metric("hawk_num_requests_waiting")), (0.0, 0.0));
    assert!(server.metric("hawk_spec_decode_num_accepted_tokens_total") > 0.0);
}

#[test]
fn a_stream_has_as_many_partial_images_as_were_asked_for() {
    let server = Running::start(settings());
    let want = alone("red apple, fluent 3d style", 3, 2, ENGINE.config().defaults);
    for partial_images in 0..=3 {
        let body = json!({
            "prompt": "red apple, fluent 3d style", "seed": 3, "n": 2, "stream": true, "partial_images": partial_images
        });
        let events = server.post(&body.to_string()).events();
        for (image, want) in want.iter().enumerate() {
            let of_it: Vec<&Value> = events.iter().filter(|event| event["image_index"] == image).collect();
            assert_eq!(of_it.len(), partial_images + 1);
            for (index, event) in of_it[..partial_images].iter().enumerate() {
                assert_eq!(event["type"], "image_generation.partial_image");
                assert_eq!(event["partial_image_index"], index);
                let cells = event["cells"].as_u64().unwrap() as usize;
                assert!(cells >= 256 * (index + 1) / (partial_images + 1), "{cells}");
                let kinds = ["size", "quality", "background", "output_format"].map(|key| event[key].as_str().unwrap());
                assert_eq!(kinds, ["128x128", "high", "opaque", "png"]);
                assert!(event["created_at"].as_u64().unwrap() > 0 && file(&event["b64_json"]).starts_with(b"\x89PNG"));
            }
            let last = of_it[partial_images];
            assert_eq!(
                (&last["type"], &last["usage"]["output_tokens"]),
                (&"image_generation.completed".into(), &256.into())
            );
            assert_eq!(&pixels(&file(&last["b64_json"])), want);
        }
    }
}

#[test]
fn cells_are_told_pass_by_pass() {
    let server = Running::start(settings());
    let events =
        server.post(r#"{"prompt": "a frog", "seed": 2, "stream": true, "cells": true, "decoder": "soar"}"#).events();
    assert_eq!(events[0]["type"], "hawk.started");
    let cells: Vec<&Value> = events.iter().filter(|event| event["type"] == "hawk.cells").collect();
    let mut next = 0;
    for (pass, event) in cells.iter().enumerate() {
        assert_eq!((&event["first"], &event["passes"]), (&next.into(), &(pass + 1).into()));
        let new = event["codes"].as_array().unwrap().len();
        assert!(new > 0 && event["sources"].as_array().unwrap().len() == new);
        next += new;
    }
    assert_eq!(next, 256);
    assert!(cells.len() < 256, "nothing was accepted");
    assert_eq!(events.last().unwrap()["passes"], cells.len());
}

#[test]
fn formats_are_those_that_were_asked_for() {
    let server = Running::start(settings());
    let draw = |more: &str| server.post(&format!(r#"{{"prompt": "a frog", "seed": 1, {more}}}"#)).images().remove(0);
    let [fine, rough] = [90, 10].map(|c| draw(&format!(r#""output_format": "jpeg", "output_compression": {c}"#)));
    assert!(fine.starts_with(b"\xff\xd8\xff") && rough.len() < fine.len());
    let webp = |more: &str| draw(&format!(r#""output_format": "webp"{more}"#));
    let (whole, rough) = (webp(""), webp(r#", "output_compression": 10"#));
    assert!(whole[8..12] == *b"WEBP" && rough[8..12] == *b"WEBP" && rough.len() < whole.len());
}
