"""The Chameleon decoder with Hugging Face's tensor names; the output projection is the embedding table."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from common import CODE_OFFSET

EPSILON = 1e-5
ROPE_BASE = 10_000.0


class Shape:
    def __init__(self, vocabulary, width=384, layers=8, heads=6, inner=992, codes=4096):
        self.vocabulary, self.width, self.layers, self.heads = vocabulary, width, layers, heads
        self.inner, self.codes, self.head = inner, codes, width // heads

    def config(self):
        return {
            "architectures": ["ChameleonForConditionalGeneration"], "model_type": "chameleon", "vocab_size": self.vocabulary,
            "hidden_size": self.width, "intermediate_size": self.inner, "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads, "num_key_value_heads": self.heads, "hidden_act": "silu",
            "rms_norm_eps": EPSILON, "rope_theta": ROPE_BASE, "max_position_embeddings": 512, "swin_norm": False,
            "model_parallel_size": 1, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "bfloat16",
        }

    def operations(self, length, cells):
        """Floating-point operations of a sequence, there and back."""
        layer = 4 * self.width**2 + 3 * self.width * self.inner + length * self.width
        return 6.0 * (length * self.layers * layer + cells * self.codes * self.width)


def rms(x, weight):
    y = x.float()
    return y * torch.rsqrt(y.square().mean(-1, keepdim=True) + EPSILON) * weight


def head_norm(x, weight, bias):
    """LayerNorm over a head's numbers, [..., H, E], in f32."""
    y = x.float()
    y = y - y.mean(-1, keepdim=True)
    return y * torch.rsqrt(y.square().mean(-1, keepdim=True) + EPSILON) * weight + bias


def turn(x, cos, sin):
    """Rotary embedding over the two halves of each head; cos and sin [..., 1, E]."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def angles(positions, head):
    """cos and sin [..., 1, E] of positions [...]."""
    rates = ROPE_BASE ** (-2.0 * torch.arange(head // 2, device=positions.device, dtype=torch.float64) / head)
    angle = positions.double()[..., None] * rates
    angle = torch.cat([angle, angle], -1)[..., None, :]
    return angle.cos().float(), angle.sin().float()


class Weight(nn.Module):
    """A product without bias, or a norm's factors."""

    def __init__(self, *shape, bias=False, spread=None):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*shape) if spread is None else torch.randn(*shape) * spread)
        if bias:
            self.bias = nn.Parameter(torch.zeros(*shape))


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        d, inner, heads, narrow = shape.width, shape.inner, shape.heads, 0.02 / math.sqrt(2 * shape.layers)
        self.heads, self.head = heads, shape.head
        self.input_layernorm, self.post_attention_layernorm = Weight(d), Weight(d)
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        for name in ("q_proj", "k_proj", "v_proj"):
            setattr(self.self_attn, name, Weight(d, d, spread=0.02))
        self.self_attn.o_proj = Weight(d, d, spread=narrow)
        self.self_attn.q_norm, self.self_attn.k_norm = Weight(heads, shape.head, bias=True), Weight(heads, shape.head, bias=True)
        self.mlp.gate_proj, self.mlp.up_proj = Weight(inner, d, spread=0.02), Weight(inner, d, spread=0.02)
        self.mlp.down_proj = Weight(d, inner, spread=narrow)

    def qkv(self, x, cos, sin):
        """Queries, keys and values [B, T, H, E] in the numbers of products."""
        a, numbers = self.self_attn, x.dtype
        batch, length, width = x.shape
        weight = torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]).to(numbers)
        q, k, v = F.linear(x, weight).view(batch, length, 3, self.heads, self.head).unbind(2)
        q = turn(head_norm(q, a.q_norm.weight, a.q_norm.bias), cos, sin).to(numbers)
        k = turn(head_norm(k, a.k_norm.weight, a.k_norm.bias), cos, sin).to(numbers)
        return q, k, v

    def feed(self, x, numbers):
        y = rms(x, self.post_attention_layernorm.weight).to(numbers)
        gate, up = F.linear(y, torch.cat([self.mlp.gate_proj.weight, self.mlp.up_proj.weight]).to(numbers)).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.mlp.down_proj.weight.to(numbers)).float()

    def forward(self, x, cos, sin, numbers):
        """x [B, T, D] f32; every place looks at itself and those before."""
        batch, length, width = x.shape
        q, k, v = self.qkv(rms(x, self.input_layernorm.weight).to(numbers), cos, sin)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        x = x + F.linear(mixed, self.self_attn.o_proj.weight.to(numbers)).float()
        return self.feed(x, numbers)

    def cached(self, x, cos, sin, numbers, cache, first, mask):
        """The same for places first.. of sequences whose keys and values so far lie in `cache` [2, B, H, T, E]; mask [B, 1, t, first + t]."""
        batch, length, width = x.shape
        q, k, v = self.qkv(rms(x, self.input_layernorm.weight).to(numbers), cos, sin)
        cache[0, :, :, first:first + length] = k.transpose(1, 2)
        cache[1, :, :, first:first + length] = v.transpose(1, 2)
        k, v = cache[0, :, :, :first + length], cache[1, :, :, :first + length]
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        x = x + F.linear(mixed, self.self_attn.o_proj.weight.to(numbers)).float()
        return self.feed(x, numbers)


