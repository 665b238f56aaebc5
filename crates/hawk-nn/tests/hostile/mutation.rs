//! Damage: every reader is given thousands of files that were right and were changed at random (by a generator of a fixed seed). They may be
//! read or refused; nothing may panic, overflow, run on, or ask for memory that the file does not account for. The fuzz targets do the same
//! without end.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hawk_nn::{
    CaptionFeatures, Checkpoint, Error, HawkConfig, HeadsConfig, ModelSource, TextTokenizer, TransformerConfig,
    VqConfig,
};
use hawk_synth::{SynthModel, synthesize};

use crate::checkpoints::read_all;
use crate::{built_in, goldens, packed, pickles};

thread_local! {
    /// Largest piece of memory that this thread asked for.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// More than any of the files here can be worth.
const MOST_BYTES: usize = 64 << 20;

struct Watching;

// SAFETY: every call is passed on to the system's allocator as it came; watching touches no memory of its own.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` by one of the calls above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }
}

/// Numbers as texts of configs may have them.
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "1",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "-9223372036854775808",
    "1e300",
    "null",
];
const BYTES: [u8; 9] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'.'];

/// One to four changes, most often one, among the first `reach` bytes.
fn damage(seed: &[u8], reach: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let changes = if dice.below(2) == 0 { 1 } else { 2 + dice.below(3) };
    for _ in 0..changes {
        let at = dice.below(bytes.len().min(reach));
        let length = 1 + dice.below(8);
        let end = (at + length).min(bytes.len());
        match dice.below(9) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = BYTES[dice.below(BYTES.len())]),
            2 => bytes[at..end].fill(BYTES[dice.below(BYTES.len())]),
            3 => drop(bytes.drain(at..end)),
            4 => drop(bytes.splice(at..at, (0..length).map(|_| dice.next() as u8).collect::<Vec<_>>())),
            5 => {
                let copy = bytes[at..end].to_vec();
                let to = dice.below(bytes.len().min(reach));
                drop(bytes.splice(to..to, copy));
            }
            6 if dice.below(4) == 0 => bytes.truncate(at),
            // The next number of a text becomes another.
            _ => {
                let Some(start) = bytes[at..].iter().take(200).position(u8::is_ascii_digit).map(|from| at + from)
                else {
                    continue;
                };
                let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = NUMBERS[dice.below(NUMBERS.len())].bytes();
                drop(bytes.splice(start..start + digits, number));
            }
        }
    }
    bytes
}

/// Reads `times` damaged files; returns how many of them were refused.
#[track_caller]
fn survives(reader: &str, (seed, reach): (&[u8], usize), times: u64, read: &dyn Fn(&[u8]) -> Result<(), Error>) -> u64 {
    read(seed).unwrap_or_else(|e| panic!("{reader} must read what is right: {e}"));
    let mut refused = 0;
    for time in 0..times {
        let bytes = damage(seed, reach, &mut Dice(time << 32 | seed.len() as u64));
        LARGEST.set(0);
        match catch_unwind(AssertUnwindSafe(|| read(&bytes))) {
            Ok(result) => refused += u64::from(result.is_err()),
            Err(_) => panic!("{reader} panics on its damaged file {time}: {:?}", String::from_utf8_lossy(&bytes)),
        }
        let largest = LARGEST.get();
        assert!(largest <= MOST_BYTES, "{reader} asks for {largest} bytes on its damaged file {time}");
    }
    // Damage that nobody sees would be no test.
    assert!(refused > times / 10, "{reader} refuses {refused} of {times}");
    refused
}

fn bytes_of(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// A reader of a file that lies in a folder among others.
fn in_folder<'a>(
    dir: &'a Path,
    name: &'a str,
    read: impl Fn(&ModelSource) -> Result<(), Error> + 'a,
) -> impl Fn(&[u8]) -> Result<(), Error> + 'a {
    move |bytes| {
        std::fs::write(dir.join(name), bytes).unwrap();
        read(&ModelSource::Dir(dir.to_owned()))
    }
}

/// Reads a seed damaged in many ways, and says how often that was refused.
fn check(reader: &str, seed: (&[u8], usize), times: u64, read: &dyn Fn(&[u8]) -> Result<(), Error>) {
    println!("{reader}: {} of {times} refused", survives(reader, seed, times, read));
}

