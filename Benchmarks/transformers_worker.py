"""Transformers on PyTorch as a process that answers, as llama_worker.py does: bf16, eager, the usual attention.

    transformers_worker.py DIRECTORY THREADS
"""

import json
import sys
import time

import torch
import transformers


def generate(model, prompts, steps):
    """Greedy; prompts of one length make a batch. The cache grows as the library's own `generate` lets it."""
    ids = torch.tensor(prompts)
    began = time.perf_counter()
    first = cache = None
    for _ in range(steps):
        out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        ids = out.logits[:, -1].argmax(-1, keepdim=True)
        first = first or time.perf_counter() - began
    return {"first": first, "last": time.perf_counter() - began}


@torch.inference_mode()
def main():
    path, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
    about = f"transformers {transformers.__version__}, torch {torch.__version__}"
    print(json.dumps({"about": about}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(generate(model, asked["prompts"], asked["steps"])), flush=True)


if __name__ == "__main__":
    main()
