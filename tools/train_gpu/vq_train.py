"""The first stage: a VQ tokenizer. An autoencoder on noisy latents of length one, then k-means, then codes, at last the decoder alone."""

import math
import time

import torch
import torch.nn.functional as F

from common import Average, Retry, compiled, fill, say
from data import Order
from vq_model import Norm, Tokenizer, norm_act, unit

NOISE = 0.1
COMMITMENT = 0.25
# Shares of the time after which the codebook comes, codes are no longer revived, and encoder and codebook stand still.
CODEBOOK, REVIVED, FROZEN = 0.22, 0.65, 0.8
DECAY = 0.99


def reconstruction(made, wanted):
    """Squared errors, absolute errors on a Laplacian pyramid, and of the differences between neighbours."""
    error = made - wanted
    loss = 4.0 * error.square().mean()
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    loss = loss + 0.5 * (across.abs().mean() + down.abs().mean())
    for _ in range(3):
        coarse = F.avg_pool2d(error, 2)
        loss = loss + 0.5 * (error - F.interpolate(coarse, scale_factor=2.0, mode="nearest")).abs().mean()
        error = coarse
    return loss + error.abs().mean()


@torch.no_grad()
def k_means(latents, codes, rounds, chunk=65536):
    """Spherical k-means over latents [N, E] of length one."""
    pick = lambda count: latents[torch.randint(len(latents), (count,), device=latents.device)]  # noqa: E731
    table = pick(codes)
    for _ in range(rounds):
        sums, counts = torch.zeros_like(table), torch.zeros(codes, device=latents.device)
        for part in latents.split(chunk):
            chosen = (part @ table.t()).argmax(1)
            sums.index_add_(0, chosen, part)
            counts += torch.bincount(chosen, minlength=codes)
        table = torch.where((counts > 0)[:, None], unit(sums), pick(codes))
    return table


class Codes:
    """The codebook as running means of the latents that are nearest to each code."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.sums = tokenizer.table.detach().clone()
        self.counts = torch.ones(len(self.sums), device=self.sums.device)
        self.used = torch.zeros_like(self.counts)

    def begin(self, table, cells):
        self.tokenizer.table.data.copy_(table)
        self.counts.fill_(cells / len(table))
        self.sums.copy_(table * self.counts[:, None])

    @torch.no_grad()
    def step(self, latents, codes):
        flat = latents.detach().permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        counts = torch.bincount(codes.flatten(), minlength=len(self.counts)).float()
        sums = torch.zeros_like(self.sums).index_add_(0, codes.flatten(), flat)
        self.counts.lerp_(counts, 1 - DECAY)
        self.sums.lerp_(sums, 1 - DECAY)
        self.used += counts
        self.tokenizer.table.data.copy_(unit(self.sums))

    @torch.no_grad()
    def revive(self, latents):
        """Moves codes that were hardly used onto random latents."""
        flat = latents.detach().permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        mean = self.counts.mean()
        dead = self.counts < 0.03 * mean
        fresh = flat[torch.randint(len(flat), (len(dead),), device=flat.device)]
        self.sums.copy_(torch.where(dead[:, None], fresh * mean * 0.3, self.sums))
        self.counts.copy_(torch.where(dead, mean * 0.3, self.counts))
        self.tokenizer.table.data.copy_(unit(self.sums))
        used = int((self.used > 0).sum())
        self.used.zero_()
        return used


class VqTrainer:
    def __init__(self, args, store, device):
        self.args, self.store, self.device, self.cuda = args, store, device, device.type == "cuda"
        torch.manual_seed(args.seed)
        self.tokenizer = Tokenizer(args.vq_channels, args.vq_multipliers, args.vq_latent, args.codes).to(device)
        if self.cuda:
            self.tokenizer = self.tokenizer.to(memory_format=torch.channels_last)
        Norm.function = staticmethod(compiled(norm_act, args.compile))
        self.loss = compiled(reconstruction, args.compile)
        self.retry = Retry(args, self.uncompiled)
        self.parameters = [p for p in self.tokenizer.parameters() if p.requires_grad]
        options = {"betas": (0.9, 0.99), "weight_decay": 1e-4, "eps": 1e-8, "fused": self.cuda}
        self.optimizer = torch.optim.AdamW(self.parameters, lr=args.vq_rate, **options)
        self.average = Average(self.parameters)
        self.codes, self.order = Codes(self.tokenizer), Order(device)
        self.coded = self.frozen = False
        self.step, self.pictures, self.squares = 0, 0, []

    def uncompiled(self):
        Norm.function, self.loss = staticmethod(norm_act), reconstruction

    def cast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda)

    def batch(self):
        indices = self.order.next(self.args.vq_batch, self.training)
        colours = self.store.colours(indices, torch.rand(len(indices), device=self.device) < 0.5)
        return colours.contiguous(memory_format=torch.channels_last) if self.cuda else colours

    def rate(self, share):
        warm = min(1.0, share / 0.02)
        return self.args.vq_rate * warm * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, share))))

    def one_step(self, share):
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(share)
        colours = self.batch()
        with self.cast():
            latents = self.tokenizer.encode(colours)
            if self.frozen:
                # Not under no_grad, for which every norm would be compiled once more.
                latents = latents.detach()
            extra = 0.0
            if self.coded:
                codes = self.tokenizer.nearest(latents)
                chosen = self.tokenizer.look_up(codes)
                if not self.frozen:
                    extra = COMMITMENT * (latents - chosen).square().sum(1).mean()
                    self.codes.step(latents, codes)
                inner = latents + (chosen - latents).detach()
            else:
                inner = unit(latents + NOISE * torch.randn_like(latents))
            made = self.tokenizer.decode(inner)
        error = self.loss(made, colours)
        (error + extra).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.pictures += len(colours)
        self.average.step(min(1000.0, 0.1 * self.step))
        self.squares.append((made.detach() - colours).square().mean() / 4)
        return latents

    def begin_codes(self):
        latents, width = [], self.tokenizer.sizes["width"]
        with self.cast():
            for _ in range(max(1, self.args.k_means_pictures // self.args.vq_batch)):
                # With gradients, as in training: without them every norm would be compiled once more.
                latents.append(self.tokenizer.encode(self.batch()).detach().permute(0, 2, 3, 1).reshape(-1, width))
        table = k_means(torch.cat(latents), self.tokenizer.sizes["codes"], 15)
        self.codes.begin(table, self.args.vq_batch * 256)
        self.coded = True

    def freeze(self):
        """From here on the weights are the mean ones, and a picture's codes stay what they are."""
        self.average.swap()
        self.average = Average(self.parameters)
        self.average.steps = 100
        self.frozen = True

    def run(self, deadline):
        """Until the deadline; the weights are then their mean."""
        # The sizes are the same in every step here, and here alone.
        torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, 5
        self.training = self.store.indices("training")
        # All is compiled before the schedule begins; a step at rate zero changes nothing.
        self.retry("vq_batch", lambda: self.one_step(0.0))
        say(f"vq: first step done, {self.store.count} pictures there")
        begun = time.monotonic()
        seconds = max(1e-3, deadline - begun)
        last, counted, said = begun, self.pictures, begun
        while (now := time.monotonic()) < deadline - 0.5:
            share = (now - begun) / seconds
            if not self.coded and share >= CODEBOOK:
                self.begin_codes()
            if not self.frozen and self.coded and share >= FROZEN:
                self.freeze()
            latents = self.retry("vq_batch", lambda: self.one_step(share))  # noqa: B023
            if self.coded and not self.frozen and share < REVIVED and self.step % 50 == 0:
                self.last_used = self.codes.revive(latents)
            if self.step % 20 == 0:
                if self.cuda:
                    torch.cuda.synchronize()
                if len(self.training) != len(self.store.training):
                    self.training = self.store.indices("training")
            if time.monotonic() - said >= self.args.report:
                said = time.monotonic()
                mean = torch.stack(self.squares).mean().item()
                rate = (self.pictures - counted) / (said - last)
                say(f"vq step {self.step} {100 * share:.0f}%: train PSNR {-10 * math.log10(max(mean, 1e-9)):.2f} dB, "
                    f"{rate:.0f} pictures/s, {self.store.count} pictures there, codes used {getattr(self, 'last_used', '-')}")
                last, counted, self.squares = said, self.pictures, []
        if not self.coded:
            self.begin_codes()
        if not self.frozen:
            self.freeze()
        self.average.swap()
        self.uncompiled()
        torch.backends.cudnn.benchmark = False
        return self.tokenizer


