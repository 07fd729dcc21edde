"""``python -m bench PART …``: what measures, and nothing that asserts on time."""

from __future__ import annotations

import importlib
import sys

from bench.processes import BenchError

PARTS = {
    "all": "all of these but deploy and profile, one after the other (the default)",
    "compare": "ours beside nginx, HAProxy, Caddy and Traefik",
    "bulk": "1 GiB down and up",
    "tunnels": "WebSocket echo over 1,000 connections",
    "handshakes": "TLS handshakes, full and resumed",
    "connections": "what 10,000 idle connections take",
    "workers": "two workers beside one",
    "floor": "a relay that does nothing, beside ours: what is left to gain",
    "deploy": "a container starts: how soon it is routed; it stops: how soon no more",
    "idle": "memory and CPU at rest",
    "tables": "building routing tables, and changing one router",
    "profile": "where a worker's time goes",
}
#: What ``all`` leaves out: one needs a Docker engine, the other is for looking closer.
APART = ("all", "deploy", "profile")
MODULES = {"profile": "profiling"}


def main(argv: list[str]) -> int:
    """Run a part. What can't be measured is one sentence and exit code 2."""
    if argv and argv[0] in ("-h", "--help", "help"):
        print(__doc__, *(f"\n  {name:12} {what}" for name, what in PARTS.items()))
        return 0
    part, rest = (argv[0], argv[1:]) if argv and argv[0] in PARTS else ("compare" if argv else "all", argv)
    parts = [name for name in PARTS if name not in APART] if part == "all" else [part]
    try:
        code = max([importlib.import_module(f"bench.{MODULES.get(name, name)}").main(rest) for name in parts])
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
