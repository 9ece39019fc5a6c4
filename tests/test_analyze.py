#!/usr/bin/env python3
"""The program analyze as a user meets it, on tiny networks. Usage: test_analyze.py BUILD_DIR"""

import html
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from programs import BUILD, execute

MODEL = "C.CM:width=8,head_dim=8"
SHAPES = ["--data", "shapes", "--shapes-train", "640", "--shapes-test", "200"]
PIXEL = bytes.fromhex(  # a PNG picture of one grey pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c"
    "49444154789c636868680000030401814bd3d2100000000049454e44ae426082")
SMALL = [*SHAPES, "--batch-size", "32", "--warmup-epochs", "0"]


def train(folder, *args, model=MODEL):
    folder.mkdir(exist_ok=True)
    out = execute("train", "--model", model, *SMALL, "--json", "--output", folder, *args,
                  folder=folder).stdout
    return Path(json.loads(out)["run"])


class Analyze(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix="passband-analyze-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.trained = train(cls.shared, "--epochs", 2, "--checkpoint-interval", 1, "--opt",
                            "sgd", "--lr", 0.05)

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="passband-analyze-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.run_dir = self.dir / "run"
        shutil.copytree(self.trained, self.run_dir)

    def analyze(self, *args, code=0):
        return execute("analyze", *args, folder=self.dir, code=code)

    def report(self, *args, code=0):
        return self.analyze("--run", self.run_dir, *args, code=code)

    def summary(self):
        return json.loads((self.run_dir / "report" / "summary.json").read_text())

    def message(self, *args, code=2):
        text = self.analyze(*args, code=code).stderr.strip()
        self.assertEqual(len(text.splitlines()), 1, text)
        return text

    # --- what there is ----------------------------------------------------------------------------

    def test_every_analysis_is_listed_with_question_cost_and_options(self):
        listed = json.loads(self.analyze("--list", "--json").stdout)
        self.assertEqual(set(listed[0]), {"name", "question", "cost", "quick", "options",
                                          "splits_pictures"})
        by_name = {entry["name"]: entry for entry in listed}
        for name in ("cka", "fourier", "variance", "distance", "rollout", "calibration",
                     "confusion", "shape-bias", "growth"):
            self.assertIn(name, by_name)
        for entry in listed:
            self.assertTrue(entry["question"].endswith("?"), entry)
            self.assertRegex(entry["cost"], "^time: .*; memory: ")
        self.assertIn("shape-bias.pool",
                      [option["name"] for option in by_name["shape-bias"]["options"]])
        self.assertIn("--set shape-bias.pool", self.analyze("--list").stdout)

    def test_mistakes_are_one_line_with_the_nearest_name(self):
        run = ["--run", self.run_dir]
        self.assertIn("calibration", self.message(*run, "--only", "calibratoin"))
        self.assertIn("shape-bias.pool",
                      self.message(*run, "--only", "shape-bias", "--set", "shape-bias.pol=sum"))
        self.assertIn("sum",
                      self.message(*run, "--only", "shape-bias", "--set", "shape-bias.pool=summ"))
        self.assertIn("analysis.option=value", self.message(*run, "--set", "pool=sum"))
        self.assertIn("--only", self.message(*run, "--only", "cka", "--set", "shape-bias.pool=sum"))
        self.assertIn("--against", self.message(*run, "--agianst", "x"))
        self.assertIn("no-such", self.message("--run", "no-such-run"))
        self.assertIn("epoch-9", self.message(*run, "--checkpoint", "epoch-9", code=3))

    # --- the report -------------------------------------------------------------------------------

    def test_numbers_behind_each_figure_and_headline_values_are_files(self):
        self.report("--only", "calibration,confusion,shape-bias,variance", "--images", 100)
        report = self.run_dir / "report"
        summary = self.summary()
        for section in summary["sections"].values():
            for figure in section["figures"]:
                self.assertTrue((report / "figures" / f"{figure}.svg").exists(), figure)
                self.assertTrue((report / "figures" / f"{figure}.csv").exists(), figure)
            for array in section["arrays"]:
                self.assertTrue((report / "data" / f"{array}.npy").exists(), array)
        values = summary["sections"]["calibration"]["values"]
        self.assertLessEqual(
            {
                "accuracy", "ece", "adaptive_ece", "classwise_ece", "nll", "brier", "mce",
                "temperature", "ece_scaled"
            }, set(values))
        self.assertIn("accuracy", [entry["key"] for entry in summary["headline"]])
        self.assertIn("shape_bias", summary["sections"]["shape-bias"]["values"])

    def test_the_page_and_the_summary_have_the_order_of_the_list(self):
        for only in ("confusion,lesion", "variance,calibration,cka"):
            self.report("--only", only, "--images", 40)
        self.report("--along", "--only", "variance", "--images", 40)
        listed = [entry["name"] for entry in json.loads(self.analyze("--list", "--json").stdout)]
        wanted = [name for name in listed
                  if name in ("confusion", "lesion", "variance", "calibration", "cka")]
        self.assertEqual(len(wanted), 5)
        wanted.append("variance-along")
        self.assertEqual(list(self.summary()["sections"]), wanted)
        shown = re.findall(r'<section[^>]* id="([^"]+)"', self.page(self.run_dir))
        self.assertEqual([name for name in shown if name in wanted], wanted)

    def test_a_second_call_keeps_what_is_there_and_computes_what_changed(self):
        only = ["--only", "calibration,shape-bias", "--images", 60]
        self.report(*only)
        again = self.report(*only).stderr
        self.assertEqual(again.count("kept from before"), 2)
        other = self.report(*only, "--set", "shape-bias.seed=5").stderr
        self.assertEqual(other.count("kept from before"), 1)
        self.assertNotIn("kept from before",
                         self.report(*only, "--set", "shape-bias.seed=5", "--fresh").stderr)
        self.assertNotIn("kept", self.report("--only", "variance", "--images", 60).stderr)
        self.assertEqual(set(self.summary()["sections"]), {"calibration", "shape-bias", "variance"})
        self.assertEqual(len(self.summary()["commands"]), 4)
        self.assertFalse((self.run_dir / "report" / "partial").exists())

    def test_other_weights_are_computed_again(self):
        self.report("--only", "variance", "--images", 60)
        early = self.report("--only", "variance", "--images", 60, "--checkpoint",
                            "checkpoints/epoch-0000").stderr
        self.assertNotIn("kept from before", early)

    def test_sections_of_other_weights_are_marked_until_they_are_computed_again(self):
        self.report("--only", "variance,calibration", "--images", 60)
        page = self.run_dir / "report" / "index.html"
        self.assertNotIn("Stale.", page.read_text())
        early = ["--checkpoint", "checkpoints/epoch-0000", "--images", 60]
        text = self.report("--only", "variance", *early).stderr
        self.assertIn("marked as stale: calibration\n", text)
        self.assertIn("Stale.", page.read_text())
        sections = self.summary()["sections"]
        self.assertTrue(sections["calibration"]["stale"])
        self.assertNotIn("stale", sections["variance"])
        self.assertNotIn("accuracy", [entry["key"] for entry in self.summary()["headline"]])
        self.report("--only", "calibration", *early)
        self.assertNotIn("Stale.", page.read_text())

    def test_the_quick_set_says_what_full_adds_and_how_long_it_takes(self):
        text = self.report("--images", 32).stderr
        listed = json.loads(self.analyze("--list", "--json").stdout)
        self.assertRegex(text, r"\d+ sections, about ")
        self.assertRegex(text.splitlines()[-1], r"--full adds .* \(about .*\)")
        made = self.summary()["sections"]
        for entry in listed:
            if entry["name"] not in ("growth",):
                self.assertEqual(entry["quick"], entry["name"] in made, entry["name"])

    def test_a_budget_of_minutes_takes_fewer_pictures_then_fewer_sections_and_says_so(self):
        only = "variance,calibration,hessian"
        text = self.report("--only", only, "--minutes", 0.0001).stderr
        self.assertRegex(text, r"(?m)^left out, for want of time: .*hessian.*; --only .* makes")
        self.assertNotIn("hessian", self.summary()["sections"])
        text = self.report("--only", only, "--minutes", 60, "--images", 16, "--set",
                           "hessian.minibatches=1", "--set", "hessian.steps=3").stderr
        self.assertNotIn("left out", text)
        self.assertEqual(set(self.summary()["sections"]), set(only.split(",")))
        for wrong in ("0", "-1", "soon"):
            self.assertIn("above 0", self.message("--run", self.run_dir, "--minutes", wrong))

    def test_what_a_report_holds_with_all_its_pictures_is_kept_when_time_is_short(self):
        self.report("--only", "variance")
        text = self.report("--only", "variance", "--minutes", 0.0001).stderr
        self.assertIn("kept from before", text)
        self.assertNotIn("left out", text)

    def test_one_section_is_announced_as_one(self):
        text = self.report("--only", "variance", "--images", 20).stderr
        self.assertRegex(text, r"(?m)^1 section, about ")

    def test_numbers_and_names_that_do_not_fit_are_refused_in_readable_words(self):
        for flag, value, part in (("--images", 0, "number of pictures from 1 on"),
                                  ("--images", "many", "number of pictures from 1 on"),
                                  ("--threads", -1, "number of threads from 1 on")):
            text = self.message("--run", self.run_dir, flag, value)
            self.assertIn(flag, text)
            self.assertIn(str(value), text)
            self.assertIn(part, text)
        self.assertIn("--run last", self.message("last"))

    def test_a_damaged_report_is_mended_and_said(self):
        only = ["--only", "variance,calibration", "--images", 40]
        self.report(*only)
        report = self.run_dir / "report"
        (report / "sections" / "variance.json").write_text('{"format": 1' + "x" * 30000)
        (report / "summary.json").write_text('{"commands": 3}')
        text = self.report("--only", "calibration", "--images", 40).stderr
        self.assertIn("--only variance makes it anew", text)
        self.assertIn("summary.json: not a summary", text)
        self.assertLess(max(map(len, text.splitlines())), 400)
        self.assertEqual(set(self.summary()["sections"]), {"calibration"})
        text = self.report(*only).stderr
        self.assertIn("it is made anew", text)
        self.assertEqual(set(self.summary()["sections"]), {"variance", "calibration"})
        self.assertNotIn("anew", self.report(*only).stderr)

    def test_two_calls_at_once_lose_no_section_and_compute_none_twice(self):
        calls = [subprocess.Popen([BUILD / "analyze", "--run", self.run_dir, "--images", "40",
                                   "--only", only], cwd=self.dir, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for only in ("variance,calibration", "confusion,variance", "variance,cka")]
        errors = []
        for call in calls:
            errors.append(call.communicate(timeout=120)[1])
            self.assertEqual(call.returncode, 0, errors)
        self.assertEqual(set(self.summary()["sections"]),
                         {"variance", "calibration", "confusion", "cka"})
        self.assertEqual(len(self.summary()["commands"]), 3)
        self.assertEqual("".join(errors).count("kept from before"), 2)
        self.assertFalse((self.run_dir / "report" / "partial").exists())

    def overwrite_weights(self, name, make):
        """Replaces the bytes of a tensor in best.safetensors by make(bytes), without a checksum."""
        file = self.run_dir / "best.safetensors"
        content = bytearray(file.read_bytes())
        size = int.from_bytes(content[:8], "little")
        entries = json.loads(content[8:8 + size])
        entries.pop("__metadata__", None)
        begin, end = (8 + size + offset for offset in entries[name]["data_offsets"])
        content[begin:end] = make(content[begin:end])
        header = json.dumps(entries).encode()
        header += b" " * (-len(header) % 8)
        file.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size:])

    def test_a_network_that_is_not_finite_is_named_and_the_others_are_measured(self):
        other = train(self.dir / "other", "--epochs", 1, model="C.C:width=8")
        self.overwrite_weights("stem.conv.weight",
                               lambda old: struct.pack("<f", math.nan) + old[4:])
        only = ["--only", "calibration,confusion,variance", "--images", 40]
        text = self.report(*only, code=4).stderr
        self.assertIn("stem.conv.weight (1 of", text)
        section = self.summary()["sections"]["calibration"]
        self.assertRegex(section["finding"], "^Not measured.*stem.conv.weight.*not finite")
        self.assertEqual(section["values"], {})
        self.report(*only, "--against", other, code=4)
        section = self.summary()["sections"]["calibration"]
        self.assertTrue(section["finding"].startswith("C.C:width=8 is right"), section["finding"])
        self.assertIn("Left out: " + MODEL, self.page(self.run_dir))

    def test_no_sentence_ranks_what_the_pictures_cannot_tell_apart(self):
        self.report("--only", "robustness,heatmap,noise,confusion,lesion", "--images", 4)
        for name, section in self.summary()["sections"].items():
            with self.subTest(name):
                self.assertNotRegex(section["finding"],
                                    r"hurts most|hurt it most|hurt it more|loses -|weak side is|"
                                    r"needs \S+ most|\bnan\b|\binf\b")

    def test_what_does_not_apply_says_so(self):
        plain = train(self.dir, "--epochs", 1, model="C.C:width=8")
        self.analyze("--run", plain, "--only", "distance,growth", "--images", 40)
        sections = json.loads((plain / "report" / "summary.json").read_text())["sections"]
        self.assertIn("attention", sections["distance"]["finding"])
        self.assertIn("--against", sections["growth"]["finding"])

    def page(self, run):
        return html.unescape((run / "report" / "index.html").read_text())

    def test_canonical_correlation_of_too_many_features_is_refused_with_its_reason(self):
        self.report("--only", "similarity", "--images", 64, "--set",
                    "similarity.regression_features=flat")
        page = self.page(self.run_dir)
        self.assertRegex(
            page, r"features over 64 pictures: once p >= n - 1.*every canonical correlation is 1")
        self.assertIn("mean_cka", self.summary()["sections"]["similarity"]["values"])

    def test_a_dead_network_is_flagged_and_no_value_is_nan(self):
        self.overwrite_weights("stem.conv.weight", lambda old: bytes(len(old)))
        self.report("--only", "cka,similarity,variance,fourier", "--images", 64)
        self.assertIn("Dead, constant over the pictures", self.page(self.run_dir))
        text = (self.run_dir / "report" / "summary.json").read_text()
        self.assertNotIn("NaN", text)
        self.assertNotRegex(self.page(self.run_dir), r">[^<]*\bnan\b[^<]*<")

    def test_rollout_says_why_it_leaves_lambda_layers_out_and_their_maps_are_drawn(self):
        run = train(self.dir, "--epochs", 1, model="C.L:width=8,scope=3")
        self.analyze("--run", run, "--only", "rollout,lambda-maps", "--images", 8)
        sections = json.loads((run / "report" / "summary.json").read_text())["sections"]
        self.assertRegex(sections["rollout"]["finding"], "^Does not apply.*signed.*see lambda-maps")
        self.assertEqual(sections["rollout"]["figures"], [])
        self.assertIn("lambda-maps", sections["lambda-maps"]["figures"])
        self.assertIn("Does not apply: Attention rollout.", self.page(run))

    def test_an_interrupted_call_keeps_its_finished_sections(self):
        arguments = [
            BUILD / "analyze", "--run", self.run_dir, "--only",
            "variance,calibration,rollout,confusion,cka"
        ]
        process = subprocess.Popen(arguments, cwd=self.dir, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        sections = self.run_dir / "report" / "sections"
        deadline = time.time() + 120
        while time.time() < deadline and process.poll() is None and not list(
                sections.glob("*.json")):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        if process.returncode == 0:
            self.skipTest("it was done before the signal came")
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("the same command goes on", err)
        kept = len(list(sections.glob("*.json")))
        self.assertGreaterEqual(kept, 1)
        self.assertEqual(self.report("--only", "variance,calibration,rollout,confusion,cka")
                         .stderr.count("kept from before"), kept)

    def test_an_interrupted_landscape_shows_the_time_left_and_goes_on_at_the_point_where_it_stopped(
            self):
        command = ["--run", self.run_dir, "--only", "landscape", "--images", 60, "--threads", 1,
                   "--set", "landscape.side_points=5", "--set", "landscape.line_points=5"]
        whole = self.dir / "whole"
        self.analyze(*command, "--output", whole)
        terminal, inside = os.openpty()
        process = subprocess.Popen([BUILD / "analyze", *map(str, command)], cwd=self.dir,
                                   stdout=subprocess.DEVNULL, stderr=inside,
                                   env={**os.environ, "TERM": "xterm"})
        os.close(inside)
        shown = ""
        try:
            while process.poll() is None:
                shown += os.read(terminal, 4096).decode(errors="replace")
                if re.search(r"\d+ of 35 points.*left", shown):
                    process.send_signal(signal.SIGINT)
                    break
            while True:
                shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the terminal is gone with its program
            pass
        os.close(terminal)
        self.assertEqual(process.wait(timeout=60), 130, shown)
        self.assertRegex(shown, r"\d+ of 35 points.*(\d+:\d\d|\d+ s) left")
        report = self.run_dir / "report"
        kept = next(report.glob("partial/*/landscape-1"))
        points = len(kept.read_text().splitlines()) - 1
        self.assertGreater(points, 0)
        self.assertLess(points, 35)
        self.assertFalse((report / "sections" / "landscape.json").exists())
        self.assertEqual(self.report(*command[2:]).returncode, 0)
        self.assertFalse((report / "partial").exists())
        for name in ("landscape-nll-1", "landscape-accuracy-1"):
            file = Path("data") / f"{name}.npy"
            self.assertEqual((report / file).read_bytes(), (whole / file).read_bytes())

    def test_the_emulated_device_gives_the_values_of_the_processor(self):
        if not (BUILD / "analyze-emulated").exists():
            self.skipTest("analyze-emulated is not built")
        names = ["cka", "fourier", "variance", "hessian", "rollout", "calibration", "distance"]
        small = {
            "cka.batch": 8, "hessian.minibatches": 1, "hessian.batch": 4, "hessian.top": 1,
            "hessian.top_steps": 3, "hessian.probes": 1, "hessian.steps": 3,
            "hessian.trace_probes": 1, "rollout.pictures": 2
        }
        settings = [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
        sections = []
        for device in ("cpu", "cuda-emulated"):
            self.report("--device", device, "--output", self.dir / device, "--only",
                        ",".join(names), "--images", 8, *settings)
            sections.append(
                json.loads((self.dir / device / "summary.json").read_text())["sections"])
        for name in names:
            cpu, emulated = (section[name]["values"] for section in sections)
            self.assertTrue(cpu, name)
            self.assertEqual(set(cpu), set(emulated), name)
            for key, value in cpu.items():
                self.assertAlmostEqual(value, emulated[key], delta=1e-5 * max(1, abs(value)),
                                       msg=f"{name}.{key}")

    # --- several networks, other weights, other pictures ------------------------------------------

    def test_runs_stand_side_by_side_with_values_and_findings_of_all(self):
        others = [
            train(self.dir / "others", "--epochs", 1, model=model)
            for model in ("C.C:width=8", "C.CC:width=8")
        ]
        self.report("--against", *others, "--untrained", "--only",
                    "calibration,confusion,shape-bias", "--images", 60)
        sections = self.summary()["sections"]
        labels = set(sections["calibration"]["networks"])
        self.assertEqual(labels, {MODEL, "C.C:width=8", "C.CC:width=8", f"{MODEL}, untrained"})
        for name in ("calibration", "confusion", "shape-bias"):
            for label in labels:
                self.assertIn(label, sections[name]["finding"], name)
        self.assertIn("error-consistency", sections["shape-bias"]["figures"])
        self.assertIn("kappa", (self.run_dir / "report" / "index.html").read_text())

    def test_weights_from_a_file_are_analysed_without_a_run(self):
        shutil.copy(self.run_dir / "best.safetensors", self.dir / "net.safetensors")
        self.analyze("--model", MODEL, "--weights", "net.safetensors", "--data", "shapes", "--only",
                     "calibration,variance", "--images", 100)
        self.assertTrue((self.dir / "net-report" / "index.html").exists())
        weights = json.loads((self.dir / "net-report" / "summary.json").read_text())["sections"]
        self.assertGreater(weights["calibration"]["values"]["accuracy"], 0)
        self.assertIn("--model", self.message("--weights", "net.safetensors"))
        self.assertIn("--run",
                      self.message("--model", MODEL, "--weights", "net.safetensors", "--run", "x"))

    def test_any_pictures_without_labels_are_shown_to_two_files_of_weights(self):
        for name in ("a", "b"):
            shutil.copy(self.run_dir / "best.safetensors", self.dir / f"{name}.safetensors")
        pictures = self.dir / "pictures" / "deep"
        pictures.mkdir(parents=True)
        for i in range(6):
            (pictures / f"{i}.png").write_bytes(PIXEL)
        call = ["--model", MODEL, "--weights", "a.safetensors", "--against", "b.safetensors",
                "--pictures", "pictures"]
        said = self.analyze(*call, "--only", "variance,confusion")
        self.assertIn("6 pictures without labels", said.stderr)
        sections = json.loads((self.dir / "a-report" / "summary.json").read_text())["sections"]
        self.assertEqual(set(sections["variance"]["networks"]), {MODEL, "b"})
        self.assertIn("needs labels", sections["confusion"]["finding"])
        said = self.analyze(*call, "--minutes", "0.001")
        self.assertIn("left out, for want of labels: ", said.stderr)
        self.assertRegex(said.stderr, "for want of labels: .*calibration, confusion")
        self.report("--pictures", self.dir / "pictures", "--only", "variance")
        self.assertIn("no such folder", self.analyze("--model", MODEL, "--weights", "a.safetensors",
                                                     "--pictures", "nowhere", code=3).stderr)

    def test_an_analysis_runs_along_the_kept_weights(self):
        names = sorted(path.name for path in (self.run_dir / "checkpoints").iterdir())
        self.assertEqual(names, [f"epoch-000{i}.safetensors" for i in range(3)])
        self.assertEqual((self.run_dir / "checkpoints" / names[-1]).stat().st_size,
                         (self.run_dir / "last.safetensors").stat().st_size)
        arguments = ["--along", "--only", "calibration", "--images", 100]
        self.report(*arguments)
        rows = (self.run_dir / "report" / "figures" / "calibration-along.csv").read_text()
        for epoch in range(3):
            self.assertRegex(rows, rf"Test accuracy,[^\n]*,{epoch},")
        self.assertIn("between epochs 0 and 2",
                      self.summary()["sections"]["calibration-along"]["finding"])
        self.assertIn("kept from before", self.report(*arguments).stderr)

    def test_a_run_without_kept_weights_says_how_to_keep_them(self):
        shutil.rmtree(self.run_dir / "checkpoints")
        self.assertIn("--checkpoint-interval",
                      self.message("--run", self.run_dir, "--along", "--only", "variance"))

    def test_shares_of_the_data_are_compared_below_the_ceiling_of_another_seed(self):
        seed = train(self.dir / "seed", "--epochs", 2, "--seed", 7)
        tenth = train(self.dir / "tenth", "--epochs", 2, "--data-fraction", 0.1)
        self.assertIn("data_fraction = 0.1", (tenth / "config.toml").read_text())
        self.report("--only", "growth", "--against", seed, tenth, "--images", 128)
        section = self.summary()["sections"]["growth"]
        self.assertIn("10 % of the data", section["finding"])
        self.assertIn("ceiling", section["values"])
        self.assertIn("growth-share", section["figures"])

    def test_stimuli_in_a_folder_are_judged_by_their_names(self):
        folder = self.dir / "stimuli" / "disc"
        folder.mkdir(parents=True)
        (folder / "disc1-star2.png").write_bytes(PIXEL)
        (folder / "disc2-plus3.png").write_bytes(PIXEL)
        stimuli = ["--only", "shape-bias", "--set", f"shape-bias.folder={self.dir / 'stimuli'}"]
        self.report(*stimuli)
        self.assertIn("of 2 pictures", self.summary()["sections"]["shape-bias"]["finding"])
        self.assertIn("kept from before", self.report(*stimuli).stderr)
        (folder / "star1-disc4.png").write_bytes(PIXEL)
        self.assertNotIn("kept from before", self.report(*stimuli).stderr)
        self.assertIn("of 3 pictures", self.summary()["sections"]["shape-bias"]["finding"])
        (folder / "holiday.png").write_bytes(PIXEL)
        self.assertIn("holiday.png", self.report(*stimuli, code=3).stderr)

    def test_one_failing_analysis_does_not_take_the_others_down(self):
        failed = self.report("--only", "shape-bias,variance", "--images", 40, "--set",
                             f"shape-bias.folder={self.dir / 'nowhere'}", code=3)
        self.assertIn("nowhere", failed.stderr)
        self.assertIn("variance", self.summary()["sections"])


if __name__ == "__main__":
    unittest.main()
