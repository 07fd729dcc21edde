"""Files are checked as they would be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynbalancer.lint.check import Wishes, check, check_file, files_below, is_ours
from dynbalancer.lint.findings import Checked, Finding
from tests.lint.files import Files, files

GOOD = """\
http:
  routers:
    web: {rule: "Host(`a.example`)", service: web, entryPoints: [websecure]}
  services:
    web: {loadBalancer: {servers: [{url: "http://192.0.2.1"}]}}
"""
COMPOSE = """\
services:
  web:
    image: x
    labels:
      - "traefik.enable=true"
      - "traefik.frontend.rule=Host:a.example"
"""
V3 = "traefik.http.routers.web"
STATIC = "entryPoints: {web: {address: ':80'}}\nproviders: {docker: {exposedByDefault: false}}\n"
HASH = "u:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="


def checked(text: str, path: str = "d.yml", entry_points: tuple[str, ...] = ()) -> Checked:
    """What is said of a file with this text."""
    found = Files()
    found.texts[path] = text
    return check_file(path, found, entry_points)


def labelled(*labels: str, more: str = "", **other: list[str]) -> list[Finding]:
    """What is said of a compose file where the service web has these labels; of the others, which line is 5."""
    text = "services:\n  web:\n    expose: [80]\n    labels:\n" + "".join(
        f"      - '{label}'\n" for label in labels
    )
    for name, found in other.items():
        text += f"  {name}:\n    expose: [80]\n    labels: {found}\n"
    found = check(["shop/c.yml"], files(c_yml=text + more), Wishes(("web", "websecure")))
    return [finding for one in found for finding in one.findings]


def test_a_good_file_is_said_to_be_good() -> None:
    found = checked(GOOD)
    assert found.problems == ()
    assert found.as_text() == "d.yml: nothing wrong; 1 router, 1 service"


OLDER = """\
debug = true
[entryPoints.http]
address = ":80"
[file]
[backends.app.servers.one]
url = "http://192.0.2.1"
[frontends.app]
backend = "app"
[frontends.app.routes.one]
rule = "Host:a.example"
"""


def test_routes_in_the_settings_of_version_1_are_checked_too() -> None:
    found = checked(OLDER, "traefik.toml")
    assert found.as_text() == "traefik.toml: nothing wrong; 1 entry point, 1 router, 1 service"
    assert found.kind == "settings"
    wrong = checked(OLDER.replace("Host:", "Hosts:"), "traefik.toml")
    assert [problem.where for problem in wrong.problems] == ["traefik.toml: frontends.app.routes.one.rule"]


def test_routes_of_version_1_are_found_in_a_directory() -> None:
    texts = Files()
    texts.texts["rules.toml"] = "[frontends.app]\nbackend = 'app'\n"
    assert is_ours("rules.toml", texts)


def test_a_wrong_key_names_its_line() -> None:
    found = checked(GOOD.replace("service: web", "servce: web"))
    assert "d.yml, line 3: http.routers.web.servce" in found.as_text()
    assert "did you mean service?" in found.as_text()


def test_what_only_the_compiler_sees_is_found_with_its_line() -> None:
    assert "did you mean Host?" in checked(GOOD.replace("Host(", "Hots(")).as_text()
    (finding,) = checked(GOOD.replace("service: web", "service: wbe")).findings
    assert (finding.line, finding.rule) == (3, "router")


def test_certificates_are_read_as_they_would_be() -> None:
    text = GOOD + "tls: {certificates: [{certFile: /nowhere/a.pem, keyFile: /nowhere/a.key}]}\n"
    assert "line 6: tls.certificates[0]: /nowhere/a.pem can't be read" in checked(text).as_text()


def test_entry_points_that_are_named_must_exist() -> None:
    assert "websecure" in checked(GOOD, entry_points=("web",)).as_text()


def test_toml() -> None:
    text = '[http.routers.web]\nrule = "Host(`a.example`)"\nservice = "nosuch"\n'
    assert "nosuch" in checked(text, "d.toml").as_text()


def test_entry_points_of_tcp_and_udp_exist_as_those_of_http_do_where_nothing_says_which_there_are() -> None:
    text = """
http:
  routers: {web: {rule: Path(`/`), service: web, entryPoints: [web]}}
  services: {web: {loadBalancer: {servers: []}}}
tcp:
  routers: {ssh: {rule: HostSNI(`*`), service: ssh, entryPoints: [ssh]}}
  services: {ssh: {loadBalancer: {servers: [{address: "10.0.0.2:22"}]}}}
udp:
  routers: {dns: {service: dns, entryPoints: [dns]}}
  services: {dns: {loadBalancer: {servers: [{address: "10.0.0.2:53"}]}}}
