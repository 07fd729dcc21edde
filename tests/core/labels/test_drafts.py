"""What one container says, as values."""

from __future__ import annotations

from dynbalancer.core.labels.containers import Container
from dynbalancer.core.labels.drafts import Reading, RouterDraft
from dynbalancer.core.model import Router


def test_readings_share_nothing() -> None:
    one, other = Reading(), Reading()
    router = Router("web", "Host(`a.example`)", "web")
    one.routers.append(
        RouterDraft(router, Container("1", "a"), ("v3", "web"), ("v3", "web"), "Host(`a.example`)")
    )
    assert other.routers == []
    assert not one.routers[0].refused
