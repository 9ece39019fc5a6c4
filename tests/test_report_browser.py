#!/usr/bin/env python3
"""The report in a browser: five networks and seventeen sections, made by the program from networks
that are hardly trained. Its weight, its head, its figures, its print.
usage: test_report_browser.py BUILD
Exits with 77 where there is no Chromium. AXE_CORE=axe.min.js checks with axe-core, too."""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile

from chromium import SKIPPED, Chromium, check, failures, find_chromium

MOST_BYTES, MOST_NODES = 2_500_000, 40_000
NETWORKS = ("alternet", "resnet", "lambda_resnet", "vit", "C.CM:width=32,stride=2,head_dim=16")
SECTIONS = ("curves,cka,fourier,noise,variance,distance,entropy,receptive-field,rollout,"
            "rollout-gradient,rollout-class,lambda-maps,localisation,skip,calibration,confusion,"
            "lesion")


def make_report(build, folder):
    """The folder of the report."""
    runs = []
    for number, model in enumerate(NETWORKS):
        runs.append(os.path.join(folder, str(number)))
        settings = {"model": model, "data": "shapes", "steps": 2, "batch-size": 16,
                    "shapes-train": 64, "shapes-test": 32, "output": runs[-1], "threads": 2}
        command = [os.path.join(build, "train")]
        for name, value in settings.items():
            command += ["--" + name, str(value)]
        subprocess.run(command, check=True, capture_output=True)
        runs[-1] = os.path.join(runs[-1], os.listdir(runs[-1])[0])
    report = os.path.join(folder, "report")
    subprocess.run([os.path.join(build, "analyze"), "--run", runs[0], "--against", *runs[1:],
                    "--only", SECTIONS, "--images", "8", "--output", report, "--threads", "2"],
                   check=True, stdout=subprocess.DEVNULL, stderr=None)
    return report


def number_of(text):
    """The number that a cell begins with, and how far it was rounded."""
    found = re.match(r"[+\u2212-]?[\d\u202f]*\.?\d+(e[+-]\d+)?", text)
    plain = found.group(0).replace("\u2212", "-").replace("\u202f", "").lstrip("+")
    decimals = len(plain.split("e")[0].split(".")[1]) if "." in plain else 0
    scale = 100 if text[found.end():].strip().startswith("%") else 1
    return float(plain) / scale, 0.51 * 10 ** -decimals / scale


def check_head(page, summary):
    """The first screen, and the table of claims against the summary's numbers."""
    for width in (390, 1440):
        page.resize(width, 900)
        lines = page.evaluate("""(() => {
          const h = document.querySelector('h1');
          return h.getBoundingClientRect().height / parseFloat(getComputedStyle(h).lineHeight);
        })()""")
        check(lines < 2.1, f"at {width} the title has {lines:.1f} lines")
    order = page.evaluate("""[...document.querySelectorAll('h1, table.claims, section.analysis')]
      .map(e => e.id || e.className || e.tagName)""")
    check(order[1:3] == ["claims", "curves"], f"the page begins with {order[:4]}")
    table = page.evaluate("""[...document.querySelectorAll('table.claims tr')].map(row => ({
      section: row.querySelector('a')?.hash.slice(1),
      cells: [...row.children].map(cell => ({
        text: cell.textContent, value: cell.querySelector('b')?.textContent,
        seen: cell.querySelector('span')?.textContent}))}))""")
    networks = [cell["text"] for cell in table[0]["cells"][1:]]
    check(len(networks) == 5, f"columns of the claims: {networks}")
    rows = {row["cells"][0]["text"].replace("\u00a0", " "): row for row in table[1:]}
    compared = 0
    for name, section in summary["sections"].items():
        for claim in section.get("claims", []):
            row = rows.get(claim["claim"])
            check(row is not None and row["section"] == name, f"no row for {claim['claim']}")
            for network, seen in claim["networks"].items() if row else ():
                cell = row["cells"][1 + networks.index(network)]
                check(cell["seen"] == seen, f"{claim['claim']}, {network}: {cell} is not {seen}")
                wanted = section["networks"][network][claim["key"]]
                if wanted is None:
                    continue
                shown, rounding = number_of(cell["value"])
                compared += 1
                rounding = max(rounding, 0.006 * abs(wanted))
                check(abs(shown - wanted) <= rounding,
                      f"{claim['claim']}, {network}: {cell['value']} is not {wanted}")
    check(compared >= 15, f"only {compared} numbers of claims")


