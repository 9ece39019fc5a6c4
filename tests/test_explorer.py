#!/usr/bin/env python3
"""The explorer's pages in a browser: the numbers of their engine and of edits against the program's
(pages and answers by test_explorer), steps, keys, addresses, and what a screen reader is told.
usage: test_explorer.py BUILD
Exits with 77 where there is no Chromium. AXE_CORE=axe.min.js checks with axe-core, too."""
import json
import os
import re
import sys
import time

from chromium import SKIPPED, Chromium, check, failures, find_chromium


def worst_of(found, expected):
    """The largest difference, in units of the larger of 1 and the largest number."""
    scale = max(1.0, max(abs(v) for v in expected))
    return max(abs(a - b) for a, b in zip(found, expected)) / scale


def check_numbers(page, name, expected):
    count = len(expected["logits"])
    begin = time.time()
    found = page.evaluate(f"Array.from({{length: {count}}}, (_, i) => explorer.logits(i))")
    seconds = (time.time() - begin) / count
    worst = max(worst_of(a, b) for a, b in zip(found, expected["logits"]))
    check(worst <= 1e-3, f"{name}: logits differ by {worst:.2e} from the program's")
    worst_edit = 0
    for edit in expected["edits"]:
        wanted = edit["logits"]
        got = page.evaluate(f"explorer.logits({edit['picture']}, {json.dumps(edit['edits'])})")
        differs = worst_of(got, wanted)
        worst_edit = max(worst_edit, differs)
        check(differs <= 1e-3, f"{name}: under {edit['edits']} logits differ by {differs:.2e}")
    print(f"{name}: {count} pictures within {worst:.1e}, {len(expected['edits'])} edits within "
          f"{worst_edit:.1e}, {1e3 * seconds:.0f} ms a picture")
    return seconds


def check_attention(page, name):
    """What a query gives adds up to 1 over the places, for every head of every block."""
    sums = page.evaluate("""(() => {
      const {app} = explorer, sums = [];
      app.panes[0].blocks.forEach((block, i) => block.layers.forEach(layer => {
        if (layer.site.name !== 'attention') return;
        app.panes[0].set({block: i, layer: layer.site.path, head: 0});
        const {values, at} = app.panes[0].shown;
        for (let head = 0; head < values[at + 1].shape[1]; ++head) {
          const {map, before} = explorer.attended(head);
          sums.push([...map, ...before].reduce((sum, p) => sum + p, 0));
        }
      }));
      return sums;
    })()""")
    for total in sums:
        check(abs(total - 1) < 1e-4, f"{name}: what a query gives adds up to {total}")


def check_guide(page, name):
    """Every step asks; the right answer passes, the others do not, nothing checked does not."""
    steps = page.evaluate("explorer.guide.length")
    check(steps == 10, f"{name}: {steps} steps")
    for i in range(steps):
        options = page.evaluate(f"explorer.question({i}).options")
        right = [n for n, option in enumerate(options) if option["right"]]
        check(len(right) == 1, f"{name}: step {i + 1} has {len(right)} right answers: {options}")
        page.evaluate(f"explorer.show({i})")
        page.evaluate("document.getElementById('check').click()")
        check(page.evaluate("document.getElementById('verdict').className") == "no",
              f"{name}: step {i + 1} passes without an answer")
        for n in range(len(options)):
            page.evaluate(f"document.querySelectorAll('input[name=option]')[{n}].click()")
            page.evaluate("document.getElementById('check').click()")
            verdict = page.evaluate("document.getElementById('verdict').className")
            check(verdict == ("yes" if n in right else "no"),
                  f"{name}: step {i + 1}, option {n} is called {verdict!r}")


def check_layers(page, name):
    """Every layer of every block is taken apart without an error, and its sums are the engine's."""
    found = page.evaluate("""(() => {
      const {app} = explorer, wrong = [];
      let looked = 0;
      app.panes[0].blocks.forEach((block, i) => block.layers.forEach(layer => {
        app.panes[0].set({block: i, layer: layer.site.path, channel: 1, head: 0, input: -1});
        const text = document.querySelector('.layer').textContent;
        ++looked;
        const said = text.slice(-300);
        if (/NaN|undefined|they differ/.test(text)) wrong.push(layer.site.path + ': ' + said);
      }));
      return {looked, wrong};
    })()""")
    check(found["looked"] > 5, f"{name}: only {found['looked']} layers")
    for what in found["wrong"]:
        check(False, f"{name}: {what}")


