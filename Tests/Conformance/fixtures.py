"""Finding what a manifest needs before it can run: the templates, ConfigMaps and Secrets that it names.

Read line by line and by pattern, since Python has no YAML in its standard library. It errs on the side of loading:
a fixture that is loaded and not needed changes nothing.
"""

import os
import re

KINDS = {"WorkflowTemplate", "ClusterWorkflowTemplate", "ConfigMap", "Secret"}
REFERENCE = re.compile(
    r"(workflowTemplateRef|templateRef|configMapKeyRef|secretKeyRef|configMapRef|secretRef|configMap|secret"
    r"|artifactRepositoryRef|[A-Za-z]+Secret)\b")
NAME = re.compile(r"(?:^|[{,\s-])(?:name|configMap|secretName)\s*:\s*[\"']?([A-Za-z0-9][-A-Za-z0-9._]*)[\"']?", re.M)


class Fixtures:
    def __init__(self, folder):
        self.paths = {}
        self.texts = {}
        for directory, _, files in sorted(os.walk(folder)):
            for name in sorted(files):
                if name.endswith((".yaml", ".yml")):
                    self.add(os.path.join(directory, name))

    def add(self, path):
        text = open(path, encoding="utf-8", errors="replace").read()
        documents = documents_of(text)
        # A file with a Workflow is run, not loaded: two Workflows at once would be too many.
        if any(kind in ("Workflow", "CronWorkflow") for kind, _ in documents):
            return
        for kind, name in documents:
            if kind in KINDS and name:
                self.paths.setdefault(name, set()).add(path)
                self.texts[path] = text

    def needed_by(self, manifest, note=""):
        """Files to load before `manifest`, those that fixtures need themselves included."""
        manifest = os.path.realpath(manifest)
        found, waiting = [], [open(manifest, encoding="utf-8", errors="replace").read()]
        for path, text in self.texts.items():
            if note and os.path.basename(path) in note and os.path.realpath(path) != manifest:
                found.append(path)
                waiting.append(text)
        while waiting:
            text = waiting.pop()
            if not REFERENCE.search(text):
                continue
            for name in sorted(set(NAME.findall(text))):
                for path in sorted(self.paths.get(name, ())):
                    if path not in found and os.path.realpath(path) != manifest:
                        found.append(path)
                        waiting.append(self.texts[path])
        return found


def documents_of(text):
    """Kind and name of each document."""
    result = []
    for part in re.split(r"^---.*$", text, flags=re.M):
        kind = re.search(r"^kind:\s*[\"']?(\w+)", part, re.M)
        metadata = re.search(r"^metadata:[^\n]*\n((?:[ \t]+[^\n]*\n|\s*\n)*)", part + "\n", re.M)
        name = metadata and re.search(r"^\s+name:\s*[\"']?([^\"'\s]+)", metadata.group(1), re.M)
        if kind:
            result.append((kind.group(1), name.group(1) if name else ""))
    return result
