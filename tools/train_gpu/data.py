"""Shards of pictures, read as a painter makes them, kept on the device as bytes."""

import glob
import json
import os
import threading
import time

import numpy as np
import torch

from common import PIXELS, say, shout

BYTES = PIXELS * PIXELS * 3


class Store:
    """All pictures so far. A thread takes up new shards; what is below `count` never changes."""

    def __init__(self, folder, device, capacity):
        self.folder, self.device, self.capacity = folder, device, capacity
        self.pixels = torch.empty((capacity, PIXELS, PIXELS, 3), dtype=torch.uint8, device=device)
        self.meta, self.shards, self.count = [], [], 0
        self.training, self.validation = [], []
        self.seen, self.sizes, self.full = set(), {}, False
        self.lock = threading.Lock()
        self.stopped = False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.stopped and not self.full:
            try:
                if not self._look():
                    time.sleep(0.5)
            except Exception:  # noqa: BLE001 - a damaged shard must not end the run
                shout("reading shards")
                time.sleep(1.0)

    def _look(self):
        """Takes up every shard that is whole and has not grown since the last look."""
        found = False
        for path in sorted(glob.glob(os.path.join(self.folder, "shard-*.rgb"))):
            if path in self.seen or self.full or not os.path.exists(path[:-4] + ".jsonl"):
                continue
            size = (os.path.getsize(path), os.path.getsize(path[:-4] + ".jsonl"))
            if self.sizes.get(path) != size or size[0] % BYTES:
                self.sizes[path] = size
                continue
            with open(path[:-4] + ".jsonl") as file:
                lines = [line for line in file.read().split("\n") if line.strip()]
            if len(lines) * BYTES != size[0]:
                continue
            self.seen.add(path)
            self._take(path, [json.loads(line) for line in lines])
            found = True
        return found

    def _take(self, path, meta):
        room = self.capacity - self.count
        if len(meta) > room:
            self.full = True
            say(f"the store is full: {self.capacity} pictures")
            meta = meta[:room]
        if not meta:
            return
        pixels = np.fromfile(path, dtype=np.uint8, count=len(meta) * BYTES).reshape(-1, PIXELS, PIXELS, 3)
        first = self.count
        self.pixels[first:first + len(meta)].copy_(torch.from_numpy(pixels))
        with self.lock:
            self.meta.extend(meta)
            for number, entry in enumerate(meta, first):
                held_out = entry.get("split", "train") != "train"
                (self.validation if held_out else self.training).append(number)
            self.shards.append((os.path.basename(path)[6:-4], first, len(meta)))
            self.count += len(meta)

    def wait(self, pictures, seconds):
        """Until there are so many pictures to learn from; false where the time is over."""
        end = time.monotonic() + seconds
        while len(self.training) < pictures and time.monotonic() < end and not self.full:
            time.sleep(0.2)
        return len(self.training) >= pictures

    def indices(self, split):
        """Those of training or validation so far, on the device."""
        with self.lock:
            return torch.tensor(self.training if split == "training" else self.validation, device=self.device)

    def kinds(self, split="validation", most=256):
        """Of each kind, up to `most` pictures, evenly taken."""
        with self.lock:
            chosen = list(self.training if split == "training" else self.validation)
        by_kind = {}
        for number in chosen:
            by_kind.setdefault(self.meta[number].get("kind", "any"), []).append(number)
        return {kind: spread(numbers, most) for kind, numbers in sorted(by_kind.items())}

    def colours(self, indices, flip=None):
        """Pictures as [B, 3, 128, 128] in -1..=1, channels last; those where `flip` is true are mirrored."""
        pixels = self.pixels[indices]
        if flip is not None:
            pixels = torch.where(flip.view(-1, 1, 1, 1), pixels.flip(2), pixels)
        return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)

    def stop(self):
        self.stopped = True


def spread(numbers, most):
    """At most so many, evenly taken."""
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[i * len(numbers) // most] for i in range(most)]


class Order:
    """Pictures in random order, every one once before any comes again; new ones join when they are there."""

    def __init__(self, device):
        self.device, self.all, self.at, self.known = device, None, 0, 0

    def next(self, count, indices):
        """`indices` are all there are now, [N]."""
        if self.all is None or len(indices) != self.known or self.at + count > len(self.all):
            # What has not been shown of this round stands among the rest again.
            self.known = len(indices)
            rounds = -(-count // max(1, self.known))
            self.all = torch.cat([indices[torch.randperm(self.known, device=self.device)] for _ in range(rounds)])
            self.at = 0
        self.at += count
        return self.all[self.at - count:self.at]
