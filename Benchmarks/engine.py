#!/usr/bin/env python3
"""How fast the engine is, beside what is around it: make, xargs, bare bubblewrap, Luigi.

    engine.py [--martlet PATH] [--rounds N] [--short] [steps|chain|latency|scale|idle]...

All are measured in one run, in rounds that take turns, on the same disk; each figure comes with a probe of the disk
and of process starts taken just before it. Medians, with least and most in brackets. CPU time is that of all processes
that a command has started. The exit status is 1 if a figure falls short of its target.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import peers
from measure import Verdicts, adopt_orphans, machine, martlet_version, middle, probe, reap, run, spread

JOBS = 8
HEAD = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: bench-
spec:
  entrypoint: main
"""
NOOP = """    - name: nothing
      container:
        image: busybox
        command: [/bin/true]
"""


class Bench:
    def __init__(self, options):
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.options = options
        # Not /tmp, which is memory on many machines: what is durable has to reach a disk.
        self.folder = tempfile.mkdtemp(prefix="martlet-bench-", dir=options.folder)
        self.verdicts = Verdicts()
        self.used = 0
        self.environment = {k: v for k, v in os.environ.items() if k not in ("MARTLET_SERVER", "MARTLET_DATA_DIR")}
        self.luigi = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def fresh(self, name):
        """A path that nothing has used. Old ones stay until the end: for half a minute after many files were deleted,
        ext4 looks at each of their inodes whenever a file is made, and that would be measured instead of the engine.
        """
        self.used += 1
        return self.path(f"{name}-{self.used}")

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def run_martlet(self, manifest, *more, data=None):
        data = data or self.fresh("data")
        done = run(
            [self.martlet, "run", manifest, "-o", "quiet", "--data-dir", data, *more], environment=self.environment)
        return done

    def peer(self):
        """Luigi, or None with a word about why."""
        if self.luigi is None:
            self.luigi = peers.Luigi(self.folder)
            print(f"  peer: luigi {self.luigi.version()}" if not self.luigi.problem
                  else f"  luigi is left out: {self.luigi.problem}")
        return None if self.luigi.problem else self.luigi

    # Figures

    def steps(self):
        count = 100 if self.options.short else 1000
        print(f"\n{count} independent steps that do nothing, {JOBS} at a time, each recorded on disk")
        manifest = self.write("steps.yaml", HEAD + f"""  templates:
    - name: main
      steps:
        - - name: step
            template: nothing
            withSequence:
              count: "{count}"
""" + NOOP)
        numbers = self.write("numbers", "".join(f"{n}\n" for n in range(count)))
        peers.makefile(self.path("steps.mk"), count, chained=False)
        contenders = {
            "make": lambda: run(peers.make(self.path("steps.mk"), JOBS)),
            "xargs": lambda: run(peers.xargs(numbers, JOBS, [peers.NOTHING])),
        }
        problem = peers.bwrap_works()
        if problem:
            print(f"  bwrap is left out: {problem}")
        else:
            print(f"  bare bwrap: {' '.join(peers.BWRAP)}")
            contenders["bwrap"] = lambda: run(peers.xargs(numbers, JOBS, peers.BWRAP))
        contenders["martlet"] = lambda: self.run_martlet(manifest, "--max-parallel", str(JOBS))
        luigi = self.peer()
        if luigi:
            contenders["luigi"] = lambda: run(
                luigi.many(count, self.fresh("targets"), JOBS), environment=luigi.environment())
        rates, costs = self.rounds(contenders, count, "steps/s")
        ours = middle(rates["martlet"])
        if "bwrap" in rates:
            self.verdicts.say("steps/s over bare bwrap's", ours / middle(rates["bwrap"]), "x", 0.6, at_least=True)
        if "luigi" in rates:
            self.verdicts.say("steps/s over Luigi's", ours / middle(rates["luigi"]), "x", 2, at_least=True)
        self.verdicts.say("CPU a step", middle(costs["martlet"]), "ms", 6, at_least=False)
        self.verdicts.say("steps/s", ours, "/s", 350, at_least=True, form="{:.0f}", is_goal=True)

    def rounds(self, contenders, count, unit):
        """Lets all take turns; returns rates and CPU-ms a step by name."""
        rates = {name: [] for name in contenders}
        costs = {name: [] for name in contenders}
        probes = []
        for _ in range(self.options.rounds):
            for name, contender in contenders.items():
                probes.append(probe(self.folder))
                done = contender()
                rates[name].append(count / done.wall)
                costs[name].append(done.cpu * 1000 / count)
            print(f"  {probes[-1]}")
        for name in contenders:
            times = spread([1000 / r for r in rates[name]], "{:.2f}")
            print(f"  {name:8} {spread(rates[name])} {unit}, {times} ms a step, "
                  f"{spread(costs[name], '{:.2f}')} CPU-ms a step")
        return rates, costs

    def chain(self):
        count = 20 if self.options.short else 100
        print(f"\na chain of {count} steps, each after the one before")
        tasks = "".join(
            f"          - name: t{n}\n            template: nothing\n"
            + (f"            depends: t{n - 1}\n" if n else "") for n in range(count))
        manifest = self.write(
            "chain.yaml", HEAD + "  templates:\n    - name: main\n      dag:\n        tasks:\n" + tasks + NOOP)
        peers.makefile(self.path("chain.mk"), count, chained=True)
        contenders = {
            "make": lambda: run(peers.make(self.path("chain.mk"), JOBS)),
            "martlet": lambda: self.run_martlet(manifest),
        }
        luigi = self.peer()
        if luigi:
            contenders["luigi"] = lambda: run(
                luigi.chain(count, self.fresh("targets")), environment=luigi.environment())
        rates, _ = self.rounds(contenders, count, "steps/s")
        each = 1000 / middle(rates["martlet"])
        self.verdicts.say("a step of the chain", each, "ms", 15, at_least=False)
        self.verdicts.say("a step of the chain", each, "ms", 6, at_least=False, is_goal=True)

    def latency(self):
        count = 5 if self.options.short else 20
        print(f"\nfrom submission to the start of the process, {count} times")
        stamps = self.path("stamps")
        os.makedirs(stamps, exist_ok=True)
        command = f"date +%s%N > {stamps}/stamp"
        manifest = self.write("latency.yaml", HEAD + f"""  volumes:
    - name: stamps
      hostPath:
        path: {stamps}
  templates:
    - name: main
      container:
        image: busybox
        command: [sh, -c, "{command}"]
        volumeMounts:
          - name: stamps
            mountPath: {stamps}
""")
        data = self.fresh("data")
        self.run_martlet(manifest, data=data)
        ours, theirs, shells = [], [], []
        luigi = self.peer()
        first = probe(self.folder)
        for _ in range(count):
            ours.append(self.stamped(
                stamps, [self.martlet, "run", manifest, "-o", "quiet", "--data-dir", data], self.environment))
            shells.append(self.stamped(stamps, ["sh", "-c", command], None))
            if luigi:
                words = json.dumps(["sh", "-c", command])
                theirs.append(self.stamped(
                    stamps, luigi.one(self.fresh("targets"), words), luigi.environment()))
        print(f"  {first}; after: {probe(self.folder)}")
        print(f"  sh       {spread(shells, '{:.1f}')} ms (the command alone)")
        print(f"  martlet  {spread(ours, '{:.1f}')} ms")
        if theirs:
            print(f"  luigi    {spread(theirs, '{:.1f}')} ms, {middle(theirs) / middle(ours):.1f}x")
        self.verdicts.say("submission to start", middle(ours), "ms", 20, at_least=False, form="{:.1f}")

    def stamped(self, stamps, words, environment):
        """Milliseconds from here until the step wrote the time."""
        path = os.path.join(stamps, "stamp")
        if os.path.exists(path):
            os.unlink(path)
        began = time.time_ns()
        run(words, environment=environment)
        with open(path, encoding="utf-8") as file:
            return (int(file.read()) - began) / 1e6

    def scale(self):
        small, large = (100, 5000) if self.options.short else (1000, 100_000)
        print(f"\n{large:,} nodes on an executor that does nothing, beside {small:,}")

        def manifest(count):
            return self.write(f"scale-{count}.yaml", HEAD + f"""  templates:
    - name: main
      steps:
        - - name: step
            template: nothing
            withSequence:
              count: "{count}"
""" + NOOP)

        def measured(count):
            return self.run_martlet(manifest(count), "--executor", "noop")

        rounds = max(3, self.options.rounds)
        print(f"  {probe(self.folder)}")
        starts = [measured(1).wall for _ in range(rounds)]
        smalls = [measured(small) for _ in range(rounds)]
        larges = [measured(large) for _ in range(1 if self.options.short else 2)]
        start = middle(starts)
        few = [(d.wall - start) * 1e6 / small for d in smalls]
        many = [(d.wall - start) * 1e6 / large for d in larges]
        print(f"  {small:,}: {spread(few, '{:.1f}')} µs a node, "
              f"{spread([d.cpu * 1e6 / small for d in smalls], '{:.1f}')} CPU-µs a node "
              f"(the start, {start * 1000:.0f} ms, is taken off the first figure)")
        print(f"  {large:,}: {spread(many, '{:.1f}')} µs a node, "
              f"{spread([d.cpu * 1e6 / large for d in larges], '{:.1f}')} CPU-µs a node, "
              f"{spread([d.wall for d in larges], '{:.1f}')} s")
        self.verdicts.say("cost of a node among many over one among few", middle(many) / max(middle(few), 0.01), "x",
                          1.5, at_least=False)
        self.verdicts.say("peak resident memory", max(d.peak_bytes for d in larges) / 2**20, "MiB", 1024,
                          at_least=False, form="{:.0f}")

    def idle(self):
        seconds = 3 if self.options.short else 10
        print(f"\na process that waits for a person, over {seconds} s")
        manifest = self.write("idle.yaml", HEAD + """  templates:
    - name: main
      suspend: {}
""")
        data = self.fresh("data")
        process = subprocess.Popen(
            [self.martlet, "run", manifest, "-o", "quiet", "--data-dir", data], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)
        try:
            time.sleep(2)
            if process.poll() is not None:
                sys.exit(f"the run ended with {process.returncode} instead of waiting")
            before, began = cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            share = (cpu_seconds(process.pid) - before) / (time.monotonic() - began) * 100
            resident = memory(process.pid, "VmRSS")
            print(f"  {probe(self.folder)}")
            print(f"  peak so far {memory(process.pid, 'VmHWM') / 2**20:.1f} MiB")
            self.verdicts.say("resident memory", resident / 2**20, "MiB", 60, at_least=False, form="{:.1f}")
            self.verdicts.say("CPU", share, "%", 0.5, at_least=False, form="{:.3f}")
        finally:
            process.kill()
            process.wait()
            reap(1)


def cpu_seconds(pid):
    """CPU time of all threads, in steps far smaller than a clock tick."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="utf-8") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def memory(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


FIGURES = ("steps", "chain", "latency", "scale", "idle")


def main():
    parser = argparse.ArgumentParser(description="Measures the engine beside make, xargs, bwrap and Luigi.")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"{', '.join(FIGURES)}; default: all")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=os.environ.get("MARTLET_BENCH_DIR", "/var/tmp"), help="on the disk to use")
    parser.add_argument("--short", action="store_true", help="small numbers, to see that it works")
    options = parser.parse_args()
    unknown = [f for f in options.figures if f not in FIGURES]
    if unknown:
        parser.error(f"no figure is named {unknown[0]}; there are {', '.join(FIGURES)}")
    adopt_orphans()
    bench = Bench(options)
    try:
        print(machine())
        print(f"martlet {martlet_version(bench.martlet)}, {options.rounds} rounds, data on {options.folder}")
        for figure in options.figures or FIGURES:
            getattr(bench, figure)()
        print()
        return bench.verdicts.finish()
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
