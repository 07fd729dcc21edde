"""What comes again on a connection and is not worked out again: a request, and what it and its answer came to.

Why that stays right is in ``docs/inside/decisions/same-again.md``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from dynbalancer.core.exchange import CHUNKED, REPLAYED, Field, RequestHead, Response, ResponseHead
from dynbalancer.core.fields import SECRETS
from dynbalancer.core.http1 import write_request_head
from dynbalancer.proxy.client_exchange import ClientExchange

if TYPE_CHECKING:
    from dynbalancer.core.table import Route, RoutingTable
    from dynbalancer.proxy.http1 import ServerConnection

#: What a middleware may set of an exchange and keep its promise (see IRepeatable).
_SETTABLE = frozenset(("head", "notes", "replayed", "retry"))

#: The hooks that its promise is about.
_PROMISED = frozenset(("on_request", "on_response", "once_more"))


def is_repeatable(middleware: Any) -> bool:
    """Whether it promises what IRepeatable says.

    Its own class has to: who inherits from one that does may do something else.
    """
    return vars(type(middleware)).get("same_again") is True and not (
        _PROMISED & getattr(middleware, "__dict__", {}).keys()
    )


class Standing:
    """How a request stands at one place among the middlewares: what those before it made of it."""

    __slots__ = ("head", "notes", "replayed", "retry")

    def __init__(self, exchange: ClientExchange) -> None:
        self.head = exchange.head.copy()
        self.notes = None if exchange.notes is None else exchange.notes.copy()
        self.retry = exchange.retry
        self.replayed = exchange.replayed

    def put(self, exchange: ClientExchange) -> None:
        """Let an exchange go on from here, in the long way."""
        exchange.head = self.head.copy()
        self.tell(exchange)

    def tell(self, exchange: ClientExchange) -> None:
        """Let it have all but the head."""
        if self.notes is not None:
            own = exchange.notes
            exchange.notes = self.notes.copy() if own is None else {**self.notes, **own}
        if self.retry is not None:
            exchange.retry = self.retry
            if self.replayed != REPLAYED:
                exchange.replayed = self.replayed


#: A middleware that is asked each time: what to ask, its place, and how the request stands there.
Step = tuple[Callable[[ClientExchange], "Response | Awaitable[Response | None] | None"], int, Standing]


class KnownRequest:
    """A request and what it comes to, while the table is the same: its route, and the head for the server.

    ``data`` is the request as it came: a head and nothing else; its body is another matter. ``wire`` is what goes to
    whichever server (empty: that differs by server). Where the route has middlewares that always do the same with it,
    ``standing`` is what they come to, ``steps`` are those to ask each time nevertheless, and ``head`` serves all
    exchanges. Where it has others, ``standing`` is None, and each exchange needs a copy of ``head``, which nobody has
    changed yet.

    ``told`` is the last server's answer, as it would go to a client, and ``answer`` the head that the middlewares made
    of it; ``origin`` is as in an exchange.
    """

    __slots__ = (
        "answer",
        "asked",
        "data",
        "head",
        "origin",
        "route",
        "standing",
        "steps",
        "table",
        "told",
        "wire",
    )

    def __init__(self, data: bytes, head: RequestHead, table: RoutingTable, route: Route) -> None:
        self.data = data
        self.head = head
        self.route = route
        # A connection may rest for long: it must not keep a table that nobody else needs.
        self.table = ref(table)
        self.wire = b""
        self.asked = head.path, head.query
        self.standing: Standing | None = None
        self.steps: tuple[Step, ...] = ()
        self.told = b""
        self.answer: ResponseHead | None = None
        self.origin: tuple[int, tuple[Field, ...]] | None = None

    @classmethod
    def of(cls, exchange: ClientExchange, data: bytes, head: RequestHead) -> KnownRequest | None:
        """What ``exchange`` shows of its request, where nothing but the table decides what becomes of it.

        ``head`` is that of the request, before anybody changed it.
        """
        table, route, resource = exchange.table, exchange.route, exchange.resource
        if table is None or route is None or head.upgrade is not None:
            return None
        if head.length == CHUNKED or head.expect_continue:
            return None
        resource.say_where_from(exchange, head)
        known = cls(data, head, table, route)
        if route.middlewares:
            if not all(map(is_repeatable, route.middlewares)):
                return known
            if not exchange.tries:
                # It waits: another time it may not, and then there is more to know.
                return None
            if not known._pass(exchange.client_connection, table):
                return known
        if known.head.authority and route.service.same_head:
            known.wire = write_request_head(known.head)
        return known

    @property
    def is_for_all(self) -> bool:
        """Whether it holds for every plain connection from the same address, and may outlive the one it came on.

        Middlewares may look at a connection's port; and secrets are not kept for longer than their connection.
        """
        return not self.route.middlewares and SECRETS.isdisjoint(
            lower for lower, _, _ in self.head.headers.fields
        )

    def _pass(self, connection: ServerConnection, table: RoutingTable) -> bool:
        """Let a copy pass the middlewares. False where that comes to something else than a request for a server."""
        exchange = ClientExchange(connection, self.head.copy())
        exchange.table, exchange.route, exchange.asked = table, self.route, self.asked
        before = vars(exchange).copy()
        steps: list[Step] = []
        try:
            for index, middleware in enumerate(self.route.middlewares):
                if middleware.once_more is not None:
                    ask = middleware.once_more(exchange)
                    if ask is None:
                        return False
                    steps.append((ask, index, Standing(exchange)))
                elif middleware.on_request is not None and middleware.on_request(exchange) is not None:
                    return False
        except Exception:
            # In the long way it is said whose defect that is.
            return False
        if {
            name for name, value in vars(exchange).items() if before.get(name, self) is not value
        } - _SETTABLE:
            return False
        self.standing = Standing(exchange)
        self.steps = tuple(steps)
        self.head = self.standing.head
        self.head.shared = True
        return True

    def begin(self, connection: ServerConnection, table: RoutingTable | None, body: bytes) -> None:
        """It came again, for a route with middlewares, perhaps with its whole ``body``: carry it out."""
        route, standing = self.route, self.standing
        resource = connection.site.resource
        head = self.head if standing is not None else self.head.copy()
        connection.exchange = exchange = ClientExchange(connection, head, body)
        exchange.table, exchange.route = table, route
        if standing is None:
            resource.run(exchange, route.middlewares)
            return
        exchange.asked = self.asked
        for ask, index, there in self.steps:
            try:
                found = ask(exchange)
            except Exception:
                there.put(exchange)
                resource.broke_at(exchange, route.middlewares, index)
                return
            if found is not None:
                there.put(exchange)
                resource.stopped_at(exchange, route.middlewares, index, found)
                return
        if self.steps and exchange.user:
            # A step named it: what is logged of this exchange is not what the head says of all.
            exchange.head = head.copy()
        standing.tell(exchange)
        exchange.wire = self.wire
        exchange.forward(route.service)

    def learn(
        self, told: bytes, answer: ResponseHead, wire: bytes, origin: tuple[int, tuple[Field, ...]]
    ) -> None:
        """The middlewares made ``answer`` of what was ``told``, and always will; it goes as ``wire``."""
        answer.wire = wire
        self.told, self.answer, self.origin = told, answer, origin
