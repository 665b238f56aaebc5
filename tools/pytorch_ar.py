#!/usr/bin/env python3
"""Times plain AR decoding with guidance in PyTorch, beside `hawk bench decoders --decoder ar`.

    pip install torch transformers safetensors tokenizers
    python3 tools/pytorch_ar.py MODEL [--device cuda] [--dtype bfloat16] [--images 2] [--json FILE]

MODEL is a folder of a Chameleon with a grid of cells, such as models/built-in or what `hawk synth grown` writes. The
conditional and the unconditional stream are a batch of two, the shorter one padded on the left. Tokens stay on the
device. Three ways are timed: a growing cache, a static cache, and a static cache with torch.compile; a way that fails
is named, and the others go on. An image is drawn with each way first and not counted. Decoding of codes to pixels is
not counted.
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import ChameleonConfig, ChameleonForConditionalGeneration, DynamicCache, StaticCache

WAYS = ["growing cache", "static cache", "static cache, compiled"]


def load(folder, device, dtype):
    """The network and its layout of tokens."""
    layout = json.loads((folder / "hawk.json").read_text())
    if layout.get("family") != "chameleon" or layout.get("uncond") != "begin":
        sys.exit(f"error: {folder} is not a Chameleon whose unconditional stream begins with the image")
    raw = json.loads((folder / "config.json").read_text())
    sizes = {key: value for key, value in raw.items() if key not in ("architectures", "model_type", "torch_dtype")}
    # Neither is used here, but the class asks for both.
    sizes["vq_config"] = {"embed_dim": 8, "num_embeddings": layout["codes"], "latent_channels": 8, "resolution": 32,
                          "base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1}
    sizes["vocabulary_map"] = {"<image>": layout["begin"]}
    with torch.device("meta"):
        net = ChameleonForConditionalGeneration(ChameleonConfig(**sizes)).eval()
    # A large model has several files.
    files = [load_file(file, device=device) for file in sorted(folder.glob("model*.safetensors"))]
    weights = {name: tensor.to(dtype) for file in files for name, tensor in file.items()}
    if sizes.get("tie_word_embeddings"):
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    missing = net.load_state_dict(weights, strict=False, assign=True).missing_keys
    missing = [name for name in missing if "vqmodel" not in name]
    if missing:
        sys.exit(f"error: {folder} lacks {missing[0]} and {len(missing) - 1} more")
    net.model.vqmodel = torch.nn.Identity()
    net.model.rotary_emb = type(net.model.rotary_emb)(net.config).to(device)
    return net, layout


class Sampler:
    """Guidance, temperature, top-k and top-p on the logits of the codes."""

    def __init__(self, net, layout):
        self.first = layout["code_offset"]
        self.weight = net.lm_head.weight[self.first:self.first + layout["codes"]]
        self.defaults = layout["defaults"]

    def __call__(self, hidden, generator):
        logits = torch.nn.functional.linear(hidden, self.weight).float()
        logits = (logits[1] + self.defaults["cfg"] * (logits[0] - logits[1])) / self.defaults["temperature"]
        kept, order = logits.sort(descending=True)
        top_k = self.defaults["top_k"]
        if top_k:
            kept[top_k:] = -torch.inf
        law = kept.softmax(-1)
        law[law.cumsum(-1) - law > self.defaults["top_p"]] = 0
        return self.first + order[torch.multinomial(law, 1, generator=generator)]


def image(net, layout, prompt, way, step, seed, device):
    """Draws an image: its tokens."""
    rows, columns = layout["grid"]
    unit = layout["size_unit"]
    begin = [layout["begin"], layout["size_base"] + rows // unit, layout["size_base"] + columns // unit]
    caption = [layout["bos"], *prompt, *begin]
    padding = len(caption) - len(begin)
    length = len(caption) + rows * (columns + 1)
    ids = torch.tensor([caption, [0] * padding + begin], device=device)
    mask = torch.ones(2, length, dtype=torch.long, device=device)
    mask[1, :padding] = 0
    positions = torch.stack([torch.arange(len(caption)), (torch.arange(len(caption)) - padding).clamp(min=0)]).to(device)
    cache = DynamicCache(config=net.config) if way == WAYS[0] else StaticCache(config=net.config, max_cache_len=length)
    sample, generator = Sampler(net, layout), torch.Generator(device).manual_seed(seed)
    row_end = torch.tensor([layout["row_end"]], device=device)
    run, seen, drawn = net.model, len(caption), []
    for cell in range(rows * (columns + 1)):
        out = run(input_ids=ids, attention_mask=mask[:, :seen], position_ids=positions, past_key_values=cache, use_cache=True)
        token = row_end if cell % (columns + 1) == columns else sample(out.last_hidden_state[:, -1], generator)
        drawn.append(token)
        ids, positions, run, seen = token.expand(2, 1), positions[:, -1:] + 1, step, seen + 1
        if way != WAYS[0]:
            # One shape for all steps.
            seen = length
    return torch.cat(drawn).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--prompt", default="a red apple")
    parser.add_argument("--ways", nargs="+", type=int, default=[0, 1, 2], help="which of the three ways, by number")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    device = arguments.device
    net, layout = load(arguments.model, device, getattr(torch, arguments.dtype))
    prompt = Tokenizer.from_file(str(arguments.model / "tokenizer.json")).encode(arguments.prompt).ids
    tokens = layout["grid"][0] * (layout["grid"][1] + 1)
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    found = []
    for way in [WAYS[number] for number in arguments.ways]:
        step = torch.compile(net.model, mode="reduce-overhead") if way == WAYS[2] else net.model
        try:
            with torch.inference_mode():
                seconds = []
                for seed in range(arguments.images + 1):
                    wait()
                    start = time.perf_counter()
                    image(net, layout, prompt, way, step, seed, device)
                    wait()
                    seconds.append(time.perf_counter() - start)
        except Exception as error:  # What a version of a library cannot do must not end the others.
            print(f"{way}: {type(error).__name__}: {str(error).splitlines()[0]}")
            continue
        ms = 1e3 * statistics.median(seconds[1:]) / tokens
        print(f"{way}: {ms:.2f} ms a token, {statistics.median(seconds[1:]):.2f} s an image, first one {seconds[0]:.1f} s", flush=True)
        found.append({"way": way, "ms_per_token": ms, "first_image_s": seconds[0]})
    if not found:
        sys.exit("error: no way worked")
    best = min(found, key=lambda way: way["ms_per_token"])
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    print(f"best of PyTorch {torch.__version__}, {name}, {arguments.dtype}: {best['ms_per_token']:.2f} ms a token ({best['way']})")
    if arguments.json:
        figures = {"torch": torch.__version__, "device": name, "dtype": arguments.dtype, "images": arguments.images, "ways": found}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
