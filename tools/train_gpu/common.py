"""What all stages share: the clock, printing, the ids of the vocabulary, files."""

import json
import os
import sys
import time
import traceback

import torch
from safetensors.torch import save_file

PAD, BOS, CODE_OFFSET = 0, 1, 4
SIDE = 16
CELLS = SIDE * SIDE
PIXELS = 128
# Begin, two sizes, fifteen rows with their ends, and the last row without its last code: what the model reads of a picture.
PICTURE_LENGTH = 3 + 15 * (SIDE + 1) + SIDE - 1
STARTED = time.monotonic()


def say(*words):
    """Prints with the seconds since the start; nothing is held back."""
    print(f"[{time.monotonic() - STARTED:6.1f}]", *words, flush=True)


def shout(what):
    """Prints the exception under way; the run goes on."""
    say(f"FAILED: {what}")
    traceback.print_exc()
    sys.stderr.flush()


class Ids:
    """Ids of one vocabulary: four special tokens, codes, structure tokens, text."""

    def __init__(self, codes=4096):
        self.codes = codes
        self.begin = CODE_OFFSET + codes
        self.end, self.row_end, self.size_base = self.begin + 1, self.begin + 2, self.begin + 3
        self.text = self.size_base + SIDE + 1

    def names(self):
        names = ["<pad>", "<s>", "</s>", "<unk>"] + [f"<img{code}>" for code in range(self.codes)]
        return names + ["<boi>", "<eoi>", "<row>"] + [f"<size{size}>" for size in range(SIDE + 1)]

    def places(self, device):
        """Where, behind the prompt, the places lie whose next token is a code: [256]."""
        cell = torch.arange(CELLS, device=device)
        return 2 + cell // SIDE * (SIDE + 1) + cell % SIDE

    def pictures(self, codes):
        """Codes [B, 256] to what the model reads of a picture, [B, PICTURE_LENGTH]."""
        rows = codes.shape[0]
        grid = codes.long().view(rows, SIDE, SIDE) + CODE_OFFSET
        ends = torch.full((rows, SIDE, 1), self.row_end, dtype=torch.long, device=codes.device)
        head = torch.tensor([self.begin, self.size_base + SIDE, self.size_base + SIDE], device=codes.device)
        body = torch.cat([grid, ends], 2).view(rows, -1)
        return torch.cat([head.expand(rows, 3), body], 1)[:, :PICTURE_LENGTH]

    def hawk_json(self, guidance):
        return {
            "family": "chameleon", "layout": "lumina", "grid": [SIDE, SIDE], "image_size": [PIXELS, PIXELS],
            "code_offset": CODE_OFFSET, "codes": self.codes, "begin": self.begin, "end": self.end,
            "row_end": self.row_end, "size_base": self.size_base, "size_unit": 1, "bos": BOS, "prompt": "{prompt}",
            "uncond": "begin", "defaults": {"cfg": guidance, "temperature": 1.0, "top_k": 0, "top_p": 1.0},
        }


def write_json(path, value):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".new", "w") as file:
        json.dump(value, file, indent=1)
    os.replace(path + ".new", path)


def read_json(path):
    with open(path) as file:
        return json.load(file)


def write_weights(path, tensors):
    """Tensors in bf16, by name."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    stored = {name: tensor.detach().to(torch.bfloat16).cpu().contiguous() for name, tensor in tensors.items()}
    save_file(stored, path + ".new")
    os.replace(path + ".new", path)


def save_state(path, value):
    """A checkpoint on the local disk."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    torch.save(value, path + ".new")
    os.replace(path + ".new", path)


def compiled(function, wanted):
    """`function` through torch.compile where that is wanted, anew for every shape."""
    return torch.compile(function, dynamic=False) if wanted else function


def fill(x, batch):
    """Its first row repeated up to a multiple of `batch`."""
    missing = -len(x) % batch
    return torch.cat([x, x[:1].expand(missing, *x.shape[1:])]) if missing else x


class Retry:
    """Runs a step; where the compiler fails goes on without it, where memory does not suffice with half the batch."""

    def __init__(self, args, uncompiled):
        self.args, self.uncompiled, self.plain, self.left = args, uncompiled, not args.compile, 3

    def __call__(self, batch, step):
        while True:
            try:
                return step()
            except torch.OutOfMemoryError:
                if self.left == 0:
                    raise
                self.left -= 1
                setattr(self.args, batch, max(1, getattr(self.args, batch) // 2))
                shout(f"out of memory; {batch} is now {getattr(self.args, batch)}")
            except Exception:  # noqa: BLE001 - any failure of the compiler means the plain way
                if self.plain:
                    raise
                self.plain = True
                shout("a compiled step; going on without the compiler")
                self.uncompiled()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


class Average:
    """A running mean of weights over about `back` steps, in f32."""

    def __init__(self, parameters, every=4):
        self.parameters, self.every, self.steps = list(parameters), every, 0
        self.mean = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def step(self, back):
        self.steps += 1
        if self.steps % self.every == 0:
            share = min(1.0, self.every / max(1.0, min(back, self.steps)))
            torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], share)

    @torch.no_grad()
    def swap(self):
        """Exchanges the weights and their mean; a second call exchanges them back."""
        for mine, theirs in zip(self.mean, self.parameters):
            kept = theirs.detach().clone()
            theirs.copy_(mine)
            mine.copy_(kept)
