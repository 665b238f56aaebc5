//! Codes to pixels against the reference decoder's, and the caption that the reference encoded.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use hawk_nn::kernels::Threads;
use hawk_nn::{
    Checkpoint, Condition, Fault, HawkConfig, Image, MAX_PROMPT_BYTES, ModelSource, TextTokenizer, TransformerConfig,
    VqConfig, VqDecoder, VqEncoder, VqLayout,
};
use hawk_spec::{Code, Grid, TokenId};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

const CODEBOOK: &str = "quantize.embedding.weight";

fn built_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/built-in")
}

fn source() -> ModelSource {
    ModelSource::Dir(built_in())
}

fn integers(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as u32).collect()
}

/// What the reference computed.
struct Golden {
    grid: Grid,
    codes: Vec<Code>,
    pixels: Vec<u8>,
    input_ids: Vec<TokenId>,
}

fn golden() -> Golden {
    let bytes = std::fs::read(built_in().join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = |name: &str| file.tensor(name).unwrap().data();
    let shape = file.tensor("codes").unwrap().shape().to_vec();
    Golden {
        grid: Grid::new(shape[0] as u32, shape[1] as u32).unwrap(),
        codes: integers(data("codes")).into_iter().map(Code).collect(),
        pixels: data("pixels").to_vec(),
        input_ids: integers(data("input_ids")).into_iter().map(TokenId).collect(),
    }
}

/// The built-in decoder after a change of its tensors: name, shape, bytes.
fn changed(change: impl Fn(&mut String, &mut Vec<usize>, &mut Vec<u8>)) -> hawk_nn::Result<VqDecoder> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("vq")).unwrap();
    std::fs::copy(built_in().join("vq/config.json"), dir.path().join("vq/config.json")).unwrap();
    let bytes = std::fs::read(built_in().join("vq/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let (mut name, mut shape, mut data) = (name.to_owned(), view.shape().to_vec(), view.data().to_vec());
        change(&mut name, &mut shape, &mut data);
        // Numbers that a change made twice as long are f32.
        let dtype = if data.len() == 4 * shape.iter().product::<usize>() { Dtype::F32 } else { view.dtype() };
        tensors.push((name, dtype, shape, data));
    }
    let views =
        tensors.iter().map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let written = safetensors::serialize(views, None).unwrap();
    std::fs::write(dir.path().join("vq/model.safetensors"), written).unwrap();
    VqDecoder::load(&ModelSource::Dir(dir.path().to_owned()), "vq/")
}

/// Colours that differ; none may by more than one level.
#[track_caller]
fn differing(image: &Image, want: &[u8]) -> usize {
    assert_eq!(image.pixels.len(), want.len());
    let differences = || image.pixels.iter().zip(want).map(|(a, b)| a.abs_diff(*b));
    assert!(differences().all(|difference| difference <= 1), "off by up to {:?}", differences().max());
    differences().filter(|difference| *difference > 0).count()
}

#[test]
fn pixels_match_the_reference_for_any_threads() {
    let (golden, decoder) = (golden(), VqDecoder::load(&source(), "vq/").unwrap());
    let images = [1, 2, 3].map(|threads| decoder.decode(&Threads::new(threads), &golden.codes, golden.grid).unwrap());
    assert_eq!((images[0].width, images[0].height), (128, 128));
    assert!(images[0] == images[1] && images[0] == images[2]);
    let differing = differing(&images[0], &golden.pixels);
    println!("{differing} of {} colours differ by one level", golden.pixels.len());
    assert!(differing * 1000 <= golden.pixels.len(), "{differing}");
}

#[test]
fn codes_of_any_length_are_normalized() {
    let golden = golden();
    let draw = |change: &dyn Fn(&mut [f32])| {
        let decoder = changed(|name, _, data| {
            if name == CODEBOOK {
                let bits = data.as_chunks::<2>().0.iter().map(|bits| u32::from(u16::from_le_bytes(*bits)) << 16);
                let mut numbers: Vec<f32> = bits.map(f32::from_bits).collect();
                numbers.chunks_mut(8).for_each(change);
                *data = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            }
        });
        decoder.unwrap().decode(&Threads::new(2), &golden.codes, golden.grid).unwrap()
    };
    let twice = draw(&|code| code.iter_mut().for_each(|x| *x *= 2.0));
    // The reference takes the table as it is stored, where lengths are rounded: no colour is off by more than one level.
    differing(&twice, &golden.pixels);
    let of_length_one = draw(&|code| {
        let length = code.iter().map(|x| x * x).sum::<f32>().sqrt();
        code.iter_mut().for_each(|x| *x /= length);
    });
    assert!(differing(&twice, &of_length_one.pixels) * 100 < golden.pixels.len());
}

