"""The proxies that are compared, each with its configuration from ``configs/``, and the origin behind them."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.load import host
from bench.processes import BenchError, Program, tries

CONFIGS = Path(__file__).with_name("configs")
TEXT = "0123456789" * 10
#: How long a proxy may take to begin, in seconds: some read 10,000 routers.
START_TIME = 120.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one proxy works: its directory, its port, the origin's, and how many routers it has.

    ``variant`` is what its configuration has beside the plain one: ``tls``, ``middlewares``, ``bulk``, ``tunnel`` or
    nothing.
    """

    directory: Path
    port: int
    origin: int
    routers: int = 1
    variant: str = ""

    @property
    def scheme(self) -> str:
        """How it is spoken to."""
        return "https" if self.variant == "tls" else "http"

    @property
    def prefix(self) -> str:
        """What stands in front of the origin's paths."""
        return "/app" if self.variant == "middlewares" else ""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One of those compared: its files of ``configs/``, its command line, and where its access log is."""

    name: str
    files: tuple[str, ...]
    command: Callable[[Place], list[str]]
    access_log: str
    env: Callable[[Place], dict[str, str]] = lambda place: {}
    version: Callable[[], str] = lambda: ""

    @property
    def present(self) -> bool:
        """Whether it can be run here."""
        return self.name == "dynbalancer" or shutil.which(self.name) is not None

    def described(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.version() or machine.version_of(self.name)}"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def twistd(*flags: str) -> list[str]:
    """The command line of our balancer from this checkout, with the Python that runs this."""
    return [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "dynbalancer", *flags]


def checkout() -> dict[str, str]:
    """The environment in which our balancer runs from this checkout."""
    return {"PYTHONPATH": f"{machine.ROOT}:{machine.ROOT / 'providers'}"}


def _dynbalancer(place: Place) -> list[str]:
    return twistd(
        "--workers=1",
        f"--entrypoints.web.address=127.0.0.1:{place.port}",
        f"--file.filename={place.directory / 'routes.yml'}",
        f"--accesslog.filepath={place.directory / 'dynbalancer.access'}",
        *(["--entrypoints.web.tls"] if place.variant == "tls" else []),
    )


def _nginx(file: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        # Started as root it would serve as another user, who can't read our directory.
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        return ["nginx", "-e", str(place.directory / f"{file}.err"), "-c", str(place.directory / file), *user]

    return command


PROXIES = (
    Proxy("nginx", ("nginx.conf",), _nginx("nginx.conf"), "nginx.access"),
    Proxy(
        "haproxy",
        ("haproxy.cfg", "hosts.map"),
        lambda place: ["haproxy", "-db", "-f", str(place.directory / "haproxy.cfg")],
        "haproxy.out",
    ),
    Proxy(
        "dynbalancer",
        ("routes.yml",),
        _dynbalancer,
        "dynbalancer.access",
        lambda place: checkout(),
        machine.own_version,
    ),
    Proxy(
        "caddy",
        ("Caddyfile",),
        lambda place: ["caddy", "run", "--config", str(place.directory / "Caddyfile")],
        "caddy.access",
        lambda place: {"HOME": str(place.directory), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""},
    ),
    Proxy(
        "traefik",
        ("traefik.yml", "routes.yml"),
        lambda place: ["traefik", f"--configfile={place.directory / 'traefik.yml'}"],
        "traefik.access",
    ),
)


def write_configuration(file: str, place: Place) -> None:
    """Fill in a file of ``configs/``: ``@port@`` and the like, its lines for each router, those of the variant."""
    values = {
        "port": str(place.port),
        "origin": str(place.origin),
        "directory": str(place.directory),
        "text": TEXT,
    }
    template = _of_variant((CONFIGS / file).read_text(), place.variant)
    whole = re.sub(
        r"^[ \t]*# each router\n(.*?)^[ \t]*# end\n",
        lambda match: "".join(_filled(match.group(1), _router(number)) for number in range(place.routers)),
        template,
        flags=re.MULTILINE | re.DOTALL,
    )
    (place.directory / file).write_text(_filled(whole, values))


def _of_variant(text: str, variant: str) -> str:
    """Lines from ``# with NAME…`` to ``# end with`` are for that variant only; ``plain`` is the one without a name."""
    block = re.compile(r"^[ \t]*# with ([\w ]+)\n(.*?)^[ \t]*# end with\n", re.MULTILINE | re.DOTALL)
    return block.sub(
        lambda found: found.group(2) if (variant or "plain") in found.group(1).split() else "", text
    )


