"""Go's text templates: default rules such as ``Host(`{{ normalize .Name }}.example.com`)``, files of routes, redirects.

They give text and nothing else: no file, no environment, no clock. See :mod:`dynbalancer.core.gotemplates`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from dynbalancer.core.gotemplates.faults import Fault
from dynbalancer.core.gotemplates.functions import FUNCTIONS, Function
from dynbalancer.core.gotemplates.nodes import MOST_STEPS, Run, write_all
from dynbalancer.core.gotemplates.parsing import parse
from dynbalancer.errors import ConfigurationError

#: Characters that a template may give.
LONGEST_RESULT = 1 << 16

#: Gives the text of a template for values.
Rendering = Callable[[Mapping[str, object]], str]


def render(template: str, values: Mapping[str, object]) -> str:
    """The text of a template; ``values`` are its fields, without their leading dot. Raises ConfigurationError."""
    return compiled(template, values)(values)


def compiled(
    template: str,
    fields: Collection[str],
    *,
    functions: Mapping[str, Function] = FUNCTIONS,
    longest: int = LONGEST_RESULT,
    steps: int = MOST_STEPS,
) -> Rendering:
    """A template that is read once, for values with these fields (none: they aren't known).

    Raises ConfigurationError, and so does the rendering, with the place in the template. ``longest`` is the number of
    characters that it may give, ``steps`` what it may take.
    """
    try:
        body = parse(template, fields, functions)
    except Fault as fault:
        raise fault.said(template) from None

    def rendered(values: Mapping[str, object]) -> str:
        run = Run(values, longest, steps)
        try:
            write_all(body, run, values)
        except Fault as fault:
            raise fault.said(template) from None
        except RecursionError:
            raise ConfigurationError("template", "nested too deeply") from None
        return "".join(run.written)

    return rendered
