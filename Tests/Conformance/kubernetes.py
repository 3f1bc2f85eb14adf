#!/usr/bin/env python3
"""Runs the conformance manifests with `--executor kubernetes`: on the API server and the node of the tests, or on a
real cluster.

    kubernetes.py [--bin DIR] [FOLDER]... [arguments of run.py]...

DIR has martlet, Supervisor and FakeCluster; default: .build/debug. Without FOLDER those of run.py are run. Variables:

    MARTLET_TEST_KUBECONFIG=FILE    a real cluster, whose nodes run the pods. The user of the file may create pods,
                                    pods/log, configmaps, secrets, persistentvolumeclaims and namespaces.
    MARTLET_TEST_FAKE_KUBELET=1     with it, the node of the tests runs the pods: for an API server without nodes.
                                    It makes a Node `fake-node` that is Ready, keeps its Lease, and places pods itself
                                    where no scheduler does; a scheduler with other nodes would take pods away from it.
                                    The user of the file needs, beside the above, nodes and nodes/status,
                                    pods/binding, pods/status, and leases of kube-node-lease. Logs: the API server must
                                    reach this machine at 127.0.0.1, as one on it does.
    MARTLET_TEST_STEP_IMAGE=IMAGE   the step image (deploy/Containerfile), which the nodes must be able to pull or have;
                                    default: martlet:test, which only the node of the tests knows.
    MARTLET_TEST_STEP_HOST=ADDRESS  where pods reach this machine; default: the address from which it reaches the cluster.
    MARTLET_TEST_STEP_OPTIONS=...   other options of `martlet run` in place of those that follow from the above.

On a real cluster's nodes pods run at the level "baseline", since images of the examples write beside /tmp as root.
Namespaces that manifests name are created where they are missing and stay; what the runs made is deleted.
"""

import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRAPPER = """#!/bin/sh
case "$1" in
run|retry|resubmit|resume) ;;
*) exec {martlet} "$@" ;;
esac
echo "i$$" >> {instances}
exec {martlet} "$@" --executor kubernetes --kubeconfig {kubeconfig} --instance "i$$" {options}
"""
PREPARE_SECONDS = 120


def address_of(server):
    """The address of this machine from which it reaches the cluster; for a cluster on it, one that is not loopback."""
    host = urllib.parse.urlsplit(server).hostname or "127.0.0.1"
    for target in (host, "10.255.255.255"):
        with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 9))
            except OSError:
                continue
            address = probe.getsockname()[0]
            if not address.startswith("127.") and address != "::1":
                return address
    return "127.0.0.1"


def server_of(kubeconfig):
    found = re.search(r"^\s*server:\s*[\"']?([^\s\"']+)", pathlib.Path(kubeconfig).read_text(encoding="utf-8"), re.M)
    return found[1] if found else ""


def namespaces(folders):
    """Those that manifests name, and `default`."""
    names = {"default"}
    for folder in folders:
        for path in pathlib.Path(folder).rglob("*.yaml"):
            for name in re.findall(r"^  namespace: *([a-z0-9-]+) *$", path.read_text(encoding="utf-8"), re.M):
                names.add(name)
    return sorted(names)


class Cluster:
    """A cluster, and Martlet's own resource templates to prepare and clear it."""

    def __init__(self, martlet, kubeconfig, scratch):
        self.martlet, self.kubeconfig, self.scratch = martlet, kubeconfig, scratch

    def carry_out(self, steps, name):
        """Runs resource templates one after another; what they say is shown when one fails."""
        templates = [{"name": "main", "steps": [[{"name": f"s{i}", "template": f"t{i}"}] for i in range(len(steps))]}]
        templates += [{"name": f"t{i}", "resource": step} for i, step in enumerate(steps)]
        workflow = {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name},
            "spec": {"entrypoint": "main", "templates": templates},
        }
        path = pathlib.Path(self.scratch) / f"{name}.json"
        path.write_text(json.dumps(workflow), encoding="utf-8")
        command = [
            self.martlet, "run", str(path), "-o", "json", "--data-dir", f"{self.scratch}/{name}", "--executor",
            "kubernetes", "--kubeconfig", self.kubeconfig, "--instance", "prepare"]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=PREPARE_SECONDS)
        if outcome.returncode == 0:
            return True
        try:
            nodes = json.loads(outcome.stdout)["status"]["nodes"].values()
            said = "; ".join(sorted({node.get("message", "") for node in nodes} - {""}))
        except (ValueError, KeyError):
            said = outcome.stderr.strip()[-500:]
        print(f"{name}: {said}", file=sys.stderr)
        return False

    def prepare(self, names):
        objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
        # A cluster without its controllers makes no service accounts, and pods want one.
        objects += [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
            for name in names]
        return self.carry_out([{"action": "apply", "manifest": json.dumps(one)} for one in objects], "prepare")

    def clear(self, names, instances):
        """The object that owns a run's pods takes them along."""
        instances = sorted(set(instances))
        selector = "app.kubernetes.io/managed-by=martlet,app.kubernetes.io/instance in (%s)"
        steps = [
            {"action": "delete", "flags": ["configmaps", "-n", name, "-l", selector % ",".join(some)]}
            for name in names for some in (instances[i:i + 50] for i in range(0, len(instances), 50))]
        if steps:
            self.carry_out(steps, "clear")


