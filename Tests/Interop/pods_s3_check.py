"""Pods that put artifacts into S3 and get them from there by themselves, with no address of the server at all.

    pods_s3_check.py --martlet PATH

Needs moto[server] and boto3 (PyPI); beside martlet lie Supervisor and FakeCluster, whose node runs the pods' commands as
processes. The server has no door for pods, so that nothing can go through it: what one step leaves, the next one finds,
boto3 sees it, and the data directory does not have its bytes.
"""

import argparse
import base64
import hashlib
import json
import logging
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile

import boto3
from botocore.config import Config
from s3_check import BUCKET, start_server

# One file of so many bytes, and a tree of so many files.
BYTES, FILES = 12 << 20, 40
MAKE = f"""
import os, random
source = random.Random(1)
with open("/tmp/big", "wb") as file:
    file.write(source.randbytes({BYTES}))
os.makedirs("/tmp/tree/a folder")
for number in range({FILES}):
    with open(f"/tmp/tree/a folder/{{number}}", "w") as file:
        file.write(str(number))
"""
READ = """
import hashlib, os
with open("/tmp/in", "rb") as file:
    print("big", hashlib.sha256(file.read()).hexdigest())
folder = "/tmp/tree/a folder"
print("tree", sum(int(open(os.path.join(folder, name)).read()) for name in os.listdir(folder)), len(os.listdir(folder)))
print("brought", open("/tmp/brought").read())
"""


class Checks:
    def __init__(self, martlet, url, access, secret):
        self.martlet, self.url, self.access, self.secret = martlet, url, access, secret
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-pods-s3-"))
        plain = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        self.s3 = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret,
            config=plain)
        programs = martlet.parent
        self.cluster = subprocess.Popen(
            [programs / "FakeCluster", self.folder, programs], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = self.cluster.stderr.readline()
        if not line.startswith("ready: "):
            raise SystemExit(f"the cluster did not start: {line!r}")
        self.failures = 0

    def check(self, name, holds, detail=""):
        print(f"{'ok  ' if holds else 'FAIL'} {name} {detail if not holds else ''}".rstrip(), flush=True)
        self.failures += not holds

    def close(self):
        self.cluster.send_signal(signal.SIGTERM)
        self.cluster.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def location(self, key):
        return {"endpoint": self.url.removeprefix("http://"), "insecure": True, "bucket": BUCKET, "key": key,
                "accessKeySecret": {"name": "s3-keys", "key": "id"}, "secretKeySecret": {"name": "s3-keys", "key": "secret"}}

    def manifest(self, secret):
        """Two steps and the Secret that their artifacts name, as documents of one file."""
        plain = {"archive": {"none": {}}}
        python = lambda source: {"image": "python", "command": ["python3"], "source": source}
        keys = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3-keys"},
                "data": {key: base64.b64encode(value.encode()).decode()
                         for key, value in (("id", self.access), ("secret", secret))}}
        workflow = {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"generateName": "direct-"},
            "spec": {"entrypoint": "main", "templates": [
                {"name": "main", "steps": [
                    [{"name": "make", "template": "make"}], [{"name": "read", "template": "read"}]]},
                {"name": "make", "script": python(MAKE), "outputs": {"artifacts": [
                    {"name": "big", "path": "/tmp/big", **plain, "s3": self.location("run/big")},
                    {"name": "tree", "path": "/tmp/tree", **plain, "s3": self.location("run/tree")}]}},
                {"name": "read", "script": python(READ), "inputs": {"artifacts": [
                    {"name": "big", "path": "/tmp/in", "s3": self.location("run/big")},
                    {"name": "tree", "path": "/tmp/tree", "s3": self.location("run/tree")},
                    {"name": "brought", "path": "/tmp/brought", "s3": self.location("brought")}]}},
            ]}}
        path = self.folder / "run.yaml"
        path.write_text("---\n".join(json.dumps(document) + "\n" for document in (keys, workflow)))
        return path

    def run(self, data, secret):
        return subprocess.run(
            [self.martlet, "run", self.manifest(secret), "--executor", "kubernetes", "--kubeconfig",
             self.folder / "kubeconfig", "--data-dir", self.folder / data, "--step-image", "martlet:test", "-o", "json"],
            capture_output=True, text=True, timeout=300)


def stored_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martlet", required=True)
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server, url, access, secret = start_server()
    checks = Checks(pathlib.Path(options.martlet).resolve(), url, access, secret)
    try:
        checks.s3.create_bucket(Bucket=BUCKET)
        checks.s3.put_object(Bucket=BUCKET, Key="brought", Body=b"by somebody else")
        outcome = checks.run("data", secret)
        workflow = json.loads(outcome.stdout or "{}")
        phase = workflow.get("status", {}).get("phase")
        told = [(n.get("displayName"), n.get("message")) for n in workflow.get("status", {}).get("nodes", {}).values()]
        checks.check("the steps end well", outcome.returncode == 0 and phase == "Succeeded",
                     f"{phase} {told} {outcome.stderr[-500:]}")
        keys = [item["Key"] for item in checks.s3.list_objects_v2(Bucket=BUCKET, Prefix="run/").get("Contents", [])]
        checks.check(f"the bucket has {FILES} files and what says that they are all, and the one file",
                     len([key for key in keys if key.startswith("run/tree/")]) == FILES + 1 and "run/big" in keys, keys)
        expected = hashlib.sha256(random.Random(1).randbytes(BYTES)).hexdigest()
        name = workflow.get("metadata", {}).get("name", "")
        said = subprocess.run([checks.martlet, "logs", name, "--data-dir", checks.folder / "data"], capture_output=True,
                              text=True, timeout=60).stdout
        checks.check("the next step finds the bytes", f"big {expected}" in said, said[-300:])
        checks.check("the next step finds the tree", f"tree {sum(range(FILES))} {FILES}" in said, said[-300:])
        checks.check("what somebody else brought is there", "brought by somebody else" in said, said[-300:])
        kept = stored_bytes(checks.folder / "data" / "artifacts")
        checks.check("nothing of it went through the server", kept < BYTES // 100, f"{kept} bytes in the data directory")
        wrong = checks.run("other", "wrong")
        words = ("SignatureDoesNotMatch", "secret key")
        checks.check("a wrong key is told by the step", wrong.returncode != 0 and all(w in wrong.stdout for w in words),
                     wrong.stdout[-600:])
    finally:
        checks.close()
        server.stop()
    print(f"{checks.failures} failed")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
