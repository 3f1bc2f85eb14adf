"""A hub for examples that download: the quickstart's data set, drawn small, and a tiny model that knows its words.

An example whose arguments name {hub} gets its address. The hub is made once, when the first example asks for it.
"""

import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Enough rows that every step has something to do, few enough that all of them take a second.
ROWS = ("--documents", "24", "--answers", "24", "--preferences", "8", "--held-out", "6")
DATA_SET, MODEL = "datasets/martlet/calendar-notes", "martlet/calendar-model"
PATIENCE_SECONDS = 120


class ExampleHub:
    def __init__(self, martlet):
        self.martlet, self.address, self.lock = martlet, None, threading.Lock()

    def url(self):
        with self.lock:
            if self.address is None:
                self.folder = tempfile.mkdtemp(prefix="martlet-hub-")
                atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
                self.fill()
                self.address = self.serve()
            return self.address

    def fill(self):
        hub = os.path.join(self.folder, "hub")
        data, model = os.path.join(hub, DATA_SET), os.path.join(hub, MODEL)
        self.call(sys.executable, os.path.join(ROOT, "workflows", "quickstart", "calendar_notes.py"), data, *ROWS)
        tokenizer, run = os.path.join(self.folder, "tokenizer"), os.path.join(self.folder, "run")
        documents = os.path.join(data, "documents.jsonl")
        self.call(self.martlet, "tokenizer", "--dataset", documents, "--vocab_size", "640", "--output_dir", tokenizer)
        self.call(
            self.martlet, "pretrain", "--init_config", os.path.join(data, "model.json"), "--tokenizer", tokenizer,
            "--dataset", documents, "--output_dir", run, "--max_steps", "1", "--max_length", "128", "--save_only_model",
            "true", "--threads", "1")
        os.makedirs(os.path.dirname(model))
        shutil.copytree(os.path.join(run, "checkpoint-1"), model, ignore=shutil.ignore_patterns("runs", "trainer_state*"))

    def call(self, *words):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MARTLET_", "XDG_", "HF_"))}
        done = subprocess.run(words, capture_output=True, text=True, env=kept, timeout=PATIENCE_SECONDS)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(words[:2])} for the hub ended with {done.returncode}: {done.stderr[-500:]}")

    def serve(self):
        process = subprocess.Popen(
            [self.martlet, "hub", "serve", os.path.join(self.folder, "hub")], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        atexit.register(self.stop, process)
        watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)
        watchdog.start()
        found = re.search(rb"http://\S+", process.stdout.readline())
        watchdog.cancel()
        if not found:
            raise AssertionError("the hub did not start")
        return found.group(0).decode().rstrip("/")

    @staticmethod
    def stop(process):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
