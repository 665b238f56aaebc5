"""What the model draws: sheets for the eye, entropy of the law, how much two seeds differ."""

import json
import os
import time

import numpy as np
import torch

from common import say
from vq_train import to_bytes


def sheet(path, pictures, columns, gap=2):
    """Pictures [n, 128, 128, 3] bytes row by row, as a JPEG file."""
    from PIL import Image

    count, side = len(pictures), pictures.shape[1] + gap
    rows = -(-count // columns)
    page = np.full((rows * side + gap, columns * side + gap, 3), 255, dtype=np.uint8)
    for number, picture in enumerate(pictures.numpy()):
        top, left = number // columns * side + gap, number % columns * side + gap
        page[top:top + picture.shape[0], left:left + picture.shape[1]] = picture
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(page).save(path, quality=88)


@torch.no_grad()
def decode(tokenizer, codes, batch=64):
    """Codes [n, 256] to pictures [n, 128, 128, 3] on the host, in f32 as inference."""
    parts = [to_bytes(tokenizer.decode(tokenizer.look_up(part.view(-1, 16, 16)))).cpu() for part in codes.split(batch)]
    return torch.cat(parts)


class Evaluation:
    """Captions of validation, by kind, and everything that is drawn of them."""

    def __init__(self, corpus, store, tokenizer, sampler, out, guidance):
        self.corpus, self.store, self.tokenizer, self.sampler = corpus, store, tokenizer, sampler
        self.out, self.guidance, self.figures = out, guidance, {}
        self.kinds = corpus.kinds(128)

    def captions(self, count):
        """About `count` pictures of validation, of all kinds in turn."""
        each = -(-count // max(1, len(self.kinds)))
        return torch.cat([indices[:each] for indices in self.kinds.values()])[:count]

    def draw(self, indices, guidance):
        rows = self.corpus.first[indices]
        return self.sampler.draw_all(self.corpus.prompts[rows], self.corpus.lengths[rows], guidance)

    def texts(self, indices):
        return [self.store.meta[i]["captions"][0] for i in indices.tolist()]

    def path(self, name):
        return os.path.join(self.out, name)

    def by_kind(self, values, most):
        """Means of `values` of the first `most` captions of every kind, kind after kind."""
        parts = values.split([len(indices[:most]) for indices in self.kinds.values()])
        return {kind: part.float().mean().item() for kind, part in zip(self.kinds, parts)}

    def guidances(self, deadline, most=64):
        """Entropy by kind and guidance; a sheet whose rows are captions and whose columns are guidances, twice each, and the picture."""
        chosen, columns, table = self.captions(16), [], {}
        every = torch.cat([*(indices[:most] for indices in self.kinds.values()), chosen, chosen])
        for guidance in (3.0, 2.0, 4.0, 1.0, 5.0):
            if columns and time.monotonic() > deadline:
                break
            codes, entropy = self.draw(every, guidance)
            shown = 2 * len(chosen)
            table[str(guidance)] = self.by_kind(entropy[:-shown], most)
            columns.extend(decode(self.tokenizer, codes[-shown:]).split(len(chosen)))
            say(f"guidance {guidance}: entropy " + ", ".join(f"{kind} {nats:.2f}" for kind, nats in table[str(guidance)].items()))
        columns.append(self.store.pixels[chosen].cpu())
        sheet(self.path("guidance.jpg"), torch.stack(columns, 1).flatten(0, 1), len(columns))
        self.figures |= {"entropy_by_guidance": table, "columns_of_guidance_jpg": [f"{g}, two seeds" for g in table] + ["the picture"]}

    def samples(self):
        """64 captions of validation at the default guidance, and four seeds of 16."""
        chosen = self.captions(64)
        codes, entropy = self.draw(chosen, self.guidance)
        sheet(self.path("samples.jpg"), decode(self.tokenizer, codes), 8)
        four = self.captions(16)
        codes, _ = self.draw(four.repeat_interleave(4), self.guidance)
        sheet(self.path("seeds.jpg"), decode(self.tokenizer, codes), 8)
        with open(self.path("captions.txt"), "w") as file:
            file.write("samples.jpg, row by row:\n" + "\n".join(self.texts(chosen)))
            file.write("\n\nseeds.jpg, two captions a row, four seeds each; guidance.jpg, a caption a row:\n" + "\n".join(self.texts(four)) + "\n")

    def diversity(self, most=40):
        """The share of equal codes of two seeds of one caption, by kind."""
        every = torch.cat([indices[:most] for indices in self.kinds.values()])
        first, second = self.draw(every.repeat(2), self.guidance)[0].chunk(2)
        shares = self.by_kind((first == second).float().mean(1), most)
        self.figures["equal_codes_of_two_seeds"] = shares
        say("equal codes of two seeds: " + ", ".join(f"{kind} {share:.3f}" for kind, share in shares.items()))

    def write(self):
        os.makedirs(self.out, exist_ok=True)
        with open(self.path("evaluation.json"), "w") as file:
            json.dump(self.figures, file, indent=1)
