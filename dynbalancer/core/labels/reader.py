"""From containers to a Configuration: which are routed, how, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dynbalancer.core.labels import streams, v1, v3
from dynbalancer.core.labels import vocabulary as words
from dynbalancer.core.labels.addresses import place_of
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.drafts import Reading
from dynbalancer.core.labels.findings import Findings
from dynbalancer.core.labels.pools import Assembly, assemble
from dynbalancer.core.labels.sheet import Sheet, sheet_of
from dynbalancer.core.labels.streams import StreamReading
from dynbalancer.core.labels.values import boolean, text
from dynbalancer.core.model import Configuration, Item


@dataclass(slots=True)
class _Look:
    """One container, looked at; nothing of it changes afterwards. ``ignored`` says why it is not used at all."""

    container: Container
    sheet: Sheet
    findings: Findings
    ignored: str = ""
    v1: Reading = field(default_factory=Reading)
    v3: Reading = field(default_factory=Reading)
    streams: StreamReading = field(default_factory=StreamReading)
    details: Mapping[str, str] = field(default_factory=dict)


class Reader:
    """Reads containers again and again, and looks only at those anew that are not as they were."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._defaults: Defaults | None = None

    def read(self, containers: Sequence[Container], defaults: Defaults) -> Configuration:
        """The routing that the labels of these containers ask for, its problems, and an Item for each container.

        The order of ``containers`` doesn't matter: the older one comes first, and of two with one age the name
        decides.
        """
        known = self._looks if defaults == self._defaults else {}
        looks: list[_Look] = []
        for container in _with_lenders(sorted(containers, key=lambda c: (c.created, c.name, c.id))):
            look = known.get(container.id)
            # Most are the very same object; one that borrows a network is made anew each time.
            if look is None or (look.container is not container and look.container != container):
                look = _look_at(container, defaults)
            looks.append(look)
        self._looks, self._defaults = {look.container.id: look for look in looks}, defaults
        return _configuration(looks)


def configuration_of(containers: Sequence[Container], defaults: Defaults) -> Configuration:
    """What a new :class:`Reader` reads."""
    return Reader().read(containers, defaults)


def _configuration(looks: Sequence[_Look]) -> Configuration:
    whole = assemble((look.v1 for look in looks), (look.v3 for look in looks))
    others = streams.joined((look.container, look.streams) for look in looks)
    for look in looks:
        whole.credit(look.container, *others.gave.get(look.container.id, ()))
    problems = [problem for look in looks for problem in look.findings.problems]
    return Configuration(
        routers=whole.routers,
        services=whole.services,
        middlewares=whole.middlewares,
        problems=tuple(dict.fromkeys([*problems, *whole.problems, *others.problems])),
        items=tuple(_item(look, whole) for look in looks),
        **others.families,
    )


def _with_lenders(containers: Sequence[Container]) -> Iterable[Container]:
    by_word: dict[str, Container] = {}
    for container in containers:
        by_word.setdefault(container.name, container)
        by_word[container.id] = container
    return [_with_lender(container, by_word, ()) for container in containers]


def _with_lender(
    container: Container, by_word: Mapping[str, Container], borrowers: tuple[str, ...]
) -> Container:
    mode, _, word = container.network_mode.partition(":")
    lender = by_word.get(word)
    if mode != "container" or container.lender or lender is None or lender.id in (*borrowers, container.id):
        return container
    return replace(container, lender=_with_lender(lender, by_word, (*borrowers, container.id)))


def _look_at(container: Container, defaults: Defaults) -> _Look:
    findings = Findings(container.name)
    look = _Look(container, _sheet(container, defaults, findings), findings, details=_details(container))
    look.ignored = _why_not(look, defaults)
    if look.ignored:
        return look
    _read(look, defaults)
    said = (look.v1, look.v3)
    http = any(reading.routers or reading.services or reading.middlewares for reading in said)
    if not http and not look.streams:
        look.ignored = look.v1.idle or look.v3.idle or "its labels make no router"
        # Whatever else it says is of no use without it.
        look.v1, look.v3 = Reading(), Reading()
    return look


