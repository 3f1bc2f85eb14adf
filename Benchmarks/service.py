"""The server under load: lists of a long history, many watchers of one run, durable submissions and a kill -9, and what
it takes when nothing happens; beside Prefect's server, which keeps its history in SQLite, too.

    make bench-service
    python3 Benchmarks/service.py --martlet .build/release/martlet --only list,idle
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from measure import Verdicts, machine, martlet_version, probe
from service_clients import Pace, Watcher, message, percentile
from service_history import copy_runs
from service_page import measure_page
from service_prefect import Prefect

ONE_STEP = {"workflow": {"metadata": {"generateName": "bench-"}, "spec": {
    "entrypoint": "main", "arguments": {"parameters": [{"name": "epochs", "value": "3"}]},
    "templates": [{"name": "main", "container": {"image": "any", "command": ["true"]}}]}}}


class Server:
    """A `martlet server` of its own on a free port."""

    def __init__(self, martlet, data, *options):
        # Copied where it can be run from: its own folder holds the supervisor.
        self.process = subprocess.Popen(
            [martlet, "server", "--listen", "127.0.0.1:0", "--data-dir", data, *options],
            stdout=subprocess.PIPE, stderr=open(os.path.join(os.path.dirname(data), "server.log"), "ab"), text=True)
        line = self.process.stdout.readline()
        if "http://" not in line:
            sys.exit(f"the server did not start: {line!r}; its log is beside {data}")
        self.url = "http://" + line.split("http://", 1)[1].split()[0].rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(call, timeout=60) as reply:
            return json.loads(reply.read() or b"{}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait(60)


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(server, name, phases, limit=60):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = server.request("GET", f"/api/v1/workflows/default/{name}?fields=status.phase")
        if found.get("status", {}).get("phase") in phases:
            return
        time.sleep(0.05)
    sys.exit(f"{name} did not become {phases} within {limit} s")


def history(martlet, folder, count):
    """A data directory with that many finished runs."""
    data = os.path.join(folder, "history")
    server = Server(martlet, data, "--executor", "noop")
    name = server.request("POST", "/api/v1/workflows/default", ONE_STEP)["metadata"]["name"]
    wait_for(server, name, {"Succeeded"})
    server.stop()
    began = time.monotonic()
    copy_runs(data, count)
    print(f"history: {count} runs made in {time.monotonic() - began:.0f} s, "
          f"{os.path.getsize(os.path.join(data, 'martlet.db')) >> 20} MiB")
    return data


# MARK: Lists

LISTS = {
    "page's first page": "/api/martlet/v1/runs?namespace=default&limit=50",
    "page's failed runs": "/api/martlet/v1/runs?namespace=default&phase=Failed&limit=50",
    "page's search by parameter": "/api/martlet/v1/runs?namespace=default&parameter=epochs%3D3&limit=50",
    "Argo's list": "/api/v1/workflows/default?listOptions.limit=50"
                   "&fields=metadata,items.metadata,items.status.phase,items.status.message,items.status.startedAt,"
                   "items.status.finishedAt,items.status.progress",
}


def measure_lists(server, verdicts, seconds):
    def check(_, status, body):
        if status != 200:
            return f"status {status}"
        return None if body.count(b'"uid"') >= 50 else "fewer than 50 runs"

    for name, path in LISTS.items():
        request = message("GET", path, server.port)
        asyncio.run(Pace(server.port, 4, 20).run(1, lambda _: request, check))
        pace = asyncio.run(Pace(server.port, 50, 200).run(seconds, lambda _: request, check))
        if pace.failures:
            print(f"  {name}: {len(pace.failures)} failed, such as {pace.failures[0]}")
            verdicts.short.append(name)
        times = [value * 1000 for value in pace.latencies]
        print(f"  {name}: median {percentile(times, 0.5):.1f} ms, 99th {percentile(times, 0.99):.1f} ms")
        verdicts.say(f"{name}, 95th percentile at 200/s", percentile(times, 0.95), "ms", 20, at_least=False)


def serial_list(url, body=None, count=100):
    """Milliseconds of one request at a time, the median."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call = urllib.request.Request(
            url, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(call, timeout=60) as reply:
            reply.read()
        times.append((time.perf_counter() - began) * 1000)
    return percentile(times, 0.5)


