"""The middleware contentType: it does nothing, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from dynbalancer.errors import ConfigurationError
from dynbalancer.interfaces import IMiddleware
from dynbalancer.middlewares.contenttypes import ContentType


@pytest.mark.parametrize(
    ("settings", "told"), [({}, 1), ({"autoDetect": "true"}, 1), ({"autoDetect": False}, 0)]
)
def test_it_does_nothing_and_says_so_where_more_is_expected(settings: dict[str, Any], told: int) -> None:
    made = ContentType.from_settings("t@docker", settings)
    assert IMiddleware.providedBy(made)
    assert (made.on_request, made.on_response, made.on_finish) == (None, None, None)
    assert len(made.notices) == told


@pytest.mark.parametrize("settings", [{"autoDetect": "maybe"}, {"detect": True}])
def test_what_is_no_option_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="etect"):
        ContentType.from_settings("t@docker", settings)
