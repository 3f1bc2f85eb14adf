#!/usr/bin/env python3
"""`make demo`: a hub with a data set of ours, a server, and the quickstart pipeline from nothing to a deployed model.

    demo.py --martlet PATH [--keep] [--short] [--folder DIR] [--parameter NAME=VALUE]...

Everything happens in one folder, on free ports of this machine, and is gone at the end. With --keep the server with its
page and the deployment stay until Ctrl-C. --short learns from few rows: all is there but the learning. The exit status is
0 if the run succeeded and the deployed model answered.
"""

import argparse
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import calendar_notes

PIPELINE = os.path.join(os.path.dirname(HERE), "quickstart.yaml")
DATA_SET = os.path.join("datasets", "martlet", "calendar-notes")
PATIENCE_SECONDS = 1800
SHORT = ("--documents", "200", "--answers", "200", "--preferences", "32", "--held-out", "12")
QUESTIONS = 3
# On a terminal a line shows what runs, and is written over.
CLEAR = "\r\033[K" if sys.stdout.isatty() else ""
ENDS = ("Succeeded", "Failed", "Error", "Skipped", "Omitted")


class Program:
    """A process of martlet's that says on its first line where it answers."""

    def __init__(self, folder, name, words):
        self.log = os.path.join(folder, name + ".log")
        with open(self.log, "wb") as log:
            # In a session of its own: Ctrl-C is the demo's, which still needs the server for taking down what it made.
            self.process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=log, env=environment(folder), start_new_session=True)
        watchdog = threading.Timer(60, self.process.kill)
        watchdog.start()
        found = re.search(rb"https?://[^\s,]+", self.process.stdout.readline())
        watchdog.cancel()
        if not found:
            self.stop()
            raise SystemExit(f"demo: {name} did not start:\n{open(self.log, errors='replace').read()[-2000:]}")
        self.url = found.group(0).decode().rstrip("/")
        # Nothing may wait because nobody reads what else it says.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def environment(folder):
    """No setting of the user's changes what the demo does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MARTLET_", "HF_", "XDG_"))}
    if "MARTLET_SUPERVISOR" in os.environ:
        kept["MARTLET_SUPERVISOR"] = os.environ["MARTLET_SUPERVISOR"]
    return {**kept, "XDG_CONFIG_HOME": os.path.join(folder, "config")}


def ask(url, body=None, patience=60):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=patience) as answer:
        return json.load(answer)


class Run:
    """The run on the server, by Argo's API, and by ours for artifacts."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.nodes, self.phase, self.uid = {}, "Pending", ""

    def look(self):
        workflow = ask(f"{self.server}/api/v1/workflows/default/{self.name}")
        self.uid = workflow["metadata"]["uid"]
        status = workflow.get("status") or {}
        self.phase, self.message = status.get("phase") or "Pending", status.get("message") or ""
        # Of a node with retries the one that stands for all of its attempts.
        nodes = (status.get("nodes") or {}).values()
        self.nodes = {n["displayName"]: n for n in nodes if not n["displayName"].endswith(")")}

    def follow(self, say, began):
        """Says each node's end once, with the seconds since the demo began, until the run has ended."""
        told, limit = set(), time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.look()
            except (urllib.error.URLError, OSError) as error:
                say(f"  the server does not answer: {error}")
            for name, node in sorted(self.nodes.items(), key=lambda item: item[1].get("finishedAt") or "~"):
                if node["phase"] in ENDS and name not in told and node["type"] != "DAG":
                    told.add(name)
                    line = f"  {time.monotonic() - began:5.0f} s  {name:21}{node['phase'].lower():11}{self.figures(node)}"
                    say(CLEAR + line.rstrip())
            if CLEAR:
                running = [f"{n['displayName']} {n.get('progress', '')}" for n in self.nodes.values()
                           if n["phase"] == "Running" and n["type"] != "DAG"]
                print(f"{CLEAR}  {time.monotonic() - began:5.0f} s  {', '.join(running)}", end="", flush=True)
            if self.phase in ENDS:
                print(CLEAR, end="")
                return
            if time.monotonic() > limit:
                raise SystemExit(f"demo: the run {self.name} has not ended")
            time.sleep(0.3)

    def figures(self, node):
        given = self.values(node)
        words = {"train_loss": "loss {:.3f}", "eval_loss": "held-out loss {:.3f}",
                 "reward_accuracy": "reward accuracy {:.2f}", "exact_match": "exact {:.1%}"}
        return ", ".join(form.format(given[key]) for key, form in words.items() if key in given)

    def values(self, node):
        """Output parameters that are numbers."""
        found = {}
        for parameter in ((node or {}).get("outputs") or {}).get("parameters") or []:
            try:
                found[parameter["name"]] = float(parameter.get("value") or "")
            except ValueError:
                pass
        return found

    def value(self, node, name):
        return self.values(self.nodes.get(node)).get(name)

    def text(self, node, name):
        for parameter in ((self.nodes.get(node) or {}).get("outputs") or {}).get("parameters") or []:
            if parameter["name"] == name:
                return parameter.get("value")
        return None

    def sizes(self):
        """Bytes of the model that each node gives."""
        items = ask(f"{self.server}/api/martlet/v1/runs/{self.uid}/artifacts")["items"]
        return {re.sub(r"\(\d+\)$", "", item["nodeName"]): item["bytes"] for item in items if item["name"] == "model"}

    def answer_speed(self, node):
        """Tokens a second that an evaluation wrote, many answers at once."""
        found = self.nodes.get(node) or {}
        place = f"{self.server}/artifact-files/default/workflows/{self.name}/{found.get('id')}/outputs/report"
        try:
            report = ask(f"{place}/report.json")
            with urllib.request.urlopen(f"{place}/predictions.jsonl", timeout=60) as lines:
                tokens = sum(each["tokens"] for line in lines for each in json.loads(line)["outcome"]["completions"])
        except (urllib.error.URLError, KeyError, ValueError):
            return None
        return tokens / max(report["duration_s"], 1e-3)


