#!/usr/bin/env python3
"""Kills the server while steps run as pods, and lets pods end while no server is there: nothing may be lost or run twice.

    pods_kill.py [--bin DIR] [--rounds N] [--groups N] [--seed N] [--short]

DIR has martlet, Supervisor and FakeCluster; default: .build/debug. Each round submits a workflow whose first step leaves a
parameter, a result, an artifact, metrics and progress, kills the server with -9 while that step runs, waits until its
command has ended, and starts the server again. The second step reads what the first left.

Then come rounds with a step on three nodes, an Indexed Job. The server is killed while the Job is made, while its pods
run, and again before they end, which they do alone. Each rank must have run once, the Job must have been made once, and
the one log must have each line of each rank once and in its order. At last the run is deleted and the server killed right
behind that: nothing of the run may stay in the cluster.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 180
WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: kept-%(round)d}
spec:
  entrypoint: main
  volumes: [{name: marks, hostPath: {path: "%(marks)s"}}]
  templates:
  - name: main
    dag:
      tasks:
      - {name: make, template: make}
      - {name: plain, template: plain}
      - name: use
        template: use
        depends: make && plain
        arguments:
          parameters: [{name: word, value: "{{tasks.make.outputs.parameters.word}}"},
                       {name: said, value: "{{tasks.make.outputs.result}}"}]
          artifacts: [{name: tree, from: "{{tasks.make.outputs.artifacts.tree}}"}]
  - name: make
    outputs:
      parameters: [{name: word, valueFrom: {path: /tmp/word}}]
      artifacts: [{name: tree, path: /tmp/tree}]
    container:
      image: busybox
      volumeMounts: [{name: marks, mountPath: /marks}]
      command: [sh, -c]
      args:
      - |
        echo begin >&2
        echo '{"step": 1, "loss": 2.5}' >> $MARTLET_METRICS_FILE; echo 1/2 > $ARGO_PROGRESS_FILE
        touch /marks/began; sleep %(seconds)d
        mkdir -p /tmp/tree/deep; echo leaf > /tmp/tree/deep/leaf; echo word > /tmp/word; echo said
        echo '{"step": 2, "loss": 1.5}' >> $MARTLET_METRICS_FILE; echo 2/2 > $ARGO_PROGRESS_FILE
        echo once >> /marks/ended
  - name: plain
    container:
      image: busybox
      volumeMounts: [{name: marks, mountPath: /marks}]
      command: [sh, -c]
      args: ["sleep %(seconds)d; echo once >> /marks/plain"]
  - name: use
    inputs: {parameters: [{name: word}, {name: said}], artifacts: [{name: tree, path: /tmp/in}]}
    container:
      image: busybox
      command: [sh, -c]
      args: ["echo {{inputs.parameters.word}} {{inputs.parameters.said}} $(cat /tmp/in/deep/leaf)"]
"""
GROUP = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: group-%(round)d}
spec:
  entrypoint: main
  volumes: [{name: marks, hostPath: {path: "%(marks)s"}}]
  templates:
  - name: main
    steps:
    - - {name: train, template: train}
    - - name: use
        template: use
        arguments: {parameters: [{name: said, value: "{{steps.train.outputs.parameters.said}}"}]}
  - name: train
    metadata: {annotations: {martlet.dev/nodes: "%(nodes)d"}}
    outputs: {parameters: [{name: said, valueFrom: {path: /tmp/said}}]}
    container:
      image: busybox
      volumeMounts: [{name: marks, mountPath: /marks}]
      command: [sh, -c]
      args:
      - |
        echo begin >> /marks/group-$NODE_RANK
        i=0; while [ $i -lt %(lines)d ]; do echo line $i of $NNODES; i=$((i+1)); sleep 0.25; done
        echo rank $NODE_RANK > /tmp/said
        echo end >> /marks/group-$NODE_RANK
  - name: use
    inputs: {parameters: [{name: said}]}
    container: {image: busybox, command: [echo, "it was {{inputs.parameters.said}}"]}
