#!/usr/bin/env python3
"""Whether what `martlet quantize` writes is what other readers take it for, and what our own inference computes of it.

    quantized_check.py [--martlet PATH] [--only WORD]... [--keep DIR]

Needs torch, transformers and safetensors; compressed-tensors too, where that format is to be read by its own library
(else by its definition, as GPTQ and AWQ are). A small Llama is made and taught some sentences, in fp32 and in bf16.
For each method and format:

- `martlet quantize` writes it;
- its weights are dequantized here, by the formats' definition and by the library, to the same numbers;
- the numbers become a plain model, the twin: `martlet logits` gives the same of both, and `martlet generate
  --temperature 0` the same text;
- transformers loads the quantized model, where it can, and computes our logits.

A twin has the type of the model, to which our inference rounds dequantized weights where it uses them, so that its
logits are expected to be the same to the last bit; a bound is 1e-6 of the largest.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "Benchmarks"), os.path.join(HERE, "..", "Soak")]

import martlet_command
from soak import VOCABULARY, write_model

TOLERANCE = 1e-6
# transformers adds in another order, and in bf16 rounds every step.
PEER_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
HIDDEN, INNER, LAYERS = 64, 128, 2
STEPS = 120
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
SUBJECTS = ["the fox", "a wren", "the old dog", "one cat", "the miller", "her brother"]
VERBS = ["sees", "follows", "wakes", "feeds", "forgets"]
PLACES = ["by the river", "in the barn", "at noon", "under the bridge", "before winter"]
METHODS = {
    "gptq 4 bits": {"quant_method": "gptq", "quant_bits": 4, "group_size": 32},
    "gptq 4 bits act order": {"quant_method": "gptq", "quant_bits": 4, "group_size": 32, "desc_act": True},
    "gptq 4 bits asymmetric": {"quant_method": "gptq", "quant_bits": 4, "group_size": 64, "sym": False},
    "gptq 8 bits by channel": {"quant_method": "gptq", "quant_bits": 8, "group_size": -1},
    "gptq packed": {
        "quant_method": "gptq", "quant_bits": 4, "group_size": 32, "quant_format": "compressed-tensors"},
    "awq": {"quant_method": "awq", "quant_bits": 4, "group_size": 32},
    "rtn 4 bits packed asymmetric": {
        "quant_method": "rtn", "quant_bits": 4, "group_size": 32, "sym": False,
        "quant_format": "compressed-tensors"},
    "rtn 8 bits packed": {
        "quant_method": "rtn", "quant_bits": 8, "group_size": 64, "quant_format": "compressed-tensors"},
    "fp8 by channel": {"quant_method": "fp8", "fp8_scales": "channel"},
    "fp8 by tensor": {"quant_method": "fp8", "fp8_scales": "tensor"},
    "int8": {"quant_method": "int8"},
}
CALIBRATED = {"gptq", "awq"}


def sentences(count, seed):
    chance = random.Random(seed)
    return [f"{chance.choice(SUBJECTS)} {chance.choice(VERBS)} {chance.choice(SUBJECTS)} {chance.choice(PLACES)}."
            for _ in range(count)]


def make_model(folder, dtype):
    """A model of bytes that has learned some sentences."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    os.makedirs(folder)
    write_model(folder, 1)  # for the tokenizer
    torch.manual_seed(5)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, eos_token_id=259,
        bos_token_id=259, tie_word_embeddings=False))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = torch.tensor([list(" ".join(sentences(8, seed)).encode())[:192] for seed in range(64)])
    for step in range(STEPS):
        batch = rows[step * 8 % 64:][:8]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(f"  taught in {dtype}: loss {loss.item():.2f}")
    model.to(getattr(torch, dtype)).save_pretrained(folder)


# Dequantizing by definition


def unpacked(words, bits, order=None):
    """Words [..., n] as codes [..., n * 32 / bits], of each word from its low end."""
    import numpy

    per_word = 32 // bits
    shifts = numpy.arange(per_word, dtype=numpy.uint32) * bits
    codes = (words.view(numpy.uint32)[..., None] >> shifts) & ((1 << bits) - 1)
    if order:
        places = numpy.empty(per_word, dtype=int)
        places[order] = numpy.arange(per_word)
        codes = codes[..., places]
    return codes.reshape(*words.shape[:-1], -1).astype(numpy.int64)


