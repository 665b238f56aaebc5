"""What transformers and taming-transformers compute with a model that `hawk train target` made.

    pip install torch transformers safetensors tokenizers pillow numpy einops
    pip install --no-deps taming-transformers-rom1504==0.0.6
    python golden_target.py MODEL TOKENS CELLS

TOKENS: what `hawk generate --tokens-out` wrote; its first image is taken. MODEL gets `golden.safetensors`: `input_ids` [1, T], the conditional
prefix and the image's first CELLS tokens, with `logits` [1, T, V]; `uncond_ids` and `uncond_logits` the same without the caption; `codes` [R, C]
of the whole image with `pixels` [H, W, 3]; and `golden.png` of those. All in f32 on the weights as stored.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from taming.modules.diffusionmodules import model as taming_model
from transformers import ChameleonConfig, ChameleonForConditionalGeneration

# What transformers wants to know of its own image tokenizer, which is not used; nor is the name of the place of an image.
UNUSED_VQ = dict(embed_dim=8, num_embeddings=8, latent_channels=8, resolution=32, base_channels=32,
                 channel_multiplier=[1, 1], num_res_blocks=1)


def transformer(model):
    config = json.loads((model / "config.json").read_text())
    known = {k: v for k, v in config.items() if k not in ("architectures", "model_type", "torch_dtype")}
    known |= dict(vq_config=UNUSED_VQ, vocabulary_map={"<image>": 3})
    network = ChameleonForConditionalGeneration(ChameleonConfig(**known)).eval()
    weights = {name: tensor.float() for name, tensor in load_file(model / "model.safetensors").items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    missing = [name for name in missing if "vqmodel" not in name and name != "lm_head.weight"]
    assert not missing and not unexpected, (missing, unexpected)
    network.tie_weights()
    # Image tokens are not hidden from the head: hawk reads the rows of its codes.
    return lambda ids: torch.nn.functional.linear(network.model(input_ids=ids).last_hidden_state,
                                                  network.model.embed_tokens.weight)


def pixels_of(model, codes, size):
    config = json.loads((model / "vq/config.json").read_text())
    sizes = {key: config[key] for key in ("double_z", "z_channels", "resolution", "in_channels", "out_ch", "ch", "ch_mult",
                                          "num_res_blocks", "attn_resolutions")}
    # It writes 32 groups everywhere.
    taming_model.Normalize = lambda channels: torch.nn.GroupNorm(config["norm_num_groups"], channels, eps=1e-6, affine=True)
    decoder = taming_model.Decoder(**sizes, dropout=0.0).eval()
    weights = {name: tensor.float() for name, tensor in load_file(model / "vq/model.safetensors").items()}
    decoder.load_state_dict({name.removeprefix("decoder."): t for name, t in weights.items() if name.startswith("decoder.")})
    # Codes have length one but for rounding, and are taken as they are stored.
    latents = weights["quantize.embedding.weight"][codes.flatten()].reshape(*codes.shape, -1).permute(2, 0, 1)[None]
    latents = torch.nn.functional.conv2d(latents, weights["post_quant_conv.weight"], weights["post_quant_conv.bias"])
    colours = decoder(latents)[0].permute(1, 2, 0).clamp(-1, 1)
    levels = ((colours + 1) / 2 * 255).to(torch.uint8)
    assert levels.shape == (*size, 3), levels.shape
    return levels.contiguous()


@torch.no_grad()
def main(model, tokens, cells):
    layout = json.loads((model / "hawk.json").read_text())
    image = json.loads(tokens.read_text())["images"][0]
    golden = {}
    run = transformer(model)
    for prefix, ids, logits in (("cond_prefix", "input_ids", "logits"), ("uncond_prefix", "uncond_ids", "uncond_logits")):
        golden[ids] = torch.tensor([image[prefix] + image["tokens"][:cells]])
        golden[logits] = run(golden[ids]).contiguous()
    golden["codes"] = torch.tensor(image["codes"]).reshape(layout["grid"])
    golden["pixels"] = pixels_of(model, golden["codes"], layout["image_size"])
    save_file(golden, model / "golden.safetensors")
    Image.fromarray(numpy.asarray(golden["pixels"])).save(model / "golden.png")
    chosen = golden["logits"][0, len(image["cond_prefix"]) - 1]
    print(f"{image['prompt']}: {golden['input_ids'].shape[1]} tokens, logits from {chosen.min():.2f} to {chosen.max():.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
