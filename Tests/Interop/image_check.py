#!/usr/bin/env python3
"""What can be known of deploy/Containerfile without building it.

    image_check.py [--martlet PATH]

Rules that hadolint and the restricted level have, as far as they apply: pinned images, a user by number, no packages
beside the listed ones, paths that exist. With a program (and Debian's tools) its libraries, linked and opened by name,
must come from packages that the image installs. Needs nothing beside Python.
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys

from server import Checks

ROOT = pathlib.Path(__file__).resolve().parents[2]
# In Debian's smallest image already: the C library's own, and what apt and dpkg need.
BASE_PACKAGES = {"libc6", "libgcc-s1", "zlib1g", "tar", "gzip", "coreutils", "dash"}
# Programs that the server or a step starts, by the package that has them.
PROGRAMS = {"tar": "tar", "gzip": "gzip", "cp": "coreutils", "sh": "dash", "git": "git", "python3": "python3"}
# Debian names some packages anew for 64-bit times; the image is of the older release.
RENAMED = {"libcurl4t64": "libcurl4"}


def instructions(text):
    """(instruction, argument) pairs of a Containerfile, comments left out and lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.strip().split(None, 1)) for line in joined.splitlines() if line.strip()]


def stages(pairs):
    """Stages as (image, name, pairs), with arguments before the first one filled in."""
    arguments, found = {}, []
    for word, rest in pairs:
        if word == "FROM":
            image, *name = rest.split(" AS ")
            for key, value in arguments.items():
                image = image.replace("${" + key + "}", value)
            found.append((image.strip(), name[0].strip() if name else "", []))
        elif not found:
            key, _, value = rest.partition("=")
            arguments[key] = value
        else:
            found[-1][2].append((word, rest))
    return found


def installed(pairs):
    """Packages that the stage's RUN instructions install."""
    found = set()
    for word, rest in pairs:
        for command in re.split(r"&&|;", rest) if word == "RUN" else []:
            words = shlex.split(command)
            if "apt-get" in words and "install" in words:
                found |= {name for name in words[words.index("install") + 1:] if not name.startswith("-")}
    return found


def libraries_needed(martlet):
    """Names of libraries that the program is linked with, and those that the sources open."""
    done = subprocess.run(["readelf", "-d", martlet], capture_output=True, text=True, timeout=60, check=True)
    linked = set(re.findall(r"NEEDED.*\[(.+?)\]", done.stdout))
    opened = {name for path in (ROOT / "Sources").rglob("*.c")
              for name in re.findall(r'dlopen\("([^"]+)"', path.read_text(encoding="utf-8"))}
    return linked, opened


def package_of(library):
    """The package that brings a library on this machine; None if it is not here."""
    paths = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, timeout=60).stdout
    match = re.search(rf"^\s*{re.escape(library)} .*=> (\S+)", paths, re.M)
    if not match:
        return None
    for path in (match.group(1), "/usr" + match.group(1), match.group(1).removeprefix("/usr")):
        done = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            name = done.stdout.split(":")[0].split(",")[0]
            return RENAMED.get(name, name)
    return None


def structure(checks, pairs, build, run):
    known = {"ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD", "LABEL"}
    checks("only usual instructions, and no ADD", {word for word, _ in pairs} <= known,
           str({word for word, _ in pairs} - known))
    for image, name, _ in (build, run):
        tag = image.rsplit("/", 1)[-1].partition(":")[2]
        checks(f"{image}: from a named registry, with a tag that is not latest",
               image.count("/") >= 2 and "." in image.split("/")[0] and tag not in ("", "latest"), tag)
    checks("both stages have one release of Debian", build[0].endswith("-bookworm") and ":bookworm" in run[0],
           f"{build[0]} {run[0]}")
    for _, name, inside in (build, run):
        for word, rest in inside:
            if word == "RUN" and "apt-get install" in rest.replace("-q ", ""):
                checks(f"packages of stage {name or 'run'}: no recommended ones, no lists kept",
                       "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists/*" in rest, rest)
            if word == "RUN":
                checks("no sudo, and nothing fetched by hand", not re.search(r"\b(sudo|curl|wget)\s", rest), rest)
    users = [rest for word, rest in run[2] if word == "USER"]
    checks("the last user is a number and not root",
           users and re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), str(users))
    order = [word for word, _ in run[2]]
    checks("nothing is copied or run after the user was set",
           "USER" in order and not {"RUN", "COPY"} & set(order[order.index("USER"):]), str(order))
    for word in ("ENTRYPOINT", "CMD"):
        given = [rest for name, rest in run[2] if name == word]
        checks(f"{word} is a list of words", len(given) == 1 and isinstance(json.loads(given[0]), list), str(given))
    secrets = [rest for word, rest in pairs if word in ("ENV", "ARG") and re.search(r"TOKEN|PASSWORD|_KEY", rest)]
    checks("no secrets in the image", not secrets, str(secrets))