def gptq(tensors, settings):
    import numpy

    bits = settings["bits"]
    codes = unpacked(numpy.ascontiguousarray(tensors["qweight"].numpy().T), bits)  # [out, in]
    zeros = unpacked(tensors["qzeros"].numpy(), bits)  # [groups, out]
    if settings.get("checkpoint_format", "gptq") == "gptq":
        zeros = (zeros + 1) % (1 << bits)
    group = tensors["g_idx"].numpy()
    scales = tensors["scales"].float().numpy()
    return (codes - zeros[group].T).astype(numpy.float32) * scales[group].T


def awq(tensors, settings):
    import numpy

    codes = unpacked(tensors["qweight"].numpy(), 4, AWQ_ORDER).T  # [out, in]
    zeros = unpacked(tensors["qzeros"].numpy(), 4, AWQ_ORDER)
    scales = tensors["scales"].float().numpy()
    group = numpy.arange(codes.shape[1]) // (codes.shape[1] // scales.shape[0])
    return (codes - zeros[group].T).astype(numpy.float32) * scales[group].T


def compressed(tensors, settings):
    import numpy

    arguments = next(iter(settings["config_groups"].values()))["weights"]
    bits = arguments["num_bits"]
    scales = tensors["weight_scale"].float().numpy()
    if arguments["type"] == "float":
        return tensors["weight"].float().numpy() * scales.reshape(-1, 1)
    if "weight" in tensors:
        return tensors["weight"].numpy().astype(numpy.float32) * scales.reshape(-1, 1)
    rows, columns = tensors["weight_shape"].tolist()
    codes = unpacked(tensors["weight_packed"].numpy(), bits)[:, :columns]
    group = numpy.arange(columns) // (arguments["group_size"] or columns)
    zeros = numpy.full((rows, scales.shape[1]), 1 << (bits - 1))
    if not arguments["symmetric"]:
        words = numpy.ascontiguousarray(tensors["weight_zero_point"].numpy().T)
        zeros = unpacked(words, bits)[:, :rows].T
    return (codes - zeros[:, group]).astype(numpy.float32) * scales[:, group]


READERS = {"gptq": gptq, "awq": awq, "compressed-tensors": compressed}


def by_library(tensors, settings):
    """compressed-tensors' own reading; None where the library is not there."""
    try:
        from compressed_tensors.compressors import BaseCompressor
        from compressed_tensors.quantization import QuantizationConfig
    except ImportError:
        return None
    configuration = QuantizationConfig.model_validate(settings)
    scheme = next(iter(configuration.config_groups.values()))
    compressor = BaseCompressor.get_value_from_registry(configuration.format)
    return compressor.decompress(dict(tensors), scheme)["weight"]


