#!/usr/bin/env python3
"""Two servers, one Lease: the one that has it is killed again and again while a workflow of many steps runs as pods.

    kubernetes_failover.py [--martlet PATH] [--cluster PATH] [--seed N] [--steps N] [--kills N] [--freezes N] [--short]

The cluster is the API server of the tests with a node that only plays, under the Role that is shipped. At the end the
workflow must be Succeeded, each step's pod must have been created exactly once, and at no time may two servers have
been ready. A standby must say in its health answers that it is one. Some servers are stopped (SIGSTOP) for longer than
the Lease instead: when they go on they must end by themselves, with status 3. A server may do so, too, when the machine
is so slow that it cannot renew its Lease in time; that is told.
"""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFEST = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  name: failover
spec:
  entrypoint: main
  parallelism: 6
  templates:
    - name: main
      steps:
        - - name: step
            template: work
            withSequence: {{count: "{steps}"}}
    - name: work
      metadata:
        annotations: {{fake.martlet.dev/run-for: "{milliseconds}"}}
      container: {{image: busybox, command: ["true"]}}
"""
# Nothing here may take longer without any progress; then the test gives up.
PATIENCE_SECONDS = 120


class Failure(Exception):
    pass


def fetch(url):
    """The status and the JSON of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Server:
    """One `martlet server`; what it prints is read by a thread of its own."""

    number = 0

    def __init__(self, world):
        Server.number += 1
        self.name = f"server {Server.number}"
        self.ready = self.standby = None
        self.ready_at = None
        self.log = open(world.folder / f"server-{Server.number}.log", "wb")
        self.process = subprocess.Popen(
            [world.options.martlet, "server", "--executor", "kubernetes", "--kubeconfig", str(world.folder / "kubeconfig"),
             "--data-dir", str(world.folder / "data"), "--listen", "127.0.0.1:0", "--lease-duration", "2s",
             "--lease-renew-deadline", "1500ms", "--lease-retry", "200ms"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True, env=world.environment)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            found = re.match(r"server: (ready|standby) at (\S+)", line)
            if found and found[1] == "ready":
                self.ready, self.ready_at = found[2], time.monotonic()
            elif found:
                self.standby = found[2]

    def lives(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)
        self.log.close()


class World:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-failover-"))
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("MARTLET_", "KUBE"))}
        programs = str(pathlib.Path(options.martlet).resolve().parent)
        self.cluster = subprocess.Popen(
            [options.cluster, str(self.folder), programs, "--played", "--role",
             str(ROOT / "deploy" / "kubernetes" / "role.yaml"), "--role",
             str(ROOT / "deploy" / "kubernetes" / "lease.yaml")], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True)
        line = self.cluster.stderr.readline()
        if not line.startswith("ready: "):
            raise Failure(f"the cluster did not start: {line!r}")
        self.api = line.split()[1]
        self.servers = []
        self.took = []
        self.lost_by_itself = 0

    def close(self):
        for server in self.servers:
            if server.lives():
                server.kill()
        if self.cluster.poll() is None:
            self.cluster.send_signal(signal.SIGTERM)
            self.cluster.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def created(self):
        """Creates of pods by name."""
        found = fetch(self.api + "/fake/creates")[1]
        return {name: count for name, count in found.items() if name.startswith("pods/")}

    def until(self, what, condition):
        """Waits for something, and keeps two servers alive meanwhile."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                raise Failure(f"{PATIENCE_SECONDS} s have passed without {what}\n{self.tails()}")
            self.replace_ended()
            self.check_one_is_ready()
            time.sleep(0.02)

    def replace_ended(self):
        for server in [s for s in self.servers if not s.lives()]:
            status = server.process.returncode
            if status != 3:
                raise Failure(f"{server.name} ended with {status}\n{self.tails()}")
            self.lost_by_itself += 1
            server.kill()
            self.servers.remove(server)
            self.servers.append(Server(self))

    def check_one_is_ready(self):
        both = [s for s in self.servers if s.ready and s.lives()]
        if len(both) > 1:
            raise Failure(f"{both[0].name} and {both[1].name} are both ready\n{self.tails()}")

    def holder(self):
        return next((s for s in self.servers if s.ready and s.lives()), None)

    def tails(self):
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            for log in sorted(self.folder.glob("server-*.log"))[-4:])

    def command(self, *words):
        done = subprocess.run(
            [self.options.martlet, *words, "--data-dir", str(self.folder / "data")], capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, env=self.environment)
        if done.returncode != 0:
            raise Failure(f"martlet {' '.join(words[:2])} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout


def check_standby(world):
    """The health answers of a server that waits."""
    waiting = world.until("a standby", lambda: next((s for s in world.servers if s.standby and not s.ready), None))
    status, body = fetch(waiting.standby + "/healthz")
    if status != 200 or body.get("status") != "standby" or not body.get("holder"):
        raise Failure(f"the standby's /healthz says {status} {body}")
    status, body = fetch(waiting.standby + "/readyz")
    if status != 503 or body.get("status") != "standby":
        raise Failure(f"the standby's /readyz says {status} {body}")
    status, body = fetch(waiting.standby + "/api/v1/workflows/default")
    if status != 503 or "standby" not in body.get("message", ""):
        raise Failure(f"the standby answers a request with {status} {body}")


def fail_over(world, draw):
    options = world.options
    manifest = world.folder / "run.yaml"
    manifest.write_text(MANIFEST.format(steps=options.steps, milliseconds=options.milliseconds))
    world.servers = [Server(world)]
    world.until("a first server", world.holder)
    world.servers.append(Server(world))
    check_standby(world)
    world.command("submit", str(manifest))
    count = options.kills + options.freezes
    moments = sorted(draw.uniform(0, 0.95) * options.steps for _ in range(count))
    frozen = set(draw.sample(range(count), options.freezes))
    for number, moment in enumerate(moments):
        world.until("a server that is ready", world.holder)
        world.until("progress", lambda: len(world.created()) >= moment)
        # Somewhere in the work that follows, not only right after a create.
        time.sleep(draw.uniform(0, 0.3))
        victim = world.until("a server that is ready", world.holder)
        if number in frozen:
            freeze(world, victim)
            continue
        victim.kill()
        killed_at = time.monotonic()
        world.servers.remove(victim)
        world.servers.append(Server(world))
        follower = world.until("another server", world.holder)
        world.took.append(follower.ready_at - killed_at)
    last = world.until("the end", lambda: ended(world))
    nodes = [n for n in last["status"]["nodes"].values() if n.get("type") == "Pod"]
    wrong = [(n["displayName"], n.get("phase"), n.get("message")) for n in nodes if n.get("phase") != "Succeeded"]
    if last["status"]["phase"] != "Succeeded" or wrong or len(nodes) != options.steps:
        raise Failure(f"phase {last['status']['phase']}, {len(nodes)} steps, not Succeeded: {wrong[:3]}")
    created = world.created()
    twice = [name for name, count in created.items() if count != 1]
    if twice or len(created) != options.steps:
        raise Failure(f"{len(created)} pods for {options.steps} steps; created more than once: {twice[:5]}")
    used = fetch(world.api + "/fake/requests")[1]
    holder = world.until("a server that is ready", world.holder)
    holder.process.send_signal(signal.SIGTERM)
    holder.process.wait(30)
    given_up = time.monotonic()
    world.servers.remove(holder)
    follower = world.until("the other server", world.holder)
    return used, follower.ready_at - given_up


def freeze(world, victim):
    """Stops a holder for longer than its Lease; going on, it must end before it does anything."""
    before = world.lost_by_itself
    victim.process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    victim.process.send_signal(signal.SIGCONT)
    try:
        victim.process.wait(20)
    except subprocess.TimeoutExpired:
        raise Failure(f"{victim.name} stood still for 4 s and goes on\n{world.tails()}") from None
    world.until("another server after one stood still", world.holder)
    if world.lost_by_itself == before:
        raise Failure(f"{victim.name} stood still for 4 s and ended with {victim.process.returncode}")


def ended(world):
    run = json.loads(world.command("get", "failover", "-o", "json"))
    if run.get("status", {}).get("phase") in ("Succeeded", "Failed", "Error"):
        return run
    time.sleep(0.5)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=str(ROOT / ".build" / "debug" / "martlet"))
    parser.add_argument("--cluster", help="FakeCluster; default: the one beside martlet")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--freezes", type=int, default=3)
    parser.add_argument("--milliseconds", type=int, default=300, help="how long a pod runs")
    parser.add_argument("--short", action="store_true", help="60 steps, 3 kills, 1 freeze")
    options = parser.parse_args()
    options.cluster = options.cluster or str(pathlib.Path(options.martlet).resolve().parent / "FakeCluster")
    if options.short:
        options.steps, options.kills, options.freezes = 60, 3, 1
    world, began = World(options), time.monotonic()
    try:
        used, handed_over = fail_over(world, random.Random(options.seed))
    except Failure as failure:
        print(f"FAIL failover, seed {options.seed}: {failure}")
        return 1
    finally:
        world.close()
    took = sorted(world.took)
    own = f"; {world.lost_by_itself} ended by themselves, {options.freezes} of them frozen"
    print(f"ok   failover: {options.kills} kills, {options.steps} pods created once each, all Succeeded, "
          f"{time.monotonic() - began:.0f} s; another was ready after {took[len(took) // 2]:.1f} s "
          f"({took[0]:.1f} to {took[-1]:.1f}), after an orderly stop {handed_over:.1f} s{own}; seed {options.seed}")
    print(f"     requests: {', '.join(f'{count} {name}' for name, count in sorted(used.items()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
