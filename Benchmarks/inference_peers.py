"""llama.cpp, transformers and lm-evaluation-harness, each in a Python environment of its own under the user's cache
directory.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 900


def cache(*names):
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(root, "martlet-bench", *names)


class PythonEnvironment:
    """Packages from PyPI, installed once."""

    def __init__(self, name, modules, packages, settings):
        self.name, self.modules, self.packages, self.settings = name, modules, packages, settings
        self.home = cache(name)
        self.python = os.path.join(self.home, "bin", "python")

    def works(self):
        return os.path.exists(self.python) and subprocess.run(
            [self.python, "-c", f"import {', '.join(self.modules)}"], capture_output=True).returncode == 0

    def install(self):
        """Why it cannot be used; empty when it can."""
        if self.works():
            return ""
        print(f"installing {self.name} from PyPI (some minutes, once) …", file=sys.stderr)
        for words in ([sys.executable, "-m", "venv", "--clear", self.home],
                      [self.python, "-m", "pip", "install", "-q", *self.packages]):
            done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **self.settings})
            if done.returncode != 0:
                shutil.rmtree(self.home, ignore_errors=True)
                return (done.stderr.strip() or done.stdout.strip() or "no word why").splitlines()[-1]
        return "" if self.works() else f"its modules cannot be imported; delete {self.home} and try again"

    def version(self, package):
        return subprocess.run(
            [self.python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"],
            capture_output=True, text=True).stdout.strip()


def llama():
    """llama-cpp-python, compiled here: the wheels of the project are for processors of ten years ago."""
    return PythonEnvironment(
        "llama", ["llama_cpp", "gguf", "numpy"],
        ["--no-binary", "llama-cpp-python", "llama-cpp-python", "gguf", "numpy"],
        {"CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF",
         "CMAKE_BUILD_PARALLEL_LEVEL": str(len(os.sched_getaffinity(0)))})


def transformers():
    """PyPI's own torch for Linux brings gigabytes of GPU libraries, which are not used here; with
    PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu pip finds one without them.
    """
    return PythonEnvironment("transformers", ["torch", "transformers"], ["torch", "transformers", "numpy"], {})


def lm_eval():
    """lm-evaluation-harness with what its models need: transformers, and servers by HTTP."""
    return PythonEnvironment(
        "lm_eval", ["lm_eval", "torch", "transformers", "accelerate", "aiohttp", "tenacity"],
        ["lm-eval[api]", "torch", "transformers", "accelerate", "numpy"], {})


class Worker:
    """A peer's process with a loaded model: a question a line, an answer a line."""

    def __init__(self, environment, script, *words):
        self.script = script
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [environment.python, os.path.join(HERE, script), *map(str, words)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.about = self.answer()["about"]

    @property
    def pid(self):
        return self.process.pid

    def answer(self):
        # Answers are a line each, one at a time, so nothing of one can be left in the reader's buffer.
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.process.kill()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = " | ".join(self.errors.read().decode("utf-8", "replace").strip().splitlines()[-5:])
            sys.exit(f"{self.script} ended with {self.process.returncode}: {said}")
        return json.loads(line)

    def generate(self, prompts, steps):
        """Seconds until all prompts have their first token, and until all have `steps`."""
        self.process.stdin.write(json.dumps({"prompts": prompts, "steps": steps}) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        return answer["first"], answer["last"]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()
