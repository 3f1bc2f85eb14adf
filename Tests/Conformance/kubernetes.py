#!/usr/bin/env python3
"""Runs the conformance manifests with `--executor kubernetes` on the API server and the node of the tests.

    kubernetes.py [--bin DIR] [arguments of run.py]...

DIR has martlet, Supervisor and FakeCluster; default: .build/debug. MARTLET_TEST_KUBECONFIG names a real cluster instead,
whose nodes run the pods; MARTLET_TEST_FAKE_KUBELET=1 lets the node of the tests run them.
"""

import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRAPPER = """#!/bin/sh
case "$1" in
run|retry|resubmit|resume|submit) kind=$1 ;;
*) exec {martlet} "$@" ;;
esac
[ "$kind" = submit ] && exec {martlet} "$@"
exec {martlet} "$@" --executor kubernetes --kubeconfig {kubeconfig} --instance "i$$" {options}
"""


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
    real = os.environ.get("MARTLET_TEST_KUBECONFIG")
    with tempfile.TemporaryDirectory(prefix="martlet-cluster-") as scratch:
        node = None
        kubeconfig = real or f"{scratch}/kubeconfig"
        if not real or os.environ.get("MARTLET_TEST_FAKE_KUBELET") == "1":
            command = [str(folder / "FakeCluster"), scratch, str(folder)] + ([real] if real else [])
            node = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            ready = node.stderr.readline()
            if not ready.startswith("ready"):
                print(f"the cluster did not start: {ready}")
                return 2
        options = os.environ.get("MARTLET_TEST_STEP_OPTIONS", "--step-listen 127.0.0.1:0 --step-image martlet:test")
        wrapper = pathlib.Path(scratch) / "martlet"
        wrapper.write_text(WRAPPER.format(
            martlet=shlex.quote(str(folder / "martlet")), kubeconfig=shlex.quote(kubeconfig), options=options))
        wrapper.chmod(0o755)
        try:
            run = [sys.executable, str(ROOT / "Tests" / "Conformance" / "run.py"), "--martlet", str(wrapper), *words]
            status = subprocess.run(run).returncode
            if node and node.poll() is not None:
                print(f"the cluster ended by itself with {node.returncode}")
                return 1
            return status
        finally:
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
