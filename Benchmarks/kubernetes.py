#!/usr/bin/env python3
"""What a step costs a cluster's API and this machine, and how much memory thousands of live pods take.

    kubernetes.py [--martlet PATH] [--cluster PATH] [--steps N] [--parallelism N] [--live N] [--repeat N] [calls|live]...

The cluster is the API server of the tests, under the shipped Role, with a node that only plays: pods end after a set
time without any process. So what is measured is the controller: requests, processor time and wall time beside what the
pods themselves take, and resident memory.

calls   a workflow of --steps pods, --parallelism at a time
live    --live pods that never end; memory after all of them run, and processor time while nothing happens
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from measure import Verdicts, machine, martlet_version, middle, run, spread

ROOT = pathlib.Path(__file__).resolve().parents[1]
MANIFEST = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: pods-
spec:
  entrypoint: main
  parallelism: {parallelism}
  templates:
    - name: main
      steps:
        - - name: step
            template: work
            withSequence: {{count: "{steps}"}}
    - name: work
      metadata:
        annotations: {{fake.martlet.dev/run-for: "{span}"}}
      container: {{image: busybox, command: ["true"]}}
"""
POD_MILLISECONDS = 200
PATIENCE_SECONDS = 600


class Cluster:
    """An API server of its own for one measurement."""

    def __init__(self, options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-bench-cluster-"))
        self.options = options
        self.process = subprocess.Popen(
            [options.cluster, str(self.folder), str(pathlib.Path(options.martlet).parent), "--played", "--role",
             str(ROOT / "deploy" / "kubernetes" / "role.yaml"), "--role",
             str(ROOT / "deploy" / "kubernetes" / "lease.yaml")], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True)
        line = self.process.stderr.readline()
        if not line.startswith("ready: "):
            sys.exit(f"the cluster did not start: {line!r}")
        self.api = line.split()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, what):
        with urllib.request.urlopen(f"{self.api}/fake/{what}", timeout=60) as answer:
            return json.load(answer)

    def words(self, steps, parallelism, span):
        """The command that runs the workflow."""
        manifest = self.folder / "run.yaml"
        manifest.write_text(MANIFEST.format(steps=steps, parallelism=parallelism, span=span))
        return [self.options.martlet, "run", str(manifest), "--executor", "kubernetes", "--kubeconfig",
                str(self.folder / "kubeconfig"), "--data-dir", str(self.folder / "data"), "-o", "quiet"]


def calls(options, verdicts):
    steps, parallelism = options.steps, options.parallelism
    walls, processor, requests = [], [], {}
    for _ in range(options.repeat):
        with Cluster(options) as cluster:
            done = run(cluster.words(steps, parallelism, POD_MILLISECONDS), limit=PATIENCE_SECONDS)
            requests = cluster.ask("requests")
            created = [count for name, count in cluster.ask("creates").items() if name.startswith("pods/")]
        if len(created) != steps or max(created) != 1:
            sys.exit(f"{len(created)} pods of {steps} were created, one of them {max(created)} times")
        walls.append(done.wall)
        processor.append(done.cpu / steps * 1000)
    ideal = steps / parallelism * POD_MILLISECONDS / 1000
    print(f"{steps} pods of {POD_MILLISECONDS} ms, {parallelism} at a time, {options.repeat} times:")
    print(f"  wall {spread(walls, '{:.2f}')} s, of which the pods themselves take {ideal:.2f} s")
    print(f"  processor time of the controller: {spread(processor, '{:.2f}')} ms a step")
    print(f"  requests of the last: {', '.join(f'{count} {name}' for name, count in sorted(requests.items()))}")
    verdicts.say("requests a step", sum(requests.values()) / steps, "requests", 4, at_least=False, is_goal=True)
    print(f"  overhead: {(middle(walls) - ideal) / steps * 1000:.2f} ms of wall time a step, beside what the pods take")


def status(process, key):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def live(options, verdicts):
    with Cluster(options) as cluster:
        began = time.monotonic()
        process = subprocess.Popen(
            cluster.words(options.live, options.live, "forever"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            while True:
                pods = sum(name.startswith("pods/") for name in cluster.ask("creates"))
                if pods == options.live:
                    break
                if process.poll() is not None or time.monotonic() - began > PATIENCE_SECONDS:
                    sys.exit(f"only {pods} of {options.live} pods after {time.monotonic() - began:.0f} s")
                time.sleep(0.5)
            made = time.monotonic() - began
            quiet(process)
            before = seconds(process)
            time.sleep(options.idle)
            busy = (seconds(process) - before) / options.idle * 100
            resident, peak = status(process, "VmRSS"), status(process, "VmHWM")
            requests = cluster.ask("requests")
        finally:
            process.kill()
            process.wait()
    print(f"{options.live} live pods, all made after {made:.0f} s:")
    print(f"  peak {peak:.0f} MiB; while nothing happens {busy:.1f} % of a core over {options.idle} s")
    print(f"  requests: {', '.join(f'{count} {name}' for name, count in sorted(requests.items()))}")
    verdicts.say("resident memory of the controller", resident, "MiB", 100, at_least=False, form="{:.0f}")


def quiet(process):
    """Returns when the process has done next to nothing for two seconds, or after two minutes."""
    for _ in range(60):
        before = seconds(process)
        time.sleep(2)
        if seconds(process) - before < 0.1:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=str(ROOT / ".build" / "release" / "martlet"))
    parser.add_argument("--cluster", help="FakeCluster; default: the one beside martlet")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--parallelism", type=int, default=100)
    parser.add_argument("--live", type=int, default=5000)
    parser.add_argument("--idle", type=int, default=10, help="seconds to look at an idle controller")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("only", nargs="*", choices=[[], "calls", "live"], metavar="calls|live")
    options = parser.parse_args()
    options.cluster = options.cluster or str(pathlib.Path(options.martlet).resolve().parent / "FakeCluster")
    print(f"{machine()}\n{martlet_version(options.martlet)}", flush=True)
    verdicts = Verdicts()
    for name, measure in (("calls", calls), ("live", live)):
        if not options.only or name in options.only:
            measure(options, verdicts)
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
