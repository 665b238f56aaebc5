"""Trains hawk's built-in model from shards of pictures until a given time: tokenizer, target, draft heads. README.md says how."""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import torch
import torch._dynamo

import evaluate
import heads as draft
import pack
import vq_train
from common import Ids, save_state, say, shout, write_json, write_weights
from data import Store, spread
from sample import Sampler
from target_model import Decoder, Shape
from target_train import Batches, Corpus, TargetTrainer, as_written, measure
from text import LONGEST
from vq_model import Tokenizer

# Shares of the time: the tokenizer, codes and captions, the target, what is drawn for the eye, heads.
SHARES = {"vq": 0.28, "encode": 0.03, "target": 0.53, "evaluate": 0.055, "heads": 0.085}


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--shards", help="folder that a painter fills with shard-NNNNN.rgb and .jsonl")
    p.add_argument("--out", help="folder for what goes home")
    p.add_argument("--work", default="/tmp/train_gpu", help="folder for states, on the local disk")
    p.add_argument("--until", type=float, help="when all must be written, in seconds since 1970")
    p.add_argument("--resume", action="store_true", help="goes on from the states in --work")
    p.add_argument("--smoke", action="store_true", help="all stages with tiny settings on noise; the other settings are left out")
    p.add_argument("--warm", choices=["vq", "target"], help="compiles a stage's step on noise, for the compiler's cache, and ends")
    p.add_argument("--seconds", default="", help="of single stages, such as vq=170,target=300; the others share what is left")
    p.add_argument("--no-compile", dest="compile", action="store_false")
    p.add_argument("--capacity", type=int, default=330_000, help="most pictures")
    p.add_argument("--first", type=int, default=4000, help="pictures that must be there before the tokenizer begins")
    p.add_argument("--words-from", type=int, default=40_000, help="pictures whose captions byte pairs are learnt from")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--report", type=float, default=15.0, help="seconds between lines")
    p.add_argument("--codes", type=int, default=4096)
    p.add_argument("--vq-channels", type=int, default=16)
    p.add_argument("--vq-multipliers", type=lambda text: [int(x) for x in text.split(",")], default=[1, 2, 4, 8])
    p.add_argument("--vq-latent", type=int, default=64)
    p.add_argument("--vq-batch", type=int, default=128)
    p.add_argument("--vq-rate", type=float, default=1.5e-3)
    p.add_argument("--k-means-pictures", type=int, default=4096)
    p.add_argument("--width", type=int, default=384)
    p.add_argument("--layers", type=int, default=8)
    p.add_argument("--heads", type=int, default=6)
    p.add_argument("--inner", type=int, default=992)
    p.add_argument("--words", type=int, default=1024)
    p.add_argument("--batch", type=int, default=256, help="sequences of a step")
    p.add_argument("--rate", type=float, default=3e-3, help="of Muon, in the measure of AdamW")
    p.add_argument("--embed-rate", type=float, default=2e-3, help="of AdamW: embedding and norms")
    p.add_argument("--corrupt", type=float, default=0.1, help="largest share of codes that are read as random ones")
    p.add_argument("--guidance", type=float, default=3.0, help="of hawk.json and of what heads learn")
    p.add_argument("--samples", type=int, default=20_000, help="images that heads learn from")
    p.add_argument("--sampler-rows", type=int, default=2048, help="captions that are drawn at once")
    p.add_argument("--heads-batch", type=int, default=32)
    p.add_argument("--name", default="built-in scenes-v2")
    return p.parse_args()


