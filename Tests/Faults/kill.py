#!/usr/bin/env python3
"""Kills, stops and starves a running workflow, and checks that nothing is lost and nothing runs twice.

    kill.py [--martlet PATH] [--seed N] [--steps N] [--kills N] [--short] [kill|group|pause|disk]...

Each step appends a line to a file of its own outside the data directory. At the end the workflow must be Succeeded,
each file must hold exactly one line, no process of the run may be left, and the exit status must be 0.

kill    kill -9 of the process that drives the run, at random moments, started again each time
group   the same with steps of three processes each (martlet.dev/nodes), a tenth as many; each process of each step
        must have run once, and each line must be once in the step's one log
pause   SIGSTOP and SIGCONT of that process and of supervisors of steps
disk    a data directory on a small tmpfs, filled up during the run and freed later (needs root)

A failure prints the seed; the same seed chooses the same moments, counted in finished steps.
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MANIFEST = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  name: {name}
spec:
  entrypoint: main
  volumes:
    - name: ledger
      hostPath:
        path: {ledger}
  templates:
    - name: main
      steps:
        - - name: step
            template: append
            withSequence:
              count: "{steps}"
            arguments:
              parameters:
                - name: number
                  value: "{{{{item}}}}"
    - name: append
      inputs:
        parameters:
          - name: number
{annotations}      container:
        image: busybox
        command: [sh, -c]
        # Some milliseconds before and after, so that a random moment often hits a step at work.
        args: ['sleep 0.0$(($1 % 4)); echo "$1" >> /ledger/$1{suffix}; {say}sleep 0.0$(($1 % 3))', sh, "{{{{inputs.parameters.number}}}}"]
        volumeMounts:
          - name: ledger
            mountPath: /ledger
"""
ANNOTATIONS = """      metadata:
        annotations: {martlet.dev/nodes: "%d"}
"""
# Nothing here may take longer without any step being finished; then the test gives up.
PATIENCE_SECONDS = 120
PARALLEL = 8


class Failure(Exception):
    pass


