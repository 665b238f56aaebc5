//! Text tokenizers of single bytes, with the public models' special tokens at their ids.

use serde_json::{Map, Value, json};

/// Where the tokens of the Chameleon family stand.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) codes: u32,
    /// The 256 bytes.
    bytes: u32,
    separator: u32,
    row_end: u32,
    pub(crate) vocab: u32,
}

/// First code; before it stand the begin and end of a text.
const FIRST_CODE: u32 = 4;
/// Size tokens; the longest side of a public model has 64 units.
const SIZES: u32 = 64;

impl Ids {
    pub(crate) const CHAMELEON: Self = Self { codes: 8192, bytes: 8198, separator: 8710, row_end: 8803, vocab: 65536 };
    pub(crate) const TINY: Self = Self { codes: 64, bytes: 70, separator: 326, row_end: 327, vocab: 400 };
}

/// The characters of the ByteLevel pre-tokenizer for all bytes: printable bytes are themselves, the
/// others start at U+0100.
fn letters() -> Vec<char> {
    let mut hidden = 0_u32;
    (0..=255_u8)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => {
                hidden += 1;
                char::from_u32(0xff + hidden).unwrap_or('?')
            }
        })
        .collect()
}

/// Bytes from `first` on, and special tokens.
fn tokenizer(first: u32, special: &[(String, u32)]) -> Value {
    let mut vocab: Map<String, Value> =
        letters().into_iter().zip(first..).map(|(letter, id)| (letter.to_string(), json!(id))).collect();
    vocab.extend(special.iter().map(|(name, id)| (name.clone(), json!(id))));
    let added: Vec<Value> = special
        .iter()
        .filter(|(name, _)| !name.starts_with("IMGIMG"))
        .map(|(name, id)| {
            json!({
                "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": [],
        },
    })
}

/// A code's token: its digits as letters.
fn code_name(code: u32) -> String {
    let digits = code.to_string().bytes().map(|digit| char::from(digit - b'0' + b'A')).collect::<String>();
    format!("IMGIMG{digits}Z")
}

pub(crate) fn chameleon(ids: Ids) -> Value {
    let end = FIRST_CODE + ids.codes;
    let named = |name: &str, id| (name.to_owned(), id);
    let mut special = vec![named("<s>", 0), named("<pad>", 1), named("</s>", 2), named("<unk>", 3)];
    special.extend((0..ids.codes).map(|code| (code_name(code), FIRST_CODE + code)));
    special.extend([named("<eoss>", end), named("<racm3:break>", end + 1)]);
    special.push(named("<reserved08706>", ids.separator));
    special.push(named("<reserved08799>", ids.row_end));
    special.extend((1..=SIZES).map(|units| (format!("<reserved{:05}>", 8800 + units), ids.row_end + 1 + units)));
    tokenizer(ids.bytes, &special)
}

/// Special tokens at their published ids, or right behind the bytes of a tiny vocabulary.
pub(crate) fn janus(vocab: u32) -> Value {
    let first = if vocab > 100_000 { 100_000 } else { 256 };
    let names = [
        ("<｜begin▁of▁sentence｜>", 0_u32, 0_u32),
        ("<｜end▁of▁sentence｜>", 1, 1),
        ("<｜▁pad▁｜>", 15, 2),
        ("<begin_of_image>", 16, 3),
        ("<|User|>", 601, 4),
        ("<|Assistant|>", 602, 5),
        ("<end_of_image>", 593, 6),
    ];
    let place = |full: u32, tiny: u32| first + if vocab > 100_000 { full } else { tiny };
    let special: Vec<(String, u32)> =
        names.iter().map(|(name, full, tiny)| ((*name).to_owned(), place(*full, *tiny))).collect();
    tokenizer(0, &special)
}

/// Ids of [`llama`]: special tokens, bytes, printable characters.
pub(crate) const LLAMA_IDS: u32 = 3 + 256 + 95;

/// The tokenizer of LLaMA 2 without merges: printable ASCII as characters behind the bytes, spaces
/// as `▁`, everything else as bytes. `<s>` opens every text.
pub(crate) fn llama() -> Value {
    let special = ["<unk>", "<s>", "</s>"];
    let mut names: Vec<String> = special.map(str::to_owned).into();
    names.extend((0..=255_u8).map(|byte| format!("<0x{byte:02X}>")));
    names.extend((b' '..=b'~').map(|byte| if byte == b' ' { '▁' } else { char::from(byte) }.to_string()));
    let vocab: Map<String, Value> = names.into_iter().zip(0..).map(|(name, id)| (name, json!(id))).collect();
    let added = |(id, name): (usize, &str)| {
        json!({
            "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true,
        })
    };
    let opened = |id: &str, kind: u32| json!([{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": id, "type_id": kind } }]);
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": special.into_iter().enumerate().map(added).collect::<Vec<_>>(),
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        ] },
        "pre_tokenizer": null,
        "post_processor": {
            "type": "TemplateProcessing", "single": opened("A", 0), "pair": opened("B", 1),
            "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } },
        },
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
        ] },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": [],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hawk_files::TextTokenizer;

    #[test]
    fn bytes_are_tokens_and_come_back() {
        for json in [chameleon(Ids::TINY), chameleon(Ids::CHAMELEON), janus(300), janus(102_400)] {
            let tokenizer = TextTokenizer::from_bytes(json.to_string().as_bytes()).unwrap();
            let text = "a red\napple, Äpfel 🍎";
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!((ids.len(), tokenizer.decode(&ids).unwrap().as_str()), (text.len(), text));
        }
    }

    #[test]
    fn llamas_tokens_are_characters_and_bytes() {
        let tokenizer = TextTokenizer::from_bytes(llama().to_string().as_bytes()).unwrap();
        assert_eq!(tokenizer.ids(), LLAMA_IDS as usize);
        let text = "a red apple,\nÄpfel 🍎";
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(ids[..4].iter().map(|id| id.0).collect::<Vec<_>>(), [1, 259, 259 + 65, 259]);
        // Begin and the prepended space.
        assert_eq!((ids.len(), tokenizer.decode(&ids).unwrap().as_str()), (2 + text.len(), text));
    }
}
