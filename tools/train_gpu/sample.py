"""Images drawn from the model on the device: many captions at once, with guidance and a cache of keys and values."""

import torch
import torch.nn.functional as F

from common import CELLS, CODE_OFFSET, SIDE
from target_model import angles, rms


class Sampler:
    """Draws for up to `rows` captions at once. Prompts stand at the right, so that all pictures begin at one place."""

    def __init__(self, decoder, ids, rows, longest):
        self.decoder, self.ids, self.rows, self.longest = decoder, ids, rows, longest
        shape, device = decoder.shape, decoder.table.device
        self.length = longest + 3 + SIDE * (SIDE + 1)
        sizes = (shape.layers, 2, 2 * rows, shape.heads, self.length, shape.head)
        self.cache = torch.zeros(sizes, dtype=decoder.numbers, device=device)

    def _pass(self, tokens, first, pads):
        """Tokens [R, t] at columns first..; what stands behind the last norm in the last column, [R, D]."""
        decoder, device = self.decoder, tokens.device
        rows, length = tokens.shape
        columns = torch.arange(first, first + length, device=device)
        cos, sin = angles((columns[None] - pads[:, None]).clamp_min(0), decoder.shape.head)
        keys = torch.arange(first + length, device=device)
        seen = (keys[None, None] <= columns[None, :, None]) & (keys[None, None] >= pads[:, None, None])
        # A filler looks at itself, so that nothing in it is without a number.
        mask = (seen | (keys[None, None] == columns[None, :, None]))[:, None]
        x = F.embedding(tokens, decoder.table)
        for number, layer in enumerate(decoder.model.layers):
            x = layer.cached(x, cos, sin, decoder.numbers, self.cache[number, :, :rows], first, mask)
        return rms(x[:, -1], decoder.model.norm.weight)

    @torch.no_grad()
    def draw(self, prompts, lengths, guidance, generator=None, temperature=1.0):
        """Prompts [n, P] filled up behind, with their lengths: codes [n, 256] and the mean entropy of each image's law, [n]."""
        count, device, ids = len(prompts), prompts.device, self.ids
        guided = guidance != 1.0
        longest = self.longest
        place = torch.arange(longest, device=device)[None] - (longest - lengths[:, None])
        left = torch.where(place >= 0, prompts.long().gather(1, place.clamp(0, prompts.shape[1] - 1)), 0)
        pads = longest - lengths
        if guided:
            left = torch.cat([left, torch.zeros_like(left)])
            pads = torch.cat([pads, torch.full_like(pads, longest)])
        head = torch.tensor([ids.begin, ids.size_base + SIDE, ids.size_base + SIDE], device=device)
        hidden = self._pass(torch.cat([left, head.expand(len(left), 3)], 1), 0, pads)
        codes = torch.zeros((count, CELLS), dtype=torch.long, device=device)
        entropy, at = torch.zeros(count, device=device), longest + 3
        for cell in range(CELLS):
            scores = self.decoder.code_logits(hidden)
            if guided:
                cond, uncond = scores.chunk(2)
                scores = uncond + guidance * (cond - uncond)
            log_law = (scores / temperature).log_softmax(-1)
            entropy -= (log_law.exp() * log_law).sum(-1)
            noise = torch.empty_like(log_law).exponential_(generator=generator).clamp_min_(1e-30)
            codes[:, cell] = (log_law - noise.log_()).argmax(-1)
            if cell + 1 == CELLS:
                break
            tokens = codes[:, cell:cell + 1] + CODE_OFFSET
            if (cell + 1) % SIDE == 0:
                tokens = torch.cat([tokens, torch.full_like(tokens, ids.row_end)], 1)
            hidden = self._pass(torch.cat([tokens, tokens]) if guided else tokens, at, pads)
            at += tokens.shape[1]
        return codes, entropy / CELLS

    def draw_all(self, prompts, lengths, guidance, generator=None):
        """The same for any number of captions."""
        parts = [self.draw(p, n, guidance, generator) for p, n in zip(prompts.split(self.rows), lengths.split(self.rows))]
        return torch.cat([codes for codes, _ in parts]), torch.cat([entropy for _, entropy in parts])
