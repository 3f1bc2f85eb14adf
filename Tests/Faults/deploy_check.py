#!/usr/bin/env python3
"""Replaces a deployment under load, breaks one, and kills the server in the middle of a replacement.

    deploy_check.py [--martlet PATH] [--rounds N] [--short] [replace|broken|kill|alone]...

A small model of random weights is served by `martlet server`; runs with a `deploy` step replace it.

replace  as many times as there are rounds, while clients ask without a pause, streams among them: no request may fail.
         With the `openai` client where it is installed
broken   a model that cannot be loaded, and one whose weights are no numbers: the step must fail with the reason, and
         what served before must go on
kill     kill -9 of the server at several instants of a replacement; the next server must end with the new revision
         serving, the old one gone, and the run Succeeded
alone    `martlet run` without a server deploys; a server that is started later takes the deployment up as it is
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "Soak"), os.path.join(HERE, "..", "Interop")]

from soak import write_model
from server import Checks

# Nothing here takes so long; then the check gives up.
PATIENCE_SECONDS = 300
CLIENTS = 4
# How the clients tell of an answer that had begun and was broken off.
BROKEN_OFF = ("cut off", "Remote", "peer closed", "IncompleteRead")

MANIFEST = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: deploy-}
spec:
  entrypoint: serve
  templates:
    - name: serve
      deploy: {model: %s, name: chat, replicas: %d}
      outputs: {parameters: [{name: url}, {name: deployment}, {name: revision}]}
"""


