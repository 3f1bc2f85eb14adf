#!/usr/bin/env python3
"""Whether `huggingface_hub` and Martlet understand each other, as client and hub in both directions.

    hub_client.py [--martlet PATH] [--only WORD]...

Needs huggingface_hub (PyPI), version 0.34 or newer. All traffic stays on this machine.

client   `snapshot_download` and `hf_hub_download` fetch a model and a data set from `martlet hub serve`: files,
         digests, cache layout, lists, missing things told by the right kind of error, tokens
mirror   `martlet hub serve` on the cache that huggingface_hub left serves the same commit and bytes again
cache    `martlet download` fills a cache that huggingface_hub reads offline (HF_HUB_OFFLINE=1), and finds nothing left
         to fetch in one that huggingface_hub filled
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.request

MODEL, DATASET = "org/net", "org/rows"
TOKEN = "hub-client-token"
FILES = {
    MODEL: {"config.json": 300, "model.safetensors": 3_000_000, "sub/dir/vocab file.txt": 5_000, "empty.txt": 0},
    DATASET: {"data/train.parquet": 200_000, "README.md": 40},
}


class Failure(Exception):
    pass


class Hub:
    """`martlet hub serve` over a directory for the length of a `with`."""

    def __init__(self, martlet, folder, *words):
        self.words = [martlet, "hub", "serve", folder, "--stats", "--page_size", "2", "--drain_timeout", "2", *words]

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if " at http://" not in line:
            raise Failure(f"the hub did not start: {line}")
        self.url = line.rsplit(" at ", 1)[1].strip()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)

    def content_bytes(self):
        """Bytes of files that were sent."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + "/-/stats", timeout=30) as reply:
            paths = json.load(reply)["paths"]
        return sum(counts["bytes"] for path, counts in paths.items() if path.startswith(("models/", "datasets/")))


def expect(is_true, words):
    if not is_true:
        raise Failure(words)


