#!/usr/bin/env python3
# Checks the rules of the house on the source tree: who may include whom, circles of includes, size
# caps, file beginnings, left-overs, layout.
#   check_style.py [ROOT]
#       prints each violation as FILE:LINE: RULE and fails when there is any
#   check_style.py --format ROOT
#       demands that clang-format 14 would change nothing; exits with 77 where there is none
#   check_style.py --headers ROOT -- CXX ...
#       compiles each header that no source of the same name starts with
#   check_style.py --self-test
#       plants one violation of each rule and demands that it is found
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

FOLDERS = ["tensor", "nn", "models", "data", "train", "analysis", "tests", "experiments", ".cmake",
           ".ci"]
MAY_INCLUDE = {
    "tensor": ["tensor"],
    "passband.h": ["tensor", "nn", "models", "data"],
    "nn": ["tensor", "nn"],
    "models": ["tensor", "nn", "data", "models"],
    "data": ["tensor/core", "data"],
    "train": ["tensor", "nn", "models", "data", "train"],
    "analysis": ["tensor", "nn", "models", "data", "analysis"],
    "experiments": ["tensor", "nn", "models", "data", "train", "analysis", "experiments"],
    "tests": ["tensor", "nn", "models", "data", "train", "analysis", "tests"],
}
# Inside tensor/ a folder may include its own level and those before it, but not its neighbour.
TENSOR_LEVELS = {"tensor/core": 0, "tensor/autograd": 1, "tensor/cpu": 2, "tensor/cuda": 2,
                 "tensor/mpi": 2, "tensor/nccl": 2,
                 "tensor/ops": 3, "tensor": 4}
PROGRAM = re.compile(r"(^|/)(main|test_\w+)\.cpp$")
# A wing of analysis/ includes study/, report/ and itself; beyond them what is declared here.
WING_MAY_INCLUDE = {"report": ["report"], "study": ["report", "study"], "places": ["similarity"],
                    "similarity": ["reach"], "explore": ["frequency", "loss"]}
CUDA_HEADER = re.compile(
    r"<(cuda(?!_emulator)|cu(blas|dnn|fft|rand|solver)|nccl|nvrtc|nvtx|cooperative_groups|mma)")
CODE = (".h", ".cpp", ".cu", ".cuh")
SCRIPTS = (".py", ".sh", ".cmake", "CMakeLists.txt", "Makefile", ".toml", ".js", ".css")
FILE_CAP, FUNCTION_CAP, KERNEL_CAP, LINE_CAP = 500, 60, 100, 100
CLANG_FORMAT = 14  # other versions break lines elsewhere
SKIPPED = 77  # exit code of a check whose tool is not there
COMMON = "tensor/core/tensor.h"
# Written in pieces, so that this file passes its own check.
LEFT_OVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"
                       r"|(?<![\w.])/(wo" r"rk|fa" r"rm|ho" r"me|ro" r"ot|tm" r"p)/")


def blank(match):
    """The same text with everything but line ends turned into spaces, so that positions keep their
    meaning."""
    return re.sub(r"[^\n]", " ", match.group(0))


