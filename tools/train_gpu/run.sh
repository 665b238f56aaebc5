#!/usr/bin/env bash
# run.sh OUT MINUTES [--resume] [options of train.py]: paints and trains until MINUTES from now, and leaves files of at most 15 MB in OUT.
# PAINTER and THINGS: the program that paints shards and its pack of things. PICTURES: how many. WORK: states and shards, on the local disk.
set -u
out=$1 minutes=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
painter=${PAINTER:-runs/gpu/paint_shards} things=${THINGS:-runs/gpu/things.pack} pictures=${PICTURES:-300000}
# The default paints into memory where there is room for everything.
if [ -z "${WORK:-}" ]; then
    WORK=/tmp/train_gpu
    room=$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)
    [ "${room:-0}" -gt 40000000 ] && WORK=/dev/shm/train_gpu
fi
export PYTHONUNBUFFERED=1 TORCHINDUCTOR_COMPILE_THREADS=${TORCHINDUCTOR_COMPILE_THREADS:-8} TORCHINDUCTOR_CACHE_DIR=$WORK/inductor
until=$(python3 -c "import time; print(round(time.time() + 60 * $minutes, 1))")
left() { echo $((${until%.*} - $(date +%s))); }
mkdir -p "$out" "$WORK/shards"
log=$out/log.txt
say() { echo "run.sh: $*" | tee -a "$log"; }
say "$(date) until $until, $(nproc) cores, $(nvidia-smi --query-gpu=name,memory.total --format=csv,noheader 2>/dev/null), $WORK"

if [ ! -e "$WORK/painted" ]; then
    touch "$WORK/painted"
    # Of its own session, so that it goes on behind this command; the trainer comes first.
    setsid nice -n 15 "$painter" --things "$things" --pictures "$pictures" --seed "${SEED:-1}" --shard 2048 --out "$WORK/shards" \
        >"$WORK/painter.log" 2>&1 </dev/null &
    sleep 1
    if ! kill -0 $! 2>/dev/null && ! ls "$WORK"/shards/*.jsonl >/dev/null 2>&1; then
        say "the painter ended at once:"
        tail -5 "$WORK/painter.log" | tee -a "$log"
        rm "$WORK/painted"
        exit 1
    fi
fi
# While the first pictures are painted: all stages in small, and the compiler at its work.
if [ -z "${NO_SMOKE:-}" ]; then
    begun=$(date +%s)
    timeout 100 python3 "$here/train.py" --warm vq >"$WORK/warm-vq.log" 2>&1 &
    warm=$!
    timeout 100 python3 "$here/train.py" --warm target >"$WORK/warm-target.log" 2>&1 &
    timeout 100 python3 "$here/train.py" --smoke >"$WORK/smoke.log" 2>&1
    status=$?
    say "smoke test: $status after $(($(date +%s) - begun)) s"
    [ $status -ne 0 ] && tee -a "$log" <"$WORK/smoke.log"
    # One that was only slow says nothing against the run.
    [ $status -ne 0 ] && [ $status -ne 124 ] && [ -z "${ANYWAY:-}" ] && exit 1
    wait $warm || { say "the compiler failed or was slow; the run goes on without:"; tail -3 "$WORK/warm-vq.log" | tee -a "$log"; set -- --no-compile "$@"; }
    say "warm after $(($(date +%s) - begun)) s; $(tail -1 "$WORK/painter.log")"
fi
train() {
    python3 "$here/train.py" --shards "$WORK/shards" --work "$WORK/state" --out "$out" --until "$until" "$@" 2>&1 | tee -a "$log"
    return "${PIPESTATUS[0]}"
}
train "$@"
status=$?
# A run that broke off, not one whose late stages failed, goes on from its last state while there is time.
if [ $status -ne 0 ] && [ $status -ne 3 ] && [ "$(left)" -gt 40 ]; then
    say "broken off with $status, $(left) s left; once more from the last state"
    train "$@" --resume
    status=$?
fi
tail -qn 2 "$WORK"/warm-*.log "$WORK/painter.log" | tee -a "$log"
cp "$WORK/state/home/evaluation.json" "$out/" 2>/dev/null
say "end: $(left) s left"
exit $status
