#!/usr/bin/env python3
"""The levels of instructions that one program holds its CPU kernels for (tensor/cpu/level.h).

usage: test_levels.py BUILD_DIR code              no code for a level outside the level's namespace
       test_levels.py BUILD_DIR run LEVEL TEST... a test at this level, each with its arguments
Exits with 77 where the machine, or objdump, lacks what it takes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SKIPPED = 77
LEVELS = ["generic", "avx2", "avx512", "avx512_bf16", "amx"]
# VEX and EVEX code, and what BMI adds. (tzcnt and lzcnt are bsf and bsr with a prefix that older
# processors pass over.)
WIDE = re.compile(r"v[a-z0-9]+|k(mov|ortest|test|and|or|not|xor|xnor|unpck|shift|add)[a-z]*"
                  r"|andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx")


def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def skip(text):
    print(text)
    sys.exit(SKIPPED)


def wide_functions(objects):
    """Names of the functions that have such instructions."""
    names, function = {}, ""
    with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", *objects], text=True,
                          stdout=subprocess.PIPE) as dump:
        for line in dump.stdout:
            if line.endswith(">:\n"):
                function = line[line.index("<") + 1:-3]
            elif (cells := line.split("\t")) and len(cells) > 1 and WIDE.fullmatch(
                    cells[1].split(" ", 1)[0].strip()):
                names[function] = cells[1].strip()
    demangled = subprocess.run(["c++filt"], input="\n".join(names), text=True, check=True,
                               capture_output=True).stdout.splitlines()
    return dict(zip(demangled, names.values()))


def check_code(build):
    flags = [line for line in (build / "CMakeCache.txt").read_text().splitlines()
             if line.startswith("CMAKE_CXX_FLAGS") and "=-m" in line.replace(" ", "=")]
    if flags:
        skip(f"flags of the machine's own are set: {flags[0]}")
    if not shutil.which("objdump"):
        skip("there is no objdump here")
    for level in LEVELS[1:3]:
        objects = sorted((build / "CMakeFiles" / f"passband_cpu_{level}.dir").rglob("*.o"))
        if not objects:
            print(f"{level}: not compiled here")
            continue
        functions = wide_functions(objects)
        own = [name for name in functions if f"passband::cpu::{level}::" in name]
        outside = {name: code for name, code in functions.items() if name not in set(own)}
        print(f"{level}: {len(objects)} objects, {len(own)} functions with its instructions")
        if len(own) < 100:
            fail(f"{level}: the kernels are not compiled for it")
        if outside:
            fail(f"{level}: code outside its namespace, which other machines would run, too:\n" +
                 "\n".join(f"  {name}: {code}" for name, code in outside.items()))


def highest_level(build):
    environment = {key: value for key, value in os.environ.items() if key != "PASSBAND_ISA"}
    found = subprocess.run([build / "train", "--doctor", "--json"], text=True, check=True,
                           capture_output=True, env=environment).stdout
    text = next(f["found"] for f in json.loads(found) if f["topic"] == "instructions")
    return re.match(r"\w+", text).group()


def run_at(build, level, command):
    highest = highest_level(build)
    if LEVELS.index(level) > LEVELS.index(highest):
        skip(f"this machine has {highest}, not {level}")
    if level == highest:
        skip("the highest level here, which every test uses")
    sys.exit(subprocess.run([build / "tests" / command[0], *command[1:]], check=False,
                            env={**os.environ, "PASSBAND_ISA": level}).returncode)


def main():
    if len(sys.argv) == 3 and sys.argv[2] == "code":
        check_code(Path(sys.argv[1]))
    elif len(sys.argv) > 4 and sys.argv[2] == "run":
        run_at(Path(sys.argv[1]).resolve(), sys.argv[3], sys.argv[4:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
