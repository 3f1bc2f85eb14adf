#!/usr/bin/env python3
"""Kills, stops and starves a training run, goes on from its last checkpoint, and compares with a run left alone.

    training_kill.py [--martlet PATH] [--seed N] [--steps N] [--kills N] [--short] [kill|stop|disk|tmpfs]...

A small model of random weights is trained on random rows, shuffled. However often the run was broken off, the tensors
of its last checkpoint must be bit for bit those of the uninterrupted run.

kill    kill -9 at random steps, and while a checkpoint is being written; LoRA with dropout, packed rows
stop    SIGTERM, after which the run must save, end with 75, and go on from that step; all weights
disk    no file may grow any more (RLIMIT_FSIZE) when the next checkpoint is due: the run must end with 1 and say why,
        and the checkpoint before must stay as it was
tmpfs   the same on a file system that is full (needs root)

A failure prints the seed; the same seed chooses the same steps.
"""

import argparse
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "Benchmarks"), os.path.join(HERE, "..", "Soak")]

import martlet_command
from soak import VOCABULARY, write_model

SAVED = 75
# Nothing here may take longer without a step being logged; then the test gives up.
PATIENCE_SECONDS = 120
SAVE_STEPS, KEPT = 4, 2
# Less than a checkpoint's weights take, more than the logs of the run.
FILE_LIMIT = 192 << 10
TMPFS_KIBIBYTES = 64 << 10
# What the kernel says for a full file system, a full quota and a file that may not grow.
CAUSES = re.compile(r"no space left|file too large|quota|disk is full|EFBIG|ENOSPC", re.IGNORECASE)

PLAIN = {
    "dataset_shuffle": True, "seed": 7, "data_seed": 11, "torch_dtype": "float32", "max_length": 128,
    "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "num_train_epochs": None,
    "save_strategy": "steps", "save_steps": SAVE_STEPS, "save_total_limit": KEPT, "learning_rate": 1e-3,
    "warmup_ratio": 0.1, "lr_scheduler_type": "cosine"}
LORA = {**PLAIN, **martlet_command.lora(dropout=0.1), "packing": True, "packing_length": 128}
FULL = {**PLAIN, "tuner_type": "full"}


class Failure(Exception):
    pass


