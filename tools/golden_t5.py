"""Makes a tiny random T5 v1.1 encoder, as flan-t5 has it, and what transformers gives for it.

    pip install torch==2.15.0 transformers==5.24.0 tokenizers==0.23.3 safetensors==0.8.0
    python golden_t5.py OUT

OUT gets a folder in the layout of google/flan-t5-xl: config.json, tokenizer.json, model.safetensors (with tensors of a decoder, which hawk must
leave alone), and golden.safetensors: ids and last hidden states with padding (as LlamaGen runs the encoder) and without.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import T5Config, T5EncoderModel

CAPTIONS = ["a red house", "a house by the sea, red", "blue"]
PADDED = 120


def tokenizer():
    """Unigram with word-begin marks and a closing token, as sentencepiece's conversion has it."""
    words = ["a", "red", "blue", "house", "sea", "the", "by", ",", "at", "night"]
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [("▁" + word, -4.0 - i / 10) for i, word in enumerate(words)]
    pieces += [(letter, -9.0 - i / 100) for i, letter in enumerate([",", *letters])]
    t = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    marks = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), marks])
    t.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    t.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return t


def model(vocabulary):
    config = T5Config(
        vocab_size=vocabulary, d_model=24, d_kv=8, d_ff=40, num_layers=3, num_heads=4, feed_forward_proj="gated-gelu",
        relative_attention_num_buckets=32, relative_attention_max_distance=128, tie_word_embeddings=False,
    )  # fmt: skip
    encoder = T5EncoderModel(config).eval()
    g = torch.Generator().manual_seed(1)
    for name, parameter in sorted(encoder.named_parameters()):
        shape = parameter.shape
        if "layer_norm" in name:
            value = 1.0 + 0.1 * torch.randn(shape, generator=g)
        elif "relative_attention_bias" in name or "shared" in name or "embed_tokens" in name:
            value = torch.randn(shape, generator=g)
        elif name.endswith((".q.weight", ".k.weight")):
            # Products of queries and keys are not scaled down in a T5.
            value = torch.randn(shape, generator=g) * (0.7 * shape[1] ** -0.5)
        else:
            value = torch.randn(shape, generator=g) * shape[1] ** -0.5
        parameter.data.copy_(value)
    return encoder, config


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.save(str(out / "tokenizer.json"))
    # Beyond the tokenizer's ids, as in the published ones.
    encoder, config = model(words.get_vocab_size() + 5)
    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    weights.pop("encoder.embed_tokens.weight", None)
    weights["decoder.final_layer_norm.weight"] = torch.ones(config.d_model)
    weights["lm_head.weight"] = torch.zeros(4, config.d_model)
    save_file(weights, out / "model.safetensors")
    config.architectures = ["T5ForConditionalGeneration"]
    (out / "config.json").write_text(json.dumps(config.to_diff_dict() | sizes(config), indent=1, sort_keys=True))
    golden = {}
    for number, caption in enumerate(CAPTIONS):
        ids = torch.tensor([words.encode(caption).ids])
        padded = torch.zeros(1, PADDED, dtype=torch.long)
        padded[0, : ids.shape[1]] = ids
        mask = (torch.arange(PADDED)[None] < ids.shape[1]).long()
        golden[f"ids.{number}"] = ids[0]
        golden[f"alone.{number}"] = encoder(input_ids=ids).last_hidden_state[0]
        golden[f"padded.{number}"] = encoder(input_ids=padded, attention_mask=mask).last_hidden_state[0, : ids.shape[1]]
    # Longer than the largest distance that the positions tell apart.
    ids = torch.randint(3, config.vocab_size, (150,), generator=torch.Generator().manual_seed(2))
    golden["ids.long"] = ids
    golden["alone.long"] = encoder(input_ids=ids[None]).last_hidden_state[0]
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / "golden.safetensors")
    for number, caption in enumerate(CAPTIONS):
        far = (golden[f"alone.{number}"] - golden[f"padded.{number}"]).abs().max()
        print(f"{caption!r}: {golden[f'ids.{number}'].tolist()}, padding changes {far:.1e}")
    print("spread", golden["alone.long"].std())


def sizes(config):
    keys = (
        "vocab_size d_model d_kv d_ff num_layers num_heads relative_attention_num_buckets relative_attention_max_distance "
        "layer_norm_epsilon feed_forward_proj model_type pad_token_id eos_token_id"
    )
    return {key: getattr(config, key) for key in keys.split()}


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
