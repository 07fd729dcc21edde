"""The interfaces between the rooms of the house, and to plugins.

A plugin implements a *maker* (:class:`IProviderMaker`, :class:`IMiddlewareMaker`, :class:`IBalancerMaker`), found
through ``twisted.plugin``: put an instance of the matching class of :mod:`dynbalancer.plugins` into a module in
``twisted/plugins/``. The built-ins are found the same way and use nothing else.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

# ruff: noqa: N805  (methods of an interface have no self)
# mypy: disable-error-code="no-untyped-def,misc,no-untyped-call,empty-body"


class IProviderMaker(Interface):
    """What twistd needs to know of a provider before it loads it."""

    name = Attribute("Short name: the flag (--docker), the suffix (web@docker). str")
    description = Attribute("One sentence for --help. str")
    options = Attribute("Sequence of plugins.Option: become --NAME.OPTION and --providers.NAME.OPTION.")

    def make_provider(settings, sink, reactor):
        """An IProvider. ``settings`` maps option names to typed values, ``sink`` is an IConfigurationSink.

        Raises ConfigurationError where the settings can't work. Starts nothing: threads, sockets and processes begin in
        ``startService`` (twistd forks after this call).
        """


class IProvider(Interface):
    """A source of configuration. It is also a twisted.application.service.IService."""

    name = Attribute("As the maker's, or a more particular one. str")

    def refresh():
        """Read the source again now. A Deferred that fires with None when that was published or reported lost."""


class IConfigurationSink(Interface):
    """Where a provider says what it found."""

    def publish(configuration, cause=""):
        """Replace all that this provider said before by a model.Configuration.

        An empty one is a statement, not a slip. ``cause`` says why in a few words (``container web-2 started``).
        """

    def lost(reason):
        """The source can't be read, and why. What was published stays in force, marked stale, until it speaks again."""


class IRouter(Interface):
    """The routing table in force, and where it came from. Implemented by control.router.RouterService."""

    table = Attribute(
        "The core.table.RoutingTable in force. Read it once per request and keep it for that request."
    )
    configuration = Attribute("The merged model.Configuration in force; names carry their provider.")
    said = Attribute(
        "The same as the providers say it: servers that fail their health check are not down in it."
    )
    problems = Attribute("Tuple of Problem: of every provider, of the merge, and of the compiler.")
    providers = Attribute("Tuple of model.ProviderStatus, in the order they were added.")
    history = Attribute("Sequence of model.Change, oldest first, at most 100.")

    def sink_for(name):
        """The IConfigurationSink for one provider; adds it to ``providers``."""

    def subscribe(listener):
        """Call ``listener(old_table, new_table)`` after each swap, and on a change of problems or provider states with
        the same table twice. Returns a function that ends the subscription."""


class IHealth(Interface):
    """What health checks found. Implemented by control.healthchecks."""

    def standing(service, url, instance):
        """The core.health.Standing of a server of a service (its full name), or None where it is not checked."""


class IWorkforce(Interface):
    """The worker processes. Implemented by control.supervisor."""

    workers = Attribute("Tuple of model.WorkerStatus; empty where this process forwards by itself.")


class IStatistics(Interface):
    """Request statistics over all workers since start. Implemented by control.statistics."""

    def totals():
        """A core.statistics.Totals: counts by status, by router, by service and by server, times, recent errors."""

    def per_second():
        """Requests in each of the last 60 seconds, oldest first. list of int"""


class ITermination(Interface):
    """Answers TLS handshakes for the entry points. Implemented by tls.termination."""

    def use(certificates):
        """Answer with these model.Certificates from the next handshake on; connections keep what they have."""

    def share_tickets(key):
        """Issue and take session tickets under this key (80 bytes), as every worker does."""

    def keep(options):
        """Forget all model.TLSOptions but these, and the built-in ones."""

    def objection(options):
        """Why these options can't be used here; empty where they can. str"""

    def first_answer(options=None):
        """The ssl.SSLContext to begin handshakes with, on native transports. None: by the built-in options."""

    def wrapped(factory, reactor, options=None):
        """A factory whose connections speak TLS on Twisted's own transports, and ``factory``'s protocols inside."""


class IMiddlewareMaker(Interface):
    """What is known of a middleware type before it is loaded."""

    type = Attribute("As in the configuration: addPrefix. str")
    description = Attribute("One sentence. str")

    def make_middleware(name, settings, offers):
        """An IMiddleware. ``settings``: mapping with keys as in the configuration, letter case ignored; values are
        typed (files) or strings (labels). ``offers``: mapping of what a middleware may use but can't have by itself.
        Raises ConfigurationError, ``harmless`` where routers may go on without this one.

        Offered are: ``clock()``, monotonic seconds; ``fetch(method, url, headers, body, *, trust, most, seconds)``,
        a Deferred with the Response of a server elsewhere (``headers`` are Fields), which fails with an UpstreamError
        where it has more than ``most`` octets or takes longer than ``seconds``; ``trusting(ca, chain, key, *,
        insecure)``, what to give as ``trust`` (PEM texts or paths); ``ask(service, owner, head, body)``, the same of a
        service of the table in force, by its name as ``owner`` refers to it, with a RequestHead;
        ``in_thread(function, *arguments)``, a Deferred with what the function gives, for what would hold up everybody
        else for more than a millisecond; ``secret``, random bytes that all workers have in common until the next
        start; ``entry_points``, a mapping of names to model.EntryPoint; ``later(seconds)``, a Deferred that
        fires then; ``say(text)``, which logs a warning; ``shared``, an IRegions, memory that all workers share."""


