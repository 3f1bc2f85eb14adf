#!/usr/bin/env python3
"""Whether `martlet evaluate` and lm-evaluation-harness find the same of the same model and questions.

    MARTLET_LM_EVAL_CHECK=1 lm_eval_check.py [--martlet PATH] [--keep DIR]

Needs lm-eval with torch and transformers; the environment of the evaluation benchmark is used where this Python has
them not, and made if there is none. A small model of random weights in fp32 and made-up questions in the forms of MMLU
(with examples) and of ARC are made first. Then lm-eval rates all choices through `martlet serve`, by its model
local-completions, and in torch; `martlet evaluate` does in its own process, and through the same server, both with
token ids and with texts. All log-likelihoods agree to 1e-3, and accuracies are the same.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BENCHMARKS = os.path.join(HERE, "..", "..", "Benchmarks")
sys.path.insert(0, BENCHMARKS)

import inference_peers
import martlet_command
from evaluation_data import Questions

SWITCH = "MARTLET_LM_EVAL_CHECK"
TOLERANCE = 1e-3
SHAPE = {"hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 2048, "max_position_embeddings": 4096}
ADDRESS = re.compile(r"http://[\w.-]+:\d+/v1")
SUBJECT_COUNT, QUESTION_COUNT, SHOTS = 2, 12, 3


def find_packages():
    """Starts this program again with a Python that has lm-eval, if this one has not."""
    try:
        import lm_eval
    except ImportError:
        environment = inference_peers.lm_eval()
        problem = environment.install()
        if problem:
            sys.exit(f"lm_eval_check: lm-eval cannot be installed: {problem}")
        if os.path.realpath(sys.prefix) != os.path.realpath(environment.home):
            os.execv(environment.python, [environment.python, *sys.argv])
        sys.exit(f"lm_eval_check: {environment.python} cannot import lm_eval")


def write_model(folder):
    """A Qwen2 in fp32 whose logits differ enough to be compared."""
    import numpy as np
    import random_model
    from safetensors.numpy import save_file

    os.makedirs(folder)
    files = {"config.json": {**random_model.configuration(SHAPE), "torch_dtype": "float32"},
             **random_model.tokenizer_files(SHAPE["vocab_size"])}
    for name, value in files.items():
        random_model.write_json(os.path.join(folder, name), value)
    generator = np.random.default_rng(7)
    tensors = {}
    for name, size in random_model.tensors(SHAPE):
        values = generator.standard_normal(size, dtype=np.float32) * np.float32(0.15)
        tensors[name] = values + 1 if name.endswith("norm.weight") else values
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


class Check:
    def __init__(self, options, folder):
        self.folder = folder
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.failed = self.done = 0
        self.model = self.path("model")
        write_model(self.model)
        self.questions = Questions(11, SUBJECT_COUNT, QUESTION_COUNT, SHOTS, stem=10)
        self.questions.write_mmlu(self.path("mmlu"))
        for subject in self.questions.subjects:
            self.questions.write_arc(self.path(f"arc-{subject}.jsonl"), subject)
        self.tasks = self.questions.write_lm_eval(self.path("tasks"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def say(self, what, is_good, detail=""):
        self.done += 1
        self.failed += not is_good
        print(f"  {'ok' if is_good else 'FAILED'}: {what}{': ' if detail else ''}{detail}", flush=True)

    # Theirs

    def lm_eval(self, kind, **arguments):
        """(sums by task and question, accuracies by task and metric)."""
        job = {"model": kind, "model_args": arguments, "tasks": self.tasks, "include": self.path("tasks"),
               "batch_size": 4 if kind == "hf" else 1, "threads": 2}
        environment = {**os.environ, "HF_HOME": self.path("hub")}
        done = subprocess.run(
            [sys.executable, os.path.join(BENCHMARKS, "evaluation_worker.py"), json.dumps(job)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1800, env=environment)
        if done.returncode != 0:
            self.say(f"lm-eval with {kind}", False, done.stderr.strip()[-600:])
            return None
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        sums = {f"{task}/{number}": values for task, found in answer["sums"].items()
                for number, values in found.items()}
        return sums, answer["results"]

    # Ours

    def evaluate(self, name, **parameters):
        """The same of `martlet evaluate`: MMLU in one call, ARC's files each in their own."""
        sums, results = {}, {}
        found = self.run(f"{name}-mmlu", "mmlu", self.path("mmlu"), num_fewshot=SHOTS, **parameters)
        if found is None:
            return None
        report, outcomes = found
        for subject in self.questions.subjects:
            results[f"mmlu_{subject}"] = report["subsets"][subject]["metrics"]
        sums.update({f"mmlu_{key}": values for key, values in outcomes.items()})
        for subject in self.questions.subjects:
            found = self.run(f"{name}-arc-{subject}", "arc", self.path(f"arc-{subject}.jsonl"), **parameters)
            if found is None:
                return None
            results[f"arc_{subject}"] = found[0]["metrics"]
            for number, values in enumerate(found[1].values()):
                sums[f"arc_{subject}/{number}"] = values
        return sums, {task: {metric: figure["value"] for metric, figure in figures.items()}
                      for task, figures in results.items()}

    def run(self, name, task, dataset, **parameters):
        output = self.path(f"out-{name}")
        words = martlet_command.words(
            self.martlet, "evaluate", eval_dataset=task, dataset=dataset, output_dir=output, **parameters)
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
        if done.returncode != 0:
            self.say(f"martlet evaluate, {name}", False, f"status {done.returncode}: {done.stderr.strip()[-400:]}")
            return None
        with open(os.path.join(output, "report.json"), encoding="utf-8") as file:
            report = json.load(file)
        with open(os.path.join(output, "predictions.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        # In the data's order; they are written as they are finished.
        lines.sort(key=lambda line: int(re.search(r"(\d+)$", line["id"])[1]))
        return report, {line["id"]: line["outcome"]["loglikelihoods"] for line in lines}

    # Together

    def compare(self, name, ours, theirs):
        if ours is None or theirs is None:
            return self.say(name, False, "nothing to compare")
        if set(ours[0]) != set(theirs[0]):
            return self.say(name, False, f"other questions: {sorted(set(ours[0]) ^ set(theirs[0]))[:4]}")
        worst, where = max((abs(a - b), key) for key in ours[0] for a, b in zip(ours[0][key], theirs[0][key]))
        self.say(f"{name}: log-likelihoods", worst <= TOLERANCE, f"{worst:.1e} at {where}")
        for task, figures in theirs[1].items():
            for metric in ("acc", "acc_norm"):
                if metric not in figures:
                    continue
                ours_value = ours[1][task][metric]
                self.say(f"{name}: {metric} of {task}", abs(ours_value - figures[metric]) < 1e-9,
                         f"{ours_value:.4f} and {figures[metric]:.4f}")

    def all(self):
        server = subprocess.Popen(
            [self.martlet, "serve", self.model, "--port", "0", "--served-model-name", "checked"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            found = next(filter(None, map(ADDRESS.search, server.stdout)), None)
            if not found:
                sys.exit("lm_eval_check: martlet serve ended before it was ready")
            address = found[0]
            print("lm-eval through martlet serve, and in torch", flush=True)
            served = self.lm_eval(
                "local-completions", model="checked", base_url=f"{address}/completions", tokenizer=self.model,
                tokenizer_backend="huggingface", tokenized_requests=True, max_length=4096, num_concurrent=1)
            torch = self.lm_eval("hf", pretrained=self.model, device="cpu", dtype="float32")
            self.compare("lm-eval by itself, both ways", served, torch)
            remote = {"model": "checked", "api_url": address}
            for name, parameters in (
                    ("in process", {"model": self.model, "threads": 2}),
                    ("through the server, token ids", {**remote, "tokenizer": self.model}),
                    ("through the server, texts", remote)):
                print(f"martlet evaluate {name}", flush=True)
                ours = self.evaluate(name.replace(" ", "-").replace(",", ""), **parameters)
                self.compare("beside lm-eval through martlet serve", ours, served)
        finally:
            server.terminate()
            server.wait(60)
            server.stdout.close()


def main():
    if os.environ.get(SWITCH) != "1":
        print(f"lm_eval_check: skipped; {SWITCH}=1 runs it, and it needs lm-eval, torch and transformers")
        return 0
    find_packages()
    parser = argparse.ArgumentParser(description="Compares evaluations with lm-evaluation-harness's.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--keep", metavar="DIR", help="work in this new folder and leave it")
    options = parser.parse_args()
    folder = options.keep or tempfile.mkdtemp(prefix="martlet-lm-eval-")
    os.makedirs(folder, exist_ok=True)
    try:
        check = Check(options, folder)
        check.all()
        print(f"{check.failed} of {check.done} comparisons failed" if check.failed else f"all {check.done} agree")
        return 1 if check.failed or not check.done else 0
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
