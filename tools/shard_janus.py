"""Splits a tiny Janus checkpoint of transformers for the tests.

    python shard_janus.py SOURCE OUT

SOURCE: a folder of `save_pretrained` with `golden.safetensors` beside it. OUT gets config and golden file as they are, and the tensors that
drawing needs in shards of less than a megabyte; understanding (`vision_model`, `aligner`) and the head over text are left out.
"""

import json
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

LIMIT = 900_000


def main(source: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tensors = load_file(source / "model.safetensors")
    left_out = ("model.vision_model.", "model.aligner.", "lm_head.")
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(left_out)}
    shards, size = [{}], 0
    for name, tensor in sorted(tensors.items()):
        bytes_of_tensor = tensor.numel() * tensor.element_size()
        if size + bytes_of_tensor > LIMIT:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += bytes_of_tensor
    index = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, out / file, metadata={"format": "pt"})
        index.update({name: file for name in shard})
    (out / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=1))
    for name in ("config.json", "golden.safetensors"):
        shutil.copyfile(source / name, out / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
