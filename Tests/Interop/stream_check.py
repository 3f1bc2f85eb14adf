#!/usr/bin/env python3
"""The streams of `martlet server` over connections that break anywhere: nothing is lost, and nothing comes twice.

    stream_check.py [--martlet PATH] [--seed N] [PART]...

own      /api/martlet/v1/stream, taken up again by Last-Event-ID, with a run in focus
argo     /api/v1/workflow-events, taken up again by the resource version of the last event
events   /api/v1/stream/events, taken up again by the id of the last event
logs     `martlet logs --follow` over a proxy that cuts its connections

While runs are made, go on and are deleted, each reader's connection is cut after a number of bytes drawn from the seed,
in the middle of an event as likely as not. What the readers have put together at the end is what the server has.
Standard library only; nothing leaves the loopback interface.
"""

import argparse
import http.client
import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from server import Checks, Server  # noqa: E402

PATIENCE_SECONDS = 60
RUNS = 60

STEPS = {
    "entrypoint": "main",
    "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "one"}], [{"name": "b", "template": "one"},
                                                                       {"name": "c", "template": "one"}]]},
        {"name": "one", "container": {"image": "busybox", "command": ["true"]}},
    ],
}

WAITING = {
    "entrypoint": "main",
    "templates": [
        {"name": "main", "steps": [[{"name": "w", "template": "wait", "withSequence": {"count": "12"}}]]},
        {"name": "wait", "suspend": {}},
    ],
}

LINES = 3_000
LOG = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: talker}
spec:
  entrypoint: main
  templates:
  - name: main
    container:
      image: busybox
      command: [sh, -c]
      args: ["i=0; while [ $i -lt COUNT ]; do echo line $i; i=$((i+1)); [ $((i % 300)) = 0 ] && sleep 0.4; done"]
""".replace("COUNT", str(LINES))


class Client:
    """Plain requests to the server."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url).netloc

    def ask(self, method, path, body=None):
        link = http.client.HTTPConnection(self.address, timeout=PATIENCE_SECONDS)
        try:
            link.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = link.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
            return json.loads(text)
        finally:
            link.close()

    def blocks(self, path, headers, limit):
        """Whole events of one connection, which is cut after `limit` bytes."""
        link = http.client.HTTPConnection(self.address, timeout=PATIENCE_SECONDS)
        try:
            link.request("GET", path, headers={"Accept": "text/event-stream"} | headers)
            answer = link.getresponse()
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status} {answer.read()[:300]!r}")
            rest = b""
            while limit > 0:
                piece = answer.read1(min(limit, 4_096))
                if not piece:
                    return
                limit -= len(piece)
                *whole, rest = (rest + piece).split(b"\n\n")
                for block in whole:
                    yield block.decode()
        finally:
            link.close()


