"""Makes tiny random LlamaGen checkpoints and what a plain PyTorch computation gives for them.

    python golden_llamagen.py OUT

OUT gets `llamagen-c2i` (with its VQ tokenizer in `vq/`) and `llamagen-t2i`. The computation is written down from the model's definition,
whole sequences at once, without a cache: what hawk computes row by row must agree with it.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

LIMIT = 900_000
CODES, GRID_C2I, GRID_T2I = 96, 6, 5


def random(generator, *shape, scale=1.0, centre=0.0):
    return centre + scale * torch.randn(*shape, generator=generator)


# ---------------------------------------------------------------- transformer


def transformer_weights(g, dim, layers, inner):
    weights = {
        "tok_embeddings.weight": random(g, CODES, dim),
        "norm.weight": random(g, dim, scale=0.1, centre=1.0),
        "output.weight": random(g, CODES, dim, scale=dim**-0.5),
    }
    for i in range(layers):
        name = f"layers.{i}."
        weights[name + "attention_norm.weight"] = random(g, dim, scale=0.1, centre=1.0)
        weights[name + "ffn_norm.weight"] = random(g, dim, scale=0.1, centre=1.0)
        weights[name + "attention.wqkv.weight"] = random(g, 3 * dim, dim, scale=1.5 * dim**-0.5)
        weights[name + "attention.wo.weight"] = random(g, dim, dim, scale=dim**-0.5)
        weights[name + "feed_forward.w1.weight"] = random(g, inner, dim, scale=dim**-0.5)
        weights[name + "feed_forward.w3.weight"] = random(g, inner, dim, scale=dim**-0.5)
        weights[name + "feed_forward.w2.weight"] = random(g, dim, inner, scale=inner**-0.5)
    return weights


def angles(conditions, grid, head_dim):
    """Cosine and sine per position and pair: zero before the image, then by row for the first half of the pairs and by column for the rest."""
    axis = head_dim // 2
    frequencies = 1.0 / 10000.0 ** (torch.arange(0, axis, 2).float() / axis)
    table = torch.outer(torch.arange(grid).float(), frequencies)
    rows = table.repeat_interleave(grid, 0)
    columns = table.repeat(grid, 1)
    both = torch.cat([rows, columns], 1)
    blank = torch.zeros(conditions, both.shape[1])
    return torch.cat([blank, both.cos()]), torch.cat([blank, both.sin()])


def turn(x, cos, sin):
    """x [positions, heads, head_dim]; neighbours turn together."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)