class Run:
    """One workflow with its data directory, its ledger, and the process that drives it."""

    def __init__(self, options, variant, data=None, steps=None, ranks=1):
        self.options, self.steps, self.ranks = options, steps or options.steps, ranks
        self.folder = tempfile.mkdtemp(prefix="martlet-faults-")
        self.name = f"{variant}-{os.path.basename(self.folder)[-8:].lower().replace('_', 'x')}"
        self.data = data or os.path.join(self.folder, "data")
        self.ledger = os.path.join(self.folder, "ledger")
        self.manifest = os.path.join(self.folder, "run.yaml")
        self.messages = os.path.join(self.folder, "messages")
        os.makedirs(self.ledger)
        with open(self.manifest, "w", encoding="utf-8") as file:
            file.write(MANIFEST.format(
                name=self.name, ledger=self.ledger, steps=self.steps, annotations=ANNOTATIONS % ranks if ranks > 1 else "",
                suffix=".$NODE_RANK" if ranks > 1 else "", say='echo "did $1"; ' if ranks > 1 else ""))
        self.process = self.out = None

    def start(self, resume):
        """Starts a driver: anew, or for the stored run."""
        what = ["--resume", self.name] if resume else [self.manifest]
        self.out = tempfile.TemporaryFile()
        environment = {k: v for k, v in os.environ.items() if k not in ("MARTLET_SERVER", "MARTLET_DATA_DIR")}
        with open(self.messages, "ab") as err:
            self.process = subprocess.Popen(
                [self.options.martlet, "run", *what, "-o", "json", "--max-parallel", str(PARALLEL), "--data-dir",
                 self.data, *self.options.extra], stdin=subprocess.DEVNULL, stdout=self.out, stderr=err,
                env=environment, start_new_session=True)

    def done(self):
        """How many steps have written their lines."""
        return sum(1 for _ in os.scandir(self.ledger)) // self.ranks

    def running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait_until(self, count, deadline=None):
        """Returns when so many steps are done, the driver has ended, or the moment has come."""
        last, since = -1, time.monotonic()
        while self.running():
            done, now = self.done(), time.monotonic()
            if done >= count or (deadline and now >= deadline):
                return
            if done != last:
                last, since = done, now
            elif now - since > PATIENCE_SECONDS:
                raise Failure(f"no step was finished for {PATIENCE_SECONDS} s at {done} of {self.steps}")
            time.sleep(0.002)

    def finish(self):
        """Lets the driver come to its end; returns the workflow object."""
        self.wait_until(self.steps)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure(f"all {self.done()} steps have run and the driver does not end") from None
        self.out.seek(0)
        text = self.out.read().decode("utf-8", "replace")
        if self.process.returncode != 0:
            raise Failure(f"the driver ended with {self.process.returncode}: {self.last_words()} {status_of(text)}")
        try:
            return json.loads(text)
        except ValueError:
            raise Failure(f"the driver ended with 0 and this output: {text[:200]!r}") from None

    def last_words(self):
        with open(self.messages, encoding="utf-8", errors="replace") as file:
            return " | ".join(file.read().strip().splitlines()[-4:])

    def processes(self):
        """Process numbers of this run's supervisors and steps, however they are called."""
        found = []
        marks = (self.name.encode(), self.data.encode())
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) in (os.getpid(), self.process.pid if self.process else 0):
                continue
            for file in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{entry}/{file}", "rb") as opened:
                        text = opened.read()
                except OSError:
                    continue
                if any(mark in text for mark in marks):
                    found.append(int(entry))
                    break
        return found

    def check(self, workflow):
        """What must hold at the end."""
        nodes = workflow.get("status", {}).get("nodes", {}).values()
        wrong = [n for n in nodes if n.get("phase") != "Succeeded"]
        if workflow.get("status", {}).get("phase") != "Succeeded" or wrong:
            shown = [(n.get("name"), n.get("phase"), n.get("message")) for n in wrong[:3]]
            raise Failure(f"phase {workflow.get('status', {}).get('phase')}; nodes not Succeeded: {len(wrong)} {shown}")
        pods = [n for n in nodes if n.get("type") == "Pod"]
        if len(pods) != self.steps:
            raise Failure(f"{len(pods)} pod nodes instead of {self.steps}")
        missing, repeated = [], []
        for number in range(self.steps):
            names = [f"{number}.{rank}" for rank in range(self.ranks)] if self.ranks > 1 else [str(number)]
            for name in names:
                try:
                    with open(os.path.join(self.ledger, name), encoding="utf-8") as file:
                        if file.read() != f"{number}\n":
                            repeated.append(name)
                except FileNotFoundError:
                    missing.append(name)
        if missing or repeated:
            raise Failure(f"without a line: {missing[:10]}; with more than one: {repeated[:10]}")
        left = self.processes()
        for _ in range(50):
            if not left:
                return
            time.sleep(0.1)
            left = self.processes()
        raise Failure(f"processes are left: {left[:10]}")

    def check_logs(self):
        """Each process's line is in its step's log, once, and says whose it is."""
        done = subprocess.run(
            [self.options.martlet, "logs", self.name, "--data-dir", self.data, "--no-color"], capture_output=True, text=True,
            timeout=PATIENCE_SECONDS)
        said = collections.Counter(re.findall(r"\[rank \d+\] did \d+$", done.stdout, re.M))
        wanted = {f"[rank {rank}] did {number}" for number in range(self.steps) for rank in range(self.ranks)}
        twice = sorted(line for line, count in said.items() if count != 1)
        if set(said) != wanted or twice:
            raise Failure(f"not in the logs: {sorted(wanted - set(said))[:5]}; more than once: {twice[:5]}; "
                          f"{done.stderr.strip()[-200:]}")

    def clean_up(self):
        if self.process and self.running():
            self.kill()
        for number in self.processes():
            try:
                os.kill(number, signal.SIGCONT)
                os.kill(number, signal.SIGKILL)
            except OSError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)


def status_of(text):
    try:
        status = json.loads(text).get("status", {})
    except ValueError:
        return ""
    failed = [n for n in status.get("nodes", {}).values() if n.get("phase") in ("Failed", "Error")]
    shown = [(n.get("displayName"), n.get("phase"), n.get("message")) for n in failed if n.get("type") == "Pod"][:3]
    return f"phase {status.get('phase')}, {len(failed)} failed: {shown}"


def kill(options, draw):
    return killed(Run(options, "killed"), draw)


