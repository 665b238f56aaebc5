"""Byte pairs learnt from the captions, and every caption as ids; a process of its own beside the training.

text.py SHARDS OUT WORDS PICTURES SECONDS CODES: waits for PICTURES pictures (at most SECONDS), learns WORDS tokens, writes OUT/tokenizer.json, then
turns each shard's captions into OUT/NUMBER.npz (`ids` [all captions, LONGEST], `lengths`, `counts` a picture) until OUT/stop is there.
"""

import glob
import json
import os
import sys
import time

import numpy as np

from common import BOS, PAD, Ids

# Tokens of a prompt, <s> included; longer ones are cut in training.
LONGEST = 39
# Captions that byte pairs are learnt from.
LEARNT = 400_000


def learn(captions, words, ids):
    """The tokenizer, as `hawk train target` makes it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    special = ids.names()
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + words, min_frequency=2, show_progress=False, special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(captions, trainer)
    least = min(tokenizer.encode("a red apple").ids)
    if least < ids.text:
        raise ValueError(f"text begins at {least} instead of {ids.text}")
    return tokenizer


def entries(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def encode(tokenizer, captions):
    """Prompts [n, LONGEST] with <s>, filled up behind, and their lengths."""
    ids = np.full((len(captions), LONGEST), PAD, dtype=np.int16)
    lengths = np.zeros(len(captions), dtype=np.int16)
    for row, encoding in enumerate(tokenizer.encode_batch(captions, add_special_tokens=False)):
        tokens = [BOS, *encoding.ids][:LONGEST]
        ids[row, :len(tokens)] = tokens
        lengths[row] = len(tokens)
    return ids, lengths


def encode_shard(tokenizer, source, out):
    pictures = entries(source)
    counts = np.array([len(p["captions"]) for p in pictures], dtype=np.int16)
    ids, lengths = encode(tokenizer, [caption for p in pictures for caption in p["captions"]])
    with open(out + ".new", "wb") as file:
        np.savez(file, ids=ids, lengths=lengths, counts=counts)
    os.replace(out + ".new", out)


def whole(folder):
    """Captions whose pictures have been there, unchanged, for a moment."""
    for path in sorted(glob.glob(os.path.join(folder, "shard-*.jsonl"))):
        pixels = path[:-6] + ".rgb"
        if os.path.exists(pixels) and time.time() - max(os.path.getmtime(pixels), os.path.getmtime(path)) > 0.4:
            yield path


def main():
    shards, out, words, wanted, seconds, codes = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:7])
    os.makedirs(out, exist_ok=True)
    ids, end, read = Ids(int(codes)), time.monotonic() + seconds, {}
    saved = os.path.join(out, "tokenizer.json")
    while not os.path.exists(saved) and sum(map(len, read.values())) < wanted and (time.monotonic() < end or not read):
        for path in whole(shards):
            if path not in read:
                read[path] = entries(path)
        time.sleep(0.3)
    if os.path.exists(saved):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(saved)
    else:
        captions = [c for pictures in read.values() for p in pictures if p.get("split", "train") == "train" for c in p["captions"]]
        tokenizer = learn(captions[:: max(1, len(captions) // LEARNT)], int(words), ids)
        tokenizer.save(saved + ".new", pretty=False)
        os.replace(saved + ".new", saved)
        print(f"text: {tokenizer.get_vocab_size()} ids from {len(captions)} captions of {len(read)} shards", flush=True)
    done = {path for path in glob.glob(os.path.join(out, "*.npz"))}
    while not os.path.exists(os.path.join(out, "stop")) and os.getppid() != 1:
        for path in whole(shards):
            name = os.path.join(out, os.path.basename(path)[6:-6] + ".npz")
            if name not in done:
                encode_shard(tokenizer, path, name)
                done.add(name)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
