"""The target: captions and codes on the device, Muon and AdamW, a rate that falls to zero at the deadline."""

import os
import time

import numpy as np
import torch

from common import CELLS, CODE_OFFSET, PAD, PICTURE_LENGTH, Average, Retry, compiled, fill, say, shout
from data import Order
from target_model import code_losses, layer_step
from text import LONGEST

# The shares of sequences without a prompt, and of captions that are the fullest one.
DROPPED, FULLEST = 0.1, 0.5
WARM_UP = 0.02
# The share of the time after which no more codes are corrupted.
CLEAN = 0.75
AVERAGE = 0.02
PEAK = 989e12


class Corpus:
    """Codes of the pictures, plain and mirrored, and their captions, all on the device."""

    def __init__(self, store, folder, device):
        self.store, self.folder, self.device = store, folder, device
        capacity = store.capacity
        self.codes = torch.zeros((2, capacity, CELLS), dtype=torch.int16, device=device)
        self.mirrored = torch.zeros(capacity, dtype=torch.bool, device=device)
        self.first = torch.zeros(capacity, dtype=torch.long, device=device)
        self.counts = torch.zeros(capacity, dtype=torch.long, device=device)
        self.prompts = torch.zeros((0, LONGEST), dtype=torch.int16, device=device)
        self.lengths = torch.zeros(0, dtype=torch.long, device=device)
        self.done, self.training = set(), torch.zeros(0, dtype=torch.long, device=device)
        self.validation = []

    def take(self, encode, deadline):
        """Takes up the shards that are there with their captions as ids; `encode(indices, flip)` makes codes. How many were new."""
        new = 0
        with self.store.lock:
            shards = list(self.store.shards)
        for name, first, count in shards:
            path = os.path.join(self.folder, name + ".npz")
            if name in self.done or not os.path.exists(path):
                continue
            if time.monotonic() > deadline:
                break
            text = np.load(path)
            counts = torch.from_numpy(text["counts"].astype(np.int64))[:count]
            starts = torch.cumsum(counts, 0) - counts + len(self.lengths)
            here = torch.arange(first, first + count, device=self.device)
            self.codes[0, first:first + count] = encode(here, False)
            mirror = torch.tensor([bool(self.store.meta[i].get("mirror", False)) for i in range(first, first + count)])
            mirror = mirror.to(self.device)
            if mirror.any():
                self.codes[1, here[mirror]] = encode(here[mirror], True)
            self.mirrored[first:first + count] = mirror
            self.counts[first:first + count], self.first[first:first + count] = counts.to(self.device), starts.to(self.device)
            self.prompts = torch.cat([self.prompts, torch.from_numpy(text["ids"]).to(self.device)])
            self.lengths = torch.cat([self.lengths, torch.from_numpy(text["lengths"].astype(np.int64)).to(self.device)])
            self.done.add(name)
            new += count
        if new:
            with self.store.lock:
                known = np.zeros(self.store.capacity, dtype=bool)
                for name, first, count in shards:
                    known[first:first + count] = name in self.done
                training, validation = (np.array(numbers, dtype=np.int64) for numbers in (self.store.training, self.store.validation))
            self.training = torch.from_numpy(training[known[training]]).to(self.device)
            self.validation = validation[known[validation]].tolist()
        return new

    def kinds(self, most):
        """Of each kind, up to `most` pictures of validation whose codes are there."""
        ready, kinds = set(self.validation), {}
        for kind, numbers in self.store.kinds(most=10 * most).items():
            chosen = [n for n in numbers if n in ready][:most]
            if chosen:
                kinds[kind] = torch.tensor(chosen, device=self.device)
        return kinds


