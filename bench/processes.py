"""Processes that the benchmarks start: on one core, watched through /proc, ended by their ids."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Why something can't be measured, in one sentence."""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state (the third) on; the name before it may contain anything."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def parents() -> dict[int, int]:
    """The parent of every process there is."""
    found = {}
    for path in PROC.glob("[0-9]*"):
        try:
            found[int(path.name)] = int(_stat(int(path.name))[1])
        except (OSError, IndexError):
            # It ended while we looked.
            continue
    return found


def tree(root: int) -> list[int]:
    """A process and all that descend from it, the eldest first."""
    parent_of = parents()
    found = [root]
    for pid in found:
        found += [child for child, parent in parent_of.items() if parent == pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process and its descendants, with those that have ended and been waited for."""
    total = 0
    for pid in tree(root):
        try:
            # utime, stime, and the same of children that were waited for: fields 14 to 17.
            total += sum(int(field) for field in _stat(pid)[11:15])
        except OSError:
            continue
    return total / TICKS


def core_seconds(core: int) -> float:
    """How long a core has worked for anybody since the machine started (user, nice, system, interrupts, stolen)."""
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    raise BenchError(f"there is no core {core}")


@dataclass(frozen=True, slots=True)
class Memory:
    """Kibibytes of one process: resident, and with what is shared counted in parts."""

    rss: int
    pss: int


def memory(pid: int) -> Memory:
    """How much memory a process uses."""
    rollup = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup}
    return Memory(sizes["Rss"], sizes["Pss"])


class Program:
    """A program that runs inside ``with``: pinned to a core, its output in a file."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        core: int | None,
        output: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.output = output
        self._command = [*([] if core is None else ["taskset", "-c", str(core)]), *command]
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of its first process."""
        assert self._process is not None
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """The ids of all its processes."""
        return tree(self.pid)

    def __enter__(self) -> Program:
        with self.output.open("ab") as output:
            # In a session of its own, so that Ctrl-C reaches us first and we end things in order.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            return
        pids = tree(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            for pid in pids:
                _kill(pid)
            self._process.wait(15)

    def check(self) -> None:
        """Raises BenchError, with the end of its output, where it has ended by itself."""
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            said = self.output.read_text(errors="replace")[-2000:]
            raise BenchError(f"{Path(self._command[-1]).name} ended with {code}:\n{said}")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def tries(within: float, every: float = 0.05) -> Iterator[None]:
    """Steps of a loop that waits for something; they end when the time is over."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        yield
        time.sleep(every)


def end_in_order() -> None:
    """From now on SIGTERM ends us as Ctrl-C does: what was started is ended first."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