def _why_not(look: _Look, defaults: Defaults) -> str:
    """Why a container is not meant for us, or an empty string.

    What is wrong with the other labels of one that isn't is of no interest, and forgotten.
    """
    container, sheet, findings = look.container, look.sheet, look.findings
    if container.one_off and not defaults.one_offs:
        findings.problems.clear()
        return "a one-off container of docker-compose run"
    enable = sheet.v1.get("enable")
    # Whoever writes "no" means it, though it is no word of ours.
    exposed = defaults.exposed_by_default and text(enable).strip("\"'").lower() not in _ALSO_NO
    if not boolean(enable, exposed, findings, root=True):
        findings.problems[:] = findings.roots if enable is None or text(enable).lower() not in _NO else []
        if enable is not None:
            return f"not enabled: label {enable.key}={enable.value}"
        if sheet.speaks_v1 or sheet.speaks_v3 or sheet.streams:
            findings.whole(_NOT_ENABLED, "add label traefik.enable=true", "warning")
        return "not enabled: it has no label traefik.enable=true, and containers are not exposed by default"
    unmet = defaults.constraints.refusal(container) if defaults.constraints else ""
    if unmet:
        # It is meant for somebody else, who may know its labels.
        findings.problems.clear()
        return unmet
    allowed = boolean(sheet.docker.get("docker.allownonrunning"), False, findings)
    if container.stopped and not allowed:
        return f"not running: it is {container.state}"
    return ""


_NOT_ENABLED = (
    "it has labels of ours, but containers are not exposed by default, and it has no label traefik.enable"
)
_NO = frozenset(("0", "f", "false"))
_ALSO_NO = frozenset(("no", "n", "off", "disable", "disabled", "none", "false", "f", "0"))


def _read(look: _Look, defaults: Defaults) -> None:
    """Read the labels in each manner they are written in; without any, in that of the default rule."""
    sheet, findings = look.sheet, look.findings
    place = place_of(look.container, defaults, sheet.docker)
    speaks_v1, speaks_v3 = sheet.speaks_v1, sheet.speaks_v3
    if sheet.streams:
        look.streams = streams.read(place, sheet.streams, findings)
    if not speaks_v1 and not speaks_v3:
        if sheet.streams or sheet.other_families:
            look.v3.idle = "its labels of TCP, UDP or TLS make no router"
            return
        speaks_v3 = bool(defaults.default_rule)
        speaks_v1 = not speaks_v3
    if speaks_v3 and sheet.v1_rule:
        why = "it has rules in the manner of Traefik 1 and of its later versions; each of them makes a router"
        findings.whole(why, "`dynbalancer translate` turns the older ones into newer ones", "info")
    if speaks_v3:
        look.v3 = v3.read(place, sheet, findings, automatic=not sheet.v1_rule)
    if sheet.v1_rule or not speaks_v3:
        look.v1 = v1.read(place, sheet, findings)
    else:
        _report_unused(sheet, findings)


def _report_unused(sheet: Sheet, findings: Findings) -> None:
    """v1 labels that say how a router or server of v1 is, where there is none."""
    for fields in (sheet.v1, *sheet.segments.values()):
        for key, label in fields.items():
            used = fields is sheet.v1 and key in ("enable", "port", "tags")
            if not used and words.v1_key(key) == (key, words.USED):
                why = "not used: the container's other labels are in v3's manner, and there is no v1 rule"
                findings.label(label.key, why, severity="warning")


def _item(look: _Look, whole: Assembly) -> Item:
    container, sheet = look.container, look.sheet
    gave = tuple(whole.gave.get(container.id, ()))
    refused = whole.refused.get(container.id, [])
    if look.ignored:
        closed = sheet.restricted_routers or sheet.restricted_segments or sheet.restricted_services
        meant = not look.ignored.startswith(("not ", "it does not meet "))
        verdict = "refused" if closed and meant else "ignored"
        why = look.ignored
    else:
        verdict = "refused" if refused and not any(name in whole.routers for name in gave) else "routed"
        why = "; ".join([*refused, *look.findings.notes])
    return Item(container.id, container.name, "container", verdict, why, gave, sheet.ours, look.details)


def _sheet(container: Container, defaults: Defaults, findings: Findings) -> Sheet:
    known = defaults.constraints.keys if defaults.constraints else frozenset()
    return sheet_of(container.labels, findings, known)


def _details(container: Container) -> dict[str, str]:
    networks = ", ".join(f"{name} {address}".strip() for name, address in sorted(container.networks.items()))
    facts = {
        "image": container.image,
        "state": container.state,
        "health": container.health,
        "networks": networks or container.network_mode,
        "ports": ", ".join(str(port) for port in container.ports) if container.ports_known else "",
        "service": ".".join(container.compose or ()),
    }
    return {name: fact for name, fact in facts.items() if fact}