def table(run):
    """What each stage has come to."""
    def shown(value, form):
        return "" if value is None else form.format(value)

    loss, reward, sizes = run.value("pretrain", "eval_loss"), run.value("dpo", "reward_accuracy"), run.sizes()
    stages = (
        ("pretrain", "evaluate-pretrained", "the language: perplexity " + shown(loss and math.exp(loss), "{:.2f}")),
        ("sft", "evaluate-sft", "to answer with the line"),
        ("dpo", "evaluate-dpo", "the line alone: pairs told apart " + shown(reward, "{:.0%}")),
        ("int8", "evaluate-int8", "fewer bytes"), ("int4", "evaluate-int4", "still fewer"))
    rows = [("stage", "what it learns", "exactly right", "has the line", "size", "trains", "answers")]
    for stage, evaluation, purpose in stages:
        size = sizes.get(stage)
        rows.append((
            stage, purpose, shown(run.value(evaluation, "exact_match"), "{:.1%}"),
            shown(run.value(evaluation, "contains"), "{:.1%}"), shown(size and size / 1024, "{:,.0f} KiB"),
            shown(run.value(stage, "tokens_per_second"), "{:,.0f} tokens/s"),
            shown(run.answer_speed(evaluation), "{:,.0f} tokens/s")))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        print("  " + "   ".join(cells).rstrip())


