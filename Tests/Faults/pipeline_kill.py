#!/usr/bin/env python3
"""Kills the server and training steps of the quickstart pipeline with kill -9, and compares with a run left alone.

    pipeline_kill.py [--martlet PATH] [--short]

The pipeline of workflows/quickstart.yaml runs twice on one hub: once undisturbed, once with its server killed and started
again while models are trained, and with training steps killed after a checkpoint. The second must come to the same
models, byte for byte, and to the same answers in every evaluation; the killed attempts must have gone on from their
checkpoints. --short learns from few rows, so that nothing is learned, but the same way.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
QUICKSTART = os.path.join(ROOT, "workflows", "quickstart")
PIPELINE = os.path.join(ROOT, "workflows", "quickstart.yaml")
SHORT = ("--documents", "500", "--answers", "500", "--preferences", "64", "--held-out", "12")
SAVE_STEPS = 5
# Nothing here may take longer than this without any progress of the run.
PATIENCE_SECONDS = 240
TRAINED = ("pretrain", "sft", "dpo")
ENDS = ("Succeeded", "Failed", "Error")


class Failure(Exception):
    pass


class Program:
    """`martlet server` or `martlet hub serve`."""

    def __init__(self, words, messages):
        with open(messages, "ab") as errors:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
        watchdog = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        watchdog.start()
        found = re.search(rb"http://[^\s,]+", self.process.stdout.readline())
        watchdog.cancel()
        if not found:
            raise Failure(f"`{' '.join(words[1:3])}` did not start; see {messages}")
        self.url = found.group(0).decode().rstrip("/")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()


class Pipeline:
    """One run of it, on a data directory and a server of its own."""

    def __init__(self, martlet, hub, folder):
        self.martlet, self.hub = martlet, hub
        self.data, self.messages = os.path.join(folder, "data"), os.path.join(folder, "messages")
        os.makedirs(folder)
        self.serve()
        words = [martlet, "submit", PIPELINE, "-o", "name", "--server", self.server.url, "-p", f"hub={hub}", "-p",
                 f"save_steps={SAVE_STEPS}", "-p", "deployment=", "-p", "required=0"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if done.returncode != 0:
            raise Failure(f"the pipeline was refused: {done.stderr}")
        self.name = done.stdout.strip().rsplit("/", 1)[-1]

    def serve(self):
        self.server = Program(
            [self.martlet, "server", "--listen", "127.0.0.1:0", "--data-dir", self.data], self.messages)

    def ask(self, path):
        with urllib.request.urlopen(self.server.url + path, timeout=60) as answer:
            return json.load(answer)

    def status(self):
        workflow = self.ask(f"/api/v1/workflows/default/{self.name}")
        return workflow["metadata"]["uid"], workflow.get("status") or {}

    def nodes(self):
        return {node["displayName"]: node for node in (self.status()[1].get("nodes") or {}).values()}

    def wait(self, what, holds):
        """Returns when it holds; the run's end, or a long time without progress, is a failure."""
        last, since = None, time.monotonic()
        while True:
            _, status = self.status()
            nodes = {node["displayName"]: node for node in (status.get("nodes") or {}).values()}
            if holds(nodes, status):
                return
            if status.get("phase") in ENDS:
                raise Failure(f"{what}: the run has ended {status['phase']}: {status.get('message')}")
            now = (status.get("progress"), len(nodes))
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE_SECONDS:
                raise Failure(f"{what}: nothing has happened for {PATIENCE_SECONDS} s")
            time.sleep(0.05)

    def saved(self, node):
        """Whether an attempt of the node has a checkpoint, and trains on."""
        def holds(nodes, _):
            attempt = nodes.get(f"{node}(0)") or {}
            if attempt.get("phase") not in (None, "Pending", "Running"):
                raise Failure(f"{node} ended before it could be killed: use more rows")
            folders = os.path.join(self.data, "runs", self.uid(), (nodes.get(node) or {}).get("id", "-"), "checkpoints")
            try:
                return any(os.path.exists(f"{folders}/{name}/complete.json") for name in os.listdir(folders))
            except OSError:
                return False
        self.wait(f"for a checkpoint of {node}", holds)

    def uid(self):
        if not hasattr(self, "known"):
            self.known = self.status()[0]
        return self.known

    def kill_step(self, kind):
        """kill -9 of the training program itself, below its supervisor."""
        mark = f"MARTLET_WORKFLOW={self.name}".encode()
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                with open(f"/proc/{entry}/environ", "rb") as file:
                    variables = file.read().split(b"\0")
            except (OSError, ValueError):
                continue
            if len(words) > 1 and words[1] == kind.encode() and mark in variables:
                os.kill(int(entry), signal.SIGKILL)
                return
        raise Failure(f"no process trains for {kind}")

    def restart(self):
        self.server.kill()
        self.serve()

    def end(self):
        self.wait("the end", lambda _, status: status.get("phase") == "Succeeded")

    def result(self):
        """Digests of the models, and what the evaluations came to."""
        uid, status = self.status()
        items = self.ask(f"/api/martlet/v1/runs/{uid}/artifacts")["items"]
        digests = {re.sub(r"\(\d+\)$", "", i["nodeName"]): i["sha256"] for i in items if i["name"] == "model"}
        scores = {}
        for node in (status.get("nodes") or {}).values():
            if node["displayName"].startswith("evaluate-"):
                parameters = (node.get("outputs") or {}).get("parameters") or []
                scores[node["displayName"]] = {p["name"]: p.get("value") for p in parameters}
        return {name: digests.get(name) for name in TRAINED}, scores

    def resumed(self, node):
        """The step at which the second attempt of a killed node began."""
        attempt = self.nodes().get(f"{node}(1)")
        if not attempt:
            raise Failure(f"{node} was killed and has no second attempt")
        place = f"/artifact-files/default/workflows/{self.name}/{attempt['id']}/outputs/logs/logging.jsonl"
        with urllib.request.urlopen(self.server.url + place, timeout=60) as lines:
            steps = [json.loads(line).get("global_step/max_steps") for line in lines]
        log = subprocess.run(
            [self.martlet, "logs", self.name, attempt["id"], "--server", self.server.url], capture_output=True,
            text=True, timeout=60).stdout
        first = re.search(r"(\d+)/\d+\s+\d+%", log)
        if not first or not [s for s in steps if s]:
            raise Failure(f"the second attempt of {node} tells of no step: {log[-300:]}")
        return int(first[1])


