//! PNG files with a record, from which the image can be made again.

use std::io::Cursor;

use hawk_nn::{Error, Image, Result, from_json};

use super::Record;

/// Keyword of the text chunk that holds the [`Record`] as JSON.
const KEYWORD: &str = "hawk";
/// Longest side of a PNG that is read or written.
const MAX_SIDE: u32 = 1 << 16;
/// Most pixels of a PNG that is read or written.
const MAX_PIXELS: u64 = 1 << 28;
/// Longest record that is read or written: the longest prompt, and a source for each cell of the
/// largest grid.
const MAX_RECORD_BYTES: usize = 16 << 20;

/// The bytes of a PNG with its record.
///
/// # Errors
/// The image is empty.
pub fn write_png(image: &Image, record: &Record) -> Result<Vec<u8>> {
    let json = serde_json::to_string(record).map_err(|e| Error::input(format!("cannot write a record: {e}")))?;
    if json.len() > MAX_RECORD_BYTES {
        let expected = format!("at most {MAX_RECORD_BYTES} bytes");
        return Err(Error::input("the record is too long").at("prompt").expected(expected).got(json.len()));
    }
    let software = format!("hawk {}", record.version);
    encode(image, &[("Description", &record.prompt), ("Software", &software), (KEYWORD, &json)])
}

/// The bytes of a PNG without a record.
///
/// # Errors
/// The image is empty.
pub fn write_plain_png(image: &Image) -> Result<Vec<u8>> {
    encode(image, &[])
}

fn check_size(width: u32, height: u32) -> Result<()> {
    if width <= MAX_SIDE && height <= MAX_SIDE && u64::from(width) * u64::from(height) <= MAX_PIXELS {
        return Ok(());
    }
    let expected = format!("at most {MAX_SIDE} pixels a side, {MAX_PIXELS} in all");
    Err(Error::input("the image is too large").expected(expected).got(format!("{width} x {height}")))
}

/// A colour format in the words of users.
fn in_words((colour, depth): (png::ColorType, png::BitDepth)) -> String {
    let colour = match colour {
        png::ColorType::Grayscale => "grey",
        png::ColorType::Rgb => "RGB",
        png::ColorType::Indexed => "a palette",
        png::ColorType::GrayscaleAlpha => "grey with transparency",
        png::ColorType::Rgba => "RGB with transparency (RGBA)",
    };
    format!("{colour}, {} bits", depth as u8)
}

fn encode(image: &Image, texts: &[(&str, &str)]) -> Result<Vec<u8>> {
    check_size(image.width, image.height)?;
    let write = || -> std::result::Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, image.width, image.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        for (keyword, text) in texts {
            encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&image.pixels)?;
        writer.finish()?;
        Ok(bytes)
    };
    write().map_err(|e| Error::input(format!("cannot write a PNG: {e}")))
}

/// The pixels and the record of a PNG.
///
/// # Errors
/// The bytes are no whole PNG, its sides or its colour format are not read, or it has no valid
/// record.
pub fn read_png(bytes: &[u8]) -> Result<(Image, Record)> {
    let damaged = |e: png::DecodingError| Error::input(format!("not a whole PNG: {e}"));
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(damaged)?;
    let (width, height) = reader.info().size();
    check_size(width, height)?;
    let format = reader.output_color_type();
    if format != (png::ColorType::Rgb, png::BitDepth::Eight) {
        return Err(Error::input("the image has another colour format than `hawk generate` writes")
            .expected("8-bit RGB")
            .got(in_words(format))
            .hint("programs that edit or shrink images change it; use the file that hawk wrote"));
    }
    let mut pixels = vec![0; width as usize * height as usize * 3];
    reader.next_frame(&mut pixels).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    let json = record_text(reader.info()).map_err(damaged)?.ok_or_else(|| {
        Error::input("the image has no record of how it was made")
            .expected(format!("a text chunk {KEYWORD:?}"))
            .hint("only PNG files of `hawk generate` have one; programs that edit images often drop it")
    })?;
    let record: Record = from_json("a record", json.as_bytes()).map_err(|e| e.at("the image's record is damaged"))?;
    let (sources, cells) = (record.sources.len(), record.stats.cells);
    if sources > 0 && sources as u64 != cells {
        let expected = format!("sources of {cells} cells");
        return Err(Error::input("the image's record is damaged").expected(expected).got(sources));
    }
    Ok((Image { width, height, pixels }, record))
}

