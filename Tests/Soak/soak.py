#!/usr/bin/env python3
"""Many rude clients against `martlet serve`: they connect, vanish, cancel, and send rubbish.

    soak.py --martlet PATH [--minutes M] [--clients N] [--seed S]

A small model of random weights is written first. While the clients are at work the server's memory is read every few
seconds; afterwards it must answer as in the beginning, hold no request and no block of its cache, and its memory must
not have grown since the first third; and it must have logged no error, since all mistakes were the clients'. The exit
status is 1 if any of that fails.
"""

import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HIDDEN, INNER, LAYERS, VOCABULARY = 64, 128, 2, 260
# Memory may move by this much: buffers of connections, the allocator's reserve.
TOLERANCE_MIB = 24


def write_model(folder, seed):
    """A Llama of random weights and a tokenizer of single bytes."""
    chance = random.Random(seed)
    shapes = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "lm_head.weight": (VOCABULARY, HIDDEN),
              "model.norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        shapes[prefix + "input_layernorm.weight"] = shapes[prefix + "post_attention_layernorm.weight"] = (HIDDEN,)
        for name, rows, columns in (
                ("self_attn.q_proj", HIDDEN, HIDDEN), ("self_attn.k_proj", HIDDEN // 2, HIDDEN),
                ("self_attn.v_proj", HIDDEN // 2, HIDDEN), ("self_attn.o_proj", HIDDEN, HIDDEN),
                ("mlp.gate_proj", INNER, HIDDEN), ("mlp.up_proj", INNER, HIDDEN), ("mlp.down_proj", HIDDEN, INNER)):
            shapes[f"{prefix}{name}.weight"] = (rows, columns)
    header, body = {}, bytearray()
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [1.0] * count if len(shape) == 1 else [chance.uniform(-0.3, 0.3) for _ in range(count)]
        start = len(body)
        body += struct.pack(f"<{count}f", *values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, len(body)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
    plain = set(range(0x21, 0x7F)) | set(range(0xA1, 0xAD)) | set(range(0xAE, 0x100))
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)}
    files = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
            "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 1024, "eos_token_id": 259},
        "tokenizer.json": {
            "added_tokens": [{"id": 259, "content": "<end>", "special": True}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {letters[byte]: byte for byte in range(256)}, "merges": []}},
        "tokenizer_config.json": {
            "eos_token": "<end>",
            "chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"},
    }
    for name, value in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file)


