"""Files in memory, for whoever reads files by a function."""

from __future__ import annotations

import os


class Files:
    """Texts by their paths. Calling it reads one."""

    def __init__(self, **texts: str) -> None:
        self.texts: dict[str, str] = texts

    def __call__(self, path: str) -> bytes:
        found = self.texts.get(os.path.normpath(path))
        if found is None:
            raise FileNotFoundError(2, "No such file or directory")
        return found.encode()


def files(**texts: str) -> Files:
    """Files in the directory ``shop``: ``compose_yml="…"`` is ``shop/compose.yml``, ``__`` makes a further dot."""
    made = Files()
    for name, text in texts.items():
        made.texts[f"shop/{name.replace('_', '.')}"] = text
    return made