def check_hands(page, name, address):
    """Keys, undo, the address, the sentence for screen readers."""
    say = "document.getElementById('status').textContent"
    page.open(address)
    first = page.evaluate(say)
    check(re.match(r"Of .+ says .+\(\d", first), f"{name}: the sentence is {first!r}")
    page.press("]")
    check("block 2" in page.evaluate(say), f"{name}: ] does not lead to block 2")
    page.press("[")
    check("channel 0" in page.evaluate(say), f"{name}: no value is said: {page.evaluate(say)!r}")
    page.press(".")
    check("channel 1" in page.evaluate(say), f"{name}: . does not lead to channel 1")
    page.evaluate("document.querySelector('[data-key=picture]').focus()")
    page.press("ArrowRight")
    check(page.evaluate("document.activeElement.dataset.key") == "picture",
          f"{name}: the focus is lost when the cursor moves")
    check(page.evaluate("explorer.app.state.u") > 0.5, f"{name}: the arrow moves no cursor")
    page.evaluate("document.querySelector('.edit button').click()")
    check("With 1 change" in page.evaluate(say), f"{name}: the change is not said")
    changed = page.evaluate("location.href")
    logits = page.evaluate("Array.from(explorer.app.passes[0].after.at(-1).data)")
    page.open(changed)
    again = page.evaluate("Array.from(explorer.app.passes[0].after.at(-1).data)")
    check(logits == again, f"{name}: the address does not lead to the same view")
    page.press("u")
    check(page.evaluate("explorer.app.state.edits.length") == 0, f"{name}: u does not undo")
    path = page.evaluate("explorer.app.panes[0].blocks[0].site.path")
    for wrong in ("#p=999&n=7,99999,x,-1,a&e=branch,nowhere,0,0,0&e=bad&s=44&c=9,9,9,9",
                  "#e=constructor,x,0,0,0", "#p=-1&d=99,x,4", f"#e=channel,{path},-1,0,0",
                  f"#e=low_pass,{path},7,0,0&e=noise,picture,.5,0,99"):
        page.open(address + wrong)
        said = page.evaluate(say)
        check(not page.errors() and "says" in said and "change" not in said,
              f"{name}: the address {wrong} leads to {said!r}")


def check_places(page, name, address):
    """What is drawn anew stays where it was scrolled to, and keeps the focus."""
    page.resize(390, 844)
    page.open(address)
    kept = page.evaluate("""(() => {
      const strip = () => document.querySelector('.strip');
      strip().scrollLeft = 120;
      document.querySelectorAll('.block')[2].click();
      const moved = strip().scrollLeft;
      const offers = () => document.querySelector('.offers');
      offers().scrollTop = 90;
      document.querySelectorAll('.edit button')[1].click();
      return [moved, offers().scrollTop];
    })()""")
    check(kept == [120, 90], f"{name}: 120 and 90 pixels become {kept}")
    press = """(selector => {
      const button = document.querySelector(selector);
      button.focus();
      button.click();
      const {id, dataset} = document.activeElement;
      return dataset.key ?? id;
    })"""
    check(page.evaluate(press + "('[data-key=undo-0]')") == "offers-summary",
          f"{name}: the focus is lost with the change that is undone")
    page.evaluate("explorer.app.panes[0].set({block: 0, layer: ''})")
    if not page.evaluate("!!document.querySelector('.bars button')"):
        return  # no convolution there
    found = page.evaluate(press + "('.bars button')")
    check(found.startswith("0-input-"),
          f"{name}: after an input channel {found!r} has the focus")


def check_tuned(page, name, address):
    """A filter has one cut: another takes its place, in the table of effects like the first."""
    page.open(address)
    found = page.evaluate("""(() => {
      const {app} = explorer, [block] = app.panes[0].blocks;
      for (const number of [.25, .75])
        app.addEdit({kind: 'low_pass', path: block.site.path, number, heads: 0, epsilon: 0});
      const cuts = app.state.edits.map(e => e.number);
      const slider = document.querySelector('[id^=which-low-pass]');
      slider.value = .375;
      slider.dispatchEvent(new Event('change'));
      const said = document.querySelector('.done').textContent;
      return {cuts, then: app.state.edits.map(e => e.number), said};
    })()""")
    check(found["cuts"] == [0.75] and found["then"] == [0.375], f"{name}: cuts are {found}")
    check("Over 8 pictures" in found["said"], f"{name}: not measured: {found['said']!r}")


