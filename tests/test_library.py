#!/usr/bin/env python3
# Builds on Passband from outside: configures, builds and runs the project of tests/consumer.
#   test_library.py install BUILD
#       installs BUILD into a folder of its own and links what lies there
#   test_library.py subdirectory BUILD
#       compiles the sources as a part of that project, as shared libraries; unoptimised and for one
#       level of instructions, to be done in less than a minute
import json
import os
import re
import shutil
import subprocess
import sys

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
EXAMPLE = os.path.join(ROOT, "experiments", "examples", "fit_sine.cpp")

sys.path.insert(0, TESTS)
from test_examples import differences  # noqa: E402


def run(*command, **more):
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False, **more)
    if result.returncode:
        sys.exit(f"{' '.join(command)} returned {result.returncode}:\n{result.stdout}")
    return result.stdout


def configure(folder, *settings):
    run("cmake", "-S", os.path.join(TESTS, "consumer"), "-B", folder, "-G", "Ninja",
        f"-DEXAMPLE={EXAMPLE}", *settings)


def check_program(folder):
    """It prints what the example promises."""
    found = differences(EXAMPLE, run(os.path.join(folder, "consumer")))
    assert not found, found


def check_command(folder, source):
    """The consumer's command has no option but those of its include folders and its standard."""
    with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as file:
        commands = [entry["command"] for entry in json.load(file) if entry["file"] == source]
    assert len(commands) == 1, commands
    words = re.sub(r"-(o|c|I|isystem) ?\S+", "", commands[0]).split()[1:]
    assert set(words) <= {"-std=gnu++20", "-O0", source}, words


def check_readme():
    """The program in README.md is the example."""
    with open(EXAMPLE, encoding="utf-8") as file:
        body = file.read()
    body = body[body.index("#include"):]
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read()
    block = "".join(f"    {line}" if line.strip() else line for line in body.splitlines(True))
    assert block in text, f"README.md does not hold the program of {EXAMPLE}"


def install(build, folder):
    check_readme()
    prefix = os.path.join(folder, "prefix")
    run("cmake", "--install", build, "--prefix", prefix)
    assert sorted(os.listdir(os.path.join(prefix, "include"))) == ["passband"]
    headers = os.path.join(prefix, "include", "passband")
    every = sorted(os.path.relpath(os.path.join(base, name), headers)
                   for base, _, names in os.walk(headers) for name in names)
    source = os.path.join(folder, "every_header.cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(f'#include "{name}"\n' for name in every)
        file.writelines(f"#include <passband/{name}>\n" for name in every)
    configure(folder, f"-DCMAKE_PREFIX_PATH={prefix}", "-DLAYER=passband",
              f"-DEVERY_HEADER={source}")
    run("cmake", "--build", folder)
    check_command(folder, source)
    check_program(folder)
    check_macros(folder, source, headers)


def check_macros(folder, source, headers):
    """No installed header defines a macro that does not begin with PASSBAND_."""
    with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as file:
        command = next(entry["command"] for entry in json.load(file) if entry["file"] == source)
    options = re.sub(r"-o \S+", "", command).split()
    inside, wrong = False, []
    for line in run(*options, "-E", "-dD", cwd=folder).split("\n"):
        place = re.match(r'# \d+ "(.*?)"', line)
        if place:
            inside = os.path.realpath(place.group(1)).startswith(headers)
        macro = re.match(r"#define (\w+)", line)
        if inside and macro and not macro.group(1).startswith("PASSBAND_"):
            wrong.append(macro.group(1))
    assert not wrong, f"macros in installed headers: {wrong}"


def subdirectory(_, folder):
    configure(folder, f"-DPASSBAND_SUBDIRECTORY={ROOT}", "-DLAYER=nn", "-DBUILD_SHARED_LIBS=ON",
              "-DPASSBAND_CUDA=OFF", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
              "-DPASSBAND_HIGHEST_LEVEL=generic")
    run("cmake", "--build", folder, "--target", "consumer")
    check_command(folder, EXAMPLE)
    check_program(folder)
    assert "libpassband_tensor.so" in run("ldd", os.path.join(folder, "consumer"))


def main():
    kind, build = sys.argv[1], os.path.abspath(sys.argv[2])
    folder = os.path.join(build, "library", kind)
    if kind == "install":
        shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, exist_ok=True)
    {"install": install, "subdirectory": subdirectory}[kind](build, folder)


if __name__ == "__main__":
    main()
