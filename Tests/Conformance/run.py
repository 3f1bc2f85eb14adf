#!/usr/bin/env python3
"""Runs every case of a folder of manifests with expectations, and says how many are as they should be.

    run.py [--martlet PATH] [--jobs N] [--only TEXT]... [DIR]     folders with an expected.tsv, below DIR
    run.py [--martlet PATH] --workflows DIR                       examples that state their outcome in comments

DIR is $MARTLET_CONFORMANCE, else ../shared beside the repository. A folder whose expected.tsv has a column
`expected_phase` holds manifests to run; one with a column `expected` holds manifests to refuse. Each case has a data
directory of its own. The last line is `N passed, N failed`; the exit status is 1 if any failed, 2 if there was none.
"""

import argparse
import concurrent.futures
import csv
import os
import re
import shlex
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import expect_examples
import expect_semantics
import follow_ups
import refusals
from example_hub import ExampleHub
from fixtures import Fixtures
from program import Program, default_path, parse
from view import View

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What an example expects of itself that is only linted and rendered.
RENDERED = "Rendered"
STATUS = {"Succeeded": 0, "Failed": 1, "Error": 2, "Running": 3}
CHECKS = {**expect_examples.CHECKS, **expect_semantics.CHECKS}
# A case that mostly sleeps does not count against the jobs, up to this many.
SLEEPERS = 6


