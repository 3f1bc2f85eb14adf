#!/usr/bin/env python3
"""How fast Martlet trains, beside PyTorch with PEFT and TRL on the same weights, rows, precision and threads.

    training.py [--martlet PATH] [--threads N] [--rounds N] [--short] [--only NAME]...

Both are watched from outside, as processes: a line of the log a step. They take turns, in turned order each round;
figures are medians with least and most in brackets. Gradient checkpointing is off, and DPO computes the reference's
log-probabilities in the run, on both sides. What is measured, by name:

- lora-0.5b, lora-25m, full-25m: SFT in bf16 and fp32, of 512 tokens a row, random weights of a known shape;
- dpo-0.5b, dpo-25m: DPO of LoRA in bf16, beside TRL's trainer;
- packing: rows of natural lengths, packed and padded; checkpointing: what gradient checkpointing saves and costs;
  threads: one thread and all. These three without a peer.

The exit status is 1 if a figure falls short of its target.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import inference_peers
import martlet_command
import training_peers
from inference import OtherProcesses
from machine_limits import MachineLimits
from measure import Verdicts, machine, martlet_version, middle, spread
from training_runs import watch
from training_work import Rows, natural_lengths, operations

LENGTH = 512
LEARNING_RATE = 1e-4
DTYPES = {"bf16": "bfloat16", "fp32": "float32"}
TARGETS = {"bf16": 1.35, "fp32": 1.2, "dpo": 1.8}
MEMORY_TARGET, START_TARGET, PACKING_TARGET = 0.6, 1.0, 1.6
GOAL_SHARE, GOAL_THREADS = 0.85, 1.8
# A first loss of the same weights on the same rows may differ by rounding alone.
LOSS_TOLERANCE = {"bf16": 0.01, "fp32": 0.001}


class Case:
    """Something to train: the model's shape, what is trained of it, the micro batch, and the steps of a run."""

    def __init__(self, shape, kind, precisions, batch, steps, skipped):
        self.shape, self.kind, self.precisions, self.batch = shape, kind, precisions, batch
        self.steps, self.skipped = steps, skipped

    @property
    def is_dpo(self):
        return self.kind == "dpo"

    def tokens(self):
        """Of a step: a pair is two sequences of 512 tokens, although what they begin with is the same."""
        return self.batch * LENGTH * (2 if self.is_dpo else 1)

    def tuner(self):
        return {"tuner_type": "full"} if self.kind == "full" else martlet_command.lora()


CASES = {
    "lora-0.5b": Case("qwen2.5-0.5b", "lora", ["bf16", "fp32"], 1, 5, 2),
    "lora-25m": Case("25m", "lora", ["bf16", "fp32"], 4, 10, 3),
    "full-25m": Case("25m", "full", ["bf16", "fp32"], 4, 10, 3),
    "dpo-0.5b": Case("qwen2.5-0.5b", "dpo", ["bf16"], 1, 4, 1),
    "dpo-25m": Case("25m", "dpo", ["bf16"], 4, 8, 2),
}
OWN = ("packing", "checkpointing", "threads")


