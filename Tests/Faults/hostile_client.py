#!/usr/bin/env python3
"""A hostile client against `martlet server`: it must answer 4xx or close, stay small, and serve others meanwhile.

    hostile_client.py [--martlet PATH] [--seed N] [--short] [PART]...

heads      requests that are no HTTP, endless and slow heads, thousands of headers, odd addresses
bodies     100 MB bodies announced, chunked and lied about; slow bodies; bodies that end early; bad JSON of all kinds
paths      ways out of every path parameter of every route that the server's own document and Argo's list name
tokens     wrong, expired and revoked tokens, cookies and CSRF words; names of other namespaces
origins    foreign Host and Origin headers, forms, against a server without tokens
idle       thousands of idle connections, and as many that send half a head
fuzz       random bytes and random mutations of good requests, drawn from the seed

Around each part the server's memory is measured; it may not grow by more than a limit, and a decent client beside the
hostile one must get its answers within about a second. A failure prints the seed. Standard library only.
"""

import argparse
import http.client
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# What a part may leave behind: buffers of a hundred connections, not of what they sent.
GROWTH_LIMIT_KIB = 64 << 10
# A decent client's patience while the hostile one is at work: so long, and so many times what it waited at worst in a
# quiet second before. A machine that is busy with other things delays both.
LATENCY_LIMIT_SECONDS = 1.0
LATENCY_LIMIT_FACTOR = 20
PATIENCE_SECONDS = 90

# Argo's routes; those of the server's own document come on top.
ARGO_PATHS = [
    ("GET", "/api/v1/workflows/{namespace}/{name}"), ("DELETE", "/api/v1/workflows/{namespace}/{name}"),
    ("PUT", "/api/v1/workflows/{namespace}/{name}/retry"), ("GET", "/api/v1/workflows/{namespace}/{name}/log"),
    ("GET", "/api/v1/workflow-templates/{namespace}/{name}"), ("GET", "/api/v1/cluster-workflow-templates/{name}"),
    ("GET", "/api/v1/cron-workflows/{namespace}/{name}"), ("GET", "/api/v1/archived-workflows/{uid}"),
    ("POST", "/api/v1/events/{namespace}/{discriminator}"), ("GET", "/api/v1/sync/{namespace}/{key}"),
    ("GET", "/artifacts/{namespace}/{name}/{nodeId}/{artifactName}"),
    ("GET", "/artifacts-by-uid/{uid}/{nodeId}/{artifactName}"),
    ("GET", "/input-artifacts/{namespace}/{name}/{nodeId}/{artifactName}"),
    ("GET", "/input-artifacts-by-uid/{uid}/{nodeId}/{artifactName}"),
    ("GET", "/artifact-files/{namespace}/workflows/{name}/{nodeId}/outputs/{artifactName}/{path}"),
]

WAYS_OUT = [
    "..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5cetc%5cpasswd", "%00",
    "a%00b", "%2fetc%2fpasswd", "%ff%fe", "%c0%ae%c0%ae", "%", "%zz", "a" * 2_000, "%0d%0aSet-Cookie:%20x=y", "....//",
    "%252e%252e%252f", "a%2fb", ".", "~root", "$(id)", "'; DROP TABLE workflows; --", "{{workflow.name}}", "*",
]


class Failure(Exception):
    pass