def write_repositories(folder):
    """Random files; returns their digests by repository and path."""
    draw, digests = random.Random(5), {}
    for name, files in FILES.items():
        for path, size in files.items():
            content = draw.randbytes(size)
            if path == "config.json":
                content = json.dumps({"model_type": "llama"}).encode()
            place = os.path.join(folder, "datasets" if name == DATASET else "", name, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(content)
            digests.setdefault(name, {})[path] = hashlib.sha256(content).hexdigest()
    return digests


def check(folder, expected):
    found = {}
    for place, _, files in os.walk(folder):
        for file in files:
            with open(os.path.join(place, file), "rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            found[os.path.relpath(os.path.join(place, file), folder)] = digest
    expect(found == expected, f"{folder} holds {sorted(found)}, or other bytes than were served")


def kind_of(name):
    return "dataset" if name == DATASET else "model"


class Trial:
    def __init__(self, martlet, folder):
        self.martlet, self.folder = martlet, folder
        self.served = os.path.join(folder, "served")
        self.digests = write_repositories(self.served)

    def place(self, name):
        return os.path.join(self.folder, name)

    def snapshot(self, name, cache, **options):
        import huggingface_hub
        return huggingface_hub.snapshot_download(name, repo_type=kind_of(name), cache_dir=cache, **options)

    def martlet_download(self, hub, name, cache):
        words = [self.martlet, "download", "--dataset" if name == DATASET else "--model", name, "--hub", "hf",
                 "--endpoint", hub.url, "--cache_dir", cache, "--quiet", "true"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        expect(done.returncode == 0, f"martlet download ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def client(self):
        import huggingface_hub
        from huggingface_hub import errors
        cache = self.place("client-cache")
        with Hub(self.martlet, self.served) as hub:
            for name, digests in self.digests.items():
                check(self.snapshot(name, cache, endpoint=hub.url), digests)
                path = huggingface_hub.hf_hub_download(
                    name, "README.md" if name == DATASET else "sub/dir/vocab file.txt", repo_type=kind_of(name),
                    endpoint=hub.url, cache_dir=self.place("one-file"))
                expect(os.path.getsize(path) == (40 if name == DATASET else 5_000), f"{path} has another length")
                check_local = self.place("client-local-" + name.replace("/", "-"))
                self.snapshot(name, cache, endpoint=hub.url, local_dir=check_local)
                shutil.rmtree(os.path.join(check_local, ".cache"))
                check(check_local, digests)
            api = huggingface_hub.HfApi(endpoint=hub.url)
            expect([each.id for each in api.list_models()] == [MODEL], "list_models")
            expect([each.id for each in api.list_datasets(author="org")] == [DATASET], "list_datasets")
            expect(sorted(api.list_repo_files(MODEL)) == sorted(FILES[MODEL]), "list_repo_files")
            info = api.model_info(MODEL, files_metadata=True)
            sizes = {each.rfilename: each.size for each in info.siblings}
            expect(sizes["model.safetensors"] == 3_000_000, f"model_info has the sizes {sizes}")
            large = [each for each in info.siblings if each.lfs]
            expect([each.lfs.sha256 for each in large] == [self.digests[MODEL]["model.safetensors"]], "lfs")
            expect(api.list_repo_refs(MODEL).branches[0].target_commit == info.sha, "list_repo_refs")
            found = api.get_paths_info(MODEL, ["config.json", "sub", "none"], expand=True)
            expect([each.path for each in found] == ["config.json", "sub"], "get_paths_info")
            expect(api.file_exists(MODEL, "config.json") and not api.file_exists(MODEL, "none"), "file_exists")
            for call, error in [
                (lambda: api.model_info("org/none"), errors.RepositoryNotFoundError),
                (lambda: api.model_info(MODEL, revision="v9"), errors.RevisionNotFoundError),
                (lambda: huggingface_hub.hf_hub_download(MODEL, "none", endpoint=hub.url, cache_dir=cache),
                 errors.EntryNotFoundError),
            ]:
                expect_error(call, error)
        with Hub(self.martlet, self.served, "--token", TOKEN) as hub:
            expect_error(
                lambda: huggingface_hub.HfApi(endpoint=hub.url, token=False).model_info(MODEL),
                errors.HfHubHTTPError)
            api = huggingface_hub.HfApi(endpoint=hub.url, token=TOKEN)
            api.auth_check(MODEL)
            expect(api.whoami()["name"] == "reader", "whoami")
            check(self.snapshot(MODEL, self.place("token-cache"), endpoint=hub.url, token=TOKEN), self.digests[MODEL])

    def mirror(self):
        first, second = self.place("first-cache"), self.place("second-cache")
        for name, digests in self.digests.items():
            with Hub(self.martlet, self.served) as hub:
                original = self.snapshot(name, first, endpoint=hub.url)
            with Hub(self.martlet, first) as hub:
                copy = self.snapshot(name, second, endpoint=hub.url)
            check(copy, digests)
            expect(os.path.basename(copy) == os.path.basename(original), "the mirror has another commit")

    def cache(self):
        ours, theirs = self.place("our-cache"), self.place("their-cache")
        for name, digests in self.digests.items():
            with Hub(self.martlet, self.served) as hub:
                folder = self.martlet_download(hub, name, ours)
                self.snapshot(name, theirs, endpoint=hub.url)
                before = hub.content_bytes()
                check(self.martlet_download(hub, name, theirs), digests)
                expect(hub.content_bytes() == before, "martlet download fetched what was in the cache")
            check(folder, digests)
            # Nobody listens any more, and the client is told to ask nobody.
            words = ("import sys, huggingface_hub as h\n"
                     "print(h.snapshot_download(sys.argv[1], repo_type=sys.argv[2], cache_dir=sys.argv[3]))\n")
            done = subprocess.run(
                [sys.executable, "-c", words, name, kind_of(name), ours], capture_output=True, text=True, timeout=120,
                env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False)
            expect(done.returncode == 0, f"huggingface_hub cannot read our cache: {done.stderr.strip()[-2000:]}")
            found = done.stdout.strip().splitlines()[-1]
            expect(os.path.realpath(found) == os.path.realpath(folder), f"{found} is not {folder}")
            check(found, digests)


def expect_error(call, kind):
    try:
        call()
    except kind:
        return
    except Exception as error:  # What came instead is the finding.
        raise Failure(f"{kind.__name__} was expected, {type(error).__name__} came: {error}") from None
    raise Failure(f"{kind.__name__} was expected, nothing came")


PARTS = ("client", "mirror", "cache")


def main():
    parser = argparse.ArgumentParser(description="huggingface_hub and Martlet, as client and hub in both directions.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; may be given again")
    options = parser.parse_args()
    if os.sep in options.martlet:
        options.martlet = os.path.abspath(options.martlet)
    folder = tempfile.mkdtemp(prefix="martlet-hub-client-", dir="/var/tmp")
    # Before the first import: the library reads these once. Its second protocol (Xet) is not spoken here.
    os.environ.update(HF_HOME=os.path.join(folder, "home"), HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1",
                      HF_HUB_DISABLE_TELEMETRY="1", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        os.environ.pop(name, None)
    try:
        import huggingface_hub
    except ImportError:
        print("hub_client: skipped: this Python has no huggingface_hub; install it and run this again")
        return 0
    failed = 0
    try:
        trial = Trial(options.martlet, folder)
        for part in options.only or PARTS:
            try:
                getattr(trial, part)()
                print(f"{part}: ok (huggingface_hub {huggingface_hub.__version__})", flush=True)
            except Failure as failure:
                failed += 1
                print(f"{part}: FAILED: {failure}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