class IRegions(Interface):
    """Memory for what all workers count together. Implemented by control.regions, and core.regions for one process."""

    def region(name, size, rows=0):
        """The core.regions.Region of that name, of ``size`` octets that begin as zeros, the same in all workers.

        Beside them each worker has a column of ``rows`` counts, which only it may write to, and which is zeros again
        when it is gone. ``lock`` is to be held, for microseconds, while cells are read and written that belong
        together; it is None where there is one process. A name with another size is another region. A region goes on
        as long as any worker holds it (not only its cells), over tables and over the end of workers. Raises
        ConfigurationError where there is no room."""


class IMiddleware(Interface):
    """A running middleware. A hook it has no need for is None on the class, and costs nothing.

    One with an attribute ``members``, names of others, is a chain: the routing table puts those in its place.
    """

    def on_request(exchange):
        """None to go on, a Response to answer at once, or an awaitable of either. May change ``exchange.head``.

        May set ``exchange.retry`` to an IRetryPolicy and ``exchange.replayed`` to how many octets of a body may be held
        for it, set ``exchange.whole_answer``, and wait for ``exchange.whole_body(most, memory)``: see core.exchange."""

    def on_response(exchange, head):
        """Called with the ResponseHead of a server's answer, or of one of our own, before it is sent: the last
        middleware first. May change the head. None lets the answer go on; a Response replaces it, and what a server
        still sends of its own is thrown away; an awaitable of either holds the answer back until it is there.

        May also append an IBodyFilter to ``exchange.filters``."""

    def on_finish(exchange, outcome):
        """After the end, exactly once."""


class IRepeatable(IMiddleware):
    """A middleware that promises to do the same with the same again, so that it need not be called for it.

    Where a request comes again on a connection, octet for octet, with the same table in force, and all middlewares of
    its route promise this, it takes what became of it the last time; and so does the head of an answer that comes
    again. No hook is called then but ``on_finish``. Without the promise, every hook is called every time.
    """

    same_again = Attribute(
        """True on the class itself: nobody inherits it. What ``on_request`` and ``on_response`` do follows from the
        request's head as they find it, from the exchange's ``client``, ``client_port``, ``trusted``, ``entry_point``,
        ``route``, ``asked``, ``notes`` and certificates, and from the answer's head: not from a clock, a count, chance,
        or other requests. ``on_request`` changes nothing but the head, ``notes`` (where it puts only what
        never changes), ``retry`` (to a policy that may serve any number of exchanges) and ``replayed``; ``on_response``
        nothing but the answer's head. Filters, answers of their own, and what is to be waited for are free: who has
        them for a request or an answer is asked each time. bool"""
    )

    def once_more(exchange):
        """Called in place of ``on_request`` where that can't be left out, as in a limit; None for all others.

        It is called once, for a request that will come again, and gives a function of an exchange, which does for each
        of those what ``on_request`` would do; or None, where ``on_request`` has to be called. That function reads
        and changes no head, and sees no notes but those of its like."""


class IBodyFilter(Interface):
    """Every octet of an answer's body passes through it. Appended to ``exchange.filters`` (a list, or None so far) in
    ``on_response``, by a middleware that also sets ``head.length`` to CHUNKED: how long the body gets is the proxy's to
    say. One filter serves one answer.

    The head is sent with the first octets that come out of all filters; until then a filter may change it. Answers
    without a body (to HEAD, 204, 304) and tunnels pass no filter. A body that breaks off is cut for the client too:
    ``finish`` is not called. What a filter raises is a defect: the answer is 500, or is cut where it had begun.
    """

    undecided = Attribute(
        "True while it holds the beginning of a body since it can't tell yet what to do. flush() is then called after a"
        " moment only, and ends it. bool"
    )

    def feed(data):
        """What comes out for these octets (never none): bytes, perhaps empty."""

    def flush():
        """There is no more for now: what was held and should not be. bytes"""

    def trailers(fields):
        """The trailer fields to pass on, of those that came; called before ``finish``."""

    def finish():
        """The body is complete: the rest of what comes out. bytes"""


class IRetryPolicy(Interface):
    """Decides whether a request is sent again. One for each exchange, or for all of them."""

    def another_try(exchange, status, error, now):
        """Seconds to wait before another server is asked, 0 for at once, None to take what came.

        ``error`` is the UpstreamError where no answer came, else None; ``status`` that of the server's answer, or of
        the one that the error makes. ``exchange.tries`` says how many were asked; ``now`` is a monotonic time. Only
        asked while all of the request can be sent again and nothing of the answer is out.

        A policy may have a method ``takes(exchange, status)`` as well: True where an answer with this status is taken
        however many were asked and whatever the time. Who has none is always asked."""


class IBalancerMaker(Interface):
    """What is known of a balancing strategy before it is loaded."""

    kind = Attribute("As in the configuration: wrr. str")
    description = Attribute("One sentence. str")

    def make_balancer(servers, settings, counter, random):
        """An IBalancer. ``servers``: sequence of objects with ``weight``, ``name`` (a URL), ``in_flight`` and
        ``learned`` (the balancer's own). ``counter()`` gives the next whole number, one row over all workers;
        ``random()`` a float in [0, 1)."""


class IBalancer(Interface):
    """Decides the order in which servers are asked. Health and retries are the caller's: it takes the next one."""

    observe = Attribute(
        "None, or a function (server, seconds, status, now): a server began to answer after so many seconds, or "
        "gave no answer (status 0); now is a monotonic time. What nobody wants to know costs nothing."
    )

    def choices(exchange):
        """Iterator over servers, best first, each at most once. The exchange has ``head`` and ``client``."""


class IExchangeObserver(Interface):
    """Wants to know of every exchange that ended (access log, statistics)."""

    def exchange_ended(exchange):
        """Called exactly once per exchange, after its last byte. Must not keep it."""
