#!/usr/bin/env python3
"""Packs what a GPU machine without a compiler or network needs: the programs, every test that
touches the device, and the libraries it may lack.

usage: kit.py BUILD_DIR OUTPUT_DIR [--jobs N] [--architectures LIST]

Configures and builds BUILD_DIR first (no GPU needed). OUTPUT_DIR/kit.tar.xz and these sources go to
that machine; there, in the sources:

    python3 experiments/gpu/check.py OUTPUT_DIR --kit --minutes 7 --results DIR

The processor's kernels are chosen at run time and the GPU's libraries are taken from PyTorch's
packages there, so that the kit fits any x86-64 machine with a driver for CUDA 13.
"""

import argparse
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from check import ROOT, device_tests

PROGRAMS = ("train", "analyze", "bench")
# Of CUDA, which PyTorch brings, and of the C++ compiler and the C library, which every machine has.
NOT_PACKED = re.compile(r"lib(cuda|cud|cub|cuf|nv|nccl|stdc\+\+|gcc_s|c\.|m\.|dl|rt|pthread|mvec)")
MOST_MEGABYTES = 40


def build(folder, jobs, architectures):
    tests = [name for name, _ in device_tests()]
    configure = [
        "cmake", "-S", ROOT, "-B", folder, "-DPASSBAND_CUDA=ON",
        f"-DCMAKE_CUDA_ARCHITECTURES={architectures}"
    ] + ["-G", "Ninja"] * bool(shutil.which("ninja"))
    for command in (configure,
                    ["cmake", "--build", folder, "-j", jobs, "--target", *PROGRAMS, *tests]):
        subprocess.run([str(word) for word in command], check=True)
    return [folder / name for name in PROGRAMS] + [folder / "tests" / name for name in tests]


def libraries_of(binaries):
    """Paths of the shared libraries that they load and another machine may lack."""
    found = {}
    for binary in binaries:
        told = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True)
        for name, path in re.findall(r"(\S+) => (/\S+)", told.stdout):
            if not NOT_PACKED.match(name):
                found[name] = path
    return found


def pack(binaries, output):
    """Writes kit.tar.xz of the stripped binaries, tests in tests/, and their libraries in lib/."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="passband-kit-") as name:
        kit = Path(name)
        for folder in ("tests", "lib"):
            (kit / folder).mkdir()
        for binary in binaries:
            to = kit / ("tests" if binary.parent.name == "tests" else "") / binary.name
            shutil.copy(binary, to)
            subprocess.run(["strip", str(to)], check=True)
        for library, path in libraries_of(binaries).items():
            shutil.copy(path, kit / "lib" / library)
        (kit / "root").write_text(str(ROOT))  # tests look for their data there
        partial = output / "kit.tar.xz.partial"
        # The binaries hold much the same code: a dictionary longer than one finds it again.
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 192 << 20}]
        with lzma.open(partial, "wb", filters=filters) as stream, \
                tarfile.open(fileobj=stream, mode="w") as archive:
            archive.add(kit, ".")
        os.replace(partial, output / "kit.tar.xz")
    return output / "kit.tar.xz"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--architectures", default="80-real;90a-real;90-virtual",
                        help="of CMAKE_CUDA_ARCHITECTURES; one alone makes a kit half as large")
    options = parser.parse_args()
    try:
        kit = pack(build(options.build.resolve(), options.jobs, options.architectures),
                   options.output)
    except subprocess.CalledProcessError as error:
        sys.exit(f"gpu-kit: {' '.join(error.cmd[:3])} ended with {error.returncode}")
    megabytes = kit.stat().st_size / 1e6
    print(f"gpu-kit: {kit} {megabytes:.1f} MB")
    if megabytes > MOST_MEGABYTES:
        sys.exit(f"gpu-kit: more than {MOST_MEGABYTES} MB (--architectures 90a-real: less)")


if __name__ == "__main__":
    main()
