//! Safetensors, indices of shards, folders and features: number formats, and every field in turn untrue.

use hawk_nn::{CaptionFeatures, Checkpoint, EmbeddedFile, Error, Fault, ModelSource, VqDecoder};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::{golden, refusal};

fn one_tensor(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
    safetensors::serialize([(name, TensorView::new(dtype, shape.to_vec(), data).unwrap())], None).unwrap()
}

/// A file whose header says what `header` does and which has so many bytes of data.
pub(crate) fn framed(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

/// Reads everything that a checkpoint has.
pub(crate) fn read_all(checkpoint: &Checkpoint) -> Result<(), Error> {
    checkpoint.names().try_for_each(|name| {
        let shape = checkpoint.shape(name).unwrap_or_default();
        let numbers = checkpoint.tensor(name, shape)?.to_f32();
        assert_eq!(numbers.len(), shape.iter().product::<usize>(), "{name}");
        Ok(())
    })
}

#[test]
fn every_field_of_a_header_that_lies_is_named() {
    let entry = |entry: &str| format!(r#"{{"w":{{{entry}}}}}"#);
    let two = |a: &str, b: &str| {
        let entry = |offsets: &str| format!(r#"{{"dtype":"F32","shape":[4],"data_offsets":{offsets}}}"#);
        format!(r#"{{"w":{},"v":{}}}"#, entry(a), entry(b))
    };
    let good = r#""dtype":"F32","shape":[4],"data_offsets":[0,16]"#;
    Checkpoint::from_bytes(framed(&entry(good), 16)).unwrap();
    for (from, to, words) in [
        (r#""dtype":"F32","#, "", "w & dtype"),
        ("\"F32\"", "32", "w & dtype"),
        ("F32", "F33", "w & dtype & F33"),
        ("F32", "F64", "w & data_offsets & 32 bytes"),
        ("F32", "BF16", "w & data_offsets & 8 bytes"),
        (r#""shape":[4],"#, "", "w & shape"),
        ("[4]", "4", "w & shape"),
        ("[4]", "[-4]", "w & shape & -4"),
        ("[4]", "[4.5]", "w & shape"),
        ("[4]", "[\"4\"]", "w & shape"),
        ("[4]", "[3]", "w & shape & 12 bytes"),
        ("[4]", "[0]", "w & shape & 0 bytes"),
        ("[4]", "[4,4294967296,4294967296]", "w & shape & more than fits"),
        ("[4]", "[18446744073709551615]", "w & shape & more than fits"),
        ("[4]", "[184467440737095516160]", "w & shape"),
        (r#","data_offsets":[0,16]"#, "", "w & data_offsets"),
        ("[0,16]", "16", "w & data_offsets"),
        ("[0,16]", "[0]", "w & data_offsets"),
        ("[0,16]", "[-16,0]", "w & data_offsets & -16"),
        ("[0,16]", "[16,0]", "w & data_offsets & end before they start"),
        ("[0,16]", "[0,20]", "w & data_offsets & beyond the file"),
        ("[0,16]", "[4,20]", "w & data_offsets & beyond the file"),
        ("[0,16]", "[0,18446744073709551615]", "w & data_offsets & beyond the file"),
        ("[0,16]", "[18446744073709551600,18446744073709551615]", "w & data_offsets"),
        ("[0,16]", "[0,12]", "w & data_offsets & 16 bytes"),
    ] {
        let header = entry(good).replace(from, to);
        assert_ne!(header, entry(good), "{from}");
        refusal(Checkpoint::from_bytes(framed(&header, 16)), &format!("safetensors & {words}"), &header);
    }
    for (header, data, words) in [
        (two("[0,16]", "[8,24]"), 24, "offset"),
        (two("[0,16]", "[0,16]"), 16, "offset"),
        (two("[0,16]", "[20,36]"), 36, "offset"),
        (two("[0,16]", "[16,32]"), 40, "not fully covered"),
        (entry(good), 17, "safetensors"),
        (r#"{"__metadata__":7}"#.to_owned(), 0, "safetensors"),
        (r#"{"__metadata__":{"format":7}}"#.to_owned(), 0, "safetensors"),
        ("[]".to_owned(), 0, "safetensors"),
        ("{".to_owned(), 0, "safetensors"),
        (String::new(), 0, "safetensors"),
    ] {
        refusal(Checkpoint::from_bytes(framed(&header, data)), words, &header);
    }
    // The length of the header.
    let whole = framed(&entry(good), 16);
    for length in [0, 1, 7, whole.len() as u64 - 8, whole.len() as u64, 100_000_001, 1 << 63, u64::MAX] {
        let mut bytes = whole.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        refusal(Checkpoint::from_bytes(bytes), "safetensors & header", &format!("a header of {length} bytes"));
    }
    for cut in 0..whole.len() {
        refusal(Checkpoint::from_bytes(whole[..cut].to_vec()), "safetensors", &format!("cut at {cut}"));
    }
}

#[test]
fn features_that_lie_are_named() {
    let file = |name: &str, dtype: Dtype, shape: &[usize], numbers: &[f32]| {
        one_tensor(name, dtype, shape, &numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
    };
    assert_eq!(CaptionFeatures::from_bytes(file("features", Dtype::F32, &[2, 1], &[1.0, 2.0])).unwrap().count(), 2);
    for (bytes, words) in [
        (file("states", Dtype::F32, &[2, 1], &[1.0, 2.0]), "features & no such tensor"),
        (file("features", Dtype::F32, &[2], &[1.0, 2.0]), "features & [2]"),
        (file("features", Dtype::F32, &[1, 2, 1], &[1.0, 2.0]), "features & [1, 2, 1]"),
        (file("features", Dtype::F32, &[0, 2], &[]), "features & [0, 2]"),
        (file("features", Dtype::F32, &[2, 0], &[]), "features & [2, 0]"),
        (file("features", Dtype::I32, &[2, 1], &[1.0, 2.0]), "features & I32"),
        (file("features", Dtype::F32, &[2, 1], &[1.0, f32::NAN]), "features & NaN"),
        (file("features", Dtype::F32, &[2, 1], &[f32::INFINITY, 1.0]), "features & inf"),
        (Vec::new(), "safetensors"),
        (b"{}".to_vec(), "safetensors"),
    ] {
        refusal(CaptionFeatures::from_bytes(bytes), words, words);
    }
}

#[test]
fn number_formats_convert_exactly_and_others_are_named() {
    for (dtype, data) in [
        (Dtype::F32, [1.5_f32, -2.0, 0.0].map(f32::to_le_bytes).concat()),
        (Dtype::BF16, [1.5_f32, -2.0, 0.0].map(|x| half::bf16::from_f32(x).to_le_bytes()).concat()),
        (Dtype::F16, [1.5_f32, -2.0, 0.0].map(|x| half::f16::from_f32(x).to_le_bytes()).concat()),
    ] {
        let checkpoint = Checkpoint::from_bytes(one_tensor("w", dtype, &[3, 1], &data)).unwrap();
        let tensor = checkpoint.tensor("w", &[3, 1]).unwrap();
        assert_eq!(tensor.to_f32(), [1.5, -2.0, 0.0]);
        let mut row = [0.0];
        tensor.row_into(1, &mut row);
        assert_eq!(row, [-2.0]);
    }
    let checkpoint = Checkpoint::from_bytes(one_tensor("w", Dtype::I64, &[1], &[0; 8])).unwrap();
    let error = checkpoint.tensor("w", &[1]).err().unwrap();
    assert_eq!(error.fault(), Fault::Input);
    assert!(error.to_string().contains("I64") && error.to_string().contains('w'), "{error}");
}

#[test]
fn numbers_that_are_not_finite_are_named_in_every_format() {
    let row = 1500;
    let place = |at: usize| (at / row, at % row);
    for (dtype, width, faults) in [
        (Dtype::F32, 4, &[0x7fc0_0000_u32, 0x7f80_0000, 0xff80_0000, 0xffff_ffff, 0x7f7f_8000][..]),
        (Dtype::BF16, 2, &[0x7fc0, 0x7f80, 0xff80, 0x7f81]),
        (Dtype::F16, 2, &[0x7e00, 0x7c00, 0xfc00, 0x7c01]),
    ] {
        let largest: u32 = match dtype {
            Dtype::F32 => 0x7f7f_7fff,
            Dtype::BF16 => 0x7f7f,
            _ => 0x7bff,
        };
        let all = |at: usize, fault: u32| -> Vec<u8> {
            let number = |i: usize| if i == at { fault } else { largest };
            (0..2 * row).flat_map(|i| number(i).to_le_bytes()[..width].to_vec()).collect()
        };
        let open = |bytes: &[u8]| Checkpoint::from_bytes(one_tensor("a.weight", dtype, &[2, row], bytes)).unwrap();
        open(&all(0, largest)).tensor("a.weight", &[2, row]).unwrap();
        for (&fault, at) in faults.iter().flat_map(|fault| [0, 1023, 1024, row, 2 * row - 1].map(|at| (fault, at))) {
            let checkpoint = open(&all(at, fault));
            let (row_at, column) = place(at);
            let words = format!("a.weight & row {row_at}, column {column} & finite");
            refusal(checkpoint.tensor("a.weight", &[2, row]), &words, &format!("{dtype:?} {fault:x} at {at}"));
        }
    }
}

type ReadJson = fn(&[u8]) -> Result<(), Error>;

#[test]
fn pointers_and_what_is_left_of_a_download_are_named() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let dir = tempfile::tempdir().unwrap();
    let source = ModelSource::Dir(dir.path().to_owned());
    for name in ["model.safetensors", "pytorch_model.bin", "packed.safetensors", "model.safetensors.index.json"] {
        std::fs::write(dir.path().join(name), pointer).unwrap();
        let words = format!("{name} & Git LFS pointer & git lfs pull");
        refusal(Checkpoint::open(&source, ""), &words, name);
        refusal(source.read(name), &words, name);
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    for name in ["consolidated.00.pth", "vqgan.ckpt", "x.safetensors", "x.pt"] {
        std::fs::write(dir.path().join(name), pointer).unwrap();
        refusal(Checkpoint::open_file(&dir.path().join(name)), &format!("{name} & Git LFS pointer"), name);
    }
    refusal(CaptionFeatures::from_bytes(pointer.to_vec()), "Git LFS pointer", "features");
    let jsons: [(&str, ReadJson); 4] = [
        ("config.json", |bytes| hawk_nn::TransformerConfig::from_json(bytes).map(drop)),
        ("hawk.json", |bytes| hawk_nn::HawkConfig::from_json(bytes).map(drop)),
        ("vq/config.json", |bytes| hawk_nn::VqConfig::from_json(bytes).map(drop)),
        ("tokenizer.json", |bytes| hawk_nn::TextTokenizer::from_bytes(bytes).map(drop)),
    ];
    for (name, read) in jsons {
        refusal(read(pointer), "Git LFS pointer & git lfs pull", name);
        for cut in ["", "{\"model_type\":\"lla", "{\"version\": \"1.0\","] {
            refusal(read(cut.as_bytes()), "cut off", &format!("{name} cut to {cut:?}"));
        }
    }
    // Shards whose index is lost.
    for (shard, index) in [
        ("model-00001-of-00002.safetensors", "model.safetensors.index.json"),
        ("pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"),
    ] {
        for folder in ["", "vq/"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("vq")).unwrap();
            std::fs::write(dir.path().join(folder).join(shard), b"").unwrap();
            let words = format!("the index of the shards is missing & {folder}{index} & {shard}");
            refusal(Checkpoint::open(&ModelSource::Dir(dir.path().to_owned()), folder), &words, shard);
        }
    }
}

#[test]
fn data_at_odd_addresses_reads_the_same() {
    let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    for padding in 0..4 {
        let header = format!("{header}{}", " ".repeat(padding));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0.25_f32, 8.0].map(f32::to_le_bytes).concat());
        assert_eq!(Checkpoint::from_bytes(bytes).unwrap().tensor("w", &[2]).unwrap().to_f32(), [0.25, 8.0]);
    }
}

#[test]
fn a_checkpoint_in_shards_equals_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(golden().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    let mut weight_map = serde_json::Map::new();
    for (shard, part) in names.chunks(7).enumerate() {
        let shard = format!("model-{shard}.safetensors");
        let views = part.iter().map(|name| (*name, file.tensor(name).unwrap()));
        std::fs::write(dir.path().join(&shard), safetensors::serialize(views, None).unwrap()).unwrap();
        weight_map.extend(part.iter().map(|name| ((*name).to_owned(), shard.clone().into())));
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": weight_map });
    std::fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let whole = Checkpoint::open(&ModelSource::Dir(golden()), "").unwrap();
    let shards = Checkpoint::open(&ModelSource::Dir(dir.path().to_owned()), "").unwrap();
    assert_eq!(whole.names().collect::<Vec<_>>(), shards.names().collect::<Vec<_>>());
    for name in whole.names() {
        let shape = whole.shape(name).unwrap();
        assert_eq!(whole.tensor(name, shape).unwrap().to_f32(), shards.tensor(name, shape).unwrap().to_f32());
    }
    assert!(shards.left_over().is_empty());
}

#[test]
fn contradictory_shards_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let source = ModelSource::Dir(dir.path().to_owned());
    let a = one_tensor("a", Dtype::F32, &[1], &[0; 4]);
    write("1.safetensors", &a);
    write("2.safetensors", &a);
    write("3.safetensors", &one_tensor("b", Dtype::F32, &[1], &[0; 4]));
    write("cut.safetensors", &a[..a.len() - 1]);
    for (index, named) in [
        (r#"{"weight_map":{"a":"1.safetensors","c":"2.safetensors"}}"#, "two shards"),
        (r#"{"weight_map":{"a":"3.safetensors","b":"1.safetensors"}}"#, "a in 3.safetensors"),
        (r#"{"weight_map":{"a":"cut.safetensors"}}"#, "cut.safetensors"),
        (r#"{"weight_map":{"a":"sub/1.safetensors"}}"#, "sub/1.safetensors"),
        (r#"{"weight_map":{"a":"sub\\1.safetensors"}}"#, "beside"),
        (r#"{"weight_map":{"a":".."}}"#, ".."),
        (r#"{"weight_map":{"a":""}}"#, "no file"),
        (r#"{"weight_map":{"a":"x\u0000"}}"#, "beside"),
        (r#"{"weight_map":{"a":1}}"#, "weight_map.a"),
        (r#"{"weight_map":{"a":"model.safetensors.index.json"}}"#, "index.json"),
        (r#"{"weight_map":{}}"#, "weight_map"),
        (r#"{"weight_map":{"a":"gone.safetensors"}}"#, "gone.safetensors"),
        (r#"{"weight_map":null}"#, "weight_map"),
        (r#"{"weight_map":"a"}"#, "index"),
        (r#"{}"#, "weight_map"),
        ("", "index"),
    ] {
        write("model.safetensors.index.json", index.as_bytes());
        let error = Checkpoint::open(&source, "").err().unwrap();
        assert_eq!(error.fault(), Fault::Input, "{index}: {error}");
        assert!(error.to_string().contains(named), "{index}: {error}");
    }
}

#[test]
fn models_that_are_not_there_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    std::fs::create_dir(dir.path().join("config.json")).unwrap();
    let file = golden().join("config.json");
    for (source, name, named) in [
        (ModelSource::Dir(missing.clone()), "config.json", "missing"),
        (ModelSource::Dir(file), "config.json", "folder"),
        (ModelSource::Dir(dir.path().to_owned()), "hawk.json", "hawk.json"),
        (ModelSource::Dir(dir.path().to_owned()), "config.json", "no file"),
        (ModelSource::Embedded(&[]), "config.json", "config.json"),
    ] {
        let error = source.read(name).unwrap_err();
        assert_eq!(error.fault(), Fault::Input);
        assert!(error.to_string().contains(named), "{error}");
        assert!(source.digest().is_err());
        assert!(VqDecoder::load(&source, "vq/").is_err());
    }
}

#[test]
fn the_digest_is_of_names_and_content() {
    static WHOLE: &[EmbeddedFile] = &[
        EmbeddedFile { name: "model.safetensors", bytes: b"weights" },
        EmbeddedFile { name: "config.json", bytes: b"config" },
        EmbeddedFile { name: "golden.png", bytes: b"not read" },
    ];
    static OTHER: &[EmbeddedFile] = &[
        EmbeddedFile { name: "model.safetensors", bytes: b"weightsconfig" },
        EmbeddedFile { name: "config.json", bytes: b"" },
    ];
    let digest = ModelSource::Embedded(WHOLE).digest().unwrap();
    assert_eq!(digest.len(), 64);
    assert_ne!(digest, ModelSource::Embedded(OTHER).digest().unwrap());
    let dir = tempfile::tempdir().unwrap();
    for file in &WHOLE[..2] {
        std::fs::write(dir.path().join(file.name), file.bytes).unwrap();
    }
    assert_eq!(digest, ModelSource::Dir(dir.path().to_owned()).digest().unwrap());
    std::fs::write(dir.path().join("hawk.json"), "").unwrap();
    assert_ne!(digest, ModelSource::Dir(dir.path().to_owned()).digest().unwrap());
}
