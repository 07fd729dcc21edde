"""How the documentation is built: Sphinx reads Markdown through MyST; every warning is an error."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

_metadata = ConfigParser()
_metadata.read(Path(__file__).parents[1] / "setup.cfg")

project = "dynbalancer"
author = "the dynbalancer authors"
copyright = "2026, the dynbalancer authors"
release = version = _metadata["metadata"]["version"]

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
nitpicky = True
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"dynbalancer {release}"
# Nothing is loaded from elsewhere: the pages work offline.
html_copy_source = False
