"""Labels in the manner of Traefik v1: ``traefik.frontend.rule=Host:a.example``, ``traefik.port=8080``."""

from __future__ import annotations

from dataclasses import replace

from dynbalancer.core.labels import naming, v1backend, v1options, v1rules
from dynbalancer.core.labels.addresses import Place, server_at
from dynbalancer.core.labels.drafts import Reading, RouterDraft, ServiceDraft
from dynbalancer.core.labels.findings import Findings
from dynbalancer.core.labels.sheet import Fields, Sheet
from dynbalancer.core.labels.values import boolean, choice, csv, integer, port, text
from dynbalancer.core.model import Router, Server, Service

_SCHEMES = ("http", "https", "h2c")
_MOST = 2**31 - 1


def read(place: Place, sheet: Sheet, findings: Findings) -> Reading:
    """What a container's v1 labels ask for."""
    reading = Reading()
    method = choice(sheet.v1.get("backend.loadbalancer.method"), "wrr", ("wrr", "drr"), findings)
    _report_unused(sheet, findings)
    # As soon as one segment has a name, the one without a name is gone.
    for segment, own in sorted(sheet.segments.items()) or [("", Fields())]:
        # What isn't said for a segment holds as for the container.
        _read_segment(place, sheet, segment, {**sheet.v1, **own}, findings, reading)
    reading.services = [
        replace(draft, service=replace(draft.service, strategy=method)) for draft in reading.services
    ]
    return reading


def _report_unused(sheet: Sheet, findings: Findings) -> None:
    rule = sheet.v1.get("frontend.rule")
    if rule and sheet.segments and all("frontend.rule" in own for own in sheet.segments.values()):
        names = ", ".join(sorted(sheet.segments))
        why = f"not used: beside segments ({names}), it is for those without a rule of their own"
        findings.label(rule.key, why, severity="warning")


def _read_segment(
    place: Place,
    sheet: Sheet,
    segment: str,
    fields: Fields,
    findings: Findings,
    reading: Reading,
) -> None:
    container = place.container
    domain = text(fields.get("domain"), place.defaults.domain)
    rule = text(fields.get("frontend.rule")) or naming.default_rule(container, domain)
    if not rule:
        reading.idle = (
            "no rule: neither label traefik.frontend.rule nor traefik.http.routers.NAME.rule, "
            "and no domain to make one from its name"
        )
        if segment:
            hint = f"add label traefik.{segment}.frontend.rule=…"
            findings.whole(f"segment {segment} has no rule", hint)
        return
    number = port_of(place, fields, segment, findings)
    if number is None and not container.stopped:
        reading.idle = "no port exposed"
        return
    backend = naming.backend_name(container, text(fields.get("backend")), segment)
    pass_host = boolean(fields.get("frontend.passHostHeader"), True, findings)
    transport = v1backend.transport_of(fields, findings)
    server = _server(place, fields, number, findings) if number and not container.stopped else None
    origin = f"container {container.name}"
    terms = v1backend.terms_of(fields, backend, findings)
    terms |= {"pass_host_header": pass_host, "transport": transport}
    service = Service(backend, (server,) if server else (), dialect="v1", origin=origin, **terms)
    router = Router(
        naming.frontend_name(rule, segment, backend),
        rule,
        backend,
        csv(text(fields.get("frontend.entryPoints"))),
        priority=integer(fields.get("frontend.priority"), 0, findings, 0, _MOST) or 0,
        dialect="v1",
        origin=origin,
    )
    refused = any(name in sheet.restricted_segments for name in ("", segment))
    reading.services.append(ServiceDraft(service, container, v1backend.options_of(fields, findings)))
    draft = replace(
        _draft(place, router, segment, refused=refused),
        pass_host_header=pass_host,
        transport=transport,
        options=v1options.options_of(fields, findings),
    )
    reading.routers.append(draft)


def _draft(place: Place, router: Router, segment: str, *, refused: bool) -> RouterDraft:
    key = v1rules.same_rule_key(router.rule)
    return RouterDraft(
        router,
        place.container,
        owner=("v1", naming.service_name(place.container), segment),
        pool=("v1", key, frozenset(router.entry_points), router.priority),
        rule_key=key,
        modifiers=v1rules.modifiers_of(router.rule, keep_trailing_slash=place.defaults.keep_trailing_slash),
        refused=refused,
        numbered=not segment,
    )


def port_of(place: Place, fields: Fields, segment: str, findings: Findings) -> int | None:
    """The port label, else the lowest exposed port; None (and a Problem) where there is neither."""
    label = fields.get("port")
    exposed = min(place.container.ports, default=None)
    found = port(label, exposed, findings, known=place.container.ports_known)
    if found is None:
        key = f"traefik.{segment}.port" if segment else "traefik.port"
        findings.whole("no port exposed", f"add label {key}=…", "error" if fields else "info")
    return found


def _server(place: Place, fields: Fields, number: int, findings: Findings) -> Server | None:
    scheme = choice(fields.get("protocol"), "http", _SCHEMES, findings)
    # v1 takes weight 0 for 1.
    weight = integer(fields.get("weight"), 1, findings, 0, _MOST) or 1
    return server_at(place, number, findings, scheme=scheme, weight=weight)
