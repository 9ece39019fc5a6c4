#!/usr/bin/env python3
# Measures how good the tests of a kernel file are: deletes one barrier, fence, wait or bounds test
# at a time and demands that the tests fail. A mutant that survives is a barrier nobody needs or a
# test that is missing.
#   mutate.py BUILD_DIR TEST_PROGRAM KERNELS.cu [-- ARGUMENTS OF THE TEST PROGRAM]
#   mutate.py build cuda_emulator_checked tests/cuda_emulator/test_kernels.cu -- -tce="*fault*"
import json
import os
import re
import subprocess
import sys
import tempfile

DELETED = [
    r"__syncthreads\(\);", r"__syncwarp\([^()]*\);", r"__threadfence\(\);",
    r"async_copy_wait<\d+>\(\);", r"if \([^;{}]*\) return;"
]
# A condition that compares is taken to hold: `if (i < n) store;` and `valid ? load : 0`.
CONDITIONS = [
    r"(?<=\bif \()[^;{}]*[<>][^;{}]*(?=\) (?!return)\S)", r"(?<== )[^;=?]*<[^;=?]*(?= \? )"
]


def mutants(text):
    """Yields (line number, description, mutated text)."""
    for pattern, replacement in [(p, ";") for p in DELETED] + [(p, "true") for p in CONDITIONS]:
        for match in re.finditer(pattern, text):
            line_start = text.rfind("\n", 0, match.start()) + 1
            found = match.group(0)
            if "//" in text[line_start:match.start()] or found.count("(") != found.count(")"):
                continue
            yield (text.count("\n", 0, match.start()) + 1, f"{match.group(0)} -> {replacement}",
                   text[:match.start()] + replacement + text[match.end():])


def compile_command(build, program, source):
    """The command that compiles `source` for `program`, from the build's own."""
    commands = subprocess.run(["ninja", "-C", build, "-t", "commands", program],
                              capture_output=True, text=True, check=True).stdout.splitlines()
    wrapper = os.path.join("emulated", source + ".cpp")
    compiles = [c for c in commands if wrapper in c and " -c " in c]
    if not compiles:
        sys.exit(f"{program} is not made from {source}")
    return compiles[0], commands[-1]


def run(command, build, timeout):
    try:
        return subprocess.run(command, cwd=build, shell=True, capture_output=True, text=True,
                              timeout=timeout, check=False).returncode
    except subprocess.TimeoutExpired:
        return "timeout"


def test_mutant(text, build, program, source, arguments):
    compile_line, link_line = compile_command(build, program, source)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, source)
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        mutant, executable = os.path.join(folder, "mutant.o"), os.path.join(folder, "mutant")
        compiler = re.search(r"\S*c\+\+\S*", compile_line).group(0)
        compile_line = compile_line.replace(compiler, f"{compiler} -w -I{folder}", 1)
        if run(re.sub(r" -o \S+", f" -o {mutant}", compile_line), build, 300) != 0:
            return "does not compile"
        # Named before the library that holds the original, the mutant takes its place.
        if run(re.sub(r" -o \S+", f" {mutant} -o {executable}", link_line, count=1), build,
               300) != 0:
            return "does not link"
        result = run(" ".join([executable] + arguments), build, 300)
        return "SURVIVED" if result == 0 else "killed"


def main(arguments):
    if len(arguments) < 3:
        sys.exit(open(__file__, encoding="utf-8").read().split("\nimport")[0])
    build, program, source = arguments[:3]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    if test_mutant(text, build, program, source, arguments[4:]) != "SURVIVED":
        sys.exit("the tests fail, or do not build, without any mutation")
    results = []
    for line, description, mutated in mutants(text):
        results.append(test_mutant(mutated, build, program, source, arguments[4:]))
        print(f"{source}:{line}: {results[-1]}: {description}", flush=True)
    killed, survived = results.count("killed"), results.count("SURVIVED")
    print(
        f"{killed} of {killed + survived} mutants killed, {len(results) - killed - survived} did"
        " not build"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
