"""Compares these modules with what others compute from one folder of a model.

check.py MODEL: `golden.safetensors` in it, where transformers' and taming-transformers' figures lie.
check.py MODEL HAWK: the program `hawk`: logits in f32 and bf16, pixels, digest.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

import pack
from common import SIDE, Ids, read_json, write_json
from target_model import Decoder, Shape
from vq_model import Tokenizer
from vq_train import to_bytes


def load(model):
    """The decoder in f32 and the tokenizer."""
    c, v = (read_json(os.path.join(model, name)) for name in ("config.json", "vq/config.json"))
    codes = read_json(os.path.join(model, "hawk.json"))["codes"]
    sizes = (c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["intermediate_size"], codes)
    decoder = Decoder(Shape(*sizes), torch.float32)
    decoder.load_state_dict({k: v.float() for k, v in load_file(os.path.join(model, "model.safetensors")).items()})
    tokenizer = Tokenizer(v["ch"], v["ch_mult"], v["z_channels"], v["n_embed"], v["embed_dim"])
    tokenizer.load_state_dict({k: t.float() for k, t in load_file(os.path.join(model, "vq", "model.safetensors")).items()})
    return decoder.requires_grad_(False), tokenizer.requires_grad_(False)


def pixels(tokenizer, codes):
    return to_bytes(tokenizer.decode(tokenizer.look_up(codes.long().view(1, SIDE, SIDE))))[0]


def far(name, ours, theirs, most):
    off = (ours.float() - theirs.float()).abs()
    print(f"{name}: largest difference {off.max():.2g}, mean {off.mean():.2g} (of numbers up to {theirs.abs().max():.3g})")
    return off.max() <= most


def golden(model, decoder, tokenizer):
    wanted = load_file(os.path.join(model, "golden.safetensors"))
    good = far("logits", decoder.logits(wanted["input_ids"].long())[:, : wanted["logits"].shape[1]], wanted["logits"], 2e-3)
    good &= far("unconditional logits", decoder.logits(wanted["uncond_ids"].long()), wanted["uncond_logits"], 2e-3)
    return good & far("pixels", pixels(tokenizer, wanted["codes"]), wanted["pixels"], 2)


def hawk(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def program(model, binary, decoder, tokenizer):
    ids, good = Ids(decoder.shape.codes), True
    random = torch.Generator().manual_seed(5)
    codes = torch.randint(decoder.shape.codes, (1, SIDE * SIDE), generator=random)
    prompt = torch.tensor([[1, *range(ids.text, ids.text + 7)]])
    tokens = torch.cat([prompt, ids.pictures(codes)], 1)
    with tempfile.TemporaryDirectory() as at:
        place = lambda name: os.path.join(at, name)  # noqa: E731
        write_json(place("tokens.json"), {"tokens": tokens[0].tolist()})
        ours = decoder.logits(tokens)
        for precision, most in (("f32", 1e-3), ("bf16", 0.15)):
            hawk(binary, "logits", "--model", model, "--tokens", place("tokens.json"), "--precision", precision, "--out", place("logits"))
            good &= bool(far(f"logits in {precision}", ours, load_file(place("logits"))["logits"], most))
        write_json(place("codes.json"), {"codes": codes[0].tolist()})
        hawk(binary, "decode", "--model", model, "--codes", place("codes.json"), "--out", place("decoded.png"))
        theirs = torch.from_numpy(np.array(Image.open(place("decoded.png")).convert("RGB")))
        good &= bool(far("pixels", pixels(tokenizer, codes), theirs, 2))
    print("digest", pack.digest(model), "as hawk has it" if pack.digest(model) in hawk(binary, "inspect", model) else "NOT as hawk has it")
    return good


if __name__ == "__main__":
    loaded = load(sys.argv[1])
    right = program(sys.argv[1], sys.argv[2], *loaded) if len(sys.argv) > 2 else golden(sys.argv[1], *loaded)
    print("equal" if right else "DIFFERENT")
    sys.exit(0 if right else 1)
