"""Makes a tiny random CLIP and what reference implementations give for it, for FID's Inception and for Fréchet distances.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.24.0 pytorch-fid==0.3.0 scipy==1.16.3 tokenizers==0.23.3 safetensors==0.8.0 pillow
    python golden_scores.py SCORES ANALYZE

SCORES is crates/hawk-scores/tests/golden. It gets a folder `clip` in the layout of openai/clip-vit-base-patch32, and beside it `golden.json`: features
by transformers and by pytorch-fid. The weights of Inception are 95 MB, so that they are a formula, `weight`, which the test has too, for the
convolutions that `inception.txt` lists.
ANALYZE is crates/hawk-analyze/tests/golden. It gets `frechet.json`: features by the formula `feature`, and pytorch-fid's distances between them.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_fid import inception
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPConfig, CLIPModel

TEXTS = ["a red apple", "Two young, White males  are outside near many bushes.", "a house by the sea " * 12]
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
START, END = "<|startoftext|>", "<|endoftext|>"


def bits(seed, count):
    """SplitMix64 from `seed`: 64 bits each."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(seed, count):
    """Numbers in 0..1 with 24 bits."""
    return (bits(seed, count) >> np.uint64(40)).astype(np.float64) / (1 << 24)


def weight(name, shape):
    """A tensor of Inception by its name."""
    seed = sum(ord(letter) * (at + 1) for at, letter in enumerate(name))
    u = uniform(seed, int(np.prod(shape)))
    if name.startswith("fc."):
        value = 0 * u
    elif name.endswith("conv.weight"):
        value = (2 * u - 1) * (6 / np.prod(shape[1:])) ** 0.5
    elif name.endswith(("bn.weight", "running_var")):
        value = 0.8 + 0.4 * u
    else:
        value = 0.2 * (2 * u - 1)
    return torch.tensor(value.astype(np.float32).reshape(shape))


