"""What is wrong with a template, and where in it."""

from __future__ import annotations

from dynbalancer.errors import ConfigurationError, DynbalancerError


class Fault(DynbalancerError):
    """Why a template can't be used, and at which character it is (from 0; below 0 where that isn't known yet)."""

    def __init__(self, why: str, hint: str = "", at: int = -1) -> None:
        super().__init__(why, hint, at)
        self.why = why
        self.hint = hint
        self.at = at

    def said(self, template: str) -> ConfigurationError:
        """The same for whoever wrote the template, with the place: the line too where there are several."""
        if self.at < 0:
            return ConfigurationError("template", self.why, self.hint)
        before = template[: self.at]
        column = self.at - (before.rfind("\n") + 1) + 1
        line = f"line {before.count(chr(10)) + 1}, " if "\n" in template.strip() else ""
        return ConfigurationError("template", f"{self.why} ({line}character {column})", self.hint)