def read_rows(folder):
    """Rows of expected.tsv with the absolute path of each file."""
    with open(os.path.join(folder, "expected.tsv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        for key, value in list(row.items()):
            row[key] = value or ""
        row["path"] = os.path.join(folder, row["file"])
        row["folder"] = os.path.basename(folder)
    return rows


def slowness(row):
    """Seconds that the note announces."""
    found = re.search(r"\[slow[^\]]*?(\d+)s\]", row.get("note", ""))
    return int(found.group(1)) if found else 60 if "[slow" in row.get("note", "") else 0


def phrases(view, note):
    """What can be read off the note of any file: node counts, progress, root outputs."""
    for number in re.findall(r"(?<![\w.])(\d+) nodes?\b(?! before)", note):
        view.count(int(number))
    for value in re.findall(r"progress (\d+/\d+)", note):
        view.progress(value)
    for name, value in re.findall(r"root output parameter ([-\w]+)=([-\w.]+)", note):
        view.output("", name, value)
    for text in re.findall(r"\blogs? \"([^\"]+)\"", note):
        view.log(text)


def check_run(row, fixtures, program):
    """Problems of a row of manifests that run."""
    loads = [word for path in fixtures.needed_by(row["path"], row["note"]) for word in ("--load", path)]
    lint = program.call("lint", row["path"], *loads, limit=60)
    if lint.status != 0:
        return [f"lint ended with {lint.status}: {lint.tail()}"]
    expected = row["expected_phase"]
    if expected == "-":
        return []
    outcome = program.call("run", row["path"], *loads, "-o", "json", "--no-wait", limit=180 + 6 * slowness(row))
    if outcome.timed_out:
        return [f"it did not end within {outcome.seconds:.0f} s: {outcome.tail()}"]
    view = View(parse(outcome), program, outcome)
    # Where the manifest names a namespace, the verbs that follow must look there.
    program.namespace = (view.workflow.get("metadata") or {}).get("namespace", "")
    phase = view.status.get("phase")
    accepted = ("Succeeded", "Failed") if expected == "nondeterministic" else (expected,)
    view.expect(phase in accepted, f"phase {phase} instead of {expected}: {view.status.get('message', '')}")
    view.expect(
        outcome.status == STATUS.get(phase), f"exit status {outcome.status} with phase {phase}: {outcome.tail(200)}")
    view.laws()
    if not view.problems:
        known = CHECKS.get(row["file"])
        if known:
            known(view)
        elif not row.get("action"):
            phrases(view, row["note"])
        follow_ups.apply(row, view)
    return view.problems


def check_example(row, program, hub):
    """Problems of an example that says in comments what it does."""
    path = row["path"]
    said = re.findall(r"^# (expect[-a-z]*|then|arguments): (.+)$", open(path, encoding="utf-8").read(), re.M)
    phase = next((value for key, value in said if key == "expect"), None)
    if phase not in (*STATUS, RENDERED):
        return [f"no line `# expect: PHASE` (one of {', '.join([*STATUS, RENDERED])})"]
    lint = program.call("lint", path, limit=60)
    if lint.status != 0:
        return [f"lint ended with {lint.status}: {lint.tail()}"]
    if phase == RENDERED:
        return check_rendered([value for key, value in said if key == "expect-rendered"], path, program)
    arguments = [word for key, value in said if key == "arguments" for word in shlex.split(value)]
    if any("{hub}" in word for word in arguments):
        url = hub.url()
        arguments = [word.replace("{hub}", url) for word in arguments]
    outcome = run_example(path, arguments, program)
    view = View(parse(outcome), program, outcome)
    view.expect(view.status.get("phase") == phase, f"phase {view.status.get('phase')} instead of {phase}")
    view.expect(outcome.status == STATUS[phase], f"exit status {outcome.status}: {outcome.tail(200)}")
    view.laws()
    for key, value in said:
        if key == "expect-nodes":
            view.count(int(value))
        elif key == "expect-log":
            view.log(value)
        elif key == "expect-output":
            name, _, text = value.partition("=")
            view.output("", name, text)
        elif key == "then":
            words, _, wanted = value.partition(" => ")
            if follow_ups.act(view, *shlex.split(words)) is None:
                break
            after = View(program.object(), program)
            view.expect(
                after.status.get("phase") == wanted.strip(),
                f"after `{words}` it is {after.status.get('phase')} instead of {wanted}")
            after.problems, view = view.problems, after
    return view.problems


def check_rendered(texts, path, program):
    """Problems of an example that is too large to run: what plain Argo would get must have these texts."""
    # It reads no data directory, and takes none.
    words = [program.path, "convert", "--to", "argo", path]
    outcome, again = (
        subprocess.run(words, capture_output=True, text=True, env=program.environment(), timeout=60) for _ in range(2))
    if outcome.returncode != 0:
        return [f"convert ended with {outcome.returncode}: {outcome.stderr[-300:]}"]
    problems = [] if again.stdout == outcome.stdout else ["rendered twice it is not the same"]
    return problems + [f"it is rendered without {text!r}" for text in texts if text not in outcome.stdout]


def run_example(path, arguments, program):
    """What a manifest comes to; of a schedule, what it starts when it is due."""
    with open(path, encoding="utf-8") as file:
        schedule = re.search(r"^kind: CronWorkflow\nmetadata:\n  name: (\S+)", file.read(), re.M)
    if not schedule:
        return program.call("run", path, *arguments, "-o", "json", "--no-wait")
    for words in (["cron", "create", path], ["submit", "--from", f"cronwf/{schedule[1]}", "-o", "name", *arguments]):
        outcome = program.call(*words, limit=60)
        if outcome.status != 0:
            raise AssertionError(f"`{' '.join(words[:3])}` ended with {outcome.status}: {outcome.tail()}")
    name = outcome.out.strip().rsplit("/", 1)[-1]
    return program.call("run", "--resume", name, "-o", "json", "--no-wait")


def run_case(row, fixtures, options):
    """One case: its name and what is wrong with it."""
    name = f"{row['folder']}/{row['file']}"
    program = Program(options.martlet, options.limit)
    try:
        if not os.path.isfile(row["path"]):
            problems = ["the file is missing"]
        elif options.workflows:
            problems = check_example(row, program, options.hub)
        elif "expected_phase" in row:
            problems = check_run(row, fixtures, program)
        else:
            problems = refusals.check(row, row["path"], fixtures.needed_by(row["path"]), program)
    except AssertionError as error:
        problems = [str(error)]
    except Exception:
        problems = ["the test itself failed: " + traceback.format_exc(limit=-2).replace("\n", " | ")]
    if problems and options.keep:
        problems.append(f"the data directory is kept: {program.data}")
    else:
        program.close()
    return name, problems


def gather(options):
    """All cases: pairs of a row and the fixtures of its folder."""
    if options.workflows:
        files = sorted(f for f in os.listdir(options.workflows) if f.endswith(".yaml"))
        folder = os.path.abspath(options.workflows)
        return [({"file": f, "path": os.path.join(folder, f), "folder": "workflows"}, None) for f in files]
    cases = []
    for directory, _, files in sorted(os.walk(options.folder)):
        if "expected.tsv" in files:
            header = open(os.path.join(directory, "expected.tsv"), encoding="utf-8").readline().rstrip("\n").split("\t")
            if "file" in header and ("expected_phase" in header or "expected" in header):
                fixtures = Fixtures(os.path.abspath(directory))
                cases += [(row, fixtures) for row in read_rows(os.path.abspath(directory))]
    return cases


def arguments():
    parser = argparse.ArgumentParser(description="Runs manifests and compares them with what is expected of them.")
    parser.add_argument("folder", nargs="?", default=os.environ.get("MARTLET_CONFORMANCE") or os.path.join(ROOT, "../shared"))
    parser.add_argument("--workflows", metavar="DIR", help="run examples that state their outcome in comments")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET") or default_path(ROOT), help="the program")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time (default 2)")
    parser.add_argument("--limit", type=float, default=300, help="seconds for one command (default 300)")
    parser.add_argument("--only", action="append", default=[], help="only cases with this text in their name")
    parser.add_argument("--fast", action="store_true", help="leave out what the note calls slow")
    parser.add_argument("--keep", action="store_true", help="keep the data directories of failures")
    parser.add_argument("--verbose", action="store_true", help="name the cases that pass, too")
    options = parser.parse_args()
    if os.sep in options.martlet:
        options.martlet = os.path.abspath(options.martlet)
    return options


def main():
    options = arguments()
    options.hub = ExampleHub(options.martlet)
    cases = [
        case for case in gather(options)
        if (not options.only or any(text in case[0]["folder"] + "/" + case[0]["file"] for text in options.only))
        and not (options.fast and slowness(case[0]))]
    # The longest first, so that none of them is left alone at the end.
    cases.sort(key=lambda case: -slowness(case[0]))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(SLEEPERS) as sleepers, \
            concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as workers:
        waiting = [
            (sleepers if slowness(row) >= 20 else workers).submit(run_case, row, fixtures, options)
            for row, fixtures in cases]
        for each in concurrent.futures.as_completed(waiting):
            name, problems = each.result()
            if problems:
                failed += 1
                text = "; ".join(problems[:6]) + (f"; and {len(problems) - 6} more" if len(problems) > 6 else "")
                print(f"FAIL {name}: {text}", flush=True)
            else:
                passed += 1
                if options.verbose:
                    print(f"ok   {name}", flush=True)
    if not cases:
        print(f"no cases in {options.workflows or options.folder}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 2 if not cases else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
