#!/usr/bin/env python3
"""Downloads from a hostile hub: `martlet download` against `martlet hub serve --fault_plan`.

    hub_faults.py [--martlet PATH] [--seed N] [--plans N] [--jobs N] [--short] [plans|kill|pair|rate|token]...

plans   fault plans drawn from the seed, each against both protocols: connections that end after k bytes or stall,
        slow lines, errors n times, ignored ranges, wrong lengths, changed content, gated files, 429, redirects.
        Where all faults pass, the download must end with 0 and every SHA-256 right; where one stays, it must end with
        another status and name what is wrong on standard error; under a final name there is never a wrong file
kill    kill -9 at random moments; the hub's counts must show that only missing bytes were fetched again
pair    two processes download one repository at once: the hub must send each byte once
rate    --limit_rate holds within 10 % (measures real time, so not in the short form)
token   the token does not go along when the hub sends to another port

A failure prints the seed; the same seed draws the same plans. Standard library only.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

# A download that takes longer hangs; what is longest is giving up on an address, with all its pauses.
PATIENCE_SECONDS = 300
# Short pauses where the program knows them: a plan is about what is done again, not about when.
QUICK = {"MARTLET_DOWNLOAD_FIRST_BACKOFF_MS": "20", "MARTLET_DOWNLOAD_RETRIES": "8"}
PROTOCOLS = ("hf", "modelscope")
MODEL, DATASET = "org/net", "org/rows"
# More than two segments of a download, so that its ranges are fetched in parallel.
LARGE_BYTES = (34 << 20) + 4321
# What a killed download may fetch again for each connection: the piece that it had not noted yet, and what the hub had
# handed to the kernel; see KILL_RATE.
LOST_BYTES = 3 << 19
KILL_RATE, KILL_CONNECTIONS = 8_000_000, 2


class Failure(Exception):
    pass


class Material:
    """The repositories that all plans share, with the digests that files must have."""

    def __init__(self, options, seed):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="martlet-hub-faults-", dir="/var/tmp")
        self.served = os.path.join(self.folder, "served")
        self.state = os.path.join(self.folder, "state")
        self.digests = {}
        draw = random.Random(f"{seed} files")
        sizes = [0, 1, 2, 100, 4096, 65_537, 262_144, 262_145] + [draw.randrange(3 << 20) for _ in range(3)]
        names = ["config.json", "empty.txt", "a/b/c/deep.json", "with space+plus.txt", "sub/ünï.json", "x%41.txt",
                 "model.bin", "model.safetensors", "rows.parquet", "README.md", ".gitattributes"]
        draw.shuffle(sizes)
        self.write(MODEL, dict(zip(names, sizes)), draw)
        self.write(DATASET, {"data/train.parquet": 700_000, "data/test.csv": 30_000, "README.md": 12}, draw)
        self.write("org/large", {"weights.safetensors": LARGE_BYTES, "config.json": 50}, draw)

    def write(self, name, files, draw):
        folder = os.path.join(self.served, "datasets" if name == DATASET else "", name)
        for path, size in files.items():
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            content = draw.randbytes(size)
            with open(place, "wb") as file:
                file.write(content)
            self.digests.setdefault(name, {})[path] = (size, hashlib.sha256(content).hexdigest())

    def sizes(self, name):
        return {path: size for path, (size, _) in self.digests[name].items()}

    def new_folder(self, name):
        return os.path.join(self.folder, name)

    def clean_up(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Hub:
    """`martlet hub serve` for the length of a `with`."""

    def __init__(self, material, plan=None, token=None):
        self.material, self.token = material, token
        self.words = [material.options.martlet, "hub", "serve", material.served, "--listen", "127.0.0.1:0", "--stats",
                      "--state_dir", material.state, "--drain_timeout", "2"]
        self.plan_file = None
        if plan is not None:
            handle, self.plan_file = tempfile.mkstemp(suffix=".json", dir=material.folder)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(plan, file)
            self.words += ["--fault_plan", self.plan_file]
        if token:
            self.words += ["--token", token]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=clean_environment())
        watchdog = threading.Timer(60, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if " at http://" not in line:
            raise Failure(f"the hub did not start: {line.strip()} {self.process.communicate()[1].strip()}")
        self.url = line.rsplit(" at ", 1)[1].strip()
        # Nothing may block because nobody reads what the hub logs.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("the hub did not end within 30 s of SIGINT") from None
        if status != 0:
            raise Failure(f"the hub ended with {status} after SIGINT")

    def counts(self):
        request = urllib.request.Request(self.url + "/-/stats")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as reply:
            return json.load(reply)

    def bytes_sent(self, name):
        """By path within the repository."""
        kind = "datasets" if name == DATASET else "models"
        prefix = f"{kind}/{name}/"
        return {path[len(prefix):]: counts["bytes"] for path, counts in self.counts()["paths"].items()
                if path.startswith(prefix)}


def clean_environment(**more):
    """Without anything of the user's that says where to download from, or as whom."""
    mine = {key: value for key, value in os.environ.items()
            if not key.startswith(("HF_", "HUGGING", "MODELSCOPE", "MARTLET_", "ARGO_")) and "proxy" not in key.lower()}
    return {**mine, **more}


