"""The middleware of the docs: found by its drop-in, and as good as a built-in one; its page's test passes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "middleware"
PAGE = ROOT / "docs" / "extend" / "write-a-middleware.md"

PROGRAM = """
from dynbalancer.core.exchange import Headers, ResponseHead
from dynbalancer.plugins import middleware_makers
from dynbalancer.testing import exchange
made = middleware_makers()["stamp"].make_middleware("m", {"key": "k", "line": "end"}, {})
asked = exchange(headers={b"X-Key": b"k"})
head = ResponseHead(headers=Headers.of((b"Content-Type", b"text/plain")), length=3)
print(made.on_request(asked), list(asked.head.headers), made.on_request(exchange()).status)
made.on_response(asked, head)
print(head.length, asked.filters[0].feed(b"abc") + asked.filters[0].finish())
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python that sees the example beside dynbalancer."""
    path = os.pathsep.join([str(EXAMPLE), str(ROOT), str(ROOT / "providers")])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_it_is_found_keeps_out_who_has_no_key_and_stamps_texts(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", PROGRAM)
    assert done.stdout.splitlines() == ["None [] 403", "-1 b'abcend\\n'"], done.stderr


def test_test_of_its_page_passes(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (test,) = (block for block in blocks if "MiddlewareContract" in block)
    (tmp_path / "test_stamp.py").write_text(test)
    done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_stamp.py")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