#[test]
fn tensors_of_a_whole_converted_model_are_found() {
    let golden = golden();
    let decoder = changed(|name, _, _| name.insert_str(0, "model.vqmodel.")).unwrap();
    let image = decoder.decode(&Threads::new(2), &golden.codes, golden.grid).unwrap();
    assert!(
        image
            == VqDecoder::load(&source(), "vq/").unwrap().decode(&Threads::new(1), &golden.codes, golden.grid).unwrap()
    );
}

#[test]
fn a_grid_of_any_shape_decodes() {
    let decoder = VqDecoder::load(&source(), "vq/").unwrap();
    for (rows, cols) in [(1, 1), (1, 7), (5, 2)] {
        let codes: Vec<Code> = (0..rows * cols).map(Code).collect();
        let image = decoder.decode(&Threads::new(2), &codes, Grid::new(rows, cols).unwrap()).unwrap();
        assert_eq!((image.height, image.width, image.pixels.len() as u32), (8 * rows, 8 * cols, 192 * rows * cols));
    }
}

#[test]
fn wrong_weights_are_named() {
    let missing = changed(|name, _, _| {
        if name == "decoder.mid.attn_1.k.weight" {
            name.push('x');
        }
    });
    let shape = changed(|name, shape, _| {
        if name == "decoder.conv_in.weight" {
            shape.swap(1, 3);
        }
    });
    for (decoder, named) in [(missing, "mid.attn_1.k.weight"), (shape, "[128, 64, 3, 3]")] {
        let error = decoder.err().unwrap();
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn wrong_codes_and_damaged_weights_are_refused() {
    let (pool, golden) = (Threads::new(1), golden());
    let decoder = VqDecoder::load(&source(), "vq/").unwrap();
    let refused = |decoder: &VqDecoder, codes: &[Code], named: &str| {
        let error = decoder.decode(&pool, codes, golden.grid).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    };
    refused(&decoder, &golden.codes[1..], "255");
    refused(&decoder, &[Code(4096); 256], "4096");
    let with = |name: &'static str, number: [u8; 2]| {
        changed(move |other, _, data| {
            if other == name {
                data.chunks_exact_mut(2).for_each(|bytes| bytes.copy_from_slice(&number));
            }
        })
    };
    // Sums of the largest numbers are infinite.
    refused(&with("decoder.conv_out.weight", [0x7f, 0x7f]).unwrap(), &golden.codes, "no numbers");
    for name in ["decoder.conv_out.bias", "quantize.embedding.weight", "decoder.norm_out.weight"] {
        let error = with(name, [0x80, 0x7f]).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains("not finite"), "{error}");
    }
}

#[test]
fn the_golden_caption_encodes_to_its_ids() {
    let tokenizer = TextTokenizer::from_bytes(&source().read("tokenizer.json").unwrap()).unwrap();
    let transformer = TransformerConfig::from_json(&source().read("config.json").unwrap()).unwrap();
    tokenizer.check(&transformer).unwrap();
    let hawk = HawkConfig::from_json(&source().read("hawk.json").unwrap()).unwrap();
    let (golden, opening) = (golden(), hawk.layout.opening());
    let text_end = golden.input_ids.windows(opening.len()).position(|ids| ids == opening).unwrap();
    let (prefix, image) = golden.input_ids.split_at(text_end);
    let Condition::Text(text) = &hawk.condition else { panic!("{:?}", hawk.condition) };
    assert_eq!(prefix[0], text.bos);
    let caption = tokenizer.decode(&prefix[1..]).unwrap();
    assert_eq!(caption, " red apple, fluent 3d style");
    for spelling in ["red apple, fluent 3d style", "Red Apple, FLUENT 3D style"] {
        assert_eq!(tokenizer.encode(&text.template.fill(spelling, hawk.image_size)).unwrap(), prefix[1..]);
    }
    assert!(hawk.layout.sequence(&golden.codes).starts_with(&image[opening.len()..]));
}