class Server:
    """`martlet server` on a data directory that outlives it."""

    def __init__(self, martlet, data):
        self.martlet, self.data = martlet, data
        self.process = None
        self.url = None
        self.port = 0

    def start(self):
        self.process = subprocess.Popen(
            [self.martlet, "server", "--listen", f"127.0.0.1:{self.port}", "--data-dir", self.data],
            stdout=subprocess.PIPE, stderr=open(self.data + ".log", "ab"), text=True)
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise SystemExit(f"the server did not start: {line!r}\n{open(self.data + '.log').read()[-2000:]}")
        self.url = "http://" + line.split("http://")[1].split()[0].rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, headers={"Content-Type": "application/json"})
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(request, data, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def submit(self, model, replicas=1):
        text = MANIFEST % (json.dumps(model), replicas)
        return self.ask("POST", "/api/martlet/v1/submit", {"namespace": "default", "text": text})["uid"]

    def run(self, uid):
        return self.ask("GET", f"/api/martlet/v1/runs/{uid}")

    def finish(self, uid):
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            run = self.run(uid)
            if run["phase"] in ("Succeeded", "Failed", "Error"):
                return run
            time.sleep(0.1)
        raise SystemExit(f"run {uid} did not end: {json.dumps(run)[:2000]}")

    def deployment(self):
        return self.ask("GET", "/api/martlet/v1/deployments/chat")

    def until(self, is_so, what):
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            found = self.deployment()
            if is_so(found):
                return found
            time.sleep(0.1)
        raise SystemExit(f"the deployment did not come to {what}: {json.dumps(found)[:3000]}")


class Load:
    """Clients that ask without a pause, and count what fails."""

    def __init__(self, server):
        self.server = server
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.done, self.streams, self.failures = 0, 0, []
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE_SECONDS)

    def until_answered(self):
        """Returns when a request has ended, well or not: how long the first one takes is the machine's."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.done and not self.failures and time.monotonic() < end:
            time.sleep(0.02)

    def client(self, number):
        ask = self.openai_asker() or self.plain
        while not self.stopping.is_set():
            streams = number % 2 == 1
            try:
                tokens = ask(streams)
                if tokens < 1:
                    raise ValueError("an answer without a token")
                with self.lock:
                    self.done += 1
                    self.streams += streams
            except Exception as error:  # noqa: BLE001 - each failure is what the check is about
                with self.lock:
                    self.failures.append(f"{'stream' if streams else 'whole'}: {type(error).__name__}: {error}")

    def openai_asker(self):
        try:
            import openai
        except ImportError:
            return None
        client = openai.OpenAI(
            base_url=self.server.url + "/deployments/chat/v1", api_key="none", max_retries=0, timeout=PATIENCE_SECONDS)

        def ask(streams):
            answer = client.chat.completions.create(
                model="chat", messages=[{"role": "user", "content": "Hello"}], max_tokens=12, stream=streams,
                extra_body={"ignore_eos": True})
            if not streams:
                return answer.usage.completion_tokens
            reasons = [chunk.choices[0].finish_reason for chunk in answer if chunk.choices]
            if not any(reasons):
                raise ValueError("a stream was cut off")
            return len(reasons)
        return ask

    def plain(self, streams):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_SECONDS)
        try:
            body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12,
                    "stream": streams, "ignore_eos": True}
            connection.request("POST", "/deployments/chat/v1/chat/completions", json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200:
                raise ValueError(f"status {answer.status}: {text[:300]}")
            if not streams:
                return json.loads(text)["usage"]["completion_tokens"]
            if not text.rstrip().endswith("data: [DONE]"):
                raise ValueError(f"a stream was cut off: {text[-200:]!r}")
            return text.count("data: ") - 1
        finally:
            connection.close()


class World:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="martlet-deploy-faults-", dir="/var/tmp")
        self.server = Server(options.martlet, os.path.join(self.folder, "data"))
        self.models = 0

    def model(self):
        """Another model each time: other weights."""
        self.models += 1
        folder = os.path.join(self.folder, f"model-{self.models}")
        os.makedirs(folder)
        write_model(folder, self.models)
        return folder

    def clean_up(self):
        try:
            if self.server.process is None or self.server.process.poll() is not None:
                self.server.start()
            self.server.ask("DELETE", "/api/martlet/v1/deployments/chat")
            end = time.monotonic() + 60
            while time.monotonic() < end and self.server.ask("GET", "/api/martlet/v1/deployments")["items"]:
                time.sleep(0.2)
        except (urllib.error.URLError, OSError):
            pass
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def first(self):
        """The deployment as each check wants to find it: a model serves."""
        uid = self.server.submit(self.model())
        run = self.server.finish(uid)
        assert run["phase"] == "Succeeded", run
        return run


def outputs(run):
    node = next(node for node in run["nodes"] if node["type"] == "Pod")
    return node


def processes(found, state=None):
    return [item for item in found["processes"] if item["state"] in ("ready", "starting", "draining", "silent")
            and (state is None or item["state"] == state)]


def replace(world, check):
    server = world.server
    server.start()
    world.first()
    rounds = world.options.rounds
    models = [world.model() for _ in range(2)]
    with Load(server) as load:
        for number in range(rounds):
            before = load.done
            run = server.finish(server.submit(models[number % 2]))
            if run["phase"] != "Succeeded":
                check(f"replacement {number + 1}", False, str(outputs(run).get("message")))
                break
            # Each revision answers something before the next one comes.
            end = time.monotonic() + 60
            while load.done < before + CLIENTS and time.monotonic() < end and not load.failures:
                time.sleep(0.02)
    found = server.until(lambda d: d["state"] == "ready" and len(processes(d)) == 1, "one process")
    check(f"{rounds} replacements: {load.done} requests, {load.streams} of them streams; none failed",
          not load.failures and load.done > rounds, f"{len(load.failures)} failed: {load.failures[:3]}")
    check("the last revision serves", found["active"] == rounds + 1, json.dumps(found)[:500])
    check("the server counts the requests", found["requests"] >= load.done and found["failures"] == 0,
          f"{found['requests']} of {load.done}, {found['failures']} failed")
    server.ask("POST", "/api/martlet/v1/deployments/chat/scale", {"replicas": 2})
    found = server.until(lambda d: d["ready"] == 2, "two processes")
    check("two processes serve after scaling", found["state"] == "ready")
    with Load(server) as load:
        victim = processes(found, "ready")[0]["port"]
        pid = listener(victim)
        if pid:
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        load.until_answered()
    check("a killed process fails none of the requests that had not begun",
          all(text.startswith("stream: ") and any(words in text for words in BROKEN_OFF) for text in load.failures)
          and load.done > 0, str(load.failures[:3]))
    server.until(lambda d: d["ready"] == 2, "two processes again")
    check("and is started again", True)
    server.ask("POST", "/api/martlet/v1/deployments/chat/rollback", {})
    found = server.until(lambda d: d["active"] == rounds and d["state"] == "ready", "the revision before")
    check("a roll-back makes the revision before serve", True)


def listener(port):
    """The process that listens on a port of this machine."""
    wanted = f"{port:04X}"
    inodes = set()
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[1].endswith(":" + wanted) and fields[3] == "0A":
                inodes.add(f"socket:[{fields[9]}]")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{name}") in inodes:
                    return int(pid)
        except OSError:
            continue
    return None


def broken(world, check):
    server = world.server
    server.start()
    world.first()
    before = server.deployment()["active"]
    unreadable = world.model()
    os.truncate(os.path.join(unreadable, "model.safetensors"), 1000)
    spoiled = world.model()
    spoil(os.path.join(spoiled, "model.safetensors"))
    with Load(server) as load:
        for words, folder, reason in (("cannot be loaded", unreadable, "ended before it was ready"),
                                      ("has no numbers", spoiled, "smoke test")):
            run = server.finish(server.submit(folder))
            message = outputs(run).get("message") or ""
            check(f"a model that {words} fails its step", run["phase"] == "Failed", run["phase"])
            check("with the reason", reason in message and "rolled back" in message, message)
            found = server.until(lambda d: d["state"] == "ready", "the state before")
            check("what served before goes on", found["active"] == before and found["wanted"] is None)
    check("and no request failed", not load.failures and load.done > 0, str(load.failures[:3]))
    run = server.finish(server.submit("/nowhere/at/all"))
    message = outputs(run).get("message") or ""
    check("a model that is not there is told so", "/nowhere/at/all" in message, message)


def spoil(path):
    """Makes all weights not numbers."""
    with open(path, "r+b") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        size = os.path.getsize(path) - 8 - length
        file.seek(8 + length)
        file.write(struct.pack("<f", float("nan")) * (size // 4))


def kill(world, check):
    server = world.server
    server.start()
    world.first()
    draw = random.Random(world.options.seed)
    count = 3 if world.options.short else 10
    for number in range(count):
        expected = server.deployment()["active"]
        uid = server.submit(world.model())
        time.sleep(draw.uniform(0, 1.5))
        server.kill()
        server.start()
        run = server.finish(uid)
        found = server.until(
            lambda d: d["state"] == "ready" and len(processes(d)) == 1, "one process of the new revision")
        check(f"kill {number + 1}: the run goes on and its revision serves",
              run["phase"] == "Succeeded" and found["active"] > expected,
              f"{run['phase']} {outputs(run).get('message')} {found['active']}")
        revisions = [item["number"] for item in found["revisions"]]
        check("no revision was made twice", len(revisions) == len(set(revisions)), str(revisions))
        with Load(server) as load:
            load.until_answered()
        check("and answers", load.done > 0 and not load.failures, str(load.failures[:3]))


def alone(world, check):
    path = os.path.join(world.folder, "deploy.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(MANIFEST % (json.dumps(world.model()), 1))
    command = [world.options.martlet, "run", path, "--data-dir", world.server.data, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    check("a run without a server deploys", done.returncode == 0, done.stderr[-500:])
    if done.returncode:
        return
    nodes = json.loads(done.stdout)["status"]["nodes"].values()
    given = {item["name"]: item["value"] for node in nodes for item in node.get("outputs", {}).get("parameters", [])}
    check("and tells where", given.get("deployment") == "chat" and given.get("revision") == "1", str(given))
    with urllib.request.urlopen(given["url"] + "/models", timeout=30) as answer:
        check("the address answers when the run has ended", answer.status == 200)
    port = int(given["url"].split(":")[2].split("/")[0])
    world.server.start()
    found = world.server.until(lambda d: d["state"] == "ready", "ready")
    check("a server takes it up as it is", processes(found, "ready")[0]["port"] == port, str(found["processes"]))
    with Load(world.server) as load:
        load.until_answered()
    check("and sends requests there", load.done > 0 and not load.failures, str(load.failures[:3]))


CHECKS = {"replace": replace, "broken": broken, "kill": kill, "alone": alone}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=os.path.join(HERE, "..", "..", ".build", "debug", "martlet"))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="fewer rounds, for every day")
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []])
    options = parser.parse_args()
    options.martlet = os.path.abspath(options.martlet)
    if options.short:
        options.rounds = min(options.rounds, 4)
    check = Checks()
    for name in options.checks or CHECKS:
        print(f"{name}:", flush=True)
        world = World(options)
        try:
            CHECKS[name](world, check)
        finally:
            world.clean_up()
    print(f"{check.failures} failures")
    sys.exit(check.failures > 0)


if __name__ == "__main__":
    main()
