"""Which version this is."""

from __future__ import annotations

from configparser import ConfigParser
from functools import lru_cache
from importlib import metadata
from pathlib import Path


@lru_cache(maxsize=1)
def version() -> str:
    """The version of the installed package, or of the checkout that this file is in."""
    try:
        return metadata.version("dynbalancer")
    except metadata.PackageNotFoundError:
        parser = ConfigParser()
        parser.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
        return parser.get("metadata", "version", fallback="unknown")