def pixels(width, height):
    """A picture by a formula."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * 7 + y * 13 + c * 50 + x * y % 31) % 256).astype(np.uint8)


def inception_features(out):
    def state_dict(*_, **__):
        shapes = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None).state_dict()
        convs = (f"{name.removesuffix('.conv.weight')} {' '.join(map(str, t.shape))}" for name, t in shapes.items() if t.dim() == 4)
        (out / "inception.txt").write_text("".join(f"{line}\n" for line in convs))
        zero = torch.zeros((), dtype=torch.long)
        return {name: zero if name.endswith("tracked") else weight(name, t.shape) for name, t in shapes.items()}

    inception.load_state_dict_from_url = state_dict
    model = inception.InceptionV3([3]).eval()
    found = []
    for width, height in [(40, 56), (320, 200)]:
        batch = torch.tensor(pixels(width, height)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            seen = model(batch)[0][0, :, 0, 0].double().numpy()
        sizes = {"width": width, "height": height}
        found.append({**sizes, "every_64th": seen[::64].tolist(), "mean": seen.mean(), "length": np.linalg.norm(seen)})
    return found


def tokenizer():
    """Byte pairs with ends of words, as CLIP has them."""
    letters = sorted(ByteLevel.alphabet())
    vocabulary = [*letters, *(letter + "</w>" for letter in letters)]
    merges = [("r", "e"), ("re", "d</w>"), ("a", "p"), ("h", "o"), ("t", "h"), ("th", "e</w>"), ("s", "e"), ("se", "a</w>")]
    vocabulary += [a + b for a, b in merges] + [START, END]
    ids = {token: at for at, token in enumerate(vocabulary)}
    t = Tokenizer(models.BPE(ids, merges, end_of_word_suffix="</w>", unk_token=END))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
    split = pre_tokenizers.Split(Regex(words), "removed", invert=True)
    t.pre_tokenizer = pre_tokenizers.Sequence([split, ByteLevel(add_prefix_space=False)])
    t.post_processor = processors.RobertaProcessing((END, ids[END]), (START, ids[START]), trim_offsets=False, add_prefix_space=False)
    t.add_special_tokens([START, END])
    return t, ids


def clip(out):
    out.mkdir(parents=True, exist_ok=True)
    words, ids = tokenizer()
    words.save(str(out / "tokenizer.json"))
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "quick_gelu"}
    text = {"vocab_size": len(ids), "hidden_size": 24, "intermediate_size": 40, "max_position_embeddings": 40, **sizes}
    text |= {"eos_token_id": ids[END], "bos_token_id": ids[START]}
    vision = {"hidden_size": 32, "intermediate_size": 48, "image_size": 32, "patch_size": 8, **sizes}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=20)
    torch.manual_seed(1)
    model = CLIPModel(config).eval()
    for name, parameter in sorted(model.named_parameters()):
        spread = 0.3 if "embedding" in name else parameter.shape[-1] ** -0.5 if parameter.dim() > 1 else 0.1
        noise = torch.tensor(2 * uniform(len(name) * 1000 + parameter.numel(), parameter.numel()) - 1).reshape(parameter.shape)
        parameter.data.copy_(noise * 1.7 * spread + ("norm" in name and "weight" in name))
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, out / "model.safetensors")
    kept = {"model_type": "clip", "projection_dim": 20, "text_config": text, "vision_config": vision}
    (out / "config.json").write_text(json.dumps(kept, indent=1))
    processor = {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 32}, "image_mean": MEAN, "image_std": STD, "resample": 3}
    (out / "preprocessor_config.json").write_text(json.dumps(processor, indent=1))
    return model, words


def prepared(width, height, side=32):
    """Shortest edge to `side` with Pillow's bicubic filter, the middle, normalised."""
    image = Image.fromarray(pixels(width, height))
    short = min(width, height)
    image = image.resize((side * width // short, side * height // short), Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    values = (torch.tensor(np.asarray(image).copy()).float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    return values.permute(2, 0, 1)[None]


def clip_golden(out):
    model, words = clip(out)
    unit = lambda x: (x / x.norm(dim=-1, keepdim=True))[0].double()
    texts, images = [], []
    with torch.no_grad():
        for text in TEXTS:
            ids = words.encode(text).ids
            ids = ids if len(ids) <= 40 else ids[:39] + ids[-1:]
            found = model.get_text_features(input_ids=torch.tensor([ids]))
            texts.append({"text": text, "ids": ids, "features": unit(getattr(found, "pooler_output", found)).tolist()})
        for width, height in [(32, 32), (75, 50), (20, 44)]:
            found = model.get_image_features(pixel_values=prepared(width, height))
            images.append({"width": width, "height": height, "features": unit(getattr(found, "pooler_output", found)).tolist()})
    return {"texts": texts, "images": images}


def feature(seed, rows, columns):
    """Features: numbers in 0..1, mixed so that columns are correlated."""
    u = uniform(seed, rows * columns).reshape(rows, columns)
    return u + 0.5 * np.roll(u, 1, axis=1) + seed / 100


def frechet():
    cases = []
    for name, [a, b] in {
        "more images than features": [[1, 60, 8], [2, 50, 8]],
        "fewer images than features": [[3, 12, 24], [4, 17, 24]],
        "few images, many pictures": [[5, 9, 16], [6, 80, 16]],
        "the same images": [[7, 40, 6], [7, 40, 6]],
    }.items():
        x, y = feature(*a), feature(*b)
        mx, my, sx, sy = x.mean(0), y.mean(0), np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        # Where covariances are singular, pytorch-fid's root has an error that shows: the eigenvalues say it exactly.
        roots = np.sqrt(np.maximum(np.linalg.eigvals(sx @ sy).real, 0)).sum()
        exact = ((mx - my) ** 2).sum() + np.trace(sx) + np.trace(sy) - 2 * roots
        cases.append(
            {"name": name, "a": a, "b": b, "distance": exact, "pytorch_fid": calculate_frechet_distance(mx, sx, my, sy)}
        )
    return cases


def main(scores, analyze):
    scores.mkdir(parents=True, exist_ok=True)
    analyze.mkdir(parents=True, exist_ok=True)
    (analyze / "frechet.json").write_text(json.dumps(frechet()) + "\n")
    golden = {"clip": clip_golden(scores / "clip"), "inception": inception_features(scores)}
    (scores / "golden.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
