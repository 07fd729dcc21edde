"""Counting connections and datagrams that are not HTTP, in a worker: one count for each router and server."""

from __future__ import annotations

from dynbalancer.core.flows import Flow, FlowKey


class Flowing:
    """Who begins a connection asks for its count, and adds to it until the connection ends."""

    def __init__(self) -> None:
        self._flows: dict[FlowKey, Flow] = {}
        self._due: list[FlowKey] = []

    def of(self, family: str, router: str, service: str = "", address: str = "") -> Flow:
        """The count of a router and a server; without a server, of what the router refuses."""
        key = family, router, service, address
        found = self._flows.get(key)
        if found is None:
            found = self._flows[key] = Flow()
        return found

    @property
    def due(self) -> int:
        """How many counts are left to report, of those with news when it began."""
        return len(self._due)

    def report(self, most: int) -> dict[FlowKey, Flow]:
        """What was added since the last report, of so many counts at most. What nobody adds to is forgotten."""
        if not self._due:
            self._due = [key for key, flow in self._flows.items() if flow.moved]
        found: dict[FlowKey, Flow] = {}
        for _ in range(min(most, len(self._due))):
            key = self._due.pop()
            flow = self._flows[key]
            found[key] = flow.taken()
            if not flow.open:
                del self._flows[key]
        return found
