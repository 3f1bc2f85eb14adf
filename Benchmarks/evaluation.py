#!/usr/bin/env python3
"""How fast Martlet evaluates multiple choice with five examples, beside lm-evaluation-harness on transformers.

    evaluation.py [--martlet PATH] [--threads N] [--rounds N] [--short]

The model has the shape of Qwen2.5-0.5B (25m with --short) and random weights, made once; questions are made up, in the
form of MMLU, and both programs ask them with the same prompts. They take turns; what is compared is the time in which
all choices are rated, the model being loaded. Figures are medians with least and most in brackets. That both find the
same is looked at, too: the weights are bf16, so that sums agree to some hundredths of what they are.

The exit status is 1 if the rate falls short of its target.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import inference_peers
import martlet_command
from evaluation_data import Questions
from measure import Verdicts, machine, martlet_version, middle, run, spread

TARGET = 3
SHOTS = 5


class Bench:
    def __init__(self, options, peer, model, folder):
        self.options, self.peer, self.model, self.folder = options, peer, model, folder
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.questions = Questions(options.seed, 2, options.questions // 2, SHOTS)
        self.questions.write_mmlu(self.path("mmlu"))
        names = self.questions.write_lm_eval(self.path("tasks"))
        self.tasks = [name for name in names if name.startswith("mmlu_")]
        self.count = 2 * (options.questions // 2)
        self.turn = 0

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def ours(self):
        """(seconds that rating took, seconds of the whole process, accuracy, sums by subject and question)."""
        self.turn += 1
        output = self.path(f"ours-{self.turn}")
        done = run(martlet_command.words(
            self.martlet, "evaluate", model=self.model, eval_dataset="mmlu", dataset=self.path("mmlu"),
            num_fewshot=SHOTS, threads=self.options.threads, output_dir=output), limit=3600)
        with open(os.path.join(output, "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        if report["n"] != self.count:
            sys.exit(f"martlet judged {report['n']} questions, not {self.count}")
        sums = {}
        with open(os.path.join(output, "predictions.jsonl"), encoding="utf-8") as file:
            for line in map(json.loads, file):
                sums[line["id"]] = line["outcome"]["loglikelihoods"]
        return report["duration_s"], done.wall, report["metrics"]["acc"]["value"], sums

    def theirs(self):
        job = {"model": "hf", "model_args": {"pretrained": self.model, "device": "cpu", "dtype": "auto"},
               "tasks": self.tasks, "include": self.path("tasks"), "batch_size": self.options.batch_size,
               "threads": self.options.threads}
        environment = {
            **os.environ, "OMP_NUM_THREADS": str(self.options.threads), "HF_HOME": self.path("hub")}
        done = run([self.peer.python, os.path.join(HERE, "evaluation_worker.py"), json.dumps(job)],
                   environment=environment, limit=7200)
        answer = json.loads(done.out.strip().splitlines()[-1])
        sums = {f"{task.removeprefix('mmlu_')}/{number}": values
                for task, found in answer["sums"].items() for number, values in found.items()}
        accuracy = sum(answer["results"][task]["acc"] for task in self.tasks) / len(self.tasks)
        return answer["seconds"], done.wall, accuracy, sums, answer["about"]

    def measure(self, verdicts):
        rates = {"lm-eval": [], "martlet": []}
        walls = {"lm-eval": [], "martlet": []}
        for number in range(self.options.rounds):
            ours = self.ours()
            theirs = self.theirs()
            if number == 0:
                print(f"  {theirs[4]}")
                self.compare(ours, theirs)
            for name, turn in (("martlet", ours), ("lm-eval", theirs)):
                rates[name].append(self.count / turn[0])
                walls[name].append(turn[1])
        for name in rates:
            print(f"  {name}: {spread(rates[name], '{:.2f}')} questions/s, "
                  f"whole process {spread(walls[name], '{:.1f}')} s")
        verdicts.say(
            f"multiple choice with {SHOTS} examples over lm-eval's",
            middle(rates["martlet"]) / middle(rates["lm-eval"]), "x", TARGET, at_least=True)

    def compare(self, ours, theirs):
        """Says how near the sums are; bf16 in two programs rounds differently."""
        missing = set(theirs[3]) - set(ours[3])
        if missing or len(ours[3]) != len(theirs[3]):
            sys.exit(f"the programs rated different questions, such as {sorted(missing)[:3]}")
        worst = max(abs(a - b) / abs(b) for key, values in theirs[3].items() for a, b in zip(ours[3][key], values))
        print(f"  accuracy {ours[2]:.4f}, lm-eval {theirs[2]:.4f}; sums differ by at most {worst:.1%}")


def prepare(options):
    """The peer and the model, both made if this machine has them not yet."""
    peer = inference_peers.lm_eval()
    problem = peer.install()
    if problem:
        sys.exit(f"lm-eval cannot be installed, and without a peer there is no ratio: {problem}")
    model = inference_peers.cache("models", f"{options.shape}-seed{options.seed}")
    maker = [peer.python, os.path.join(HERE, "random_model.py"), "--shape", options.shape, "--output_dir", model]
    subprocess.run([*maker, "--seed", str(options.seed)], check=True)
    return peer, model


def main():
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="Measures multiple-choice evaluation beside lm-eval.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--threads", type=int, default=min(2, cores))
    parser.add_argument("--rounds", type=int, default=None, help="default: 3; 1 with --short")
    parser.add_argument("--shape", help="as random_model.py knows it; default: qwen2.5-0.5b; 25m with --short")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--batch_size", "--batch-size", type=int, default=8, help="of lm-eval")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a small model and one round, to see that it works")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.short else 3)
    options.shape = options.shape or ("25m" if options.short else "qwen2.5-0.5b")
    if options.questions < 2:
        parser.error("--questions must be at least 2")
    peer, model = prepare(options)
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory(prefix="martlet-evaluation-") as folder:
        bench = Bench(options, peer, model, folder)
        print(machine())
        print(f"martlet {martlet_version(bench.martlet)}, {options.rounds} rounds of {bench.count} questions, "
              f"{options.threads} threads, model {options.shape} in {model}")
        bench.measure(verdicts)
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