class Soak:
    def __init__(self, options, folder):
        self.options = options
        self.counts = {}
        self.lock = threading.Lock()
        self.log = os.path.join(folder, "log")
        with open(self.log, "wb") as log:
            self.server = self.start(options, folder, log)
        line = self.server.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            sys.exit(f"the server did not start: {line}")
        self.port = int(found[1])
        self.ends = time.monotonic() + 60 * options.minutes

    @staticmethod
    def start(options, folder, log):
        return subprocess.Popen(
            [options.martlet, "serve", folder, "--port", "0", "--max-num-seqs", "16", "--max-queue", "64",
             "--kv-cache-tokens", "8192"], stdout=subprocess.PIPE, stderr=log, text=True)

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def request(self, chance, **fields):
        body = {"model": os.path.basename(self.options.folder), "max_tokens": chance.choice([1, 8, 40, 200]),
                "ignore_eos": True, "stream": chance.random() < 0.6}
        body.update(fields)
        return json.dumps(body).encode()

    def client(self, seed):
        chance = random.Random(seed)
        while time.monotonic() < self.ends:
            act = chance.choice([self.polite, self.polite, self.vanishing, self.half, self.rubbish, self.mutated])
            try:
                act(chance)
            except (OSError, http.client.HTTPException):
                self.count("refused or broken connection")
            time.sleep(chance.random() * 0.05)

    def prompt(self, chance):
        common = "The same beginning of many prompts, which the cache should share. "
        return common * chance.randint(0, 2) + "".join(
            chance.choice("abcdefgh ") for _ in range(chance.randint(1, 120)))

    def open(self, path, body):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return connection

    def polite(self, chance):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/v1/completions", self.request(chance, prompt=self.prompt(chance)),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        self.count(f"status {answer.status}")

    def vanishing(self, chance):
        with self.open("/v1/completions", self.request(chance, prompt=self.prompt(chance), stream=True)) as connection:
            for _ in range(chance.randint(0, 5)):
                if not connection.recv(200):
                    break
            if chance.random() < 0.5:
                # A reset in place of an orderly end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.count("vanished")

    def half(self, chance):
        body = self.request(chance, prompt=self.prompt(chance))
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body[:chance.randint(0, len(body) - 1)])
        self.count("half a request")

    def rubbish(self, chance):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(bytes(chance.randrange(256) for _ in range(chance.randint(1, 500))))
            connection.settimeout(5)
            connection.recv(100)
        self.count("rubbish")

    def mutated(self, chance):
        body = bytearray(self.request(chance, prompt=self.prompt(chance), stream=False))
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        with self.open(chance.choice(["/v1/completions", "/v1/chat/completions", "/tokenize"]), bytes(body)) as connection:
            connection.settimeout(60)
            status = connection.recv(64).split(b" ")[1:2]
        self.count(f"changed request: {status[0].decode() if status else 'closed'}")

    def memory(self):
        with open(f"/proc/{self.server.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1]) / 1024

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)", text, re.M)[1])

    def answer(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        body = {"model": os.path.basename(self.options.folder), "prompt": "unchanging", "max_tokens": 24,
                "temperature": 0, "ignore_eos": True}
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["choices"][0]["text"]

    def run(self):
        before = self.answer()
        threads = [threading.Thread(target=self.client, args=(self.options.seed * 1000 + n,))
                   for n in range(self.options.clients)]
        for thread in threads:
            thread.start()
        samples = []
        while time.monotonic() < self.ends and self.server.poll() is None:
            time.sleep(2)
            samples.append(self.memory())
        for thread in threads:
            thread.join()
        if self.server.poll() is not None:
            return [f"the server ended with status {self.server.returncode}"]
        return self.verdict(before, samples)

    def verdict(self, before, samples):
        problems = []
        deadline = time.monotonic() + 60
        while self.metric("vllm:num_requests_running") + self.metric("vllm:num_requests_waiting") > 0:
            if time.monotonic() > deadline:
                problems.append("requests of clients that are gone still run after a minute")
                break
            time.sleep(0.2)
        usage = self.metric("vllm:kv_cache_usage_perc")
        if usage != 0:
            problems.append(f"{usage:.2%} of the cache's blocks are not free")
        if self.answer() != before:
            problems.append("the answer to the same prompt has changed")
        third = max(samples[: max(1, len(samples) // 3)])
        last = max(samples[-max(1, len(samples) // 6):])
        print(f"memory: {third:.0f} MiB at most in the first third, {last:.0f} MiB at the end")
        if last > third + TOLERANCE_MIB:
            problems.append(f"memory grew by {last - third:.0f} MiB")
        self.server.send_signal(signal.SIGTERM)
        try:
            status = self.server.wait(60)
            if status != 0:
                problems.append(f"after TERM the server ended with status {status}")
        except subprocess.TimeoutExpired:
            problems.append("the server did not end within a minute after TERM")
        with open(self.log, encoding="utf-8", errors="replace") as log:
            errors = [line.strip() for line in log if re.match(r"\S+ (error|critical) ", line)]
        if errors:
            problems.append(f"the server logged {len(errors)} errors, the first: {errors[0]}")
        return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.folder = tempfile.mkdtemp(prefix="martlet-soak-")
    soak = None
    try:
        write_model(options.folder, options.seed)
        soak = Soak(options, options.folder)
        print(f"{options.clients} clients for {options.minutes:g} minutes, seed {options.seed}")
        problems = soak.run()
        for what in sorted(soak.counts):
            print(f"  {soak.counts[what]:7} {what}")
        for problem in problems:
            print(f"FAILED: {problem}")
        if not problems:
            print("ok: memory is flat, every block is free, the answer is the same")
        return 1 if problems else 0
    finally:
        if soak is not None and soak.server.poll() is None:
            soak.server.kill()
            soak.server.wait()
        shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