def _router(number: int) -> dict[str, str]:
    return {"host": host(number), "number": str(number)}


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


@contextmanager
def origin(directory: Path, core: int) -> Iterator[int]:
    """The server behind the proxies while ``with`` lasts; gives its port."""
    place = Place(directory, free_port(), free_port())
    write_configuration("origin.conf", place)
    (directory / "100k.txt").write_bytes(b"x" * 102400)
    with (directory / "1g.bin").open("wb") as large:
        # Nothing but holes.
        large.truncate(1 << 30)
    command = _nginx("origin.conf")(place)
    with Program(command, core=core, output=directory / "origin.out") as program:
        _wait(program, Place(directory, place.origin, place.origin), "origin.example.com")
        yield place.origin


@contextmanager
def running(proxy: Proxy, place: Place, core: int | None) -> Iterator[Program]:
    """A proxy while ``with`` lasts, once it answers for the last of its routers."""
    place.directory.mkdir(parents=True, exist_ok=True)
    for file in proxy.files:
        write_configuration(file, place)
    if place.variant == "tls":
        write_certificate(place.directory)
    output = place.directory / f"{proxy.name.replace(' ', '-')}.out"
    started = Program(
        proxy.command(place), core=core, output=output, env=proxy.env(place), cwd=place.directory
    )
    with started as program:
        _wait(program, place, host(place.routers - 1))
        yield program


def _wait(program: Program, place: Place, name: str) -> None:
    said = ""
    for _ in tries(START_TIME):
        program.check()
        try:
            status, body = ask(place, "/100", name)[0]
        except (OSError, http.client.HTTPException) as error:
            said = str(error)
            continue
        if status == 200 and body == TEXT:
            return
        said = f"{status} {body[:100]}"
    raise BenchError(f"{program.output.name} did not begin to answer within {START_TIME:g} seconds: {said}")


def ask(place: Place, path: str, name: str, times: int = 1) -> list[tuple[int, str]]:
    """Status and body of requests that follow each other on one connection."""
    connection: http.client.HTTPConnection
    if place.scheme == "https":
        # Its certificate was made a moment ago, for nobody to trust.
        anyone = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", place.port, timeout=5, context=anyone)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=5)
    answers = []
    try:
        for _ in range(times):
            connection.request("GET", place.prefix + path, headers={"Host": name})
            response = connection.getresponse()
            answers.append((response.status, response.read().decode("latin-1")))
    finally:
        connection.close()
    return answers


def shortcomings(place: Place) -> list[str]:
    """What a proxy doesn't do that all must: fields for the origin, and connections to it that are kept."""
    first, second = (body for _, body in ask(place, "/seen", host(0), times=2))
    wanted = {"for": "127.0.0.1", "host": host(0), "proto": place.scheme, "asked": host(0)}
    seen = dict(part.partition("=")[::2] for part in second.split())
    missing = [f"{name} is {seen.get(name)!r}" for name, value in wanted.items() if seen.get(name) != value]
    if _on_connection(second) <= _on_connection(first):
        missing.append("its connection to the origin is not kept")
    return missing


def _on_connection(body: str) -> int:
    found = re.search(r"on-this-connection=(\d+)", body)
    return int(found.group(1)) if found else 0


def write_certificate(directory: Path) -> None:
    """A certificate with a P-256 key: cert.pem, key.pem, and both in both.pem."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=*.example.com"]
    command += ["-addext", "subjectAltName=DNS:*.example.com"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=30)
    (directory / "both.pem").write_bytes(
        (directory / "cert.pem").read_bytes() + (directory / "key.pem").read_bytes()
    )


def lines_of(file: Path) -> int:
    """How many lines a file has; none where it doesn't exist."""
    if not file.exists():
        return 0
    with file.open("rb") as log:
        return sum(part.count(b"\n") for part in iter(lambda: log.read(1 << 20), b""))
