"""Makers: found by name, loaded by need, and a missing library is a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from dynbalancer import interfaces, plugins
from dynbalancer.errors import ConfigurationError
from dynbalancer.plugins import BalancerMaker, MiddlewareMaker, Option, ProviderMaker


class Made:
    """What the makers below make; ``given`` is what they were given."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.given, self.named = given, named

    @classmethod
    def from_settings(cls, *given: Any, **named: Any) -> Made:
        return cls(*given, **named)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makers name their code by a dotted name: here this module's."""
    monkeypatch.setitem(sys.modules, "made_here", sys.modules[__name__])


def test_provider_is_made_from_settings_sink_and_reactor() -> None:
    maker = ProviderMaker("x", "made_here.Made", "Things.", (Option("path", "", "Where."),))
    assert maker.make_provider({"path": "/x"}, "sink", "reactor").given == ({"path": "/x"}, "sink", "reactor")
    assert verifyObject(interfaces.IProviderMaker, maker)


@pytest.mark.parametrize(
    "wants, named",
    [((), {}), (("clock",), {"clock": "c"}), (("fetch", "clock"), {"clock": "c", "fetch": "f"})],
)
def test_middleware_gets_what_it_wants_and_no_more(wants: tuple[str, ...], named: dict[str, str]) -> None:
    maker = MiddlewareMaker("m", "made_here.Made", "A thing.", wants)
    made = maker.make_middleware("m@x", {"a": 1}, {"clock": "c", "fetch": "f"})
    assert (made.given, made.named) == (("m@x", {"a": 1}), named)
    assert verifyObject(interfaces.IMiddlewareMaker, maker)


class Defective:
    """Something that does not expect what it gets."""

    @classmethod
    def from_settings(cls, name: str, settings: dict[str, int]) -> Defective:
        raise ZeroDivisionError(1 // settings["none"])


def test_defect_of_a_middleware_closes_its_routers_and_nobody_elses() -> None:
    maker = MiddlewareMaker("m", "made_here.Defective", "A thing.", cosmetic=True)
    with pytest.raises(ConfigurationError) as caught:
        maker.make_middleware("m@x", {"none": 0}, {})
    assert caught.value.where == "middleware m@x"
    assert "a defect of the type m: ZeroDivisionError" in caught.value.why
    assert not caught.value.harmless


def test_balancer_is_made_over_servers() -> None:
    maker = BalancerMaker("b", "made_here.Made", "In turn.")
    made = maker.make_balancer(["s"], {}, int, float)
    assert made.given == (["s"], {}, int, float)
    assert verifyObject(interfaces.IBalancerMaker, maker)


@pytest.fixture
def needy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The dotted name of something in a module that needs another, which is missing."""
    (tmp_path / "needy_module.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "needy_module.make"


def test_missing_library_says_what_to_install(needy: str) -> None:
    maker = ProviderMaker("x", needy, "Things.", extra="x")
    with pytest.raises(ConfigurationError) as caught:
        maker.make_provider({}, None, None)
    assert caught.value.where == "provider x"
    assert caught.value.why == "needs the module no_such_library, which is not installed"
    assert caught.value.hint == "pip install 'dynbalancer[x]'"


def test_missing_library_without_an_extra_has_no_hint(needy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        BalancerMaker("b", needy, "In turn.").make_balancer([], {}, int, float)
    assert (caught.value.where, caught.value.hint) == ("balancer b", "")


@pytest.mark.parametrize(
    "found, interface, expected",
    [
        (plugins.provider_makers, interfaces.IProviderMaker, {"docker", "file", "demo"}),
        (plugins.middleware_makers, interfaces.IMiddlewareMaker, {"addprefix", "stripprefix", "headers"}),
        (plugins.balancer_makers, interfaces.IBalancerMaker, {"wrr"}),
    ],
)
def test_built_ins_are_found_as_plugins_by_lower_case_name(
    found: Any, interface: Any, expected: set[str]
) -> None:
    makers = found()
    assert expected <= set(makers)
    assert all(verifyObject(interface, maker) for maker in makers.values())
    assert all(name == name.lower() and maker.description.endswith(".") for name, maker in makers.items())


def test_every_built_in_names_code_that_exists() -> None:
    makers = [*plugins.provider_makers().values(), *plugins.middleware_makers().values()]
    makers += plugins.balancer_makers().values()
    assert all(callable(plugins._load(maker.factory, "", "")) for maker in makers)


def test_finding_makers_loads_none_of_their_code() -> None:
    root = Path(__file__).parents[1]
    code = (
        "import sys\n"
        "from dynbalancer import plugins\n"
        "found = len(plugins.provider_makers()) > 2\n"
        "print(found, 'dynbalancer_docker.provider' in sys.modules, 'docker' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": f"{root}:{root / 'providers'}"},
    )
    assert (done.stdout.split(), done.stderr) == (["True", "False", "False"], "")


@pytest.mark.parametrize(
    ("cosmetic", "settings", "harmless"),
    [
        (False, {}, False),
        (True, {"prefx": 1}, True),
        (("prefx",), {"Prefx": 1}, True),
        (("prefx",), {"prefx.a": 1, "prefx[0]": 1}, True),
        (("prefx",), {"prefx": 1, "users": 1}, False),
    ],
)
def test_maker_knows_whether_routers_may_go_on_without_it(
    cosmetic: bool | tuple[str, ...], settings: dict[str, Any], harmless: bool
) -> None:
    maker = MiddlewareMaker("m", "dynbalancer.middlewares.paths.AddPrefix", "", cosmetic=cosmetic)
    with pytest.raises(ConfigurationError) as error:
        maker.make_middleware("m@x", settings, {})
    assert error.value.harmless is harmless


#: They keep nobody out, whatever their settings are.
COSMETIC = {"compress", "contenttype", "errors", "retry"}


def test_everything_else_that_is_built_in_closes_its_routers() -> None:
    found = {name for name, maker in plugins.middleware_makers().items() if maker.cosmetic is True}
    assert found == COSMETIC
    assert {name for name, maker in plugins.middleware_makers().items() if maker.cosmetic} == COSMETIC | {
        "headers"
    }


def test_what_a_middleware_is_made_by_can_be_imported_before_and_failing_says_nothing_yet() -> None:
    sys.modules.pop("colorsys", None)
    plugins.MiddlewareMaker("a", "colorsys.rgb_to_hls", "").load()
    assert "colorsys" in sys.modules
    plugins.MiddlewareMaker("b", "no_such_module.Thing", "").load()
