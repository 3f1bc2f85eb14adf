"""Prometheus scrapes a running server; promtool checks rules, their tests, and our text.

Needs prometheus and promtool (Debian's package prometheus). Nothing leaves the loopback interface.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
# Argo's counters are called so, and dashboards know them by these names.
ARGO_COUNTERS = {
    "argo_workflows_total_count", "argo_workflows_pods_total_count", "argo_workflows_error_count",
    "argo_workflows_log_messages", "argo_workflows_check_runs", "argo_workflows_gauge",
    "argo_workflows_queue_depth_gauge",
}
WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: measured}
spec:
  entrypoint: main
  metrics:
    prometheus:
    - {name: check_runs, help: "Runs\\nof the check", labels: [{key: status, value: "{{status}}"}], counter: {value: "1"}}
  templates:
  - name: main
    container: {image: x, command: ["true"]}
    metrics:
      prometheus:
      - {name: check_seconds, help: Duration, histogram: {value: "{{duration}}", buckets: [0.1, 1, 10]}}
"""
CRON = """
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: often}
spec:
  schedules: ["@every 1s"]
  workflowSpec:
    entrypoint: main
    templates: [{name: main, container: {image: x, command: ["true"]}}]
"""


class Checks:
    def __init__(self):
        self.failures = 0

    def check(self, name, holds, detail=""):
        print(f"{'ok  ' if holds else 'FAIL'} {name} {detail if not holds else ''}".rstrip(), flush=True)
        self.failures += 0 if holds else 1


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read().decode()


def wait_for(body, seconds=60):
    """What `body` gives once it is true; None when it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            value = body()
            if value:
                return value
        except (OSError, ValueError):
            pass
        time.sleep(0.2)
    return None


def promtool(*words, text=None):
    return subprocess.run(["promtool", *words], input=text, capture_output=True, text=True)


def check_rules(checks):
    outcome = promtool("check", "rules", str(MONITORING / "alerts.yaml"))
    checks.check("promtool accepts the rules", outcome.returncode == 0, outcome.stderr)
    outcome = promtool("test", "rules", str(MONITORING / "alerts_test.yaml"))
    checks.check("each rule fires when it should", outcome.returncode == 0, outcome.stdout + outcome.stderr)
    outcome = promtool("check", "config", str(MONITORING / "prometheus.yaml"))
    checks.check("promtool accepts the configuration", outcome.returncode == 0, outcome.stdout + outcome.stderr)


def check_text(checks, text):
    outcome = promtool("check", "metrics", text=text)
    problems = [line for line in outcome.stderr.splitlines() if line.split(" ")[0] not in ARGO_COUNTERS]
    checks.check("promtool accepts the text", not problems, "; ".join(problems[:5]))


class Query:
    def __init__(self, address):
        self.address = address

    def __call__(self, expression):
        text = fetch(f"{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        return [(r["metric"], float(r["value"][1])) for r in json.loads(text)["data"]["result"]]


def start_prometheus(folder, target, port):
    configuration = (MONITORING / "prometheus.yaml").read_text().replace("127.0.0.1:2746", target)
    configuration = configuration.replace("15s", "1s")
    (folder / "prometheus.yaml").write_text(configuration)
    shutil.copy(MONITORING / "alerts.yaml", folder / "alerts.yaml")
    log = open(folder / "prometheus.log", "w")
    return subprocess.Popen(
        ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/tsdb",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)


def run(martlet, folder, checks):
    data = folder / "data"
    environment = dict(os.environ, MARTLET_DATA_DIR=str(data))
    (folder / "workflow.yaml").write_text(WORKFLOW)
    (folder / "cron.yaml").write_text(CRON)
    server = subprocess.Popen(
        [martlet, "server", "--listen", "127.0.0.1:0", "--executor", "noop", "--log-format", "json"],
        env=environment, stdout=subprocess.PIPE, stderr=open(folder / "server.log", "w"), text=True)
    prometheus = None
    try:
        ready = server.stdout.readline()
        address = next((word for word in ready.split() if word.startswith("http://")), None)
        checks.check("the server tells its address", address is not None, ready)
        if address is None:
            return
        for words in (["submit", str(folder / "workflow.yaml")], ["cron", "create", str(folder / "cron.yaml")]):
            subprocess.run([martlet, *words], env=environment, check=True, capture_output=True)
        wait_for(lambda: 'argo_workflows_check_runs{status="Succeeded"} 1' in fetch(f"{address}/metrics"))
        text = fetch(f"{address}/metrics")
        check_text(checks, text)
        port = free_port()
        prometheus = start_prometheus(folder, address.removeprefix("http://"), port)
        query = Query(f"http://127.0.0.1:{port}")
        checks.check("Prometheus scrapes the server", bool(wait_for(lambda: query('up{job="martlet"} == 1'))))
        for name, expression in [
            ("a finished run is counted", 'argo_workflows_gauge{phase="Succeeded"} >= 1'),
            ("the workflow's own metric is there", 'argo_workflows_check_runs{status="Succeeded"} == 1'),
            ("its histogram is there", "argo_workflows_check_seconds_count == 1"),
            ("schedules fire", 'argo_workflows_cronworkflows_triggered_total{name="often"} >= 1'),
            ("they are not late", "martlet_cron_late_seconds < 5"),
            ("launches are counted", "martlet_launches_total >= 1"),
            ("the latency of scheduling is known",
             "histogram_quantile(0.95, sum by (le) (rate(martlet_scheduling_latency_seconds_bucket[1m]))) < 5"),
            ("requests are counted", 'sum(martlet_http_requests_total{operation="Metrics_Get"}) >= 1'),
            ("their times are known",
             "histogram_quantile(0.95, sum by (le) (rate(martlet_http_request_duration_seconds_bucket[1m]))) < 5"),
            ("the process is measured", "process_resident_memory_bytes > 1e6"),
            ("the disk is measured", "martlet_disk_free_bytes > 0"),
        ]:
            checks.check(name, bool(wait_for(lambda: query(expression), 30)), expression)
        rules = json.loads(fetch(f"http://127.0.0.1:{port}/api/v1/rules"))["data"]["groups"]
        healthy = [rule["health"] for group in rules for rule in group["rules"]]
        checks.check("Prometheus evaluates every rule", bool(healthy) and set(healthy) <= {"ok", "unknown"}, str(healthy))
        lines = (folder / "server.log").read_text().splitlines()
        objects = [line for line in lines if line.startswith("{")]
        checks.check(
            "log lines are objects with the fixed keys",
            all({"time", "level", "message", "label"} <= set(json.loads(line)) for line in objects))
    finally:
        for process in (prometheus, server):
            if process is not None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--martlet", required=True)
    options = parser.parse_args()
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        print(f"prometheus_check: install {' and '.join(missing)} (Debian's package prometheus)")
        return 1
    checks = Checks()
    check_rules(checks)
    with tempfile.TemporaryDirectory(prefix="martlet-prometheus-") as folder:
        run(os.path.abspath(options.martlet), pathlib.Path(folder), checks)
    print(f"{checks.failures} failures")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
