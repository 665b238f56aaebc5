#!/usr/bin/env bash
# Builds the program with the feature `cuda-nvrtc` where LLVM cannot be fetched, without the built-in model.
#
#   tools/cuda_without_llvm.sh [FEATURES]      further features of hawk-cli, such as built-in
#
# NVRTC compiles the kernels then. CubeCL links LLVM all the same, so each function of it that the program names
# becomes one that ends the program. The result is target/release/hawk; it needs libcuda and libnvrtc when it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
features="cuda-nvrtc${1:+,$1}"
hawk="${CARGO_TARGET_DIR:-target}/release/hawk"
absent="$(mktemp -d)"
trap 'rm -rf "$absent"' EXIT
# The build scripts that want LLVM pass it over where this is set.
export DOCS_RS=1

# build ARGUMENT...: with arguments for the linker.
build() {
    cargo rustc --release -p hawk-cli --bin hawk --no-default-features --features "$features" --locked -- \
        "${@/#/-Clink-arg=}"
}

build -Wl,--unresolved-symbols=ignore-all
# What a shared library brings has a version.
nm --dynamic --undefined-only "$hawk" | awk '$1 == "U" && $2 !~ /@/ { print $2 }' >"$absent/names"
echo "$(wc -l <"$absent/names") functions of LLVM are absent" >&2
{
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    echo 'void hawk_absent(void) { fputs("error: this program was built without LLVM\n", stderr); abort(); }'
    sed 's/.*/__asm__(".globl &\\n.set &, hawk_absent");/' "$absent/names"
} >"$absent/absent.c"
cc -O1 -c "$absent/absent.c" -o "$absent/absent.o"
build "$absent/absent.o"
