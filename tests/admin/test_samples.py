"""The answers that the page of the API shows are shaped like those that the API gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.admin.fakes import AdminCase

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/api.md").read_text()
BLOCKS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

#: Keys that are names of somebody's, and no words of ours: of routers, servers, statuses, settings.
NAMES = re.compile(r".*[@/]|\d|(backend|frontend|server|route)-|docker$|demo$")
#: What of the page the configuration behind these tests knows under another name.
OTHERS = {"/api/http/routers/whoami@demo": "/api/http/routers/web@docker"}


def parsed(sample: str) -> Any:
    """A sample as a value: what was left out (``…``) is not there."""
    return json.loads(re.sub(r",\s*…|…", "", sample))


def samples() -> dict[str, Any]:
    """What the page says of each path."""
    found: dict[str, Any] = {}
    for text in BLOCKS:
        for path, answer in re.findall(r"^(/\S+)\s+([\[{].*)$", text, re.MULTILINE):
            found[path] = parsed(answer)
    [found["/api/state"], found["/api/statistics"]] = [parsed(text) for text in BLOCKS if text[0] == "{"]
    return found


def foreign(sample: Any, real: Any, where: str) -> list[str]:
    """Where a sample has what the real answer hasn't, or of another type."""
    # What a provider tells of its items, and how a setting was written, is theirs.
    if where.endswith((".details", ".stripPrefix")):
        return []
    if isinstance(sample, dict) and isinstance(real, dict):
        some = next(iter(real), None)
        named = {key: key if key in real else some for key in sample if key in real or NAMES.match(key)}
        wrong = [f"{where}.{key}" for key in sample if key not in named]
        pairs = (
            (f"{where}.{key}", sample[key], real[other]) for key, other in named.items() if other in real
        )
        return wrong + [one for path, mine, theirs in pairs for one in foreign(mine, theirs, path)]
    if isinstance(sample, list) and isinstance(real, list):
        wrongs = [[foreign(mine, theirs, where + "[]") for theirs in real] for mine in sample]
        return [one for found in wrongs if found for one in min(found, key=len)]
    numbers = (int, float)
    alike = type(sample) is type(real) or (isinstance(sample, numbers) and isinstance(real, numbers))
    return [] if alike or real is None or sample is None else [f"{where}: {sample!r} for {real!r}"]


class SampleTests(AdminCase):
    """The page beside the API."""

    def test_samples_are_shaped_like_answers(self) -> None:
        found = samples()
        self.assertLess({"/health", "/api", "/api/state", "/api/statistics", "/api/overview"}, set(found))
        for path, sample in found.items():
            query = "?url=http://web.example/" if path == "/api/explain" else ""
            self.assertEqual(foreign(sample, self.json(OTHERS.get(path, path) + query), path), [])

    def test_events_are_shaped_like_those_that_a_listener_hears(self) -> None:
        greeting = dict(self.service._greeting())
        events = re.findall(r"^event: (\w+)\ndata: (.*)$", PAGE, re.MULTILINE)
        self.assertEqual({event for event, _ in events}, set(greeting))
        for event, value in events:
            self.assertEqual(foreign(parsed(value), greeting[event], event), [])

    def test_a_key_that_no_answer_has_is_found(self) -> None:
        self.assertEqual(foreign({"a": 1, "b": {"c": ""}}, {"b": {"c": 1}}, "x"), ["x.a", "x.b.c: '' for 1"])
