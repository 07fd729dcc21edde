"""Chains of middlewares, which are names for several of them: what each one stands for in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    unfolded: dict[str, tuple[str, ...]] = {}
    failed: dict[str, ConfigurationError] = {}

    def leaves(name: str, above: tuple[str, ...]) -> tuple[str, ...]:
        if name not in chains:
            return (name,)
        if name in above:
            raise ConfigurationError("", f"it leads back to itself: {' → '.join((*above, name))}")
        if len(above) == DEEPEST:
            raise ConfigurationError("", f"more than {DEEPEST} chains within each other")
        if name not in unfolded:
            found: list[str] = []
            for reference in chains[name]:
                found += leaves(find(reference, name), (*above, name))
                if len(found) > MOST:
                    raise ConfigurationError("", f"more than {MOST} middlewares in one chain")
            unfolded[name] = tuple(found)
        return unfolded[name]

    for name in chains:
        try:
            leaves(name, ())
        except ConfigurationError as error:
            failed[name] = error
    return unfolded, failed
