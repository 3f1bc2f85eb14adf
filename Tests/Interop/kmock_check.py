#!/usr/bin/env python3
"""The same requests to the API server of the tests and to kmock, another's imitation of Kubernetes: same answers.

    kmock_check.py [--cluster PATH]

Needs kmock (PyPI, Python 3.11). What is compared: status, whether an object has the fields it was given, which objects
a list has, the kinds of a watch's events. kmock leaves out resource versions, selectors, namespaces of owners and
strategic patches; where it is known to be simpler than Kubernetes, this says so instead of comparing.
"""

import argparse
import asyncio
import json
import pathlib
import subprocess
import sys
import tempfile

import aiohttp
import kmock

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAPS = "/api/v1/namespaces/ml/configmaps"
CUSTOM = "/apis/example.com/v1/namespaces/ml/things"
MERGE = "application/merge-patch+json"
# Longer no event of a watch is waited for.
EVENT_SECONDS = 60


def thing(name, **fields):
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name, "namespace": "ml"}, **fields}


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ml"}, "data": data}


# Method, path, body; and what of the answer is compared beside its status: an object's part, or a list's names.
CALLS = [
    ("POST", MAPS, config("a", x="1"), "data"),
    ("POST", MAPS, config("a", x="2"), None),
    ("GET", f"{MAPS}/a", None, "data"),
    ("GET", f"{MAPS}/missing", None, None),
    ("PATCH", f"{MAPS}/a", {"data": {"y": "2"}}, "data"),
    ("PATCH", f"{MAPS}/a", {"data": {"x": None}}, "data"),
    ("PATCH", f"{MAPS}/missing", {"data": {"x": "1"}}, None),
    ("POST", MAPS, config("b"), "data"),
    ("GET", MAPS, None, "names"),
    ("GET", "/api/v1/configmaps", None, "names"),
    ("DELETE", f"{MAPS}/b", None, None),
    ("DELETE", f"{MAPS}/b", None, None),
    ("GET", MAPS, None, "names"),
    ("POST", CUSTOM, thing("t", spec={"list": [1, 2], "deep": {"a": 1}}), "spec"),
    ("PATCH", f"{CUSTOM}/t", {"spec": {"deep": {"b": 2}, "list": [3]}}, "spec"),
    ("PATCH", f"{CUSTOM}/t", {"metadata": {"finalizers": ["example.com/keep"]}}, "finalizers"),
    ("DELETE", f"{CUSTOM}/t", None, None),
    ("GET", f"{CUSTOM}/t", None, "leaving"),
    ("PATCH", f"{CUSTOM}/t", {"metadata": {"finalizers": []}}, None),
    ("GET", f"{CUSTOM}/t", None, None),
    ("POST", CUSTOM, thing("t", spec={"again": True}), "spec"),
    ("GET", CUSTOM, None, "names"),
    ("DELETE", f"{CUSTOM}/t", None, None),
    ("GET", CUSTOM, None, "names"),
]


def part(answer, what):
    if what == "names":
        return sorted(item["metadata"]["name"] for item in answer.get("items", []))
    if what == "finalizers":
        return answer["metadata"].get("finalizers", [])
    if what == "leaving":
        return "deletionTimestamp" in answer["metadata"]
    return answer.get(what) if what else None


async def replay(session, url):
    """The answers to all calls, and the events that two watches saw meanwhile."""
    events = {MAPS: [], CUSTOM: []}
    came = asyncio.Condition()

    async def seen(name):
        """Returns when both watches have told of the object."""
        async with came:
            await asyncio.wait_for(
                came.wait_for(lambda: all(("ADDED", name) in list for list in events.values())), EVENT_SECONDS)

    async def watch(path):
        async with session.get(f"{url}{path}", params={"watch": "true", "resourceVersion": ""}) as answer:
            async for line in answer.content:
                if line.strip():
                    event = json.loads(line)
                    async with came:
                        events[path].append((event["type"], event["object"].get("metadata", {}).get("name")))
                        came.notify_all()

    async def make(name):
        for path, body in ((MAPS, config(name)), (CUSTOM, thing(name))):
            async with session.post(url + path, json=body) as answer:
                assert answer.status in (200, 201), await answer.text()

    # The first of each kind is there before the watches, so that kmock knows the kinds; they begin with it.
    await make("first")
    watches = [asyncio.create_task(watch(path)) for path in events]
    await seen("first")
    answers = []
    for method, path, body, what in CALLS:
        headers = {"Content-Type": MERGE if method == "PATCH" else "application/json"}
        data = None if body is None else json.dumps(body)
        async with session.request(method, url + path, data=data, headers=headers) as answer:
            text = await answer.text()
            found = part(json.loads(text), what) if answer.status < 300 else None
            # Kubernetes says 201 of what was made, kmock 200.
            answers.append((200 if answer.status == 201 else answer.status, found))
    # Events come in order: behind this one none is missing.
    await make("last")
    await seen("last")
    for task in watches:
        task.cancel()
    await asyncio.gather(*watches, return_exceptions=True)
    return answers, events


async def compare(api):
    async with aiohttp.ClientSession() as session:
        ours = await replay(session, api)
        async with kmock.KubernetesEmulator() as emulator:
            async with kmock.Server(emulator) as server:
                theirs = await replay(session, str(server.url).rstrip("/"))
    failures = 0
    for call, mine, other in zip(CALLS, ours[0], theirs[0]):
        same = mine == other
        failures += not same
        print(f"{'ok  ' if same else 'FAIL'} {call[0]} {call[1]}: {mine}" + ("" if same else f", kmock {other}"))
    for path in ours[1]:
        same = ours[1][path] == theirs[1][path]
        failures += not same
        print(f"{'ok  ' if same else 'FAIL'} watch {path}: {ours[1][path]}" + (
            "" if same else f", kmock {theirs[1][path]}"))
    print(f"{len(CALLS) + len(ours[1])} compared, {failures} differ")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", default=str(ROOT / ".build" / "debug" / "FakeCluster"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="martlet-kmock-") as folder:
        cluster = subprocess.Popen(
            [options.cluster, folder, folder, "--no-node"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            line = cluster.stderr.readline()
            if not line.startswith("ready: "):
                print(f"the cluster did not start: {line!r}")
                return 2
            return asyncio.run(compare(line.split()[1]))
        finally:
            cluster.terminate()
            cluster.wait(10)


if __name__ == "__main__":
    sys.exit(main())