def check_files(page, name, address):
    """What is no picture is told; a picture is shown, on white where it is transparent."""
    say = "document.getElementById('status').textContent"
    note = "document.getElementById('file-note').textContent"
    page.open(address)
    wait = "for (let i = 0; i < 100 && %s; ++i) await new Promise(r => setTimeout(r, 20));"
    for made, rule in (("new File(['text'], 'notes.txt')", "notes.txt is no picture"),
                       ("new File([''], 'empty.png', {type: 'image/png'})",
                        "empty.png is no picture"),
                       ("undefined", "no file")):
        page.evaluate(f"(async () => {{ explorer.app.takeFile({made});" +
                      wait % f"!{say}.includes({json.dumps(rule)})" + "})()")
        check(rule in page.evaluate(say) and rule in page.evaluate(note),
              f"{name}: {made} is said to be {page.evaluate(say)!r}")
    drawn = page.evaluate("""(async () => {
      const canvas = document.createElement('canvas');
      canvas.width = 300;
      canvas.height = 100;
      canvas.getContext('2d').fillRect(150, 0, 150, 100);
      const blob = await new Promise(resolve => canvas.toBlob(resolve));
      explorer.app.takeFile(new File([blob], 'half.png'));
      """ + wait % "explorer.app.state.picture >= 0" + """
      const bytes = explorer.app.own, side = explorer.app.data.side;
      return [bytes[0], bytes[3 * side - 1]];
    })()""")
    check(drawn == [255, 0], f"{name}: a picture half white, half black begins and ends {drawn}")
    check("a picture of yours" in page.evaluate(say), f"{name}: {page.evaluate(say)!r}")


def check_without_script(page, name, address):
    """Who runs no script sees what the report has, and nothing that would need one."""
    page.send("Emulation.setScriptExecutionDisabled", {"value": True})
    page.open(address)
    page.send("Emulation.setScriptExecutionDisabled", {"value": False})
    shown = page.evaluate("document.body.innerText")
    check("stands in the report beside this file" in shown and "Changes" not in shown,
          f"{name}: without script the page shows {shown[-200:]!r}")


def check_looks(page, name, address, axe):
    """Nothing is wider than the screen; what axe-core, or our own rules, find."""
    for width, height in ((1440, 900), (390, 844)):
        for dark in (False, True):
            page.resize(width, height, dark)
            page.open(address)
            for label in ("", "C.CCM.CM:width=32,stride=2,stem=24,pooled,head_dim=32,heads=1"):
                if label:
                    page.evaluate(f"explorer.app.data.networks[0].label = {json.dumps(label)}, "
                                  "explorer.app.render()")
                wide = page.evaluate("document.documentElement.scrollWidth")
                check(wide <= width, f"{name}: {wide} pixels wide on a screen of {width}")
            unnamed = page.evaluate("""
              [...document.querySelectorAll('button, select, input, [role=img]')]
              .filter(e => !e.getAttribute('aria-label') && !e.textContent.trim())
              .filter(e => !e.labels?.length).map(e => e.outerHTML.slice(0, 80))""")
            check(not unnamed, f"{name}: without a name: {unnamed}")
            if dark == (width > 600):
                continue
            for step in (0, 4, 5, 6, 8) if axe else ():
                page.evaluate(f"explorer.show({step})")
                page.evaluate(axe + "; 0")
                found = page.evaluate("""axe.run().then(result => result.violations.map(
                  v => v.id + ': ' + v.help + ' ' +
                    v.nodes.slice(0, 3).map(n => n.html.slice(0, 120)).join(' | ')))""")
                for what in found:
                    check(False, f"{name} at {width}, step {step + 1}: axe: {what}")


def main(build):
    binary = find_chromium()
    if not binary:
        print("no Chromium: nothing checked")
        return SKIPPED
    folder = os.path.join(os.path.abspath(build), "tests", "explorer")
    names = sorted(n[:-5] for n in os.listdir(folder) if n.endswith(".html"))
    check(len(names) > 30, f"only {len(names)} pages of test_explorer lie in {folder}")
    axe_file = os.environ.get("AXE_CORE", "")
    axe = ""
    if axe_file:
        with open(axe_file, encoding="utf-8") as file:
            axe = file.read()
    else:
        print("AXE_CORE names no axe.min.js: our own rules alone")
    with Chromium(binary) as page:
        for name in names:
            path = os.path.join(folder, name)
            with open(path + ".json", encoding="utf-8") as file:
                expected = json.load(file)
            address = "file://" + path + ".html"
            page.open(address)
            errors = page.errors()
            check(not errors, f"{name}: {errors}")
            check_numbers(page, name, expected)
            check_layers(page, name)
            check_attention(page, name)
            check_guide(page, name)
            if name in ("quick_alternet", "quick_lambda_resnet", "quick_vit"):
                size = os.path.getsize(path + ".html")
                check_hands(page, name, address)
                check_places(page, name, address)
                check_tuned(page, name, address)
                check_files(page, name, address)
                check_without_script(page, name, address)
                check_looks(page, name, address, axe)
                page.open(address)
                paint = page.evaluate("""new Promise(resolve => new PerformanceObserver(list =>
                    resolve(list.getEntriesByName('first-contentful-paint')[0]?.startTime))
                    .observe({type: 'paint', buffered: true}))""")
                print(f"{name}: {size / 1e6:.1f} MB, first paint after {paint:.0f} ms")
            errors = page.errors()
            check(not errors, f"{name}: {errors}")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
