"""A training process watched from outside: when the log's line of each step came, how much memory it took at most."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

POLL_SECONDS = 0.004
PATIENCE_SECONDS = 1800


class StepLog:
    """A log with a JSON object a line, read while it is written."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.text = b""
        self.opened = None
        self.moments = []

    def poll(self):
        if self.file is None:
            try:
                self.file = open(self.path, "rb")
            except FileNotFoundError:
                return
            self.opened = time.perf_counter()
        piece = self.file.read()
        if piece:
            self.text += piece
            self.moments += [time.perf_counter()] * piece.count(b"\n")

    def lines(self):
        whole = self.text[:self.text.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def close(self):
        if self.file:
            self.file.close()


class TrainingRun:
    """A run that has ended: its log with the moment of each line, and its peak resident memory."""

    def __init__(self, began, log, peak_bytes):
        self.began, self.moments, self.lines, self.peak_bytes = began, log.moments, log.lines(), peak_bytes
        self.opened = log.opened

    def steady_seconds(self, skipped):
        """From the end of the first steps, which are left out, to the end of the last one."""
        return self.moments[-1] - self.moments[skipped - 1]

    def rate(self, tokens_a_step, skipped):
        return tokens_a_step * (len(self.moments) - skipped) / self.steady_seconds(skipped)

    def start_seconds(self):
        """From the start of the process until its log was opened, which both sides do just before their first step."""
        return self.opened - self.began

    def first_step_seconds(self):
        """The first step, in which memory is touched for the first time."""
        return self.moments[0] - self.opened


def watch(words, log_path, steps, environment=None):
    """Runs a command that trains so many steps (None: as many as it has) and logs each. Ends the program if it fails.
    """
    if os.path.exists(log_path):
        os.unlink(log_path)
    log = StepLog(log_path)
    with tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        try:
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                log.poll()
                if pid:
                    break
                if time.perf_counter() - began > PATIENCE_SECONDS:
                    sys.exit(f"{shown(words)} has not ended after {PATIENCE_SECONDS} s")
                time.sleep(POLL_SECONDS)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
            log.close()
        err.seek(0)
        said = " | ".join(err.read().decode("utf-8", "replace").strip().splitlines()[-5:])
    if process.returncode != 0:
        sys.exit(f"{shown(words)} ended with {process.returncode}: {said}")
    if steps is not None and len(log.moments) != steps:
        sys.exit(f"{shown(words)} logged {len(log.moments)} lines, not one for each of {steps} steps: {said}")
    if len(log.moments) > 1 and log.moments[0] == log.moments[-1]:
        sys.exit(f"{shown(words)} wrote all lines of its log at once, so its steps cannot be measured")
    return TrainingRun(began, log, usage.ru_maxrss * 1024)


def shown(words):
    return " ".join(words[:3]) + " …"
