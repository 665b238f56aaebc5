#!/usr/bin/env bash
# Measures a GPU in at most 8 minutes: equality and logits, times of passes, comparisons of decoders on
# the built-in model and on grown ones, PyTorch on the same weights. Writes JSON and a summary into a folder.
#
#   tools/device_run.sh [--device cuda|vulkan|metal] [--out DIR] [--hawk FILE] [--tests DIR] [--small]
#
# --hawk   the program, built with the cargo feature of the device on a machine that need not have one:
#              cargo build --release -p hawk-cli --features wgpu     # vulkan, metal
#              cargo build --release -p hawk-cli --features cuda
#              tools/cuda_without_llvm.sh                            # cuda with NVRTC, without a network
# --tests  folder of the test programs of hawk-gpu (cargo test --no-run) as `ranking` (those of the library), `seam`, `vq`
#          and `equality`; without it equality is checked by the comparisons alone, which draw nothing that differs from
#          plain decoding
# --small  for a try on a device in software: a tiny model alone, one image
#
# Each part has a time limit; what is over it is named in the summary, and the run goes on.
set -uo pipefail
cd "$(dirname "$0")/.."
device=vulkan out=device-run hawk=target/release/hawk tests="" small=""
while [ $# -gt 0 ]; do
    case "$1" in
    --device) device="$2" && shift 2 ;;
    --out) out="$2" && shift 2 ;;
    --hawk) hawk="$2" && shift 2 ;;
    --tests) tests="$2" && shift 2 ;;
    --small) small=1 && shift ;;
    *) sed -n '2,18p' "$0" && exit 2 ;;
    esac
done
mkdir -p "$out"
summary="$out/summary.txt"
: >"$summary"
begin=$SECONDS
most=480

# note LINE: into the summary and onto the screen.
note() { echo "$*" | tee -a "$summary"; }

# part NAME SECONDS COMMAND...: runs a part within its limit and what is left of the whole.
part() {
    local name="$1" limit="$2" left=$((most - (SECONDS - begin))) start=$SECONDS
    shift 2
    if [ "$left" -le 5 ]; then
        note "$name: NOT RUN, the time is over"
        return 1
    fi
    [ "$limit" -lt "$left" ] || limit="$left"
    if timeout "$limit" "$@" >"$out/$name.txt" 2>&1; then
        note "$name: ok, $((SECONDS - start)) s"
    else
        local code=$?
        note "$name: FAILED with code $code after $((SECONDS - start)) s (limit $limit s); $(grep -m 1 error "$out/$name.txt")"
        return 1
    fi
}

note "device $device, $("$hawk" --version), $(date -u +%FT%TZ)"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee -a "$summary"

if [ -n "$tests" ]; then
    part ranking 20 "$tests/ranking"
    part seam 60 "$tests/seam"
    part vq 20 "$tests/vq"
    part equality 90 env HAWK_GPU_ALL=1 "$tests/equality"
fi

# compare NAME SECONDS MODEL...: step times, then decoders. The comparison ends with an error where an image differs.
compare() {
    local name="$1" limit="$2" images=2 budgets=8,16,32
    shift 2
    [ -z "$small" ] || { images=1 && budgets=8; }
    part "step-$name" 40 "$hawk" bench step "$@" --device "$device" --effort-ms 300 --json "$out/step-$name.json" &&
        sed -n '/^rows/,$p' "$out/step-$name.txt" | tee -a "$summary"
    part "step-int8-$name" 30 "$hawk" bench step "$@" --device "$device" --precision int8 --effort-ms 150 \
        --json "$out/step-int8-$name.json" &&
        sed -n '/^rows/,$p' "$out/step-int8-$name.txt" | tee -a "$summary"
    part "stats-$name" 30 "$hawk" generate "a red apple" "$@" --device "$device" --seed 1 --out "$out/$name.png" \
        --stats "$out/stats-$name.json"
    part "decoders-$name" "$limit" "$hawk" bench decoders "$@" --device "$device" --rule replay \
        --decoder ar,scd,soar --budget "$budgets" --images "$images" \
        --json "$out/decoders-$name.json" &&
        sed -n '/^precision/,$p' "$out/decoders-$name.txt" | tee -a "$summary"
}

# pytorch NAME MODEL: plain decoding in PyTorch, for the line `ar` of the comparison.
pytorch() {
    if ! python3 -c 'import safetensors, tokenizers, torch, transformers' 2>"$out/pytorch.txt"; then
        note "pytorch-$1: left out, $(tail -n 1 "$out/pytorch.txt")"
        return
    fi
    part "pytorch-$1" 90 python3 tools/pytorch_ar.py "$2" --images 1 --json "$out/pytorch-$1.json" &&
        grep "ms a token" "$out/pytorch-$1.txt" | tee -a "$summary"
}

if [ -n "$small" ]; then
    part synth-tiny 60 "$hawk" synth tiny-janus-pro --out "$out/tiny" && compare tiny 120 --model "$out/tiny"
else
    compare built-in 60
    for size in 1b 7b; do
        # The weights are generated here: they are functions of a seed and of the built-in model.
        part "grow-$size" 90 "$hawk" synth grown --preset "$size" --out "$out/grown-$size" || continue
        compare "grown-$size" 100 --model "$out/grown-$size"
        pytorch "grown-$size" "$out/grown-$size"
    done
fi
if command -v python3 >/dev/null; then
    python3 - "$out" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
parts = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*-*.json"))}
text = (folder / "summary.txt").read_text()
(folder / "device-run.json").write_text(json.dumps({"summary": text.splitlines(), "parts": parts}, indent=1) + "\n")
PYTHON
fi
note "$((SECONDS - begin)) s in all; $out/device-run.json has the figures"
! grep -q "FAILED\|NOT RUN" "$summary"
