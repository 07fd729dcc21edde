"""Sections within a service that have tables of keys of their own, and what is made of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dynbalancer.core import checks, schema
from dynbalancer.core.model import HealthCheck
from dynbalancer.core.schema import Key

#: What is odd about what was made of a section, as (key, why, severity), by the attributes that somebody wrote.
Doubts = Callable[[Any, Iterable[str]], tuple[tuple[str, str, str], ...]]


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its keys, what is made of their attributes, and what may be odd about that."""

    keys: tuple[Key, ...]
    make: Callable[..., Any]
    doubts: Doubts = lambda made, given: ()


#: By the key that the section stands under.
BELOW: Mapping[str, Section] = {
    "healthCheck": Section(checks.HEALTH_CHECK, HealthCheck, checks.doubts),
}

#: Readers of every kind of value, by kind.
READERS: Mapping[str, Callable[[object], Any]] = {**schema.READERS, **checks.READERS}
