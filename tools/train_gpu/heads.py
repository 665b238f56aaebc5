"""Draft heads: residual blocks on the model's last hidden state, trained on images that the model drew, with its guided law as label."""

import time

import torch
import torch.nn.functional as F

from common import CELLS, SIDE, say

OFFSETS = {"H1": (0, 1), "H2": (0, 2), "V1": (1, 0), "V2": (2, 0), "D1-1": (1, -1)}
RANKS = 8


def pairs(offset, device):
    """Cells from which a head looks, and the cells that it looks at."""
    down, right = offset
    cell = torch.arange(CELLS, device=device)
    to, column = cell + down * SIDE + right, cell % SIDE + right
    # In a lower row nothing lies beyond the sides; in the same row the offset counts on over the row's end.
    fits = (to < CELLS) & ((column >= 0) & (column < SIDE) if down else torch.ones_like(cell, dtype=torch.bool))
    return cell[fits], to[fits]


class Heads(torch.nn.Module):
    def __init__(self, width, device):
        super().__init__()
        zeros = lambda *shape: torch.nn.Parameter(torch.zeros(*shape, device=device))  # noqa: E731
        self.weights = torch.nn.ParameterList([zeros(width, width) for _ in OFFSETS])
        self.biases = torch.nn.ParameterList([zeros(width) for _ in OFFSETS])
        self.pairs = [pairs(offset, device) for offset in OFFSETS.values()]

    def states(self, head, hidden, numbers):
        inner = F.linear(hidden.to(numbers), self.weights[head].to(numbers)).float() + self.biases[head]
        return hidden + F.silu(inner)

    def tensors(self):
        named = {}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            named[f"heads.{number}.weight"], named[f"heads.{number}.bias"] = weight, bias
        return named


class Observed:
    """Images under their captions, as the model sees them."""

    def __init__(self, decoder, batches, prompts, lengths, codes, guidance):
        self.decoder, self.batches, self.guidance = decoder, batches, guidance
        self.prompts, self.lengths, self.codes = prompts, lengths, codes

    @torch.no_grad()
    def of(self, chosen):
        """The conditional stream's states [B, 256, D] and the logarithm of the guided law, [B, 256, codes]."""
        codes, lengths = self.codes[chosen], self.lengths[chosen]
        tokens, rows = self.batches.sequences(self.prompts[chosen], lengths, codes)
        hidden = self.decoder.hidden(tokens, rows)
        scores = self.decoder.code_logits(hidden)
        if self.guidance != 1.0:
            tokens, rows = self.batches.sequences(self.prompts[chosen], torch.zeros_like(lengths), codes)
            uncond = self.decoder.code_logits(self.decoder.hidden(tokens, rows))
            scores = uncond + self.guidance * (scores - uncond)
        return hidden, scores.log_softmax(-1)


def train(heads, observed, training, deadline, batch=32, rate=3e-3, report=10.0):
    """Until the deadline, on the images `training`: AdamW, a rate that falls to zero."""
    optimizer = torch.optim.AdamW(heads.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1)
    numbers, begun, said, step, losses = observed.decoder.numbers, time.monotonic(), time.monotonic(), 0, []
    seconds = max(1e-3, deadline - begun)
    while (now := time.monotonic()) < deadline - 0.2:
        share = (now - begun) / seconds
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (1.0 - share)
        chosen = training[torch.randint(len(training), (batch,), device=training.device)]
        hidden, log_law = observed.of(chosen)
        law, each = log_law.exp(), []
        for head, (source, to) in enumerate(heads.pairs):
            logits = observed.decoder.code_logits(heads.states(head, hidden[:, source], numbers))
            loss = -(law[:, to] * logits.log_softmax(-1)).sum(-1).mean()
            # One head at a time, so that only its logits are kept.
            loss.backward()
            each.append(loss.detach())
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        losses.append(torch.stack(each))
        if time.monotonic() - said > report:
            said = time.monotonic()
            mean = torch.stack(losses).mean(0).tolist()
            say(f"heads step {step}: " + ", ".join(f"{name} {loss:.2f}" for name, loss in zip(OFFSETS, mean)))
            losses = []
    say(f"heads: {step} steps of {batch} images, of {len(training)}")


@torch.no_grad()
def measure(heads, observed, validation, deadline, batch=16):
    """The figures of `heads/config.json` on the images `validation`, as far as the time allows."""
    device, numbers = validation.device, observed.decoder.numbers
    sums = [{"cells": 0, "cross_entropy": 0.0, "overlap": 0.0, "matches": torch.zeros(RANKS, device=device)} for _ in OFFSETS]
    entropy, cells = 0.0, 0
    for chosen in validation.split(batch):
        if cells and time.monotonic() > deadline:
            break
        hidden, log_law = observed.of(chosen)
        law = log_law.exp()
        entropy -= (law * log_law).sum().item()
        cells += len(chosen) * CELLS
        # What plain decoding draws with fresh noise from the laws of these images.
        noise = -torch.empty_like(log_law).exponential_().clamp_min_(1e-30).log()
        drawn = (log_law + noise).argmax(-1)
        for head, (source, to) in enumerate(heads.pairs):
            log_q = observed.decoder.code_logits(heads.states(head, hidden[:, source], numbers)).log_softmax(-1)
            s = sums[head]
            s["cells"] += log_q.shape[0] * log_q.shape[1]
            s["cross_entropy"] -= (law[:, to] * log_q).sum().item()
            s["overlap"] += torch.minimum(law[:, to], log_q.exp()).sum().item()
            score = log_q + noise[:, to]
            better = (score > score.gather(-1, drawn[:, to, None])).sum(-1).flatten()
            s["matches"] += torch.bincount(better.clamp_max(RANKS), minlength=RANKS + 1)[:RANKS]
    figures = {
        name: {
            "cross_entropy": s["cross_entropy"] / s["cells"], "overlap": s["overlap"] / s["cells"],
            "replay_match_by_rank": (s["matches"] / s["cells"]).tolist(),
        }
        for name, s in zip(OFFSETS, sums)
    }
    return figures, entropy / max(1, cells)


def config(width, digest, name, figures):
    heads = [{"name": n, "offset": list(o)} | ({"validation": figures[n]} if figures else {}) for n, o in OFFSETS.items()]
    return {
        "architectures": ["HawkHeads"], "speculators_model_type": "hawk", "block": "residual_silu", "hidden_size": width,
        "target": {"name": name, "digest": digest}, "grid": [SIDE, SIDE], "heads": heads,
    }
