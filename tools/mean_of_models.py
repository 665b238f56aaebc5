"""The mean of the weights of two models of one shape.

    pip install torch safetensors
    python mean_of_models.py MODEL WEIGHT OTHER OUT

MODEL, OTHER: folders that `hawk train target` made, the second from the first or both from a third: the mean of unrelated models draws
nothing. WEIGHT: the share of MODEL, 0 to 1. OUT becomes a copy of MODEL with weights WEIGHT * MODEL + (1 - WEIGHT) * OTHER, summed in f32.
"""

import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

model, share, other, out = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
assert 0 <= share <= 1, "WEIGHT must lie between 0 and 1"
one, two = (load_file(path / "model.safetensors") for path in (model, other))
assert {name: tensor.shape for name, tensor in one.items()} == {name: tensor.shape for name, tensor in two.items()}, "the models have other shapes"
out.mkdir()
for name in ("config.json", "hawk.json", "tokenizer.json"):
    shutil.copy(model / name, out / name)
shutil.copytree(model / "vq", out / "vq")
mean = {name: (share * one[name].float() + (1 - share) * two[name].float()).to(one[name].dtype) for name in one}
save_file(mean, out / "model.safetensors", metadata={"format": "pt"})