# MARK: Watchers

WATCHED = {"workflow": {"metadata": {"generateName": "watched-"}, "spec": {
    "entrypoint": "main",
    "templates": [{"name": "main", "steps": [[{"name": f"wait-{n}", "template": "wait"}] for n in range(4)]},
                  {"name": "wait", "suspend": {}}]}}}


async def watch(server, path, name, count):
    before = resident(server.process.pid)
    watchers = [Watcher(server.port, path) for _ in range(count)]
    for watcher in watchers:
        watcher.start()
    await asyncio.gather(*(asyncio.wait_for(watcher.is_open.wait(), 60) for watcher in watchers))
    await asyncio.sleep(2)
    each = (resident(server.process.pid) - before) / count
    latencies, missing = [], 0
    for _ in range(4):
        marks = [len(watcher.arrivals) for watcher in watchers]
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(message("PUT", f"/api/v1/workflows/default/{name}/resume", server.port, b"{}"))
        await asyncio.sleep(1.5)
        writer.close()
        for mark, watcher in zip(marks, watchers):
            if len(watcher.arrivals) == mark:
                missing += 1
            latencies += [(moment - began) * 1000 for moment in watcher.arrivals[mark:]]
    for watcher in watchers:
        watcher.task.cancel()
    await asyncio.gather(*(watcher.task for watcher in watchers), return_exceptions=True)
    return latencies, missing, each


def measure_watchers(martlet, folder, verdicts, count):
    for title, make in {
        "Argo's watch": lambda ns, run: f"/api/v1/workflow-events/default?listOptions.fieldSelector="
                                        f"metadata.name%3D{run['metadata']['name']}",
        "page's stream": lambda ns, run: f"/api/martlet/v1/stream?namespace=default&run={run['metadata']['uid']}",
    }.items():
        server = Server(martlet, os.path.join(folder, "watched-" + title[0]), "--executor", "noop")
        run = server.request("POST", "/api/v1/workflows/default", WATCHED)
        wait_for(server, run["metadata"]["name"], {"Running"})
        latencies, missing, each = asyncio.run(
            watch(server, make("default", run), run["metadata"]["name"], count))
        server.stop()
        print(f"  {title}: {len(latencies)} events, {missing} missed, "
              f"median {percentile(latencies, 0.5):.0f} ms, most {max(latencies, default=float('inf')):.0f} ms")
        if missing:
            verdicts.short.append(f"{title}: every watcher hears of every change")
        verdicts.say(f"{title}, {count} watchers, 95th percentile", percentile(latencies, 0.95), "ms", 250, at_least=False)
        verdicts.say(f"{title}, memory a watcher", each / 1024, "KiB", 100, at_least=False, form="{:.0f}")


# MARK: Submissions

