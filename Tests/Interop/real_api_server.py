"""Kubernetes' own API server for checks: built once from the source that Debian has, and run on the loopback interface
with etcd, without nodes and controllers.

Needs Debian's archive and root (or sudo) the first time; minutes, and 2 GB while it is built. Debian's release is old
(1.20): it knows neither native sidecars nor Indexed Jobs, but lists, watches, patches, deletions and rights as ever.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "martlet-bench" / "kubernetes"
PACKAGES = ["golang-go", "etcd-server", "rsync", "dpkg-dev", "openssl", "golang-github-modern-go-reflect2-dev"]
ADMIN = "the-admin-of-the-check"
START_SECONDS = 120


def root():
    return [] if os.geteuid() == 0 else ["sudo"]


def source_lists():
    """The machine's own lines of Debian's archive, as lines for sources."""
    lines = []
    for path in [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("*")]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        lines += [line.replace("deb ", "deb-src ", 1) for line in text.splitlines() if line.startswith("deb ")]
        for block in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^(\S+):[ \t]*(.*)$", block, re.M))
            if fields.get("Types", "").startswith("deb") and "URIs" in fields:
                signed = f" [signed-by={fields['Signed-By']}]" if "Signed-By" in fields else ""
                lines += [f"deb-src{signed} {uri} {suite} {fields.get('Components', 'main')}"
                          for uri in fields["URIs"].split() for suite in fields["Suites"].split()]
    return "\n".join(lines) + "\n"


def build():
    """- Returns: the server's path; it is built if it is not there yet."""
    program = CACHE / "kube-apiserver"
    if program.exists() and shutil.which("etcd"):
        return program
    print("building Kubernetes' API server from Debian's source (some minutes, once) …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*root(), "apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        [*root(), "apt-get", "install", "-q", "-y", "--no-install-recommends", *PACKAGES], check=True,
        stdout=subprocess.DEVNULL, env=environment)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="martlet-kubernetes-") as scratch:
        lists = pathlib.Path(scratch) / "lists"
        (lists / "partial").mkdir(parents=True)
        sources = pathlib.Path(scratch) / "sources.list"
        sources.write_text(source_lists(), encoding="utf-8")
        apt = ["apt-get", "-q", "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=-",
               "-o", f"Dir::State::Lists={lists}", "-o", "APT::Sandbox::User="]
        subprocess.run([*apt, "update"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*apt, "source", "--download-only", "kubernetes"], check=True, cwd=scratch, stdout=subprocess.DEVNULL)
        archive = next(pathlib.Path(scratch).glob("kubernetes_*.orig.tar.*"))
        subprocess.run(["tar", "-xf", str(archive), "-C", scratch], check=True)
        tree = next(path for path in pathlib.Path(scratch).iterdir() if path.is_dir() and path.name.startswith("kubernetes-"))
        # The copy in the source reads beyond maps of Go 1.18 and later.
        vendored = tree / "vendor" / "github.com" / "modern-go" / "reflect2"
        for path in [*vendored.glob("*.go"), *vendored.glob("*.s")]:
            path.unlink()
        for path in pathlib.Path("/usr/share/gocode/src/github.com/modern-go/reflect2").iterdir():
            if path.suffix in (".go", ".s") and not path.name.endswith("_test.go"):
                shutil.copy(path, vendored)
        place = pathlib.Path(scratch) / "go" / "src" / "k8s.io"
        place.mkdir(parents=True)
        (place / "kubernetes").symlink_to(tree)
        log = CACHE / "build.log"
        with open(log, "wb") as output:
            outcome = subprocess.run(
                ["make", "WHAT=cmd/kube-apiserver"], cwd=place / "kubernetes", stdout=output, stderr=output,
                env={**os.environ, "HOME": scratch, "GOPATH": f"{scratch}/go", "GOCACHE": f"{scratch}/cache",
                     "GO111MODULE": "off", "CGO_ENABLED": "0", "PWD": str(place / "kubernetes")})
        built = tree / "_output" / "bin" / "kube-apiserver"
        if outcome.returncode or not built.exists():
            sys.exit(f"the API server cannot be built; {log} says why")
        shutil.copy(built, CACHE / "kube-apiserver.new")
        os.rename(CACHE / "kube-apiserver.new", program)
    return program


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RealAPIServer:
    """Runs for the length of a `with` block. The token ADMIN may do everything."""

    def __enter__(self):
        program = build()
        self.folder = tempfile.mkdtemp(prefix="martlet-api-")
        self.processes = []
        try:
            self.start(program)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, program):
        self.make_keys()
        etcd, peer, port = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{port}"
        (pathlib.Path(self.folder) / "tokens.csv").write_text(f"{ADMIN},admin,admin,system:masters\n", encoding="utf-8")
        self.run(
            "etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--listen-client-urls", f"http://127.0.0.1:{etcd}",
            "--advertise-client-urls", f"http://127.0.0.1:{etcd}", "--listen-peer-urls", f"http://127.0.0.1:{peer}")
        self.run(
            str(program), "--etcd-servers", f"http://127.0.0.1:{etcd}", "--secure-port", str(port), "--bind-address",
            "127.0.0.1", "--advertise-address", "127.0.0.1", "--tls-cert-file", "server.crt", "--tls-private-key-file",
            "server.key", "--client-ca-file", "ca.crt", "--cert-dir", "certificates", "--service-account-issuer",
            "https://kubernetes.default.svc", "--service-account-key-file", "account.pub",
            "--service-account-signing-key-file", "account.key", "--authorization-mode", "Node,RBAC", "--token-auth-file",
            "tokens.csv", "--service-cluster-ip-range", "10.0.0.0/24", "--kubelet-preferred-address-types", "InternalIP")
        self.context = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
        self.wait()
        self.kubeconfig = self.write_kubeconfig("admin", ADMIN)

    def run(self, *command):
        with open(f"{self.folder}/{os.path.basename(command[0])}.log", "wb") as log:
            self.processes.append(subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def make_keys(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj",
                "/CN=check", "-days", "30")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
        (pathlib.Path(self.folder) / "extensions").write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n", encoding="utf-8")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                "server.crt", "-days", "30", "-extfile", "extensions")
        openssl("genrsa", "-out", "account.key", "2048")
        openssl("rsa", "-in", "account.key", "-pubout", "-out", "account.pub")

    def wait(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if any(process.poll() is not None for process in self.processes):
                break
            request = urllib.request.Request(self.url + "/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
            try:
                with urllib.request.urlopen(request, context=self.context, timeout=5):
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        log = pathlib.Path(self.folder, "kube-apiserver.log").read_text(encoding="utf-8", errors="replace")
        sys.exit("the API server did not start:\n" + "\n".join(log.splitlines()[-10:]))

    def write_kubeconfig(self, name, token):
        path = f"{self.folder}/{name}.kubeconfig"
        pathlib.Path(path).write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: check\n"
            f"clusters: [{{name: check, cluster: {{server: \"{self.url}\", certificate-authority: {self.folder}/ca.crt}}}}]\n"
            f"users: [{{name: check, user: {{token: \"{token}\"}}}}]\n"
            "contexts: [{name: check, context: {cluster: check, user: check}}]\n", encoding="utf-8")
        return path

    def __exit__(self, *_):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