def code_only(text):
    """C++ without comments, literals and preprocessor lines."""
    text = re.sub(r'R"(\w*)\((?:.|\n)*?\)\1"', blank, text)
    pieces = r'//[^\n]*|/\*(?:.|\n)*?\*/|"(?:\\.|[^"\\\n])*"|(?<![\w])\'(?:\\.|[^\'\\\n])+\''
    text = re.sub(pieces, blank, text)
    return re.sub(r"(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text)


SCOPE = re.compile(r"(?:template\s*<.*?>\s*)?(?:(?:inline|constexpr|static|const|typedef)\s+)*"
                   r"(class|struct|union|enum|namespace|extern)\b", re.S)


def functions(text):
    """Yields (name, first line, last line) of each function body that is not inside another one."""
    code = code_only(text)
    # The kinds of the open braces; where the text that leads to the next brace begins.
    stack, begin = [], 0
    for at in (m.start() for m in re.finditer(r"[{};]", code)):
        if code[at] == "{":
            head = code[begin:at].strip()
            start = begin + len(code[begin:at]) - len(code[begin:at].lstrip())
            if any(kind != "scope" for kind, _, _ in stack):
                kind = "inner"
            elif SCOPE.match(head):
                kind = "scope"
            else:
                kind = "function" if "(" in head and not head.endswith(("=", ",", "(")) else "inner"
            stack.append((kind, start, head))
        elif code[at] == "}" and stack:
            kind, start, head = stack.pop()
            if kind == "function":
                name = re.search(r"([\w:~]+)\s*\(", head)
                yield (name.group(1) if name else "?", code.count("\n", 0, start) + 1,
                       code.count("\n", 0, at) + 1)
        begin = at + 1


def function_cap(path, name):
    kernel = path.endswith((".cu", ".cuh", "_cpu.cpp")) or path.startswith("tensor/cpu/")
    return KERNEL_CAP if kernel or name == "main" else FUNCTION_CAP


def check_wing(path, inner):
    """What is wrong with the include of `inner` in a wing of analysis/; None when nothing is."""
    wing, target = ((p.split("/") + [""])[1] for p in (path, inner))
    own = wing in ("report", "study")
    allowed = WING_MAY_INCLUDE.get(wing, []) + ([] if own else ["report", "study", wing])
    return None if target in allowed else f"analysis/{wing}/ may not include analysis/{target}"


def check_includes(path, lines):
    folder = path.split("/")[0]
    for number, line in enumerate(lines, 1):
        include = re.match(r'\s*#\s*include\s+(["<][^">]+[">])', line)
        if not include:
            continue
        target = include.group(1)
        of_cuda = (path.endswith((".cu", ".cuh")) or
                   path.startswith(("tensor/cuda/", "tensor/nccl/")))
        if CUDA_HEADER.match(target) and not of_cuda:
            yield number, f"{target} belongs in .cu, .cuh, tensor/cuda/ and tensor/nccl/ only"
        if target[0] == '"' or target[1:].split("/")[0] in MAY_INCLUDE:
            inner = target[1:-1]
            if path.startswith("experiments/examples/") and "/" not in inner:
                continue  # an example stands by itself, and so does what lies beside it
            # Of tensor/ops/attention/x.h: tensor/ops.
            here, there = ("/".join(name.split("/")[:-1][:2]) for name in (path, inner))
            level, other = (TENSOR_LEVELS.get(place, -1) for place in (here, there))
            if not any(inner.startswith(allowed + "/") for allowed in MAY_INCLUDE.get(folder, [])):
                yield number, f"{folder}/ may not include {target}"
            elif folder == "tensor" and (other > level or other == level and here != there):
                yield number, f"{here}/ may not include {target}"
            elif path.count("/") > 1 and inner.startswith("analysis/") and folder == "analysis":
                if problem := check_wing(path, inner):
                    yield number, problem


# How the beginning of a function, up to its body, tells what it does in a section of analysis/.
SECTION_STEPS = (
    ("measures", re.compile(r"\bProgress\s*&|(^|\s)measure\w*\(")),
    ("says", re.compile(r"^(std::string|std::vector<ReportValue>|ReportArray)\s"
                        r"|\b(Section|std::vector<ReportValue>)\s*&")),
    ("draws", re.compile(r"^(template\s*<[^>]*>\s*)?(\w+::\w+<)?plot::(?!Interval)"
                         r"|(?<!const )(?<!<)\b(std::vector<)?plot::\w+>?\s*&")),
)


def check_section(text, code):
    """A section reads in one direction: its functions measure, then say, then draw."""
    spaces = [m.start() for m in re.finditer(r"(?m)^namespace \{", code)]
    for start in spaces[1:]:
        yield code.count("\n", 0, start) + 1, "a section opens its anonymous namespace once"
    lines, last = code.split("\n"), 0
    for name, begin, end in functions(text):
        head = "\n".join(lines[begin - 1:end]).split("{")[0]
        if re.search(rf"(?m)^\w[\w:<>&*, ]* {name}\([^{{}};]*\);", code[:code.find(head)]):
            yield begin, f"{name} is declared ahead: let it stand before its first use"
        step = max((i for i, (_, sign) in enumerate(SECTION_STEPS) if sign.search(head)), default=0)
        if step < last and SECTION_STEPS[step][1].search(head):
            yield begin, (f"{name} {SECTION_STEPS[step][0]} after a function that "
                          f"{SECTION_STEPS[last][0]}: a section measures, says, draws")
        last = max(last, step)


def check_code(path, text, lines):
    yield from check_includes(path, lines)
    code = code_only(text)
    if path.endswith((".h", ".cuh")):
        if "#pragma once" not in lines[:40]:
            yield 1, "a header needs #pragma once"
        wanted = r"(?<!\w)CHECK\("
        if not path.startswith("tests/"):
            wanted += r"|\busing namespace\b"
        for match in re.finditer(wanted, code):
            line = code.count("\n", 0, match.start()) + 1
            yield line, f"a header may not use `{match.group(0).rstrip('(')}`"
    own = re.sub(r"\.cpp$", ".h", path)
    first = re.search(r'(?m)^#include "([^"]+)"', text)
    if own != path and f'"{own}"' in text and first.group(1) != own:
        yield 1, f"{own} must be the first include, to show that it stands alone"
    if path.startswith("analysis/") and path.endswith("_section.cpp"):
        yield from check_section(text, code)
    for name, begin, end in functions(text):
        if end - begin + 1 > function_cap(path, name):
            cap = function_cap(path, name)
            yield begin, f"{name} has {end - begin + 1} lines, the cap is {cap}"


def check_file(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        text = file.read()
    lines = text.split("\n")
    if not path.endswith(".md"):
        first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
        # A header speaks for the source of its name.
        own_header = f'#include "{re.sub("[.]cpp$", ".h", path)}"'
        if not first.startswith(("//", "# ", "/*", '"""', own_header)):
            yield 1, "the first line must be a comment that says what the file is"
        if len(lines) - 1 > FILE_CAP:
            yield 1, f"{len(lines) - 1} lines, the cap is {FILE_CAP}"
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_CAP:
                yield number, f"{len(line)} columns, the cap is {LINE_CAP}"
    for number, line in enumerate(lines, 1):
        found = LEFT_OVER.search(line)
        if found:
            yield number, f"left-over `{found.group(0)}`"
    if path.endswith(CODE):
        yield from check_code(path, text, lines)


def is_script_without_ending(path):
    if "." in os.path.basename(path):
        return False
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def source_files(root):
    skip = re.compile(r"(^|/)(\.git|build[^/]*|runs|downloads|__pycache__)$")
    for base, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not skip.search(f))
        for name in sorted(files):
            path = os.path.relpath(os.path.join(base, name), root)
            if path != name and path.split("/")[0] not in FOLDERS:
                continue
            known = path.endswith(CODE + SCRIPTS + (".md",))
            if known or is_script_without_ending(os.path.join(root, path)):
                yield path


def components(graph):
    """The strongly connected components of {node: set of nodes} that have several nodes."""
    index, lowest, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == index[node]:
            component = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def check_circles(root):
    """Circles of includes between files, and between folders when programs are left out."""
    files, folders = {}, {}
    paths = {path for path in source_files(root) if path.endswith(CODE)}
    for path in paths:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            included = re.findall(r'(?m)^\s*#\s*include\s+"([^"]+)"', file.read())
        files[path] = paths.intersection(included)
        if not PROGRAM.search(path):
            here = os.path.dirname(path)
            there = {os.path.dirname(other) for other in files[path]} - {here}
            folders.setdefault(here, set()).update(there)
    for circle in components(files):
        yield f"{circle[0]}:1: files include one another in a circle: {', '.join(circle)}"
    for circle in components(folders):
        yield f"{circle[0]}/:1: folders include one another in a circle: {', '.join(circle)}"


def check_tree(root):
    found = [
        f"{path}:{number}: {rule}" for path in source_files(root)
        for number, rule in check_file(root, path)
    ]
    return found + list(check_circles(root))


def included(path, includes, seen):
    """Adds to `seen` what a file of the project includes, itself or by others."""
    for name in includes.get(path, []):
        if name not in seen:
            seen.add(name)
            included(name, includes, seen)
    return seen


def check_headers(root, command):
    """Compiles on its own each header that no source of the same name includes first. Half of them
    include COMMON: precompiled, it is what they see in any case."""
    includes = {}
    for path in source_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            includes[path] = re.findall(r'(?m)^#include "([^"]+)"', file.read())
    headers = [p for p in sorted(includes) if p.endswith(".h") and p[:-2] + ".cpp" not in includes]
    command = command + ["-I", root]

    def compile_one(path, common):
        ahead = ["-include", common] if COMMON in included(path, includes, set()) else []
        run = subprocess.run(command + ahead + ["-fsyntax-only", "-x", "c++", "-"],
                             input=f'#include "{path}"\n', capture_output=True, text=True,
                             check=False)
        return [] if run.returncode == 0 else [f"{path} does not stand alone:\n{run.stderr}"]

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        common = os.path.join(folder, "common.h")
        with open(common, "w", encoding="utf-8") as file:
            file.write(f'#include "{COMMON}"\n')
        subprocess.run(command + ["-x", "c++-header", common, "-o", common + ".gch"], check=True)
        return [text for found in pool.map(lambda path: compile_one(path, common), headers)
                for text in found]


def find_clang_format():
    for name in (f"clang-format-{CLANG_FORMAT}", "clang-format"):
        tool = shutil.which(name)
        if tool:
            said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
            if f"version {CLANG_FORMAT}." in said.stdout:
                return tool
    return None


def check_format(root, tool):
    """Each source that clang-format would change, with the first line that it would."""
    def check(paths):
        run = subprocess.run([tool, "--dry-run", *paths], cwd=root, capture_output=True, text=True,
                             check=False)
        first = {}
        for path, line in re.findall(r"(?m)^(\S+?):(\d+):", run.stderr):
            first.setdefault(path, line)
        command = f"`{os.path.basename(tool)} -i` would change it"
        return [f"{path}:{line}: {command}" for path, line in first.items()]
    paths = [path for path in source_files(root) if path.endswith(CODE)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batches = [paths[i:i + 16] for i in range(0, len(paths), 16)]
        return [text for found in pool.map(check, batches) for text in found]


PLANTED = {  # path: (text, what the only violation must say)
    "nn/good.h": ("// x\n#pragma once\n#include \"tensor/t.h\"\nclass A {\n  int f();\n};\n",
                  None),
    "nn/up.h": ("// x\n#pragma once\n#include \"models/m.h\"\n", "nn/ may not include"),
    "data/ops.h": ("// x\n#pragma once\n#include \"tensor/ops/softmax.h\"\n",
                   "data/ may not include"),
    "analysis/t.cpp": ("// x\n#include \"train/trainer.h\"\n", "analysis/ may not include"),
    "analysis/main.cpp": ("// x\n#include \"analysis/reach/r.h\"\n", None),
    "analysis/reach/s.h": ("// x\n#pragma once\n#include \"analysis/study/s.h\"\n"
                           "#include \"analysis/report/r.h\"\n", None),
    "analysis/places/p.cpp": ("// x\n#include \"analysis/similarity/c.h\"\n", None),
    "analysis/reach/o.cpp": ("// x\n#include \"analysis/loss/l.h\"\n",
                             "analysis/reach/ may not include analysis/loss"),
    "analysis/reach/r.cpp": ("// x\n#include \"analysis/registry.h\"\n", "may not include"),
    "analysis/study/w.h": ("// x\n#pragma once\n#include \"analysis/reach/r.h\"\n",
                           "may not include"),
    "analysis/reach/a_section.cpp": (
        "// x\nnamespace {\nint f(const Progress& progress) {\n}\nstd::string g(int) {\n}\n"
        "plot::Panel h() {\n}\nvoid i(plot::Figure& figure) {\n}\n}\nSection a_section() {\n}\n",
        None),
    "analysis/reach/b_section.cpp": (
        "// x\nplot::Figure f() {\n}\nvoid g(int a, Section& section) {\n}\n",
        "g says after a function that draws"),
    "analysis/reach/c_section.cpp": (
        "// x\nstd::string f(const plot::Panel& panel) {\n}\nint measure(int a) {\n}\n",
        "measure measures after a function that says"),
    "analysis/reach/d_section.cpp": ("// x\nint f(int a);\nint g() {\n}\nint f(int a) {\n}\n",
                                     "f is declared ahead"),
    "analysis/reach/e_section.cpp": ("// x\nnamespace {\n}\nnamespace {\n}\n", "namespace once"),
    "train/e.cpp": ("// x\n#include \"experiments/e.h\"\n", "train/ may not include"),
    "tensor/near.cpp": ("// x\n#include \"error.h\"\n", "tensor/ may not include"),
    "tensor/ops/c.cpp": ("// x\n#include <cuda_runtime.h>\n", "belongs in .cu"),
    "tensor/cuda/c.h": ("// x\n#pragma once\n#include <cuda_runtime.h>\n", None),
    "tensor/core/up.h": ("// x\n#pragma once\n#include \"tensor/ops/o.h\"\n",
                         "tensor/core/ may not include"),
    "tensor/ops/deep/o.h": ("// x\n#pragma once\n#include \"tensor/ops/o.h\"\n", None),
    "tensor/core/deep.h": ("// x\n#pragma once\n#include \"tensor/ops/deep/o.h\"\n",
                           "tensor/core/ may not include"),
    "tensor/cpu/side.h": ("// x\n#pragma once\n#include \"tensor/cuda/c.h\"\n",
                          "tensor/cpu/ may not include"),
    "tensor/cuda/down.cu": ("// x\n#include \"tensor/autograd/n.h\"\n", None),
    "models/a.h": ("// x\n#pragma once\n#include \"models/b.h\"\n", "files include one another"),
    "models/b.h": ("// x\n#pragma once\n#include \"models/a.h\"\n", None),
    "train/one/a.h": ("// x\n#pragma once\n#include \"train/two/b.h\"\n", None),
    "train/two/b.h": ("// x\n#pragma once\n", None),
    "train/two/c.cpp": ("// x\n#include \"train/one/a.h\"\n", None),
    "train/two/test_b.cpp": ("// x\n#include \"nn/good.h\"\n", None),
    "nn/once.h": ("// x\nint f();\n", "#pragma once"),
    "nn/space.h": ("// x\n#pragma once\nusing namespace std;\n", "using namespace"),
    "nn/check.h": ("// x\n#pragma once\ninline void f(int a) { CHECK(a, 1); }  // CHECK(a)\n",
                   "may not use `CHECK`"),
    "nn/own.h": ("// x\n#pragma once\n", None),
    "nn/same.h": ("// x\n#pragma once\n", None),
    "nn/same.cpp": ("#include \"nn/same.h\"\n", None),
    "nn/own.cpp": ("// x\n#include \"tensor/t.h\"\n#include \"nn/own.h\"\n",
                   "must be the first include"),
    "nn/first.cpp": ("#include <vector>\n", "first line must be a comment"),
    "nn/long.cpp": ("// x\n" + "int a;\n" * 500, "501 lines"),
    "nn/wide.cpp": ("// " + "x" * 98 + "\n", "101 columns"),
    ".ci/run": ("#!/bin/sh\n# x\n" + "#" * 101 + "\n", "101 columns"),
    "experiments/walk": ("#!/usr/bin/env python3\nimport os\n", "first line must be a comment"),
    "tests/golden/make.py": ("# x\n" + "a = 1\n" * 500, "501 lines"),
    "nn/left.cpp": ("// TO" "DO: later\n", "left-over"),
    "data/place.cmake": ("# see /wo" "rk/place\n", "left-over"),
    "nn/sixty.cpp": ("// x\nA::A(int a) : b_{a} {\n" + "  f('{', \"}\");  // }\n" * 58 + "}\n",
                     None),
    "nn/big.cpp": ("// x\nnamespace n {\nint A::f(int a) const {\n" + "  if (a) { g(); }\n" * 59
                   + "}\n}\n",
                   "f has 61 lines"),
    "nn/main.cpp": ("// x\nint main() {\n" + "  g();\n" * 98 + "}\n", None),
    "tensor/ops/k_cpu.cpp": ("// x\nvoid k() {\n" + "  g();\n" * 99 + "}\n", "k has 101 lines"),
    "nn/table.cpp": ("// x\nconst std::vector<int> t = {\n" + "  g({1}),\n" * 99
                     + "};\nstruct B { int a; };\n", None),
}


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, (text, _) in PLANTED.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        found = check_tree(root)
    wrong = []
    if not any(line.startswith("train/one/:1: folders include one another") for line in found):
        wrong.append("self-test: a circle of folders was not found")
    for path, (_, wanted) in PLANTED.items():
        rules = [line for line in found if line.startswith(path + ":")]
        if len(rules) != (wanted is not None) or (wanted and wanted not in rules[0]):
            wrong.append(
                f"self-test: {path}: wanted {wanted or 'nothing'}, found {rules or 'nothing'}")
    return wrong


def main(arguments):
    if arguments[:1] == ["--self-test"]:
        found = self_test()
    elif arguments[:1] == ["--headers"]:
        found = check_headers(arguments[1], arguments[3:])
    elif arguments[:1] == ["--format"]:
        tool = find_clang_format()
        if not tool:
            print(f"no clang-format {CLANG_FORMAT}: nothing checked")
            return SKIPPED
        found = check_format(arguments[1], tool)
    else:
        found = check_tree(arguments[0] if arguments else ".")
    for line in found:
        print(line)
    print(f"{len(found)} violations" if found else "no violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
