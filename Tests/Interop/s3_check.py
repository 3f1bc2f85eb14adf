"""Artifacts in S3 against moto with signature checks: `martlet run` saves them, kills are survived, boto3 looks on.

Needs moto[server] and boto3 (PyPI). Nothing leaves the loopback interface. With --endpoint, --access_key and
--secret_key another server is asked, such as OpenStack Swift with s3api, which is stricter about signatures.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
from botocore.config import Config

BUCKET = "pipelines"


def start_server():
    """A server that checks signatures, and keys that it takes."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://127.0.0.1:{port}"
    plain = dict(endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    iam = boto3.client("iam", **plain)
    iam.create_user(UserName="martlet")
    key = iam.create_access_key(UserName="martlet")["AccessKey"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="martlet", PolicyName="all", PolicyDocument=json.dumps(policy))
    urllib.request.urlopen(urllib.request.Request(
        f"{url}/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"}))
    return server, url, key["AccessKeyId"], key["SecretAccessKey"]


class Checks:
    def __init__(self, martlet, url, access, secret):
        self.martlet, self.url = martlet, url
        self.environment = dict(
            os.environ, AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret, AWS_REGION="us-east-1"
        )
        # Checksums of newer kinds are unknown to some servers.
        plain = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        self.s3 = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret,
            config=plain
        )
        self.folder = tempfile.mkdtemp(prefix="martlet-s3-")
        self.failures = 0

    def check(self, name, holds, detail=""):
        print(f"{'ok  ' if holds else 'FAIL'} {name} {detail}".rstrip(), flush=True)
        self.failures += not holds

    def manifest(self, key, script, reader):
        """A step that makes /out, saved under the key, and one that reads it back."""
        location = {
            "endpoint": self.url.removeprefix("http://"), "insecure": True, "bucket": BUCKET, "key": key,
            "createBucketIfNotPresent": {},
        }
        python = lambda source: {"image": "python", "command": ["python3"], "source": source}
        document = {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"generateName": "s3-"},
            "spec": {"entrypoint": "main", "templates": [
                {"name": "main", "steps": [
                    [{"name": "make", "template": "make"}], [{"name": "read", "template": "read"}]]},
                {"name": "make", "script": python(script),
                 "outputs": {"artifacts": [{"name": "a", "path": "/out", "archive": {"none": {}}, "s3": location}]}},
                {"name": "read", "script": python(reader),
                 "inputs": {"artifacts": [{"name": "a", "path": "/in", "archive": {"none": {}}, "s3": location}]},
                 "outputs": {"parameters": [{"name": "digest", "valueFrom": {"path": "/tmp/digest"}}]}},
            ]},
        }
        path = os.path.join(self.folder, key.replace("/", "-") + ".json")
        with open(path, "w") as file:
            json.dump(document, file)
        return path

    def command(self, path, *more):
        return [self.martlet, "run", *([path] if path else []), "--data-dir", os.path.join(self.folder, "data"), "-o",
                "json", *more]

    def run(self, path, *more, environment=None):
        return subprocess.run(
            self.command(path, *more), env=environment or self.environment, capture_output=True, text=True, timeout=900
        )

    def digest(self, outcome):
        try:
            nodes = json.loads(outcome.stdout)["status"]["nodes"].values()
        except (ValueError, KeyError):
            return f"no workflow: {outcome.stderr[-500:]}"
        for node in nodes:
            for parameter in node.get("outputs", {}).get("parameters", []):
                if parameter["name"] == "digest":
                    return parameter["value"]
        return f"no digest: {outcome.stderr[-800:]}"

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


DIGEST = """
import hashlib, os
def digest(root):
    total = hashlib.sha256()
    if os.path.isfile(root):
        with open(root, "rb") as file:
            while piece := file.read(1 << 20):
                total.update(piece)
        return total.hexdigest()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            total.update(os.path.relpath(path, root).encode() + open(path, "rb").read())
    return total.hexdigest()
"""
READER = DIGEST + 'open("/tmp/digest", "w").write(digest("/in"))\n'


def file_maker(size, seed):
    return f"""
import random
source = random.Random({seed})
with open("/out", "wb") as file:
    left = {size}
    while left > 0:
        piece = source.randbytes(min(left, 1 << 20))
        file.write(piece)
        left -= len(piece)
"""


def tree_maker(count, seed):
    return f"""
import os, random
source = random.Random({seed})
for index in range({count}):
    folder = f"/out/part {{index % 37}}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{{folder}}/file-{{index}}.bin", "wb") as file:
        file.write(source.randbytes(source.randrange(2000)))
"""


