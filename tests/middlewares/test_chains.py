"""The middleware chain: it is read, and does nothing by itself."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IMiddleware
from dynbalancer.middlewares.chains import Chain


@pytest.mark.parametrize("middlewares", ["a,b@file", ["a", "b@file"]])
def test_members_are_named_in_order(middlewares: Any) -> None:
    made = Chain.from_settings("c@docker", {"Middlewares": middlewares})
    assert made.members == ("a", "b@file")
    assert IMiddleware.providedBy(made)
    assert (made.on_request, made.on_response, made.on_finish) == (None, None, None)


@pytest.mark.parametrize("settings", [{}, {"middlewares": []}, {"middlewares": "a,,b"}, {"middleware": "a"}])
def test_chain_of_nothing_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Chain.from_settings("c@docker", settings)
    assert caught.value.where == "middleware c@docker"