class Reader(threading.Thread):
    """Reads one stream over many connections until it is told to stop, or something is wrong with it."""

    def __init__(self, client, draw):
        super().__init__(daemon=True)
        self.client, self.draw = client, draw
        self.connections, self.problems = 0, []
        self.ended = threading.Event()

    def run(self):
        try:
            while not self.ended.is_set():
                self.connections += 1
                path, headers = self.place()
                for block in self.client.blocks(path, headers, self.draw.randrange(1, 60_000)):
                    fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != ":")
                    if fields:
                        self.take(fields)
                    if self.ended.is_set():
                        break
        except (OSError, http.client.HTTPException, KeyError, ValueError, SystemExit) as error:
            self.problems.append(repr(error))

    def finish(self, reached):
        """Waits until `reached` says that all has come."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not reached() and not self.problems and time.monotonic() < end:
            time.sleep(0.05)
        self.ended.set()
        return reached()


class OwnReader(Reader):
    """What a page keeps: the lines of all runs, and the nodes of the one in focus."""

    def __init__(self, client, draw, focus):
        super().__init__(client, draw)
        self.focus, self.id, self.runs, self.nodes, self.seen = focus, None, {}, {}, set()

    def place(self):
        # What was sent ahead of the place that the connection came to may come again on the next one.
        self.seen = {(uid, revision) for uid, revision in self.seen if self.id is not None and revision <= self.id}
        headers = {} if self.id is None else {"Last-Event-ID": str(self.id)}
        return f"/api/martlet/v1/stream?run={self.focus}", headers

    def take(self, fields):
        if "id" in fields:
            if self.id is not None and int(fields["id"]) < self.id:
                self.problems.append(f"place {fields['id']} after {self.id}")
            self.id = int(fields["id"])
        data = json.loads(fields.get("data", "{}"))
        name = fields.get("event")
        if name == "runs":
            for item in data["items"]:
                if item["revision"] <= self.id and (item["uid"], item["revision"]) in self.seen:
                    self.problems.append(f"{item['name']} at {item['revision']} came twice")
                self.seen.add((item["uid"], item["revision"]))
                self.runs[item["uid"]] = item
        elif name == "deleted":
            for item in data["items"]:
                self.runs.pop(item["uid"], None)
        elif name == "run":
            if data["whole"]:
                self.nodes = {}
            self.nodes |= {node["id"]: (node["phase"], node["message"]) for node in data["nodes"]}


class ArgoReader(Reader):
    """What a watcher of Kubernetes keeps."""

    def __init__(self, client, draw, version):
        super().__init__(client, draw)
        self.version, self.runs = version, {}

    def place(self):
        return f"/api/v1/workflow-events/default?listOptions.resourceVersion={self.version}", {}

    def take(self, fields):
        result = json.loads(fields["data"])["result"]
        metadata = result["object"]["metadata"]
        version = int(metadata["resourceVersion"])
        if version <= int(self.version):
            self.problems.append(f"{metadata['name']} at {version} came after {self.version}")
        self.version = str(version)
        if result["type"] == "DELETED":
            self.runs.pop(metadata["uid"], None)
        else:
            self.runs[metadata["uid"]] = result["object"].get("status", {}).get("phase", "")


class EventReader(Reader):
    """The events of Kubernetes of one run, by their ids."""

    def __init__(self, client, draw, name):
        super().__init__(client, draw)
        self.name, self.last, self.ids = name, None, []

    def place(self):
        path = f"/api/v1/stream/events/default?listOptions.fieldSelector=involvedObject.name%3D{self.name}"
        return path + (f"&listOptions.resourceVersion={self.last}" if self.last else ""), {}

    def take(self, fields):
        self.last = json.loads(fields["data"])["result"]["metadata"]["resourceVersion"]
        self.ids.append(int(self.last))


def stir(client, draw, focus):
    """Makes runs, deletes some, and lets the waiting nodes of the one in focus go on one by one."""
    for number in range(RUNS):
        client.ask("POST", "/api/v1/workflows/default",
                   {"workflow": {"metadata": {"name": f"run-{number}"}, "spec": STEPS}})
        if number % 5 == 4:
            client.ask("PUT", f"/api/v1/workflows/default/{focus}/set",
                       {"nodeFieldSelector": f"displayName=w({number // 5}:{number // 5})", "phase": "Succeeded",
                        "message": f"let go at {number}"})
        if number > 5 and draw.random() < 0.3:
            try:
                client.ask("DELETE", f"/api/v1/workflows/default/run-{draw.randrange(number - 3)}?force=true")
            except SystemExit:
                pass  # It was deleted before.
        time.sleep(draw.random() * 0.05)


def until(condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def settled(client):
    """Lists the runs when all have ended; the list with its version."""
    def ended():
        items = client.ask("GET", "/api/v1/workflows/default")["items"]
        return all(item["status"].get("finishedAt") for item in items if item["metadata"]["name"] != "held")
    until(ended)
    return client.ask("GET", "/api/v1/workflows/default")


def watch(check, martlet, seed, parts):
    with Server(martlet, "--executor", "noop") as server:
        client = Client(server.url)
        made = client.ask("POST", "/api/v1/workflows/default",
                          {"workflow": {"metadata": {"name": "focus"}, "spec": WAITING}})
        uid = made["metadata"]["uid"]
        until(lambda: len(client.ask("GET", f"/api/martlet/v1/runs/{uid}")["nodes"]) > 12)
        version = client.ask("GET", "/api/v1/workflows/default")["metadata"]["resourceVersion"]
        readers = {}
        for number in range(4):
            def draw(name, number=number):
                return random.Random(f"{seed} {name} {number}")
            if "own" in parts:
                readers["own", number] = OwnReader(client, draw("own"), uid)
            if "argo" in parts:
                readers["argo", number] = ArgoReader(client, draw("argo"), version)
        if "events" in parts:
            readers["events", 0] = EventReader(client, random.Random(f"{seed} events"), "focus")
        for reader in readers.values():
            reader.start()
        stir(client, random.Random(f"{seed} stir"), "focus")
        check("the runs end", until(
            lambda: client.ask("GET", f"/api/martlet/v1/runs/{uid}")["phase"] == "Succeeded"))
        phases = {item["metadata"]["uid"]: item["status"]["phase"] for item in settled(client)["items"]}
        run = client.ask("GET", f"/api/martlet/v1/runs/{uid}")
        nodes = {node["id"]: (node["phase"], node["message"]) for node in run["nodes"]}
        events = client.ask("GET", f"/api/martlet/v1/runs/{uid}/events?limit=500")["items"]
        for (kind, number), reader in readers.items():
            if kind == "own":
                got = reader.finish(lambda: {key: item["phase"] for key, item in reader.runs.items()} == phases
                                    and reader.nodes == nodes)
                what = {"runs": len(set(reader.runs) ^ set(phases)), "nodes": len(set(reader.nodes.items()) ^ set(nodes.items()))}
            elif kind == "argo":
                got = reader.finish(lambda: reader.runs == phases)
                what = {"runs": len(set(reader.runs.items()) ^ set(phases.items()))}
            else:
                wanted = [int(event["id"]) for event in events]
                got = reader.finish(lambda: sorted(set(reader.ids)) == sorted(wanted))
                what = (reader.ids, wanted)
                check("events: none twice", len(set(reader.ids)) == len(reader.ids), reader.ids)
            check(f"{kind} {number}: all there after {reader.connections} connections", got, what)
            check(f"{kind} {number}: nothing twice", not reader.problems, reader.problems[:3])
        if "own" in parts or "argo" in parts:
            count = sum(reader.connections for reader in readers.values())
            check("connections were cut", count > 2 * len(readers), count)


class Proxy(threading.Thread):
    """Hands on connections; the first few of those that say much are cut after a drawn number of bytes."""

    def __init__(self, target, draw, cuts):
        super().__init__(daemon=True)
        self.target, self.draw, self.left = target, draw, cuts
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.door.getsockname()[1]

    def run(self):
        while True:
            try:
                link, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(link,), daemon=True).start()

    def carry(self, near):
        host, port = self.target.rsplit(":", 1)
        limit = self.draw.randrange(5_000, 90_000) if self.left > 0 else None
        with near, socket.create_connection((host, int(port))) as far:
            sent = 0
            while True:
                for link in select.select([near, far], [], [])[0]:
                    try:
                        piece = link.recv(4_096)
                        if not piece:
                            return
                        (far if link is near else near).sendall(piece)
                    except OSError:
                        return
                    sent += len(piece) if link is far else 0
                    if limit is not None and sent > limit and self.left > 0:
                        self.left -= 1
                        return


def logs(check, martlet, seed):
    with Server(martlet) as server, tempfile.TemporaryDirectory(prefix="martlet-stream-") as folder:
        proxy = Proxy(urllib.parse.urlsplit(server.url).netloc, random.Random(f"{seed} logs"), 4)
        proxy.start()
        with open(folder + "/talker.yaml", "w") as file:
            file.write(LOG)
        environment = dict(os.environ, NO_COLOR="1")
        subprocess.run([martlet, "submit", folder + "/talker.yaml", "--server", server.url], check=True,
                       capture_output=True, env=environment)
        done = subprocess.run([martlet, "logs", "talker", "--follow", "--server", proxy.url], capture_output=True,
                              text=True, env=environment, timeout=3 * PATIENCE_SECONDS)
        proxy.door.close()
        numbers = [int(number) for number in re.findall(r"line (\d+)$", done.stdout, re.M)]
        check("logs: the command ends well", done.returncode == 0, done.stderr[-300:])
        check("logs: connections were cut", proxy.left == 0, proxy.left)
        check("logs: each line once, in order", numbers == list(range(LINES)),
              [pair for pair in zip(numbers, range(LINES)) if pair[0] != pair[1]][:3] or len(numbers))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=".build/debug/martlet")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("parts", nargs="*", choices=["own", "argo", "events", "logs", []])
    options = parser.parse_args()
    parts = options.parts or ["own", "argo", "events", "logs"]
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    check = Checks()
    martlet = os.path.abspath(options.martlet)
    if set(parts) - {"logs"}:
        watch(check, martlet, seed, parts)
    if "logs" in parts:
        logs(check, martlet, seed)
    print(f"{check.failures} failures; again: --seed {seed}" if check.failures else "the streams are whole")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
