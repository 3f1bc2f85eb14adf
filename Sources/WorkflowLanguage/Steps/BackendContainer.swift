// Another program's command as the container of a step: what it leaves in its own way is put where the step's
// outputs are looked for.

package import Text

extension BackendCommand {
    /// The words of the container. The program is run by a few lines of Python, which it needs itself: these take
    /// its last checkpoint and its log for the step's outputs.
    package func containerWords(of step: MartletStep, places: Places = Places()) -> [String] {
        guard backend != .vllm, step.kind != .deploy else { return words }
        return ["python", "-c", Self.collector, places.outputs, step.kind.rawValue, module] + arguments
    }

    /// The container in the place of the step.
    package func container(of step: MartletStep, annotations: [String: String]) -> JSONValue {
        let words = containerWords(of: step)
        // Up to the arguments of the collector, what is run stays the same.
        let split = words.count - arguments.count
        var members: [String: JSONValue] = [
            "image": .string(image), "command": .array(words[..<split].map(JSONValue.string)),
            "args": .array(words[split...].map(JSONValue.string)),
        ]
        if let processes = annotations["martlet.dev/procs-per-node"], let count = Int(processes), count > 0 {
            members["env"] = [["name": "NPROC_PER_NODE", "value": .string(processes)]]
            members["resources"] = ["limits": ["nvidia.com/gpu": .int(count)]]
        }
        return .object(members)
    }

    /// Runs `python -m MODULE ...`. A training keeps its checkpoints where the attempts of a step keep theirs, goes on
    /// from the last, and gives it as the artifact, with the log; of an evaluation, the mean of the reports' scores is
    /// the score.
    static let collector = """
        import glob, json, os, shutil, subprocess, sys
        out, kind = sys.argv[1:3]
        args, run = sys.argv[3:], out + "/run"
        os.makedirs(out + "/parameters", exist_ok=True)
        os.makedirs(out + "/output", exist_ok=True)
        def saved():
            found = glob.glob(run + "/**/checkpoint-*", recursive=True)
            return sorted((int(d.rsplit("-", 1)[1]), d) for d in found if d.rsplit("-", 1)[1].isdigit()
                          and os.path.exists(d + "/trainer_state.json"))
        trains = kind in ("pretrain", "sft", "rlhf", "dpo")
        kept = os.environ.get("MARTLET_CHECKPOINT_DIR")
        if trains and kept:
            args = [kept + "/run" if a == run else a for a in args]
            run = kept + "/run"
            if saved():
                args += ["--resume_from_checkpoint", saved()[-1][1]]
        code = subprocess.call([sys.executable, "-m"] + args)
        if code != 0:
            sys.exit(code if code > 0 else 128 - code)
        given = {}
        if trains:
            found = saved()
            if not found:
                sys.exit("no checkpoint was saved below " + run)
            last = max(found)[1]
            name = "adapter" if os.path.exists(last + "/adapter_config.json") else "model"
            skip = shutil.ignore_patterns("optimizer.pt", "scheduler.pt", "rng_state*", "global_step*")
            shutil.copytree(last, out + "/" + name, ignore=skip, dirs_exist_ok=True)
            os.makedirs(out + "/logs", exist_ok=True)
            given["steps"] = max(found)[0]
            for log in glob.glob(run + "/**/logging.jsonl", recursive=True):
                shutil.copy(log, out + "/logs/logging.jsonl")
                for line in open(log, encoding="utf-8"):
                    try:
                        row = json.loads(line)
                    except ValueError:
                        continue
                    for key, name in (("train_loss", "train_loss"), ("eval_loss", "eval_loss"),
                                      ("eval_rewards/accuracies", "reward_accuracy"),
                                      ("eval_rewards/margins", "reward_margin")):
                        if key in row:
                            given[name] = row[key]
        if kind == "evaluate":
            scores = []
            for path in glob.glob(out + "/report/**/reports/**/*.json", recursive=True):
                try:
                    score = json.load(open(path, encoding="utf-8")).get("score")
                except (ValueError, AttributeError):
                    continue
                if isinstance(score, (int, float)):
                    scores.append(score)
            if scores:
                given["score"] = sum(scores) / len(scores)
        for name, value in given.items():
            open(out + "/parameters/" + name, "w").write(str(value))
        json.dump(given, open(out + "/parameters.json", "w"))
        """
}
