#!/usr/bin/env python3
"""The notebook that reads a run: its cells run in order, in plain Python, on a run made here; what
they find is compared with the files, read without pandas. Usage: test_notebook.py BUILD_DIR
Exits with 77 where NumPy or pandas is missing; PASSBAND_PACKAGES names a folder that has them."""

import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SKIPPED = 77
BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else Path("build").resolve()
NOTEBOOK = (Path(__file__).resolve().parent.parent / "experiments" / "notebooks" /
            "read_a_run.ipynb")
if os.environ.get("PASSBAND_PACKAGES"):
    sys.path.insert(0, os.environ["PASSBAND_PACKAGES"])


def execute(program, *args, folder):
    result = subprocess.run([BUILD / program, *map(str, args)], cwd=folder, text=True, timeout=240,
                            capture_output=True)
    if result.returncode != 0:
        raise AssertionError(f"{program} {args}: {result.stdout}\n{result.stderr}")
    return result.stdout


def run_cell(source, names):
    """Runs a cell; the value of its last line, where that is an expression, as a notebook shows."""
    lines = source.rstrip().split("\n")
    body, value = compile(source, "cell", "exec", dont_inherit=True), None
    for at in range(len(lines)):
        last = "\n".join(lines[at:])
        with contextlib.suppress(SyntaxError):
            value = compile(last, "cell", "eval")
            body = compile("\n".join(lines[:at]), "cell", "exec")
            break
    exec(body, names)
    return eval(value, names) if value else None


class Notebook(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="passband-notebook-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        said = execute("train", "--model", "C.CM:width=8,head_dim=8", "--data", "shapes",
                       "--shapes-train", 64, "--shapes-test", 40, "--batch-size", 32, "--epochs", 3,
                       "--warmup-epochs", 0, "--json", "--output", cls.dir, folder=cls.dir)
        cls.run_dir = Path(json.loads(said)["run"])
        execute("analyze", "--run", cls.run_dir, "--only", "fourier,cka,variance", "--images", 20,
                folder=cls.dir)
        cls.notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))

    def run_all(self):
        os.environ["PASSBAND_RUN"] = str(self.run_dir)
        names, shown = {"__name__": "__main__"}, []
        self.said = io.StringIO()
        with contextlib.redirect_stdout(self.said):
            for cell in self.notebook["cells"]:
                if cell["cell_type"] == "code":
                    shown.append(run_cell("".join(cell["source"]), names))
        return names, [value for value in shown if value is not None]

    def test_its_cells_find_what_the_files_say(self):
        names, shown = self.run_all()
        lines = [json.loads(line) for line in
                 (self.run_dir / "metrics.jsonl").read_text().splitlines()]
        tests = [line for line in lines if line["split"] == "test"]
        trains = [line for line in lines if line["split"] == "train"]
        self.assertEqual(names["best"], max(line["top1"] for line in tests))
        self.assertEqual(len(names["steps"]), len(trains))
        first = [line["loss"] for line in trains if line["epoch"] == 1]
        self.assertAlmostEqual(names["per_epoch"]["loss"].iloc[0], sum(first) / len(first))
        with open(self.run_dir / "report" / "figures" / "fourier.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        rows = [row for row in rows if row["panel"] == rows[0]["panel"]]
        spectra = names["spectra"]
        self.assertEqual(list(spectra.columns), list(dict.fromkeys(row["series"] for row in rows)))
        for row in rows:
            self.assertAlmostEqual(
                spectra.loc[float(row["frequency (π)"]), row["series"]],
                float(row["Δ log amplitude"]))
        summary = json.loads((self.run_dir / "report" / "summary.json").read_text())
        values = summary["sections"]["fourier"]["values"]
        self.assertAlmostEqual(names["at_the_end"]["highest frequency"].iloc[0],
                               values["first_layer_high_frequency"], places=4)
        self.assertAlmostEqual(names["cka"][0, -1],
                               summary["sections"]["cka"]["values"]["first_last_cka"], places=4)
        self.assertEqual(set(names["findings"].index), set(summary["sections"]))
        self.assertIn("Mean CKA by distance", self.said.getvalue())
        drawn = [value for value in shown if hasattr(value, "_repr_svg_")]
        for drawing in drawn:
            self.assertIn("<polyline", drawing._repr_svg_())

    def test_it_is_a_notebook_without_results_of_someone_elses_run(self):
        for cell in self.notebook["cells"]:
            if cell["cell_type"] == "code":
                self.assertEqual((cell["outputs"], cell["execution_count"]), ([], None))
        try:
            import nbformat
        except ImportError:
            print("no nbformat: the file's form is not checked", file=sys.stderr)
            return
        nbformat.validate(nbformat.from_dict(self.notebook))


if __name__ == "__main__":
    try:
        import numpy  # noqa: F401
        import pandas  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}; name a folder that has NumPy and pandas by PASSBAND_PACKAGES")
        sys.exit(SKIPPED)
    unittest.main()