def check_figures(page):
    """Nothing twice, nothing unnamed, values beside the pointer, pictures that enlarge."""
    titles = page.evaluate("""[...document.querySelectorAll('figure')].map(figure =>
      [...figure.querySelectorAll('.panel > .title')].map(t => t.textContent))""")
    for of_figure in titles:
        check(len(set(of_figure)) == len(of_figure), f"panels of one title: {of_figure}")
    doubles = page.evaluate("""(() => { const all = [...document.querySelectorAll(
      'svg.broad, svg.slim')].map(svg => svg.outerHTML);
      return [all.length, new Set(all).size]; })()""")
    check(doubles[0] == doubles[1] and doubles[0] > 40, f"drawings, different ones: {doubles}")
    box = page.evaluate("""(() => {
      const svg = document.querySelector('#figure-distance .panels svg');
      const mark = svg.querySelector('.rim path');
      svg.scrollIntoView({block: 'center', behavior: 'instant'});
      const b = mark.getBoundingClientRect();
      return [b.x + b.width / 2, b.y + b.height / 2];
    })()""")
    page.send("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": box[0], "y": box[1]})
    said = page.evaluate("""(() => {
      const out = document.querySelector('#figure-distance .readout');
      const b = out.getBoundingClientRect();
      return [out.hidden, out.textContent, b.x, b.y];
    })()""")
    check(not said[0] and re.search(r"head \d+ of .+: [\d.]+ px", said[1]),
          f"the pointer reads {said}")
    check(abs(said[2] - box[0]) < 320 and abs(said[3] - box[1]) < 120,
          f"values stand at {said[2:]}, the pointer at {box}")
    check(page.evaluate("document.querySelectorAll('svg [role=button]').length") == 0,
          "a part of a drawing has become a button")
    check_enlarged(page)
    page.evaluate("document.querySelectorAll('details.data')[1].open = true")
    page.evaluate("new Promise(done => setTimeout(done, 100))")
    check(page.evaluate("document.querySelectorAll('details.data td').length") > 3,
          "an opened data table is empty")


def check_links(page):
    """A section that the contents lead to stands at the head of the window, drawn or not before."""
    for name in ("lesion", "distance", "skip", "curves"):
        page.evaluate(f"document.querySelector('.contents a[href=\"#{name}\"]').click()")
        page.evaluate("new Promise(done => setTimeout(done, 400))")
        top = page.evaluate(f"document.getElementById('{name}').getBoundingClientRect().top")
        check(-2 <= top < 120, f"{name} stands at {top}, after a click on it")


def check_enlarged(page):
    """The picture, large, with its scale and the value under the cursor or pointer."""
    for width in (1440, 390):
        page.resize(width, 900)
        page.evaluate("document.querySelector('.cell[data-size]').click()")
        page.press("ArrowRight")
        page.evaluate("new Promise(done => setTimeout(done, 100))")
        page.press("ArrowRight")
        text = page.evaluate("document.querySelector('dialog').textContent")
        check(re.search(r"row 1, column 2: [\d.]+", text), f"the enlarged picture says {text!r}")
        left, right, inside = page.evaluate("""(() => {
          const box = e => document.querySelector('dialog' + e).getBoundingClientRect();
          const close = box(' button'), base = box(' .base');
          return [box('').left, box('').right, close.bottom <= base.top];
        })()""")
        check(left >= 0 and right <= width, f"at {width} it reaches from {left} to {right}")
        check(inside, "the picture covers its button")
        check(page.evaluate("!!document.querySelector('dialog .scale i')"), "it has no scale")
        x, y = page.evaluate("""(() => {
          const map = document.querySelector('dialog image').getBoundingClientRect();
          return [map.right - 2, map.bottom - 2];
        })()""")
        page.send("Input.dispatchMouseEvent", {"type": "mousePressed", "x": x, "y": y,
                                               "button": "left", "clickCount": 1})
        rows, columns = page.evaluate(
            "document.querySelector('.cell[data-size]').dataset.size.split(' ')")
        text = page.evaluate("document.querySelector('dialog').textContent")
        check(f"row {rows}, column {columns}:" in text, f"at its corner it says {text!r}")
        page.evaluate("document.querySelector('dialog').close()")
    page.resize(1440, 900)


