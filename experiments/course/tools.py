"""What the lessons that start the project's programs share."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

BUILD = Path(os.environ.get("PASSBAND_BUILD", "build"))
# Small enough for seconds on two cores.
SMALL = ["--data", "shapes", "--shapes-classes", "4", "--shapes-train", "1500", "--shapes-test",
         "400", "--epochs", "2", "--batch-size", "50", "--eval-interval", "2", "--quiet"]


def call(program, *arguments):
    """The output of a program; ends the lesson with the program's own words when it fails."""
    done = subprocess.run([BUILD / program, *map(str, arguments)], text=True, capture_output=True,
                          check=False)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    return done.stdout


def train(model, seed, *more):
    """Trains a small network on `shapes`, and returns the run's folder."""
    Path("runs").mkdir(exist_ok=True)
    said = call("train", "--model", model, "--seed", seed, "--output", "runs", *SMALL, *more)
    return next(line.split(": ", 1)[1] for line in said.splitlines() if line.startswith("run: "))


def analyze(run, only, *more):
    """The values of one analysis, and the rows of its figure of the same name."""
    call("analyze", "--run", run, "--only", only, *more)
    report = Path(run) / "report"
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    figure = report / "figures" / f"{only}.csv"
    with open(figure, encoding="utf-8", newline="") as file:
        return summary["sections"][only]["values"], list(csv.DictReader(file))


def costs(*patterns):
    """Parameters and multiply-accumulates of networks, without training them."""
    return json.loads(call("train", "--list", "models", "--json", "--pattern", *patterns))


def exercises():
    """The student's module: the file named on the command line of a check."""
    spec = importlib.util.spec_from_file_location("exercises", sys.argv[1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(*checks):
    """Each looks at one exercise and returns "" when it is right, else a hint. Ends the program."""
    right = True
    for number, look in enumerate(checks, 1):
        try:
            hint = look()
        except Exception as error:  # the student's code may do anything
            hint = f"your code stopped with {type(error).__name__}: {error}"
        print(f"exercise {number}: {'not yet' if hint else 'right'}")
        if hint:
            print(f"  hint: {hint}")
        right = right and not hint
    sys.exit(0 if right else 1)