def group(options, draw):
    run = Run(options, "grouped", steps=max(options.steps // 10, 1), ranks=3)
    return killed(run, draw, Run.check_logs)


def killed(run, draw, further=None):
    """Three of four kills come at a number of finished steps, the others shortly after a start."""
    options = run.options
    moments = sorted(
        (draw.uniform(0, 0.95) * run.steps, draw.uniform(0, 0.015)) if draw.random() < 0.75
        else (draw.uniform(0, 0.95) * run.steps, -draw.uniform(0, 0.3)) for _ in range(options.kills))
    made, began = [], time.monotonic()
    try:
        run.start(resume=False)
        for count, pause in moments:
            if pause < 0:
                run.wait_until(run.steps, deadline=time.monotonic() - pause)
            else:
                run.wait_until(count)
                time.sleep(pause)
            if not run.running():
                break
            run.kill()
            made.append(run.done())
            restart(run)
        workflow = run.finish()
        run.check(workflow)
        if further:
            further(run)
        seconds = time.monotonic() - began
        if len(made) < options.kills:
            print(f"kill: only {len(made)} of {options.kills} kills came before the end")
        return f"{len(made)} kills at {made} finished steps, {seconds:.1f} s"
    finally:
        run.clean_up()


def restart(run):
    """Goes on with the run. If it was killed before it was even stored, there is nothing to go on with."""
    stored = os.path.isdir(os.path.join(run.data, "runs")) and run.done() > 0
    run.start(resume=True)
    if stored:
        return
    try:
        run.process.wait(2)
    except subprocess.TimeoutExpired:
        return
    if run.process.returncode != 0 and run.done() == 0:
        run.start(resume=False)


def pause(options, draw):
    """Stops the driver or a supervisor for a moment, again and again."""
    run = Run(options, "paused")
    stops, began = 0, time.monotonic()
    try:
        run.start(resume=False)
        while run.running() and run.done() < run.steps:
            time.sleep(draw.uniform(0.02, 0.15))
            others = run.processes()
            target = run.process.pid if draw.random() < 0.4 or not others else draw.choice(others)
            try:
                os.kill(target, signal.SIGSTOP)
            except ProcessLookupError:
                continue
            stops += 1
            time.sleep(draw.uniform(0.01, 0.25))
            try:
                os.kill(target, signal.SIGCONT)
            except ProcessLookupError:
                continue
            if time.monotonic() - began > 10 * PATIENCE_SECONDS:
                raise Failure(f"it does not come to an end: {run.done()} of {run.steps}")
        run.check(run.finish())
        return f"{stops} stops, {time.monotonic() - began:.1f} s"
    finally:
        run.clean_up()


def disk(options, draw):
    """Fills the disk at random moments, holds it full for a while, and frees it."""
    mount = tempfile.mkdtemp(prefix="martlet-full-")
    size = 8 * 1024 + 96 * options.steps
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", mount], capture_output=True, text=True)
    if mounted.returncode != 0:
        os.rmdir(mount)
        print(f"disk: skipped: a tmpfs cannot be mounted here ({mounted.stderr.strip()}); it needs root")
        return None
    run = Run(options, "starved", data=os.path.join(mount, "data"))
    full, began = [], time.monotonic()
    try:
        run.start(resume=False)
        for count in sorted(draw.uniform(0.1, 0.8) * run.steps for _ in range(1 if options.short else 3)):
            run.wait_until(count)
            if not run.running():
                break
            full.append(fill(run, mount, draw.uniform(1.5, 3)))
        run.check(run.finish())
        return f"full {len(full)} times; steps that ended meanwhile: {full}; {time.monotonic() - began:.1f} s"
    finally:
        run.clean_up()
        subprocess.run(["umount", "-l", mount], check=False)
        os.rmdir(mount)


def fill(run, mount, seconds):
    """Keeps the disk full for so long; returns how many steps ended in that time."""
    path = os.path.join(mount, "filler")
    end = time.monotonic() + seconds
    with open(path, "ab", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2
        before = run.done()
        settled = None
        while time.monotonic() < end:
            try:
                file.write(b"\0" * 4096)
            except OSError:
                pass
            if settled is None and time.monotonic() > end - seconds / 2:
                settled = run.done()
            time.sleep(0.01)
        late = run.done() - (settled or before)
    os.unlink(path)
    # Steps that were on their way may end; that half the time later still new ones come is another matter.
    if late > PARALLEL:
        raise Failure(f"{late} steps have started although the disk was full")
    return run.done() - before


VARIANTS = {"kill": kill, "group": group, "pause": pause, "disk": disk}


def main():
    parser = argparse.ArgumentParser(description="Kills, stops and starves running workflows.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help="kill, group, pause, disk; default: all")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--steps", type=int, help="default 1000, in the short form 100")
    parser.add_argument("--kills", type=int, help="default 20, in the short form 5")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--extra", action="append", default=[], help="a further word for `martlet run`")
    options = parser.parse_args()
    unknown = [v for v in options.variants if v not in VARIANTS]
    if unknown:
        parser.error(f"no variant is named {unknown[0]}; there are {', '.join(VARIANTS)}")
    if os.sep in options.martlet:
        options.martlet = os.path.abspath(options.martlet)
    options.steps = options.steps or (100 if options.short else 1000)
    options.kills = options.kills or (5 if options.short else 20)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    failed = 0
    for variant in options.variants or VARIANTS:
        print(f"{variant}: seed {seed}, {options.steps} steps", flush=True)
        try:
            told = VARIANTS[variant](options, random.Random(f"{seed}/{variant}"))
            if told:
                print(f"{variant}: ok: {told}", flush=True)
        except Failure as failure:
            failed += 1
            print(f"{variant}: FAILED (seed {seed}): {failure}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
