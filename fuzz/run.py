#!/usr/bin/env python3
"""Runs fuzz targets one after the other: python3 run.py BINARIES CORPUS LOGS [TARGET...]

BINARIES holds what `cargo +nightly fuzz build` made, CORPUS what seed.py made. Each target gets INPUTS inputs or
CPU_SECONDS seconds of processor time, whichever comes first. LOGS/results gets a line per target: its name, the inputs,
the seconds of processor time, and `ok` or the name of the input that is a finding. A target with a line there is left
out. Without TARGETs all are run, the quickest first. Needs nothing but Python 3.
"""
import os, re, resource, subprocess, sys

TARGETS = """answers names listing hawk_config heads_config spatial_config vq_config transformer_config inputs tuner safetensors features
record cleaner pickle text_config vqgan_yaml index journal captions things params tokenizer packed""".split()
INPUTS = int(os.environ.get("INPUTS", 10_000_000))
CPU_SECONDS = int(os.environ.get("CPU_SECONDS", 1800))
# Seconds of a run, after which the processor time is looked at and the target goes on from its corpus.
SLICE = 300


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def longest(corpus):
    """A little more than the longest seed."""
    sizes = [os.path.getsize(os.path.join(corpus, name)) for name in os.listdir(corpus) if name.startswith("seed-")]
    return max(sizes) + 1024


def run(target, binaries, corpus, logs):
    """Runs a target to its end: the inputs, the seconds, and what was found."""
    found, seeds = os.path.join(logs, "found", target), os.path.join(corpus, target)
    for folder in (found, seeds):
        os.makedirs(folder, exist_ok=True)
    inputs, begun = 0, processor_seconds()
    while inputs < INPUTS and processor_seconds() - begun < CPU_SECONDS:
        log = os.path.join(logs, target + ".log")
        # A process may be stopped for minutes by others of this machine, so the limit of an input is generous.
        options = [f"-dict={corpus}/words", f"-runs={INPUTS - inputs}", f"-max_total_time={SLICE}",
                   f"-max_len={longest(seeds)}", "-timeout=900", "-report_slow_units=60", "-rss_limit_mb=4096",
                   f"-artifact_prefix={found}/", "-print_final_stats=1"]
        with open(log, "w") as out:
            code = subprocess.run([os.path.join(binaries, target), seeds, *options], stdout=out, stderr=out).returncode
        with open(log, errors="replace") as written:
            text = written.read()
        units = re.findall(r"stat::number_of_executed_units: *(\d+)", text)
        inputs += int(units[-1]) if units else 0
        if code != 0:
            written = re.findall(r"Test unit written to (\S+)", text)
            return inputs, processor_seconds() - begun, written[-1] if written else f"exit {code}"
    return inputs, processor_seconds() - begun, "ok"


def main(binaries, corpus, logs, targets):
    os.makedirs(logs, exist_ok=True)
    results = os.path.join(logs, "results")
    for target in targets or TARGETS:
        done = open(results).read().split("\n") if os.path.exists(results) else []
        if any(line.startswith(target + " ") for line in done):
            continue
        inputs, seconds, end = run(target, binaries, corpus, logs)
        with open(results, "a") as out:
            out.write(f"{target} {inputs} {seconds:.0f} {end}\n")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:4], sys.argv[4:])
