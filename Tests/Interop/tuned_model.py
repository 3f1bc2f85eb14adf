"""A small model of random weights that a run of `martlet server` fetches, quantizes and, if told, deploys: what several
checks begin with."""

import json
import os
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "Soak")]

from soak import write_model  # noqa: E402

PATIENCE_SECONDS = 600

TASKS = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: tune-}
spec:
  entrypoint: main
  templates:
    - name: base
      download: {model: "@MODEL@"}
    - name: quantize
      inputs: {artifacts: [{name: model}]}
      quantize: {quant_method: rtn, quant_bits: 8}
    - name: serve
      inputs: {artifacts: [{name: model}]}
      deploy: {name: chat}
    - name: main
      dag:
        tasks:
          - {name: base, template: base}
          - name: quantize
            template: quantize
            depends: base
            arguments: {artifacts: [{name: model, from: "{{tasks.base.outputs.artifacts.model}}"}]}
"""

DEPLOYS = """
          - name: serve
            template: serve
            depends: quantize
            arguments: {artifacts: [{name: model, from: "{{tasks.quantize.outputs.artifacts.model}}"}]}
"""


def write_base(folder):
    """The model in a new directory, as transformers can read it, too."""
    os.makedirs(folder)
    write_model(folder, 1)
    with open(folder + "/config.json", "r+", encoding="utf-8") as file:
        config = {**json.load(file), "model_type": "llama"}
        file.seek(0)
        json.dump(config, file)
    return folder


def ask(server, method, path, body=None):
    """What the server's own API answers."""
    request = urllib.request.Request(
        server.url + "/api/martlet/v1" + path, method=method, headers={"Content-Type": "application/json"},
        data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def until(call, holds, seconds=60):
    """Asks until it holds, or the time is over; then the last answer."""
    end = time.monotonic() + seconds
    while not holds(found := call()) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def finish(server, uid):
    return until(
        lambda: ask(server, "GET", f"/runs/{uid}"), lambda run: run["phase"] not in ("Pending", "Running"),
        PATIENCE_SECONDS)


def tune(server, base, deploys=False):
    """Runs it to its end; the run."""
    text = TASKS.replace("@MODEL@", base) + (DEPLOYS.lstrip("\n") if deploys else "")
    run = finish(server, ask(server, "POST", "/submit", {"namespace": "default", "text": text})["uid"])
    assert run["phase"] == "Succeeded", [(node["name"], node["message"]) for node in run["nodes"]]
    return run