"""
NODES = 3
# Lists in which a run may have something.
LISTS = ("api/v1/namespaces/default/pods", "api/v1/namespaces/default/configmaps", "api/v1/namespaces/default/secrets",
         "api/v1/namespaces/default/services", "apis/batch/v1/namespaces/default/jobs")


class Failure(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    def __init__(self, folder, scratch):
        self.folder, self.scratch = folder, scratch
        self.marks = scratch / "marks"
        self.marks.mkdir()
        self.cluster = subprocess.Popen(
            [folder / "FakeCluster", scratch, folder, "--role", ROOT / "deploy" / "kubernetes" / "role.yaml"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        ready = self.cluster.stderr.readline()
        if not ready.startswith("ready: "):
            raise Failure(f"the cluster did not start: {ready}")
        self.api = ready.split(" ", 1)[1].strip()
        self.step_port = free_port()
        self.server = None

    def start(self):
        with open(self.scratch / "messages", "ab") as messages:
            self.server = subprocess.Popen(
                [self.folder / "martlet", "server", "--listen", "127.0.0.1:0", "--data-dir", self.scratch / "data",
                 "--executor", "kubernetes", "--kubeconfig", self.scratch / "kubeconfig", "--step-listen",
                 f"127.0.0.1:{self.step_port}", "--step-image", "martlet:test",
                 # The marks are on a volume of the host.
                 "--pod-security", "privileged",
                 # There is one server at a time, which need not wait until the Lease of the one before is over;
                 # kubernetes_failover.py is about that.
                 "--lease", "none"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages, text=True)
        found = re.search(r"http://[^\s,]+", self.server.stdout.readline())
        if not found:
            raise Failure(f"the server did not start; see {self.scratch}/messages")
        self.url = found[0].rstrip("/")

    def kill(self):
        self.server.kill()
        self.server.wait()

    def stop(self):
        for process in (self.server, self.cluster):
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()

    def call(self, *words):
        outcome = subprocess.run(
            [self.folder / "martlet", *words, "--server", self.url], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if outcome.returncode not in (0, 1):
            raise Failure(f"`martlet {' '.join(words[:2])}` ended with {outcome.returncode}: {outcome.stderr[-400:]}")
        return outcome.stdout

    def until(self, what, holds):
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            found = holds()
            if found:
                return found
            time.sleep(0.1)
        raise Failure(f"{what} within {PATIENCE_SECONDS} s")

    def ask(self, path):
        request = urllib.request.Request(f"{self.api}/{path}", headers={"Authorization": "Bearer kubelet"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def pods(self):
        return self.ask(LISTS[0])["items"]

    def belongings(self, uid):
        """What a run has in the cluster."""
        return [f"{path.rsplit('/', 1)[1]}/{thing['metadata']['name']}" for path in LISTS
                for thing in self.ask(path)["items"]
                if (thing["metadata"].get("labels") or {}).get("martlet.dev/run-id") == uid]

    def phase(self, name):
        return json.loads(self.call("get", name, "-o", "json"))["status"].get("phase")

    def ended(self, name):
        return self.until("the workflow did not end", lambda: (
            lambda phase: phase if phase in ("Succeeded", "Failed", "Error") else None)(self.phase(name)))


def check(world, number, seconds):
    for name in ("began", "ended", "plain"):
        (world.marks / name).unlink(missing_ok=True)
    path = world.scratch / f"workflow-{number}.yaml"
    path.write_text(WORKFLOW % {"round": number, "marks": world.marks, "seconds": seconds}, encoding="utf-8")
    name = world.call("submit", str(path), "-o", "name").strip().rsplit("/", 1)[-1]
    world.until("the first step did not begin", (world.marks / "began").exists)
    # While it runs, its log and progress are known.
    node = lambda: next(
        (n for n in json.loads(world.call("get", name, "-o", "json"))["status"].get("nodes", {}).values()
         if n.get("displayName") == "make"), {})
    if seconds >= 6:
        world.until("the progress of a running step was not told", lambda: node().get("progress") == "1/2")
        world.until("a running step's log was not there", lambda: "begin" in world.call("logs", name))
        if node().get("phase") != "Running":
            raise Failure("what was to be seen of a running step came only after it")
    world.kill()
    world.until("the first step did not end", (world.marks / "ended").exists)
    world.until("the plain step did not end", (world.marks / "plain").exists)
    time.sleep(0.5)
    world.start()
    phase = world.ended(name)
    workflow = json.loads(world.call("get", name, "-o", "json"))
    if phase != "Succeeded":
        raise Failure(f"it ended as {phase}: {[n.get('message') for n in workflow['status']['nodes'].values()]}")
    said = world.call("logs", name)
    if "word said leaf" not in said:
        raise Failure(f"the second step read something else: {said}")
    for mark in ("ended", "plain"):
        times = (world.marks / mark).read_text().count("once")
        if times != 1:
            raise Failure(f"a step ran {times} times")
    again = [p["metadata"]["name"] for p in world.pods() if p["metadata"]["annotations"]["martlet.dev/attempt"] != "0"]
    if again:
        raise Failure(f"steps were launched again: {again}")


def check_group(world, number, lines, draw):
    marks = [world.marks / f"group-{rank}" for rank in range(NODES)]
    for mark in marks:
        mark.unlink(missing_ok=True)
    path = world.scratch / f"group-{number}.yaml"
    path.write_text(
        GROUP % {"round": number, "marks": world.marks, "nodes": NODES, "lines": lines}, encoding="utf-8")
    name = world.call("submit", str(path), "-o", "name").strip().rsplit("/", 1)[-1]
    uid = json.loads(world.call("get", name, "-o", "json"))["metadata"]["uid"]
    # Somewhere between the first request of the group and its first process.
    time.sleep(draw.uniform(0, 0.4))
    world.kill()
    world.start()
    world.until("not all ranks began", lambda: all(mark.exists() for mark in marks))
    world.kill()
    world.start()
    world.until("nothing of the running group's log was there", lambda: "[rank" in world.call("logs", name))
    time.sleep(draw.uniform(0, 0.5))
    world.kill()
    world.until("not all ranks ended", lambda: all("end" in mark.read_text() for mark in marks))
    time.sleep(draw.uniform(0, 0.5))
    world.start()
    phase = world.ended(name)
    if phase != "Succeeded":
        nodes = json.loads(world.call("get", name, "-o", "json"))["status"]["nodes"].values()
        raise Failure(f"the group ended as {phase}: {[n.get('message') for n in nodes]}")
    for mark in marks:
        if mark.read_text() != "begin\nend\n":
            raise Failure(f"{mark.name} ran otherwise than once: {mark.read_text()!r}")
    said = world.call("logs", name)
    found = re.findall(r"\[rank (\d+)\] line (\d+) of (\d+)", said)
    for rank in range(NODES):
        own = [(int(line), int(count)) for r, line, count in found if int(r) == rank]
        if own != [(line, NODES) for line in range(lines)]:
            raise Failure(f"rank {rank}'s lines in the log: {own}")
    if "it was rank 0" not in said:
        raise Failure(f"the next step read something else: {said[-300:]}")
    created = {key: count for key, count in world.ask("fake/creates").items() if f"/{name}-" in key}
    kinds = collections.Counter(key.split("/", 1)[0] for key in created)
    if set(created.values()) != {1} or kinds["jobs"] != 1 or kinds["pods"] != NODES + 1:
        raise Failure(f"made: {created}")
    if not world.belongings(uid):
        raise Failure("the run has nothing in the cluster before it is deleted, so that its deletion is no test")
    world.call("delete", name)
    world.kill()
    world.start()
    world.until(f"{name} is deleted and has something in the cluster", lambda: not world.belongings(uid))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=str(ROOT / ".build" / "debug"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", type=int, default=3, help="rounds with a group")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--short", action="store_true", help="one quick round of each")
    options = parser.parse_args()
    if options.short:
        options.rounds = options.groups = 1
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="martlet-pods-") as scratch:
        world = World(pathlib.Path(options.bin).resolve(), pathlib.Path(scratch))
        try:
            world.start()
            for number in range(options.rounds):
                check(world, number, 6 if number == 0 and not options.short else 2)
                print(f"round {number}: nothing lost, nothing twice", flush=True)
            for number in range(options.groups):
                check_group(world, number, 12 if options.short else 24, draw)
                print(f"group {number}: each rank once, one log, nothing left behind", flush=True)
        except Failure as failure:
            print(f"FAIL {failure} (seed {options.seed})")
            messages = (world.scratch / "messages").read_text(errors="replace")
            print(messages[-2000:])
            return 1
        finally:
            world.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
