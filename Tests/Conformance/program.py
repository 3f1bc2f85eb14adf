"""Running `martlet` as a user would: a data directory of its own, a time limit, and what came out of it."""

import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time


class Outcome:
    """What a finished command left: exit status, both outputs, seconds."""

    def __init__(self, words, status, out, err, seconds, timed_out):
        self.words, self.status, self.out, self.err = words, status, out, err
        self.seconds, self.timed_out = seconds, timed_out

    def text(self):
        return self.out + "\n" + self.err

    def tail(self, limit=700):
        text = (self.err.strip() or self.out.strip()).replace("\n", " | ")
        return text if len(text) <= limit else "…" + text[-limit:]


class Program:
    """`martlet` with one data directory. Every command of a case goes through one of these."""

    def __init__(self, path, limit):
        self.path, self.limit = path, limit
        self.namespace = ""
        self.data = tempfile.mkdtemp(prefix="martlet-conformance-")

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MARTLET_", "XDG_", "ARGO_"))}
        supervisor = os.environ.get("MARTLET_SUPERVISOR")
        if supervisor:
            kept["MARTLET_SUPERVISOR"] = supervisor
        return kept

    def start(self, *words):
        """Starts a command and does not wait for it."""
        namespace = ["-n", self.namespace] if self.namespace and words[0] not in ("run", "lint") else []
        words = [self.path, *words, *namespace, "--data-dir", self.data]
        # Files rather than pipes: a step that inherited a pipe by mistake would keep the reader waiting.
        out = tempfile.TemporaryFile()
        err = tempfile.TemporaryFile()
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self.environment(),
            cwd=self.data, start_new_session=True)
        return Started(words, process, out, err)

    def call(self, *words, limit=None):
        return self.start(*words).wait(limit or self.limit)

    def object(self, name="@latest"):
        """The stored workflow object, as `martlet get` gives it."""
        got = self.call("get", name, "-o", "json", limit=60)
        if got.status not in (0, 1, 2, 3):
            raise AssertionError(f"get {name} -o json ended with {got.status}: {got.tail()}")
        return parse(got)

    def close(self):
        def writable(function, path, _):
            # A step may have left directories that nobody may write to.
            try:
                os.chmod(os.path.dirname(path), stat.S_IRWXU)
                os.chmod(path, stat.S_IRWXU)
                function(path)
            except OSError:
                pass

        shutil.rmtree(self.data, onerror=writable)


class Started:
    def __init__(self, words, process, out, err):
        self.words, self.process, self.out, self.err = words, process, out, err
        self.began = time.monotonic()

    def wait(self, limit):
        timed_out = False
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            self.end()
        seconds = time.monotonic() - self.began
        return Outcome(
            self.words, self.process.returncode, self.read(self.out), self.read(self.err), seconds, timed_out)

    def end(self):
        """Ctrl-C first, so that the steps are ended too; only then the hard way."""
        for number, patience in ((signal.SIGINT, 40), (signal.SIGKILL, 10)):
            try:
                self.process.send_signal(number)
                self.process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue

    @staticmethod
    def read(file):
        file.seek(0)
        with file:
            return file.read().decode("utf-8", "replace")


def parse(outcome):
    """The JSON object on standard output, which must hold nothing else."""
    try:
        return json.loads(outcome.out)
    except ValueError as error:
        shown = outcome.out[:200] if outcome.out.strip() else f"nothing; standard error: {outcome.tail(400)}"
        raise AssertionError(f"standard output is not one JSON object ({error}): {shown}") from None


def default_path(root):
    """The newest build in the repository."""
    built = [os.path.join(root, ".build", kind, "martlet") for kind in ("release", "debug")]
    built = [path for path in built if os.access(path, os.X_OK)]
    return max(built, key=os.path.getmtime) if built else "martlet"
