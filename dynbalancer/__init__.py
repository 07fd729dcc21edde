"""A dynamic reverse proxy and load balancer on Twisted.

The map, from the inside out:

- ``errors``, ``interfaces``: the words.
- ``core``: deciding. Pure code: the model, rules, labels, the routing table, balancing, HTTP/1.1.
- ``middlewares``: what may be done to a request on its way, by family. Pure as well.
- ``plugins``: how providers, middlewares and balancers are found.
- ``proxy``: the data plane: sockets, connections, forwarding. Runs in the workers.
- ``control``: the control plane: merges what providers say, looks after the workers.
- ``admin``: REST API and dashboard.
- ``start``: what a start needs: settings from flags, environment and file; ports, logs, signals.
- ``lint``: checks of files before they are used.
- ``tap``, ``worker``, ``cli``: the roots, where everything is wired.

Providers live beside this package, in ``providers/``, and use only its public modules.
"""
