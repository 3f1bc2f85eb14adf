"""What the machine can do at most, by a C program that is compiled for the processor it runs on."""

import json
import os
import subprocess
import sys

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "machine_limits.c")


class MachineLimits:
    """Read bandwidth in GB/s, arithmetic in G operations/s by type; 0 where the processor lacks instructions."""

    def __init__(self, folder, threads):
        self.threads = threads
        self.program = os.path.join(folder, "machine_limits")
        self.taken = []
        os.makedirs(folder, exist_ok=True)
        built = subprocess.run(
            [os.environ.get("CC", "cc"), "-O3", "-march=native", "-pthread", SOURCE, "-o", self.program],
            capture_output=True, text=True)
        if built.returncode != 0:
            sys.exit(f"{SOURCE} cannot be compiled: {built.stderr.strip()}")

    def take(self):
        """Measures once more; a line to print."""
        done = subprocess.run([self.program, str(self.threads)], capture_output=True, text=True, check=True)
        self.taken.append(json.loads(done.stdout))
        now = self.taken[-1]
        return (f"machine: {now['read']:.1f} GB/s read; fp32 {now['fp32']:.0f}, bf16 {now['bf16']:.0f}, "
                f"int8 {now['int8']:.0f} G operations/s")

    def best(self, kind):
        """The best of all rounds: a limit is what the machine can do when nothing disturbs it."""
        return max(limits[kind] for limits in self.taken)
