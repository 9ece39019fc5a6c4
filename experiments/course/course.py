#!/usr/bin/env python3
"""Runs the lessons of the course and checks their exercises.

usage: course.py run N BUILD     `make lesson-N`: builds what the lesson needs and runs it
       course.py check N BUILD   `make check-lesson-N`: are the exercises right?
       course.py test N BUILD    the lesson prints what its page says, the exercises as they are
                                 delivered fail with a hint, the solutions pass
"""

import os
import re
import subprocess
import sys
from pathlib import Path

COURSE = Path(__file__).resolve().parent
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
# What lessons that are scripts start; those in C++ are programs of their own.
PROGRAMS = {"7": ("train",), "8": ("train", "analyze"), "10": ("train", "analyze"),
            "9": ("course_9_softmax", "course_9_race")}
SECONDS, SKIPPED = 600, 77


def folder_of(lesson):
    folder = COURSE / f"lesson-{lesson}"
    if not folder.is_dir():
        there = sorted(int(p.name.split("-")[1]) for p in COURSE.glob("lesson-*"))
        sys.exit(f"course: there is no lesson {lesson}; there are {there[0]} to {there[-1]}")
    return folder


def in_cpp(lesson, kind):
    return (folder_of(lesson) / f"{kind}.cpp").exists()


def build(lesson, folder, targets):
    """Says nothing unless something fails, which is mostly an exercise that does not compile."""
    command = ["cmake", "--build", str(folder), "--target", *targets]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if not line.startswith(("[", "ninja:"))]
        print("\n".join(errors[:40]))
        sys.exit(f"course: lesson {lesson} does not compile; the first error above says where")


def command_of(lesson, folder, kind, solved=False):
    """kind: lesson or check. Programs lie in BUILD/course."""
    if in_cpp(lesson, kind):
        name = f"course_{lesson}" + "_check" * (kind == "check") + "_solved" * solved
        return [str(folder / "course" / name)]
    script = [sys.executable, "-B", str(folder_of(lesson) / f"{kind}.py")]
    place = COURSE / "solutions" / f"lesson-{lesson}" if solved else folder_of(lesson)
    return script + ([str(place / "exercises.py")] if kind == "check" else [])


def start(command, folder, capture=False):
    """In a folder of the build, where runs and files may be left."""
    place = folder / "course" / "work"
    place.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PASSBAND_BUILD": str(folder), "PYTHONPATH": str(COURSE)}
    sys.stdout.flush()
    return subprocess.run(command, cwd=place, env=environment, text=True, check=False,
                          timeout=SECONDS, stdout=subprocess.PIPE if capture else None)


def promised(lesson):
    """Of the page: the indented block after `It prints (numbers within X % or Y):`, X and Y."""
    text = (folder_of(lesson) / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^It prints \(numbers within ([\d.]+) % or ([\d.e-]+)\):\n\n"
                      r"((?:    .*\n|\n)+)", text, re.M)
    if not found:
        sys.exit(f"course: the page of lesson {lesson} does not say what it prints")
    block = "\n".join(line[4:] for line in found[3].rstrip("\n").splitlines())
    return block, float(found[1]) / 100, float(found[2])


def difference(promise, printed, relative, absolute):
    """The first line that is another, or None. Words must be equal, numbers close."""
    ours, theirs = (text.strip("\n").splitlines() for text in (promise, printed))
    for number, line in enumerate(ours):
        other = theirs[number] if number < len(theirs) else "(nothing)"
        # The width of a column of numbers may change with them.
        words = [re.sub(r"\s+", " ", NUMBER.sub("#", text)).strip() for text in (line, other)]
        values = [[float(v) for v in NUMBER.findall(text)] for text in (line, other)]
        close = words[0] == words[1] and all(
            abs(a - b) <= max(absolute, relative * abs(a)) for a, b in zip(*values))
        if not close:
            return f"the page says\n    {line}\nprinted is\n    {other}"
    if len(theirs) > len(ours):
        return f"printed, but not on the page:\n    {theirs[len(ours)]}"
    return None


def test(lesson, folder):
    failures = []
    ran = start(command_of(lesson, folder, "lesson"), folder, capture=True)
    if ran.returncode == SKIPPED:
        print(ran.stdout)
        sys.exit(SKIPPED)
    if ran.returncode:
        failures.append(f"the lesson returned {ran.returncode}:\n{ran.stdout}")
    elif found := difference(promised(lesson)[0], ran.stdout, *promised(lesson)[1:]):
        failures.append(f"the lesson prints something else: {found}\nall of it:\n{ran.stdout}")
    delivered = start(command_of(lesson, folder, "check"), folder, capture=True)
    undone = re.findall(r"^exercise (\d): not yet\n  hint: \S", delivered.stdout, re.M)
    if delivered.returncode == 0 or undone != ["1", "2"]:
        failures.append(f"exercises as delivered must fail, each with a hint:\n{delivered.stdout}")
    solved = start(command_of(lesson, folder, "check", solved=True), folder, capture=True)
    right = re.findall(r"^exercise (\d): right$", solved.stdout, re.M)
    if solved.returncode or right != ["1", "2"]:
        failures.append(f"the solutions must pass:\n{solved.stdout}")
    sys.exit("\n".join(failures) or 0)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("run", "check", "test"):
        sys.exit(__doc__)
    action, lesson, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3]).resolve()
    if action == "test":
        return test(lesson, folder)
    kind = "lesson" if action == "run" else "check"
    name = f"course_{lesson}" + "_check" * (kind == "check")
    build(lesson, folder, [name] if in_cpp(lesson, kind) else PROGRAMS[lesson])
    done = start(command_of(lesson, folder, kind), folder)
    sys.exit(1 if done.returncode else 0)


if __name__ == "__main__":
    main()