class Bench:
    def __init__(self, options, peer):
        self.options, self.peer = options, peer
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.verdicts = Verdicts()
        self.limits = MachineLimits(inference_peers.cache(), options.threads)
        self.folder = tempfile.mkdtemp(prefix="martlet-training-", dir=options.folder)
        self.models = {}
        self.runs = 0

    def model(self, name):
        """(directory, shape) of random weights, made if this machine has them not yet."""
        if name not in self.models:
            path = inference_peers.cache("models", f"{name}-seed0")
            maker = [self.peer.python, os.path.join(inference_peers.HERE, "random_model.py"), "--shape", name]
            subprocess.run([*maker, "--output_dir", path], check=True)
            described = subprocess.run([*maker, "--describe"], check=True, capture_output=True, text=True).stdout
            self.models[name] = path, json.loads(described)
        return self.models[name]

    def path(self, name):
        return os.path.join(self.folder, name)

    def steps(self, case):
        return case.skipped + 2 if self.options.short else case.steps

    # One run

    def ours(self, verb, model, rows, steps, **parameters):
        """A run of martlet's, whose output is thrown away; without a number of steps, once over the rows."""
        self.runs += 1
        output, log = self.path(f"output-{self.runs}"), self.path(f"log-{self.runs}.jsonl")
        words = martlet_command.training(self.martlet, verb, model, rows, output, **{
            "threads": self.options.threads, "learning_rate": LEARNING_RATE, "log_json": log, "max_steps": steps,
            "num_train_epochs": 1 if steps is None else None, "torch_dtype": DTYPES["bf16"], "save_only_model": True,
            **parameters})
        try:
            return watch(words, log, steps)
        finally:
            shutil.rmtree(output, ignore_errors=True)

    def martlet_run(self, case, precision, rows, steps):
        method = {"rlhf_type": "dpo", "beta": 0.1, "precompute_ref_log_probs": False} if case.is_dpo else {}
        return self.ours(
            "rlhf" if case.is_dpo else "sft", self.model(case.shape)[0], rows, steps, max_length=2 * LENGTH,
            per_device_train_batch_size=case.batch, torch_dtype=DTYPES[precision], **case.tuner(), **method)

    def peer_run(self, case, precision, rows, steps):
        log = self.path("peer.jsonl")
        words = training_peers.worker(
            self.peer, model=self.model(case.shape)[0], rows=rows, kind=case.kind, precision=precision,
            batch=case.batch, steps=steps, threads=self.options.threads, learning_rate=LEARNING_RATE, log=log,
            output_dir=self.path("peer"))
        return watch(words, log, steps, training_peers.surroundings(self.options.threads))

    # Beside the peer

    def compare(self, name):
        case = CASES[name]
        shape, steps = self.model(case.shape)[1], self.steps(case)
        rows = self.path(f"{name}.jsonl")
        if case.is_dpo:
            Rows(shape).pairs(rows, steps * case.batch, LENGTH // 2, LENGTH // 2)
        else:
            Rows(shape).sequences(rows, [LENGTH] * (steps * case.batch))
        for precision in case.precisions:
            title = f"{name} in {precision}"
            print(f"\n{title}: micro batch {case.batch} of {LENGTH} tokens{' twice' if case.is_dpo else ''}, "
                  f"{steps} steps, {self.options.threads} threads")
            runs = self.rounds({
                "pytorch": lambda: self.peer_run(case, precision, rows, steps),
                "martlet": lambda: self.martlet_run(case, precision, rows, steps)})
            self.judge(case, title, precision, runs, shape)

    def rounds(self, contenders):
        """Lets all take turns; returns the runs by name."""
        runs = {name: [] for name in contenders}
        others = OtherProcesses([])
        for number in range(self.options.rounds):
            print(f"  {self.limits.take()}")
            order = list(contenders)
            for name in order if number % 2 == 0 else reversed(order):
                runs[name].append(contenders[name]())
        share = others.share()
        print(f"  others took {share:.1%} of the processor meanwhile"
              + (": the ratios say little" if share > 0.03 else ""))
        sys.stdout.flush()
        return runs

    def judge(self, case, title, precision, runs, shape):
        rates, peaks, starts = {}, {}, {}
        for name, ended in runs.items():
            rates[name] = [run.rate(case.tokens(), case.skipped) for run in ended]
            peaks[name] = [run.peak_bytes / 1e6 for run in ended]
            starts[name] = [run.start_seconds() for run in ended]
            firsts = [run.first_step_seconds() for run in ended]
            print(f"  {name:8} {spread(rates[name], '{:.1f}')} tokens/s, peak {spread(peaks[name])} MB, start to first "
                  f"step {spread(starts[name], '{:.2f}')} s, that step {spread(firsts, '{:.2f}')} s, first loss "
                  f"{ended[0].lines[0]['loss']:.5f}")
        say = self.verdicts.say
        peer = "TRL's" if case.is_dpo else "PyTorch's"
        say(f"tokens/s of {title} over {peer}", middle(rates["martlet"]) / middle(rates["pytorch"]), "x",
            TARGETS["dpo" if case.is_dpo else precision], at_least=True)
        say(f"peak memory of {title} over {peer}", middle(peaks["martlet"]) / middle(peaks["pytorch"]), "x",
            MEMORY_TARGET, at_least=False)
        say(f"start to first step of {title}", middle(starts["martlet"]), "s", START_TARGET, at_least=False)
        first = [runs[name][0].lines[0]["loss"] for name in ("martlet", "pytorch")]
        say(f"first loss of {title} beside {peer}, difference", abs(first[0] / first[1] - 1), "",
            LOSS_TOLERANCE[precision], at_least=False, form="{:.5f}")
        peak = self.limits.best(precision)
        if peak and not case.is_dpo:
            each = operations(shape, LENGTH, case.kind == "lora") / LENGTH
            limit = peak * 1e9 / each
            say(f"tokens/s of {title} over the {precision} limit of {limit:.0f}", middle(rates["martlet"]) / limit,
                "x", GOAL_SHARE, at_least=True, is_goal=True)

    # Without a peer

    def packing(self):
        """The same rows three ways. Padding is in the rows themselves, so that it is computed whatever martlet does
        with rows of different lengths."""
        batch, longest = 8, 1024
        model, shape = self.model("25m")
        lengths = natural_lengths(8 * (6 if self.options.short else 24), longest)
        files = {name: self.path(f"{name}.jsonl") for name in ("plain", "padded")}
        Rows(shape).sequences(files["plain"], lengths)
        Rows(shape).padded(files["padded"], lengths, batch)
        print(f"\npacking: {len(lengths)} rows of {min(lengths)} to {max(lengths)} tokens, {sum(lengths)} in all")
        ways = {
            "padded": (files["padded"], {"per_device_train_batch_size": batch}),
            "as they are": (files["plain"], {"per_device_train_batch_size": batch}),
            "packed": (files["plain"], {
                "packing": True, "packing_length": longest, "per_device_train_batch_size": 1}),
        }

        def way(name):
            rows, parameters = ways[name]
            return lambda: self.ours(
                "sft", model, rows, None, max_length=longest, group_by_length=False, tuner_type="full",
                **parameters)

        runs = self.rounds({name: way(name) for name in ways})
        rates = {}
        for name, ended in runs.items():
            # The first step is left out, with its share of the tokens; steps are taken to be alike.
            steps = len(ended[0].moments)
            rates[name] = [sum(lengths) * (steps - 1) / steps / run.steady_seconds(1) for run in ended]
            print(f"  {name:12} {spread(rates[name], '{:.1f}')} real tokens/s, {steps} steps")
        self.verdicts.say("real tokens/s packed over padded", middle(rates["packed"]) / middle(rates["padded"]), "x",
                          PACKING_TARGET, at_least=True)

    def checkpointing(self):
        for name in ("full-25m",) if self.options.short else ("full-25m", "lora-0.5b"):
            case = CASES[name]
            steps, rows = self.steps(case), self.path("checkpointing.jsonl")
            model, shape = self.model(case.shape)
            Rows(shape).sequences(rows, [LENGTH] * (steps * case.batch))
            print(f"\ngradient checkpointing, {name} in bf16")
            runs = self.rounds({
                word: lambda is_on=is_on: self.ours(
                    "sft", model, rows, steps, max_length=LENGTH, per_device_train_batch_size=case.batch,
                    gradient_checkpointing=is_on, **case.tuner())
                for word, is_on in (("off", False), ("on", True))})
            seconds = {w: [r.steady_seconds(case.skipped) / (steps - case.skipped) for r in runs[w]] for w in runs}
            peaks = {word: [run.peak_bytes / 1e6 for run in runs[word]] for word in runs}
            for word in runs:
                print(f"  {word:3} {spread(seconds[word], '{:.3f}')} s a step, peak {spread(peaks[word])} MB")
            self.verdicts.say(f"peak memory of {name} with checkpointing over without",
                              middle(peaks["on"]) / middle(peaks["off"]), "x", 1, at_least=False, is_goal=True)
            # Forward a second time makes four parts of three.
            self.verdicts.say(f"time of {name} with checkpointing over without",
                              middle(seconds["on"]) / middle(seconds["off"]), "x", 4 / 3 + 0.05, at_least=False,
                              is_goal=True)

    def threads(self):
        case = CASES["full-25m"]
        steps, rows = self.steps(case), self.path("threads.jsonl")
        model, shape = self.model(case.shape)
        Rows(shape).sequences(rows, [LENGTH] * (steps * case.batch))
        print("\nthreads, full-25m")
        for precision, dtype in DTYPES.items():
            runs = self.rounds({
                str(count): lambda count=count: self.ours(
                    "sft", model, rows, steps, max_length=LENGTH, per_device_train_batch_size=case.batch,
                    torch_dtype=dtype, threads=count, **case.tuner())
                for count in sorted({1, self.options.threads})})
            rates = {count: [run.rate(case.tokens(), case.skipped) for run in runs[count]] for count in runs}
            for count in rates:
                print(f"  {precision}, {count} threads: {spread(rates[count], '{:.1f}')} tokens/s")
            if self.options.threads > 1:
                ratio = middle(rates[str(self.options.threads)]) / middle(rates["1"])
                goal = GOAL_THREADS ** math.log2(self.options.threads)
                self.verdicts.say(f"{precision} with {self.options.threads} threads over one", ratio, "x",
                                  round(goal, 2), at_least=True, is_goal=True)


def main():
    cores = len(os.sched_getaffinity(0))
    names = (*CASES, *OWN)
    parser = argparse.ArgumentParser(description="Measures training beside PyTorch, PEFT and TRL.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--threads", type=int, default=min(2, cores))
    parser.add_argument("--rounds", type=int, default=None, help="default: 3; 1 with --short")
    parser.add_argument("--only", action="append", metavar="NAME", default=[], help=f"{', '.join(names)}")
    parser.add_argument("--folder", default=os.environ.get("MARTLET_BENCH_DIR", "/var/tmp"), help="on the disk to use")
    parser.add_argument("--short", action="store_true", help="one round and few steps, to see that it works")
    options = parser.parse_args()
    unknown = [name for name in options.only if name not in names]
    if unknown:
        parser.error(f"nothing is named {unknown[0]}; there are {', '.join(names)}")
    options.rounds = options.rounds or (1 if options.short else 3)
    peer = training_peers.TrainingEnvironment()
    problem = peer.install()
    if problem:
        sys.exit(f"PyTorch with PEFT and TRL cannot be installed, and without a peer there is no ratio: {problem}")
    bench = Bench(options, peer)
    try:
        print(machine())
        print(f"martlet {martlet_version(bench.martlet)}, {peer.versions()}, {options.rounds} rounds")
        for name in options.only or names:
            bench.compare(name) if name in CASES else getattr(bench, name)()
        print()
        return bench.verdicts.finish()
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
