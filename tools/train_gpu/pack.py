"""What goes home: few files of at most 15 MB. `pack.py join FROM TO` puts a model together again; `pack.py digest MODEL` renews the heads' digest."""

import glob
import hashlib
import io
import json
import os
import struct
import sys
import tarfile

PART = 15_000_000


def digest(model):
    """As `hawk inspect` prints it: SHA-256 over the files that determine an image, each with its name and length."""
    names = ["config.json", "hawk.json", "tokenizer.json", "vq/config.json", "vq/model.safetensors", "model.safetensors"]
    sha = hashlib.sha256()
    for name in sorted(name for name in names if os.path.exists(os.path.join(model, name))):
        with open(os.path.join(model, name), "rb") as file:
            content = file.read()
        sha.update(struct.pack("<Q", len(name)) + name.encode() + struct.pack("<Q", len(content)) + content)
    return sha.hexdigest()


def renew_digest(model):
    path = os.path.join(model, "heads", "config.json")
    if os.path.exists(path):
        with open(path) as file:
            config = json.load(file)
        config["target"]["digest"] = digest(model)
        with open(path, "w") as file:
            json.dump(config, file, indent=1)


def write_parts(folder, out, name):
    """Files below `folder` as `out`/`name`.tar.NN. What was there under that name goes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in sorted(glob.glob(os.path.join(folder, "**", "*"), recursive=True)):
            if os.path.isfile(path) and not path.endswith(".new"):
                tar.add(path, os.path.relpath(path, folder))
    content = content.getvalue()
    parts = [content[at:at + PART] for at in range(0, len(content), PART)]
    for old in glob.glob(os.path.join(out, f"{name}.tar.*")):
        os.remove(old)
    for number, part in enumerate(parts):
        with open(os.path.join(out, f"{name}.tar.{number:02}"), "wb") as file:
            file.write(part)
    return len(content), len(parts)


def join(source, to):
    parts = sorted(glob.glob(os.path.join(source, "**", "*.tar.*"), recursive=True))
    if not parts:
        sys.exit(f"no parts below {source}")
    content = b"".join(open(part, "rb").read() for part in parts)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        tar.extractall(to, filter="data")
    model = os.path.join(to, "model")
    if os.path.exists(os.path.join(model, "model.safetensors")):
        renew_digest(model)
        print(f"{model}: digest {digest(model)}")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "join":
        join(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 3 and sys.argv[1] == "digest":
        renew_digest(sys.argv[2])
        print(digest(sys.argv[2]))
    else:
        sys.exit(__doc__)