def paths(checks, build, run):
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    needed = set()
    for word, rest in build[2]:
        if word == "COPY":
            *sources, _ = rest.split()
            for source in sources:
                pattern = source.rstrip("/")
                exists = list(ROOT.glob(pattern)) or "[" in pattern
                checks(f"{source} is in the repository and not ignored", exists and pattern not in ignored)
                needed.add(pattern)
    package = (ROOT / "Package.swift").read_text(encoding="utf-8")
    folders = {path.split("/")[0] for path in re.findall(r'path: "([^"]+)"', package)} | {"Sources", "Tests"}
    links = {path.resolve().relative_to(ROOT).parts[0] for path in (ROOT / "Sources").rglob("*") if path.is_symlink()}
    embeds = {"web"} if re.search(r"#embed|web/", (ROOT / "Sources/CWebPage/write_list.sh").read_text()) else set()
    wanted = folders | links | embeds | {"Package.swift", "Makefile"}
    checks("what a build reads is copied", wanted <= needed, str(wanted - needed))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = set(re.findall(r'install -m 755 .* "\$\(DESTDIR\)\$\(PREFIX\)/(\S+)"', makefile))
    stripped = {path for word, rest in build[2] if word == "RUN"
                for path in re.findall(r"/image/usr/local/(\S+)", rest)}
    checks("the programs that are stripped are those that `make install` lays down", stripped == installs,
           f"{stripped} {installs}")
    entry = next(json.loads(rest)[0] for word, rest in run[2] if word == "ENTRYPOINT")
    checks("the entry point is one of them", entry.removeprefix("/usr/local/") in installs, entry)
    checks("the build's result is copied", ("COPY", f"--from={build[1]} /image/ /") in run[2])
    ports = {port for word, rest in run[2] if word == "EXPOSE" for port in rest.split()}
    deployment = (ROOT / "deploy/kubernetes/deployment.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"containerPort: (\d+)", deployment))
    checks("the ports are those of the Deployment", ports == used, f"{ports} {used}")
    variables = next(rest for word, rest in run[2] if word == "ENV")
    home = re.search(r"MARTLET_DATA_DIR=(\S+)", variables).group(1)
    checks("the data directory is the Deployment's", f"value: {home}" in deployment, home)
    made = next(rest for word, rest in run[2] if word == "RUN")
    checks("and its parent is the user's", re.search(rf"install -d -o 1000 -g 1000 .*{home.rsplit('/', 1)[0]}\b", made))


def runtime(checks, martlet, run):
    packages = installed(run[2])
    for program, package in PROGRAMS.items():
        checks(f"{program} is there", package in packages | BASE_PACKAGES)
    checks("authorities and time zones are there", {"ca-certificates", "tzdata"} <= packages)
    if not martlet:
        return
    linked, opened = libraries_needed(martlet)
    checks("sources open libraries by name", "libcurl.so.4" in opened, str(opened))
    if "libswiftCore.so" in linked:
        print(f"     {martlet} is not what `make release` builds: what it is linked with is not looked at")
        linked = set()
    for library in sorted(linked | opened):
        package = package_of(library)
        # Of several names for one library the first that is here counts.
        if package is None and library in opened:
            continue
        if package == "libcurl3-gnutls":
            continue
        checks(f"{library} comes with {package}", package in packages | BASE_PACKAGES,
               "no package of this machine has it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", help="a program of `make release`, whose libraries are looked at")
    options = parser.parse_args()
    checks = Checks()
    pairs = instructions((ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8"))
    found = stages(pairs)
    checks("two stages", len(found) == 2, str([image for image, _, _ in found]))
    build, run = found
    structure(checks, pairs, build, run)
    paths(checks, build, run)
    runtime(checks, options.martlet, run)
    print(f"{checks.failures} failed")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
