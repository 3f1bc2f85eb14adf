#!/usr/bin/env python3
"""The server as the chart starts it: its arguments, its environment, its Secret and its Role, on the tests' cluster.

    chart_run_check.py [--martlet PATH]

Needs PyYAML and jsonschema (PyPI), and FakeCluster and Supervisor beside the program, as `swift build` leaves them.
Only addresses and paths differ from what a pod has. The cluster allows what the chart's Role says, and no more.
"""

import argparse
import base64
import copy
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

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


class Installation:
    """What the chart makes by default, laid out in a folder as a pod would find it."""

    def __init__(self, martlet, folder):
        self.martlet, self.folder = martlet, folder
        self.objects = Renderer(ROOT / "deploy" / "chart").objects()
        deployment = next(thing for thing in self.objects if thing["kind"] == "Deployment")
        self.container = deployment["spec"]["template"]["spec"]["containers"][0]
        data = next(thing for thing in self.objects if thing["kind"] == "Secret")["data"]
        for key, text in data.items():
            (pathlib.Path(folder) / key).write_bytes(base64.b64decode(text))
        self.token = base64.b64decode(data["token"]).decode()
        self.environment = {one["name"]: one.get("value", "martlet") for one in self.container["env"]}
        self.environment.update(
            HOME=folder, MARTLET_DATA_DIR=folder + "/data", MARTLET_SECRET_KEY_FILE=folder + "/secret-key",
            PATH="/usr/local/bin:/usr/bin:/bin")

    def cluster(self, without=()):
        """The tests' cluster with the chart's Role, less some (verb, resource)."""
        roles = [thing for thing in copy.deepcopy(self.objects) if thing["kind"] == "Role"]
        role = dict(roles[0], rules=[
            dict(rule, resources=[name], verbs=[verb]) for one in roles for rule in one["rules"]
            for name in rule["resources"] for verb in rule["verbs"] if (verb, name) not in without])
        path = pathlib.Path(self.folder) / "role.yaml"
        path.write_text(yaml.safe_dump(role), encoding="utf-8")
        programs = pathlib.Path(self.martlet).parent
        words = [str(programs / "FakeCluster"), self.folder + "/cluster", str(programs), "--role", str(path)]
        return Program(words, self.environment, r"ready: (\S+)", "stderr")

    def server(self, ready=r"server: ready at (\S+)"):
        words = server_words(self.container, self.folder, self.folder + "/cluster/kubeconfig")
        return Program([self.martlet, *words], self.environment, ready, "stdout")

    def ask(self, server, *words, token=None):
        return subprocess.run(
            [self.martlet, *words, "--server", server.address, "--token", token or self.token], capture_output=True,
            text=True, timeout=300, env={"HOME": self.folder, "PATH": self.environment["PATH"]})

    def probed(self, server):
        """The statuses that the chart's probes meet at a server."""
        found = {}
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            try:
                url = server.address.rstrip("/") + self.container[name]["httpGet"]["path"]
                found[name] = urllib.request.urlopen(url, timeout=30).status
            except urllib.error.HTTPError as error:
                found[name] = error.code
        return found


def working(checks, installation):
    submit = ["submit", "-n", "martlet", "--wait"]
    with installation.cluster() as cluster:
        checks("the cluster of the tests is ready", cluster.address, "".join(cluster.said))
        with installation.server() as server:
            checks("the server takes the chart's arguments", server.address, "".join(server.said))
            if not server.address:
                return
            listed = installation.ask(server, "list")
            checks("the Secret's token opens it", listed.returncode == 0, listed.stderr)
            checks("another one does not", installation.ask(server, "list", token=TOKEN).returncode != 0)
            for name in WORKFLOWS:
                done = installation.ask(server, *submit, str(ROOT / "workflows" / name))
                checks(f"{name} succeeds with the chart's Role", done.returncode == 0,
                       (done.stdout + done.stderr)[-800:])
            alive = {"startupProbe": 200, "livenessProbe": 200}
            found = installation.probed(server)
            checks("its probes say that it works", found == dict(alive, readinessProbe=200), str(found))
            with installation.server(r"server: standby at (\S+)") as second:
                checks("a second server stands by", second.address, "".join(second.said))
                found = second.address and installation.probed(second)
                checks("its probes let it live, and keep the Service away", found == dict(
                    alive, readinessProbe=503), str(found))


def forbidden(checks, installation):
    with installation.cluster(without={("create", "pods")}), installation.server() as server:
        checks("a server begins without the right to make pods", server.address, "".join(server.said))
        done = server.address and installation.ask(
            server, "submit", "-n", "martlet", "--watch", str(ROOT / "workflows" / "hello-world.yaml"))
        said = done and done.stdout + done.stderr
        checks("but its step fails, and says what is forbidden", done and done.returncode == 1 and re.search(
            "forbidden|not allow|cannot create|may not", said), str(said)[-800:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=str(ROOT / ".build" / "debug" / "martlet"))
    options = parser.parse_args()
    martlet = str(pathlib.Path(options.martlet).resolve())
    checks = Checks()
    if not (pathlib.Path(martlet).parent / "FakeCluster").exists():
        print(f"no FakeCluster beside {martlet}: `swift build` makes it")
        return 2
    for check in (working, forbidden):
        with tempfile.TemporaryDirectory(prefix="martlet-chart-") as folder:
            check(checks, Installation(martlet, folder))
    print(f"{checks.failures} failed")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
