"""``python -m bench PART …``: what measures, and nothing that asserts on time."""

from __future__ import annotations

import importlib
import sys

from bench.processes import BenchError

PARTS = {
    "compare": "ours beside nginx, HAProxy, Caddy and Traefik (the default)",
    "bulk": "1 GiB down and up",
    "tunnels": "WebSocket echo over 1,000 connections",
    "handshakes": "TLS handshakes, full and resumed",
    "connections": "what 10,000 idle connections take",
    "workers": "two workers beside one",
    "deploy": "a container starts: how soon it is routed; it stops: how soon no more",
    "idle": "memory and CPU at rest",
    "tables": "building routing tables, and changing one router",
    "profile": "where a worker's time goes",
}
MODULES = {"profile": "profiling"}


def main(argv: list[str]) -> int:
    """Run a part. What can't be measured is one sentence and exit code 2."""
    if argv and argv[0] in ("-h", "--help", "help"):
        print(__doc__, *(f"\n  {name:12} {what}" for name, what in PARTS.items()))
        return 0
    part, rest = (argv[0], argv[1:]) if argv and argv[0] in PARTS else ("compare", argv)
    try:
        code: int = importlib.import_module(f"bench.{MODULES.get(part, part)}").main(rest)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
