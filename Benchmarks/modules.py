#!/usr/bin/env python3
"""The speed of download and quantize; evaluation has a program of its own (evaluation.py).

    modules.py [--martlet PATH] [--short] [--only download,quantize] [--rounds N] [--threads N]

- download: `martlet download` of one large file and of a thousand small ones from `martlet hub serve`, beside
  `curl -o F URL && sha256sum F` from the same server, in turns;
- quantize: time and peak memory of GPTQ for the shape of Qwen2.5-0.5B (random weights), the share of their 16-bit size
  that quantized layers take, and what each method costs in perplexity on a model that is trained here first.

The exit status is 1 if a figure falls short of its target.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gptq_worker
import learning
import random_model
from measure import Verdicts, machine, martlet_version, middle, run, spread

SMALL_FILES = 1000


def make_repository(folder, large_bytes, seed):
    """`org/large` with one file, `org/small` with many; of bytes that do not compress."""
    source = random.Random(seed)
    for name in ("large", "small"):
        os.makedirs(os.path.join(folder, "org", name))
    with open(os.path.join(folder, "org", "large", "model.safetensors"), "wb") as file:
        left = large_bytes
        while left:
            piece = source.randbytes(min(left, 1 << 24))
            file.write(piece)
            left -= len(piece)
    for index in range(SMALL_FILES):
        with open(os.path.join(folder, "org", "small", f"part-{index:04}.json"), "wb") as file:
            file.write(source.randbytes(source.randrange(200, 20_000)))


class Hub:
    """`martlet hub serve` over a directory, for the time of a `with`."""

    def __init__(self, martlet, folder):
        self.words = [martlet, "hub", "serve", folder, "--listen", "127.0.0.1:0"]

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.url = line.strip().rsplit(" ", 1)[-1]
        if not self.url.startswith("http"):
            sys.exit(f"hub serve did not start: {line!r}")
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def bench_download(options, folder, verdicts):
    large_bytes = (200 if options.short else 2000) << 20
    print(f"download: one file of {large_bytes >> 20} MiB, and {SMALL_FILES} files of 0.2 to 20 kB")
    served = os.path.join(folder, "served")
    make_repository(served, large_bytes, 1)
    with Hub(options.martlet, served) as hub:
        target = os.path.join(folder, "target")
        url = f"{hub.url}/org/large/resolve/main/model.safetensors"

        def ours(repository):
            shutil.rmtree(target, ignore_errors=True)
            words = [options.martlet, "download", repository, "--endpoint", hub.url, "--local_dir", target]
            return run(words).wall

        def theirs():
            shutil.rmtree(target, ignore_errors=True)
            os.makedirs(target)
            script = 'curl -s -f -L -o "$1" "$2" && sha256sum "$1"'
            return run(["sh", "-c", script, "sh", os.path.join(target, "file"), url]).wall

        def theirs_small():
            shutil.rmtree(target, ignore_errors=True)
            os.makedirs(target)
            script = ('curl -s -f -L -Z --parallel-max 8 "$2/org/small/resolve/main/part-[0000-'
                      f'{SMALL_FILES - 1:04}].json" -o "$1/#1" && sha256sum "$1"/*')
            return run(["sh", "-c", script, "sh", target, hub.url]).wall

        ours("org/large")  # the server computes its digests once
        ours("org/small")
        walls = {"ours": [], "curl": [], "ours small": [], "curl small": []}
        for _ in range(options.rounds):
            walls["ours"].append(ours("org/large"))
            walls["curl"].append(theirs())
            walls["ours small"].append(ours("org/small"))
            walls["curl small"].append(theirs_small())
    rates = {name: [large_bytes / wall / 1e6 for wall in walls[name]] for name in ("ours", "curl")}
    print(f"  one file, MB/s: martlet {spread(rates['ours'])}, curl and sha256sum {spread(rates['curl'])}")
    counts = {name: [SMALL_FILES / wall for wall in walls[f"{name} small"]] for name in ("ours", "curl")}
    print(f"  small files, files/s: martlet {spread(counts['ours'])}, curl -Z and sha256sum {spread(counts['curl'])}")
    verdicts.say("download against curl and sha256sum", middle(rates["ours"]) / middle(rates["curl"]), "x", 0.9, True)
    verdicts.say("small files against curl -Z", middle(counts["ours"]) / middle(counts["curl"]), "x", 0.9, True,
                 is_goal=True)


METHODS = {
    "gptq": ["--quant_bits", "4", "--group_size", "64"],
    "gptq, act order": ["--quant_bits", "4", "--group_size", "64", "--desc_act", "true"],
    "awq": ["--quant_bits", "4", "--group_size", "64"],
    "rtn": ["--quant_bits", "4", "--group_size", "64"],
    "rtn, 8 bits": ["--quant_bits", "8", "--group_size", "64"],
    "int8": [],
    "fp8": [],
}


def quantize(options, model, output, method, *more):
    shutil.rmtree(output, ignore_errors=True)
    done = run([options.martlet, "quantize", "--model", model, "--output_dir", output, "--quant_method", method,
                "--threads", str(options.threads), *more], limit=3600)
    with open(os.path.join(output, "quantization_report.json"), encoding="utf-8") as file:
        return done, json.load(file)


def share(report):
    """Bytes of the quantized layers by those of the same layers at 16 bits."""
    elements = sum(module["shape"][0] * module["shape"][1] for module in report["modules"])
    return report["linear_bytes_after"] / (2 * elements)


def bench_large(options, folder, verdicts):
    shape = "small" if options.short else "qwen2.5-0.5b"
    samples, length = (16, 128) if options.short else (128, 512)
    print(f"quantize: GPTQ, 4 bits, groups of 128, of the {shape} shape, {samples} rows of {length} tokens")
    model = os.path.join(folder, shape)
    run([sys.executable, random_model.__file__, "--output_dir", model, "--shape", shape])
    # The words of a random model's tokenizer are its own: any text gives tokens enough.
    source = random.Random(3)
    dataset = os.path.join(folder, "calibration.jsonl")
    with open(dataset, "w", encoding="utf-8") as file:
        for _ in range(samples):
            text = " ".join("".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(length))
            file.write(json.dumps({"messages": [{"role": "assistant", "content": text}]}) + "\n")
    words = ["--dataset", dataset, "--quant_bits", "4", "--group_size", "128", "--quant_n_samples", str(samples),
             "--max_length", str(length)]
    done, report = quantize(options, model, os.path.join(folder, "gptq"), "gptq", *words)
    tokens = report["calibration_tokens"]
    print(f"  martlet: {done.wall:.0f} s, {done.cpu:.0f} s of CPU, peak RSS {done.peak_bytes / 2**20:.0f} MiB, "
          f"{tokens} tokens")
    verdicts.say("4-bit layers against their 16-bit size", share(report), "x", 0.29, False, form="{:.3f}")
    python = os.path.join(gptq_worker.environment(), "bin", "python")
    if options.short or not os.path.exists(python):
        print("  gptqmodel: not measured; gptq_worker.py --install makes its environment (gigabytes)")
        return
    peer = run([python, gptq_worker.__file__, "--model", model, "--output_dir", os.path.join(folder, "peer"),
                "--samples", str(samples), "--length", str(length), "--threads", str(options.threads)],
               limit=7200, expected=None)
    if peer.status != 0:
        print("  gptqmodel does not run here: " + (peer.err.strip().splitlines() or ["no message"])[-1])
        return
    told = json.loads(peer.out.strip().splitlines()[-1])
    print(f"  gptqmodel: {told['seconds']:.0f} s for quantizing alone, {peer.wall:.0f} s in all, "
          f"peak RSS {peer.peak_bytes / 2**20:.0f} MiB")
    print(f"  ratio of times in all {peer.wall / done.wall:.2f}x, of memory {done.peak_bytes / peer.peak_bytes:.2f}x")


def bench_trained(options, folder):
    print("quantize: what each method costs a model that is trained here")
    words = argparse.Namespace(martlet=options.martlet, threads=options.threads, seed=1, short=options.short)
    place = os.path.join(folder, "lesson")
    os.makedirs(place)
    model = learning.Lesson(words, place).pretrain()
    data = ["--dataset", os.path.join(place, "train.jsonl"), "--val_dataset", os.path.join(place, "held-out.jsonl"),
            "--max_length", str(learning.CONTEXT)]
    print("  method                 layers at   perplexity before and after")
    for name, more in METHODS.items():
        _, report = quantize(
            options, model, os.path.join(folder, "trained"), name.split(",")[0], *data, *more)
        before, after = report["perplexity_before"], report["perplexity_after"]
        print(f"  {name:<22} {share(report):>8.3f}x   {before:.4f} {after:.4f} ({(after / before - 1) * 100:+.2f} %)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=".build/release/martlet")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="download,quantize")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    options.martlet = os.path.abspath(options.martlet)
    print(machine())
    print(martlet_version(options.martlet))
    verdicts = Verdicts()
    with tempfile.TemporaryDirectory(prefix="martlet-modules-") as folder:
        if "download" in options.only:
            bench_download(options, folder, verdicts)
        if "quantize" in options.only:
            bench_large(options, folder, verdicts)
            bench_trained(options, folder)
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
