"""Finding files and reading them: one file, or every .yml, .yaml and .toml in a directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dynbalancer.errors import ConfigurationError
from dynbalancer_file.documents import SUFFIXES

#: The longest file that is read.
LONGEST = 16 * 1024 * 1024

#: The most files that are read of one directory.
MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files are."""

    path: str
    is_directory: bool

    def read(self) -> dict[str, bytes | OSError]:
        """The content of each file by its name, sorted; the error where one can't be read.

        Raises OSError where the place itself can't.
        """
        if not self.is_directory:
            return {os.path.basename(self.path): read_file(self.path)}
        found: dict[str, bytes | OSError] = {}
        for name in sorted(self._names()):
            try:
                found[name] = read_file(os.path.join(self.path, name))
            except FileNotFoundError:
                continue  # It went away since it was listed, or is a link to nothing.
            except OSError as error:
                found[name] = error
        return found

    def path_of(self, name: str) -> str:
        """The real path of a file: what a link leads to."""
        return os.path.realpath(os.path.join(self.path, name) if self.is_directory else self.path)

    def directory_of(self, name: str) -> str:
        """Where paths in a file begin."""
        return os.path.dirname(os.path.join(self.path, name) if self.is_directory else self.path)

    def directories(self) -> set[str]:
        """Where something must happen for a file to change: watching the file itself would miss its replacement."""
        if not self.is_directory:
            return {os.path.dirname(self.path), os.path.dirname(os.path.realpath(self.path))}
        try:
            return {directory for directory, _ in _walk(self.path)}
        except OSError:
            return {self.path}

    def _names(self) -> Iterator[str]:
        for directory, names in _walk(self.path):
            for name in names:
                yield os.path.relpath(os.path.join(directory, name), self.path)


def _walk(top: str) -> Iterator[tuple[str, list[str]]]:
    """Every directory from ``top`` down with the names of its files.

    What begins with a dot is left out: Kubernetes keeps the real files of a mounted ConfigMap in ``..data``, and they
    are seen through links. Links to directories are followed, once each.
    """

    def fail(error: OSError) -> None:
        if error.filename == top or not isinstance(error, FileNotFoundError):
            raise error

    seen: set[str] = set()
    count = 0
    for directory, below, names in os.walk(top, onerror=fail, followlinks=True):
        real = os.path.realpath(directory)
        below[:] = [] if real in seen else sorted(name for name in below if not name.startswith("."))
        if real in seen:
            continue
        seen.add(real)
        found = [name for name in names if is_ours(name)]
        count += len(found)
        if count > MOST_FILES:
            raise OSError(0, f"more than {MOST_FILES} files")
        yield directory, found


def is_ours(name: str) -> bool:
    """Whether a file of this name is read."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".") and name.isprintable()


def read_file(path: str) -> bytes:
    """The content of a regular file. Raises OSError, also for one that is too long or no file at all."""
    # Without O_NONBLOCK, opening a named pipe would wait for its writer, and everything with us.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file")
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise OSError(0, f"it is longer than {LONGEST // 1024 // 1024} MiB")
    return content


def place_of(settings: Mapping[str, object]) -> Place:
    """From the options filename and directory, of which one must be given."""
    filename, directory = str(settings.get("filename") or ""), str(settings.get("directory") or "")
    if bool(filename) == bool(directory):
        why = "both a filename and a directory are given" if filename else "no file is given"
        hint = "give --file.filename=dyn.yml or --file.directory=conf.d" + (", not both" if filename else "")
        raise ConfigurationError("provider file", why, hint)
    if filename and not is_ours(os.path.basename(filename)):
        raise ConfigurationError(
            "provider file",
            f"can't tell the format of {filename}",
            "its name must end in .yml, .yaml or .toml",
        )
    # twistd may change to another directory later.
    return Place(os.path.abspath(filename or directory), bool(directory))


def in_words(error: OSError) -> str:
    """Why something could not be read."""
    return (error.strerror or str(error)).lower().removesuffix(".")