"""
    assert [problem for problem in checked(text).problems if problem.severity == "error"] == []
    assert "ssh" in checked(text, entry_points=("web",)).as_text()


def test_the_labels_of_a_compose_file() -> None:
    found = checked(COMPOSE, "shop/c.yml").as_text()
    assert found == "shop/c.yml: nothing wrong; 1 router, 1 service; 2 labels: 2 understood"
    wrong = checked(COMPOSE.replace("frontend.rule", "frontend.ruel"), "shop/c.yml")
    assert (
        "shop/c.yml, line 6: service web, label traefik.frontend.ruel: this label is unknown"
        in wrong.as_text()
    )
    assert [label.verdict.verdict for label in wrong.labels] == ["understood", "unknown"]


@pytest.mark.parametrize("text", ["a: [", "services: 5\n", "\xff: \x00"])
def test_what_can_not_be_read_is_a_problem(text: str) -> None:
    found = checked(text)
    assert [problem.severity for problem in found.problems] == ["error"]
    assert found.unreadable


def test_a_missing_file_is_a_problem() -> None:
    assert check_file("no.yml", Files()).as_text() == "no.yml: can't be read: No such file or directory"


@pytest.mark.parametrize(
    "labels, line, rule, words",
    [
        ([f"{V3}.rule=Host(`a`)", f"{V3}.rul=x"], 6, "unknown-label", f"did you mean {V3}.rule?"),
        ([f"{V3}.rule=Host('a.example')"], 5, "router", "written in backticks"),
        ([f"{V3}.rule=Host(a.example)"], 5, "router", "in backticks or double quotes"),
        ([f"{V3}.rule=Host:a.example"], 5, "router", "v3 writes Host(`a.example`)"),
        (["traefik.frontend.rule=Host(`a.example`)"], 5, "router", "v1 writes Host:a.example"),
        ([f'{V3}.rule="Host(`a.example`)"'], 5, "router", "leave out the quotes"),
        ([f"{V3}.rule=Host(`a`)", f"{V3}.entrypoints=wbe"], 6, "router", "did you mean web?"),
        ([f"{V3}.rule=Host(`a`)", f"{V3}.middlewares=nope"], 6, "router", '"nope@docker" does not exist'),
        ([f"{V3}.rule=Host(`a`)", f"{V3}.service=nope"], 6, "router", '"nope@docker" does not exist'),
        ([f"{V3}.rule=Host(`a`)", "traefik.port=http"], 6, "wrong-label", "not a whole number"),
        ([f"{V3}.rule=Host(`a`)", "traefik.docker.network=x"], 6, "ignored-label", "not on network x"),
        (["traefik.enable=yes"], 5, "wrong-label", "neither true nor false"),
    ],
)
def test_labels_that_can_not_be_used(labels: list[str], line: int, rule: str, words: str) -> None:
    labels = [label.replace("'", "''") for label in labels]
    (finding,) = [found for found in labelled(*labels) if found.problem.severity != "info"]
    assert (finding.line, finding.rule, finding.service) == (line, rule, "web")
    assert words in finding.as_text()


def test_a_hash_that_is_no_hash_when_it_arrives_is_said_at_its_label() -> None:
    key = "traefik.http.middlewares.auth.basicauth.users"
    labels = [f"{V3}.rule=Host(`a`)", f"{V3}.middlewares=auth", f"{key}=u:plain"]
    found = {finding.label: finding for finding in labelled(*labels)}
    assert found[key].line == 7
    assert "plain" not in found[key].as_text()
    assert labelled(labels[0], labels[1], f"{key}={HASH}") == []


def test_a_hash_that_compose_eats_is_said_once() -> None:
    key = "traefik.http.middlewares.auth.basicauth.users"
    found = labelled(f"{V3}.rule=Host(`a`)", f"{key}=u:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/")
    assert [(finding.rule, finding.label) for finding in found if finding.label == key] == [
        ("eaten-dollar", key)
    ]


def test_a_router_that_another_one_takes_everything_from() -> None:
    narrow = [f"{V3}.rule=Host(`a`) && Path(`/x`)"]
    wide = ["traefik.http.routers.b.rule=Host(`a`)", "traefik.http.routers.b.priority=99"]
    (finding,) = labelled(*narrow, b=wide)
    assert (finding.rule, finding.line, finding.label) == ("unreachable-router", 5, f"{V3}.rule")


def test_a_label_for_which_compose_refuses_the_file_is_wrong() -> None:
    text = "services: {web: {labels: ['traefik.frontend.redirect.replacement=/$1']}}"
    (one,) = check(["shop/c.yml"], files(c_yml=text))
    assert [label.verdict.verdict for label in one.labels] == ["wrong"]


def test_the_same_rule_twice() -> None:
    (finding,) = labelled(f"{V3}.rule=Host(`a`)", b=["traefik.http.routers.b.rule=Host(`a`)"])
    assert (finding.rule, finding.line) == ("unreachable-router", 5)
    assert "has the same rule" in finding.as_text()


def test_both_versions_on_one_container_are_mentioned() -> None:
    (finding,) = labelled(f"{V3}.rule=Host(`a`)", "traefik.frontend.rule=Host:b")
    assert (finding.rule, finding.problem.severity) == ("container", "info")
    assert "Traefik 1" in finding.as_text()


def test_names_of_containers_are_those_of_services() -> None:
    text = " ".join(finding.as_text() for finding in labelled("traefik.frontend.rule=Host:a;Nope:x"))
    assert "service web" in text and "shop_web_1" not in text


def test_containers_that_are_not_enabled_and_the_settings_that_say_so() -> None:
    labels = [label for label in COMPOSE.splitlines() if "enable" not in label]
    found = check(["shop/c.yml", "t.yml"], Files(), Wishes())
    assert [one.unreadable for one in found] == [True, True]
    given = files(c_yml="\n".join(labels), t_yml=STATIC)
    compose, settings = check(["shop/c.yml", "shop/t.yml"], given)
    assert [finding.rule for finding in compose.findings] == ["not-enabled"]
    assert {label.verdict.verdict for label in compose.labels} == {"ignored"}
    assert (settings.kind, settings.counts) == ("settings", "1 entry point")
    flags = Wishes(flags=("--docker.exposedbydefault=false",))
    assert [finding.rule for finding in check(["shop/c.yml"], given, flags)[0].findings] == ["not-enabled"]


def test_routes_and_containers_are_checked_together() -> None:
    text = f"services: {{web: {{labels: ['{V3}.rule=Host(`a`)', '{V3}.middlewares=m@file']}}}}"
    alone = check(["shop/c.yml"], files(c_yml=text))[0]
    assert [finding.problem.severity for finding in alone.findings] == ["info"]
    routes = "http: {middlewares: {m: {addPrefix: {prefix: /x}}}}"
    both = check(["shop/c.yml", "shop/r.yml"], files(c_yml=text, r_yml=routes))
    assert [one.problems for one in both] == [(), ()]
    other = check(["shop/c.yml", "shop/r.yml"], files(c_yml=text, r_yml=routes.replace("{m:", "{n:")))
    assert '"m@file" does not exist' in other[0].as_text()


def test_an_override_goes_over_its_file() -> None:
    override = "services: {web: {labels: ['traefik.frontend.rule=Host(a)']}}"
    given = files(compose_yml=COMPOSE, compose_override_yml=override)
    found = {one.path: one for one in check(["shop/compose.yml"], given)}
    assert [finding.line for finding in found["shop/compose.override.yml"].findings] == [1]
    assert found["shop/compose.yml"].findings == ()
    assert {one.path for one in check(["shop/compose.override.yml"], given)} == set(found)


def test_several_compose_files_can_be_one_project() -> None:
    more = "services: {web: {labels: [traefik.port=http]}}"
    found = check(["shop/a.yml", "shop/b.yml"], files(a_yml=COMPOSE, b_yml=more), Wishes(merged=True))
    assert [one.counts for one in found] == ["1 router, 1 service"] * 2
    assert [len(one.findings) for one in found] == [0, 1]


def test_variants_in_one_directory_are_not_in_each_other_s_way() -> None:
    found = check(["shop/a.yml", "shop/b.yml"], files(a_yml=COMPOSE, b_yml=COMPOSE))
    assert [one.problems for one in found] == [(), ()]


def test_projects_of_one_engine_may_be_in_each_other_s_way() -> None:
    given = Files()
    rule = "services: {%s: {labels: ['traefik.http.routers.%s.rule=Host(`a`)']}}"
    given.texts = {"x/c.yml": rule % ("a", "a"), "y/c.yml": rule % ("b", "b")}
    assert [len(one.findings) for one in check(["x/c.yml", "y/c.yml"], given)] == [0, 1]
    apart = check(["x/c.yml", "y/c.yml"], given, Wishes(apart=True))
    assert [len(one.findings) for one in apart] == [0, 0]


def test_variables_of_the_file_beside_it_and_of_the_environment() -> None:
    given = Files()
    given.texts = {"shop/c.yml": COMPOSE.replace("a.example", "${A}${B}"), "shop/.env": "A=a.\nB=x"}
    assert check(["shop/c.yml"], given, Wishes(environ={"B": "example"}))[0].problems == ()
    del given.texts["shop/.env"]
    (finding,) = check(["shop/c.yml"], given, Wishes(environ={"B": "example"}))[0].findings
    assert (finding.rule, finding.line) == ("variable", 6)


def test_lost_hashes_and_misplaced_labels_have_verdicts() -> None:
    text = "services:\n  web:\n    labels: ['traefik.frontend.auth.basic=u:$apr1$a$b']\n"
    text += "    deploy: {labels: [traefik.port=80]}\n"
    (one,) = check(["shop/c.yml"], files(c_yml=text))
    assert {label.label: label.verdict.verdict for label in one.labels} == {
        "traefik.frontend.auth.basic": "wrong",
        "traefik.port": "ignored",
    }


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name in (
        "b/compose.yml",
        "a.toml",
        ".hidden.yml",
        "x.txt",
        ".git/c.yml",
        "b/ci.yml",
        "b/broken-compose.yml",
    ):
        (tmp_path / name).write_text("services: {web: {}}" if "compose" in name else "jobs = 1")
    (tmp_path / "b/broken-compose.yml").write_text("a: [")
    (tmp_path / "b/ci.yml").write_text("jobs: {}")
    found = [
        name for name in files_below(str(tmp_path)) if is_ours(name, lambda path: Path(path).read_bytes())
    ]
    assert [Path(name).name for name in found] == ["broken-compose.yml", "compose.yml"]


def test_an_entry_point_that_is_redirected_to_is_there_where_nothing_says_which_are() -> None:
    labels = "".join(
        f"      - {label}\n"
        for label in (
            "traefik.frontend.rule=Host:a.example",
            "traefik.frontend.entryPoints=http",
            "traefik.frontend.redirect.entryPoint=https",
        )
    )
    text = f"services:\n  web:\n    expose: [80]\n    labels:\n{labels}"
    found = check(["shop/c.yml"], files(c_yml=text), Wishes())
    assert [finding.problem.why for one in found for finding in one.findings] == []


def test_middlewares_and_redirections_of_entry_points_are_there_as_at_start() -> None:
    static = (
        "entryPoints:\n  web: {address: ':80', redirect: {entryPoint: secure}}\n"
        "  secure: {address: ':443', tls: true}\ndocker: {}\n"
    )
    text = "services:\n  web:\n    expose: [80]\n    labels: ['traefik.frontend.rule=Host:a.example']\n"
    found = check(["shop/t.yml", "shop/c.yml"], files(t_yml=static, c_yml=text), Wishes())
    assert [finding.problem.why for one in found for finding in one.findings] == []


def test_files_of_routes_may_have_templates_and_compose_files_keep_theirs() -> None:
    routes = 'http: {routers: {r: {rule: "Host(`{{ env "SITE" }}.example`)", service: noop@internal}}}\n'
    text = (
        "services: {lb: {image: traefik, command: ['--providers.docker.defaultRule=Host(`{{ .Name }}`)']}}\n"
    )
    paths = files(t_yml=routes, c_yml=text)
    found = check(["shop/t.yml", "shop/c.yml"], paths, Wishes(environ={"SITE": "a"}))
    assert [finding.problem.why for one in found for finding in one.findings] == []
    wrong = check(["shop/t.yml"], files(t_yml="http: {{ nonsense }}\n"), Wishes())
    assert wrong[0].findings[0].problem.why == "template: there is no function nonsense (character 10)"


def test_certificates_to_show_to_servers_are_taken_to_be_there() -> None:
    labels = "['traefik.frontend.rule=Host:a.example', 'traefik.frontend.passTLSCert=true']"
    text = f"services: {{web: {{expose: [80], labels: {labels}}}}}"
    (found,) = check(["shop/c.yml"], files(c_yml=text), Wishes())
    assert found.findings == ()


def test_routers_to_the_api_are_fine_but_where_it_is_known_to_be_off() -> None:
    labels = f"['{V3}.rule=Host(`a`)', '{V3}.service=api@internal']"
    text = f"services: {{web: {{labels: {labels}}}}}"
    alone = check(["shop/c.yml"], files(c_yml=text), Wishes())
    assert [finding.problem.why for one in alone for finding in one.findings] == []
    static = "entryPoints: {web: {address: ':80'}}\nproviders: {docker: {}}\n"
    off = check(["shop/t.yml", "shop/c.yml"], files(t_yml=static, c_yml=text), Wishes())
    assert [finding.problem.hint for one in off for finding in one.findings] == ["the API is off: add --api"]
    on = check(["shop/t.yml", "shop/c.yml"], files(t_yml=f"{static}api: {{}}\n", c_yml=text), Wishes())
    assert [finding.problem.why for one in on for finding in one.findings] == []