class Material:
    """The model and the rows that all runs share, and the tensors of runs that were left alone."""

    def __init__(self, options, seed):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="martlet-training-faults-", dir="/var/tmp")
        self.model = os.path.join(self.folder, "model")
        self.rows = os.path.join(self.folder, "rows.jsonl")
        self.alone = {}
        os.makedirs(self.model)
        write_model(self.model, seed)
        draw = random.Random(f"{seed} rows")
        with open(self.rows, "w", encoding="utf-8") as file:
            for _ in range(200):
                ids = [draw.randrange(VOCABULARY - 1) for _ in range(draw.randint(20, 110))]
                file.write(json.dumps({"input_ids": ids, "labels": ids}) + "\n")

    def uninterrupted(self, parameters):
        """The tensors that a run with these parameters ends with when nobody disturbs it."""
        key = json.dumps(parameters, sort_keys=True)
        if key not in self.alone:
            training = Training(self, f"alone-{len(self.alone)}", parameters)
            training.start()
            training.finish()
            self.alone[key] = training.result()
        return self.alone[key]

    def clean_up(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Training:
    """One run, with the process that is at work on it now; each start has a log of steps of its own."""

    def __init__(self, material, name, parameters, place=None):
        self.material, self.parameters, self.steps = material, parameters, material.options.steps
        self.folder = os.path.join(material.folder, name)
        self.output = place or os.path.join(self.folder, "output")
        self.messages = os.path.join(self.folder, "messages")
        self.starts = 0
        self.process = self.log = None
        os.makedirs(self.folder)

    def start(self):
        """Starts from the newest checkpoint, or anew where there is none yet."""
        newest = martlet_command.last_checkpoint(self.output)
        self.starts += 1
        self.log = os.path.join(self.folder, f"log-{self.starts}.jsonl")
        words = martlet_command.training(
            self.material.options.martlet, "sft", self.material.model, self.material.rows, self.output, **{
                **self.parameters, "max_steps": self.steps, "log_json": self.log,
                "resume_from_checkpoint": newest[1] if newest else None})
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MARTLET_")}
        with open(self.messages, "ab") as err:
            # Python ignores SIGXFSZ, and so shall the run: what counts is what it does about a write that fails.
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=environment,
                restore_signals=False)
        return newest[0] if newest else 0

    def running(self):
        return self.process.poll() is None

    def step(self):
        """How many steps are done, by this start's log, where the first one has number 0."""
        try:
            with open(self.log, "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 4096))
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return 0
        return json.loads(lines[-1])["step"] + 1 if lines else 0

    def wait_until(self, is_reached):
        """Returns when it is so or the process has ended."""
        last, since = -1, time.monotonic()
        while self.running() and not is_reached():
            step, now = self.step(), time.monotonic()
            if step != last:
                last, since = step, now
            elif now - since > PATIENCE_SECONDS:
                raise Failure(f"no step was logged for {PATIENCE_SECONDS} s after step {step} of {self.steps}")
            time.sleep(0.0005)

    def entries(self):
        return set(os.listdir(self.output)) if os.path.isdir(self.output) else set()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self):
        """Its exit status."""
        self.wait_until(lambda: False)
        return self.process.wait()

    def finish(self):
        status = self.wait()
        if status != 0:
            raise Failure(f"start {self.starts} ended with {status}: {self.last_words()}")

    def last_words(self):
        with open(self.messages, encoding="utf-8", errors="replace") as file:
            return " | ".join(file.read().strip().splitlines()[-4:])

    def result(self):
        """The tensors of the last checkpoint."""
        newest = martlet_command.last_checkpoint(self.output)
        if not newest or newest[0] != self.steps:
            raise Failure(f"the last checkpoint is {newest and newest[0]}, not {self.steps}")
        count = len(martlet_command.checkpoints(self.output))
        if count > KEPT:
            raise Failure(f"{count} checkpoints are left, although {KEPT} are to be kept")
        return tensors(newest[1])

    def check(self):
        """What must hold at the end."""
        expected, found = self.material.uninterrupted(self.parameters), self.result()
        if expected.keys() != found.keys():
            raise Failure(f"other tensors: {sorted(expected.keys() ^ found.keys())[:4]}")
        wrong = [name for name in expected if expected[name] != found[name]]
        if wrong:
            raise Failure(f"{len(wrong)} of {len(expected)} tensors differ from the uninterrupted run's: {wrong[:4]}")

    def clean_up(self):
        if self.process and self.running():
            self.kill()


def tensors(folder):
    """Type, shape and a digest of each tensor of the safetensors files of a folder."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".safetensors"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            body = file.read()
        header.pop("__metadata__", None)
        for tensor, entry in header.items():
            begin, end = entry["data_offsets"]
            found[f"{name}: {tensor}"] = (
                entry["dtype"], entry["shape"], hashlib.sha256(body[begin:end]).hexdigest())
    if not found:
        raise Failure(f"{folder} has no tensors")
    return found


def digests(folder):
    """What all files of a folder are, so that a change of any is seen."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                found[os.path.relpath(os.path.join(root, name), folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def kill(material, draw):
    """Two of three kills come a moment after a step, the others when something new appears in the output directory:
    then a checkpoint is being written, or has just got its name."""
    training = Training(material, "killed", LORA)
    moments = sorted(draw.randint(1, training.steps - 1) for _ in range(material.options.kills))
    made, again = [], 0
    try:
        training.start()
        for step in moments:
            training.wait_until(lambda: training.step() >= step)
            if draw.random() < 1 / 3:
                known = training.entries()
                training.wait_until(lambda: training.entries() - known)
            time.sleep(draw.uniform(0, 0.008))
            if not training.running():
                break
            training.kill()
            made.append(training.step() or step)
            again += made[-1] - training.start()
        training.finish()
        training.check()
        if len(made) < material.options.kills:
            print(f"kill: only {len(made)} of {material.options.kills} kills came before the end")
        return f"{len(made)} kills at steps {made}, {again} steps done again"
    finally:
        training.clean_up()


def stop(material, draw):
    """SIGTERM at random steps."""
    training = Training(material, "stopped", FULL)
    moments = sorted(draw.sample(range(1, training.steps - 1), 2 if material.options.short else 5))
    seconds, saved = [], []
    try:
        training.start()
        for step in moments:
            training.wait_until(lambda: training.step() >= step)
            seen, began = training.step(), time.monotonic()
            training.process.send_signal(signal.SIGTERM)
            status = training.wait()
            if status == 0 and training.step() == training.steps:
                break
            seconds.append(time.monotonic() - began)
            if status != SAVED:
                raise Failure(f"after SIGTERM at step {seen} it ended with {status}: {training.last_words()}")
            saved.append(training.start())
            if saved[-1] < seen:
                raise Failure(f"after SIGTERM at step {seen} the last checkpoint is that of step {saved[-1]}")
        training.finish()
        training.check()
        return f"saved at steps {saved}, within {max(seconds, default=0):.2f} s"
    finally:
        training.clean_up()