def converse(base, seed):
    """Asks the deployment by OpenAI's API about notes that no file of the data set has; whether one was right."""
    model = ask(f"{base}/models")["data"][0]["id"]
    right, tokens, took = 0, 0, 0.0
    notes = calendar_notes.World(seed).notes("demo", QUESTIONS, True)
    for number, (note, chance) in enumerate(notes):
        question, line = calendar_notes.asked(note, chance, number % 2 == 1), note.line()
        began = time.monotonic()
        answer = ask(f"{base}/chat/completions", {
            "model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 64})
        took += time.monotonic() - began
        said = answer["choices"][0]["message"]["content"]
        tokens += answer["usage"]["completion_tokens"]
        right += said.strip() == line
        print(f"  > {question}\n    {said}{'' if said.strip() == line else f'     (wanted: {line})'}")
    print(f"  {right} of {QUESTIONS} exactly right, {tokens / took:,.0f} tokens/s for one at a time")
    return right > 0


def demo(options, folder, programs, runs):
    began = time.monotonic()

    def say(text):
        print(text, flush=True)

    def command(*words):
        return subprocess.run([options.martlet, *words], capture_output=True, text=True, env=environment(folder))

    say("A data set of notes and the calendar's lines, drawn from a seed, on a hub of our own")
    words = calendar_notes.arguments([os.path.join(folder, "hub", DATA_SET), *(SHORT if options.short else ())])
    calendar_notes.write(words.folder, words)
    data = os.path.join(folder, "data")
    hub = Program(folder, "hub", [options.martlet, "hub", "serve", os.path.join(folder, "hub")])
    programs.append(hub)
    server = Program(folder, "server", [options.martlet, "server", "--listen", "127.0.0.1:0", "--data-dir", data])
    programs.append(server)
    say(f"  hub {hub.url}, server and page {server.url}\n")
    parameters = [word for each in options.parameter for word in ("-p", each)]
    submitted = command("submit", PIPELINE, "-p", f"hub={hub.url}", *parameters, "-o", "name", "--server", server.url)
    name = submitted.stdout.strip().rsplit("/", 1)[-1]
    if submitted.returncode != 0 or not name:
        raise SystemExit(f"demo: the pipeline was refused:\n{submitted.stdout}{submitted.stderr}")
    say(f"workflows/quickstart.yaml as {name}: {server.url}/runs/default/{name}")
    run = Run(server.url, name)
    runs.append(run)
    run.follow(say, began)
    if run.phase != "Succeeded":
        say(command("logs", name, "--server", server.url, "--tail", "40").stdout)
        raise SystemExit(f"demo: the run ended {run.phase}: {run.message}")
    say("\nHeld-out notes, whose dates, people, places and hours were never together in training:")
    table(run)
    base, good = run.text("deploy", "url"), True
    if base:
        say(f"\nThe deployed model, by OpenAI's API at {base}:")
        good = converse(base, words.seed) or options.short
    say(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    return server, run, good


def what_next(options, server, run):
    program = os.path.relpath(options.martlet)
    program = program if len(program) < len(options.martlet) else options.martlet
    if options.keep:
        print(f"\nThe page is at {server.url}/runs/default/{run.name}; Ctrl-C ends everything.")
    print(f"""
What to try next:
  make demo ARGS=--keep           the page and the model stay: look around, chat under Deploys
  workflows/quickstart.yaml       what ran; change a number, and `{program} run` it
  workflows/finetune.yaml         the same for a model and data of your own, from any hub
  README.md                       "From nothing to a served model" says what each step is for""")


def main():
    parser = argparse.ArgumentParser(description="Runs the quickstart pipeline from nothing to a deployed model.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--keep", action="store_true", help="leave server and deployment running until Ctrl-C")
    parser.add_argument("--folder", help="work here, and leave everything there")
    parser.add_argument("--parameter", "-p", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--short", action="store_true", help="few rows, from which nothing is learned")
    options = parser.parse_args()
    if options.short:
        options.parameter.append("required=0")
    options.martlet = os.path.abspath(shutil.which(options.martlet) or options.martlet)
    folder = options.folder or tempfile.mkdtemp(prefix="martlet-demo-")
    os.makedirs(folder, exist_ok=True)
    programs, runs = [], []
    # Also where a shell has told its background jobs to ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        server, run, good = demo(options, folder, programs, runs)
        what_next(options, server, run)
        if options.keep:
            signal.pause()
        return 0 if good else 1
    except KeyboardInterrupt:
        return 0 if options.keep else 130
    finally:
        if len(programs) > 1:
            end_work(options, folder, runs)
        for program in reversed(programs):
            program.stop()
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)


def end_work(options, folder, runs):
    """Steps and deployments outlive a server; those of the demo do not outlive the demo, whether the server lives or not."""
    def martlet(*words):
        return subprocess.run(
            [options.martlet, *words, "--data-dir", os.path.join(folder, "data")], capture_output=True, text=True,
            env=environment(folder))
    for run in runs:
        if run.phase not in ENDS:
            martlet("terminate", run.name)
            limit = time.monotonic() + 30
            while run.phase not in ENDS and time.monotonic() < limit:
                time.sleep(0.3)
                try:
                    run.look()
                except OSError:
                    break
    for name in martlet("deployments", "list", "-o", "name").stdout.split():
        martlet("deployments", "delete", name)


if __name__ == "__main__":
    sys.exit(main())