#[test]
fn damaged_weights_are_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let all = usize::MAX;

    let safetensors = bytes_of(&goldens("llamagen-t2i").join("features.safetensors"));
    let header = 8 + u64::from_le_bytes(*safetensors.first_chunk().unwrap()) as usize;
    let read = |bytes: &[u8]| read_all(&Checkpoint::from_bytes(bytes.to_vec())?);
    check("safetensors", (&safetensors, header), 4000, &read);
    check("features", (&safetensors, all), 2000, &|bytes| CaptionFeatures::from_bytes(bytes.to_vec()).map(drop));

    let dir = place.path().join("index");
    std::fs::create_dir(&dir).unwrap();
    for file in std::fs::read_dir(goldens("llamagen-c2i/vq")).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
    }
    let index = "model.safetensors.index.json";
    let open = |source: &ModelSource| Checkpoint::open(source, "").map(drop);
    check("index of shards", (&bytes_of(&dir.join(index)), all), 500, &in_folder(&dir, index, open));

    let path = packed::pack(place.path());
    let packed_file = bytes_of(&path);
    let header = packed_file.iter().take(1 << 20).rposition(|byte| *byte != b' ').unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        packed::load(&path)
    };
    check("packed file", (&packed_file, header), 150, &read);

    check("pickle in a zip archive", (&pickles::file(), all), 2000, &pickles::read);
    check("pickle in the old container", (&pickles::old_file(), all), 2000, &pickles::read);
    let meta = [pickles::meta_file()];
    let params = pickles::params().to_string();
    check("params.json", (params.as_bytes(), all), 200, &|bytes| pickles::convert_meta(bytes, &meta));
}

#[test]
fn damaged_configs_and_tokenizers_are_read_or_refused() {
    let place = tempfile::tempdir().unwrap();
    let all = usize::MAX;
    for name in ["chameleon", "llama-gqa", "janus", "llamagen-c2i", "llamagen-t2i"] {
        let mut json = crate::read_json(&goldens(name).join("config.json"));
        json.as_object_mut().unwrap().remove("vocabulary_map");
        let read = |bytes: &[u8]| {
            let _ = VqConfig::from_model_json(bytes);
            TransformerConfig::from_json(bytes).map(|config| drop(config.tensors()))
        };
        check(&format!("config.json of {name}"), (json.to_string().as_bytes(), all), 1000, &read);
    }
    let transformer = TransformerConfig::from_json(&bytes_of(&built_in().join("config.json"))).unwrap();
    let vq = VqConfig::from_json(&bytes_of(&built_in().join("vq/config.json"))).unwrap();
    let read = |bytes: &[u8]| {
        let config = HawkConfig::from_json(bytes)?;
        config.check(&transformer)?;
        config.check_decoder(&vq)
    };
    check("hawk.json", (&bytes_of(&built_in().join("hawk.json")), all), 2000, &read);
    for dir in [built_in().join("vq"), goldens("llamagen-c2i/vq")] {
        let seed = bytes_of(&dir.join("config.json"));
        check("vq/config.json", (&seed, all), 2000, &|bytes| VqConfig::from_json(bytes).map(drop));
    }
    let heads = bytes_of(&built_in().join("heads/config.json"));
    check("heads/config.json", (&heads, all), 2000, &|bytes| HeadsConfig::from_json(bytes).map(drop));

    let dir = place.path().join("yaml");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("vqgan.ckpt"), pickles::file()).unwrap();
    let yaml = "model:\n  target: taming.models.vqgan.VQModel\n  params:\n    embed_dim: 8\n    n_embed: 64\n    ddconfig:\n      \
                double_z: false\n      ch: 32\n      ch_mult: [1, 2]\n      num_res_blocks: 2\n      attn_resolutions: [16]\n      \
                z_channels: 64\n      resolution: 64\n      out_ch: 3\n";
    let vq = |source: &ModelSource| source.vq().map(drop);
    check("vqgan.yaml", (yaml.as_bytes(), all), 2000, &in_folder(&dir, "vqgan.yaml", vq));

    let tokenizer = bytes_of(&built_in().join("tokenizer.json"));
    let read = |bytes: &[u8]| {
        let tokenizer = TextTokenizer::from_bytes(bytes)?;
        tokenizer.check(&transformer)?;
        tokenizer.encode("a red apple, fluent 3d style").map(drop)
    };
    check("tokenizer.json", (&tokenizer, 1500), 300, &read);
    let dir = place.path().join("lumina");
    synthesize(SynthModel::TinyLumina, 1, &dir, &(std::sync::Arc::new(|_, _| ()) as hawk_nn::Progress)).unwrap();
    let source = ModelSource::Dir(dir.clone());
    let name = source.tokenizer_file().unwrap();
    let transformer = TransformerConfig::from_json(&source.read("config.json").unwrap()).unwrap();
    let read = in_folder(&dir, name, |source| HawkConfig::of_model(source, &transformer).map(drop));
    check("names of tokens", (&bytes_of(&dir.join(name)), all), 500, &read);
}