class Check:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.done = self.failed = 0
        self.dataset = self.path("texts.jsonl")
        with open(self.dataset, "w", encoding="utf-8") as file:
            for seed in range(100, 132):
                file.write(json.dumps({"text": " ".join(sentences(6, seed))}) + "\n")
        self.ids = list(" ".join(sentences(3, 900)).encode())[:96]
        self.prompts = [" ".join(text.split()[:2]) for text in sentences(6, 901)]

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def say(self, what, is_good, detail=""):
        self.done += 1
        self.failed += not is_good
        print(f"  {'ok' if is_good else 'FAILED'}: {what}{': ' if detail else ''}{detail}", flush=True)
        return is_good

    def run(self, words):
        """Standard output; None if it failed, which is said."""
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
        if done.returncode == 0:
            return done.stdout
        self.say(f"martlet {words[1]}", False, f"status {done.returncode}: {done.stderr.strip()[-300:]}")
        return None

    def logits(self, model):
        import torch

        output = self.run(martlet_command.logits(self.martlet, model, self.ids))
        return None if output is None else torch.tensor(json.loads(output)["logits"])

    def texts(self, model):
        return [self.run([self.martlet, "generate", model, "--prompt", prompt, "--temperature", "0",
                          "--max_new_tokens", "48"]) for prompt in self.prompts]

    def twin(self, quantized, folder, dtype):
        """The quantized model with numbers for codes; None where the two readings differ."""
        import torch
        from safetensors.torch import load_file, save_file

        with open(os.path.join(quantized, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        settings = config.pop("quantization_config")
        stored = {}
        for name in sorted(os.listdir(quantized)):
            if name.endswith(".safetensors"):
                stored.update(load_file(os.path.join(quantized, name)))
        marks = (".qweight", ".weight_packed", ".weight_scale")
        modules = sorted({name.rsplit(".", 1)[0] for name in stored if name.endswith(marks)})
        plain = {name: value for name, value in stored.items() if name.rsplit(".", 1)[0] not in modules
                 or name.endswith(".bias")}
        compared = 0
        for module in modules:
            tensors = {name.rsplit(".", 1)[1]: value for name, value in stored.items()
                       if name.rsplit(".", 1)[0] == module}
            weight = torch.from_numpy(READERS[settings["quant_method"]](tensors, settings)).to(
                getattr(torch, dtype))
            library = by_library(tensors, settings) if settings["quant_method"] == "compressed-tensors" else None
            if library is not None:
                compared += 1
                if not torch.equal(library.to(weight.dtype), weight):
                    self.say(f"{module} in both readings", False)
                    return None
            plain[module + ".weight"] = weight
        self.say("layers are quantized", len(modules) == 7 * LAYERS,
                 f"{len(modules)}, {compared} compared with their library")
        shutil.copytree(quantized, folder, ignore=lambda _, names: [
            name for name in names if name.endswith((".safetensors", ".index.json"))])
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        save_file({name: value.contiguous() for name, value in plain.items()},
                  os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        return folder

    def transformers(self, model, dtype, expected, is_compressed):
        """Whether transformers reads the model as we do."""
        import torch
        from transformers import AutoModelForCausalLM

        try:
            settings = {}
            if is_compressed:
                from transformers import CompressedTensorsConfig

                # Else activations would be rounded, too, where config.json says so.
                settings["quantization_config"] = CompressedTensorsConfig(dequantize=True)
            peer = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype), **settings)
            with torch.no_grad():
                found = peer(torch.tensor([self.ids])).logits[0].float()
        except Exception as error:  # a package that is not there, or wants a GPU: nothing about our files
            print(f"  not tried: transformers: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
            return
        distance = ((found - expected).abs().max() / expected.abs().max()).item()
        self.say("transformers' logits", distance <= PEER_TOLERANCE[dtype], f"{distance:.1e}")

    def method(self, name, parameters, base, dtype):
        print(f"{name}, {dtype}")
        output = self.path(f"{name} {dtype}".replace(" ", "-"))
        words = dict(parameters, model=base, output_dir=output)
        if parameters["quant_method"] in CALIBRATED:
            words["dataset"] = self.dataset
        if self.run(martlet_command.words(self.martlet, "quantize", **words)) is None:
            return
        twin = self.twin(output, output + "-twin", dtype)
        if twin is None:
            return
        ours, theirs, before = self.logits(output), self.logits(twin), self.logits(base)
        if ours is None or theirs is None or before is None:
            return
        scale = theirs.abs().max()
        distance, change = ((ours - theirs).abs().max() / scale).item(), ((ours - before).abs().max() / scale).item()
        self.say("its twin's logits", distance <= TOLERANCE, f"{distance:.1e}, of the model before {change:.1e}")
        self.say("something was quantized", change > 100 * TOLERANCE)
        found, expected = self.texts(output), self.texts(twin)
        same = sum(one == other for one, other in zip(found, expected))
        self.say("its twin's texts", None not in found and same == len(found), f"{same} of {len(found)}")
        with open(os.path.join(output, "config.json"), encoding="utf-8") as file:
            settings = json.load(file)["quantization_config"]
        self.transformers(output, dtype, ours, settings["quant_method"] == "compressed-tensors")

    def all(self):
        for dtype in ("float32", "bfloat16"):
            base = self.path("model-" + dtype)
            make_model(base, dtype)
            for name, parameters in METHODS.items():
                if all(word in f"{name} {dtype}" for word in self.options.only):
                    self.method(name, parameters, base, dtype)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default="martlet")
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--keep", metavar="DIR", help="an empty folder for the models")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    os.environ["TQDM_DISABLE"] = "1"
    folder = options.keep or tempfile.mkdtemp(prefix="martlet-quantized-")
    os.makedirs(folder, exist_ok=True)
    try:
        check = Check(options, folder)
        check.all()
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{check.done - check.failed} of {check.done} checks passed")
    sys.exit(1 if check.failed or not check.done else 0)


if __name__ == "__main__":
    main()
