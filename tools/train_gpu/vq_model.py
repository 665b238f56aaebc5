"""The VQGAN of taming-transformers, with its tensor names, as hawk reads it: codes of length one."""

import torch
import torch.nn as nn
import torch.nn.functional as F

EPSILON = 1e-6


def norm_act(x, weight, bias, groups, act):
    """GroupNorm in f32, then SiLU where `act`; one multiply-add a pixel once the statistics are there."""
    batch, channels, height, width = x.shape
    y = x.float()
    mean = y.mean((2, 3)).view(batch, groups, -1).mean(2, keepdim=True)
    square = y.square().mean((2, 3)).view(batch, groups, -1).mean(2, keepdim=True)
    inverse = torch.rsqrt((square - mean.square()).clamp_min(0.0) + EPSILON)
    each = channels // groups
    scale = inverse.expand(batch, groups, each).reshape(batch, channels) * weight
    shift = bias - mean.expand(batch, groups, each).reshape(batch, channels) * scale
    y = y * scale[:, :, None, None] + shift[:, :, None, None]
    return (F.silu(y) if act else y).to(x.dtype)


class Norm(nn.Module):
    function = staticmethod(norm_act)

    def __init__(self, channels, groups):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.groups = groups

    def forward(self, x, act=True):
        return Norm.function(x, self.weight, self.bias, self.groups, act)


def conv(inputs, outputs, window=3, stride=1):
    return nn.Conv2d(inputs, outputs, window, stride, window // 2 if stride == 1 else 0)


class ResBlock(nn.Module):
    def __init__(self, inputs, outputs, groups):
        super().__init__()
        self.norm1, self.conv1 = Norm(inputs, groups), conv(inputs, outputs)
        self.norm2, self.conv2 = Norm(outputs, groups), conv(outputs, outputs)
        self.nin_shortcut = conv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x):
        inner = self.conv2(self.norm2(self.conv1(self.norm1(x))))
        return (x if self.nin_shortcut is None else self.nin_shortcut(x)) + inner


class Attention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.norm = Norm(channels, groups)
        self.q, self.k, self.v, self.proj_out = (conv(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        batch, channels, height, width = x.shape
        y = self.norm(x, False)
        q, k, v = (f(y).flatten(2).transpose(1, 2).unsqueeze(1).contiguous() for f in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        return x + self.proj_out(mixed.reshape(batch, channels, height, width))


class Resample(nn.Module):
    def __init__(self, channels, stride):
        super().__init__()
        self.conv = conv(channels, channels, 3, stride)


def level(blocks, resample, name):
    """Blocks of one resolution, named as taming-transformers names them."""
    made = nn.Module()
    made.block = nn.ModuleList(blocks)
    if resample is not None:
        setattr(made, name, resample)
    return made


def middle(channels, groups):
    made = nn.Module()
    made.block_1, made.attn_1 = ResBlock(channels, channels, groups), Attention(channels, groups)
    made.block_2 = ResBlock(channels, channels, groups)
    return made


class Encoder(nn.Module):
    def __init__(self, channels, latent, groups):
        super().__init__()
        self.conv_in, self.down, before = conv(3, channels[0]), nn.ModuleList(), channels[0]
        for number, here in enumerate(channels):
            last = number + 1 == len(channels)
            self.down.append(level([ResBlock(before, here, groups)], None if last else Resample(here, 2), "downsample"))
            before = here
        self.mid, self.norm_out, self.conv_out = middle(before, groups), Norm(before, groups), conv(before, latent)

    def forward(self, x):
        x = self.conv_in(x)
        for part in self.down:
            for block in part.block:
                x = block(x)
            if hasattr(part, "downsample"):
                x = part.downsample.conv(F.pad(x, (0, 1, 0, 1)))
        x = self.mid.block_2(self.mid.attn_1(self.mid.block_1(x)))
        return self.conv_out(self.norm_out(x))


class Decoder(nn.Module):
    def __init__(self, channels, latent, groups):
        super().__init__()
        self.conv_in, self.mid = conv(latent, channels[-1]), middle(channels[-1], groups)
        self.up = nn.ModuleList()
        for number, here in enumerate(channels):
            before = channels[min(number + 1, len(channels) - 1)]
            blocks = [ResBlock(before, here, groups), ResBlock(here, here, groups)]
            self.up.append(level(blocks, Resample(here, 1) if number else None, "upsample"))
        self.norm_out, self.conv_out = Norm(channels[0], groups), conv(channels[0], 3)

    def forward(self, x):
        x = self.conv_in(x)
        x = self.mid.block_2(self.mid.attn_1(self.mid.block_1(x)))
        for part in reversed(self.up):
            for block in part.block:
                x = block(x)
            if hasattr(part, "upsample"):
                x = part.upsample.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv_out(self.norm_out(x))


class Codebook(nn.Module):
    def __init__(self, codes, width):
        super().__init__()
        self.embedding = nn.Embedding(codes, width)
        self.embedding.weight.requires_grad_(False)


def unit(x, dim=1):
    return x * torch.rsqrt(x.square().sum(dim, keepdim=True) + 1e-12)


class Tokenizer(nn.Module):
    """Both halves and the codebook."""

    def __init__(self, channels=16, multipliers=(1, 2, 4, 8), latent=64, codes=4096, width=8):
        super().__init__()
        self.sizes = {"channels": channels, "multipliers": list(multipliers), "latent": latent, "codes": codes, "width": width}
        levels, groups = [channels * m for m in multipliers], max(1, channels // 4)
        self.encoder, self.quant_conv = Encoder(levels, latent, groups), conv(latent, width, 1)
        self.quantize, self.post_quant_conv = Codebook(codes, width), conv(width, latent, 1)
        self.decoder = Decoder(levels, latent, groups)

    def config(self):
        s = self.sizes
        return {
            "model_type": "vqgan", "ch": s["channels"], "ch_mult": s["multipliers"], "num_res_blocks": 1,
            "attn_resolutions": [], "in_channels": 3, "out_ch": 3, "norm_num_groups": max(1, s["channels"] // 4),
            "z_channels": s["latent"], "embed_dim": s["width"], "n_embed": s["codes"], "resolution": 128,
            "double_z": False, "normalize_codes": True,
        }

    def encode(self, colours):
        """Colours [B, 3, 128, 128] in -1..=1 to latents [B, E, 16, 16] of length one, in f32."""
        return unit(self.quant_conv(self.encoder(colours)).float())

    def decode(self, latents):
        return self.decoder(self.post_quant_conv(latents)).float()

    @property
    def table(self):
        return self.quantize.embedding.weight

    @torch.no_grad()
    def nearest(self, latents):
        """Codes [B, 16, 16] of latents of length one."""
        batch, width, rows, columns = latents.shape
        flat = latents.permute(0, 2, 3, 1).reshape(-1, width).float()
        # In bf16 the products of near codes would be equal.
        with torch.autocast(latents.device.type, enabled=False):
            return (flat @ unit(self.table, 1).t()).argmax(1).view(batch, rows, columns)

    def look_up(self, codes):
        """Codes [B, 16, 16] to vectors [B, E, 16, 16]."""
        return F.embedding(codes, self.table).permute(0, 3, 1, 2)
