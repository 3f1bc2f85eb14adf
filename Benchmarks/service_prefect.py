"""Prefect's server from PyPI, in an environment of its own, with a history of copied runs."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid


class Prefect:
    def __init__(self, folder):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        self.home = os.path.join(cache, "martlet-bench", "prefect")
        self.folder = os.path.join(folder, "prefect")
        self.python = os.path.join(self.home, "bin", "python")
        os.makedirs(self.folder)
        self.install()
        done = subprocess.run(
            [self.python, "-c", "import importlib.metadata as m; print(m.version('prefect'))"],
            capture_output=True, text=True, check=True)
        self.version = done.stdout.strip()

    def install(self):
        if os.path.exists(self.python) and subprocess.run(
                [self.python, "-c", "import importlib.metadata as m; m.version('prefect')"],
                capture_output=True).returncode == 0:
            return
        print("installing Prefect from PyPI …", file=sys.stderr)
        for words in ([sys.executable, "-m", "venv", self.home],
                      # Newer versions of fastapi no longer know an argument that Prefect's server still gives.
                      [self.python, "-m", "pip", "install", "-q", "prefect", "fastapi==0.139.0"]):
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode != 0:
                shutil.rmtree(self.home, ignore_errors=True)
                sys.exit("Prefect: " + (done.stderr.strip() or done.stdout.strip()).splitlines()[-1])

    def start(self, runs):
        """A running server with that many flow runs."""
        first = PrefectServer(self)
        flow = first.request("/flows/", {"name": "bench"})["id"]
        first.request("/flow_runs/", {"flow_id": flow, "name": "bench", "state": {"type": "COMPLETED"}})
        first.stop()
        self.copy(runs)
        return PrefectServer(self)

    def copy(self, count):
        database = sqlite3.connect(os.path.join(self.folder, "prefect.db"), isolation_level=None)
        database.execute("PRAGMA foreign_keys = OFF")
        rows = {}
        for table in ("flow_run", "flow_run_state"):
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")
                     if row[1] not in self.generated(database, table)]
            rows[table] = dict(zip(names, database.execute(f"SELECT {', '.join(names)} FROM {table}").fetchone()))
        database.execute("BEGIN")
        for number in range(count):
            run, state = dict(rows["flow_run"]), dict(rows["flow_run_state"])
            run["id"], state["id"] = str(uuid.uuid4()), str(uuid.uuid4())
            run["name"], run["state_id"], state["flow_run_id"] = f"bench-{number}", state["id"], run["id"]
            if run.get("idempotency_key"):
                run["idempotency_key"] = run["id"]
            for table, row in (("flow_run", run), ("flow_run_state", state)):
                database.execute(
                    f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        database.execute("COMMIT")
        database.close()

    @staticmethod
    def generated(database, table):
        """Columns that the database makes itself cannot be inserted."""
        return {row[1] for row in database.execute(f"PRAGMA table_xinfo({table})") if row[6] in (2, 3)}


class PrefectServer:
    def __init__(self, prefect):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api"
        environment = {
            **os.environ, "PREFECT_HOME": prefect.folder, "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{prefect.folder}/prefect.db"}
        self.process = subprocess.Popen(
            [prefect.python, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(self.url + "/health", timeout=2)
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.stop()
                    sys.exit("Prefect's server did not start within two minutes")
                time.sleep(0.3)

    def request(self, path, body):
        call = urllib.request.Request(
            self.url + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(call, timeout=60) as reply:
            return json.loads(reply.read())

    def pids(self):
        """The server with all its children."""
        found, pending = [], [self.process.pid]
        while pending:
            pid = pending.pop()
            found.append(pid)
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
                    pending += [int(word) for word in file.read().split()]
            except OSError:
                continue
        return found

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, 15)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait(30)
