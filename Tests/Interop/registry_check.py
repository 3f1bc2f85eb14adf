#!/usr/bin/env python3
"""Whether `huggingface_hub` (and `transformers`, if it is there) load from `/hf` the models that runs have made.

    registry_check.py [--martlet PATH]

Needs huggingface_hub (PyPI). All traffic stays on this machine. A small model is fetched
from a folder by a run of `martlet server`, quantized by a second step, tagged, fetched by name, version and tag, and
exported.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from server import Checks, Server
from tuned_model import ask, tune, until, write_base


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=os.path.join(HERE, "..", "..", ".build", "debug", "martlet"))
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="martlet-registry-")
    os.environ["HF_HOME"] = folder + "/hf"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import huggingface_hub
    except ImportError:
        sys.exit("huggingface_hub is not installed")
    check = Checks()
    base = write_base(folder + "/base")
    with Server(os.path.abspath(options.martlet), "--sandbox", "plain") as server:
        check("the run succeeds", tune(server, base)["phase"] == "Succeeded")
        models = until(lambda: ask(server, "GET", "/models")["items"], lambda found: len(found) == 2)
        check("both models are recorded", sorted(m["name"] for m in models) == ["tune-base", "tune-quantize"], str(models))
        detail = ask(server, "GET", "/models/default/tune-quantize")
        family = {m["name"]: m for m in detail["family"]}
        check("the quantized model knows its parent", [p["id"] for p in detail["parents"]] == [family["tune-base"]["id"]])
        ask(server, "POST", "/models/default/tune-base/tags", {"tag": "production", "reference": "v1"})
        api = huggingface_hub.HfApi(endpoint=server.url + "/hf")
        check("the hub lists them", sorted(m.id for m in api.list_models()) == ["tune-base", "tune-quantize"])
        for revision in (None, "main", "v1", "production"):
            path = huggingface_hub.snapshot_download(
                "tune-base", revision=revision, endpoint=server.url + "/hf", local_dir=f"{folder}/got-{revision}")
            names = sorted(os.listdir(path))
            check(f"NAME at {revision} is a model", "config.json" in names and "model.safetensors" in names, str(names))
        info = api.model_info("tune-base", revision="production")
        check("its commit is that of the registry", info.sha == family["tune-base"]["commit"], info.sha)
        check.raises("a tag that is not there is told so", huggingface_hub.errors.RevisionNotFoundError,
                     lambda: api.model_info("tune-base", revision="nothing"))
        check.raises("a model that is not there is told so", huggingface_hub.errors.RepositoryNotFoundError,
                     lambda: api.model_info("nothing"))
        try:
            import transformers
        except ImportError:
            print("skip: transformers is not installed")
        else:
            os.environ["HF_ENDPOINT"] = server.url + "/hf"
            model = transformers.AutoModelForCausalLM.from_pretrained(f"{folder}/got-production")
            check("transformers loads it", model.num_parameters() > 0)
        done = subprocess.run(
            [options.martlet, "models", "show", "tune-quantize", "--server", server.url], capture_output=True,
            text=True, check=False)
        check("the command line shows the family", "tune-base:v1" in done.stdout, done.stdout + done.stderr)
        done = subprocess.run(
            [options.martlet, "models", "export", "tune-base:production", folder + "/exported", "--data-dir",
             server.folder + "/data"], capture_output=True, text=True, check=False)
        check("and exports a version", os.path.exists(folder + "/exported/config.json"), done.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{check.failures} failures")
    sys.exit(check.failures > 0)


if __name__ == "__main__":
    main()