def tiny(args):
    """The settings of a smoke test, and shards of noise for it."""
    args.work = tempfile.mkdtemp(prefix="smoke")
    args.shards, args.out = os.path.join(args.work, "shards"), os.path.join(args.work, "out")
    os.makedirs(args.shards)
    random = np.random.default_rng(0)
    for shard in range(2):
        coarse = random.integers(0, 255, (48, 4, 4, 3), dtype=np.uint8)
        coarse.repeat(32, 1).repeat(32, 2).tofile(os.path.join(args.shards, f"shard-{shard:05}.rgb"))
        with open(os.path.join(args.shards, f"shard-{shard:05}.jsonl"), "w") as file:
            for i in range(48):
                kind, split = ("landscape", "thing")[i % 2], "validation" if i % 4 < 2 else "train"
                file.write(f'{{"captions": ["a {kind} number {i}", "{kind}"], "kind": "{kind}", "split": "{split}", "mirror": true}}\n')
    args.capacity, args.first, args.words_from, args.words, args.compile = 96, 48, 96, 300, False
    args.vq_channels, args.vq_multipliers, args.vq_latent, args.vq_batch, args.k_means_pictures = 8, [1, 1, 1, 2], 16, 8, 16
    args.width, args.layers, args.heads, args.inner, args.batch, args.codes = 128, 2, 2, 128, 16, 64
    args.samples, args.sampler_rows, args.heads_batch, args.report = 32, 32, 4, 1.0
    args.seconds = "vq=4,target=3,evaluate=3,heads=4"
    args.until = time.time() + (60 if torch.cuda.is_available() else 240)
    return args