class Download:
    """One run of `martlet download`."""

    def __init__(self, material, hub, protocol, name, *words, cache=None, local=None, token=None):
        what = ["--dataset" if name == DATASET else "--model", name]
        place = ["--local_dir", local] if local else ["--cache_dir", cache]
        environment = clean_environment(HOME=material.folder, **QUICK)
        if token:
            environment["HF_TOKEN" if protocol == "hf" else "MODELSCOPE_API_TOKEN"] = token
        self.process = subprocess.Popen(
            [material.options.martlet, "download", *what, "--hub", protocol, "--endpoint", hub.url, *place, "--quiet",
             "true", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def finish(self):
        """Status, standard output and standard error."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise Failure(f"the download did not end within {PATIENCE_SECONDS} s") from None
        return self.process.returncode, out, err

    def kill(self):
        """True if it was still at work."""
        was_running = self.process.poll() is None
        self.process.kill()
        self.process.communicate()
        return was_running


def download(*arguments, **options):
    return Download(*arguments, **options).finish()


def present(folder):
    """The files under their final names, with sizes and digests."""
    found = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if place != folder or each not in (".cache", "._____temp")]
        for file in files:
            path = os.path.join(place, file)
            with open(path, "rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            found[os.path.relpath(path, folder)] = (os.path.getsize(path), digest)
    return found


def check_files(material, name, folder, is_complete):
    """What lies under a final name is right; all of it is there if the download said so."""
    found, expected = present(folder), material.digests[name]
    for path, value in found.items():
        if expected.get(path) != value:
            raise Failure(f"{path} lies under its final name with {value}, not {expected.get(path)}")
    missing = sorted(set(expected) - set(found))
    if is_complete and missing:
        raise Failure(f"ended with 0, but {', '.join(missing)} is not there")


# Plans


def transient_fault(draw, sizes):
    """A fault that passes, or that a download lives with."""
    path = draw.choice([None, "*" + draw.choice(sorted(sizes)), "*.json", "*.safetensors", "*"])
    fault = draw.choice([
        {"kind": "drop", "times": draw.randint(1, 3)},
        {"kind": "drop", "after": draw.choice([0, 1, 1000, 300_000]), "times": draw.randint(1, 2)},
        {"kind": "drop", "chance": 0.3, "times": 4},
        {"kind": "stall", "seconds": 1, "times": 1},
        {"kind": "slow", "bytes_per_second": draw.choice([4_000_000, 20_000_000]), "times": 2},
        {"kind": "status", "status": draw.choice([500, 502, 503, 504, 408]), "times": draw.randint(1, 3)},
        {"kind": "too_many", "retry_after": draw.randint(0, 1), "times": 1},
        {"kind": "ignore_range"},
        {"kind": "ignore_range", "times": 2, "skip": 1},
        {"kind": "wrong_length", "times": draw.randint(1, 2)},
        {"kind": "change_content", "times": 1},
        {"kind": "redirect"},
    ])
    if fault["kind"] in ("status", "too_many") and draw.random() < 0.3:
        path = "/api/*"
    if path:
        fault["path"] = path
    return fault


def lasting_fault(draw, sizes):
    """A fault that no patience helps against, and the file that it meets."""
    path = draw.choice(sorted(path for path, size in sizes.items() if size > 0))
    fault = draw.choice([
        {"kind": "gated"}, {"kind": "status", "status": 404}, {"kind": "status", "status": 403},
        {"kind": "change_content"}, {"kind": "change_content", "at": sizes[path] - 1},
        {"kind": "wrong_length", "by": -1}, {"kind": "wrong_length", "by": 1},
    ])
    return {"path": f"*/{path}", **fault}, path


def draw_plan(draw, sizes):
    """A plan, and the file that it makes impossible, if any."""
    faults, victim = [], None
    if draw.random() < 0.3:
        fault, victim = lasting_fault(draw, sizes)
        faults.append(fault)
    for _ in range(draw.randint(0 if victim else 1, 3)):
        faults.append(transient_fault(draw, sizes))
    return {"seed": draw.randrange(1 << 30), "faults": faults}, victim


def run_plan(material, seed, number, protocol):
    draw = random.Random(f"{seed} plan {number}")
    name = draw.choice([MODEL, MODEL, DATASET, "org/large"])
    plan, victim = draw_plan(draw, material.sizes(name))
    workers = str(draw.choice([1, 2, 8]))
    folder = material.new_folder(f"plan-{number}-{protocol}")
    try:
        with Hub(material, plan) as hub:
            status, _, err = download(material, hub, protocol, name, "--max_workers", workers, local=folder)
        check_files(material, name, folder, status == 0)
        if status == 0 and victim:
            raise Failure(f"ended with 0, though {victim} cannot be had")
        if status != 0 and not victim:
            raise Failure(f"gave up with {status}, though every fault passes: {err.strip()}")
        if status != 0:
            if status not in (1, 2) or os.path.basename(victim) not in err:
                raise Failure(f"ended with {status}, and does not name {victim}: {err.strip()}")
            # The same command goes on when the hub is in order again.
            with Hub(material) as hub:
                status, _, err = download(material, hub, protocol, name, local=folder)
            check_files(material, name, folder, status == 0)
            if status != 0:
                raise Failure(f"ended with {status} though the hub is in order again: {err.strip()}")
    except Failure as failure:
        raise Failure(f"plan {number} ({protocol}, {name}, {workers} workers): {failure}; {json.dumps(plan)}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return victim is not None


def plans(material, seed):
    options = material.options
    tasks = [(number, protocol) for number in range(options.plans) for protocol in PROTOCOLS]
    if options.short:
        tasks = [(number, PROTOCOLS[number % 2]) for number in range(options.plans)]
    lasting, failures = 0, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(run_plan, material, seed, *task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            try:
                lasting += future.result()
            except Failure as failure:
                failures.append(str(failure))
                print(f"  {failure}", flush=True)
    if failures:
        raise Failure(f"{len(failures)} of {len(tasks)} downloads went wrong")
    return f"{len(tasks)} downloads, {lasting} of them against a fault that stays"


# Kills, pairs, rates, tokens


def kill(material, seed):
    """The hub is slow, so that a kill meets a download at work and little is on its way."""
    told = []
    for protocol in PROTOCOLS:
        draw = random.Random(f"{seed} kill {protocol}")
        folder = material.new_folder(f"kill-{protocol}")
        plan = {"faults": [{"path": "*weights*", "kind": "slow", "bytes_per_second": KILL_RATE}]}
        workers = ["--max_workers", str(KILL_CONNECTIONS)]
        kills = 0
        with Hub(material, plan) as hub:
            for _ in range(material.options.kills):
                running = Download(material, hub, protocol, "org/large", *workers, local=folder)
                time.sleep(draw.uniform(0.1, 0.9))
                kills += running.kill()
                check_files(material, "org/large", folder, False)
            status, _, err = download(material, hub, protocol, "org/large", *workers, local=folder)
            sent = hub.bytes_sent("org/large")["weights.safetensors"]
        if status != 0:
            raise Failure(f"{protocol}: ended with {status} after {kills} kills: {err.strip()}")
        check_files(material, "org/large", folder, True)
        again = sent - LARGE_BYTES
        if again < 0 or again > kills * KILL_CONNECTIONS * LOST_BYTES:
            raise Failure(f"{protocol}: {again} bytes were fetched again after {kills} kills")
        told.append(f"{protocol} {kills} kills, {again} bytes twice")
        shutil.rmtree(folder, ignore_errors=True)
    return "; ".join(told)


def pair(material, seed):
    for protocol in PROTOCOLS:
        for place in ("cache", "local"):
            folder = material.new_folder(f"pair-{protocol}-{place}")
            name = random.Random(f"{seed} pair {protocol} {place}").choice([MODEL, "org/large"])
            with Hub(material) as hub:
                both = [Download(material, hub, protocol, name, **{place: folder}) for _ in range(2)]
                ends = [each.finish() for each in both]
                sent = hub.bytes_sent(name)
            for status, _, err in ends:
                if status != 0:
                    raise Failure(f"{protocol}, {place}: one of two ended with {status}: {err.strip()}")
            for path, size in material.sizes(name).items():
                if sent.get(path, 0) != size:
                    raise Failure(f"{protocol}, {place}: {path} has {size} bytes, the hub sent {sent.get(path)}")
            check_files(material, name, folder if place == "local" else ends[0][1].strip(), True)
            shutil.rmtree(folder, ignore_errors=True)
    return "each byte once, in the cache and in --local_dir"


def rate(material, seed):
    if material.options.short:
        return None
    wanted, told = 4_000_000, []
    for workers in (1, 8):
        folder = material.new_folder(f"rate-{workers}")
        with Hub(material) as hub:
            began = time.monotonic()
            status, _, err = download(
                material, hub, "hf", "org/large", "--limit_rate", str(wanted), "--max_workers", str(workers),
                local=folder)
            seconds = time.monotonic() - began
        if status != 0:
            raise Failure(f"ended with {status}: {err.strip()}")
        shutil.rmtree(folder, ignore_errors=True)
        reached = LARGE_BYTES / seconds
        if abs(reached / wanted - 1) > 0.1:
            raise Failure(f"{workers} workers: {reached:.0f} bytes a second, {wanted} were allowed")
        told.append(f"{workers} workers {reached / wanted:.3f} of the rate")
    return ", ".join(told)


def token(material, seed):
    secret = f"secret-{seed}"
    for protocol in PROTOCOLS:
        folder = material.new_folder(f"token-{protocol}")
        with Hub(material, {"faults": [{"kind": "redirect"}]}, token=secret) as hub:
            status, _, err = download(material, hub, protocol, MODEL, local=folder, token=secret)
            counts = hub.counts()
            refused, _, words = download(material, hub, protocol, MODEL, local=folder + "-none")
        if status != 0:
            raise Failure(f"{protocol}: ended with {status}: {err.strip()}")
        check_files(material, MODEL, folder, True)
        if counts["redirect_requests"] == 0:
            raise Failure(f"{protocol}: the hub sent nobody to its second port, so this shows nothing")
        if counts["redirect_requests_with_token"] != 0:
            raise Failure(f"{protocol}: the token went along to the second port")
        if refused == 0 or secret in err + words:
            raise Failure(f"{protocol}: without a token the download ended with {refused}: {words.strip()}")
        shutil.rmtree(folder, ignore_errors=True)
    return "the token stays with the hub"


VARIANTS = {"plans": plans, "kill": kill, "pair": pair, "rate": rate, "token": token}


def main():
    parser = argparse.ArgumentParser(description="Downloads from a hostile hub.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"{', '.join(VARIANTS)}; default: all")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--plans", type=int, help="default 200, each with both protocols; in the short form 20")
    parser.add_argument("--kills", type=int, help="default 12, in the short form 4")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="downloads at once")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    unknown = [v for v in options.variants if v not in VARIANTS]
    if unknown:
        parser.error(f"no variant is named {unknown[0]}; there are {', '.join(VARIANTS)}")
    if os.sep in options.martlet:
        options.martlet = os.path.abspath(options.martlet)
    options.plans = options.plans or (20 if options.short else 200)
    options.kills = options.kills or (4 if options.short else 12)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    failed = 0
    material = Material(options, seed)
    try:
        for variant in options.variants or VARIANTS:
            began = time.monotonic()
            try:
                told = VARIANTS[variant](material, seed)
                if told:
                    print(f"{variant}: ok: {told}; {time.monotonic() - began:.1f} s", flush=True)
            except Failure as failure:
                failed += 1
                print(f"{variant}: FAILED (--seed {seed}): {failure}", flush=True)
    finally:
        material.clean_up()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
