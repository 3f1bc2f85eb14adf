#!/usr/bin/env python3
"""The server as the chart starts it: its arguments, its environment, its Secret and its Role, on the tests' cluster.

    chart_run_check.py [--martlet PATH]

Needs PyYAML and jsonschema (PyPI), and FakeCluster and Supervisor beside the program, as `swift build` leaves them. Only
addresses and paths differ from what a pod has. Where FakeCluster has --role, it allows what the chart's Role says, and no
more.
"""

import argparse
import base64
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading

import yaml

from chart_cases import TOKEN
from chart_render import Renderer
from server import Checks

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = ["hello-world.yaml", "artifacts.yaml", "script.yaml"]


class Program:
    """A program that says by a line of its output that it is ready, ended with its block."""

    def __init__(self, words, environment, ready, stream):
        self.process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, text=True, **{
                name: subprocess.PIPE if name == stream else open(f"{environment['HOME']}/{len(words)}.{name}", "w+")
                for name in ("stdout", "stderr")})
        # What never gets ready must not hold up the check for ever.
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        self.said, found = [], None
        for line in getattr(self.process, stream):
            self.said.append(line)
            found = re.search(ready, line)
            if found:
                break
        watchdog.cancel()
        self.address = found.group(1) if found else None
        self.rest = threading.Thread(target=lambda: self.said.extend(getattr(self.process, stream)), daemon=True)
        self.rest.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def server_words(container, folder, kubeconfig):
    """The container's arguments with addresses and paths of this machine."""
    words = []
    for word in container["args"]:
        if word.startswith("--step-url="):
            continue  # With --step-listen alone pods are told that address.
        word = re.sub(r"=0\.0\.0\.0:\d+$", "=127.0.0.1:0", word)
        words.append(word.replace("/etc/martlet/secret", folder))
    # Loopback would need no token; here it is as in a pod.
    return words + ["--auth=token", f"--kubeconfig={kubeconfig}"]


def run(checks, martlet, folder):
    objects = Renderer(ROOT / "deploy" / "chart").objects()
    deployment = next(thing for thing in objects if thing["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    data = next(thing for thing in objects if thing["kind"] == "Secret")["data"]
    for key, text in data.items():
        (pathlib.Path(folder) / key).write_bytes(base64.b64decode(text))
    (pathlib.Path(folder) / "role.yaml").write_text(yaml.safe_dump(
        next(thing for thing in objects if thing["kind"] == "Role")))
    environment = {one["name"]: one.get("value", "martlet") for one in container["env"]}
    environment.update(
        HOME=folder, MARTLET_DATA_DIR=folder + "/data", MARTLET_SECRET_KEY_FILE=folder + "/secret-key",
        PATH="/usr/local/bin:/usr/bin:/bin")
    programs = pathlib.Path(martlet).parent
    cluster = [str(programs / "FakeCluster"), folder + "/cluster", str(programs)]
    usage = subprocess.run(cluster[:1], capture_output=True, text=True, timeout=60).stderr
    if "--role" in usage:
        cluster += ["--role", folder + "/role.yaml"]
    token = base64.b64decode(data["token"]).decode()

    def ask(*words, token=token):
        return subprocess.run(
            [martlet, *words, "--server", server.address, "--token", token], capture_output=True, text=True, timeout=300,
            env={"HOME": folder, "PATH": environment["PATH"]})

    with Program(cluster, environment, r"ready: (\S+)", "stderr") as fake:
        checks("the cluster of the tests is ready", fake.address, "".join(fake.said))
        words = [martlet, *server_words(container, folder, folder + "/cluster/kubeconfig")]
        with Program(words, environment, r"server: ready at (\S+)", "stdout") as server:
            checks("the server takes the chart's arguments", server.address, " ".join(words))
            if not server.address:
                return
            checks("the Secret's token opens it", ask("list").returncode == 0, ask("list").stderr)
            checks("another one does not", ask("list", token=TOKEN).returncode != 0)
            for name in WORKFLOWS:
                done = ask("submit", str(ROOT / "workflows" / name), "-n", "martlet", "--wait")
                checks(f"{name} succeeds with the chart's Role", done.returncode == 0, (done.stdout + done.stderr)[-800:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=str(ROOT / ".build" / "debug" / "martlet"))
    options = parser.parse_args()
    martlet = str(pathlib.Path(options.martlet).resolve())
    checks = Checks()
    if not (pathlib.Path(martlet).parent / "FakeCluster").exists():
        print(f"no FakeCluster beside {martlet}: `swift build` makes it")
        return 2
    with tempfile.TemporaryDirectory(prefix="martlet-chart-") as folder:
        run(checks, martlet, folder)
    print(f"{checks.failures} failed")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