/// The text of the record. Programs that copy PNG files may turn the kind of chunk that hawk writes
/// into one of the older kinds.
fn record_text(info: &png::Info<'_>) -> std::result::Result<Option<String>, png::DecodingError> {
    // A few compressed bytes can stand for any number of them.
    if let Some(mut chunk) = info.utf8_text.iter().find(|chunk| chunk.keyword == KEYWORD).cloned() {
        chunk.decompress_text_with_limit(MAX_RECORD_BYTES)?;
        return chunk.get_text().map(Some);
    }
    if let Some(chunk) = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == KEYWORD) {
        return Ok(Some(from_latin1(&chunk.text)));
    }
    if let Some(mut chunk) = info.compressed_latin1_text.iter().find(|chunk| chunk.keyword == KEYWORD).cloned() {
        chunk.decompress_text_with_limit(MAX_RECORD_BYTES)?;
        return chunk.get_text().map(|text| Some(from_latin1(&text)));
    }
    Ok(None)
}

/// UTF-8 that was copied byte by byte into Latin-1, or Latin-1 as it is.
fn from_latin1(text: &str) -> String {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use hawk_spec::{DecodeStats, Drawn, Seed, Source};
    use serde_json::json;

    use super::*;
    use crate::record::{RecordedSampling, RecordedStats};
    use crate::request::event::CellSource;

    fn record() -> Record {
        Record {
            version: "0".to_owned(),
            prompt: "Äpfel 🍎\nzwei".to_owned(),
            features_digest: String::new(),
            heads_digest: String::new(),
            asked_size: None,
            seed: u64::MAX,
            index: 3,
            model: crate::BUILT_IN.to_owned(),
            model_digest: "ab".to_owned(),
            precision: "int8".to_owned(),
            device: "cpu".to_owned(),
            decoder: "neighbour".to_owned(),
            rule: "rejection".to_owned(),
            tree: "3x1".to_owned(),
            sampling: RecordedSampling { cfg: 3.1, temperature: 0.7, top_k: 9, top_p: 0.3 },
            stats: RecordedStats { cells: 7, ..(&DecodeStats::default()).into() },
            sources: sources(),
        }
    }

    fn sources() -> Vec<CellSource> {
        let [recovered, bonus] = [Drawn::Recovered, Drawn::Bonus].map(CellSource::Target);
        let [left, above, h2, v8] = [Source::LEFT, Source::ABOVE, Source::new("H2"), Source::new("V8")];
        let drafted = [left, left, above, h2, v8].map(CellSource::Drafted);
        [&[recovered][..], &drafted, &[bonus]].concat()
    }

    fn image() -> Image {
        Image { width: 5, height: 3, pixels: (0..45).collect() }
    }

    #[test]
    fn a_record_comes_back_with_its_pixels() {
        let (image, record) = (image(), record());
        assert_eq!(read_png(&write_png(&image, &record).unwrap()).unwrap(), (image, record.clone()));
        let request = record.request().unwrap();
        assert_eq!((request.seed, request.images), (Seed(u64::MAX), 3..4));
        assert_eq!(RecordedSampling::from(request.sampling), record.sampling);
    }

    #[test]
    fn sources_are_runs_of_names_as_many_as_cells() {
        let json = serde_json::to_value(record()).unwrap();
        assert_eq!(json["sources"], "r left*2 above H2 V8 b");
        let check = |sources: Option<&str>, want: std::result::Result<Vec<CellSource>, &str>| {
            let mut json = json.clone();
            match sources {
                Some(text) => json["sources"] = text.into(),
                None => drop(json.as_object_mut().unwrap().remove("sources")),
            }
            let text = json.to_string();
            let got = encode(&image(), &[(KEYWORD, text.as_str())]).and_then(|bytes| read_png(&bytes));
            match want {
                Ok(sources) => assert_eq!(got.unwrap().1.sources, sources),
                Err(words) => assert!(got.unwrap_err().to_string().contains(words), "{text}"),
            }
        };
        check(Some("r left*2 above H2 V8 b"), Ok(sources()));
        check(
            Some("r*4 V10 H1024 V9999999"),
            Ok([vec![CellSource::Target(Drawn::Recovered); 4], far_heads()].concat()),
        );
        check(Some("r*7"), Ok(vec![CellSource::Target(Drawn::Recovered); 7]));
        check(None, Ok(Vec::new()));
        check(Some("r*6"), Err("sources of 7 cells"));
        for damaged in ["r*0", "r*-1", "ora-cle*7", "r*", "r*99999999999999999999", "r*1048576 r", "ninechars*7"] {
            check(Some(damaged), Err("damaged"));
        }
    }

    /// Heads of any distance, as a drafter names them.
    fn far_heads() -> Vec<CellSource> {
        [('V', 10), ('H', 1024), ('V', u32::MAX)].map(|(c, n)| CellSource::Drafted(Source::numbered(c, n))).to_vec()
    }

    #[test]
    fn whatever_is_written_is_read() {
        for prompt in ["", "\0", "a\0b\u{1b}[31m", "\u{feff}\r\n\t", &"🍎".repeat(30_000)] {
            let record = Record { prompt: prompt.to_owned(), ..record() };
            assert_eq!(read_png(&write_png(&image(), &record).unwrap()).unwrap().1, record, "{prompt:?}");
        }
        let [width, height] = [MAX_SIDE, 1];
        let wide = Image { width, height, pixels: vec![1; width as usize * 3] };
        assert_eq!(read_png(&write_png(&wide, &record()).unwrap()).unwrap().0, wide);
        let record = Record { prompt: "a".repeat(MAX_RECORD_BYTES), ..record() };
        assert!(write_png(&image(), &record).unwrap_err().to_string().contains("prompt"));
        let wide = Image { width: MAX_SIDE + 1, height, pixels: vec![1; (MAX_SIDE + 1) as usize * 3] };
        assert!(write_plain_png(&wide).unwrap_err().to_string().contains("too large"));
    }

    #[test]
    fn records_in_older_kinds_of_chunks_are_read() {
        let json = serde_json::to_string(&record()).unwrap();
        let latin1: String = json.bytes().map(char::from).collect();
        for (text, compressed) in [(&latin1, false), (&latin1, true)] {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 5, 3);
            encoder.set_color(png::ColorType::Rgb);
            match compressed {
                true => encoder.add_ztxt_chunk(KEYWORD.to_owned(), text.clone()).unwrap(),
                false => encoder.add_text_chunk(KEYWORD.to_owned(), text.clone()).unwrap(),
            }
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&image().pixels).unwrap();
            writer.finish().unwrap();
            assert_eq!(read_png(&bytes).unwrap().1, record(), "compressed: {compressed}");
        }
    }

    #[test]
    fn any_damage_is_an_error() {
        let whole = write_png(&image(), &record()).unwrap();
        for end in 0..whole.len() {
            assert!(read_png(&whole[..end]).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            let _ = read_png(&bytes);
        }
        assert!(read_png(&write_plain_png(&image()).unwrap()).unwrap_err().to_string().contains("how it was made"));
    }

    /// A PNG of another record.
    fn with_record(json: &serde_json::Value) -> Result<(Image, Record)> {
        read_png(&encode(&image(), &[(KEYWORD, &json.to_string())])?)
    }

    /// What `hawk again` takes from a record.
    fn again(json: &serde_json::Value) -> Result<()> {
        let (_, record) = with_record(json)?;
        record.precision()?;
        record.request().map(drop)
    }

    #[test]
    fn every_field_of_a_record_that_lies_is_named() {
        let good = serde_json::to_value(Record {
            features_digest: "ab".to_owned(),
            heads_digest: "cd".to_owned(),
            asked_size: Some([768, 512]),
            ..record()
        })
        .unwrap();
        again(&good).unwrap();
        let rows = [
            ("/asked_size", json!([768]), "asked_size"),
            ("/asked_size", json!([-1, 768]), "asked_size"),
            ("/seed", json!(-1), "seed"),
            ("/seed", json!(1e30), "seed"),
            ("/index", json!(u32::MAX), "number"),
            ("/index", json!(1_u64 << 32), "index"),
            ("/precision", json!("f8"), "f8"),
            ("/decoder", json!("oracle"), "oracle"),
            ("/rule", json!("guess"), "guess"),
            ("/tree", json!("0"), "tree"),
            ("/tree", json!("99999999999999999999"), "tree"),
            ("/tree", json!("9x9x9x9"), "tree"),
            ("/sampling/cfg", json!(1e300), "cfg"),
            ("/sampling/temperature", json!(0), "temperature"),
            ("/sampling/top_k", json!(-1), "top_k"),
            ("/sampling/top_p", json!(2), "top_p"),
            ("/stats/cells", json!(8), "sources of 8 cells"),
            ("/stats/cells", json!(-1), "stats.cells"),
            ("/sources", json!("r"), "sources of 7 cells"),
            ("/sources", json!("ora-cle*7"), "sources & ora-cle"),
        ];
        let lie = |pointer: &str, lie: Option<serde_json::Value>| {
            let (mut json, (outer, key)) = (good.clone(), pointer.rsplit_once('/').unwrap());
            let keys = json.pointer_mut(outer).unwrap().as_object_mut().unwrap();
            match lie {
                Some(lie) => keys.insert(key.to_owned(), lie),
                None => keys.remove(key),
            };
            again(&json)
        };
        for (pointer, value, words) in rows {
            let error = lie(pointer, Some(value)).unwrap_err().to_string();
            assert!(words.split(" & ").all(|words| error.contains(words)), "{pointer}: {error}");
        }
        let inner = |name: &str| good[name].as_object().unwrap().keys().map(|key| format!("/{name}/{key}")).collect();
        let outer = good.as_object().unwrap().keys().map(|key| format!("/{key}"));
        for pointer in [inner("sampling"), inner("stats"), outer.collect::<Vec<_>>()].concat() {
            let named = pointer.rsplit('/').next().unwrap();
            let error = lie(&pointer, Some(json!({ "lie": [] }))).unwrap_err().to_string();
            // A part of the wrong type is named by a field that it lacks.
            assert!(error.contains(named) && error.contains("damaged"), "{pointer}: {error}");
            if let Err(error) = lie(&pointer, None) {
                assert!(error.to_string().contains(named), "without {pointer}: {error}");
            }
        }
    }

    #[test]
    fn a_png_whose_header_or_text_lies_is_refused_without_its_memory() {
        let header = |width: u32, height: u32, colour: png::ColorType, depth: png::BitDepth| {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, width, height);
            encoder.set_color(colour);
            encoder.set_depth(depth);
            encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, &[]).unwrap();
            bytes
        };
        let (rgb, eight) = (png::ColorType::Rgb, png::BitDepth::Eight);
        for (bytes, words) in [
            (header(MAX_SIDE + 1, 1, rgb, eight), "too large"),
            (header(MAX_SIDE, MAX_SIDE, rgb, eight), "too large"),
            (header(1, u32::MAX >> 1, rgb, eight), "too large"),
            (header(1, 1, png::ColorType::Rgba, eight), "8-bit RGB, got RGB with transparency"),
            (header(1, 1, rgb, png::BitDepth::Sixteen), "8-bit RGB"),
            (header(1, 1, png::ColorType::Grayscale, png::BitDepth::One), "8-bit RGB"),
            (header(5, 3, rgb, eight), "not a whole PNG"),
        ] {
            let error = read_png(&bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        let compressed = |length: usize| {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 5, 3);
            encoder.set_color(rgb);
            let mut writer = encoder.write_header().unwrap();
            let mut text = png::text_metadata::ITXtChunk::new(KEYWORD, " ".repeat(length));
            text.compressed = true;
            text.compress_text().unwrap();
            writer.write_text_chunk(&text).unwrap();
            writer.write_image_data(&image().pixels).unwrap();
            writer.finish().unwrap();
            bytes
        };
        assert!(read_png(&compressed(1000)).unwrap_err().to_string().contains("record"));
        let bomb = compressed(MAX_RECORD_BYTES + 1);
        assert!(bomb.len() < 1 << 18 && read_png(&bomb).unwrap_err().to_string().contains("not a whole PNG"));
    }
}