class Server:
    def __init__(self, options, *arguments, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="martlet-hostile-", dir="/var/tmp")
        self.log = open(os.path.join(self.directory, "server.log"), "ab")
        command = [options.martlet, "server", "--listen", "127.0.0.1:0", "--data-dir",
                   os.path.join(self.directory, "data"), "--executor", "noop", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            raise Failure(f"the server did not start: {line!r}, see {self.log.name}")
        self.port = int(found.group(1))

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def check_alive(self):
        if self.process.poll() is not None:
            raise Failure(f"the server ended with {self.process.returncode}, see {self.log.name}")

    def stop(self):
        self.check_alive()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure("the server did not stop within 30 seconds of TERM")
        if code != 0:
            raise Failure(f"the server ended with {code} after TERM")
        shutil.rmtree(self.directory, ignore_errors=True)

    def token(self, options, *arguments):
        output = subprocess.run(
            [options.martlet, "token", "create", *arguments, "--data-dir", os.path.join(self.directory, "data")],
            check=True, capture_output=True)
        return output.stdout.decode().strip()


class Decent(threading.Thread):
    """Asks for something small all the time, and keeps the longest wait."""

    def __init__(self, server, headers=None):
        super().__init__(daemon=True)
        self.server, self.headers = server, headers or {}
        self.ended = threading.Event()
        self.worst, self.quiet, self.count, self.errors = 0.0, 0.0, 0, []

    def run(self):
        while not self.ended.is_set():
            start = time.monotonic()
            try:
                status, _ = ask(self.server, "GET", "/api/v1/workflows/default?listOptions.limit=1",
                                headers=self.headers)
                if status != 200:
                    self.errors.append(f"status {status}")
            except OSError as error:
                self.errors.append(repr(error))
            self.worst = max(self.worst, time.monotonic() - start)
            self.count += 1
            self.ended.wait(0.05)

    def settle(self):
        """Finds how long an answer takes when nobody is hostile."""
        time.sleep(1)
        self.quiet, self.worst, self.count = self.worst, 0.0, 0

    def finish(self):
        self.ended.set()
        self.join(PATIENCE_SECONDS)
        if self.errors:
            raise Failure(f"a decent client was refused {len(self.errors)} times: {self.errors[:3]}")
        if self.worst > LATENCY_LIMIT_SECONDS + LATENCY_LIMIT_FACTOR * self.quiet:
            raise Failure(f"a decent client waited {self.worst:.2f} s, and {self.quiet:.2f} s before")


def ask(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    try:
        fields = dict(headers or {})
        if body is not None and not any(name.lower() == "content-type" for name in fields):
            fields["Content-Type"] = "application/json"
        connection.putrequest(method, path, skip_host="Host" in fields, skip_accept_encoding=True)
        for name, value in fields.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def raw(server, pieces, patience=PATIENCE_SECONDS, pause=0.0):
    """Sends bytes as they are; returns what came back until the server closed or went quiet."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience) as link:
        sent = 0
        try:
            for piece in pieces:
                link.sendall(piece)
                sent += len(piece)
                if pause:
                    time.sleep(pause)
        except OSError:
            pass
        answer = b""
        try:
            while True:
                more = link.recv(65_536)
                if not more:
                    break
                answer += more
                if b"\r\n\r\n" in answer and len(answer) > 1 << 20:
                    break
        except OSError:
            pass
    return answer, sent


def status_of(answer):
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found.group(1)) if found else 0


def expect_refusal(what, status, allow_zero=True):
    if status == 0 and allow_zero:
        return
    if not 400 <= status < 500:
        raise Failure(f"{what}: status {status}, wanted 4xx or a closed connection")


HOST = b"Host: 127.0.0.1\r\n"


def heads(server, options, draw):
    cases = {
        "no HTTP": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n"],
        "words": [b"hello there\r\n\r\n"],
        "no version": [b"GET /\r\n\r\n"],
        "long head": [b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n"],
        "many headers": [b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(5_000)) + b"\r\n"],
        "long address": [b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"],
        "two lengths": [b"POST /api/v1/workflows/default HTTP/1.1\r\n" + HOST
                        + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
        "length and chunks": [b"POST /api/v1/workflows/default HTTP/1.1\r\n" + HOST
                              + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        "negative length": [b"POST /api/v1/workflows/default HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n"],
        "huge length": [b"POST /api/v1/workflows/default HTTP/1.1\r\n" + HOST
                        + b"Content-Length: 99999999999999999999\r\n\r\n"],
        "bad chunk": [b"POST /api/v1/workflows/default HTTP/1.1\r\n" + HOST
                      + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
        "header injection": [b"GET / HTTP/1.1\r\n" + HOST + b"A B: c\r\n\r\n"],
        "CONNECT": [b"CONNECT 10.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n"],
        "unknown method": [b"BREW /api/v1/info HTTP/1.1\r\n" + HOST + b"\r\n"],
        "absolute address": [b"GET http://evil.example HTTP/1.1\r\nHost: evil.example\r\n\r\n"],
        "no host": [b"GET /api/v1/info HTTP/1.1\r\n\r\n"],
    }
    for what, pieces in cases.items():
        closing = [piece.replace(HOST, HOST + b"Connection: close\r\n") for piece in pieces]
        answer, _ = raw(server, closing, patience=15)
        expect_refusal(what, status_of(answer))
        server.check_alive()
    links = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for step in range(5 if options.short else 30):
        for link in links:
            try:
                link.sendall(b"GET / HTTP/1.1\r\n" if step == 0 else b"X-%d: slow\r\n" % step)
            except OSError:
                pass
        time.sleep(0.2)
    for link in links:
        link.close()
    return len(cases) + len(links)


def bodies(server, options, draw):
    path, size = "/api/v1/workflows/default", 100 << 20
    zeros = b"0" * (1 << 20)
    head = b"POST " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    count = 0
    for what, lines, pieces in [
        ("announced", b"Content-Length: %d\r\n\r\n" % size, [zeros] * 100),
        ("chunked", b"Transfer-Encoding: chunked\r\n\r\n", [b"100000\r\n" + zeros + b"\r\n"] * 100),
        ("expected", b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size, []),
    ]:
        answer, sent = raw(server, [head + lines] + pieces, patience=30)
        expect_refusal(f"100 MB body, {what}", status_of(answer))
        if sent > 60 << 20:
            raise Failure(f"100 MB body, {what}: the server took {sent >> 20} MiB of it")
        count += 1
    threads = [threading.Thread(target=raw, args=(server, [head + b"Content-Length: %d\r\n\r\n" % size]
                                                  + [zeros] * 100), kwargs={"patience": 30}) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for text in [b"{", b"[", b"nul", b'{"a":', b'"\\u12', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"1e999999",
                 b"-", b'{"workflow": []}', b'{"workflow": {"spec": 7}}', b'{"workflow": {"metadata": null, "spec": null}}',
                 b'{"workflow": {"spec": {"templates": [[[[]]]]}}}', b"", b"null", b"[]", b"7",
                 b'{"workflow":{"metadata":{"name":"' + b"a" * 100_000 + b'"},"spec":{}}}',
                 b'{"serverDryRun": "x", "workflow": {}}']:
        for method, target in [("POST", path), ("POST", path + "/lint"), ("POST", path + "/submit"),
                               ("POST", "/api/v1/workflow-templates/default"), ("PUT", path + "/x/retry"),
                               ("POST", "/api/v1/cron-workflows/default"), ("POST", "/api/martlet/v1/tokens"),
                               ("POST", "/api/martlet/v1/session"), ("POST", "/api/v1/events/default/x"),
                               ("POST", "/api/v1/sync/default")]:
            status, answer = ask(server, method, target, text)
            if status >= 500 and status != 501:
                raise Failure(f"{method} {target} with {text[:60]!r}: {status} {answer[:200]!r}")
            count += 1
    # Slow and broken bodies: the server neither waits for ever nor minds.
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    for link in slow:
        link.sendall(head + b"Content-Length: 1000\r\n\r\n{")
    for step in range(3 if options.short else 20):
        for link in slow:
            try:
                link.sendall(b" ")
            except OSError:
                pass
        time.sleep(0.2)
    for link in slow:
        link.close()
    return count + len(threads) + len(slow)


def known_paths(server, headers=None):
    paths = list(ARGO_PATHS)
    status, body = ask(server, "GET", "/openapi.json", headers=headers)
    if status == 200:
        for path, methods in json.loads(body)["paths"].items():
            paths += [(method.upper(), path) for method in methods if method.upper() in
                      ("GET", "PUT", "POST", "DELETE") and "{" in path and not path.endswith("/stream")]
    return paths


def paths(server, options, draw):
    count = 0
    for method, pattern in known_paths(server):
        names = re.findall(r"\{[^}]+\}", pattern)
        for name in names:
            for way in WAYS_OUT:
                target = pattern.replace(name, way.replace(" ", "%20"))
                target = re.sub(r"\{[^}]+\}", "x", target)
                body = b"{}" if method in ("POST", "PUT") else None
                status, answer = ask(server, method, target, body)
                # A plain word may name a namespace without runs, which is no error.
                if status == 0 or status >= 500 and status != 501:
                    raise Failure(f"{method} {target}: {status} {answer[:200]!r}")
                if b"root:" in answer and b"/bin" in answer:
                    raise Failure(f"{method} {target} got out: {answer[:200]!r}")
                must_fail = way in ("..", "%2e%2e", ".", "%00", "%zz", "%ff%fe") or "%2f" in way and "%252" not in way
                if must_fail and not 400 <= status < 500:
                    raise Failure(f"{method} {target}: {status}, wanted 4xx")
                count += 1
    return count


def tokens(server, options, draw):
    def count_lines(path, headers, wanted, method="GET", body=None):
        status, answer = ask(server, method, path, body, headers)
        if status not in wanted:
            raise Failure(f"{method} {path} with {headers}: {status} {answer[:200]!r}, wanted {wanted}")
        return answer

    mine = server.token(options, "mine", "--role", "editor", "--namespace", "mine")
    other = server.token(options, "other", "--role", "admin", "--namespace", "other")
    everyone = server.token(options, "root", "--role", "admin")
    revoked = server.token(options, "gone", "--role", "admin")
    subprocess.run([options.martlet, "token", "revoke", "gone", "--data-dir",
                    os.path.join(server.directory, "data")], check=True, stdout=subprocess.DEVNULL)
    good = {"Authorization": f"Bearer {mine}"}
    workflow = json.dumps({"workflow": {"metadata": {"name": "secret-name"}, "spec": {
        "entrypoint": "a", "templates": [{"name": "a", "container": {"image": "x", "command": ["true"]}}]}}}).encode()
    count_lines("/api/v1/workflows/other", {"Authorization": f"Bearer {other}"}, (200, 201), "POST", workflow)
    # What is another namespace's looks like what is not there.
    there = count_lines("/api/v1/workflows/other/secret-name", good, (404,))
    absent = count_lines("/api/v1/workflows/nowhere/secret-name", good, (404,))
    if there.replace(b"other", b"nowhere") != absent:
        raise Failure(f"another namespace's name can be told from one that is not there: {there!r} {absent!r}")
    for method, path in [("DELETE", "/api/v1/workflows/other/secret-name"), ("GET", "/api/v1/workflows/other"),
                         ("PUT", "/api/v1/workflows/other/secret-name/stop"), ("POST", "/api/v1/workflows/other")]:
        count_lines(path, good, (404,), method, workflow if method in ("POST", "PUT") else None)
    listed = count_lines("/api/v1/workflows/", good, (200,))
    if b"secret-name" in listed:
        raise Failure("the list of all namespaces shows another namespace's run")
    for path in ["/api/martlet/v1/tokens", "/api/martlet/v1/audit"]:
        count_lines(path, good, (403,))
        count_lines(path, {"Authorization": f"Bearer {everyone}"}, (200,))
    wrong = ["", "Bearer", "Bearer x", f"Bearer {mine}x", f"Bearer {mine[:-1]}", f"Basic {mine}", f"Bearer {revoked}",
             "Bearer " + "a" * 10_000, "Bearer mrt_" + "a" * 40, "Bearer \xff"]
    time.sleep(1.1)
    for value in wrong * (2 if options.short else 4):
        count_lines("/api/v1/workflows/mine", {"Authorization": value}, (401, 429))
        count_lines("/api/v1/workflows/mine", {"Cookie": f"martlet_session={value.replace(' ', '_')}"}, (401, 429))
    for _ in range(3):
        count_lines("/api/v1/workflows/mine", good, (200,))
    # Everyone's requests, none of them with a right.
    for method, path in known_paths(server, {"Authorization": f"Bearer {everyone}"}):
        target = re.sub(r"\{[^}]+\}", "x", path)
        if target.startswith("/api/martlet/v1/session"):
            continue
        count_lines(target, {}, (401,), method, b"{}" if method in ("POST", "PUT") else None)
    return 60


def origins(server, options, draw):
    path = "/api/v1/workflows/default"
    form = b"workflow=x"
    cases = [
        ("GET", path, {"Host": "evil.example"}, None), ("GET", path, {"Host": "127.0.0.1.evil.example"}, None),
        ("GET", path, {"Origin": "http://evil.example"}, None), ("GET", path, {"Origin": "null"}, None),
        ("POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, form),
        ("POST", path, {"Content-Type": "text/plain"}, b'{"workflow": {}}'),
        ("POST", path, {"Content-Type": "multipart/form-data; boundary=x"}, form),
        ("POST", path, {"Origin": "http://evil.example"}, b'{"workflow": {}}'),
        ("POST", "/api/martlet/v1/tokens", {"Origin": "http://localhost:1"}, b"{}"),
        ("DELETE", path + "/x", {"Origin": "http://evil.example"}, None),
    ]
    for method, target, headers, body in cases:
        status, _ = ask(server, method, target, body, headers)
        expect_refusal(f"{method} {target} {headers}", status, allow_zero=False)
    return len(cases)


def idle(server, options, draw):
    links = []
    for number in range(500 if options.short else 4_000):
        link = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)
        if number % 2:
            link.sendall(b"GET /api/v1/info HTTP/1.1\r\nHost: 127")
        links.append(link)
    grown = server.memory_kib()
    status, _ = ask(server, "GET", "/api/v1/info")
    if status != 200:
        raise Failure(f"with {len(links)} idle connections: {status}")
    for link in links:
        link.close()
    print(f"    {len(links)} idle connections: {grown} KiB with them", flush=True)
    return len(links)


def fuzz(server, options, draw):
    seeds = [
        b"GET /api/v1/workflows/default?listOptions.limit=1 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        b"POST /api/v1/workflows/default HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: 15\r\n\r\n{\"workflow\": {}}",
        b"GET /api/martlet/v1/stream?since=1 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        b"PUT /api/v1/cron-workflows/default/x/suspend HTTP/1.1\r\n" + HOST
        + b"Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    ]
    count = 200 if options.short else 3_000
    for _ in range(count):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randrange(1, 8)):
            place = draw.randrange(len(data) + 1)
            kind = draw.randrange(4)
            if kind == 0 and data:
                data[min(place, len(data) - 1)] = draw.randrange(256)
            elif kind == 1:
                data[place:place] = draw.randbytes(draw.randrange(1, 20))
            elif kind == 2:
                del data[place:place + draw.randrange(1, 20)]
            else:
                data[place:place] = draw.choice([b"\r\n", b"%2e%2e/", b"\0", b"{{", b"?&=&", b"%", b"//"])
        answer, _ = raw(server, [bytes(data)], patience=0.3)
        status = status_of(answer)
        if status >= 500 and status != 501:
            raise Failure(f"{bytes(data)!r}: {answer[:300]!r}")
        server.check_alive()
    return count


PARTS = {"heads": heads, "bodies": bodies, "paths": paths, "tokens": tokens, "origins": origins, "idle": idle,
         "fuzz": fuzz}


def run(name, options, seed):
    arguments = ["--auth", "token"] if name == "tokens" else []
    server = Server(options, *arguments)
    headers = {}
    if name == "tokens":
        headers["Authorization"] = "Bearer " + server.token(options, "decent", "--role", "admin")
    try:
        for _ in range(50):
            ask(server, "GET", "/api/v1/workflows/default", headers=headers)
        before = server.memory_kib()
        decent = Decent(server, headers)
        decent.start()
        decent.settle()
        start = time.monotonic()
        count = PARTS[name](server, options, random.Random(f"{seed} {name}"))
        decent.finish()
        server.check_alive()
        deadline = time.monotonic() + 20
        while (after := server.memory_kib()) > before + GROWTH_LIMIT_KIB and time.monotonic() < deadline:
            time.sleep(0.5)
        if after > before + GROWTH_LIMIT_KIB:
            raise Failure(f"the server grew from {before} to {after} KiB")
        print(f"ok {name}: {count} attacks in {time.monotonic() - start:.1f} s; {before} -> {after} KiB; a decent client "
              f"asked {decent.count} times and waited {decent.worst * 1000:.0f} ms at most", flush=True)
    except BaseException:
        server.process.kill()
        raise
    server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=".build/debug/martlet")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    options = parser.parse_args()
    options.martlet = os.path.abspath(options.martlet)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    for name in options.parts or PARTS:
        try:
            run(name, options, seed)
        except Failure as failure:
            print(f"FAILED {name}: {failure}\n  again: hostile_client.py --seed {seed} {name}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
