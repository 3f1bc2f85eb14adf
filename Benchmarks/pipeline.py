#!/usr/bin/env python3
"""What the engine itself takes of the quickstart pipeline's time, and how long a step takes to start.

    pipeline.py [--martlet PATH] [--runs N] [--short]

The pipeline of workflows/quickstart.yaml runs by `martlet run` on a hub of its own. A step's supervisor notes when its
program began and ended. What lies between the programs belongs to the engine: deciding, saving, artifacts in and out,
sandboxes. Its share is that time out of all from the first word of the command line to its end.

A step's cold start is the time from the end of the step before it to the start of its program, and then to the program's
first own line: the same program's start by hand. Medians of all steps that waited for exactly one other.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(ROOT, "workflows", "quickstart")]

import calendar_notes
from demo import SHORT, Program, environment
from measure import Verdicts, machine, martlet_version

PATIENCE_SECONDS = 1800
# A share of a pipeline of a minute; that of hours is none.
SHARE_TARGET, START_TARGET = 2, 100


def programs(data):
    """(start, end) in seconds of all programs of steps, in the order of their starts."""
    spans = []
    for folder, _, files in os.walk(os.path.join(data, "runs")):
        if "result" not in files or "spec" not in files:
            continue
        with open(os.path.join(folder, "result"), encoding="utf-8") as file:
            facts = dict(line.split(" ", 1) for line in file.read().splitlines() if " " in line)
        spans.append((int(facts["startedNanoseconds"]) / 1e9, int(facts["finishedNanoseconds"]) / 1e9))
    return sorted(spans)


def covered(spans):
    """Seconds in which at least one program ran."""
    total, reached = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def gaps(spans):
    """Seconds between a program's end and the next one's start, where none ran."""
    found, reached = [], None
    for start, end in spans:
        if reached is not None and start > reached:
            found.append(start - reached)
        reached = end if reached is None else max(reached, end)
    return found


def once(martlet, hub, folder, number):
    data = os.path.join(folder, f"data-{number}")
    words = [martlet, "run", os.path.join(ROOT, "workflows", "quickstart.yaml"), "-o", "json", "--data-dir", data,
             "-p", f"hub={hub}", "-p", "deployment=", "-p", "required=0"]
    began = time.monotonic()
    done = subprocess.run(words, env=environment(folder), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    wall = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"the pipeline ended with {done.returncode}: {done.stderr[-500:]}")
    spans = programs(data)
    steps = [n for n in json.loads(done.stdout)["status"]["nodes"].values() if n["type"] == "Pod"]
    shutil.rmtree(data, ignore_errors=True)
    return {"wall": wall, "steps": len([n for n in steps if n["phase"] == "Succeeded"]), "own": wall - covered(spans),
            "gaps": gaps(spans)}


def start_by_hand(martlet):
    """Milliseconds from nothing to a step program that knows its parameters are wrong; the median of twenty."""
    times = []
    for _ in range(20):
        began = time.monotonic()
        subprocess.run([martlet, "merge"], capture_output=True, check=False)
        times.append(time.monotonic() - began)
    return statistics.median(times) * 1000


def main():
    parser = argparse.ArgumentParser(description="Measures what the engine takes of the quickstart pipeline's time.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="few rows; the share is that of a pipeline of seconds")
    options = parser.parse_args()
    martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
    folder = tempfile.mkdtemp(prefix="martlet-pipeline-", dir="/var/tmp")
    hub = None
    try:
        print(machine())
        print(f"martlet {martlet_version(martlet)}, {options.runs} runs")
        place = os.path.join(folder, "hub", "datasets", "martlet", "calendar-notes")
        words = calendar_notes.arguments([place, *(SHORT if options.short else ())])
        calendar_notes.write(place, words)
        hub = Program(folder, "hub", [martlet, "hub", "serve", os.path.join(folder, "hub")])
        runs = [once(martlet, hub.url, folder, number) for number in range(options.runs)]
        for each in runs:
            print(f"  {each['wall']:.1f} s for {each['steps']} steps, {each['own']:.2f} s of them the engine's")
        verdicts = Verdicts()
        share = statistics.median(each["own"] / each["wall"] for each in runs) * 100
        verdicts.say("the engine's share of the pipeline's time", share, "%", SHARE_TARGET, at_least=False, form="{:.2f}")
        between = statistics.median([gap for each in runs for gap in each["gaps"]]) * 1000
        program = start_by_hand(martlet)
        print(f"  from one program to the next {between:.0f} ms, a program's own start {program:.0f} ms")
        verdicts.say("a step's cold start", between + program, "ms", START_TARGET, at_least=False, form="{:.0f}")
        status = verdicts.finish()
        return 0 if options.short else status
    finally:
        if hub:
            hub.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
