#!/usr/bin/env python3
"""What is big is quick, and what is too big is refused: in little time and memory, in words that say why.

    limits.py [--martlet PATH] [--only TEXT]...

Each case prints seconds, peak memory and the first line of what was said. The exit status is 1 if any case fails.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from measure import adopt_orphans, machine, martlet_version, run

SECONDS = 1.0
MEBIBYTES = 512
HEAD = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: big-
spec:
  entrypoint: main
"""
NOOP = """    - name: nothing
      inputs: {parameters: [{name: number, default: "0"}]}
      container: {image: busybox, command: [/bin/true]}
"""


def long_graph(path):
    """10,000 lines: a chain of tasks, each with an argument and a dependency."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + "  templates:\n" + NOOP + "    - name: main\n      dag:\n        tasks:\n")
        for number in range(1665):
            file.write(f"""          - name: t{number}
            template: nothing
            depends: {f't{number - 1}' if number else '""'}
            arguments:
              parameters:
                - {{name: number, value: "{number}"}}
""")


def long_list(path):
    """10,000 lines: many templates, each called by one step that reads the result of the one before."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + "  templates:\n    - name: main\n      steps:\n")
        for number in range(900):
            value = f"{{{{steps.s{number - 1}.outputs.result}}}}" if number else "begin"
            file.write(f"""        - - name: s{number}
            template: t{number}
            arguments:
              parameters: [{{name: text, value: "{value}"}}]
""")
        for number in range(900):
            file.write(f"""    - name: t{number}
      inputs:
        parameters:
          - name: text
      container:
        image: busybox
        command: [echo, "{{{{inputs.parameters.text}}}}"]
""")


def bomb(path):
    """Nine lists of nine aliases each: a billion values in a few hundred bytes."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n" + HEAD)


def gigabyte(path):
    """A manifest of a gigabyte, most of it a hole in the file."""
    with open(path, "wb") as file:
        file.write(HEAD.encode())
        file.truncate(1 << 30)


def gigabyte_of_text(path):
    """The same with text all through, so that nothing can be refused for its first odd character."""
    block = b"# a comment that goes on and on, line by line\n" * 20_000
    with open(path, "wb") as file:
        file.write(HEAD.encode())
        while file.tell() < 1 << 30:
            file.write(block)


def recursion(path):
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + "  templates:\n    - name: main\n      steps:\n        - - {name: again, template: main}\n")


def recursion_of_two(path):
    """Two templates that call each other without end, behind a condition that always holds."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + """  templates:
    - name: main
      steps:
        - - {name: there, template: other, when: "1 == 1"}
    - name: other
      steps:
        - - {name: back, template: main, when: "1 == 1"}
""")


def sequence(count):
    def write(path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(HEAD + f"""  arguments:
    parameters: [{{name: count, value: "10"}}]
  templates:
    - name: main
      steps:
        - - name: step
            template: nothing
            withSequence: {{count: "{count}"}}
""" + NOOP)
    return write


def deep(path):
    """Lists in lists, far deeper than any stack is meant for."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + "  arguments: " + "[" * 100_000 + "]" * 100_000 + "\n")


def nested_expression(path):
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + "  templates:\n" + NOOP + "    - name: main\n      steps:\n        - - name: step\n"
                   "            template: nothing\n            when: '{{=" + "(" * 50_000 + "true" + ")" * 50_000
                   + "}}'\n")


# Name, manifest, words after `martlet`, exit statuses that are right, what the message must name.
CASES = [
    ("10,000 lines, a graph", long_graph, ["lint"], (0,), None),
    ("10,000 lines, templates", long_list, ["lint"], (0,), None),
    ("YAML bomb", bomb, ["lint"], (1, 2), r"alias|expan|limit|too many|values"),
    ("YAML bomb, run", bomb, ["run"], (2,), r"alias|expan|limit|too many|values"),
    ("1 GB, sparse", gigabyte, ["lint"], (1, 2), r"byte|MiB|MB|GiB|size|large|long|big"),
    ("1 GB of text", gigabyte_of_text, ["run"], (2,), r"byte|MiB|MB|GiB|size|large|long|big"),
    ("endless recursion", recursion, ["run", "--executor", "noop"], (1, 2), r"recurs|deep|depth|itself|nest"),
    ("endless recursion of two", recursion_of_two, ["run", "--executor", "noop"], (1, 2),
     r"recurs|deep|depth|itself|nest"),
    ("withSequence of 10^9", sequence("1000000000"), ["run", "--executor", "noop"], (1, 2),
     r"1[,_]?000[,_]?000|limit|too many|at most"),
    ("withSequence of 10^9, by parameter", sequence("{{workflow.parameters.count}}"),
     ["run", "--executor", "noop", "-p", "count=1000000000"], (1, 2), r"1[,_]?000[,_]?000|limit|too many|at most"),
    ("100,000 brackets", deep, ["lint"], (1, 2), r"deep|depth|nest|limit"),
    ("50,000 parentheses", nested_expression, ["lint"], (1, 2), r"deep|depth|nest|limit|long"),
]


def main():
    parser = argparse.ArgumentParser(description="Measures how limits are kept.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--only", action="append", default=[], help="only cases with this text in their name")
    options = parser.parse_args()
    martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
    adopt_orphans()
    folder = tempfile.mkdtemp(prefix="martlet-big-")
    failed = 0
    try:
        print(machine())
        print(f"martlet {martlet_version(martlet)}; each case within {SECONDS:g} s and {MEBIBYTES} MiB")
        for name, write, words, statuses, pattern in CASES:
            if options.only and not any(text in name for text in options.only):
                continue
            path = os.path.join(folder, "case.yaml")
            write(path)
            done = run(
                [martlet, words[0], path, *words[1:], "--data-dir", os.path.join(folder, "data")],
                limit=60, expected=None)
            failed += not report(name, done, statuses, pattern)
            os.unlink(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{failed} cases failed" if failed else "all limits are kept")
    return 1 if failed else 0


def report(name, done, statuses, pattern):
    """Prints one case; whether it is as it should be."""
    said = (done.err + "\n" + done.out).strip()
    wrong = []
    if done.status not in statuses:
        wrong.append(f"exit status {done.status}")
    if done.wall > SECONDS:
        wrong.append(f"more than {SECONDS:g} s")
    if done.peak_bytes > MEBIBYTES << 20:
        wrong.append(f"more than {MEBIBYTES} MiB")
    told = next((line for line in said.splitlines() if pattern and re.search(pattern, line, re.I)), None)
    if pattern and told is None:
        wrong.append("no clear word")
    shown = (told or (said.splitlines() or ["nothing was said"])[0]).strip()
    verdict = "SHORT: " + ", ".join(wrong) if wrong else "ok"
    print(f"  {name}: {done.wall:.2f} s, {done.peak_bytes / 2**20:.0f} MiB, {verdict}\n      {shown[-200:]}", flush=True)
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
