"""What all benchmarks need: running a command with its CPU time and memory, probes of the machine, medians, verdicts."""

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes processes that outlive their parent ours, so that their CPU time is counted, too."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Measured:
    """Wall seconds, CPU seconds of the whole tree, peak resident bytes of the largest process, status, outputs."""

    def __init__(self, status, wall, cpu, peak_bytes, out, err):
        self.status, self.wall, self.cpu, self.peak_bytes, self.out, self.err = status, wall, cpu, peak_bytes, out, err


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(words, cwd=None, environment=None, limit=900, expected=0):
    """Runs a command to its end, and its orphans, too. Ends the program when the exit status is not the expected."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        before, began = children_cpu(), time.monotonic()
        process = subprocess.Popen(
            words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        killed = False
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if not killed and time.monotonic() - began > limit:
                process.kill()
                killed = True
            time.sleep(0.0005)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        reap(5)
        out.seek(0)
        err.seek(0)
        done = Measured(
            process.returncode, wall, children_cpu() - before, usage.ru_maxrss * 1024,
            out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace"))
    if expected is not None and done.status != expected:
        shown = " | ".join((done.err.strip() or done.out.strip()).splitlines()[-5:])
        sys.exit(f"{' '.join(words[:6])} … ended with {done.status} after {wall:.1f} s: {shown}")
    return done


def reap(patience):
    """Waits for adopted processes to end, for some seconds at most."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
        except ChildProcessError:
            return


def probe(folder, seconds=0.25):
    """How many fsyncs and how many starts of `true` this machine does a second, just now."""
    path = os.path.join(folder, "probe")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    count, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        os.pwrite(descriptor, b"x" * 4096, 4096 * (count % 64))
        os.fdatasync(descriptor)
        count += 1
    syncs = count / (time.monotonic() - began)
    os.close(descriptor)
    os.unlink(path)
    count, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        count += 1
    return f"probe: {syncs:.0f} fsync/s, {count / (time.monotonic() - began):.0f} spawn/s"


def middle(values):
    return statistics.median(values)


def spread(values, form="{:.0f}"):
    """The median with the least and the most: `350 (340-361)`."""
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(middle(values))} ({form.format(min(values))}-{form.format(max(values))})"


class Verdicts:
    """Figures beside their targets; remembers whether any falls short."""

    def __init__(self):
        self.short = []

    def say(self, what, value, unit, target, at_least, form="{:.2f}", is_goal=False):
        """A goal is wished for; only a target that is missed counts as short."""
        good = value >= target if at_least else value <= target
        bound = "at least" if at_least else "at most"
        word = "ok" if good else "not yet" if is_goal else "SHORT"
        print(f"  {what}: {form.format(value)} {unit}, {'goal' if is_goal else 'target'} {bound} {target:g} {unit}: {word}")
        if not good and not is_goal:
            self.short.append(what)
        sys.stdout.flush()

    def finish(self):
        print(f"short of their target: {', '.join(self.short)}" if self.short else "all targets are met")
        return 1 if self.short else 0


def machine():
    """One line about where the figures come from."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/loadavg", encoding="utf-8") as file:
        load = file.read().split()[0]
    return f"machine: {len(os.sched_getaffinity(0))} cores of {model}, Linux {os.uname().release}, load {load}"


def martlet_version(path):
    done = run([path, "--version"], limit=30)
    return done.out.strip()
