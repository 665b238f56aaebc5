#!/bin/sh
# Runs fuzz targets one after the other: fuzz/run.sh BINARIES CORPUS LOGS [TARGET...]
#
# BINARIES holds what `cargo +nightly fuzz build` made, CORPUS what fuzz/seed.py made. Each target gets RUNS inputs or
# SECONDS_EACH seconds, whichever comes first. LOGS/results gets a line per target: name, inputs, seconds, `ok` or `FINDING`.
# A target that has a line there is left out. Without TARGETs all are run, the quickest first.
set -u
binaries=$1 corpus=$2 logs=$3
shift 3
[ $# -gt 0 ] || set -- answers names listing hawk_config heads_config vq_config transformer_config inputs tuner \
    safetensors features record cleaner pickle text_config vqgan_yaml index journal captions things params tokenizer packed
mkdir -p "$logs"
touch "$logs/results"
for target; do
    grep -q "^$target " "$logs/results" && continue
    # The longest input: a little more than the longest seed.
    longest=$(find "$corpus/$target" -name 'seed-*' -printf '%s\n' | sort -n | tail -1)
    mkdir -p "$logs/found/$target" "$corpus/$target"
    start=$(date +%s)
    "$binaries/$target" "$corpus/$target" -dict="$corpus/words" -runs="${RUNS:-10000000}" \
        -max_total_time="${SECONDS_EACH:-1800}" -max_len=$((longest + 1024)) -timeout=900 -report_slow_units=20 -rss_limit_mb=4096 \
        -artifact_prefix="$logs/found/$target/" -print_final_stats=1 >"$logs/$target.log" 2>&1
    code=$?
    inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target.log" | tail -1)
    [ $code -eq 0 ] && end=ok || end=FINDING
    echo "$target ${inputs:-0} $(($(date +%s) - start)) $end" >>"$logs/results"
done
