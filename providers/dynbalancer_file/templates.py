"""Templates in files of routes: ``Host(`{{ env "SITE" }}.example`)``. They are worked out before the file is read.

The file is the operator's own, so it may ask for variables of the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dynbalancer.core.gotemplates.functions import FUNCTIONS
from dynbalancer.core.template import compiled
from dynbalancer.errors import ConfigurationError

LONGEST = 16 << 20
_MOST_STEPS = 200_000

# Traefik 1's redirects have templates about the request; they stay as they are.
_about_requests = re.compile(r"\{\{-?\s*\.Request\.[^{}]*\}\}")
_variable = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def written_out(where: str, content: bytes, environ: Mapping[str, str]) -> bytes:
    """The content without its templates. Raises ConfigurationError where one can't be used, with its place."""
    if b"{{" not in content:
        return content
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Whoever reads it says so, and in which line.
        return content
    text = _about_requests.sub(lambda found: "{{`" + found.group().replace("`", '"') + "`}}", text)

    def expanded(value: object) -> str:
        return _variable.sub(lambda found: environ.get(found[1] or found[2], ""), str(value))

    functions = {
        **FUNCTIONS,
        "env": (1, 1, lambda name: environ.get(str(name), "")),
        "expandenv": (1, 1, expanded),
    }
    try:
        return compiled(text, (), functions=functions, longest=LONGEST, steps=_MOST_STEPS)({}).encode()
    except ConfigurationError as error:
        raise ConfigurationError(where, f"template: {error.why}", error.hint) from None
