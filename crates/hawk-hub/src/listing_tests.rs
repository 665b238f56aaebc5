//! Lists of files that lie.

use hawk_files::{Fault, Result};
use serde_json::{Value, json};

use super::listing::Listing;

fn good() -> Value {
    json!({"sha": "0123456789abcdef0123456789abcdef01234567", "siblings": [
        {"rfilename": "config.json", "size": 7, "blobId": "ab".repeat(20)},
        {"rfilename": "vq/model.safetensors", "size": 9, "blobId": "cd".repeat(20),
         "lfs": {"sha256": "ef".repeat(32), "size": 9, "pointerSize": 130}},
    ]})
}

/// Everything that a pull takes from a list.
fn read(bytes: &[u8]) -> Result<()> {
    Listing::from_json(bytes)?.siblings.iter().try_for_each(|file| {
        file.path()?;
        file.bytes()?;
        file.blob().map(drop)
    })
}

#[test]
fn every_field_of_a_list_that_lies_is_named() {
    read(good().to_string().as_bytes()).unwrap();
    let wrong_type = || json!({"lie": []});
    for (pointer, lie, words) in [
        ("/sha", json!(""), "sha & a commit"),
        ("/sha", json!("../../x"), "sha & a commit"),
        ("/sha", json!("a".repeat(65)), "sha & a commit"),
        ("/sha", json!(7), "sha"),
        ("/siblings", wrong_type(), "siblings"),
        ("/siblings/0", json!(7), "siblings[0]"),
        ("/siblings/0/rfilename", Value::Null, "siblings[0].rfilename"),
        ("/siblings/0/rfilename", json!(""), "rfilename"),
        ("/siblings/0/rfilename", json!("../x"), "rfilename & ../x"),
        ("/siblings/0/rfilename", json!("/etc/passwd"), "rfilename & /etc/passwd"),
        ("/siblings/0/rfilename", json!("a/../../b"), "rfilename"),
        ("/siblings/0/rfilename", json!("a\\b"), "rfilename"),
        ("/siblings/0/rfilename", json!("c:x"), "rfilename"),
        ("/siblings/0/rfilename", json!("x\u{0}"), "rfilename"),
        ("/siblings/0/rfilename", json!("vq/model.safetensors"), "each file once"),
        ("/siblings/0/size", Value::Null, "config.json & no size"),
        ("/siblings/0/size", json!(-7), "siblings[0].size & -7"),
        ("/siblings/0/size", json!("7"), "siblings[0].size"),
        ("/siblings/0/size", json!(u64::MAX), "config.json & 18446744073709551615"),
        ("/siblings/0/blobId", Value::Null, "config.json & blobId"),
        ("/siblings/0/blobId", json!("../../../x"), "config.json & blobId & ../../../x"),
        ("/siblings/0/blobId", json!("ab"), "config.json & blobId"),
        ("/siblings/0/blobId", wrong_type(), "siblings[0].blobId"),
        ("/siblings/1/size", json!(8), "vq/model.safetensors & lfs.size = 9"),
        ("/siblings/1/lfs", json!(7), "siblings[1].lfs"),
        ("/siblings/1/lfs/size", json!(u64::MAX), "vq/model.safetensors & lfs.size"),
        ("/siblings/1/lfs/size", json!(-1), "siblings[1].lfs.size"),
        ("/siblings/1/lfs/sha256", json!("ef".repeat(31)), "vq/model.safetensors & lfs.sha256"),
        ("/siblings/1/lfs/sha256", json!("xy".repeat(32)), "vq/model.safetensors & lfs.sha256"),
        ("/siblings/1/lfs/sha256", json!(7), "siblings[1].lfs.sha256"),
    ] {
        let mut json = good();
        *json.pointer_mut(pointer).unwrap() = lie.clone();
        let error = read(json.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.fault(), Fault::Environment, "{pointer}");
        let message = error.to_string();
        assert!(words.split(" & ").all(|words| message.contains(words)), "{pointer} = {lie}: {message}");
    }
    for text in ["", "<html>", "{}", "[]", &"[".repeat(100_000)] {
        assert!(read(text.as_bytes()).unwrap_err().to_string().contains("list of files"), "{text:.9}");
    }
}

#[test]
fn damaged_lists_are_read_or_refused() {
    let seed = good().to_string().into_bytes();
    let mut state = 1_u64;
    let mut dice = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..5000 {
        let mut bytes = seed.clone();
        for _ in 0..=dice(3) {
            let at = dice(bytes.len());
            match dice(4) {
                0 => bytes[at] ^= 1 << dice(8),
                1 => drop(bytes.splice(at..at, *b"18446744073709551615")),
                2 => bytes[at] = b"0./\"[]{}"[dice(8)],
                _ => drop(bytes.drain(at..(at + 1 + dice(9)).min(bytes.len()))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let _ = read(&bytes);
    }
}