def layer_step(layer, x, cos, sin, numbers):
    return layer(x, cos, sin, numbers)


def code_losses(hidden, norm, table, labels, numbers):
    """Cross-entropies [N] of codes under the states [N, D] that tell them; table [codes, D]."""
    logits = F.linear(rms(hidden, norm).to(numbers), table.to(numbers)).float()
    return F.cross_entropy(logits, labels, reduction="none")


class Decoder(nn.Module):
    def __init__(self, shape, numbers=torch.bfloat16):
        super().__init__()
        self.shape, self.numbers = shape, numbers
        self.model = nn.Module()
        self.model.embed_tokens = Weight(shape.vocabulary, shape.width, spread=0.02)
        self.model.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.model.norm = Weight(shape.width)
        self.step_function, self.loss_function = layer_step, code_losses

    @property
    def table(self):
        return self.model.embed_tokens.weight

    @property
    def code_table(self):
        return self.table[CODE_OFFSET:CODE_OFFSET + self.shape.codes]

    def states(self, tokens):
        """Tokens [B, T] to what stands before the last norm, [B, T, D]."""
        cos, sin = angles(torch.arange(tokens.shape[1], device=tokens.device), self.shape.head)
        x = F.embedding(tokens, self.table)
        for layer in self.model.layers:
            x = self.step_function(layer, x, cos, sin, self.numbers)
        return x

    def losses(self, tokens, rows, labels):
        """Cross-entropies [B, 256]; `rows` [B, 256] say behind which place each cell is told."""
        x = self.states(tokens)
        chosen = x.gather(1, rows[..., None].expand(-1, -1, x.shape[2]))
        flat = self.loss_function(chosen.flatten(0, 1), self.model.norm.weight, self.code_table, labels.flatten(), self.numbers)
        return flat.view(labels.shape)

    def hidden(self, tokens, rows):
        """States behind the last norm, [B, 256, D] f32: what draft heads read."""
        x = self.states(tokens)
        return rms(x.gather(1, rows[..., None].expand(-1, -1, x.shape[2])), self.model.norm.weight)

    def logits(self, tokens):
        """Over the whole vocabulary, [B, T, V] f32."""
        y = rms(self.states(tokens), self.model.norm.weight).to(self.numbers)
        return F.linear(y, self.table.to(self.numbers)).float()

    def code_logits(self, hidden):
        """[..., D] behind the last norm to [..., codes] f32."""
        return F.linear(hidden.to(self.numbers), self.code_table.to(self.numbers)).float()