#[test]
fn hostile_prompts_and_tokenizers_are_refused_or_encoded() {
    let bytes = source().read("tokenizer.json").unwrap();
    let tokenizer = TextTokenizer::from_bytes(&bytes).unwrap();
    assert!(tokenizer.encode("").unwrap().is_empty());
    assert!(tokenizer.encode("🦅 \u{0} \u{202e} e\u{301}\u{327} \n").is_ok());
    assert!(tokenizer.encode(&"a".repeat(MAX_PROMPT_BYTES)).is_ok());
    let error = tokenizer.encode(&"a".repeat(MAX_PROMPT_BYTES + 1)).unwrap_err().to_string();
    assert!(error.contains("65536") && error.contains("65537"), "{error}");
    let change = |from: &str, to: &str| {
        let changed = String::from_utf8(bytes.to_vec()).unwrap().replace(from, to);
        assert_ne!(changed.as_bytes(), &bytes[..]);
        changed.into_bytes()
    };
    let broken_json = change("\"decoder\":{", "\"decoder\":mull{");
    let broken_map = change("\"type\":\"Lowercase\"", "\"type\":\"Precompiled\",\"precompiled_charsmap\":7");
    for bytes in [&b""[..], b"{}", b"[1]", &bytes[..bytes.len() / 2], &broken_json, &broken_map] {
        assert!(TextTokenizer::from_bytes(bytes).is_err());
    }
    let mut small = TransformerConfig::from_json(&source().read("config.json").unwrap()).unwrap();
    small.vocab = 2000;
    assert!(tokenizer.check(&small).unwrap_err().to_string().contains("2000"));
}

#[test]
fn the_parts_of_the_built_in_model_fit() {
    let hawk = HawkConfig::from_json(&source().read("hawk.json").unwrap()).unwrap();
    hawk.check(&TransformerConfig::from_json(&source().read("config.json").unwrap()).unwrap()).unwrap();
    hawk.check_decoder(&VqConfig::from_json(&source().read("vq/config.json").unwrap()).unwrap()).unwrap();
}

/// Cells whose code differs.
fn changed_cells(a: &[Code], b: &[Code]) -> usize {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[test]
fn the_encoder_finds_the_codes_of_a_decoded_image_again() {
    let (golden, source) = (golden(), source());
    let (encoder, decoder) = (VqEncoder::load(&source, "vq/").unwrap(), VqDecoder::load(&source, "vq/").unwrap());
    let pool = Threads::new(2);
    let image = decoder.decode(&pool, &golden.codes, golden.grid).unwrap();
    let codes = encoder.encode(&pool, &image, golden.grid).unwrap();
    assert_eq!(codes, encoder.encode(&Threads::new(1), &image, golden.grid).unwrap());
    // Decoding loses some; what is encoded from there stays.
    let changed = changed_cells(&codes, &golden.codes);
    let again = encoder.encode(&pool, &decoder.decode(&pool, &codes, golden.grid).unwrap(), golden.grid).unwrap();
    println!("{changed} of {} cells change, then {}", codes.len(), changed_cells(&again, &codes));
    assert!(changed < codes.len() / 2, "{changed} cells changed");
    let distance = |a: &Image| -> f64 {
        let squares = a.pixels.iter().zip(&image.pixels).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        (squares.sum::<f64>() / image.pixels.len() as f64).sqrt()
    };
    assert!(distance(&decoder.decode(&pool, &codes, golden.grid).unwrap()) < 12.0);
}

#[test]
fn images_that_do_not_fill_the_grid_are_named() {
    let (encoder, golden, pool) = (VqEncoder::load(&source(), "vq/").unwrap(), golden(), Threads::new(1));
    for (width, height, bytes) in [(128, 120, 128 * 120 * 3), (128, 128, 7), (0, 0, 0)] {
        let image = Image { width, height, pixels: vec![0; bytes] };
        let error = encoder.encode(&pool, &image, golden.grid).unwrap_err();
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains("128 x 128"), "{error}");
    }
}

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn file(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("golden.safetensors")).unwrap()
}

