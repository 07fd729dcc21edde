"""Settings out of flags, environment and file, in the spellings that Traefik's users have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import pytest

from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import AccessLogSettings, ApiSettings, Settings
from dynbalancer.errors import ConfigurationError
from dynbalancer.plugins import Option, ProviderMaker
from dynbalancer.start.flags import Vocabulary
from dynbalancer.start.options import Options, Reading, help_text, parse, read

MAKERS = {
    "docker": ProviderMaker(
        "docker",
        "x.y",
        "Containers.",
        (Option("exposedbydefault", True, "Route all."), Option("network", "", "Network.")),
    ),
    "file": ProviderMaker("file", "x.y", "Files.", (Option("filename", "", "File."),)),
}


def no_file(path: str) -> str:
    """There is none."""
    raise FileNotFoundError(2, "No such file or directory")


def reading(
    *argv: str, environ: Mapping[str, str] | None = None, read_file: Callable[[str], str] = no_file
) -> Reading:
    """What is read with two providers installed, on two CPUs."""
    return read(argv, environ or {}, read_file, makers=MAKERS, cpus=2)


def settings(*argv: str, **more: object) -> Settings:
    """The settings of :func:`reading`."""
    return reading(*argv, **more).settings  # type: ignore[arg-type]


def mistake(*argv: str, **more: object) -> str:
    """The sentence with which these are refused."""
    with pytest.raises(ConfigurationError) as caught:
        reading(*argv, **more)  # type: ignore[arg-type]
    return str(caught.value)


def test_without_any_settings_there_is_http_on_port_80_and_no_api() -> None:
    found = settings()
    assert found.entry_points == (EntryPoint("http", 80),)
    assert found.api is None
    assert found.providers == {}
    assert found.workers == 2
    assert found.log_level == "info"


def test_the_articles_command_line() -> None:
    found = settings("--api", "--docker", "--docker.exposedbydefault=false")
    assert found.api == ApiSettings("127.0.0.1", 8080)
    assert found.providers == {"docker": {"exposedbydefault": False, "network": ""}}
    assert found.entry_points == (EntryPoint("http", 80),)


@pytest.mark.parametrize(
    "argv",
    [
        ["--docker.network=global"],
        ["--docker.network", "global"],
        ["--Docker.Network=global"],
        ["--providers.docker.network=global"],
        ["--PROVIDERS.DOCKER=true", "--providers.docker.network", "global"],
    ],
)
def test_every_spelling_of_a_providers_option_switches_it_on(argv: Sequence[str]) -> None:
    assert settings(*argv).providers["docker"]["network"] == "global"


@pytest.mark.parametrize(
    "argv, exposed",
    [
        (["--docker"], True),
        (["--docker.exposedbydefault"], True),
        (["--docker.exposedbydefault", "false"], False),
        (["--docker.exposedbydefault", "--docker.network=x"], True),
        (["--docker.exposedbydefault=true", "--docker.exposedbydefault=f"], False),
    ],
)
def test_a_switch_alone_means_true_and_the_last_word_counts(argv: Sequence[str], exposed: bool) -> None:
    assert settings(*argv).providers["docker"]["exposedbydefault"] is exposed


def test_a_provider_can_be_switched_off_again() -> None:
    assert settings("--docker.network=x", "--docker=false").providers == {}


@pytest.mark.parametrize(
    "argv, encrypted, files",
    [
        (["--entrypoints.s.http.tls=true"], True, ()),
        (["--entrypoints.s.http.tls"], True, ()),
        (["--entrypoints.s.http.tls=false"], False, ()),
        (["--entrypoints.s.tls=true"], True, ()),
        (["--entrypoints.s.tls=false"], False, ()),
        (["--entrypoints.s.tls=a.pem,a.key"], True, (("a.pem", "a.key"),)),
        (["--entrypoints.s.tls=a.pem,a.key; b.pem, b.key"], True, (("a.pem", "a.key"), ("b.pem", "b.key"))),
        (["--entryPoints=Name:s Address::443 TLS"], True, ()),
        (["--entryPoints=Name:s Address::443 TLS:a.pem,a.key"], True, (("a.pem", "a.key"),)),
    ],
)
def test_entry_points_that_speak_only_tls(
    argv: list[str], encrypted: bool, files: tuple[tuple[str, str], ...]
) -> None:
    found = parse([*argv, "--entrypoints.s.address=:443"], {}, str)
    assert found.entry_points == (EntryPoint("s", 443, tls=encrypted),)
    assert found.certificates == files


def test_tls_in_a_settings_file_is_an_empty_section() -> None:
    text = "entryPoints: {s: {address: ':443', http: {tls: {}}}}"
    found = parse(["--configfile=d.yml"], {}, {"d.yml": text}.__getitem__)
    assert found.entry_points == (EntryPoint("s", 443, tls=True),)


def test_entry_points_for_datagrams_may_have_the_port_of_another() -> None:
    found = settings(
        "--entrypoints.dns.address=:53/udp",
        "--entrypoints.dns.udp.timeout=9s",
        "--entrypoints.tcp.address=:53/tcp",
    )
    assert found.entry_points == (
        EntryPoint("dns", 53, udp=True, udp_timeout=9.0),
        EntryPoint("tcp", 53),
    )
    assert found.entry_points[0].address == ":53/udp"
    with pytest.raises(ConfigurationError, match="both want :53/udp"):
        settings("--entrypoints.a.address=:53/udp", "--entrypoints.b.address=:53/udp")
    with pytest.raises(ConfigurationError, match="wants sctp"):
        settings("--entrypoints.a.address=:53/sctp")


def test_named_entry_points_replace_the_usual_one() -> None:
    found = settings(
        "--entrypoints.web.address=:8000",
        "--entrypoints.inner.address=127.0.0.1:8001",
        "--entrypoints.inner.asdefault",
        "--entryPoints.web.forwardedHeaders.trustedIPs=10.1.2.3/8,192.0.2.1",
        "--entrypoints.inner.forwardedheaders.insecure",
    )
    assert found.entry_points == (
        EntryPoint("web", 8000, trusted=("10.0.0.0/8", "192.0.2.1/32")),
        EntryPoint("inner", 8001, "127.0.0.1", as_default=True, trust_all=True),
    )


@pytest.mark.parametrize(
    "argv, trusted, everybody",
    [
        (
            ["--entrypoints.web.proxyprotocol.trustedips=10.0.0.0/8,192.0.2.1"],
            ("10.0.0.0/8", "192.0.2.1/32"),
            False,
        ),
        (["--entryPoints.web.proxyProtocol.insecure"], (), True),
        (["--entryPoints=Name:web Address::80 ProxyProtocol.TrustedIPs:10.0.0.0/8"], ("10.0.0.0/8",), False),
        (["--entryPoints=Name:web Address::80 ProxyProtocol.Insecure:true"], (), True),
    ],
)
def test_peers_that_may_send_a_proxy_header(
    argv: list[str], trusted: tuple[str, ...], *, everybody: bool
) -> None:
    found = parse(["--entrypoints.web.address=:80", *argv], {}, str)
    assert found.entry_points == (EntryPoint("web", 80, proxy_trusted=trusted, proxy_trust_all=everybody),)


def test_limits_of_connections() -> None:
    limits = ("--entrypoints.web.maxConnections=10k", "--entrypoints.web.maxconnectionsperaddress=100")
    found = parse(["--entrypoints.web.address=:80", *limits], {}, str)
    expected = EntryPoint("web", 80, max_connections=10240, max_connections_per_address=100)
    assert found.entry_points == (expected,)


@pytest.mark.parametrize("written", ["-1", "many", "1.5", ""])
def test_what_is_no_number_of_connections_is_refused(written: str) -> None:
    with pytest.raises(ConfigurationError, match="maxconnections"):
        parse(["--entrypoints.web.address=:80", f"--entrypoints.web.maxconnections={written}"], {}, str)


def test_traefik_1s_entry_points() -> None:
    found = settings(
        "--entryPoints='Name:Http Address::80 ForwardedHeaders.TrustedIPs:10.0.0.0/8'".replace("'", ""),
        "--entrypoints",
        "Name:other Address:127.0.0.1:81",
        "--defaultEntryPoints=http",
    )
    assert found.entry_points == (
        EntryPoint("Http", 80, as_default=True, trusted=("10.0.0.0/8",)),
        EntryPoint("other", 81, "127.0.0.1"),
    )


def test_an_entry_point_named_traefik_is_the_api_s_address() -> None:
    found = settings("--api", "--entrypoints.traefik.address=:9000")
    assert found.api == ApiSettings("", 9000)
    assert found.entry_points == (EntryPoint("http", 80),)


def test_what_changes_nothing_for_clients_is_a_note() -> None:
    found = reading(
        "--sendanonymoususage", "--entryPoints=Name:http Address::80 ReusePort:true", "--ping=false"
    )
    assert [(note.where, note.severity) for note in found.notes] == [
        ("--sendanonymoususage", "info"),
        ("--entryPoints, ReusePort", "warning"),
    ]


@pytest.mark.parametrize(
    "argv, sentence",
    [
        (["--dokcer"], "--dokcer: no such flag; did you mean --docker?"),
        (["--docker.exposebydefault=false"], "did you mean --docker.exposedbydefault?"),
        (
            ["--rest"],
            "--rest: Traefik has it, this version of dynbalancer has not; write its routes into files",
        ),
        (["---docker"], "---docker: not a flag; did you mean --docker?"),
        (["-x"], "-x: not a flag; flags begin with two dashes: --docker"),
        (["-api.addres=:80"], "--api.addres: no such flag; did you mean --api.address?"),
        (["docker"], "docker: not a flag; did you mean --docker?"),
        (["--api.address"], "--api.address: needs a value"),
        (["--gracetimeout=soon"], "--gracetimeout: 'soon' is not a duration such as 10s or 1m30s"),
        (
            ["--entrypoints.web.asdefault"],
            "entry point web has no address; write --entrypoints.web.address=:80",
        ),
        (["--entryPoints=Address::80"], "an entry point needs a name"),
        (["--entryPoints=Name:a Address::443 TLS.Other:true"], "decides who gets in"),
        (["--entryPoints=Name:a Address::443 TLS:a.pem"], "pairs of files"),
        (["--entryPoints=Name:a Address::80 Redirect.EntryPoint:https"], "there is no entry point https"),
        (["--defaultentrypoints=web"], "there is no entry point web; there is http"),
        (["--configfile=d.yml"], "--configfile: d.yml can't be read: No such file or directory"),
        (["--entrypoints.web.address=:80", "--entrypoints.x.address=:80"], "web and x both want :80"),
    ],
)
def test_a_mistake_is_one_sentence(argv: Sequence[str], sentence: str) -> None:
    said = mistake(*argv)
    assert sentence in said
    assert "\n" not in said


def test_the_environment_says_the_same() -> None:
    found = settings(
        environ={
            "DYNBALANCER_API": "true",
            "DYNBALANCER_API_ADDRESS": ":8080",
            "DYNBALANCER_DOCKER_EXPOSEDBYDEFAULT": "false",
            "DYNBALANCER_PROVIDERS_DOCKER_NETWORK": "global",
            "DYNBALANCER_ENTRYPOINTS_WEB_ADDRESS": ":8000",
            "DYNBALANCER_ENTRYPOINTS_MY_NET_FORWARDEDHEADERS_INSECURE": "true",
            "DYNBALANCER_ENTRYPOINTS_MY_NET_ADDRESS": ":8001",
            "DYNBALANCER_LIMITS_HEAD_TIME": "5s",
            "DYNBALANCER_LOG_LEVEL": "DEBUG",
            "DYNBALANCER_WORKERS": "",
            "PATH": "/bin",
        }
    )
    assert found.api == ApiSettings("", 8080)
    assert found.providers == {"docker": {"exposedbydefault": False, "network": "global"}}
    assert {point.name: point.port for point in found.entry_points} == {"web": 8000, "my_net": 8001}
    assert found.limits.head_time == 5.0
    assert found.log_level == "debug"
    assert found.workers == 2


def test_an_unknown_variable_is_only_noted_because_others_set_some() -> None:
    found = reading(environ={"DYNBALANCER_PORT": "tcp://192.0.2.1:80", "DYNBALANCER_DOKCER": "1"})
    assert [(note.where, note.severity) for note in found.notes] == [
        ("DYNBALANCER_DOKCER", "warning"),
        ("DYNBALANCER_PORT", "warning"),
    ]
    assert found.notes[0].hint == "did you mean DYNBALANCER_DOCKER?"


def test_a_wrong_variable_is_named() -> None:
    assert mistake(environ={"DYNBALANCER_WORKERS": "x"}).startswith("DYNBALANCER_WORKERS: 'x'")


def test_flags_win_over_the_environment_and_that_over_the_file_key_by_key() -> None:
    content = "docker: {network: file, exposedByDefault: false}\nworkers: 7\naccessLog: {format: json}\n"
    found = settings(
        "--docker.network=flag",
        environ={
            "DYNBALANCER_CONFIGFILE": "d.yml",
            "DYNBALANCER_DOCKER_NETWORK": "variable",
            "DYNBALANCER_WORKERS": "5",
        },
        read_file={"d.yml": content}.__getitem__,
    )
    assert found.providers == {"docker": {"exposedbydefault": False, "network": "flag"}}
    assert found.workers == 5
    assert found.access_log == AccessLogSettings(format="json")


def test_names_of_entry_points_keep_the_letter_case_of_a_file() -> None:
    found = settings(
        "--configfile=d.toml",
        "--entrypoints.web.address=:81",
        read_file={"d.toml": '[entryPoints.Web]\naddress = ":80"\n'}.__getitem__,
    )
    assert found.entry_points == (EntryPoint("Web", 81),)


def test_a_mistake_in_the_file_names_its_line() -> None:
    said = mistake("--configfile=d.yml", read_file={"d.yml": "docker:\n  netwrok: x\n"}.__getitem__)
    assert said == "d.yml:2: docker.netwrok: no such setting; did you mean docker.network?"


def test_parse_gives_the_settings_alone() -> None:
    assert parse(["--api"], {}, no_file).api == ApiSettings()


def test_the_help_names_every_flag_with_its_default() -> None:
    text = help_text("dynbalancer run", Vocabulary(MAKERS))
    assert text.startswith("Usage: dynbalancer run")
    for flag in ("--docker.exposedbydefault", "--entrypoints.NAME.address=…", "--limits.headtime=…", "[10s]"):
        assert flag in text
    assert text.index("Provider docker:") < text.index("API and dashboard:") < text.index("Limits:")


def test_twistd_s_options_hold_the_settings() -> None:
    options = Options()
    options.parseOptions(["--workers=3", "--sendanonymoususage"])
    assert options.settings.workers == 3
    assert [note.where for note in options.notes] == ["--sendanonymoususage"]


def test_a_mistake_ends_with_exit_code_2_and_help_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as wrong:
        Options().parseOptions(["--dokcer"])
    assert wrong.value.code == 2
    assert capsys.readouterr().err == "dynbalancer: --dokcer: no such flag; did you mean --docker?\n"
    with pytest.raises(SystemExit) as right:
        Options().parseOptions(["--api", "--help"])
    assert right.value.code == 0
    assert "--entrypoints.NAME.address" in capsys.readouterr().out


def test_building_options_loads_no_reactor_no_klein_and_no_docker() -> None:
    code = (
        "import sys\nfrom dynbalancer.tap import Options\noptions = Options()\n"
        "options.parseOptions(['--api', '--docker'])\nstr(options)\n"
        "print([m for m in ('klein', 'docker', 'treq', 'twisted.internet.reactor') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "argv, rule",
    [
        (["--docker"], ""),
        (["--docker", "--docker.domain=x.example"], ""),
        (["--providers.docker"], "Host(`{{ normalize .Name }}`)"),
        (["--providers.Docker.exposedByDefault=false"], "Host(`{{ normalize .Name }}`)"),
        (["--providers.docker", "--docker.domain=x.example"], ""),
        (["--providers.docker.defaultrule=Path(`/`)"], "Path(`/`)"),
    ],
)
def test_default_rule_is_that_of_the_version_whose_flags_are_written(argv: list[str], rule: str) -> None:
    assert parse(argv, {}, str).providers["docker"]["defaultrule"] == rule


def test_default_rule_of_version_3_where_a_variable_or_a_file_writes_as_it_does() -> None:
    found = parse([], {"DYNBALANCER_PROVIDERS_DOCKER_NETWORK": "x"}, str)
    assert found.providers["docker"]["defaultrule"]
    found = parse(["--configfile=d.yml"], {}, {"d.yml": "providers: {docker: {network: x}}"}.__getitem__)
    assert found.providers["docker"]["defaultrule"]
    found = parse([], {"DYNBALANCER_DOCKER_NETWORK": "x"}, str)
    assert not found.providers["docker"]["defaultrule"]


@pytest.mark.parametrize(
    "argv, wanted",
    [
        (["--docker.constraints=tag==a,tag!=b"], "tag==a,tag!=b"),
        (["--docker.constraints=tag==a", "--docker.constraints=tag!=b"], "tag==a,tag!=b"),
        (["--constraints=tag==a", "--docker.constraints=tag!=b"], "tag==a,tag!=b"),
        (["--docker", "--constraints=tag==a"], "tag==a"),
        (["--providers.docker.constraints=Label(`a`,`b , c`)"], "Label(`a`,`b , c`)"),
    ],
)
def test_every_constraint_counts(argv: list[str], wanted: str) -> None:
    assert parse(argv, {}, str).providers["docker"]["constraints"] == wanted


def test_constraints_for_all_switch_no_provider_on() -> None:
    assert parse(["--constraints=tag==a"], {}, str).providers == {}


def test_what_traefik_s_docker_provider_has_and_needs_nothing_here_is_noted() -> None:
    reading = read(
        ["--docker", "--docker.allowEmptyServices", "--docker.filename=x.tmpl", "--docker.trace=true"],
        {},
        str,
    )
    assert [(note.where, note.severity) for note in reading.notes] == [
        ("--docker.allowEmptyServices", "info"),
        ("--docker.filename", "warning"),
        ("--docker.trace", "info"),
    ]


def test_the_language_of_rules_is_said_for_all_providers_at_once() -> None:
    found = parse(["--core.defaultRuleSyntax=v2", "--docker", "--file.filename=x.yml"], {}, str).providers
    assert found["docker"]["defaultrulesyntax"] == found["file"]["defaultrulesyntax"] == "v2"
    assert parse(["--docker"], {}, str).providers["docker"]["defaultrulesyntax"] == "v3"
    with pytest.raises(ConfigurationError, match="'x' is neither v2 nor v3"):
        parse(["--docker.defaultrulesyntax=x"], {}, str)


@pytest.mark.parametrize("written, name", [("mtls@file", "mtls@file"), ("default", ""), ("default@file", "")])
def test_entry_points_name_tls_options(written: str, name: str) -> None:
    argv = ["--entrypoints.s.address=:443", f"--entrypoints.s.http.tls.options={written}"]
    (point,) = settings(*argv).entry_points
    assert (point.tls_options, point.tls) == (name, True)