class Batches:
    def __init__(self, corpus, ids, device):
        self.corpus, self.ids, self.device, self.order = corpus, ids, device, Order(device)
        # A multiple of 8, as tensor cores want it.
        self.length = -(-(LONGEST + PICTURE_LENGTH) // 8) * 8

    def sequences(self, prompts, lengths, codes):
        """Prompts [B, P] of `lengths` and codes [B, 256] to tokens [B, T], filled up behind, and rows [B, 256]."""
        at = torch.arange(self.length, device=self.device)[None] - lengths[:, None]
        text = torch.nn.functional.pad(prompts.long(), (0, self.length - prompts.shape[1]), value=PAD)
        picture = self.ids.pictures(codes).gather(1, at.clamp(0, PICTURE_LENGTH - 1))
        tokens = torch.where(at < 0, text, torch.where(at < PICTURE_LENGTH, picture, PAD))
        return tokens, self.ids.places(self.device)[None] + lengths[:, None]

    def prompts_of(self, indices, caption):
        """Prompts and lengths of the pictures under their caption number `caption` [B]; nothing where it is below 0."""
        row = self.corpus.first[indices] + caption.clamp_min(0)
        lengths = torch.where(caption < 0, 0, self.corpus.lengths[row])
        return self.corpus.prompts[row], lengths

    def training(self, count, corrupted):
        c = self.corpus
        indices = self.order.next(count, c.training)
        side = (torch.rand(count, device=self.device) < 0.5) & c.mirrored[indices]
        codes = c.codes[side.long(), indices].long()
        chance = torch.rand((3, count), device=self.device)
        any_one = (chance[2] * c.counts[indices]).long()
        caption = torch.where(chance[0] < DROPPED, -1, torch.where(chance[1] < FULLEST, 0, any_one))
        prompts, lengths = self.prompts_of(indices, caption)
        tokens, rows = self.sequences(prompts, lengths, codes)
        if corrupted > 0:
            # Of a quarter of the pictures none, of every other a share of its own.
            share = corrupted * (4 * torch.rand((count, 1), device=self.device) - 1) / 3
            is_code = (tokens >= CODE_OFFSET) & (tokens < CODE_OFFSET + self.ids.codes)
            wrong = is_code & (torch.rand(tokens.shape, device=self.device) < share)
            random = torch.randint(CODE_OFFSET, CODE_OFFSET + self.ids.codes, tokens.shape, device=self.device)
            tokens = torch.where(wrong, random, tokens)
        return tokens, rows, codes

    def plain(self, indices, shift=0):
        """As they are measured: plain, under the fullest caption, or under that of the picture `shift` places on."""
        others = indices.roll(shift)
        prompts, lengths = self.prompts_of(others, torch.zeros_like(indices))
        codes = self.corpus.codes[0, indices].long()
        return *self.sequences(prompts, lengths, codes), codes


def orthogonal(g, steps=5):
    """Newton-Schulz: g [n, rows <= columns, columns] to about the nearest orthogonal matrices (Jordan 2024)."""
    x = g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        b = -4.7750 * a + 2.0315 * (a @ a)
        x = 3.4445 * x + b @ x
    return x


class Muon:
    """Muon with the step size of Liu et al. 2025; matrices of one shape go together."""

    def __init__(self, parameters, decay=0.1, momentum=0.95, numbers=torch.bfloat16):
        self.decay, self.momentum, self.numbers, self.groups = decay, momentum, numbers, {}
        for p in parameters:
            self.groups.setdefault((min(p.shape), max(p.shape)), []).append(p)
        self.moments = {}

    @torch.no_grad()
    def step(self, rate):
        for (rows, columns), parameters in self.groups.items():
            wide = lambda m: m if m.shape[0] <= m.shape[1] else m.mT  # noqa: E731
            g = torch.stack([wide(p.grad) for p in parameters])
            m = self.moments.setdefault((rows, columns), torch.zeros_like(g))
            m.lerp_(g, 1 - self.momentum)
            update = orthogonal(g.lerp(m, self.momentum).to(self.numbers)).float()
            updates = [u if p.shape[0] <= p.shape[1] else u.mT for p, u in zip(parameters, update)]
            torch._foreach_mul_(parameters, 1 - rate * self.decay)
            torch._foreach_add_(parameters, updates, alpha=-rate * 0.2 * columns**0.5)
            for p in parameters:
                p.grad = None


def measure(decoder, batches, batch, most):
    """Cross-entropy of a code on validation by kind, and what the captions are worth in nats a picture."""
    figures = {}
    for kind, indices in batches.corpus.kinds(most).items():
        means = []
        # The second time under other pictures' captions. Whole batches, so that nothing is compiled anew: what is missing is filled up.
        for shift in (0, max(1, len(indices) // 2)):
            inputs = (fill(x, batch).split(batch) for x in batches.plain(indices, shift))
            losses = [decoder.losses(*part).mean(1).detach() for part in zip(*inputs)]
            means.append(torch.cat(losses)[:len(indices)].mean().item())
        figures[kind] = {"nats_a_code": means[0], "caption_worth": CELLS * (means[1] - means[0]), "pictures": len(indices)}
    return figures


class TargetTrainer:
    def __init__(self, args, decoder, corpus, ids, device):
        self.args, self.decoder, self.corpus, self.device = args, decoder, corpus, device
        self.cuda = device.type == "cuda"
        decoder.step_function = compiled(layer_step, args.compile)
        decoder.loss_function = compiled(code_losses, args.compile)
        self.retry = Retry(args, self.uncompiled)
        self.batches = Batches(corpus, ids, device)
        named = list(decoder.named_parameters())
        self.muon = Muon([p for name, p in named if "_proj" in name], numbers=decoder.numbers)
        self.others = [p for name, p in named if "_proj" not in name]
        self.adam = torch.optim.AdamW(self.others, lr=args.rate, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0, fused=self.cuda)
        self.average = Average(decoder.parameters())
        self.step, self.pictures, self.course, self.share = 0, 0, [], 0.0

    def uncompiled(self):
        self.decoder.step_function, self.decoder.loss_function = layer_step, code_losses

    def state(self):
        moments = {"adam": self.adam.state_dict(), "muon": self.muon.moments, "average": self.average.mean}
        return moments | {"weights": self.decoder.state_dict(), "step": self.step, "share": self.share, "course": self.course, "pictures": self.pictures}

    def load(self, state):
        self.decoder.load_state_dict(state["weights"])
        self.adam.load_state_dict(state["adam"])
        self.muon.moments = {shape: moment.to(self.device) for shape, moment in state["muon"].items()}
        self.average.mean, self.average.steps = [m.to(self.device) for m in state["average"]], state["step"]
        self.step, self.share, self.course, self.pictures = state["step"], state["share"], state["course"], state["pictures"]

    def rate(self, share):
        return min(1.0, share / WARM_UP) * max(0.0, 1.0 - share)

    def one_step(self, share):
        corrupted = self.args.corrupt if share < CLEAN else 0.0
        tokens, rows, labels = self.batches.training(self.args.batch, corrupted)
        loss = self.decoder.losses(tokens, rows, labels).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.others, 1.0, foreach=True)
        rate = self.rate(share)
        for group in self.adam.param_groups:
            group["lr"] = self.args.embed_rate * rate
        self.adam.step()
        self.muon.step(self.args.rate * rate)
        self.adam.zero_grad(set_to_none=True)
        self.step += 1
        self.pictures += len(tokens)
        return loss.detach()

    def run(self, deadline, encode, save):
        """Until the deadline; `encode` makes codes of new pictures, `save` keeps the state of every minute."""
        # All is compiled before the schedule begins; a step at rate zero changes nothing.
        self.retry("batch", lambda: self.one_step(0.0))
        say("target: first step done")
        begun, before = time.monotonic(), self.share
        seconds = max(1e-3, deadline - begun)
        last, counted, said, looked, saved, losses = begun, self.pictures, begun, begun, begun, []
        flops = self.decoder.shape.operations(self.batches.length, CELLS)
        while (now := time.monotonic()) < deadline - 0.3:
            share = self.share = before + (1 - before) * (now - begun) / seconds
            losses.append(self.retry("batch", lambda: self.one_step(share)))  # noqa: B023
            self.average.step(AVERAGE * max(1.0, self.step / max(share, 1e-3)))
            if self.step % 10 == 0 and self.cuda:
                torch.cuda.synchronize()
            now = time.monotonic()
            if now - looked > 5.0 and share < 0.9:
                looked = now
                try:
                    self.corpus.take(encode, min(now + 3.0, deadline))
                except Exception:  # noqa: BLE001 - a damaged shard must not end the run
                    shout("taking up new shards")
            if now - saved > 60.0 and deadline - now > 20.0:
                saved = now
                save(self.state())
            if now - said >= self.args.report:
                speed = (self.pictures - counted) / (now - last)
                train = torch.stack(losses).mean().item()
                kinds = measure(self.decoder, self.batches, self.args.batch, min(64, self.args.batch)) if deadline - now > 10 else {}
                line = ", ".join(f"{kind} {f['nats_a_code']:.3f} (caption {f['caption_worth']:.0f})" for kind, f in kinds.items())
                say(f"target step {self.step} {100 * share:.0f}%: train {train:.3f}; validation {line}; {speed:.0f} pictures/s, "
                    f"MFU {100 * speed * flops / PEAK:.1f} %, {len(self.corpus.training)} pictures")
                self.course.append({"step": self.step, "seconds": now - begun, "train": train, "validation": kinds})
                said = last = time.monotonic()
                counted, losses = self.pictures, []


@torch.no_grad()
def as_written(decoder):
    """Rounds the weights as the file has them: what inference reads."""
    for parameter in decoder.parameters():
        parameter.data.copy_(parameter.data.to(torch.bfloat16).float())