fn codes(file: &SafeTensors<'_>, name: &str) -> Vec<Code> {
    integers(file.tensor(name).unwrap().data()).into_iter().map(Code).collect()
}

/// The reference's colours, before they are levels.
fn colours(file: &SafeTensors<'_>) -> Vec<f32> {
    file.tensor("pixels").unwrap().data().as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

fn square(codes: &[Code]) -> Grid {
    let side = codes.len().isqrt() as u32;
    Grid::new(side, side).unwrap()
}

#[test]
fn the_decoders_match_their_references() {
    for (name, golden, rounded) in [("taming", "", 0.0), ("janus", "", 0.0), ("llamagen-c2i", "vq", 0.5)] {
        let dir = tiny(name);
        let golden = file(&dir.join(golden));
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let codes = codes(&golden, "codes");
        let decoder = VqDecoder::of_model(&ModelSource::Dir(dir)).unwrap();
        let images = [1, 2].map(|threads| decoder.decode(&Threads::new(threads), &codes, square(&codes)).unwrap());
        assert!(images[0] == images[1]);
        let level = |x: &f32| ((x.clamp(-1.0, 1.0) + 1.0) / 2.0 * 255.0 + rounded) as u8;
        let want: Vec<u8> = colours(&golden).iter().map(level).collect();
        assert!(want.iter().any(|level| *level != want[0]));
        assert_eq!(differing(&images[0], &want), 0, "{name}");
    }
}

#[test]
fn the_encoders_match_their_references() {
    for (name, golden) in [("taming", ""), ("llamagen-c2i", "vq")] {
        let dir = tiny(name);
        let golden = file(&dir.join(golden));
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let (want, pixels) = (codes(&golden, "image_codes"), golden.tensor("image").unwrap());
        let (height, width) = (pixels.shape()[0] as u32, pixels.shape()[1] as u32);
        let image = Image { width, height, pixels: pixels.data().to_vec() };
        let encoder = VqEncoder::of_model(&ModelSource::Dir(dir)).unwrap();
        let got = encoder.encode(&Threads::new(2), &image, square(&want)).unwrap();
        println!("{name}: {} of {} cells differ", changed_cells(&got, &want), want.len());
        assert_eq!(got, want);
    }
}

/// A Janus's file in the original layout: the names of deepseek-ai/Janus, from those of transformers.
fn original_name(name: &str) -> Option<String> {
    let rest = name.strip_prefix("model.vqmodel.")?;
    let rest = rest.replace(".block_1.", ".0.").replace(".attn_1.", ".1.").replace(".block_2.", ".2.");
    let rest = rest.replace("decoder.up.", "decoder.conv_blocks.").replace("encoder.down.", "encoder.conv_blocks.");
    Some(format!("gen_vision_model.{}", rest.replace(".block.", ".res.")))
}

#[test]
fn the_original_names_of_a_janus_give_the_same_pixels() {
    let (dir, out) = (tiny("janus"), tempfile::tempdir().unwrap());
    let golden = file(&dir);
    let codes = codes(&SafeTensors::deserialize(&golden).unwrap(), "codes");
    let want = VqDecoder::of_model(&ModelSource::Dir(dir.clone())).unwrap();
    let mut tensors = Vec::new();
    for number in 1..=3 {
        let bytes = std::fs::read(dir.join(format!("model-0000{number}-of-00003.safetensors"))).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            if let Some(name) = original_name(name) {
                tensors.push((name, view.dtype(), view.shape().to_vec(), view.data().to_vec()));
            }
        }
    }
    let views =
        tensors.iter().map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    std::fs::write(out.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let config = VqConfig { layout: VqLayout::LlamaGen, ..want.config().clone() };
    let checkpoint = Checkpoint::open(&ModelSource::Dir(out.path().to_owned()), "").unwrap();
    let original = VqDecoder::from_checkpoint(config, &checkpoint).unwrap();
    let [a, b] = [&want, &original].map(|decoder| decoder.decode(&Threads::new(2), &codes, square(&codes)).unwrap());
    assert!(a == b);
}