def rms(x, weight, eps=1e-5):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def logits(weights, x, heads, layers, cos, sin, mask):
    n, dim = x.shape
    for i in range(layers):
        w = {name.split(".", 2)[2]: tensor for name, tensor in weights.items() if name.startswith(f"layers.{i}.")}
        q, k, v = (rms(x, w["attention_norm.weight"]) @ w["attention.wqkv.weight"].T).chunk(3, -1)
        q, k, v = (part.view(n, heads, dim // heads) for part in (q, k, v))
        q, k = turn(q, cos[:n], sin[:n]), turn(k, cos[:n], sin[:n])
        scores = torch.einsum("qhe,khe->hqk", q, k) / (dim // heads) ** 0.5
        scores = scores.masked_fill(~mask[:n, :n], float("-inf")).softmax(-1)
        mixed = torch.einsum("hqk,khe->qhe", scores, v).reshape(n, dim)
        x = x + mixed @ w["attention.wo.weight"].T
        y = rms(x, w["ffn_norm.weight"])
        y = F.silu(y @ w["feed_forward.w1.weight"].T) * (y @ w["feed_forward.w3.weight"].T)
        x = x + y @ w["feed_forward.w2.weight"].T
    return rms(x, weights["norm.weight"]) @ weights["output.weight"].T


def c2i(out):
    g = torch.Generator().manual_seed(1)
    dim, heads, layers, classes = 80, 4, 2, 10
    inner = (8 * dim // 3 + 15) // 16 * 16
    weights = transformer_weights(g, dim, layers, inner)
    table = random(g, classes + 1, dim)
    weights["cls_embedding.embedding_table.weight"] = table
    codes = torch.randint(CODES, (GRID_C2I**2,), generator=g)
    cos, sin = angles(1, GRID_C2I, dim // heads)
    causal = torch.ones(codes.numel(), codes.numel(), dtype=torch.bool).tril()

    def of(label):
        # The last code predicts nothing.
        x = torch.cat([table[label : label + 1], weights["tok_embeddings.weight"][codes[:-1]]])
        return logits(weights, x, heads, layers, cos, sin, causal)

    config = {
        "model_type": "llamagen", "gpt_type": "c2i", "dim": dim, "n_layer": layers, "n_head": heads, "multiple_of": 16,
        "vocab_size": CODES, "block_size": GRID_C2I**2, "num_classes": classes, "cls_token_num": 1,
    }  # fmt: skip
    golden = {"class": torch.tensor([7]), "codes": codes, "logits": of(7), "uncond": of(classes)}
    write(out / "llamagen-c2i", config, weights, golden)


def t2i(out):
    g = torch.Generator().manual_seed(2)
    dim, heads, layers, width, most, valid = 64, 4, 2, 24, 12, 7
    inner = (8 * dim // 3 + 15) // 16 * 16
    weights = transformer_weights(g, dim, layers, inner)
    weights["cls_embedding.cap_proj.fc1.weight"] = random(g, dim, width, scale=2 * width**-0.5)
    weights["cls_embedding.cap_proj.fc2.weight"] = random(g, dim, dim, scale=2 * dim**-0.5)
    weights["cls_embedding.uncond_embedding"] = random(g, most, width)
    features = random(g, valid, width)
    codes = torch.randint(CODES, (GRID_T2I**2,), generator=g)
    cos, sin = angles(most, GRID_T2I, dim // heads)
    # As the reference has it: all positions of a caption, padded on the left; nobody but itself sees a padded one.
    n = most + codes.numel() - 1
    seen = torch.ones(n, dtype=torch.bool)
    seen[: most - valid] = False
    mask = (torch.ones(n, n, dtype=torch.bool).tril() & seen[None]) | torch.eye(n, dtype=torch.bool)

    def of(caption):
        y = F.gelu(caption @ weights["cls_embedding.cap_proj.fc1.weight"].T, approximate="tanh")
        y = y @ weights["cls_embedding.cap_proj.fc2.weight"].T
        x = torch.cat([y, weights["tok_embeddings.weight"][codes[:-1]]])
        return logits(weights, x, heads, layers, cos, sin, mask)[most - 1 :]

    padded = torch.cat([torch.zeros(most - valid, width), features])
    config = {
        "model_type": "llamagen", "gpt_type": "t2i", "dim": dim, "n_layer": layers, "n_head": heads, "multiple_of": 16,
        "vocab_size": CODES, "block_size": GRID_T2I**2, "caption_dim": width, "cls_token_num": most,
    }  # fmt: skip
    golden = {
        "codes": codes,
        "logits": of(padded),
        "uncond": of(weights["cls_embedding.uncond_embedding"]),
    }
    write(out / "llamagen-t2i", config, weights, golden)
    save_file({"features": features}, out / "llamagen-t2i" / "features.safetensors")


# ---------------------------------------------------------------- VQ tokenizer

CH, MULT, BLOCKS, Z, E = 32, (2, 1), 2, 16, 8


class Vq:
    """Weights are made when they are first asked for, in f16 so that the files are small, and used in f32."""

    def __init__(self):
        self.g, self.weights = torch.Generator().manual_seed(3), {}

    def get(self, name, *shape, scale, centre=0.0):
        if name not in self.weights:
            self.weights[name] = random(self.g, *shape, scale=scale, centre=centre).half()
        return self.weights[name].float()

    def conv(self, name, x, outputs, side, **how):
        inputs = x.shape[1]
        weight = self.get(name + ".weight", outputs, inputs, side, side, scale=(inputs * side * side) ** -0.5)
        return F.conv2d(x, weight, self.get(name + ".bias", outputs, scale=0.1), **how)

    def norm(self, name, x):
        weight = self.get(name + ".weight", x.shape[1], scale=0.1, centre=1.0)
        return F.group_norm(x, 32, weight, self.get(name + ".bias", x.shape[1], scale=0.1), eps=1e-6)

    def res(self, name, x, outputs):
        y = self.conv(name + ".conv1", F.silu(self.norm(name + ".norm1", x)), outputs, 3, padding=1)
        y = self.conv(name + ".conv2", F.silu(self.norm(name + ".norm2", y)), outputs, 3, padding=1)
        return y + (x if x.shape[1] == outputs else self.conv(name + ".nin_shortcut", x, outputs, 1))

    def attention(self, name, x):
        normed, (_, c, h, w) = self.norm(name + ".norm", x), x.shape
        q, k, v = (self.conv(f"{name}.{part}", normed, c, 1).flatten(2)[0] for part in "qkv")
        mixed = v @ (q.T @ k * c**-0.5).softmax(-1).T
        return x + self.conv(name + ".proj_out", mixed.view(1, c, h, w), c, 1)

    def mid(self, name, x):
        x = self.res(name + ".0", x, x.shape[1])
        return self.res(name + ".2", self.attention(name + ".1", x), x.shape[1])

    def codebook(self):
        return F.normalize(self.get("quantize.embedding.weight", CODES, E, scale=1.0), dim=-1)

    def decode(self, codes):
        grid = int(codes.numel() ** 0.5)
        x = self.codebook()[codes].T.view(1, E, grid, grid)
        x = self.conv("decoder.conv_in", self.conv("post_quant_conv", x, Z, 1), CH * MULT[-1], 3, padding=1)
        x = self.mid("decoder.mid", x)
        for run, level in enumerate(reversed(range(len(MULT)))):
            name = f"decoder.conv_blocks.{run}"
            for block in range(BLOCKS + 1):
                x = self.res(f"{name}.res.{block}", x, CH * MULT[level])
                if run == 0:
                    x = self.attention(f"{name}.attn.{block}", x)
            if level > 0:
                x = self.conv(name + ".upsample.conv", F.interpolate(x, scale_factor=2.0), x.shape[1], 3, padding=1)
        return self.conv("decoder.conv_out", F.silu(self.norm("decoder.norm_out", x)), 3, 3, padding=1)[0]

    def encode(self, image):
        x = self.conv("encoder.conv_in", image[None], CH, 3, padding=1)
        for level, factor in enumerate(MULT):
            name, last = f"encoder.conv_blocks.{level}", level + 1 == len(MULT)
            for block in range(BLOCKS):
                x = self.res(f"{name}.res.{block}", x, CH * factor)
                if last:
                    x = self.attention(f"{name}.attn.{block}", x)
            if not last:
                x = self.conv(name + ".downsample.conv", F.pad(x, (0, 1, 0, 1)), x.shape[1], 3, stride=2)
        x = F.silu(self.norm("encoder.norm_out", self.mid("encoder.mid", x)))
        x = self.conv("quant_conv", self.conv("encoder.conv_out", x, Z, 3, padding=1), E, 1)
        x = F.normalize(x[0].flatten(1).T, dim=-1)
        return (x @ self.codebook().T).argmax(-1)


def vq(out):
    model = Vq()
    codes = torch.randint(CODES, (GRID_C2I**2,), generator=torch.Generator().manual_seed(4))
    pixels = model.decode(codes)
    image = torch.randint(256, (3, 2 * GRID_C2I, 2 * GRID_C2I), generator=torch.Generator().manual_seed(5))
    encoded = model.encode(image / 127.5 - 1)
    config = {
        "model_type": "llamagen_vq", "ch": CH, "ch_mult": MULT, "num_res_blocks": BLOCKS, "z_channels": Z,
        "embed_dim": E, "n_embed": CODES,
    }  # fmt: skip
    golden = {
        "codes": codes,
        "pixels": pixels.permute(1, 2, 0).contiguous(),
        "image": image.permute(1, 2, 0).contiguous().to(torch.uint8),
        "image_codes": encoded,
    }
    write(out / "llamagen-c2i" / "vq", config, model.weights, golden)


# ---------------------------------------------------------------- files


def write(folder, config, weights, golden):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, folder / "golden.safetensors")
    shards, size = [{}], 0
    for name, tensor in sorted(weights.items()):
        length = tensor.numel() * tensor.element_size()
        if size + length > LIMIT:
            shards.append({})
            size = 0
        shards[-1][name] = tensor.contiguous()
        size += length
    if len(shards) == 1:
        save_file(shards[0], folder / "model.safetensors")
        return
    index = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, folder / file)
        index.update({name: file for name in shard})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=1))


if __name__ == "__main__":
    destination = Path(sys.argv[1])
    with torch.no_grad():
        c2i(destination)
        t2i(destination)
        vq(destination)