class Run:
    def __init__(self, args):
        self.args, self.device = args, torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.cuda = self.device.type == "cuda"
        self.ids, self.model, self.text = Ids(args.codes), os.path.join(args.work, "model"), os.path.join(args.work, "text")
        self.sheets = os.path.join(args.work, "home")
        self.until = time.monotonic() + args.until - time.time()
        self.failed = []
        torch.set_float32_matmul_precision("high")
        if self.cuda:
            # It makes a plan for every new length, which sampling has hundreds of.
            torch.backends.cuda.enable_cudnn_sdp(False)
            say(torch.cuda.get_device_name(), f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB, torch {torch.__version__}")
        torch._dynamo.config.recompile_limit = 64
        os.makedirs(args.work, exist_ok=True)
        os.makedirs(args.out, exist_ok=True)
        self.store = Store(args.shards, self.device, args.capacity)
        self.begin_text(args.words_from, 120)
        self.plan()
        self.packing = threading.Lock()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """Ends the run in time, whatever hangs: with what the stages so far have written."""
        time.sleep(max(0.0, self.until - time.monotonic() - 1.0))
        say("the time is over")
        self.pack()
        os._exit(4)

    def begin_text(self, pictures, seconds):
        stop = os.path.join(self.text, "stop")
        if os.path.exists(stop):
            os.remove(stop)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "text.py")
        values = [self.args.words, pictures, seconds, self.args.codes]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": "4"}
        self.texts = subprocess.Popen([sys.executable, script, self.args.shards, self.text, *map(str, values)], env=environment)

    def plan(self):
        """Seconds of the stages."""
        fixed = dict(part.split("=") for part in self.args.seconds.split(",") if part)
        done = [name for name, file in (("vq", "vq.pt"), ("target", "target-done.pt")) if self.args.resume and os.path.exists(self.path(file))]
        self.seconds = {name: float(value) for name, value in fixed.items()}
        rest = {name: share for name, share in SHARES.items() if name not in fixed and name not in done}
        left = max(0.0, self.until - time.monotonic() - sum(self.seconds.values())) * (0.98 if rest else 0)
        total = sum(SHARES[name] for name in rest) + 0.02
        self.seconds |= {name: left * share / total for name, share in rest.items()}
        say("seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in self.seconds.items()), f"of {self.until - time.monotonic():.0f}")

    def path(self, name):
        return os.path.join(self.args.work, name)

    def deadline(self, stage, after=()):
        """A stage's end: its seconds from now, but never into those of the stages after it."""
        reserved = sum(self.seconds.get(name, 0.0) for name in after)
        return min(time.monotonic() + self.seconds.get(stage, 0.0), self.until - reserved - 3.0)

    def cast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda)

    def stage(self, name, needed=False):
        """Runs one stage; what it raises is printed, and only a stage that the others need ends the run."""
        begun = time.monotonic()
        try:
            getattr(self, name)()
        except Exception:  # noqa: BLE001 - what earlier stages made must be written
            shout(f"stage {name}")
            self.failed.append(name)
            if needed:
                raise
        if self.cuda:
            torch.cuda.empty_cache()
        say(f"stage {name}: {time.monotonic() - begun:.1f} s")

    def all(self):
        try:
            self.stage("vq", needed=True)
            self.pack()
            self.stage("encode", needed=True)
            self.stage("target", needed=True)
            self.pack()
            self.stage("evaluate")
            self.pack()
            self.stage("heads")
        finally:
            self.pack()
            self.store.stop()
            os.makedirs(self.text, exist_ok=True)
            with open(os.path.join(self.text, "stop"), "w"):
                pass
            self.texts.wait(timeout=10)
        return not self.failed

    def vq(self):
        args, state = self.args, self.path("vq.pt")
        self.tokenizer = Tokenizer(args.vq_channels, args.vq_multipliers, args.vq_latent, args.codes).to(self.device)
        if args.resume and os.path.exists(state):
            self.tokenizer.load_state_dict(torch.load(state, map_location=self.device))
        else:
            if not self.store.wait(args.first, 120):
                raise RuntimeError(f"only {self.store.count} pictures in {args.shards}")
            say(f"{self.store.count} pictures there, {sum(p.numel() for p in self.tokenizer.parameters()) / 1e6:.2f} M parameters")
            trainer = vq_train.VqTrainer(args, self.store, self.device)
            self.tokenizer = trainer.run(self.deadline("vq", ("encode", "target", "evaluate", "heads")))
            vq_train.as_written(self.tokenizer)
            save_state(state, self.tokenizer.state_dict())
            del trainer
        self.tokenizer.requires_grad_(False)
        if self.cuda:
            self.tokenizer = self.tokenizer.to(memory_format=torch.channels_last)
        write_weights(os.path.join(self.model, "vq", "model.safetensors"), self.tokenizer.state_dict())
        write_json(os.path.join(self.model, "vq", "config.json"), self.tokenizer.config())
        if not (args.resume and os.path.exists(os.path.join(self.model, "vq", "figures.json"))):
            self.measure_vq()

    def measure_vq(self):
        try:
            figures, pairs = vq_train.measure(self.tokenizer, self.store)
            say("vq validation: " + ", ".join(f"{kind} {f['psnr_db']:.2f} dB ({f['pictures']})" for kind, f in figures["kinds"].items()),
                f"codes used {figures['used_codes']}")
            write_json(os.path.join(self.model, "vq", "figures.json"), figures)
            evaluate.sheet(os.path.join(self.sheets, "vq.jpg"), pairs.flatten(0, 1), 8)
        except Exception:  # noqa: BLE001 - the tokenizer is there without its figures
            shout("measuring the tokenizer")

    def encoder(self):
        batch = 512 if self.cuda else 16
        return lambda indices, flip: vq_train.encode(self.tokenizer, self.store, indices, flip, batch, self.cast)

    def encode(self):
        """Codes and captions of the pictures that are there; those that come later are taken up while the target trains."""
        self.corpus = Corpus(self.store, self.text, self.device)
        deadline = time.monotonic() + max(5.0, self.seconds.get("encode", 10.0))
        while True:
            new = self.corpus.take(self.encoder(), deadline)
            enough = len(self.corpus.training) >= 0.9 * len(self.store.training) and self.corpus.validation
            if (enough and not new) or time.monotonic() > deadline:
                if len(self.corpus.training) >= min(self.args.first, 100) or time.monotonic() > deadline + 60:
                    break
            if self.texts.poll() is not None:
                say("the process of the captions ended; another one")
                self.begin_text(0, 0)
            time.sleep(0.3)
        say(f"{len(self.corpus.training)} of {len(self.store.training)} pictures have codes and captions, {len(self.corpus.lengths)} captions, "
            f"mirrored {int(self.corpus.mirrored.sum())}, longest prompt {int(self.corpus.lengths.max())}, mean {self.corpus.lengths.float().mean():.1f}")

    def target(self):
        args = self.args
        from tokenizers import Tokenizer as Words

        tokenizer_file = os.path.join(self.text, "tokenizer.json")
        vocabulary = Words.from_file(tokenizer_file).get_vocab_size()
        torch.manual_seed(args.seed + 1)
        shape = Shape(vocabulary, args.width, args.layers, args.heads, args.inner, args.codes)
        numbers = torch.bfloat16 if self.cuda else torch.float32
        self.decoder = Decoder(shape, numbers).to(self.device)
        say(f"target: {sum(p.numel() for p in self.decoder.parameters()) / 1e6:.2f} M parameters, vocabulary {vocabulary}")
        done, state = self.path("target-done.pt"), self.path("target.pt")
        course = []
        if args.resume and os.path.exists(done):
            self.decoder.load_state_dict(torch.load(done, map_location=self.device))
        else:
            trainer = TargetTrainer(args, self.decoder, self.corpus, self.ids, self.device)
            if args.resume and os.path.exists(state):
                trainer.load(torch.load(state, map_location=self.device, weights_only=False))
            try:
                trainer.run(self.deadline("target", ("evaluate", "heads")), self.encoder(), lambda s: save_state(state, s))
            except Exception:  # noqa: BLE001 - what was learnt so far is a model
                shout("training the target; the weights so far are taken")
                self.failed.append("target")
                if trainer.step < 100:
                    raise
            trainer.average.swap()
            trainer.uncompiled()
            say(f"target: {trainer.step} steps of {args.batch}, {trainer.pictures} pictures shown, "
                f"{trainer.pictures / max(1, len(self.corpus.training)):.1f} passes")
            as_written(self.decoder)
            save_state(done, self.decoder.state_dict())
            course = trainer.course
        self.decoder.requires_grad_(False)
        self.write_model(tokenizer_file, course)

    def write_model(self, tokenizer_file, course):
        write_weights(os.path.join(self.model, "model.safetensors"), self.decoder.state_dict())
        write_json(os.path.join(self.model, "config.json"), self.decoder.shape.config())
        write_json(os.path.join(self.model, "hawk.json"), self.ids.hawk_json(self.args.guidance))
        with open(tokenizer_file) as source, open(os.path.join(self.model, "tokenizer.json"), "w") as to:
            to.write(source.read())
        if course:
            write_json(os.path.join(self.model, "course.json"), course)

    def sampler(self):
        return Sampler(self.decoder, self.ids, self.args.sampler_rows, LONGEST)

    def evaluate(self):
        deadline, args = self.deadline("evaluate", ("heads",)), self.args
        with torch.no_grad():
            losses = measure(self.decoder, Batches(self.corpus, self.ids, self.device), args.batch, 512 if self.cuda else 32)
        say("validation: " + ", ".join(f"{kind} {f['nats_a_code']:.3f} (caption {f['caption_worth']:.0f})" for kind, f in losses.items()))
        write_json(os.path.join(self.model, "losses.json"), losses)
        evaluation = evaluate.Evaluation(self.corpus, self.store, self.tokenizer, self.sampler(), self.sheets, args.guidance)
        evaluation.samples()
        for part in (evaluation.diversity, lambda: evaluation.guidances(deadline)):
            if time.monotonic() < deadline:
                part()
        evaluation.write()

    def heads(self):
        """A third of the time for drawing, the rest for learning; every sixteenth image is kept for figures."""
        args, end = self.args, self.deadline("heads")
        begun = time.monotonic()
        sampler, codes, chosen = self.sampler(), [], []
        pool = self.corpus.training[torch.randperm(len(self.corpus.training), device=self.device)[:args.samples]]
        validation = torch.tensor(spread(self.corpus.validation, max(args.samples // 16, 16)), device=self.device)
        for part in [*validation.split(args.sampler_rows), *pool.split(args.sampler_rows)]:
            if len(codes) > 1 and time.monotonic() - begun > (end - begun) / 3:
                break
            rows = self.corpus.first[part] + (torch.rand(len(part), device=self.device) * self.corpus.counts[part]).long()
            codes.append(sampler.draw_all(self.corpus.prompts[rows], self.corpus.lengths[rows], args.guidance)[0])
            chosen.append(rows)
        del sampler
        codes, rows = torch.cat(codes), torch.cat(chosen)
        say(f"{len(codes)} images drawn in {time.monotonic() - begun:.1f} s")
        observed = draft.Observed(self.decoder, Batches(self.corpus, self.ids, self.device), self.corpus.prompts[rows], self.corpus.lengths[rows], codes, args.guidance)
        heads, every = draft.Heads(args.width, self.device), torch.arange(len(codes), device=self.device)
        measuring = min(8.0, 0.15 * (end - begun))
        draft.train(heads, observed, every[len(validation):], end - measuring - 1.0, args.heads_batch)
        for parameter in heads.parameters():
            parameter.data.copy_(parameter.data.to(torch.bfloat16).float())
        figures, entropy = draft.measure(heads, observed, every[:len(validation)], end - 1.0)
        say(f"heads, the target's entropy {entropy:.3f}: " + ", ".join(
            f"{name} {f['cross_entropy']:.2f} nats, overlap {f['overlap']:.3f}, best right {f['replay_match_by_rank'][0]:.3f}" for name, f in figures.items()))
        folder = os.path.join(self.model, "heads")
        write_weights(os.path.join(folder, "model.safetensors"), heads.tensors())
        write_json(os.path.join(folder, "config.json"), draft.config(args.width, "0" * 64, args.name, figures))

    def pack(self):
        with self.packing:
            self.pack_parts()

    def pack_parts(self):
        try:
            if os.path.exists(os.path.join(self.model, "model.safetensors")):
                pack.renew_digest(self.model)
            home = self.path("home")
            os.makedirs(home, exist_ok=True)
            link = os.path.join(home, "model")
            if not os.path.exists(link) and os.path.exists(self.model):
                os.symlink(os.path.abspath(self.model), link)
            size, parts = pack.write_parts(home, self.args.out, "result")
            say(f"{self.args.out}: {size / 1e6:.1f} MB in {parts} parts")
        except Exception:  # noqa: BLE001 - the last words must be heard
            shout("packing")


def warm(args):
    """Two steps of one stage as it will run, so that the compiler's cache holds it; prints how long each took."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch._dynamo.config.recompile_limit = 64
    count = 2 * max(args.batch, args.vq_batch)
    if args.warm == "vq":
        store = Store(tempfile.mkdtemp(prefix="warm"), device, count)
        store.stop()
        store.training = list(range(count))
        trainer = vq_train.VqTrainer(args, store, device)
        trainer.training = store.indices("training")
    else:
        corpus = Corpus(Store(tempfile.mkdtemp(prefix="warm"), device, count), "", device)
        corpus.store.stop()
        corpus.training = torch.arange(count, device=device)
        corpus.counts += 1
        corpus.prompts, corpus.lengths = torch.zeros((count, LONGEST), dtype=torch.int16, device=device), corpus.counts * 9
        ids = Ids(args.codes)
        shape = Shape(ids.text + args.words, args.width, args.layers, args.heads, args.inner, args.codes)
        decoder = Decoder(shape, torch.bfloat16 if device.type == "cuda" else torch.float32).to(device)
        trainer = TargetTrainer(args, decoder, corpus, ids, device)
    for number in range(4):
        begun = time.monotonic()
        trainer.one_step(0.0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        say(f"warm {args.warm}: step {number} took {time.monotonic() - begun:.2f} s")
    if device.type == "cuda":
        say(f"warm {args.warm}: at most {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


def main():
    args = arguments()
    if args.warm:
        return warm(args)
    if args.smoke:
        args = tiny(args)
    run = Run(args)
    good = run.all()
    say("done" if good else f"done, but these failed: {run.failed}")
    sys.exit(0 if good else 3)


if __name__ == "__main__":
    main()
