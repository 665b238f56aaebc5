#!/bin/sh
# Brings libtorch 2.9 for the processor, from its Python wheel, into a folder (900 MB to fetch, 600 MB to keep):
#
#     recipes/libtorch.sh [DIR]          (default: runs/libtorch)
#     export LIBTORCH="$PWD/runs/libtorch" LD_LIBRARY_PATH="$PWD/runs/libtorch/lib"
#     cargo build --release --features tch
#
# Wants python3 with pip, and a C++ compiler for the build. Nothing of Python runs in training.
set -eu
dir=${1:-runs/libtorch}
mkdir -p "$dir/lib" "$dir/wheels"
# The wheel is built for CUDA: its processor part wants two small CUDA libraries to start, and nothing of the CUDA part.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --dest "$dir/wheels" \
    torch==2.9.0 nvidia-cuda-runtime-cu12==12.8.90 nvidia-cuda-cupti-cu12==12.8.90
python3 - "$dir" <<'PY'
import pathlib, shutil, sys, zipfile
out = pathlib.Path(sys.argv[1])
libraries = ("libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.12", "libcupti.so.12")
for wheel in (out / "wheels").glob("*.whl"):
    with zipfile.ZipFile(wheel) as files:
        for name in files.namelist():
            if name.startswith("torch/include/") and not name.endswith("/"):
                to = out / name.removeprefix("torch/")
            elif name.rsplit("/", 1)[-1] in libraries:
                to = out / "lib" / name.rsplit("/", 1)[-1]
            else:
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            with files.open(name) as source, open(to, "wb") as target:
                shutil.copyfileobj(source, target)
# What links against libtorch means its processor part.
(out / "lib" / "libtorch.so").unlink(missing_ok=True)
(out / "lib" / "libtorch.so").symlink_to("libtorch_cpu.so")
(out / "build-version").write_text("2.9.0\n")
shutil.rmtree(out / "wheels")
PY
echo "libtorch is in $dir"
