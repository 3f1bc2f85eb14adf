"""The floors and the peer: GNU make, xargs, bare bubblewrap, and Luigi in an environment of its own."""

import os
import shutil
import subprocess
import sys

NOTHING = "/bin/true"
# The lightest view that still separates: the whole machine read-only, a process tree of its own, no capabilities.
BWRAP = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-pid", "--unshare-ipc",
         "--cap-drop", "ALL", NOTHING]

LUIGI_TASKS = '''
import os
import subprocess
import luigi


class Step(luigi.Task):
    """One step; its target is a file, which is how Luigi knows that it is done."""
    number = luigi.IntParameter()
    folder = luigi.Parameter()
    chained = luigi.BoolParameter(default=False)
    command = luigi.ListParameter(default=["/bin/true"])

    def requires(self):
        return [self.clone(number=self.number - 1)] if self.chained and self.number > 0 else []

    def output(self):
        return luigi.LocalTarget(os.path.join(self.folder, str(self.number)))

    def run(self):
        subprocess.run(list(self.command), check=True)
        with self.output().open("w") as file:
            file.write("done")


class Many(luigi.WrapperTask):
    count = luigi.IntParameter()
    folder = luigi.Parameter()

    def requires(self):
        return [Step(number=n, folder=self.folder) for n in range(self.count)]
'''


def makefile(path, count, chained):
    """Targets without files, so that all are made each time."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(".PHONY: all " + " ".join(f"t{n}" for n in range(count)) + "\n")
        file.write("all: " + (f"t{count - 1}" if chained else " ".join(f"t{n}" for n in range(count))) + "\n")
        for number in range(count):
            before = f" t{number - 1}" if chained and number else ""
            file.write(f"t{number}:{before}\n\t@{NOTHING}\n")


def make(path, jobs):
    return ["make", "-s", "-r", "-f", path, f"-j{jobs}"]


def xargs(numbers, jobs, command):
    """The steps through xargs; each command gets a number that it ignores."""
    return ["xargs", "-a", numbers, f"-P{jobs}", "-n1", *command]


def bwrap_works():
    if not shutil.which("bwrap"):
        return "bwrap is not installed"
    tried = subprocess.run(BWRAP, capture_output=True, text=True)
    return "" if tried.returncode == 0 else tried.stderr.strip()


class Luigi:
    """Luigi from PyPI, installed once under the user's cache directory."""

    def __init__(self, folder):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.home = os.path.join(cache, "martlet-bench", "luigi")
        self.folder = folder
        self.python = os.path.join(self.home, "bin", "python")
        self.problem = self.install()
        with open(os.path.join(folder, "luigi_tasks.py"), "w", encoding="utf-8") as file:
            file.write(LUIGI_TASKS)
        with open(os.path.join(folder, "luigi.cfg"), "w", encoding="utf-8") as file:
            file.write("[core]\nno_configure_logging=True\n")

    def install(self):
        """Why it cannot be used; empty when it can."""
        if subprocess.run([self.python, "-c", "import luigi"], capture_output=True).returncode == 0 \
                if os.path.exists(self.python) else False:
            return ""
        print("installing Luigi from PyPI …", file=sys.stderr)
        for words in ([sys.executable, "-m", "venv", self.home],
                      [self.python, "-m", "pip", "install", "-q", "luigi", "setuptools"]):
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode != 0:
                shutil.rmtree(self.home, ignore_errors=True)
                return (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]
        return ""

    def version(self):
        done = subprocess.run(
            [self.python, "-c", "import importlib.metadata as m; print(m.version('luigi'))"],
            capture_output=True, text=True)
        return done.stdout.strip()

    def environment(self):
        return {**os.environ, "PYTHONPATH": self.folder, "LUIGI_CONFIG_PATH": os.path.join(self.folder, "luigi.cfg")}

    def many(self, count, targets, jobs):
        return self.command("Many", jobs, "--count", str(count), "--folder", targets)

    def chain(self, count, targets):
        return self.command("Step", 1, "--number", str(count - 1), "--folder", targets, "--chained")

    def one(self, targets, command):
        return self.command("Step", 1, "--number", "0", "--folder", targets, "--command", command)

    def command(self, task, jobs, *more):
        return [self.python, "-m", "luigi", "--module", "luigi_tasks", task, "--local-scheduler", "--workers",
                str(jobs), *more]
