"""Lesson 9: a kernel in a debugger, thread by thread, and a race caught. The page is README.md."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KERNEL = ROOT / "experiments" / "ladder" / "softmax" / "4_shuffles.cu"
PROGRAMS = Path(os.environ["PASSBAND_BUILD"]) / "course"
SKIPPED = 77
# Which thread to follow.
WATCHED = "if threadIdx.x == 37 && blockIdx.x == 1"
STATE = 'printf "block %d, thread %d: '


def line_of(text):
    """The line of the kernel that begins with this text, as gdb names it."""
    for number, line in enumerate(KERNEL.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip().startswith(text):
            return f"{KERNEL.name}:{number}"
    raise ValueError(f"{KERNEL.name}: no line begins with {text}")


def commands():
    """What one would type."""
    return [
        "set pagination off", "set confirm off", "set debuginfod enabled off",
        "handle SIGSEGV nostop noprint pass",  # how the emulator opens device memory
        f"break {line_of('best = join_block')} {WATCHED}",
        "run",
        STATE + 'largest of its own 4 elements %.4f\\n", blockIdx.x, threadIdx.x, best',
        "delete",  # the line holds a function that all threads call again and again
        f"tbreak {line_of('return join_warp(partial')} {WATCHED}",
        "continue",
        STATE + 'largest of its warp %.4f\\n", blockIdx.x, threadIdx.x, value',
        'printf "shared memory, one number a warp: %.4f %.4f ... %.4f\\n", partial[0], partial[1], '
        "partial[7]",
        f"tbreak {line_of('for (int i = threadIdx.x; i < columns; i += kThreads) tot')} {WATCHED}",
        "continue",
        STATE + 'largest of the row %.4f\\n", blockIdx.x, threadIdx.x, best',
        "continue",
    ]


def main():
    gdb = shutil.which("gdb")
    if not gdb:
        print("lesson 9 needs gdb (Debian's package: gdb)")
        sys.exit(SKIPPED)
    steps = [word for command in commands() for word in ("-ex", command)]
    done = subprocess.run([gdb, "-nx", "-batch", *steps, PROGRAMS / "course_9_softmax"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = [line for line in done.stdout.splitlines()
            if re.match(r"block \d|shared memory,|the second row", line)]
    if not said:  # a container may forbid one program to trace another
        print(f"gdb could not run the program:\n{done.stdout}")
        sys.exit(SKIPPED)
    print("\n".join(said), flush=True)
    print("\na barrier is missing, threads in their order, then the other way round", flush=True)
    sys.exit(subprocess.run([PROGRAMS / "course_9_race"], check=False).returncode)


if __name__ == "__main__":
    main()