def split(words):
    """Folders, and arguments of run.py."""
    folders, rest = [], []
    takes_value = {"--jobs", "--limit", "--only", "--martlet", "--workflows"}
    while words:
        word = words.pop(0)
        if word in takes_value and words:
            rest += [word, words.pop(0)]
        elif word.startswith("-"):
            rest.append(word)
        else:
            folders.append(word)
    return folders, rest


def options_for(real, fake_kubelet, kubeconfig):
    given = os.environ.get("MARTLET_TEST_STEP_OPTIONS")
    if given is not None:
        return given
    image = os.environ.get("MARTLET_TEST_STEP_IMAGE", "martlet:test")
    if not real or fake_kubelet:
        return f"--step-listen 127.0.0.1:0 --step-image {shlex.quote(image)}"
    host = os.environ.get("MARTLET_TEST_STEP_HOST") or address_of(server_of(kubeconfig))
    return f"--step-listen {shlex.quote(host)}:0 --step-image {shlex.quote(image)} --pod-security baseline"


def main():
    words = sys.argv[1:]
    if "--help" in words or "-h" in words:
        print(__doc__)
        return 0
    folder = ROOT / ".build" / "debug"
    if "--bin" in words:
        place = words.index("--bin")
        folder = pathlib.Path(words[place + 1]).resolve()
        del words[place:place + 2]
    folders, rest = split(words)
    real = os.environ.get("MARTLET_TEST_KUBECONFIG")
    fake_kubelet = os.environ.get("MARTLET_TEST_FAKE_KUBELET") == "1"
    with tempfile.TemporaryDirectory(prefix="martlet-cluster-") as scratch:
        node = None
        kubeconfig = os.path.abspath(real) if real else f"{scratch}/kubeconfig"
        cluster = Cluster(str(folder / "martlet"), kubeconfig, scratch)
        names = namespaces(folders)
        if real and not cluster.prepare(names):
            return 2
        if not real or fake_kubelet:
            command = [str(folder / "FakeCluster"), scratch, str(folder)] + ([kubeconfig] if real else [])
            node = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            ready = node.stderr.readline()
            if not ready.startswith("ready"):
                print(f"the cluster did not start: {ready}")
                return 2
        instances = pathlib.Path(scratch) / "instances"
        instances.touch()
        wrapper = pathlib.Path(scratch) / "martlet"
        wrapper.write_text(WRAPPER.format(
            martlet=shlex.quote(str(folder / "martlet")), kubeconfig=shlex.quote(kubeconfig),
            options=options_for(real, fake_kubelet, kubeconfig), instances=shlex.quote(str(instances))))
        wrapper.chmod(0o755)
        try:
            status = 0
            for place in folders or [None]:
                run = [sys.executable, str(ROOT / "Tests" / "Conformance" / "run.py"), "--martlet", str(wrapper), *rest]
                if place:
                    print(f"{place}:", flush=True)
                    run.append(place)
                status = max(status, subprocess.run(run).returncode)
            if node and node.poll() is not None:
                print(f"the cluster ended by itself with {node.returncode}")
                return 1
            return status
        finally:
            if real:
                cluster.clear(names, instances.read_text(encoding="utf-8").split())
            if node and node.poll() is None:
                node.send_signal(signal.SIGTERM)
                for _ in range(50):
                    if node.poll() is not None:
                        break
                    time.sleep(0.1)
                else:
                    node.kill()


if __name__ == "__main__":
    sys.exit(main())
