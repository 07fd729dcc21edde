"""The machine: its cores, what is installed on it, and what is said about it beside every figure."""

from __future__ import annotations

import datetime
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

from bench.processes import BenchError

ROOT = Path(__file__).resolve().parents[1]
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")

#: Programs, and the Debian packages they are in.
PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "caddy": "caddy",
    "wrk": "wrk",
    "taskset": "util-linux",
}
#: How each is asked for its version.
VERSION_FLAGS = {"nginx": "-v", "haproxy": "-v", "caddy": "version", "traefik": "version", "wrk": "-v"}

POLICY = Path("/usr/sbin/policy-rc.d")


def use_sbin() -> None:
    """Find the programs of the system administrator too."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", "/usr/bin:/bin"), *SBIN])


def two_cores() -> tuple[int, int]:
    """One core for what is measured, and one for everything else. Raises BenchError where there is one only."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed: one for what is measured, one for the load")
    return usable[0], usable[1]


def install(needed: tuple[str, ...], wished: tuple[str, ...]) -> None:
    """Install what is missing, as root on Debian; elsewhere say what is.

    Raises BenchError where something ``needed`` isn't there in the end.
    """
    missing = [name for name in (*needed, *wished) if shutil.which(name) is None]
    if not missing:
        return
    packages = [PACKAGES[name] for name in missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _apt_get(packages)
    else:
        print(f"Not installed: {', '.join(missing)}. On Debian: apt-get install {' '.join(packages)}")
    lacking = [name for name in needed if shutil.which(name) is None]
    if lacking:
        raise BenchError(f"{' and '.join(lacking)} must be installed first")


def _apt_get(packages: list[str]) -> None:
    print(f"Installing {' '.join(packages)}")
    # The packages would start their servers, on ports that are others'.
    own_policy = not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
    try:
        for step in (command, ["apt-get", "update", "-qq"], command):
            done = subprocess.run(step, env=environment, capture_output=True, text=True, timeout=600)
            if step is command and done.returncode == 0:
                return
        print(f"apt-get could not install them: {done.stderr.strip()[-300:]}")
    finally:
        if own_policy:
            POLICY.unlink(missing_ok=True)


def version_of(program: str) -> str:
    """The version a program gives of itself, or ``unknown``."""
    done = subprocess.run([program, VERSION_FLAGS[program]], capture_output=True, text=True, timeout=20)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group() if found else "unknown"


def own_version() -> str:
    """Ours, with the commit and what it runs on."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    parts = [f"Python {platform.python_version()}", f"Twisted {metadata.version('twisted')}"]
    try:
        parts.append(f"uvloop {metadata.version('uvloop')}")
    except metadata.PackageNotFoundError:
        parts.append("no uvloop")
    return f"{setup['metadata']['version']}{_commit()} ({', '.join(parts)})"


def _commit() -> str:
    if shutil.which("git") is None:
        return ""
    given = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "dynbalancer", "providers")
    return f" at {given}{' with changes' if changed else ''}" if given else ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20)
    return done.stdout.strip()


def description() -> str:
    """The processor and how many cores there are; nothing that names the machine."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = found.group(1).strip() if found else platform.machine()
    count = os.cpu_count() or 1
    return f"{model}, {count} core{'s' if count > 1 else ''}, Linux {platform.release().split('-')[0]}"


def today() -> str:
    """The date, in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def warn_if_busy() -> str:
    """A sentence where others are at work on this machine, else nothing; it is printed as well."""
    load = os.getloadavg()[0]
    if load < 0.5:
        return ""
    sentence = f"The machine was not quiet: {load:.1f} processes were running or waiting at the start."
    print(sentence, file=sys.stderr)
    return sentence


def allow_files(wanted: int) -> None:
    """Let this process, and those it starts, have so many files open. Raises BenchError where that is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError) as error:
        raise BenchError(f"{wanted} open files are not allowed here ({error}); see ulimit -n") from None
