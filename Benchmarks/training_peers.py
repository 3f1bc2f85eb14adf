"""PyTorch with PEFT and TRL: the environment of the inference benchmark's transformers, with what training adds."""

import json
import os
import subprocess
import sys

import inference_peers

MODULES = ["torch", "transformers", "peft", "trl", "datasets", "accelerate", "safetensors"]
ADDED = ["peft", "trl", "datasets", "accelerate", "safetensors"]
WORKER = os.path.join(inference_peers.HERE, "training_worker.py")


class TrainingEnvironment(inference_peers.PythonEnvironment):
    """Packages that are added to an environment that is there, or is made first."""

    def __init__(self):
        self.first = inference_peers.transformers()
        super().__init__(self.first.name, MODULES, ADDED, {})

    def install(self):
        """Why it cannot be used; empty when it can."""
        if self.works():
            return ""
        problem = self.first.install()
        if problem:
            return problem
        print(f"adding {', '.join(ADDED)} from PyPI (some minutes, once) …", file=sys.stderr)
        done = subprocess.run(
            [self.python, "-m", "pip", "install", "-q", *ADDED], capture_output=True, text=True)
        if done.returncode != 0:
            return (done.stderr.strip() or "no word why").splitlines()[-1]
        return "" if self.works() else f"its modules cannot be imported; delete {self.home} and try again"

    def versions(self):
        return ", ".join(f"{name} {self.version(name)}" for name in ("torch", "transformers", "peft", "trl"))


def worker(environment, **job):
    """The command line of one training run of the peer."""
    return [environment.python, WORKER, json.dumps(job)]


def surroundings(threads):
    """Environment variables that hold the peer to so many threads and away from the network."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false"}