def measure_submissions(martlet, folder, verdicts, seconds, seed):
    data = os.path.join(folder, "submitted")
    server = Server(martlet, data, "--executor", "noop")
    body = json.dumps(ONE_STEP).encode()
    request = message("POST", "/api/v1/workflows/default", server.port, body)
    accepted = []

    def check(_, status, answer):
        if status != 200:
            return f"status {status}"
        accepted.append(json.loads(answer)["metadata"]["name"])
        return None

    pace = asyncio.run(Pace(server.port, 50, 200).run(seconds, lambda _: request, check))
    times = [value * 1000 for value in pace.latencies]
    rate = len(pace.latencies) / max(seconds, seconds + max(pace.latencies, default=0))
    print(f"  submissions: {len(pace.failures)} failed, median {percentile(times, 0.5):.1f} ms, "
          f"95th {percentile(times, 0.95):.1f} ms")
    verdicts.say("durable submissions", rate, "/s", 190, at_least=True, form="{:.0f}")

    async def until_killed():
        loop = asyncio.get_running_loop()
        loop.call_later(random.Random(seed).uniform(1, 3), server.kill)
        await Pace(server.port, 50, 200).run(4, lambda _: request, check)

    asyncio.run(until_killed())
    server = Server(martlet, data, "--executor", "noop")
    stored, after = set(), ""
    while True:
        page = server.request("GET", "/api/v1/workflows/default?fields=metadata,items.metadata.name"
                                     f"&listOptions.limit=1000&listOptions.continue={after}")
        stored |= {item["metadata"]["name"] for item in page.get("items") or []}
        after = page["metadata"].get("continue", "")
        if not after:
            break
    server.stop()
    lost = set(accepted) - stored
    print(f"  kill -9 amid submissions: {len(accepted)} accepted, {len(stored)} stored")
    verdicts.say("accepted and lost", len(lost), "runs", 0, at_least=False, form="{:.0f}")


# MARK: Idle

def idle(pids, seconds):
    """(resident bytes, percent of one processor) of processes when nobody asks for anything."""
    before = {pid: processor_seconds(pid) for pid in pids}
    time.sleep(seconds)
    used = sum(processor_seconds(pid) - before[pid] for pid in pids)
    return sum(resident(pid) for pid in pids), 100 * used / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martlet", default=".build/release/martlet")
    parser.add_argument("--only", default="idle,list,watch,submit,page", help="parts, separated by commas")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--watchers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-peer", action="store_true", help="without Prefect")
    arguments = parser.parse_args()
    parts = set(arguments.only.split(","))
    raise_file_limit()
    verdicts = Verdicts()
    folder = tempfile.mkdtemp(prefix="martlet-bench-service-")
    try:
        print(machine(), "|", probe(folder), "|", martlet_version(arguments.martlet))
        prefect = None
        if parts & {"idle", "list"} and not arguments.no_peer:
            prefect = Prefect(folder)
        if parts & {"idle", "list"}:
            with_history(arguments, folder, parts, verdicts, prefect)
        if "watch" in parts:
            measure_watchers(arguments.martlet, folder, verdicts, arguments.watchers)
        if "submit" in parts:
            measure_submissions(arguments.martlet, folder, verdicts, arguments.seconds, arguments.seed)
        if "page" in parts:
            measure_page(arguments.martlet, folder, verdicts, Server)
        return verdicts.finish()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def with_history(arguments, folder, parts, verdicts, prefect):
    data = history(arguments.martlet, folder, arguments.runs)
    server = Server(arguments.martlet, data)
    running = prefect.start(10_000) if prefect else None
    time.sleep(10)
    if "idle" in parts:
        memory, percent = idle([server.process.pid], 30)
        verdicts.say("idle, resident", memory / (1 << 20), "MiB", 60, at_least=False, form="{:.0f}")
        verdicts.say("idle, processor", percent, "%", 0.5, at_least=False)
        if running:
            peer_memory, peer_percent = idle(running.pids(), 30)
            print(f"  Prefect {prefect.version}, idle: {peer_memory / (1 << 20):.0f} MiB ({peer_memory / memory:.1f}x), "
                  f"{peer_percent:.2f} % ({peer_percent / max(percent, 0.01):.1f}x)")
    if "list" in parts:
        own = serial_list(server.url + LISTS["page's first page"])
        print(f"  one request at a time: {own:.1f} ms over {arguments.runs} runs")
        if running:
            other = serial_list(running.url + "/flow_runs/filter", {"limit": 50, "sort": "START_TIME_DESC"})
            print(f"  Prefect, one request at a time: {other:.1f} ms over 10000 runs ({other / own:.1f}x)")
    if running:
        running.stop()
    if "list" in parts:
        measure_lists(server, verdicts, arguments.seconds)
    server.stop()


def raise_file_limit():
    import resource
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
