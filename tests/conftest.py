"""What holds for all tests: none of them fails because the machine is busy."""

from __future__ import annotations

from importlib.util import find_spec

# The end-to-end tests run in an environment without it.
if find_spec("hypothesis") is not None:
    from hypothesis import HealthCheck, settings

    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
