"""One evaluation by lm-evaluation-harness, in its own environment: what it found, and how long it took.

    evaluation_worker.py JOB

JOB is a JSON object: model (hf or local-completions), model_args, tasks, include (the folder of the task files),
batch_size, threads. The last line of the output is a JSON object: seconds (in the calls that rate, the model being
loaded), results by task, and sums by task: the log-likelihoods of each question's choices.
"""

import json
import os
import sys
import time

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import lm_eval
import torch
import transformers
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager


def main():
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    transformers.logging.set_verbosity_error()
    model = get_model(job["model"])(**job["model_args"], batch_size=job["batch_size"])
    spent = []
    rate = model.loglikelihood

    def timed(*words, **names):
        began = time.perf_counter()
        try:
            return rate(*words, **names)
        finally:
            spent.append(time.perf_counter() - began)

    model.loglikelihood = timed
    manager = TaskManager(include_path=job["include"], include_defaults=False)
    found = lm_eval.simple_evaluate(
        model=model, tasks=job["tasks"], task_manager=manager, log_samples=True, bootstrap_iters=0)
    sums = {}
    for task, samples in found["samples"].items():
        # With several metrics a sample is listed for each.
        sums[task] = {sample["doc_id"]: [float(pair[0]) for pair in sample["filtered_resps"]] for sample in samples}
    results = {
        task: {name.split(",")[0]: value for name, value in figures.items() if isinstance(value, (int, float))}
        for task, figures in found["results"].items()}
    versions = f"lm-eval {lm_eval.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
    print(json.dumps({"seconds": sum(spent), "results": results, "sums": sums, "about": versions}))


if __name__ == "__main__":
    main()
