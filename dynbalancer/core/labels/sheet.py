"""The labels of one container, sorted by what they are about. Nothing is interpreted here but the keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from dynbalancer.core.labels import vocabulary as words
from dynbalancer.core.labels.findings import Findings, Label
from dynbalancer.core.labels.values import is_false
from dynbalancer.core.schema import MEANWHILE

NOT_YET = "is understood, but not supported in this version"
NOT_OPENED = "keeps requests out, which this version can't; the router is not opened without it"
HIDDEN = "(hidden)"

#: An entry of a list; with ten entries and more, order and spelling part, so that those are unknown.
_INDEXED = re.compile(r"(?P<list>entrypoints|middlewares)\[[0-9]\]")
_SEGMENT = re.compile(
    r"(?P<segment>.+?)\.(?P<property>port|portIndex|portName|weight|protocol|backend|frontend\.(?:.+))",
    re.IGNORECASE,
)
_roots = re.compile(r"[._/:-]").split
_SECRET = re.compile(r"basic|digest|password|secret|token", re.IGNORECASE)
_NEUTRAL = ("enable", "tags", "docker.network", "portName", "portIndex", "backend.id")

Fields = dict[str, Label]


@dataclass(slots=True)
class Sheet:
    """Sorted labels.

    Keys of ``v1`` and ``segments`` are canonical and without root, fields of v3 are in lower case.

    ``restricted_segments`` (the empty name: the whole container), ``restricted_routers`` and
    ``restricted_services`` name what must not be opened, each with the label because of which.
    ``excused`` are keys that somebody else knows.
    """

    ours: dict[str, str] = field(default_factory=dict)
    docker: Fields = field(default_factory=dict)
    v1: Fields = field(default_factory=dict)
    segments: dict[str, Fields] = field(default_factory=dict)
    routers: dict[str, Fields] = field(default_factory=dict)
    services: dict[str, Fields] = field(default_factory=dict)
    middlewares: dict[str, list[tuple[tuple[str, ...], Label]]] = field(default_factory=dict)
    streams: list[Label] = field(default_factory=list)
    other_families: bool = False
    restricted_segments: dict[str, str] = field(default_factory=dict)
    restricted_routers: dict[str, str] = field(default_factory=dict)
    restricted_services: dict[str, str] = field(default_factory=dict)
    excused: frozenset[str] = frozenset()

    @property
    def speaks_v1(self) -> bool:
        """Whether there is a label that only v1 knows."""
        return bool(self.segments or self.restricted_segments) or any(key not in _NEUTRAL for key in self.v1)

    @property
    def speaks_v3(self) -> bool:
        """Whether there is an HTTP label that only v3 knows."""
        return bool(self.routers or self.services or self.middlewares or self.restricted_routers)

    @property
    def v1_closing(self) -> Label | None:
        """A v1 label that keeps requests out of v1's routers, if there is one."""
        every = (self.v1, *self.segments.values())
        closing = (label for labels in every for key, label in labels.items() if key in words.V1_CLOSES)
        return next((label for label in closing if not is_false(label.value)), None)

    @property
    def v1_rule(self) -> bool:
        """Whether a v1 rule is written out."""
        return any("frontend.rule" in labels for labels in (self.v1, *self.segments.values()))


def sheet_of(labels: Mapping[str, str], findings: Findings, excused: frozenset[str] = frozenset()) -> Sheet:
    """Sort the labels of a container; unknown keys but ``excused`` ones, and those for later versions, are reported."""
    sheet = Sheet(excused=excused)
    for label in (Label(key, labels[key]) for key in sorted(labels)):
        root, dot, rest = label.key.partition(".")
        if root.lower() == "traefik" and dot and rest:
            sheet.ours[label.key] = _shown(label)
            _sort(sheet, label, rest, findings)
        elif _is_root_typo(label.key) and (label.key.strip() != label.key or _means_ours(label.key)):
            sheet.ours[label.key] = _shown(label)
            _unknown(sheet, label, findings, root=True)
    return sheet


def _sort(sheet: Sheet, label: Label, rest: str, findings: Findings) -> None:
    family = rest.partition(".")[0].lower()
    if family == "http":
        _sort_http(sheet, label, rest.split("."), findings)
    elif family in ("tcp", "udp"):
        sheet.streams.append(label)
    elif family == "tls":
        sheet.other_families = True
        findings.label(label.key, NOT_YET, severity="warning")
    elif family in ("docker", "swarm"):
        _sort_docker(sheet, label, rest.lower(), findings)
    else:
        _sort_v1(sheet, label, rest, findings)


def _sort_docker(sheet: Sheet, label: Label, key: str, findings: Findings) -> None:
    use = words.DOCKER.get(key, "")
    if use == words.USED:
        sheet.docker[key] = label
    elif use:
        findings.label(label.key, NOT_YET, severity="warning")
    else:
        _unknown(sheet, label, findings)


def _sort_v1(sheet: Sheet, label: Label, rest: str, findings: Findings) -> None:
    segment, key, use = _v1_place(rest)
    canonical = f"traefik.{segment}.{key}" if segment else f"traefik.{key}"
    if not use:
        _unknown(sheet, label, findings)
        return
    if label.key != canonical and key != "enable":
        why = f"v1 labels are case sensitive in Traefik; it is read as {canonical}"
        findings.label(label.key, why, severity="info")
    if use == words.RESTRICTS and not is_false(label.value):
        findings.label(label.key, NOT_OPENED)
        sheet.restricted_segments.setdefault(segment, label.key)
    elif key in words.V1_CLOSES and not label.value.strip():
        why = "is empty; as it is meant to keep requests out, the router is not opened"
        findings.label(label.key, why, "give it a value, or leave it out")
        sheet.restricted_segments.setdefault(segment, label.key)
    elif use == words.VOID:
        findings.label(label.key, "means nothing for Docker containers", severity="info")
    fields = sheet.segments.setdefault(segment, {}) if segment else sheet.v1
    # Where a key is there in several spellings, the right one counts; an empty value is an absent label in
    # v1.
    if label.value.strip() and (key not in fields or label.key == canonical):
        fields[key] = label


