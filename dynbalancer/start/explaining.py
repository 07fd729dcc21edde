"""``dynbalancer explain``: a running balancer's API says which router takes a request, and why no other; here in lines.

It is what the dashboard's *Explain* shows.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dynbalancer.core.settings import ApiSettings
from dynbalancer.errors import ConfigurationError, printable
from dynbalancer.start.health import reachable

HELP = """Usage: dynbalancer explain [-H 'Name: value']… [-X METHOD] [--client=ADDRESS] [--entrypoint=NAME] [--json] URL
       dynbalancer explain [--client=ADDRESS] [--entrypoint=NAME] tcp://[NAME]

Asks the API of a running balancer which of its routers takes a request, and why each of the others doesn't; of TCP,
which takes a connection that asks for NAME with TLS (udp:// for datagrams). Flags of the balancer, written with =, say
where its API is: --api.address=127.0.0.1:8080, --api.token=…; without any they are taken from process 1 where that is
the balancer. Exit code 0: a router takes it, 1: none does, 2: nobody could be asked.
"""

#: Seconds for the answer.
PATIENCE = 10.0

#: How many routers are shown.
_MOST = 50

_OPTIONS = {"-H": "header", "-X": "method", "--header": "header", "--method": "method", "--client": "client"}
_OPTIONS |= {"--entrypoint": "entryPoint"}
_SWITCHES = ("--json",)
_STREAM = re.compile(r"(tcp|udp)://([^/?#]*)", re.IGNORECASE).match
_WORDS = {"and": "all of", "or": "any of", "not": "not"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the API's arguments by name; whether its answer is shown as it is; the balancer's flags."""

    arguments: tuple[tuple[str, str], ...]
    raw: bool
    flags: tuple[str, ...]

    @property
    def target(self) -> str:
        """The path and query to ask the API for."""
        url = dict(self.arguments)["url"]
        stream = _STREAM(url)
        if stream is None:
            return f"/api/explain?{urlencode(self.arguments)}"
        given = [(name, value) for name, value in self.arguments if name in ("client", "entryPoint")]
        given += [("sni", stream[2])] if stream[2] else []
        return f"/api/explain/{stream[1].lower()}?{urlencode(given)}"


def read(argv: Sequence[str]) -> Question:
    """What a command line asks. Raises ConfigurationError."""
    arguments: list[tuple[str, str]] = []
    flags: list[str] = []
    urls: list[str] = []
    raw = False
    rest = iter(argv)
    for word in rest:
        name, mark, value = word.partition("=")
        folded = name.lower() if name.startswith("--") else name
        if folded in _SWITCHES:
            raw = True
        elif folded in _OPTIONS:
            given = value if mark else next(rest, None)
            if given is None:
                raise ConfigurationError(name, "it needs a value")
            arguments.append((_OPTIONS[folded], given))
        elif word.startswith("-"):
            flags.append(word)
        else:
            urls.append(word)
    if len(urls) != 1:
        hint = "write flags of the balancer with =" if urls else "dynbalancer explain http://a.example/path"
        why = f"{len(urls)} URLs: {', '.join(urls)}" if urls else "there is no URL"
        raise ConfigurationError("explain", why, hint)
    return Question((("url", urls[0]), *arguments), raw, tuple(flags))


def ask(question: Question, api: ApiSettings | None) -> Mapping[str, Any]:
    """What the API says. Raises ConfigurationError where nothing is to be had of it."""
    if api is None or not api.port:
        raise ConfigurationError("explain", "this balancer has no API to be asked", "start it with --api")
    connection = http.client.HTTPConnection(reachable(api.host), api.port, timeout=PATIENCE)
    place = f"{connection.host}:{connection.port}"
    headers = {"Authorization": f"Bearer {api.token}"} if api.token else {}
    try:
        connection.request("GET", question.target, headers=headers)
        response = connection.getresponse()
        status, text = response.status, response.read()
        found = json.loads(text)
    except (OSError, http.client.HTTPException) as error:
        why = f"{place} does not answer: {error}"
        raise ConfigurationError("explain", why, "--api.address says where the API is") from None
    except ValueError:
        raise ConfigurationError("explain", f"{place} answers with status {status}, and no JSON") from None
    finally:
        connection.close()
    if status == 401:
        raise ConfigurationError(
            "explain", f"{place} wants its token", "give --api.token=… or --api.tokenfile=…"
        )
    if status != 200:
        why = str(found.get("message", "")) or f"{place} answers with status {status}"
        raise ConfigurationError("explain", printable(why))
    return dict(found)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The answer for somebody who reads it."""
    winner = found["router"]
    yield printable(f"{'routed' if winner else 'not routed'}: {found['why']}")
    yield f"  {printable(_request(found['request']))}, table {found['table']}"
    if found.get("middlewares"):
        yield f"  through {printable(' → '.join(found['middlewares']))}"
    candidates = found["candidates"]
    for one in candidates[:_MOST]:
        yield ""
        yield from _candidate(one, winner)
    if len(candidates) > _MOST:
        yield f"\nand {len(candidates) - _MOST} more"


def _request(asked: Mapping[str, Any]) -> str:
    if "client" not in asked:
        return f"datagrams on {asked['entryPoint']}"
    if "method" not in asked:
        name = f" for {asked['sni']}" if asked["sni"] else ""
        tls = f"with TLS{name}" if asked["tls"] else "without TLS"
        return f"connection {tls} on {asked['entryPoint']}, from {asked['client']}"
    query = "" if asked["query"] is None else f"?{asked['query']}"
    url = f"{asked['scheme']}://{asked['host']}{asked['path']}{query}"
    return f"{asked['method']} {url} on {asked['entryPoint']}, from {asked['client']}"


def _candidate(one: Mapping[str, Any], winner: str | None) -> Iterator[str]:
    takes = one["name"] == winner
    word = "takes it" if takes else "matches" if one["matched"] else "no match"
    rule = f": {one['rule']}" if one["rule"] else ""
    yield printable(f"{word}: {one['name']}, priority {one['priority']}{rule}")
    if not takes:
        yield printable(f"  {one['why']}")
    if one["trace"] is not None:
        yield from _tree(one["trace"], 1)


def _tree(node: Mapping[str, Any], depth: int) -> Iterator[str]:
    mark = "✓" if node["matched"] else "✗"
    if "matcher" in node:
        said = f"{node['matcher']}({', '.join(f'`{argument}`' for argument in node['arguments'])})"
    else:
        said = _WORDS.get(node["op"], node["op"])
    yield printable(f"{'  ' * depth}{mark} {said}")
    for child in node.get("children", ()):
        yield from _tree(child, depth + 1)
