#!/usr/bin/env python3
"""Whether Martlet's own API keeps to its document: schemathesis (PyPI, version 4) over a running server.

    openapi_check.py [--martlet PATH] [--examples N] [--seed N]

Starts `martlet server` on a free port with a fresh data directory, fills it with runs, templates, a schedule, metrics
and artifacts, and asks everything that /openapi.json says can be asked, rightly and wrongly: no answer of 5xx, none
that the document does not have (status, content type, shape), wrong input refused. First with names made up, then with
those of what is there. The event stream is read apart. Ends with 1 at any breach.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
          "response_schema_conformance,negative_data_rejection,unsupported_method")

REFUSALS = [400, 401, 403, 404, 405, 409, 413, 414, 415, 422, 429, 431]

TEMPLATE = """apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: greet}
spec:
  entrypoint: main
  arguments: {parameters: [{name: word, value: hello}]}
  templates:
  - name: main
    inputs: {parameters: [{name: word, value: "{{workflow.parameters.word}}"}]}
    script:
      command: [sh]
      source: |
        i=0; while [ $i -lt 300 ]; do echo "line $i {{inputs.parameters.word}}"; i=$((i+1)); done
        echo '{"step": 1, "loss": 2.0}' > $MARTLET_METRICS_FILE
        printf 'a,b\\n1,2\\n' > /tmp/table.csv
    outputs: {artifacts: [{name: table, path: /tmp/table.csv}]}
---
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["0 3 * * *"]
  workflowSpec: {workflowTemplateRef: {name: greet}}
"""


class Failure(Exception):
    pass


class Server:
    """`martlet server` over a fresh data directory for the length of a `with`."""

    def __init__(self, martlet, folder):
        self.words = [martlet, "server", "--listen", "127.0.0.1:0", "--data-dir", folder]
        self.log = open(os.path.join(folder, "server.log"), "wb")

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise Failure(f"the server did not start: {line}")
        self.url = "http://" + line.split("http://", 1)[1].split()[0].rstrip("/")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + "/api/martlet/v1" + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"} if data else {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise Failure(f"{path}: {error.code} {error.read().decode()}") from error


def fill(server):
    """Makes something of everything; gives the names of it."""
    server.ask("/definitions", {"text": TEMPLATE, "replace": True})
    run = server.ask("/submit", {"pipeline": "greet", "parameters": {"word": "well"}})
    for _ in range(300):
        found = server.ask(f"/runs/{run['uid']}")
        if found["phase"] in ("Succeeded", "Failed", "Error"):
            break
        time.sleep(0.1)
    if found["phase"] != "Succeeded":
        raise Failure(f"the run ended as {found['phase']}: {found['message']}")
    server.ask("/secrets/default/known", {"values": {"key": "canary-of-the-check"}}, "PUT")
    pod = next(node for node in found["nodes"] if node["type"] == "Pod")
    return {"uid": run["uid"], "node": pod["id"]}


def schemathesis(server, folder, examples, seed, names):
    """Runs schemathesis once; names take the place of made-up path parameters."""
    lines = [f'"path.{key}" = "{value}"' for key, value in names.items()]
    config = os.path.join(folder, "schemathesis.toml")
    with open(config, "w", encoding="utf-8") as file:
        if lines:
            file.write("[parameters]\n" + "\n".join(lines) + "\n")
        # A made-up name of thousands of characters is refused for its length before anybody looks what it is.
        file.write(f"[checks]\nnegative_data_rejection.expected-statuses = {REFUSALS}\n")
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    words = [program, "--config-file", config, "run", server.url + "/openapi.json", "--checks", CHECKS,
             "--max-examples", str(examples), "--seed", str(seed), "--exclude-operation-id", "MartletAPI_Stream",
             "--phases", "examples,coverage,fuzzing", "--request-timeout", "30", "--continue-on-failure", "--no-color"]
    return subprocess.run(words, cwd=folder, check=False).returncode == 0


def read_stream(server, names):
    """The greeting and the run in focus come at once, as the document says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(server.url + f"/api/martlet/v1/stream?run={names['uid']}", timeout=30) as reply:
        if not reply.headers["Content-Type"].startswith("text/event-stream"):
            raise Failure("the stream is no event stream")
        events = []
        while len(events) < 2:
            line = reply.readline().decode().strip()
            if line.startswith("event: "):
                events.append(line[7:])
    if events != ["hello", "run"]:
        raise Failure(f"the stream began with {events}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--martlet", default=".build/release/martlet")
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="martlet-openapi-")
    well = True
    try:
        with Server(os.path.abspath(words.martlet), folder) as server:
            names = fill(server)
            read_stream(server, names)
            for chosen in ({}, names | {"namespace": "default", "name": "greet"},
                           names | {"namespace": "default", "name": "nightly"}, names | {"name": "table"}):
                print(f"with {chosen or 'made-up names'}", flush=True)
                well = schemathesis(server, folder, words.examples, words.seed, chosen) and well
            if server.process.poll() is not None:
                raise Failure("the server ended")
            server.ask("/overview")
    except Failure as failure:
        print(f"failed: {failure}")
        well = False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("the API keeps to its document" if well else "the API breaks its document")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