def expected_file(size, seed):
    source, total, left = random.Random(seed), hashlib.sha256(), size
    while left > 0:
        piece = source.randbytes(min(left, 1 << 20))
        total.update(piece)
        left -= len(piece)
    return total.hexdigest()


def expected_tree(count, seed):
    source, files = random.Random(seed), {}
    for index in range(count):
        files.setdefault(f"part {index % 37}", {})[f"file-{index}.bin"] = source.randbytes(source.randrange(2000))
    total = hashlib.sha256()
    for folder in sorted(files):
        for name in sorted(files[folder]):
            total.update(f"{folder}/{name}".encode() + files[folder][name])
    return total.hexdigest()


def whole(checks, name, key, maker, expected, objects):
    started = time.monotonic()
    outcome = checks.run(checks.manifest(key, maker, READER))
    got = checks.digest(outcome)
    took = f"({time.monotonic() - started:.1f} s)"
    checks.check(f"{name} comes back as it was", outcome.returncode == 0 and got == expected, f"{took} {got[:300]}")
    found = len(checks.keys(key))
    checks.check(f"{name} is {objects} objects", found == objects, f"found {found}")


def killed(checks, name, key, maker, expected, begun, generator):
    """Kills the engine while it sends, looks at what others see, and lets it go on."""
    path, run = checks.manifest(key, maker, READER), "run-" + key
    process = subprocess.Popen(
        checks.command(path, "--name", run), env=checks.environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL
    )
    limit = time.monotonic() + 120
    while not begun(key) and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    time.sleep(generator.random() * 0.3)
    was_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    complete = key in checks.keys(key) or f"{key}/.martlet-tree.json" in checks.keys(key)
    checks.check(f"{name}: killed while it was sent, nothing of it counts", was_running and not complete)
    outcome = checks.run(None, "--resume", run)
    got = checks.digest(outcome)
    checks.check(f"{name}: goes on after the kill", outcome.returncode == 0 and got == expected, got[:300])
    uploads = checks.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    checks.check(f"{name}: leaves no parts behind", not [item for item in uploads if item["Key"] == key])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--martlet", required=True)
    parser.add_argument("--huge", action="store_true", help="also a file of 5 GiB")
    parser.add_argument("--files", type=int, default=10_000, help="of a tree; default 10,000")
    parser.add_argument("--endpoint", help="a server that runs already, such as http://127.0.0.1:8080")
    parser.add_argument("--access_key", default="")
    parser.add_argument("--secret_key", default="")
    options = parser.parse_args()
    if options.endpoint:
        server, url, access, secret = None, options.endpoint, options.access_key, options.secret_key
    else:
        server, url, access, secret = start_server()
    count = options.files
    checks = Checks(os.path.abspath(options.martlet), url, access, secret)
    generator = random.Random(7)
    try:
        whole(checks, "1 byte", "one-byte", file_maker(1, 1), expected_file(1, 1), 1)
        size = 200 << 20
        whole(checks, "200 MiB", "large", file_maker(size, 2), expected_file(size, 2), 1)
        parts = checks.s3.head_object(Bucket=BUCKET, Key="large")["ETag"].strip('"').split("-")
        checks.check("200 MiB went in parts", len(parts) == 2 and int(parts[1]) > 1, "-".join(parts))
        whole(checks, f"{count:,} files", "tree", tree_maker(count, 3), expected_tree(count, 3), count + 1)
        killed(
            checks, f"{count:,} files", "tree-2", tree_maker(count, 4), expected_tree(count, 4),
            lambda key: len(checks.keys(key)) > 50, generator
        )

        def has_upload(key):
            try:
                return any(item["Key"] == key for item in
                           checks.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))
            except checks.s3.exceptions.ClientError:
                return False

        killed(checks, "200 MiB", "large-2", file_maker(size, 5), expected_file(size, 5), has_upload, generator)
        if options.huge:
            size = 5 << 30
            whole(checks, "5 GiB", "huge", file_maker(size, 6), expected_file(size, 6), 1)
        wrong = dict(checks.environment, AWS_SECRET_ACCESS_KEY="wrong")
        outcome = checks.run(checks.manifest("denied", file_maker(1, 1), READER), environment=wrong)
        told = "SignatureDoesNotMatch" in outcome.stdout and "secret key" in outcome.stdout
        checks.check("a wrong secret is told as such", outcome.returncode != 0 and told, outcome.stdout[-300:] * (not told))
    finally:
        if server:
            server.stop()
        subprocess.run(["rm", "-rf", checks.folder])
    print(f"{checks.failures} failed")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
