#!/usr/bin/env python3
"""GPTQ by the package gptqmodel, for comparing times: 4 bits, groups of 128, on random rows of token ids.

    gptq_worker.py --install
    gptq_worker.py --model DIR --output_dir DIR [--samples N] [--length N] [--threads N]

Prints {"seconds": ...} of the quantization alone. `--install` makes the environment, with torch: gigabytes.
"""

import argparse
import json
import os
import subprocess
import sys
import time


def environment():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "martlet-bench", "gptqmodel")


def install():
    pip = os.path.join(environment(), "bin", "pip")
    subprocess.run([sys.executable, "-m", "venv", environment()], check=True)
    subprocess.run([pip, "install", "-q", "torch", "numpy", "setuptools", "wheel", "packaging", "ninja"], check=True)
    subprocess.run([pip, "install", "-q", "--no-build-isolation", "gptqmodel"], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("--output_dir")
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.install:
        return install()
    # It writes logs to where it runs.
    os.makedirs(options.output_dir, exist_ok=True)
    options.model, options.output_dir = os.path.abspath(options.model), os.path.abspath(options.output_dir)
    os.chdir(options.output_dir)
    # Its pools of threads cannot be made on machines of fewer cores; torch's own number is set below.
    cores = os.cpu_count() or 1
    os.cpu_count = lambda: max(8, cores)
    import torch
    from gptqmodel import GPTQModel, QuantizeConfig

    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(1)
    settings = QuantizeConfig(bits=4, group_size=128, desc_act=False, sym=True, damp_percent=0.01, device="cpu")
    model = GPTQModel.load(options.model, settings)
    size = model.model.config.vocab_size
    rows = []
    for _ in range(options.samples):
        ids = torch.randint(0, size - 8, (1, options.length), generator=generator)
        rows.append({"input_ids": ids[0].tolist(), "attention_mask": [1] * options.length})
    began = time.monotonic()
    model.quantize(rows, batch_size=1)
    seconds = time.monotonic() - began
    model.save(options.output_dir)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
