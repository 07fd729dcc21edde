"""Mappings that share most of themselves with the one they came from, and what two mappings differ in.

Ten thousand routers are in a table, and one of them changes a hundred times an hour: what a change costs must be
that of the change.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import compress, repeat
from math import isqrt
from operator import is_not
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Stands in an upper layer for a key that the lower one has and the whole has not.
_GONE: Any = object()
_MISSING: Any = object()


def moved(old: Mapping[K, V], new: Mapping[K, V]) -> tuple[list[K], list[K]]:
    """The keys that came or have another value, and those that went. What is the same object isn't compared."""
    if old is new:
        return [], []
    # Two passes: the first is as fast as Python gets, and leaves next to nothing to the second.
    others = list(compress(new, map(is_not, new.values(), map(old.get, new, repeat(_MISSING)))))
    changed = [key for key in others if key not in old or old[key] != new[key]]
    came = sum(key not in old for key in changed)
    if len(old) + came == len(new):
        return changed, []
    return changed, [key for key in old if key not in new]


class Layered(Mapping[K, V]):
    """A mapping that never changes: a large lower layer shared with its predecessors, a small one of its own."""

    __slots__ = ("_base", "_size", "_top")

    def __init__(self, base: Mapping[K, V] | None = None) -> None:
        self._base: dict[K, V] = dict(base or {})
        self._top: dict[K, V] = {}
        self._size = len(self._base)

    def __getitem__(self, key: K) -> V:
        found: V = self._top.get(key, _MISSING)
        if found is _MISSING:
            return self._base[key]
        if found is _GONE:
            raise KeyError(key)
        return found

    def get(self, key: K, default: Any = None) -> Any:
        """The value of a key, or the default."""
        found = self._top.get(key, _MISSING)
        if found is _MISSING:
            return self._base.get(key, default)
        return default if found is _GONE else found

    def __contains__(self, key: object) -> bool:
        return self.get(key, _MISSING) is not _MISSING  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[K]:
        top = self._top
        for key in self._base:
            if top.get(key) is not _GONE:
                yield key
        for key, value in top.items():
            if value is not _GONE and key not in self._base:
                yield key

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"Layered({dict(self)!r})"

    def draft(self) -> Draft[K, V]:
        """To make the next one from."""
        return Draft(self._base, self._top, self._size)

    @classmethod
    def _of(cls, base: dict[K, V], top: dict[K, V], size: int) -> Layered[K, V]:
        made = cls.__new__(cls)
        made._base, made._top, made._size = base, top, size
        return made


class Draft(Generic[K, V]):
    """A :class:`Layered` on its way: changed in place, and :meth:`done` once."""

    __slots__ = ("_base", "_fresh", "_size", "_top")

    def __init__(self, base: dict[K, V], top: dict[K, V], size: int) -> None:
        self._base = base
        self._top = top
        self._size = size
        # The layers are another's until something is written.
        self._fresh = False

    def get(self, key: K) -> V | None:
        """The value of a key, or None."""
        found = self._top.get(key, _MISSING)
        if found is _MISSING:
            return self._base.get(key)
        return None if found is _GONE else found

    def __contains__(self, key: K) -> bool:
        found = self._top.get(key, _MISSING)
        return key in self._base if found is _MISSING else found is not _GONE

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self:
            self._size += 1
        self._own()[key] = value

    def discard(self, key: K) -> None:
        """Leave a key out, if it is there."""
        if key not in self:
            return
        self._size -= 1
        if key in self._base:
            self._own()[key] = _GONE
        else:
            del self._own()[key]

    def _own(self) -> dict[K, V]:
        if not self._fresh:
            self._fresh = True
            self._top = dict(self._top)
        return self._top

    def done(self) -> Layered[K, V]:
        """The mapping."""
        base, top = self._base, self._top
        # Copying the upper layer at each change and the lower one now and then is cheapest about here.
        if not base and self._fresh:
            base, top = top, {}
        elif len(top) > max(64, 2 * isqrt(len(base))):
            base, top = _folded(base, top), {}
        return Layered._of(base, top, self._size)


def _folded(base: dict[K, V], top: dict[K, V]) -> dict[K, V]:
    whole = dict(base)
    whole.update(top)
    for key, value in top.items():
        if value is _GONE:
            del whole[key]
    return whole


class Groups(Generic[K, V]):
    """A draft of a mapping from keys to several members each, which have a name and may have an order."""

    __slots__ = ("_draft", "_name", "_order", "open")

    def __init__(
        self,
        groups: Layered[K, tuple[V, ...]],
        name: Callable[[V], str],
        order: Callable[[V], Any] | None = None,
    ) -> None:
        self._draft = groups.draft()
        self._name = name
        self._order = order
        #: The groups that something was done to, by key.
        self.open: dict[K, dict[str, V]] = {}

    def add(self, key: K, member: V) -> None:
        """Put a member into a group, in the place of one with its name."""
        self._opened(key)[self._name(member)] = member

    def remove(self, key: K, member: V) -> None:
        """Take the member of this one's name out of a group."""
        self._opened(key).pop(self._name(member), None)

    def _opened(self, key: K) -> dict[str, V]:
        found = self.open.get(key)
        if found is None:
            members: Iterable[V] = self._draft.get(key) or ()
            found = self.open[key] = {self._name(member): member for member in members}
        return found

    def closing(self) -> Iterator[None]:
        """Put the groups in order, one at each step."""
        for key, members in self.open.items():
            if not members:
                self._draft.discard(key)
            elif self._order is None or len(members) == 1:
                self._draft[key] = tuple(members.values())
            else:
                self._draft[key] = tuple(sorted(members.values(), key=self._order))
            yield

    def done(self) -> Layered[K, tuple[V, ...]]:
        """The mapping, after :meth:`closing`."""
        return self._draft.done()