def disturb(pipeline):
    """The server is killed while models are trained, steps are killed after a checkpoint."""
    told = []
    pipeline.saved("pretrain")
    pipeline.kill_step("pretrain")
    told.append("pretrain")
    pipeline.saved("sft")
    pipeline.restart()
    pipeline.kill_step("sft")
    pipeline.restart()
    told += ["server", "sft", "server"]
    pipeline.wait("for dpo", lambda nodes, _: "dpo(0)" in nodes)
    pipeline.restart()
    told.append("server")
    pipeline.end()
    return told


def check(martlet, folder, short):
    began = time.monotonic()
    data = os.path.join(folder, "hub", "datasets", "martlet", "calendar-notes")
    subprocess.run(
        [sys.executable, os.path.join(QUICKSTART, "calendar_notes.py"), data, *(SHORT if short else ())], check=True)
    programs = [Program([martlet, "hub", "serve", os.path.join(folder, "hub")], os.path.join(folder, "hub.log"))]
    try:
        hub = programs[0].url
        alone = Pipeline(martlet, hub, os.path.join(folder, "alone"))
        programs.append(alone.server)
        alone.end()
        wanted = alone.result()
        alone.server.stop()
        killed = Pipeline(martlet, hub, os.path.join(folder, "killed"))
        try:
            told = disturb(killed)
            got = killed.result()
            steps = {node: killed.resumed(node) for node in ("pretrain", "sft")}
        finally:
            programs.append(killed.server)
        compare(wanted, got)
        if min(steps.values()) <= SAVE_STEPS // 2:
            raise Failure(f"an attempt began anew instead of going on: first steps {steps}")
        return f"killed {', '.join(told)}; went on at {steps}; same models and answers; {time.monotonic() - began:.0f} s"
    finally:
        for program in programs:
            if program.process.poll() is None:
                program.stop()


def compare(wanted, got):
    if None in wanted[0].values() or len(wanted[1]) != 5:
        raise Failure(f"the run that was left alone is not whole: {wanted}")
    for name, digest in wanted[0].items():
        if got[0][name] != digest:
            raise Failure(f"the model of {name} is another one than without kills")
    if wanted[1] != got[1]:
        raise Failure(f"evaluations differ: {wanted[1]} without kills, {got[1]} with")


def main():
    parser = argparse.ArgumentParser(description="Kills server and training steps of the quickstart pipeline.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--short", action="store_true", help="few rows: some ten seconds instead of minutes")
    options = parser.parse_args()
    martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
    for name in [name for name in os.environ if name.startswith(("MARTLET_S", "MARTLET_D", "HF_"))]:
        if name != "MARTLET_SUPERVISOR":
            del os.environ[name]
    folder = tempfile.mkdtemp(prefix="martlet-pipeline-faults-")
    try:
        print(f"pipeline_kill: ok: {check(martlet, folder, options.short)}")
        return 0
    except Failure as failure:
        print(f"pipeline_kill: FAILED: {failure}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
