"""Calls of the programs. The first argument of a test is the folder that they were built in."""

import subprocess
import sys
from pathlib import Path

BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()


def execute(program, *args, folder, code=0):
    """What it has printed; an AssertionError with all of that if it ends with another code."""
    result = subprocess.run([BUILD / program, *map(str, args)], cwd=folder, text=True, timeout=240,
                            capture_output=True)
    if result.returncode != code:
        raise AssertionError(
            f"{program} {args}: code {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result
