#!/usr/bin/env python3
# Runs an example and compares what it prints with what it says it prints.
#   test_examples.py SOURCE PROGRAM
import difflib
import re
import subprocess
import sys

LINES = 60


def promised(source):
    """The indented lines after `// Prints:` at the head of the file."""
    with open(source, encoding="utf-8") as file:
        text = file.read()
    lines = text.count("\n")
    assert lines <= LINES, f"{source}: {lines} lines, an example has at most {LINES}"
    block = re.search(r"^// Prints:\n((?://   .*\n)+)", text, re.M)
    assert block, f"{source}: says nothing after `// Prints:`"
    return re.sub(r"^//   ", "", block.group(1), flags=re.M)


def differences(source, printed):
    return "\n".join(difflib.unified_diff(promised(source).splitlines(), printed.splitlines(),
                                          "promised", "printed", lineterm=""))


def main():
    source, program = sys.argv[1:]
    result = subprocess.run([program], text=True, stdout=subprocess.PIPE, check=False)
    assert result.returncode == 0, f"{program} returned {result.returncode}"
    found = differences(source, result.stdout)
    if found:
        sys.exit(f"{source}\n{found}")


if __name__ == "__main__":
    main()
