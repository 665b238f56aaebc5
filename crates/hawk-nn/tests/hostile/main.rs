//! Files that somebody else wrote: every field of every format lies in turn, and every reader is given damaged bytes.
#![allow(clippy::unwrap_used)]

#[path = "../../../hawk-files/tests/common/torch.rs"]
mod torch;

mod checkpoints;
mod images;
mod mutation;
mod packed;
mod pickles;
mod transformers;

use std::path::{Path, PathBuf};

use hawk_nn::{Error, Fault};
use serde_json::{Value, json};

fn golden() -> PathBuf {
    goldens("chameleon")
}

fn goldens(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn built_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/built-in")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The file must be refused as wrong input, in words that hold all of `words`, which stand between ` & `.
#[track_caller]
fn refusal<T>(result: Result<T, Error>, words: &str, lie: &str) {
    let Err(error) = result else { panic!("{lie} must be refused, with {words}") };
    assert_eq!(error.fault(), Fault::Input, "{lie}: {error}");
    let message = error.to_string();
    assert!(words.split(" & ").all(|words| message.contains(words)), "{lie} must be refused with {words}: {message}");
}

/// A value in place of the one that `pointer` leads to, or a new one; none takes it out.
fn set(json: &mut Value, pointer: &str, value: Option<Value>) {
    let (outer, key) = pointer.rsplit_once('/').unwrap();
    let outer = json.pointer_mut(outer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
    match (outer, value) {
        (Value::Object(keys), Some(value)) => _ = keys.insert(key.to_owned(), value),
        (Value::Object(keys), None) => _ = keys.remove(key),
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value,
        (outer, _) => panic!("{pointer} leads into {outer}"),
    }
}

/// The place of every number, text and list of a file.
fn leaves(json: &Value) -> Vec<String> {
    match json {
        Value::Object(keys) => keys
            .iter()
            .flat_map(|(key, value)| leaves(value).into_iter().map(move |rest| format!("/{key}{rest}")))
            .collect(),
        Value::Array(items) if items.iter().any(Value::is_object) => (0..items.len())
            .flat_map(|i| leaves(&items[i]).into_iter().map(move |rest| format!("/{i}{rest}")))
            .collect(),
        _ => vec![String::new()],
    }
}

/// What a reader makes of the bytes of a file.
type Reader<'a> = &'a dyn Fn(&[u8]) -> Result<(), Error>;

/// Every row is a lie about a file that is good otherwise: the field's place, the lie, and what the refusal must say. Beside these, every
/// field of the file is taken out (what is missing has a default or is named) and is of a wrong type (which is named always), and takes
/// extreme numbers (which may not panic). A field without a row fails the test.
#[track_caller]
fn lies(good: &Value, read: Reader<'_>, rows: &[(&str, Value, &str)]) {
    read(good.to_string().as_bytes()).unwrap();
    let lying = |pointer: &str, lie: Option<Value>| {
        let mut json = good.clone();
        set(&mut json, pointer, lie);
        read(json.to_string().as_bytes())
    };
    for (pointer, lie, words) in rows {
        refusal(lying(pointer, Some(lie.clone())), words, &format!("{pointer} = {lie}"));
    }
    for pointer in leaves(good) {
        assert!(rows.iter().any(|(row, ..)| pointer.starts_with(row)), "no lie about {pointer}");
        let named = pointer.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap();
        refusal(lying(&pointer, Some(json!({ "lie": [] }))), named, &format!("{pointer} of a wrong type"));
        if !pointer.ends_with(|c: char| c.is_ascii_digit())
            && let Err(error) = lying(&pointer, None)
        {
            // The parser has its own word for a field of two spellings.
            let words = error.to_string();
            assert!(words.contains(named) || words.contains("missing field"), "without {pointer}: {error}");
        }
        for extreme in [json!(0), json!(-1), json!(1), json!(u64::MAX), json!(i64::MIN), json!(1e300), json!(1e-300)] {
            let list = json!([extreme, extreme]);
            for extreme in [extreme, list] {
                let _ = lying(&pointer, Some(extreme));
            }
        }
    }
}
