#!/usr/bin/env python3
"""Makes the corpora of all fuzz targets from the goldens: python3 seed.py HAWK CORPUS

HAWK is the program, which writes the small models, images and token files. CORPUS is a folder that is filled with
a folder per target and with `words`, a dictionary of the names in all JSON seeds. Needs nothing but Python 3.
"""
import glob, gzip, io, json, os, struct, subprocess, sys, tarfile, tempfile, zipfile, zlib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDEN = os.path.join(ROOT, "crates", "hawk-nn", "tests", "golden")
MODEL = os.path.join(ROOT, "models", "built-in")
# A longer seed is no source of words.
MOST_BYTES = 1 << 16
# Today in the target `tuner`.
TUNER_DAY = 20_000


def content(path):
    with open(path, "rb") as file:
        return file.read()


def found(*patterns):
    return [content(path) for pattern in patterns for path in sorted(glob.glob(pattern))]


def text(value):
    return json.dumps(value).encode()


def safetensors(tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes)"""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = text(header)
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def small_header(packed):
    """A packed file with less room in its header."""
    size = struct.unpack("<Q", packed[:8])[0]
    head = packed[8:8 + size].rstrip(b" ")
    head += b" " * (-(len(head) + 8) % 64)
    return struct.pack("<Q", len(head)) + head + packed[8 + size:]


def pickle(name, shape, key):
    """The pickle of a state dict with a tensor of float32."""
    string = lambda s: b"X" + struct.pack("<I", len(s)) + s.encode()
    number = lambda n: b"\x8a\x08" + struct.pack("<q", n)
    count = 1
    for size in shape:
        count *= size
    strides = [1] * len(shape)
    for at in reversed(range(len(shape) - 1)):
        strides[at] = strides[at + 1] * shape[at + 1]
    row = lambda sizes: b"(" + b"".join(map(number, sizes)) + b"t"
    storage = b"(" + string("storage") + b"ctorch\nFloatStorage\n" + string(key) + string("cpu") + number(count) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(0) + row(shape) + row(strides)
    tensor += b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + string(name) + tensor + b"u."


def torch_zip(name, shape, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        files = {"data.pkl": pickle(name, shape, "0"), "byteorder": b"little", "data/0": data, "version": b"3\n"}
        for file, raw in files.items():
            archive.writestr("model/" + file, raw)
    return out.getvalue()


def torch_legacy(name, shape, data):
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    machine = b"\x80\x02}(X\x10\0\0\0protocol_versionM\xe9\x03X\r\0\0\0little_endian\x88u."
    keys = b"\x80\x02](X\x01\0\0\x000e."
    return magic + machine + pickle(name, shape, "0") + keys + struct.pack("<Q", len(data) // 4) + data


def png(side, colour=6):
    channels = {2: 3, 6: 4}[colour]
    rows = b"".join(b"\0" + bytes((x * 31 + y * 17) % 256 for x in range(side * channels)) for y in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", side, side, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pack(line):
    raw, out = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in (("ATTRIBUTION", b"nobody"), ("objects.jsonl", line), ("0000.png", png(8))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed:
        packed.write(raw.getvalue())
    return out.getvalue()


def written_by(hawk, folder):
    """What the program writes: models, an image and its tokens."""
    path = lambda name: os.path.join(folder, name)
    environment = dict(os.environ, XDG_CACHE_HOME=path("cache"))
    run = lambda *args: subprocess.run([hawk, *args], check=True, env=environment, stdout=subprocess.DEVNULL)
    run("synth", "tiny-llama", "--out", path("llama"))
    run("synth", "tiny-lumina-mgpt", "--out", path("lumina"))
    run("convert", path("llama"), "--precision", "int8", "--out", path("packed"))
    run("generate", "apple", "--seed", "1", "--out", path("apple.png"), "--tokens-out", path("tokens.json"))
    run("text", "Once", "--model", path("llama"), "--max-tokens", "4", "--tokens-out", path("text.json"))
    return path


def seeds(hawk, folder):
    path = written_by(hawk, folder)
    ones = struct.pack("<8f", *[1.0] * 8)
    sha = "ab" * 20
    listing = {"sha": sha, "siblings": [
        {"rfilename": "config.json", "size": 7, "blobId": sha},
        {"rfilename": "vq/model.safetensors", "size": 9, "blobId": sha,
         "lfs": {"sha256": "ef" * 32, "size": 9, "pointerSize": 130}}]}
    params = {"model": {"dim": 32, "n_layers": 1, "n_heads": 2, "n_kv_heads": 2, "vocab_size": 64, "norm_eps": 1e-5,
                        "multiple_of": 16, "ffn_dim_multiplier": None, "rope_theta": 10000.0, "swin_norm": False,
                        "qk_normalization": True}}
    yaml = content(os.path.join(ROOT, "fuzz", "seeds", "vqgan.yaml"))
    caption = {"file": "a.png", "captions": ["a red apple", "red apple"], "style": "flat", "concept": "red apple",
               "family": "apple", "kind": "emoji", "split": "train", "weight": 1.0, "mirror": True, "pixels": "ef" * 32}
    thing = text({"file": "0000.png", "style": "flat", "phrase": "red apple", "one": "a red apple",
                  "several": "red apples", "colour": "red", "group": "food", "mirror": True, "split": "train"})
    line = {"name": "layers.0.norm", "dtype": "F32", "shape": [8], "matrix": None, "start": 1 << 20, "length": 32}
    tokens = json.loads(content(path("tokens.json")))
    tokens["images"] = [dict(image, codes=image["codes"][:8], tokens=image["tokens"][:8]) for image in tokens["images"]]
    tuner = json.loads(content(path("cache/hawk/tuner.json")))
    return {
        "safetensors": [safetensors({"a": ("F32", [2, 4], ones), "b": ("BF16", [4], ones[:8])}, {"k": "v"})]
        + found(GOLDEN + "/*/features.safetensors", GOLDEN + "/janus/golden.safetensors"),
        "index": found(GOLDEN + "/*/*.index.json")
        + [text({"metadata": {"total_size": 32}, "weight_map": {"features": "a.safetensors"}})],
        "packed": [small_header(content(path("packed/packed.safetensors")))],
        "features": found(GOLDEN + "/*/features.safetensors"),
        "pickle": [torch(name, shape, ones) for torch in (torch_zip, torch_legacy)
                   for name, shape in (("norm.weight", [8]), ("a.b", [2, 4]))],
        "params": [text(params), text(params["model"])],
        "transformer_config": found(GOLDEN + "/*/config.json", MODEL + "/config.json", path("*/config.json")),
        "hawk_config": found(MODEL + "/hawk.json"),
        "vq_config": found(GOLDEN + "/*/vq/config.json", GOLDEN + "/*/config.json", MODEL + "/vq/config.json"),
        "vqgan_yaml": [yaml],
        "heads_config": found(MODEL + "/heads/config.json"),
        "tokenizer": found(path("*/tokenizer.json")),
        "record": [content(path("apple.png"))],
        "listing": [text(listing)],
        "answers": [b"bytes 100-199/200", b"120", b"Wed, 21 Oct 2037 07:28:00 GMT", sha.encode() + b"\n",
                    b"https://hf-mirror.com/", b"hf-mirror.com", b"socks5h://a:b@127.0.0.1:1080", b"~/models"],
        "inputs": [text(tokens), content(path("text.json")), b'{"codes": [1, 20, 300]}', b'{"tokens": [1, 2]}',
                   "Äpfel 🍎\r\nred".encode()],
        "text_config": found(path("llama/generation_config.json")) + [b'{"eos_token_id": [2, 3], "bos_token_id": null}'],
        "journal": [text(line) + b"\n" + text(dict(line, start=(1 << 20) + 64, matrix=[2, 4])) + b"\n"],
        "tuner": [text({"tuners": [dict(entry, day=TUNER_DAY) for entry in tuner["tuners"]]})],
        "names": [word.encode() for word in (
            "org/name@refs/pr/4", "Alpha-VLLM/Lumina-mGPT-7B-768", "auto", "16", "4,2,1", "2x3x1", "replay", "typical",
            "rejection", "lantern", "hawk", "scd", "tiny-llama", "lumina-mgpt-7b", "int8", "right1", "down2")],
        "captions": [text(caption) + b"\n" + text(dict(caption, kind="scene", split="validation")), png(8, 2), png(8)],
        "things": [pack(thing), thing, png(8), png(3)],
        "cleaner": [b"A Red&nbsp;Apple <b>on</b> a #12345 table, http://www.example.com/a_b.jpg (1024x768) @someone",
                    "“Äpfel” \u00a0 &amp;lt; 20:45 IMG_0023.png 日本 -- ... !!".encode()],
    }


def words(value, into):
    """The keys and short strings of a JSON value."""
    if isinstance(value, dict):
        into.update(value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            words(item, into)
    elif isinstance(value, str) and len(value) < 24:
        into.add(value)


def main(hawk, corpus):
    names = set()
    with tempfile.TemporaryDirectory() as folder:
        made = seeds(os.path.abspath(hawk), folder)
    for target, inputs in made.items():
        os.makedirs(os.path.join(corpus, target), exist_ok=True)
        for number, data in enumerate(inputs):
            try:
                if len(data) < MOST_BYTES and target != "tokenizer":
                    words(json.loads(data), names)
            except ValueError:
                pass
            with open(os.path.join(corpus, target, f"seed-{number}"), "wb") as file:
                file.write(data)
    plain = sorted(name for name in names if name.isascii() and name.isprintable() and not set(name) & set('"\\'))
    values = ["null", "true", "-1", "1e309", "18446744073709551615", "[[[[", "\\\\u0000"]
    with open(os.path.join(corpus, "words"), "w") as file:
        file.writelines(f'"{word}"\n' for word in plain if word)
        file.writelines(f'"{value}"\n' for value in values)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
