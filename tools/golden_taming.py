"""Makes a tiny random VQGAN and what taming-transformers computes with it.

    pip install torch safetensors numpy einops
    pip install --no-deps taming-transformers-rom1504==0.0.6
    python golden_taming.py OUT

OUT gets `vq/` with `config.json` and `model.safetensors` (bf16, which the computation uses as they are), and `golden.safetensors`: codes with
the decoder's colours, an image with the encoder's codes. The written files were made with torch 2.15.0.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from taming.modules.diffusionmodules.model import Decoder, Encoder
from taming.modules.vqvae.quantize import VectorQuantizer2

# Attention at the coarser level.
SIZES = dict(
    double_z=False, z_channels=16, resolution=16, in_channels=3, out_ch=3, ch=32, ch_mult=[1, 1], num_res_blocks=1,
    attn_resolutions=[8], dropout=0.0,
)
CODES, WIDTH, SIDE = 64, 8, 8


def main(out):
    generator = torch.Generator().manual_seed(11)
    encoder, decoder = Encoder(**SIZES).eval(), Decoder(**SIZES).eval()
    quantizer = VectorQuantizer2(CODES, WIDTH, beta=0.25)
    quant = torch.nn.Conv2d(SIZES["z_channels"], WIDTH, 1)
    post_quant = torch.nn.Conv2d(WIDTH, SIZES["z_channels"], 1)
    parts = {"encoder": encoder, "decoder": decoder, "quantize": quantizer, "quant_conv": quant,
             "post_quant_conv": post_quant}
    weights = {}
    with torch.no_grad():
        for part, module in parts.items():
            for name, weight in module.named_parameters():
                fan_in = weight[0].numel() if weight.dim() > 1 else 1
                centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                spread = 0.1 if weight.dim() == 1 else 1.0 * fan_in**-0.5
                drawn = centre + spread * torch.randn(weight.shape, generator=generator)
                stored = drawn.to(torch.bfloat16)
                weight.copy_(stored)
                weights[f"{part}.{name}"] = stored
        codes = torch.randint(CODES, (SIDE, SIDE), generator=generator)
        image = torch.randint(256, (2 * SIDE, 2 * SIDE, 3), generator=generator, dtype=torch.uint8)
        latents = quantizer.get_codebook_entry(codes.flatten(), (1, SIDE, SIDE, WIDTH))
        pixels = decoder(post_quant(latents))[0].permute(1, 2, 0)
        levels = image.to(torch.float32).permute(2, 0, 1)[None] / 127.5 - 1.0
        _, _, (_, _, found) = quantizer(quant(encoder(levels)))
    (out / "vq").mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in SIZES.items() if key not in ("in_channels", "dropout")}
    config = {"model_type": "vqgan", **config, "embed_dim": WIDTH, "n_embed": CODES}
    (out / "vq/config.json").write_text(json.dumps(config) + "\n")
    save_file(weights, out / "vq/model.safetensors")
    golden = {"codes": codes, "pixels": pixels.contiguous(), "image": image, "image_codes": found.reshape(SIDE, SIDE)}
    save_file(golden, out / "golden.safetensors")
    print(f"colours from {pixels.min():.2f} to {pixels.max():.2f}, {found.unique().numel()} codes in the image")


main(Path(sys.argv[1]))
