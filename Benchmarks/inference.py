#!/usr/bin/env python3
"""How fast Martlet serves a model, beside llama.cpp (and transformers) on the same weights with the same threads.

    inference.py [--martlet PATH] [--threads N] [--rounds N] [--short] [--transformers]
                 [--figure prefill|decode|streams]... [16bit|8bit|4bit]...

The model has the shape of Qwen2.5-0.5B and random weights, made once. Martlet is measured from outside, through its
HTTP server with streaming; llama.cpp from inside, through its library, without a server's costs. They take turns, each
with its model loaded while the other one idles; figures are medians with least and most in brackets:

- prefill: 512 random ids that no cache has seen, until the first token;
- decode: one sequence, the time between its first and its last token;
- streams: 8 sequences at once, from the beginning until the last token of the last one.

`--figure` measures the named figures only, for work on one of them: without start, memory, neighbor and idle cost.

The exit status is 1 if a figure falls short of its target.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import inference_peers
from engine import memory
from machine_limits import MachineLimits
from measure import Verdicts, children_cpu, machine, martlet_version, middle, spread
from serving import Server

PREFILL, PROMPT, STREAMS = 512, 8, 8
CONTEXT = 2048
OVERHEAD_BYTES = 200e6


class Width:
    """A width of weights: what we and the peer load, the arithmetic that bounds prefill, and the targets."""

    def __init__(self, bits, quant, gguf, arithmetic, prefill, decode, streams):
        self.bits, self.quant, self.gguf, self.arithmetic = bits, quant, gguf, arithmetic
        self.targets = {"prefill": prefill, "decode": decode, "streams": streams}
        self.title = f"{bits} bits"


WIDTHS = {
    "16bit": Width(16, "stored", "f16", "bf16", 1.8, 0.95, 1.8),
    "8bit": Width(8, "int8", "q8_0", "int8", 1.7, 1.15, 1.8),
    "4bit": Width(4, "int4", "q4_0", "int8", 1.4, 1.2, 1.8),
}
FIGURES = ["prefill", "decode", "streams"]
GOAL_STREAMS, GOAL_PREFILL, GOAL_DECODE = 2.5, 0.85, 0.9


def cpu_seconds(pid):
    """CPU time of a process with the threads that have ended: its own clock, whose number Linux makes of its id."""
    return time.clock_gettime((~pid << 3) | 2)


class OtherProcesses:
    """How much of the processor went to what is neither this program, its children, nor the processes named."""

    def __init__(self, pids):
        self.pids = pids
        self.began, self.busy = time.monotonic(), self.busy_seconds()

    def busy_seconds(self):
        with open("/proc/stat", encoding="utf-8") as file:
            # user, nice, system, idle, iowait, irq, softirq, steal
            ticks = [int(word) for word in file.readline().split()[1:9]]
        busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return busy - time.process_time() - children_cpu() - sum(map(cpu_seconds, self.pids))

    def share(self):
        elapsed = (time.monotonic() - self.began) * os.cpu_count()
        return max(0.0, self.busy_seconds() - self.busy) / elapsed


class Bench:
    def __init__(self, options, model, shape, peer):
        self.options, self.model, self.shape, self.peer = options, model, shape, peer
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.steps = 16 if options.short else 64
        self.verdicts = Verdicts()
        self.ids = random.Random(time.time_ns())
        self.limits = MachineLimits(inference_peers.cache(), options.threads)

    # What is measured

    def prompts(self, count, length):
        """Random ids of ordinary words, so that no two runs share a beginning."""
        return [[self.ids.randrange(256, self.shape["vocab_size"] - 3) for _ in range(length)] for _ in range(count)]

    def prefill(self, contender):
        first, _ = contender.generate(self.prompts(1, PREFILL), 1)
        return PREFILL / first

    def decode(self, contender, steps=None):
        steps = steps or self.steps
        first, last = contender.generate(self.prompts(1, PROMPT), steps)
        return (steps - 1) / (last - first)

    def streams(self, contender):
        _, last = contender.generate(self.prompts(STREAMS, PROMPT), self.steps)
        return STREAMS * self.steps / last

    def serve(self, width):
        return Server(self.martlet, [
            self.model, "--quant", width.quant, "--threads", str(self.options.threads),
            "--max-model-len", str(CONTEXT)])

    def load_peer(self, width):
        return inference_peers.Worker(
            self.peer, "llama_worker.py", os.path.join(self.model, f"model-{width.gguf}.gguf"), self.options.threads,
            CONTEXT, STREAMS)

    # Weights

    def weight_bytes(self, width):
        """What the matrices need: 16 bits a weight; or 8 and 4 bits and, for each 128 weights, 32 bits of scale and
        with 4 bits 8 of zero point. The embedding, which is also the output layer, has 8 bits where the layers have 4.
        """
        embedding, layers = self.shape["embedding_parameters"], self.shape["layer_parameters"]
        eight, four = 8 + 32 / 128, 4 + 40 / 128
        bits = {16: (16, 16), 8: (eight, eight), 4: (eight, four)}[width.bits]
        return (embedding * bits[0] + layers * bits[1]) / 8

    def operations(self):
        """Of a token in a prefill with the logits of the last position only: two a weight of the layers, and queries
        and values against half of the positions."""
        attention = 4 * self.shape["hidden_size"] * self.shape["num_hidden_layers"] * PREFILL / 2
        return 2 * self.shape["layer_parameters"] + attention

    # A width

    def measure(self, width):
        print(f"\n{width.title}: martlet --quant {width.quant} beside llama.cpp {width.gguf.upper()}, "
              f"{self.options.threads} threads")
        whole = self.options.figure == FIGURES
        if width.bits == 8 and whole:
            self.start(width)
        peer, server = self.load_peer(width), self.serve(width)
        try:
            contenders = {"llama.cpp": peer, "martlet": server}
            loaded = memory(server.pid, "VmRSS")
            rates = self.rounds(contenders)
            self.judge(width, rates)
            if whole:
                self.resident(width, server, peer, loaded)
            if width.bits == 8 and whole:
                self.neighbor(contenders, rates, width.targets["decode"])
                self.idle(server)
        finally:
            peer.stop()
            server.stop()

    def rounds(self, contenders):
        """Lets all take turns; returns rates by figure and name. The first, unmeasured turn warms caches and pages."""
        figures = {name: getattr(self, name) for name in self.options.figure}
        rates = {figure: {name: [] for name in contenders} for figure in figures}
        for contender in contenders.values():
            contender.generate(self.prompts(STREAMS, PROMPT), 4)
        others = OtherProcesses([contender.pid for contender in contenders.values()])
        for _ in range(self.options.rounds):
            print(f"  {self.limits.take()}")
            for figure, measure in figures.items():
                for name, contender in contenders.items():
                    rates[figure][name].append(measure(contender))
        for figure in figures:
            shown = ", ".join(f"{name} {spread(rates[figure][name], '{:.1f}')}" for name in contenders)
            print(f"  {figure:8} {shown} tokens/s")
        share = others.share()
        print(f"  others took {share:.1%} of the processor meanwhile"
              + (": the ratios say little, since llama.cpp suffers from it most" if share > 0.03 else ""))
        sys.stdout.flush()
        return rates

    def judge(self, width, rates):
        ours = {figure: middle(rates[figure]["martlet"]) for figure in rates}
        for figure in rates:
            target = width.targets[figure]
            ratio = ours[figure] / middle(rates[figure]["llama.cpp"])
            self.verdicts.say(f"{figure} at {width.title} over llama.cpp's", ratio, "x", target, at_least=True)
            if figure == "streams":
                self.verdicts.say(
                    f"{figure} at {width.title} over llama.cpp's", ratio, "x", GOAL_STREAMS, at_least=True,
                    is_goal=True)
        peak, read = self.limits.best(width.arithmetic), self.limits.best("read")
        if peak and "prefill" in ours:
            limit = peak * 1e9 / self.operations()
            self.verdicts.say(
                f"prefill at {width.title} over the {width.arithmetic} limit of {limit:.0f} tokens/s",
                ours["prefill"] / limit, "x", GOAL_PREFILL, at_least=True, is_goal=True)
        if "decode" not in ours:
            return
        limit = read * 1e9 / self.weight_bytes(width)
        self.verdicts.say(
            f"decode at {width.title} over the reading limit of {limit:.1f} tokens/s", ours["decode"] / limit, "x",
            GOAL_DECODE, at_least=True, is_goal=True)

    def resident(self, width, server, peer, loaded):
        weights, after = self.weight_bytes(width), memory(server.pid, "VmRSS")
        print(f"  weights {weights / 1e6:.0f} MB; martlet resident {loaded / 1e6:.0f} MB after loading, "
              f"peak {memory(server.pid, 'VmHWM') / 1e6:.0f} MB; llama.cpp {memory(peer.pid, 'VmRSS') / 1e6:.0f} MB")
        for when, size in (("after loading", loaded), ("after the runs", after)):
            self.verdicts.say(
                f"resident at {width.title} {when}", size / 1e6, "MB", round((weights + OVERHEAD_BYTES) / 1e6),
                at_least=False, form="{:.0f}")

    def start(self, width):
        """From the start of the process to the first streamed token; the first, unmeasured start warms the files."""
        times = []
        for _ in range(1 + self.options.rounds):
            server = self.serve(width)
            try:
                asked = time.perf_counter()
                first, _ = server.generate(self.prompts(1, PROMPT), 1)
                times.append(asked - server.began + first)
            finally:
                server.stop()
        print(f"  start to first token {spread(times[1:], '{:.3f}')} s, the very first {times[0]:.3f} s")
        self.verdicts.say("start to first token at 8 bits", middle(times[1:]), "s", 0.5, at_least=False)

    def neighbor(self, contenders, alone, target):
        """Decoding while another process wants one of the cores for itself; the target is that of a quiet machine.
        Few tokens, since a program whose threads wait for each other by spinning may need a second for each.
        """
        cores = sorted(os.sched_getaffinity(0))[:self.options.threads]
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        kept = {name: [] for name in contenders}
        try:
            os.sched_setaffinity(busy.pid, {cores[-1]})
            for _ in range(min(3, self.options.rounds)):
                for name, contender in contenders.items():
                    kept[name].append(self.decode(contender, steps=16))
        finally:
            busy.kill()
            busy.wait()
        print("  decode with a busy neighbor: " + ", ".join(
            f"{name} {spread(rates, '{:.1f}')} tokens/s ({middle(rates) / middle(alone['decode'][name]):.0%} of alone)"
            for name, rates in kept.items()))
        self.verdicts.say(
            "decode with a busy neighbor over llama.cpp's", middle(kept["martlet"]) / middle(kept["llama.cpp"]), "x",
            target, at_least=True)

    def idle(self, server):
        seconds = 5
        time.sleep(1)
        before, began = cpu_seconds(server.pid), time.monotonic()
        time.sleep(seconds)
        share = (cpu_seconds(server.pid) - before) / (time.monotonic() - began) * 100
        self.verdicts.say(f"CPU of an idle server over {seconds} s", share, "%", 0.5, at_least=False, form="{:.3f}")

    def transformers(self):
        """PyTorch on the stored weights, alone; printed beside the others, without a target."""
        environment = inference_peers.transformers()
        problem = environment.install()
        if problem:
            print(f"\ntransformers is left out: {problem}")
            return
        print("\n16 bits: transformers, bf16, alone")
        worker = inference_peers.Worker(environment, "transformers_worker.py", self.model, self.options.threads)
        try:
            print(f"  {worker.about}")
            self.rounds({"transformers": worker})
        finally:
            worker.stop()


def prepare(options):
    """The peer and the model, both made if this machine has them not yet: (environment, directory, shape)."""
    peer = inference_peers.llama()
    problem = peer.install()
    if problem:
        sys.exit(f"llama-cpp-python cannot be installed, and without a peer there is no ratio: {problem}")
    model = inference_peers.cache("models", f"{options.shape}-seed{options.seed}")
    kinds = ",".join(WIDTHS[name].gguf for name in options.widths)
    maker = [peer.python, os.path.join(inference_peers.HERE, "random_model.py"), "--shape", options.shape]
    subprocess.run(
        [*maker, "--output_dir", model, "--seed", str(options.seed), "--gguf", kinds], check=True)
    described = subprocess.run([*maker, "--describe"], check=True, capture_output=True, text=True).stdout
    return peer, model, json.loads(described)


def main():
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="Measures inference beside llama.cpp.")
    parser.add_argument("widths", nargs="*", metavar="WIDTH", help=f"{', '.join(WIDTHS)}; default: all")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--threads", type=int, default=min(2, cores))
    parser.add_argument("--rounds", type=int, default=None, help="default: 5; 2 with --short")
    parser.add_argument("--shape", default="qwen2.5-0.5b", help="as random_model.py knows it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", action="append", choices=FIGURES, help="only this one; may be repeated")
    parser.add_argument("--transformers", action="store_true", help="measure transformers, too (installs PyTorch)")
    parser.add_argument("--short", action="store_true", help="few rounds and tokens, to see that it works")
    options = parser.parse_args()
    unknown = [w for w in options.widths if w not in WIDTHS]
    if unknown:
        parser.error(f"no width is named {unknown[0]}; there are {', '.join(WIDTHS)}")
    options.widths = options.widths or list(WIDTHS)
    options.figure = options.figure or FIGURES
    options.rounds = options.rounds or (2 if options.short else 5)
    peer, model, shape = prepare(options)
    bench = Bench(options, model, shape, peer)
    print(machine())
    print(f"martlet {martlet_version(bench.martlet)}, llama-cpp-python {peer.version('llama-cpp-python')}, "
          f"{options.rounds} rounds, {bench.steps} tokens a stream, model {options.shape} in {model}")
    for name in options.widths:
        bench.measure(WIDTHS[name])
    if options.transformers:
        bench.transformers()
    print()
    return bench.verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
