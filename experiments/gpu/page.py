"""The files of `make gpu-check`: all that was found as JSON, and a page for people."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from roofline import training_step

ROOT = Path(__file__).resolve().parent.parent.parent
RATIO_GOAL, SHARE_GOAL, RESNET50_GOAL = 1.2, 0.7, 7950
F32_BYTES, BF16_BYTES = 4, 2


def write_files(folder, device, found, rehearsed):
    """Adds what was found to <device>.json and writes <device>.md beside it, each replaced whole;
    returns the page."""
    stem = re.sub(r"[^a-z0-9]+", "-", device["name"].lower()).strip("-")
    stem = "rehearsal" if rehearsed else stem
    commit = commit_of_sources() or "a bundle"
    for entry in found.values():
        entry.update(commit=commit, date=time.strftime("%Y-%m-%d"))
    path = folder / f"{stem}.json"
    parts = json.loads(path.read_text())["parts"] if path.exists() else {}
    parts.update(found)
    result = {"device": device, "rehearsal": rehearsed, "parts": parts}
    replace(path, json.dumps(result, indent=1) + "\n")
    replace(folder / f"{stem}.md", page(result))
    return folder / f"{stem}.md"


def commit_of_sources():
    """Empty without git, or outside a repository."""
    if not shutil.which("git"):
        return ""
    return subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False).stdout.strip()


def replace(path, text):
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


class Found:
    """What the parts measured, by meaning."""

    def __init__(self, parts):
        self.parts = parts
        self.operations = [(name.split()[-1], entry["data"]) for name, entry in parts.items()
                           if name.startswith("operations: ") and "data" in entry]
        self.rates = {
            key: value
            for _, data in self.operations
            for key, value in data.items()
            if key != "results"
        }
        self.training = {}  # (model, side, batch, precision) -> {mode: what bench printed}
        for name, entry in parts.items():
            if name.startswith("training: ") and "data" in entry:
                model, side, batch, precision, mode = name.removeprefix("training: ").split(" ", 4)
                self.training.setdefault((model, int(side), int(batch), precision),
                                         {})[mode] = entry["data"]

    def ours(self, key):
        """Images per second of our best mode, 0 when none ran."""
        return max((data["images_per_s_median"] for data in self.training.get(key, {}).values()),
                   default=0)

    def torch_modes(self, key):
        """{mode: images per second, or why there are none}."""
        peer = self.training.get(key, {}).get("graph", {}).get("peer", {})
        if "modes" not in peer:
            return {"PyTorch": peer["message"]} if "message" in peer else {}
        return {
            mode["mode"]: (1e3 * key[2] / mode["step_ms_median"]
                           if "step_ms_median" in mode else mode["message"])
            for mode in peer["modes"]
        }

    def torch(self, key):
        """Images per second of PyTorch's best mode, 0 when none ran."""
        return max((rate for rate in self.torch_modes(key).values() if not isinstance(rate, str)),
                   default=0)

    def bound(self, key):
        """Images per second that the device's measured rates allow; 0 when it is not known."""
        model, side, batch, precision = key
        bytes_of = BF16_BYTES if precision == "bf16" else F32_BYTES
        step = training_step(model, side, batch, 10 if side <= 64 else 1000, bytes_of)
        product = self.rates.get(f"product_gflops_{precision}")
        copy = self.rates.get("copy_gbytes_per_s")
        return step.images_per_s(product * 1e9, copy * 1e9) if step and product and copy else 0


def number(value, digits=0):
    return f"{value:,.{digits}f}" if value else "-"


def ratio(a, b, form="{:.2f}"):
    return form.format(a / b) if a and b else "-"


def percent(a, b):
    return f"{100 * a / b:.0f} %" if a and b else "-"


def head(result):
    device, parts = result["device"], result["parts"]
    lines = [f"# {device['name']}", ""]
    if result["rehearsal"]:
        lines = [
            "# Rehearsal, no GPU", "",
            "Every number here is of an emulator. It shows that the script works and nothing else.",
            ""
        ]
    commits = sorted({f"{entry['commit']} ({entry['date']})" for entry in parts.values()})
    facts = [
        f"{key.replace('.', ' ').replace('_', ' ')} {value}" for key, value in device.items()
        if key != "name"
    ]
    return lines + [f"Measured at {', '.join(commits)}. {'; '.join(facts)}", ""]


def tests(parts):
    lines = ["## Tests", "", "| part | outcome | s |", "|---|---|---|"]
    for name, entry in parts.items():
        if name.startswith(("tests: ", "sanitizer: ")):
            outcome = entry["outcome"].splitlines()[0][:200].replace("|", "/")
            data = entry.get("data") or {}
            cases = f", {data['cases']} cases" if "cases" in data else ""
            lines.append(f"| {name} | {outcome}{cases} | {entry['seconds']} |")
    failed = [f"- {name}: {entry['outcome'].splitlines()[0][:300]}" for name, entry in parts.items()
              if name.startswith(("operations: ", "training: ")) and entry["outcome"] != "passed"]
    return lines + [""] + (["What could not be measured:", "", *failed, ""] if failed else [])


