#!/usr/bin/env python3
"""Makes a model of a known shape with random weights: speed depends on the shape, and nothing has to be downloaded.

    random_model.py --output_dir DIR [--shape qwen2.5-0.5b|qwen2.5-1.5b|25m|small] [--seed N] [--gguf TYPE,TYPE...]
    random_model.py --describe [--shape ...]

Writes a Hugging Face directory: config.json, model.safetensors (bf16), tokenizer.json (byte-level, with invented words
that fill the vocabulary) and what belongs to them. With `--gguf f16,q8_0,q4_0` the same weights are written as
model-TYPE.gguf, too; the quantized ones by llama.cpp's own quantizer with its defaults. Needs numpy; for GGUF also the
packages gguf and llama-cpp-python. A file that is there already is kept, so an interrupted run may be repeated; the
weights are the last file to be written under its name.
"""

import argparse
import ctypes
import json
import math
import os
import sys

import numpy as np

SHAPES = {
    "qwen2.5-0.5b": {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768},
    "qwen2.5-1.5b": {
        "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
        "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768},
    # 25,177,472 parameters: 3.1 million of the embedding, which is also the output layer, and 2.75 in each layer.
    "25m": {
        "hidden_size": 384, "intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 6,
        "num_key_value_heads": 2, "vocab_size": 8192, "max_position_embeddings": 4096},
    "small": {
        "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 4096, "max_position_embeddings": 4096},
}
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
GGUF_TYPES = ("f16", "q8_0", "q4_0")
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def configuration(shape):
    """config.json: the family's constants and the shape."""
    return {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "bfloat16",
        "hidden_act": "silu", "attention_dropout": 0.0, "initializer_range": 0.02, "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0, "tie_word_embeddings": True, "use_cache": True, "use_sliding_window": False,
        "bos_token_id": shape["vocab_size"] - 3, "eos_token_id": shape["vocab_size"] - 3, **shape}


# Weights

def tensors(shape):
    """Names and shapes in the order of the file; a matrix is [outputs, inputs]."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    pairs = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    yield "model.embed_tokens.weight", (shape["vocab_size"], hidden)
    for layer in range(shape["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (hidden,)
        for name, outputs in (("q", hidden), ("k", pairs), ("v", pairs)):
            yield f"{prefix}self_attn.{name}_proj.weight", (outputs, hidden)
            yield f"{prefix}self_attn.{name}_proj.bias", (outputs,)
        yield prefix + "self_attn.o_proj.weight", (hidden, hidden)
        yield prefix + "post_attention_layernorm.weight", (hidden,)
        yield prefix + "mlp.gate_proj.weight", (inner, hidden)
        yield prefix + "mlp.up_proj.weight", (inner, hidden)
        yield prefix + "mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)


def matrix_parameters(shape):
    """How many weights the embedding has, which are also the output layer's, and how many the layers' matrices."""
    counts = {name: math.prod(size) for name, size in tensors(shape) if len(size) == 2}
    embedding = counts.pop("model.embed_tokens.weight")
    return embedding, sum(counts.values())


def to_bf16(values):
    """Rounds fp32 to the nearest bf16, ties to even; as its 16 bits."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def write_safetensors(path, shape, seed):
    """An 8-byte length, a JSON header of names and places, then the bytes; a slice of a tensor at a time."""
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, size in tensors(shape):
        end = place + 2 * math.prod(size)
        header[name] = {"dtype": "BF16", "shape": list(size), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 64)
    generator = np.random.Generator(np.random.PCG64(seed))
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, size in tensors(shape):
            left = math.prod(size)
            while left:
                count = min(left, 1 << 22)
                values = generator.standard_normal(count, dtype=np.float32) * np.float32(0.02)
                if name.endswith("norm.weight"):
                    values += 1
                file.write(to_bf16(values).tobytes())
                left -= count


def read_safetensors(path):
    """Names and their bf16 bits, mapped."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        yield name, np.memmap(
            path, np.uint16, "r", offset=8 + length + begin, shape=((end - begin) // 2,)).reshape(entry["shape"])


# Tokenizer

def visible_bytes():
    """The character that stands for each byte in byte-level vocabularies: itself if it can be seen, else one from
    U+0100 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, unseen = {}, 0
    for byte in range(256):
        if byte in seen:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(256 + unseen)
            unseen += 1
    return letters


def vocabulary(size):
    """Tokens by id, and the merges that make all but the bytes and the special tokens: each joins a token, which may
    begin with a blank, with one more letter."""
    letters = visible_bytes()
    tokens = [letters[byte] for byte in range(256)]
    alphabet = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    merges, reached = [], [*alphabet, letters[ord(" ")]]
    wanted = size - len(tokens) - len(SPECIAL_TOKENS)
    for left in reached:
        for right in alphabet:
            if len(merges) == wanted:
                return [*tokens, *SPECIAL_TOKENS], merges
            merges.append((left, right))
            tokens.append(left + right)
            reached.append(left + right)
    raise AssertionError("the loop above grows the list that it walks, so it ends by its return")


def tokenizer_files(size):
    """tokenizer.json, tokenizer_config.json and generation_config.json, by name."""
    tokens, merges = vocabulary(size)
    first = size - len(SPECIAL_TOKENS)
    added = [
        {"id": first + n, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True} for n, content in enumerate(SPECIAL_TOKENS)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "tokenizer.json": {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "NFC"},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}, byte_level]},
            "post_processor": byte_level, "decoder": byte_level,
            "model": {
                "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                "vocab": {token: n for n, token in enumerate(tokens[:first])},
                "merges": [f"{left} {right}" for left, right in merges]}},
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": False, "bos_token": None,
            "eos_token": SPECIAL_TOKENS[0], "pad_token": SPECIAL_TOKENS[0], "unk_token": None,
            "clean_up_tokenization_spaces": False, "errors": "replace", "split_special_tokens": False,
            "chat_template": CHAT_TEMPLATE,
            "added_tokens_decoder": {str(entry.pop("id")): entry for entry in (dict(e) for e in added)}},
        "generation_config.json": {
            "bos_token_id": first, "eos_token_id": first, "pad_token_id": first, "do_sample": False},
    }


