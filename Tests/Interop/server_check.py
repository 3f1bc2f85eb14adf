#!/usr/bin/env python3
"""`martlet server` and `martlet token` as an operator uses them: starting, refusing, certificates, stopping, telling.

    server_check.py [--martlet PATH] [PART]...

lock            one server a data directory, found by other commands, free again after TERM and after KILL
start           addresses that others reach need a token that opens something, or --auth none; wrong options
tokens          made, listed, used, expired, revoked while the server runs; nothing of them on the disk
tls             certificates from files, renewed on SIGHUP while old connections go on; broken files change nothing
stop            TERM ends streams, lets steps go on, and the next server finds them again
notifications   a receiver on loopback: signatures, retries, refusals, a restart between tries; a command

Standard library and the openssl program only; nothing leaves the loopback interface.
"""

import argparse
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from server import Checks  # noqa: E402

PATIENCE_SECONDS = 60

STEP = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: NAME, annotations: {ANNOTATIONS}}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: busybox, command: [sh, -c], args: ["COMMAND"]}
"""


class Place:
    """A data directory and the program, with nothing of the caller's own settings."""

    def __init__(self, martlet):
        self.martlet = martlet
        self.folder = tempfile.mkdtemp(prefix="martlet-check-")
        self.data = self.folder + "/data"
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("MARTLET_")
                            and key not in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")}
        self.environment |= {"XDG_CONFIG_HOME": self.folder, "NO_COLOR": "1"}
        self.servers = []

    def run(self, *words, **environment):
        done = subprocess.run(
            [self.martlet, *words, "--data-dir", self.data], capture_output=True, text=True, cwd=self.folder,
            stdin=subprocess.DEVNULL, env=self.environment | environment, timeout=PATIENCE_SECONDS)
        return done.returncode, done.stdout, done.stderr

    def server(self, *words, **environment):
        server = Running(self, words, environment)
        self.servers.append(server)
        return server

    def manifest(self, name, command, annotations=""):
        path = f"{self.folder}/{name}.yaml"
        with open(path, "w") as file:
            file.write(STEP.replace("NAME", name).replace("COMMAND", command).replace("ANNOTATIONS", annotations))
        return path

    def close(self):
        for server in self.servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Running:
    """A server: `url` where it is, or `code` and `error` where it did not start."""

    def __init__(self, place, words, environment):
        self.path = f"{place.folder}/log-{len(place.servers)}"
        self.log = open(self.path, "wb")
        if not any(word.startswith("--listen") for word in words):
            words = ("--listen", "127.0.0.1:0", *words)
        self.process = subprocess.Popen(
            [place.martlet, "server", "--data-dir", place.data, *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.log, cwd=place.folder, env=place.environment | environment)
        watchdog = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline().decode()
        found = re.search(r"https?://(\S+):(\d+)", line)
        self.url = found.group(0) if found else None
        self.port = int(found.group(2)) if found else None
        self.code = None if found else self.process.wait()
        watchdog.cancel()

    @property
    def error(self):
        with open(self.path, errors="replace") as file:
            return file.read()

    def says(self, words, patience=PATIENCE_SECONDS):
        return until(lambda: words in self.error, patience)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "never"

    def ask(self, method, path, body=None, headers=None, context=None):
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        more = {"context": context} if context else {}
        link = kind("localhost" if context else "127.0.0.1", self.port, timeout=PATIENCE_SECONDS, **more)
        try:
            fields = dict(headers or {})
            if body is not None:
                fields["Content-Type"] = "application/json"
            link.request(method, path, None if body is None else json.dumps(body), fields)
            answer = link.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            link.close()


def until(condition, patience=PATIENCE_SECONDS):
    """Whether something becomes true; a busy machine gets its time."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def bearer(token):
    return {"Authorization": "Bearer " + token}


LIST = "/api/v1/workflows/default"


def lock(check, place):
    first = place.server()
    code, _, error = place.run("server", "--listen", "127.0.0.1:0")
    check("a second server is refused", code == 2 and "serves" in error and str(first.process.pid) in error
          and first.url in error, f"{code}: {error}")
    with open(place.data + "/server.json") as file:
        note = json.load(file)
    check("the note names process and address", note["pid"] == first.process.pid and note["address"] == first.url, note)
    check("and is for its owner only", os.stat(place.data + "/server.json").st_mode & 0o077 == 0)
    check("TERM ends it with 0", first.stop() == 0, first.error)
    check("and takes the note away", not os.path.exists(place.data + "/server.json"))
    second = place.server()
    second.stop(signal.SIGKILL)
    third = place.server()
    check("KILL leaves no lock behind", third.url is not None, third.error)
    with open(place.data + "/server.json") as file:
        check("and the next server corrects the note", json.load(file)["pid"] == third.process.pid)
    third.stop()


def start(check, place):
    def refused(name, words, code, text):
        ended, output, error = place.run("server", *words)
        check(name, ended == code and text in error, f"{ended}: {output}{error}")

    everywhere = ("--listen", "0.0.0.0:0")
    refused("no token, no open address", everywhere, 64, "token create")
    for ttl in ("x", "0s", "-5m", "1y"):
        code, _, error = place.run("token", "create", "a", "--role", "admin", "--ttl", ttl)
        check(f"--ttl {ttl} is refused", code == 64 and "--ttl" in error, f"{code}: {error}")
    code, text, error = place.run("token", "create", "short", "--role", "admin", "--ttl", "1s")
    check("a token is printed alone", code == 0 and text.startswith("mrt_") and len(text.split()) == 1, text + error)
    time.sleep(1.1)
    refused("an expired token opens nothing", everywhere, 64, "token create")
    kept = place.run("token", "create", "kept", "--role", "viewer", "-n", "default")[1].strip()
    server = place.server(*everywhere)
    check("with a token it starts", server.url is not None, server.error)
    check("and asks for it", server.ask("GET", LIST)[0] == 401)
    check("the token opens it", server.ask("GET", LIST, headers=bearer(kept))[0] == 200)
    check("but not elsewhere", server.ask("GET", LIST + "x", headers=bearer(kept))[0] == 404)
    check("nor for changes", server.ask("POST", LIST, {"workflow": {}}, bearer(kept))[0] == 403)
    code, output, error = place.run("list")
    check("commands here find what it serves without a token", code == 0, error)
    server.stop()
    check("a token is revoked by its name", place.run("token", "revoke", "kept")[0] == 0)
    refused("a revoked token opens nothing", everywhere, 64, "token create")
    server = place.server(*everywhere, "--auth", "none")
    check("--auth none asks nobody", server.url is not None and server.ask("GET", LIST)[0] == 200, server.error)
    check("whatever the host is called", server.ask("GET", LIST, headers={"Host": "build.example"})[0] == 200)
    check("but not for pages of others",
          server.ask("POST", LIST, {}, {"Host": "build.example", "Origin": "http://evil.example"})[0] == 403)
    server.stop()
    server = place.server("--auth", "token")
    check("--auth token asks on loopback, too", server.ask("GET", LIST)[0] == 401)
    port = str(server.port)
    other = tempfile.mkdtemp(dir=place.folder)
    done = subprocess.run([place.martlet, "server", "--listen", "127.0.0.1:" + port, "--data-dir", other],
                          capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    check("a port in use is told", done.returncode == 2 and "in use" in done.stderr, done.stderr)
    server.stop()
    refused("an address of another machine", ("--listen", "192.0.2.1:0", "--auth", "none"), 2, "no address of this")
    for listen in ("nonsense", "127.0.0.1", "127.0.0.1:70000", ":2746", "::1:2746", "127.0.0.1:-1"):
        refused(f"--listen={listen}", (f"--listen={listen}",), 64, "HOST:PORT")
    refused("half of the TLS files", ("--tls-cert", "x"), 64, "together")
    refused("an unknown word for --auth", ("--auth", "maybe"), 64, "auto")
    refused("an unknown level", ("--log-level", "loud"), 64, "--log-level")
    refused("a rule that is none", ("--retention", "age=long"), 64, "--retention")
    refused("a webhook that is none", ("--notify-webhook", "here"), 64, "--notify-webhook")
    refused("a page that is not there", ("--web", place.folder), 2, "index.html")


def tokens(check, place):
    server = place.server("--auth", "token")
    made = {}
    for name, role, more in [("root", "admin", ()), ("ed", "editor", ("-n", "default")), ("ed2", "editor", ("-n", "b"))]:
        code, text, error = place.run("token", "create", name, "--role", role, *more)
        made[name] = text.strip()
        check(f"token {name} opens at once", code == 0
              and server.ask("GET", "/api/martlet/v1/runs", headers=bearer(made[name]))[0] == 200, error)
    rows = json.loads(place.run("token", "list", "-o", "json")[1])
    check("the list shows roles", [row["roles"] for row in rows if row["name"] == "ed2"] == [{"b": "editor"}], rows)
    check("and nothing that opens anything", not any(text in json.dumps(rows) for text in made.values()))
    code, table, _ = place.run("token", "list")
    check("as a table, too", code == 0 and "default=editor" in table and "valid" in table, table)
    for words, status in [(("create", "x", "--role", "owner"), 64), (("create", "", "--role", "admin"), 64),
                          (("create", "x", "--role", "admin", "-n", "Bad Name"), 64), (("revoke", "nobody"), 2)]:
        code, _, error = place.run("token", *words)
        check(f"token {' '.join(words)} -> {status}", code == status, f"{code}: {error}")
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    link.request("GET", "/api/martlet/v1/stream", headers=bearer(made["ed"]))
    stream = link.getresponse()
    check("a stream begins", stream.status == 200 and stream.readline().startswith(b"id: "))
    place.run("token", "revoke", "ed")
    began = time.monotonic()
    check("a revoked token opens nothing soon after",
          until(lambda: server.ask("GET", LIST, headers=bearer(made["ed"]))[0] == 401))
    rest = stream.read()
    check("and its stream ends", time.monotonic() - began < 20, rest[-200:])
    link.close()
    status, body, _ = server.ask("GET", "/api/martlet/v1/audit", headers=bearer(made["root"]))
    check("the audit log has it", status == 200 and b"token revoke" in body, body[:300])
    status, body, headers = server.ask("POST", "/api/martlet/v1/session", {"token": made["root"]})
    cookie = headers["Set-Cookie"] or ""
    check("signing in sets a cookie for this site only", status == 200 and "HttpOnly" in cookie
          and "SameSite=Strict" in cookie and "Secure" not in cookie, cookie)
    session = {"Cookie": cookie.split(";")[0]}
    check("the cookie reads", server.ask("GET", LIST, headers=session)[0] == 200)
    check("but does not write alone", server.ask("DELETE", LIST + "/x", headers=session)[0] == 403)
    word = {"X-Martlet-CSRF": json.loads(body)["csrf"]}
    check("with the word it does", server.ask("DELETE", LIST + "/x", headers=session | word)[0] == 404)
    server.stop()
    server = place.server("--auth", "token")
    check("the session lives on over a restart", server.ask("GET", LIST, headers=session)[0] == 200)
    check("with the same word", server.ask("DELETE", LIST + "/x", headers=session | word)[0] == 404)
    server.ask("DELETE", "/api/martlet/v1/session", headers=session | word)
    check("until it is ended", server.ask("GET", LIST, headers=session)[0] == 401)
    server.stop()
    found = []
    secrets = [text.encode() for text in made.values()] + [session["Cookie"].split("=", 1)[1].encode()]
    for folder, _, files in os.walk(place.folder):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            found += [name for secret in secrets if secret in content]
    check("nothing that opens anything is on the disk", not found, found)


def certificate(place, name, serial):
    """Makes a certificate of its own for localhost; returns it with its key."""
    paths = f"{place.folder}/{name}.pem", f"{place.folder}/{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-set_serial", str(serial), "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def tls(check, place):
    first, second = certificate(place, "first", 11), certificate(place, "second", 22)
    cert, key = place.folder + "/cert.pem", place.folder + "/key.pem"
    context = ssl.create_default_context(cafile=first[0])
    context.load_verify_locations(second[0])

    def use(pair):
        for source, target in zip(pair, (cert, key)):
            shutil.copy(source, target + ".new")
            os.replace(target + ".new", target)

    def serial():
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as link:
                return int(link.getpeercert()["serialNumber"], 16), link.version()

    files = ("--tls-cert", cert, "--tls-key", key)
    for name, pair in [("no files", (cert, key)), ("a key of another", (first[0], second[1])),
                       ("a key for a certificate", (first[1], first[1]))]:
        code, _, error = place.run("server", "--listen", "127.0.0.1:0", "--tls-cert", pair[0], "--tls-key", pair[1])
        check(f"{name} are refused", code == 2 and ".pem" in error or ".key" in error, f"{code}: {error}")
    use(first)
    server = place.server(*files, "--auth", "token")
    token = place.run("token", "create", "root", "--role", "admin")[1].strip()
    check("it says https", server.url is not None and server.url.startswith("https://"), server.error)
    check("it answers in TLS", server.ask("GET", LIST, headers=bearer(token), context=context)[0] == 200)
    number, version = serial()
    check("with the certificate of the file", number == 11 and version in ("TLSv1.2", "TLSv1.3"), (number, version))
    old = ssl.create_default_context(cafile=first[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    try:
        server.ask("GET", "/healthz", context=old)
        check("TLS 1.1 is refused", False)
    except (ssl.SSLError, OSError):
        check("TLS 1.1 is refused", True)
    cookie = server.ask("POST", "/api/martlet/v1/session", {"token": token}, context=context)[2]["Set-Cookie"] or ""
    check("the cookie is for TLS only", "Secure" in cookie, cookie)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check("plain HTTP gets nothing", b"HTTP/1.1 200" not in plain.recv(4_096))
    kept = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_SECONDS, context=context)
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    use(second)
    server.process.send_signal(signal.SIGHUP)
    check("SIGHUP is told", server.says("certificates read again"), server.error)
    check("new connections get the new certificate", serial()[0] == 22)
    kept.request("GET", "/healthz")
    check("those that are open go on", kept.getresponse().status == 200)
    kept.close()
    with open(cert, "w") as file:
        file.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
    server.process.send_signal(signal.SIGHUP)
    check("a broken file is told", server.says("the old ones stay"), server.error)
    check("and changes nothing", serial()[0] == 22)
    use(first)
    server.process.send_signal(signal.SIGHUP)
    check("a mended one counts again", until(lambda: serial()[0] == 11))
    verb = subprocess.run([place.martlet, "list", "--server", f"https://localhost:{server.port}"], capture_output=True,
                          text=True, timeout=PATIENCE_SECONDS, env=place.environment | {
                              "MARTLET_TOKEN": token, "SSL_CERT_FILE": first[0]})
    check("the verbs speak TLS", verb.returncode == 0, verb.stderr)
    verb = subprocess.run([place.martlet, "list", "--server", f"https://localhost:{server.port}"], capture_output=True,
                          text=True, timeout=PATIENCE_SECONDS, env=place.environment | {"MARTLET_TOKEN": token})
    check("and trust no stranger", verb.returncode == 2 and "certificate" in verb.stderr.lower(), verb.stderr)
    check("TERM ends it with 0", server.stop() == 0, server.error)


def stop(check, place):
    server = place.server()
    mark = place.folder + "/data/mark"
    path = place.manifest("slow", "echo begun; sleep 8; echo ended")
    check("a run begins", place.run("submit", path)[0] == 0)
    check("and writes", until(lambda: "begun" in place.run("logs", "slow")[1]))
    links = []
    for target in ("/api/martlet/v1/stream", "/api/v1/workflow-events/default",
                   "/api/v1/workflows/default/slow/log?logOptions.follow=true"):
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
        link.request("GET", target, headers={"Accept": "text/event-stream"})
        links.append((link, link.getresponse()))
    began = time.monotonic()
    check("TERM ends it with 0 though streams are read", server.stop() == 0 and time.monotonic() - began < 20)
    check("and the streams end in order", all(answer.read() is not None for _, answer in links))
    for link, _ in links:
        link.close()
    check("the step goes on", "ended" not in place.run("logs", "slow")[1] and not os.path.exists(mark))
    server = place.server()
    check("the next server finds it", place.run("wait", "slow")[0] == 0, server.error)
    log = place.run("logs", "slow")[1]
    check("and it ran once", log.count("begun") == 1 and log.count("ended") == 1, log)
    check("INT ends it as TERM does", server.stop(signal.SIGINT) == 0, server.error)


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it gets, and answers with the statuses that it was given, the last one again and again."""

    daemon_threads = True

    def __init__(self, *statuses):
        self.statuses, self.got = list(statuses), []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook?x=1"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0]
        self.server.got.append((dict(self.headers), body, time.time()))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def tries(server, result):
    """How many tries to tell of a run have come to this result, and are saved."""
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as answer:
        found = re.search(rb'martlet_notifications_total\{result="%s"\} (\d+)' % result.encode(), answer.read())
    return int(found.group(1)) if found else 0


def notifications(check, place):
    secret = "a secret of both"
    everyone, own, gone = Receiver(500, 200), Receiver(200), Receiver(410)
    told = place.folder + "/told"
    words = ("--notify-webhook", everyone.url, "--notify-allow-host", "127.0.0.1", "--notify-on", "Failed,Succeeded",
             "--notify-command", f"sh -c 'cat > {told}.$MARTLET_WORKFLOW; test -z \"$MARTLET_NOTIFY_SECRET\"'")
    server = place.server(*words, MARTLET_NOTIFY_SECRET=secret)
    hook = f'martlet.dev/notify-webhook: "{own.url}"'
    check("a run ends", place.run("submit", place.manifest("first", "echo hi", hook), "--wait")[0] == 0)
    check("its own webhook is told", until(lambda: own.got))
    headers, body, at = own.got[0]
    told_json = json.loads(body)
    check("of which run and how", (told_json["name"], told_json["phase"], told_json["namespace"])
          == ("first", "Succeeded", "default"), body)
    stamp = headers["X-Martlet-Timestamp"]
    wanted = "sha256=" + hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    check("signed", headers["X-Martlet-Signature"] == wanted and abs(int(stamp) - at) < 60, headers)
    check("the command has the same JSON", until(lambda: os.path.exists(told + ".first")
                                                 and os.path.getsize(told + ".first") > 0))
    with open(told + ".first") as file:
        check("in whole", json.load(file)["name"] == "first")
    check("the common webhook failed once", until(lambda: everyone.got))
    # What is killed before it has noted a try tries again: webhooks are told at least once.
    check("and the server has noted all three tries",
          until(lambda: tries(server, "retried") == 1 and tries(server, "delivered") == 2))
    server.stop(signal.SIGKILL)
    server = place.server(*words, MARTLET_NOTIFY_SECRET=secret)
    check("and is told again by the next server", until(lambda: len(everyone.got) > 1, 60), len(everyone.got))
    ids = [json.loads(body)["id"] for _, body, _ in everyone.got]
    check("with the same id", len(set(ids)) == 1 and everyone.got[0][0]["X-Martlet-Delivery"] == ids[0], ids)
    check("after a pause", everyone.got[1][2] - everyone.got[0][2] > 5)
    hook = f'martlet.dev/notify-webhook: "{gone.url}"'
    check("a failed run ends", place.run("submit", place.manifest("second", "exit 1", hook), "--wait")[0] == 1)
    check("who is gone is given up", server.says("notification given up"), server.error[-500:])
    foreign = Receiver(200)
    hook = f'martlet.dev/notify-webhook: "{foreign.url.replace("127.0.0.1", "localhost")}"'
    place.run("submit", place.manifest("third", "true", hook), "--wait")
    check("everyone is told of all", until(lambda: len(everyone.got) >= 4), len(everyone.got))
    names = sorted(json.loads(body)["name"] for _, body, _ in everyone.got)
    check("each run once, but for the failed try", names == ["first", "first", "second", "third"], names)
    check("hosts that are not allowed are left alone", not foreign.got)
    check("who was told is told no more", len(own.got) == 1 and len(gone.got) == 1, (len(own.got), len(gone.got)))
    check("the secret is in no file", not [
        name for name in os.listdir(place.data) if os.path.isfile(f"{place.data}/{name}")
        and secret.encode() in open(f"{place.data}/{name}", "rb").read()])
    server.stop()
    for receiver in (everyone, own, gone, foreign):
        receiver.shutdown()


PARTS = {"lock": lock, "start": start, "tokens": tokens, "tls": tls, "stop": stop, "notifications": notifications}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=".build/debug/martlet")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    options = parser.parse_args()
    check = Checks()
    for name in options.parts or PARTS:
        began = time.monotonic()
        print(f"{name}:", flush=True)
        place = Place(os.path.abspath(options.martlet))
        try:
            PARTS[name](check, place)
        finally:
            place.close()
        print(f"     {time.monotonic() - began:.1f} s", flush=True)
    print(f"{check.failures} failures" if check.failures else "the server keeps its promises")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