def goals(found):
    lines = [
        "## Goals", "", "| goal | model | batch | measured | reached |", "|---|---|---|---|---|"
    ]

    def row(goal, key, measured, shown, wanted):
        lines.append(
            f"| {goal} | {key[0]} at {key[1]} | {key[2]} | {shown if measured else 'not measured'}"
            f" | {('yes' if measured >= wanted else 'no') if measured else '-'} |"
        )

    for key in found.training:
        if key[3] != "bf16":
            continue
        ours, torch, bound = found.ours(key), found.torch(key), found.bound(key)
        if key[1] == 32:
            times = ours / torch if torch else 0
            row(f"{RATIO_GOAL} times the best of PyTorch's modes", key, times, f"{times:.2f}",
                RATIO_GOAL)
        share = ours / bound if bound else 0
        row(f"{100 * SHARE_GOAL:.0f} % of the fused bound", key, share, f"{100 * share:.0f} %",
            SHARE_GOAL)
        if key[:2] == ("resnet50", 224):
            row(f"{RESNET50_GOAL:,} images/s", key, ours, number(ours), RESNET50_GOAL)
    return lines + [""]


def training(found):
    lines = [
        "## Training steps",
        "",
        (
            "Images per second, the median of five blocks: by our own kernels, and with products"
            " and convolutions of the libraries, as `train` takes them. The bound is the fused"
            " roofline at the rates measured in this run ([roofline.py](roofline.py)). PyTorch has"
            " the same weights and batch; a mode whose first loss is not ours has no number."
        ),
        "",
        (
            "| model | side | batch | type | eager | graph | libraries | bound | share |"
            " PyTorch, its best | ratio | peak MiB | PyTorch MiB |"
        ),
        "|" + "---|" * 13,
    ]
    for key, modes in found.training.items():
        peer = modes.get("graph", {}).get("peer", {})
        memory = max((mode.get("peak_memory_mb", 0) for mode in peer.get("modes", [])), default=0)
        rates = [number(modes.get(mode, {}).get("images_per_s_median"))
                 for mode in ("eager", "graph", "graph, libraries")]
        ours, torch, bound = found.ours(key), found.torch(key), found.bound(key)
        lines.append(
            f"| {key[0]} | {key[1]} | {key[2]} | {key[3]} | {' | '.join(rates)} | {number(bound)} |"
            f" {percent(ours, bound)} | {number(torch)} | {ratio(ours, torch)} |"
            f" {number(modes.get('graph', {}).get('peak_memory_mb'))} | {number(memory)} |"
        )
    return lines + ["", *torch_table(found)]


def torch_table(found):
    rows = {key: found.torch_modes(key) for key in found.training}
    names = list(dict.fromkeys(name for modes in rows.values() for name in modes))
    peer = next((modes["graph"]["peer"] for modes in found.training.values()
                 if "torch" in modes.get("graph", {}).get("peer", {})), {})
    if not names:
        return []
    versions = ", ".join(f"{key} {peer[key]}" for key in ("torch", "cuda", "cudnn") if key in peer)
    lines = [
        f"### PyTorch, by mode{': ' + versions if versions else ''}", "",
        f"| model | side | batch | type | {' | '.join(names)} |", "|" + "---|" * (4 + len(names))
    ]
    for key, modes in rows.items():
        cells = [modes.get(name, 0) for name in names]
        cells = [
            cell.replace("|", "/")[:120] if isinstance(cell, str) else number(cell)
            for cell in cells
        ]
        lines.append(f"| {key[0]} | {key[1]} | {key[2]} | {key[3]} | {' | '.join(cells)} |")
    return lines + [""]


def operations(found):
    if not found.operations:
        return []
    rates = found.rates
    lines = [
        "## Operations",
        "",
        (
            f"The device copies {number(rates.get('copy_gbytes_per_s'))} GB/s and multiplies large"
            f" matrices of random numbers at {number(rates.get('product_gflops_bf16', 0) / 1e3, 1)}"
            f" TFLOP/s in bf16, {number(rates.get('product_gflops_tf32', 0) / 1e3, 1)} in tf32,"
            f" {number(rates.get('product_gflops_f32', 0) / 1e3, 1)} in f32, measured in the same"
            " run."
        ),
        "",
        "| operation | shape | type | engine | ms | rate | limit | share |",
        "|" + "---|" * 8,
    ]
    for engine, data in found.operations:
        for row in data["results"]:
            if "gflops" in row:
                keys = ("gflops", "peak_gflops")
                rate, limit = (f"{row[key] / 1e3:,.2f} TFLOP/s" for key in keys)
            else:
                keys = ("gbytes_per_s", "peak_gbytes_per_s")
                rate, limit = (f"{row[key]:,.0f} GB/s" for key in keys)
            lines.append(
                f"| {row['op']} | {row['shape']} | {row['dtype']} | {engine} | {row['ms']:.4f} |"
                f" {rate} | {limit} | {100 * row['share_of_peak']:.0f} % |"
            )
    return lines


def launches(parts):
    lines = []
    for name, entry in parts.items():
        if not name.startswith("launches: ") or "data" not in entry:
            continue
        lines += [
            f"## A step of {name.removeprefix('launches: ')} under ncu", "",
            "One eager step with the libraries' products, caches as they are, by kernel.", "",
            "| kernel | launches | us | MB | TB/s | cycles that issue |", "|" + "---|" * 6
        ]
        lines += [
            f"| {kernel.replace('|', '/')} | {count} | {us:,.0f} | {megabytes:,.0f} |"
            f" {megabytes / us if us else 0:.2f} | {issue:.0f} % |"
            for kernel, count, us, megabytes, issue in entry["data"]
        ] + [""]
    return lines


def page(result):
    found = Found(result["parts"])
    lines = head(result) + goals(found) + tests(
        result["parts"]) + training(found) + launches(result["parts"]) + operations(found)
    return "\n".join(lines) + "\n"