# GGUF

def write_gguf(path, source, shape):
    """The weights of `source` as llama.cpp's converter writes them: matrices in F16, vectors in F32."""
    import gguf

    writer = gguf.GGUFWriter(path, "qwen2")
    heads = shape["num_attention_heads"]
    writer.add_name("random")
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(shape["num_key_value_heads"])
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    tokens, merges = vocabulary(shape["vocab_size"])
    first = len(tokens) - len(SPECIAL_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([
        gguf.TokenType.NORMAL if n < first else gguf.TokenType.CONTROL for n in range(len(tokens))])
    writer.add_token_merges([f"{left} {right}" for left, right in merges])
    writer.add_bos_token_id(first)
    writer.add_eos_token_id(first)
    writer.add_add_bos_token(False)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, shape["num_hidden_layers"])

    def target(values):
        return np.float16 if values.ndim == 2 else np.float32

    for name, values in read_safetensors(source):
        kind = np.dtype(target(values))
        writer.add_tensor_info(
            names.get_name(name, try_suffixes=(".weight", ".bias")), values.shape, kind, values.size * kind.itemsize)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, values in read_safetensors(source):
        # A tensor at a time, so that memory holds one and not the model.
        writer.write_tensor_data(from_bf16(np.asarray(values)).astype(target(values)))
    writer.close()


def quantize_gguf(source, path, kind):
    import llama_cpp

    quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = {"q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}[kind]
    status = llama_cpp.llama_model_quantize(source.encode(), path.encode(), ctypes.byref(parameters))
    if status != 0:
        sys.exit(f"llama.cpp's quantizer ended with {status}")


def make(path, write):
    """Calls `write` with a path beside and renames what it wrote, so that a file with its name is a whole one."""
    if os.path.exists(path):
        return
    print(f"writing {path}", file=sys.stderr)
    write(path + ".part")
    os.replace(path + ".part", path)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)


def main():
    parser = argparse.ArgumentParser(description="Makes a model of a known shape with random weights.")
    parser.add_argument("--output_dir", "--output-dir")
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-0.5b")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gguf", default="", help=f"types to write as GGUF, too: {','.join(GGUF_TYPES)}")
    parser.add_argument("--describe", action="store_true", help="write nothing; print the shape as JSON")
    options = parser.parse_args()
    if not options.describe and not options.output_dir:
        parser.error("--output_dir DIR says where to write")
    kinds = [kind for kind in options.gguf.split(",") if kind]
    unknown = [kind for kind in kinds if kind not in GGUF_TYPES]
    if unknown:
        parser.error(f"--gguf: {unknown[0]} is none of {', '.join(GGUF_TYPES)}")
    shape = SHAPES[options.shape]
    if options.describe:
        embedding, layers = matrix_parameters(shape)
        print(json.dumps({**shape, "embedding_parameters": embedding, "layer_parameters": layers}))
        return

    def path(name):
        return os.path.join(options.output_dir, name)

    os.makedirs(options.output_dir, exist_ok=True)
    files = {"config.json": configuration(shape), **tokenizer_files(shape["vocab_size"])}
    for name, value in files.items():
        make(path(name), lambda part, value=value: write_json(part, value))
    weights = path("model.safetensors")
    make(weights, lambda part: write_safetensors(part, shape, options.seed))
    if kinds:
        make(path("model-f16.gguf"), lambda part: write_gguf(part, weights, shape))
    for kind in kinds:
        if kind != "f16":
            make(path(f"model-{kind}.gguf"),
                 lambda part, kind=kind: quantize_gguf(path("model-f16.gguf"), part, kind))


if __name__ == "__main__":
    main()
