"""The balancer as a process: signals, ports, flags, exit codes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from balancer import Balancer, Serve, Start, free_port, run_to_end
from eventually import LONG, eventually
from places import EXAMPLES
from web import Answer, Load, ask


def routed(path: Path, *ports: int, host: str = "file.example.com") -> Path:
    """Write a dynamic file that sends a host to these ports of loopback, in one step."""
    servers = "".join(f"\n          - url: http://127.0.0.1:{port}" for port in ports)
    text = f"""\
http:
  routers:
    web:
      rule: Host(`{host}`)
      service: web
  services:
    web:
      loadBalancer:
        servers:{servers}
"""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)
    return path


@pytest.fixture
def on_file(start: Start, serve: Serve, workdir: Path) -> Start:
    """``on_file(*flags)``: a balancer that sends file.example.com to a whoami called ``blue``."""

    def begin(*flags: str, **more: str) -> Balancer:
        port, _ = serve("blue")
        routed(workdir / "routes.yml", port)
        balancer = start(f"--file.filename={workdir / 'routes.yml'}", *flags, **more)
        eventually(lambda: balancer.ask("file.example.com").status == 200)
        return balancer

    return begin


@pytest.mark.parametrize("workers", [0, 2])
def test_sigterm_finishes_open_requests_and_exits_with_0(on_file: Start, workers: int) -> None:
    balancer = on_file(f"--workers={workers}")
    answers: list[Answer] = []
    slow = threading.Thread(target=lambda: answers.append(balancer.ask("file.example.com", "/slow?ms=3000")))
    slow.start()
    # Workers report once a second.
    eventually(lambda: balancer.api("/api/statistics")["inFlight"] == 1 or answers)
    assert balancer.stop() == 0
    slow.join(LONG)
    assert [answer.status for answer in answers] == [200]
    with pytest.raises(OSError):
        ask(balancer.port)
    assert "Traceback" not in balancer.output


def test_a_worker_that_dies_is_replaced_while_its_sibling_serves(on_file: Start) -> None:
    balancer = on_file("--workers=2")
    first, second = balancer.worker_pids()
    os.kill(first, signal.SIGKILL)
    assert {balancer.ask("file.example.com").status for _ in range(20)} == {200}
    eventually(lambda: len(balancer.worker_pids()) == 2 and first not in balancer.worker_pids())
    assert second in balancer.worker_pids()
    assert {balancer.ask("file.example.com").status for _ in range(20)} == {200}


def test_workers_go_on_for_a_while_when_their_parent_is_killed(on_file: Start) -> None:
    """Long enough to restart it; told to end before that, they end."""
    balancer = on_file("--workers=2")
    workers = balancer.worker_pids()
    balancer.process.kill()
    balancer.process.wait(LONG)
    assert {balancer.ask("file.example.com").status for _ in range(20)} == {200}
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not any(is_running(pid) for pid in workers))


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only its exit code."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_sighup_reads_the_sources_again(on_file: Start, serve: Serve, workdir: Path) -> None:
    balancer = on_file("--file.watch=false", "--workers=1")
    port, _ = serve("green")
    routed(workdir / "routes.yml", port)
    time.sleep(1)
    assert balancer.ask("file.example.com").lines["name"] == "blue"
    balancer.send(signal.SIGHUP)
    eventually(lambda: balancer.ask("file.example.com").lines["name"] == "green")


def test_a_changed_file_is_followed_and_a_wrong_one_is_not(
    on_file: Start, serve: Serve, workdir: Path
) -> None:
    balancer = on_file("--workers=1")
    port, _ = serve("green")
    routed(workdir / "routes.yml", port)
    eventually(lambda: balancer.ask("file.example.com").lines["name"] == "green")

    (workdir / "routes.yml").write_text("http:\n  routers:\n    web:\n      rool: Host(`x.example.com`)\n")
    eventually(lambda: "routes.yml" in balancer.problems() and "rool" in balancer.problems())
    assert balancer.ask("file.example.com").lines["name"] == "green"

    (workdir / "routes.yml").write_text("http: [half")
    time.sleep(0.5)
    assert balancer.ask("file.example.com").lines["name"] == "green"
    routed(workdir / "routes.yml", port, host="other.example.com")
    eventually(lambda: balancer.ask("other.example.com").status == 200)
    assert balancer.ask("file.example.com").status == 404
    assert "Traceback" not in balancer.output


def test_changing_the_file_under_load_loses_no_request(on_file: Start, serve: Serve, workdir: Path) -> None:
    balancer = on_file("--workers=2")
    ports = [serve(f"server-{number}")[0] for number in range(3)]
    load = Load(balancer.port, "file.example.com", clients=6)
    load.start()

    def answering() -> set[str]:
        load.seen.clear()
        time.sleep(0.2)
        return set(load.seen)

    for count in (1, 2, 3, 1, 3, 2):
        routed(workdir / "routes.yml", *ports[:count])
        eventually(lambda count=count: answering() == {f"server-{one}" for one in range(count)})
    load.stop()
    assert load.failures == []


def test_no_server_left_is_503_and_no_server_listening_is_502(start: Start, workdir: Path) -> None:
    routed(workdir / "routes.yml", free_port())
    balancer = start(f"--file.filename={workdir / 'routes.yml'}", "--workers=1")
    eventually(lambda: balancer.ask("file.example.com").status == 502)
    routed(workdir / "routes.yml")
    text = (workdir / "routes.yml").read_text().replace("servers:", "servers: []")
    (workdir / "routes.yml").write_text(text)
    eventually(lambda: balancer.ask("file.example.com").status == 503)


def test_bodies_go_both_ways(on_file: Start) -> None:
    balancer = on_file("--workers=1")
    body = os.urandom(700_000).hex().encode()
    assert balancer.ask("file.example.com", "/echo", method="POST", body=body).body == body.decode()
    assert balancer.ask("file.example.com", "/chunked?n=3").body == "chunk 1\nchunk 2\nchunk 3\n"
    assert len(balancer.ask("file.example.com", "/bytes?n=5000000").body) == 5_000_000
    assert balancer.ask("file.example.com", "/bytes?n=10", method="HEAD").body == ""
    chunked = balancer.curl("file.example.com", "/echo", "-H", "Transfer-Encoding: chunked", "-d", "a=b")
    assert chunked == "a=b"
    waited = balancer.curl("file.example.com", "/echo", "-H", "Expect: 100-continue", "-d", "c=d")
    assert waited == "c=d"
    assert balancer.ask("file.example.com", "/status?code=418").status == 418


@pytest.mark.parametrize(
    "program", [("dynbalancer", "run"), ("twistd", "-n", "--pidfile=", "dynbalancer")], ids=["run", "twistd"]
)
def test_a_taken_port_is_one_sentence(program: tuple[str, ...], workdir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_to_end(*program, f"--entrypoints.web.address=127.0.0.1:{port}", "--workers=1")
    said = done.stdout + done.stderr
    assert done.returncode not in (0, -signal.SIGKILL)
    assert str(port) in said and "--entrypoints.web.address" in said.lower()
    assert "Traceback" not in said


def test_a_wrong_flag_is_one_sentence_with_the_right_one_and_exit_code_2() -> None:
    done = run_to_end("dynbalancer", "run", "--dokcer")
    assert done.returncode == 2
    assert "--dokcer" in done.stderr and "--docker" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_twistd_too_says_which_flag_is_wrong() -> None:
    done = run_to_end("twistd", "-n", "dynbalancer", "--docker.exposedbydefalt=false")
    assert done.returncode != 0
    assert "exposedbydefalt" in done.stdout + done.stderr
    assert "--docker.exposedbydefault" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_demon_of_twistd_serves_and_ends_by_its_pid_file(workdir: Path) -> None:
    """Without -n twistd forks into the background after it has made the service."""
    port, pid_file = free_port(), workdir / "twistd.pid"
    flags = ["dynbalancer", f"--entrypoints.web.address=127.0.0.1:{port}", "--workers=1"]
    log = workdir / "twistd.log"
    done = run_to_end("twistd", f"--pidfile={pid_file}", f"--logfile={log}", f"--rundir={workdir}", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(lambda: ask(port).status == 404)
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not pid_file.exists())
    assert "Traceback" not in log.read_text()


def test_version_and_healthcheck(on_file: Start) -> None:
    assert "0." in run_to_end("dynbalancer", "version").stdout
    balancer = on_file("--workers=1")
    address = f"--api.address=127.0.0.1:{balancer.api_port}"
    assert run_to_end("dynbalancer", "healthcheck", address).returncode == 0
    balancer.stop()
    gone = run_to_end("dynbalancer", "healthcheck", address)
    assert gone.returncode == 1
    assert "Traceback" not in gone.stderr


def test_check_tells_good_files_from_bad_ones(workdir: Path) -> None:
    good = routed(workdir / "good.yml", 8000)
    bad = workdir / "bad.yml"
    bad.write_text(good.read_text().replace("rule: Host", "rule: Hots"))
    compose = EXAMPLES / "article" / "whoami" / "docker-compose.yml"
    doubtful = workdir / "docker-compose.yml"
    doubtful.write_text(compose.read_text().replace("frontend.rule", "fronted.rule"))

    for path, code in ((good, 0), (compose, 0), (bad, 1), (workdir / "missing.yml", 2)):
        assert run_to_end("dynbalancer", "check", str(path)).returncode == code
    said = run_to_end("dynbalancer", "check", str(bad)).stdout
    assert "bad.yml" in said and "Hots" in said and "did you mean Host?" in said
    done = run_to_end("dynbalancer", "check", str(doubtful))
    assert done.returncode == 1
    assert "traefik.fronted.rule" in done.stdout and "traefik.frontend.rule" in done.stdout


def test_the_demo_names_a_curl_that_works_and_its_servers_come_and_go(start: Start) -> None:
    balancer = start("--demo.period=1", command="demo")
    found = eventually(lambda: re.findall(r"curl [^\n]*http://[^\s`'\"]+", balancer.output))
    assert len(found) >= 2
    assert "/dashboard" in balancer.output
    with_host = next(line for line in found if "Host" in line)

    def answered() -> str:
        done = subprocess.run(
            [*shlex.split(with_host), "-s", "-m", str(LONG)], capture_output=True, text=True, timeout=LONG
        )
        return next((line for line in done.stdout.splitlines() if line.startswith("Hostname: ")), "")

    seen: set[str] = set()
    eventually(lambda: seen.add(answered()) or len(seen - {""}) >= 3)
    assert balancer.stop() == 0
