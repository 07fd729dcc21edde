"""Chains of middlewares, which are names for several of them: what each one stands for in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynbalancer.core.references import bare
from dynbalancer.errors import ConfigurationError

#: Middlewares that one chain may stand for, and chains within each other. Doubling ones would grow without end.
MOST, DEEPEST = 100, 16

Members = Mapping[str, tuple[str, ...]]


def unfold(
    chains: Members, find: Callable[[str, str], str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, ConfigurationError]]:
    """For each chain the middlewares it stands for, in order, or why it can't be used.

    ``find(reference, owner)`` gives the full name of what a chain of that name refers to, and raises
    ConfigurationError where there is no such thing.
    """
    unfolding = _Unfolding(chains, find)
    failed: dict[str, ConfigurationError] = {}
    for name in chains:
        try:
            unfolding.leaves(name, ())
        except ConfigurationError as error:
            failed[name] = bare(error)
    return unfolding.unfolded, failed


class _Unfolding:
    """One run of :func:`unfold`: an object, since a function that calls itself is garbage nobody sees for long."""

    def __init__(self, chains: Members, find: Callable[[str, str], str]) -> None:
        self.unfolded: dict[str, tuple[str, ...]] = {}
        self._chains = chains
        self._find = find

    def leaves(self, name: str, above: tuple[str, ...]) -> tuple[str, ...]:
        """What a name stands for within the chains ``above``."""
        if name not in self._chains:
            return (name,)
        if name in above:
            raise ConfigurationError("", f"it leads back to itself: {' → '.join((*above, name))}")
        if len(above) == DEEPEST:
            raise ConfigurationError("", f"more than {DEEPEST} chains within each other")
        if name not in self.unfolded:
            found: list[str] = []
            for reference in self._chains[name]:
                found += self.leaves(self._find(reference, name), (*above, name))
                if len(found) > MOST:
                    raise ConfigurationError("", f"more than {MOST} middlewares in one chain")
            self.unfolded[name] = tuple(found)
        return self.unfolded[name]