def check_print(page):
    """Paper is light, and every section begins at the head of a page."""
    page.send("Emulation.setEmulatedMedia", {"media": "print", "features": [
        {"name": "prefers-color-scheme", "value": "dark"}]})
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    check(paper == "rgb(255, 255, 255)", f"the paper is {paper}")
    page.send("Emulation.setEmulatedMedia", {"media": ""})
    pdf = base64.b64decode(page.send("Page.printToPDF", {"printBackground": True})["data"])
    # A section's link leads to its top: [page /XYZ x y zoom], y from the foot of the page.
    heights = [float(y) for y in re.findall(rb"/XYZ\s+[\d.]+\s+([\d.]+)", pdf)]
    check(len(heights) >= 17, f"{len(heights)} places that links of the print lead to")
    sections = page.evaluate("document.querySelectorAll('section.analysis').length")
    at_head = [y for y in heights if y > 720]
    check(len(at_head) >= sections,
          f"of {sections} sections {len(at_head)} begin at the head of a page: {heights}")


def check_looks(page, address, axe):
    for width in (1440, 390):
        for dark in (False, True):
            page.resize(width, 900, dark)
            page.open(address)
            wide = page.evaluate("document.documentElement.scrollWidth")
            check(wide <= width, f"{wide} pixels wide on a screen of {width}")
            if width == 390:
                columns = page.evaluate("""getComputedStyle(document.querySelector('.cells'))
                  .gridTemplateColumns.split(' ').length""")
                check(columns == 2, f"pictures in {columns} columns on a telephone")
                check(page.evaluate("document.querySelector('.contents').offsetHeight") > 100,
                      "no contents on a telephone")
            if not axe:
                continue
            page.evaluate(axe + "; 0")
            for what in page.evaluate("""axe.run().then(result => result.violations.map(
              v => v.id + ': ' + v.help + ' ' +
                v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')))"""):
                check(False, f"at {width}{' dark' if dark else ''}: axe: {what}")


def main(build):
    binary = find_chromium()
    if not binary:
        print("no Chromium: nothing checked")
        return SKIPPED
    axe_file = os.environ.get("AXE_CORE", "")
    axe = open(axe_file, encoding="utf-8").read() if axe_file else ""
    with tempfile.TemporaryDirectory() as folder:
        report = make_report(os.path.abspath(build), folder)
        file = os.path.join(report, "index.html")
        with open(os.path.join(report, "summary.json"), encoding="utf-8") as text:
            summary = json.load(text)
        size = os.path.getsize(file)
        check(len(summary["sections"]) == 17, f"{len(summary['sections'])} sections")
        check(size <= MOST_BYTES, f"the page has {size} bytes")
        with Chromium(binary, 300) as page:
            page.resize(1440, 900)
            page.open("file://" + file)
            check(not page.errors(), "the page throws")
            nodes = page.evaluate("document.querySelectorAll('*').length")
            ready = page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
            check(nodes <= MOST_NODES, f"the page has {nodes} nodes")
            print(f"{size} bytes, {nodes} nodes, interactive after {ready:.0f} ms")
            check_head(page, summary)
            page.resize(1440, 900)
            check_links(page)
            check_figures(page)
            check(not page.errors(), "the page throws when it is used")
            check_looks(page, "file://" + file, axe)
            check_print(page)
    print("failures:", len(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
