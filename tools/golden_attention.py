"""Writes the attention weights of transformers for the golden checkpoints of hawk-nn.

    python tools/golden_attention.py crates/hawk-nn/tests/golden

Each of `chameleon`, `chameleon-swin` and `llama-gqa` gets `attention.safetensors` with `weights`
[layers, heads, tokens, tokens] of the `input_ids` in its `golden.safetensors`, in f32, by transformers'
own plain implementation ("eager").
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import ChameleonForConditionalGeneration, LlamaForCausalLM

MODELS = {
    "chameleon": ChameleonForConditionalGeneration,
    "chameleon-swin": ChameleonForConditionalGeneration,
    "llama-gqa": LlamaForCausalLM,
}


@torch.no_grad()
def main(root):
    for name, kind in MODELS.items():
        golden = load_file(root / name / "golden.safetensors")
        model = kind.from_pretrained(root / name, dtype=torch.float32, attn_implementation="eager").eval()
        language = getattr(model, "language_model", None) or model.model
        out = language(input_ids=golden["input_ids"], output_attentions=True)
        weights = torch.stack([layer[0] for layer in out.attentions]).contiguous()
        assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5)
        save_file({"weights": weights}, root / name / "attention.safetensors")
        print(name, list(weights.shape))


main(Path(sys.argv[1]))
