"""Makers: say a name and where the code is; the code is loaded when it is first used.

::

    docker = ProviderMaker("docker", "dynbalancer_docker.provider.make_provider", "Containers of a Docker engine.",
                           options=(Option("endpoint", "unix:///var/run/docker.sock", "Where the engine listens."),))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer

from dynbalancer import interfaces
from dynbalancer.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a provider. Its type is that of ``default``: bool, int, float (seconds), str, or tuple of str.

    ``repeats``: a text that may be given several times, and is then all of them with commas between.
    """

    name: str
    default: bool | int | float | str | tuple[str, ...]
    description: str
    repeats: bool = False


@implementer(IPlugin, interfaces.IProviderMaker)
@dataclass(frozen=True, slots=True)
class ProviderMaker:
    """A provider by name. ``factory`` is the dotted name of ``make_provider(settings, sink, reactor)``.

    ``extra`` names the pip extra to suggest where its library is missing.
    """

    name: str
    factory: str
    description: str
    options: Sequence[Option] = ()
    extra: str = ""

    def make_provider(self, settings: Mapping[str, Any], sink: Any, reactor: Any) -> Any:
        """See :class:`~dynbalancer.interfaces.IProviderMaker`."""
        return _load(self.factory, f"provider {self.name}", self.extra)(settings, sink, reactor)


@implementer(IPlugin, interfaces.IMiddlewareMaker)
@dataclass(frozen=True, slots=True)
class MiddlewareMaker:
    """A middleware type by name. ``factory`` is the dotted name of a class with ``from_settings(name, settings)``.

    ``wants`` names what it takes of the ``offers`` (see the interface), as keyword arguments.

    Where its settings can't be used, the routers that use it are off: what keeps somebody out must not be left out.
    ``cosmetic`` says of a type that it never keeps anybody out; or it names options, and settings that have no others
    don't. Those are left out then, and their routers go on.
    """

    type: str
    factory: str
    description: str
    wants: tuple[str, ...] = ()
    cosmetic: bool | tuple[str, ...] = False

    def make_middleware(self, name: str, settings: Mapping[str, Any], offers: Mapping[str, Any]) -> Any:
        """See :class:`~dynbalancer.interfaces.IMiddlewareMaker`."""
        found = _load(self.factory, f"middleware {name}", "")
        try:
            return found.from_settings(name, settings, **{word: offers[word] for word in self.wants})
        except ConfigurationError as error:
            error.harmless = self._is_cosmetic(settings)
            raise
        except Exception as error:
            # A defect of one type must not cost everybody else the table.
            why = f"its settings could not be read, which is a defect of the type {self.type}: {error!r}"
            raise ConfigurationError(f"middleware {name}", why) from error

    def load(self) -> None:
        """Import what it is made by; where that fails, making one will say why."""
        with suppress(Exception):
            _named(self.factory)

    def _is_cosmetic(self, settings: Mapping[str, Any]) -> bool:
        if isinstance(self.cosmetic, bool):
            return self.cosmetic
        cosmetic = {option.lower() for option in self.cosmetic}
        # Labels write an option of a section as section.option, or one of a list as list[0].
        return all(key.lower().partition(".")[0].partition("[")[0] in cosmetic for key in settings)


@implementer(IPlugin, interfaces.IBalancerMaker)
@dataclass(frozen=True, slots=True)
class BalancerMaker:
    """A balancing strategy by name. ``factory``: dotted name of a callable ``(servers, settings, counter, random)``."""

    kind: str
    factory: str
    description: str

    def make_balancer(
        self,
        servers: Sequence[Any],
        settings: Mapping[str, Any],
        counter: Callable[[], int],
        random: Callable[[], float],
    ) -> Any:
        """See :class:`~dynbalancer.interfaces.IBalancerMaker`."""
        return _load(self.factory, f"balancer {self.kind}", "")(servers, settings, counter, random)


def provider_makers() -> dict[str, Any]:
    """Every provider maker installed, by name in lower case."""
    return _by("name", getPlugins(interfaces.IProviderMaker))


def middleware_makers() -> dict[str, Any]:
    """Every middleware maker installed, by type in lower case."""
    return _by("type", getPlugins(interfaces.IMiddlewareMaker))


def balancer_makers() -> dict[str, Any]:
    """Every balancer maker installed, by kind in lower case."""
    return _by("kind", getPlugins(interfaces.IBalancerMaker))


def _by(attribute: str, found: Iterable[T]) -> dict[str, T]:
    return {getattr(maker, attribute).lower(): maker for maker in found}


@cache
def _named(dotted: str) -> Any:
    # Looking for a name tries to import it as a module first, and a table may ask for ten thousand balancers.
    return namedAny(dotted)


def _load(dotted: str, where: str, extra: str) -> Any:
    try:
        return _named(dotted)
    except ModuleNotFoundError as error:
        hint = f"pip install 'dynbalancer[{extra}]'" if extra else ""
        raise ConfigurationError(
            where, f"needs the module {error.name}, which is not installed", hint
        ) from error