def _v1_place(rest: str) -> tuple[str, str, str]:
    """Segment, canonical key and use of a v1 key; an empty use where it is unknown."""
    known = words.v1_key(rest)
    if known:
        return "", *known
    head = rest.partition(".")[0].lower()
    parts = rest.split(".")
    match = _SEGMENT.fullmatch(rest)
    if head in ("frontend", "backend") or not match or _is_family_typo(parts):
        return "", rest, ""
    known = words.v1_key(match["property"])
    return (match["segment"], *known) if known else ("", rest, "")


def _sort_http(sheet: Sheet, label: Label, parts: list[str], findings: Findings) -> None:
    kind = parts[1].lower() if len(parts) > 1 else ""
    if kind not in words.V3_KINDS or len(parts) < 4 or not all(parts):
        _unknown(sheet, label, findings)
        return
    name = parts[2]
    if "@" in name:
        plain, _, provider = name.partition("@")
        right = ".".join((*label.key.split(".")[:3], plain, *parts[3:]))
        hint = f"write {right}; @{provider} is appended by itself"
        findings.label(label.key, "a name must not contain '@'", hint)
        return
    if kind == "middlewares":
        named = sheet.middlewares.setdefault(_same_name(name, sheet.middlewares), [])
        named.append((tuple(parts[3:]), label))
        return
    _sort_field(sheet, label, kind, name, ".".join(parts[3:]).lower(), findings)


def _sort_field(sheet: Sheet, label: Label, kind: str, name: str, key: str, findings: Findings) -> None:
    indexed = _INDEXED.fullmatch(key)
    key = indexed["list"] if indexed else key
    use = words.v3_field(kind, key)
    if not use:
        _unknown(sheet, label, findings)
        return
    table = sheet.routers if kind == "routers" else sheet.services
    fields = table.setdefault(_same_name(name, table), {})
    if indexed:
        # They come in order; a list with commas is the same.
        before = fields.get(key)
        fields[key] = Label(label.key, f"{before.value},{label.value}" if before else label.value)
        return
    if use == words.LATER and (key.startswith("observability.") or not is_false(label.value)):
        # What is switched off is as good as not there, but for what would otherwise be on.
        findings.label(label.key, NOT_YET, MEANWHILE.get(key.rpartition(".")[2], ""), "warning")
    fields.setdefault(key, label)


def _unknown(sheet: Sheet, label: Label, findings: Findings, *, root: bool = False) -> None:
    if label.key in sheet.excused:
        return
    right = words.nearest(label.key.strip())
    why = "this label is unknown and not used"
    if label.key != label.key.strip():
        why = "this label has a blank before or after its key, and is not used"
    root = root or right == "traefik.enable"
    protected = _protect(sheet, label, right or label.key)
    if protected:
        why += f"; as it may be meant to keep requests out, {protected} is not opened"
    findings.label(label.key, why, f"did you mean {right}?" if right else "", root=root)


def _protect(sheet: Sheet, label: Label, meant: str) -> str:
    """Fail closed: a misspelt label that may keep requests out closes what it is about; says what."""
    parts = meant.strip().split(".")
    names_middlewares = any(words.near(part, ("middlewares",), 0.8) for part in label.key.split(".")[4:])
    restricts = names_middlewares or ".".join(parts[4:]) in (
        "middlewares",
        "entrypoints",
        "tls",
        "tls.options",
    )
    if parts[1:3] == ["http", "routers"] and restricts:
        sheet.restricted_routers.setdefault(parts[3].lower(), label.key)
        return f"router {parts[3]}"
    if parts[1:3] == ["http", "services"] and (names_middlewares or parts[4:] == ["middlewares"]):
        sheet.restricted_services.setdefault(parts[3].lower(), label.key)
        return f"service {parts[3]}"
    for segment, rest in (("", ".".join(parts[1:])), (".".join(parts[1:2]), ".".join(parts[2:]))):
        if words.v1_restricts(rest) or rest.lower() == "frontend.entrypoints":
            sheet.restricted_segments.setdefault(segment, label.key)
            return f"segment {segment}" if segment else "the container's router"
    return ""


def _same_name(name: str, known: Mapping[str, object]) -> str:
    """The spelling under which a name is known already: v3 names differing in case are one name."""
    return next((other for other in known if other.lower() == name.lower()), name)


def _is_root_typo(key: str) -> bool:
    root = _roots(key.strip(), maxsplit=1)[0].lower()
    return len(root) + 1 < len(key) and _is_near_traefik(root)


def _means_ours(key: str) -> bool:
    """Whether a key with another root is one of Traefik's: ``traefik-net`` is somebody else's label."""
    return _roots(key, maxsplit=1)[0].lower() != "traefik" or bool(words.nearest(key))


@lru_cache(256)
def _is_near_traefik(root: str) -> bool:
    # Each container has a dozen labels that begin with com or org.
    return bool(words.near(root, ("traefik",), 0.8))


def _is_family_typo(parts: list[str]) -> bool:
    """``traefik.htpp.services.web.loadbalancer.server.port`` looks like a segment and isn't one."""
    return (
        len(parts) > 3
        and parts[1].lower() in words.V3_KINDS
        and bool(words.near(parts[0], words.V3_FAMILIES, 0.5))
    )


def _shown(label: Label) -> str:
    return HIDDEN if _SECRET.search(label.key) else label.value