@torch.no_grad()
def as_written(tokenizer):
    """Rounds the weights as the file has them: what inference reads."""
    tokenizer.table.data.copy_(unit(tokenizer.table))
    for parameter in tokenizer.parameters():
        parameter.data.copy_(parameter.data.to(torch.bfloat16).float())


@torch.no_grad()
def encode(tokenizer, store, indices, flip, batch, cast):
    """Codes [n, 256] int16 of the pictures `indices`."""
    out = []
    # Whole batches, so that convolutions are planned for one size alone.
    for part in fill(indices, batch).split(batch):
        colours = store.colours(part, torch.full((len(part),), flip, device=part.device) if flip else None)
        with cast():
            latents = tokenizer.encode(colours.contiguous(memory_format=torch.channels_last))
        out.append(tokenizer.nearest(latents).flatten(1).to(torch.int16))
    return torch.cat(out)[:len(indices)]


@torch.no_grad()
def measure(tokenizer, store, most=512, batch=64):
    """PSNR by kind in f32, as inference computes it, and pairs for a sheet: figures, [n, 2, 128, 128, 3] bytes."""
    figures, pairs, used = {}, [], set()
    for kind, numbers in store.kinds(most=most).items():
        errors = []
        for part in torch.tensor(numbers, device=store.device).split(batch):
            colours = store.colours(part)
            codes = tokenizer.nearest(tokenizer.encode(colours))
            made = to_bytes(tokenizer.decode(tokenizer.look_up(codes)))
            wanted = store.pixels[part]
            errors.append((made.float() - wanted.float()).square().mean((1, 2, 3)) / 255.0**2)
            used.update(codes.flatten().tolist())
            if sum(len(e) for e in errors) <= batch:
                pairs.append(torch.stack([wanted, made], 1)[:16].cpu())
        psnr = (-10 * torch.cat(errors).log10()).clamp_max(60.0)
        figures[kind] = {"pictures": len(psnr), "psnr_db": psnr.mean().item()}
    return {"kinds": figures, "used_codes": len(used)}, torch.cat(pairs)


def to_bytes(colours):
    """[B, 3, H, W] in -1..=1 to levels [B, H, W, 3], rounded down as hawk does."""
    return ((colours.clamp(-1, 1) + 1) * 127.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