def starve(training, draw, take, give):
    """Lets no checkpoint be written any more from some step on, then sees what is left and goes on from it."""
    step = draw.randint(2 * SAVE_STEPS, training.steps // 2)
    training.start()
    training.wait_until(lambda: training.step() >= step)
    # Held still, so that no checkpoint comes between what is read here and what is taken away.
    training.process.send_signal(signal.SIGSTOP)
    newest = martlet_command.last_checkpoint(training.output)
    if not newest:
        raise Failure(f"no checkpoint is there after step {step}")
    before = digests(newest[1])
    take()
    training.process.send_signal(signal.SIGCONT)
    status = training.wait()
    said = training.last_words()
    if status != 1:
        raise Failure(f"it could not write a checkpoint and ended with {status}, not 1: {said}")
    if not CAUSES.search(said) or training.output not in said:
        raise Failure(f"it does not say which file it could not write, and why: {said!r}")
    after = martlet_command.last_checkpoint(training.output)
    if after != newest:
        raise Failure(f"the newest checkpoint was {newest[1]}, and is now {after and after[1]}")
    if digests(newest[1]) != before:
        raise Failure(f"{newest[1]} has changed")
    give()
    training.start()
    training.finish()
    training.check()
    return f"no room after step {step}, went on from {newest[0]}; it said: {said.splitlines()[-1][-160:]}"


def disk(material, draw):
    training = Training(material, "starved", FULL)
    try:
        def take():
            _, most = resource.prlimit(training.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(training.process.pid, resource.RLIMIT_FSIZE, (FILE_LIMIT, most))

        return starve(training, draw, take, lambda: None)
    finally:
        training.clean_up()


def tmpfs(material, draw):
    mount = tempfile.mkdtemp(prefix="martlet-full-")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_KIBIBYTES}k", "tmpfs", mount], capture_output=True, text=True)
    if mounted.returncode != 0:
        os.rmdir(mount)
        print(f"tmpfs: skipped: a tmpfs cannot be mounted here ({mounted.stderr.strip()}); it needs root")
        return None
    training = Training(material, "full", FULL, place=os.path.join(mount, "output"))
    filler = os.path.join(mount, "filler")
    try:
        return starve(training, draw, lambda: fill(filler), lambda: os.unlink(filler))
    finally:
        training.clean_up()
        subprocess.run(["umount", "-l", mount], check=False)
        os.rmdir(mount)


def fill(path):
    """Writes until nothing goes in any more."""
    with open(path, "ab", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2


VARIANTS = {"kill": kill, "stop": stop, "disk": disk, "tmpfs": tmpfs}


def main():
    parser = argparse.ArgumentParser(description="Kills, stops and starves training runs.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"{', '.join(VARIANTS)}; default: all")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--steps", type=int, help="default 300, in the short form 60")
    parser.add_argument("--kills", type=int, help="default 20, in the short form 4")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    unknown = [v for v in options.variants if v not in VARIANTS]
    if unknown:
        parser.error(f"no variant is named {unknown[0]}; there are {', '.join(VARIANTS)}")
    if os.sep in options.martlet:
        options.martlet = os.path.abspath(options.martlet)
    options.steps = options.steps or (60 if options.short else 300)
    options.kills = options.kills or (4 if options.short else 20)
    if options.steps < 4 * SAVE_STEPS:
        parser.error(f"--steps must be at least {4 * SAVE_STEPS}")
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    failed = 0
    material = Material(options, seed)
    try:
        for variant in options.variants or VARIANTS:
            print(f"{variant}: seed {seed}, {options.steps} steps", flush=True)
            began = time.monotonic()
            try:
                told = VARIANTS[variant](material, random.Random(f"{seed}/{variant}"))
                if told:
                    print(f"{variant}: ok: {told}; {time.monotonic() - began:.1f} s", flush=True)
            except Failure as failure:
                failed += 1
                print(f"{variant}: FAILED (seed {seed}): {failure}", flush=True)
    finally:
        material.clean_up()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
