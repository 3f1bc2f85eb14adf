#!/usr/bin/env python3
"""Lets a training step run out of memory under a real limit, and checks what its retries do.

    memory_retry.py [--martlet PATH]

The limit is RLIMIT_DATA: first it is found out by hand how much
two rows at once take and four do not, then a workflow with eight rows at once runs under that. Its attempts must be 8x1,
4x2, 2x4, the last one Succeeded, and the log of the training that of a run that had 2x4 from the beginning, so that
nothing but the memory has changed.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "Benchmarks"), os.path.join(HERE, "..", "Soak")]

import martlet_command
from soak import VOCABULARY, write_model

ROW_TOKENS, ROWS, STEPS = 512, 32, 4
PARAMETERS = {
    "tuner_type": "full", "max_steps": STEPS, "learning_rate": 1e-3, "max_length": ROW_TOKENS, "threads": 2,
    "gradient_checkpointing": False, "force": True, "save_strategy": "no", "logging_steps": 1, "torch_dtype": "float32"}
MANIFEST = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: memory-}
spec:
  entrypoint: train
  templates:
  - name: train
    metadata: {annotations: {martlet.dev/oom: adapt}}
    retryStrategy: {limit: 1}
    sft: %s
"""


def limited(limit):
    """What a child process does first."""
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


class Check:
    def __init__(self, options):
        self.martlet = os.path.abspath(options.martlet)
        self.folder = tempfile.mkdtemp(prefix="martlet-memory-", dir="/var/tmp")
        self.model, self.rows = self.path("model"), self.path("rows.jsonl")
        os.makedirs(self.model)
        write_model(self.model, 1)
        draw = random.Random(2)
        with open(self.rows, "w", encoding="utf-8") as file:
            for _ in range(ROWS):
                ids = [draw.randrange(VOCABULARY - 1) for _ in range(ROW_TOKENS)]
                file.write(json.dumps({"input_ids": ids, "labels": ids}) + "\n")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MARTLET_")}

    def path(self, name):
        return os.path.join(self.folder, name)

    def by_hand(self, size, steps, limit, name):
        """Exit status of a training with so many rows at once."""
        output = self.path(name)
        shutil.rmtree(output, ignore_errors=True)
        words = martlet_command.training(
            self.martlet, "sft", self.model, self.rows, output, **{
                **PARAMETERS, "dataset_shuffle": True, "per_device_train_batch_size": size,
                "gradient_accumulation_steps": steps})
        done = subprocess.run(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.environment,
            preexec_fn=limited(limit) if limit else None)
        return done.returncode, done.stderr.decode()

    def least(self, size):
        """The lowest limit, to a MiB, under which so many rows at once can be computed."""
        low, high = 32, 1024
        while high - low > 1:
            middle = (low + high) // 2
            status, _ = self.by_hand(size, 8 // size, middle << 20, "probe")
            low, high = (low, middle) if status == 0 else (middle, high)
        return high << 20

    def run(self):
        two, four = self.least(2), self.least(4)
        limit = (two + four) // 2
        print(f"two rows take {two >> 20} MiB, four {four >> 20} MiB; the limit is {limit >> 20} MiB")
        assert two < limit < four, "the sizes are too near to each other"
        status, said = self.by_hand(4, 2, limit, "refused")
        print(f"by hand, four rows end with {status}: {said.strip().splitlines()[-1] if said.strip() else ''}")
        assert status == 86, status

        manifest = self.path("memory.yaml")
        step = {**PARAMETERS, "model": self.model, "dataset": self.rows, "per_device_train_batch_size": 8,
                "gradient_accumulation_steps": 1}
        with open(manifest, "w", encoding="utf-8") as file:
            file.write(MANIFEST % json.dumps(step))
        done = subprocess.run(
            [self.martlet, "run", manifest, "-o", "json", "--data-dir", self.path("data")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment, preexec_fn=limited(limit))
        run = json.loads(done.stdout) if done.stdout else {}
        nodes = run.get("status", {}).get("nodes", {}).values()
        attempts = sorted((n for n in nodes if n["type"] == "Pod"), key=lambda n: n["name"])
        for node in attempts:
            print(f"{node['displayName']}  {node['phase']}  {node.get('message', '')}")
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        assert [n["phase"] for n in attempts] == ["Failed", "Failed", "Succeeded"]
        for node, size in zip(attempts, ((4, 2), (2, 4))):
            wanted = f"per_device_train_batch_size {size[0]} and gradient_accumulation_steps {size[1]}"
            assert node["message"].endswith(wanted), node["message"]
        self.compare(attempts[-1])
        print("attempts 8x1, 4x2, 2x4, then Succeeded; the same losses as with 2x4 from the beginning")

    def compare(self, node):
        """The losses of the last attempt against those of a run by hand with its batch."""
        status, said = self.by_hand(2, 4, None, "alone")
        assert status == 0, said
        target = self.path("logs")
        found = None
        for folder, _, files in os.walk(self.path("data")):
            if "logging.jsonl" in files and "checkpoints" in folder:
                found = os.path.join(folder, "logging.jsonl")
        assert found, "the step's log is not there"
        os.makedirs(target, exist_ok=True)
        shutil.copy(found, os.path.join(target, martlet_command.LOG_NAME))
        step, alone = self.losses(target), self.losses(self.path("alone"))
        assert step == alone and len(step) == STEPS, (step, alone)

    @staticmethod
    def losses(folder):
        with open(os.path.join(folder, martlet_command.LOG_NAME), encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return [row["loss"] for row in rows if "loss" in row]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=os.path.join(HERE, "..", "..", ".build", "debug", "martlet"))
    check = Check(parser.parse_args())
    try:
        check.run()
    finally:
        shutil.rmtree(check.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
