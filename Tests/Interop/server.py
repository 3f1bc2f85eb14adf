"""A `martlet server` of its own for a check: a fresh data directory, a free port, stopped at the end."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading


class Server:
    """Runs for the length of a `with` block; `url` is where it answers."""

    def __init__(self, martlet, *options):
        self.folder = tempfile.mkdtemp(prefix="martlet-server-")
        self.command = [martlet, "server", "--listen", "127.0.0.1:0", "--data-dir", self.folder + "/data", *options]

    def __enter__(self):
        self.log = open(self.folder + "/log", "wb")
        environment = dict(os.environ, XDG_CONFIG_HOME=self.folder + "/config")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.log, env=environment)
        # A server that never says where it is must not hold up the check for ever.
        watchdog = threading.Timer(60, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline().decode()
        watchdog.cancel()
        found = re.search(r"https?://\S+", line)
        if not found:
            self.process.kill()
            raise SystemExit(f"the server did not start: {line!r}\n{self.tail()}")
        self.url = found.group(0).rstrip("/")
        return self

    def tail(self):
        with open(self.folder + "/log", errors="replace") as log:
            return "".join(log.readlines()[-30:])

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.tail())
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Checks:
    """Counts what holds and what does not."""

    def __init__(self):
        self.failures = 0

    def __call__(self, name, holds, detail=""):
        print(f"{'ok  ' if holds else 'FAIL'} {name} {detail if not holds else ''}".rstrip(), flush=True)
        self.failures += not holds

    def raises(self, name, exception, call):
        """Whether a call ends with an exception of this kind."""
        try:
            result = call()
        except exception as error:
            self(name, True)
            return error
        except Exception as error:  # noqa: BLE001 - whatever else comes is the failure that is told
            self(name, False, f"{type(error).__name__}: {error}")
        else:
            self(name, False, f"nothing was raised, but there is {result!r}")
        return None
